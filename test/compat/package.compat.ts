/** What `npm pack` yields, installed in an empty folder: JavaScript, types, the command, and the examples on top of it. */
import assert from 'node:assert/strict'
import { cp, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { mustRun, runCommand } from './support/processes.ts'

const root = fileURLToPath(new URL('../../', import.meta.url))
/** The Node that runs this, also for what the examples run. */
const env = { PATH: `${join(process.execPath, '..')}:${process.env['PATH']}` }

test(
  'the packed tarball installs, starts, and carries types; the examples run against it',
  { timeout: 600_000 },
  async (t) => {
    const folder = await mkdtemp(join(tmpdir(), 'titorelli-package-'))
    t.after(() => rm(folder, { recursive: true, force: true }))
    const npm = async (cwd: string, ...args: string[]) => await mustRun('npm', args, { cwd, env, timeoutMs: 300_000 })
    const packed = await npm(root, 'pack', '--json', '--pack-destination', folder)
    const [{ filename, files }] = JSON.parse(packed.stdout.slice(packed.stdout.indexOf('['))) as [
      { filename: string; files: { path: string }[] },
    ]
    const tarball = join(folder, filename)

    await t.test('it holds JavaScript, types, the command, README and licence, and no sources or tests', () => {
      const paths = files.map(({ path }) => path)
      for (const path of ['bin/titorelli.js', 'dist/src/index.js', 'dist/src/index.d.ts', 'README.md', 'LICENSE']) {
        assert(paths.includes(path), path)
      }
      assert.deepEqual(
        paths.filter((path) => /(^|\/)test\/|(?<!\.d)\.ts$/.test(path)),
        [],
      )
    })

    await t.test('the command runs from an empty folder', { timeout: 300_000 }, async () => {
      const empty = join(folder, 'empty')
      await mkdir(empty)
      await writeFile(join(empty, 'package.json'), '{"private":true,"type":"module"}')
      await npm(empty, 'install', '--no-audit', '--no-fund', tarball)
      const { version } = JSON.parse(await readFile(join(root, 'package.json'), 'utf8')) as { version: string }
      const shown = await mustRun('npx', ['--no-install', 'titorelli', '--version'], { cwd: empty, env })
      assert.equal(shown.stdout.trim(), version)
      const program = `
      import { startBroker } from 'titorelli'
      await using broker = await startBroker({ topics: ['hello'] })
      console.log(broker.bootstrapServers)`
      const ran = await mustRun(process.execPath, ['--input-type=module', '--eval', program], { cwd: empty })
      await writeFile(
        join(empty, 'types.ts'),
        `import { startBroker } from 'titorelli'\nexport const wrong: number = (await startBroker()).bootstrapServers\n`,
      )
      const tsc = [
        '--noEmit',
        '--strict',
        '--skipLibCheck',
        '--module',
        'nodenext',
        '--target',
        'es2024',
        '--lib',
        'es2024,esnext.disposable',
        'types.ts',
      ]
      const checked = await runCommand(join(root, 'node_modules/.bin/tsc'), tsc, { cwd: empty })
      assert.match(checked.stdout, /types\.ts\(2,14\): error TS2322: Type 'string' is not assignable to type 'number'/)
      assert.equal(checked.stdout.trim().split('\n').length, 1, checked.stdout)
      assert.match(ran.stdout, /^127\.0\.0\.1:\d+\n$/)
    })

    for (const example of await readdir(join(root, 'examples'))) {
      await t.test(`examples/${example} passes its tests against the tarball`, { timeout: 300_000 }, async () => {
        const copy = join(folder, example)
        await cp(join(root, 'examples', example), copy, {
          recursive: true,
          filter: (path) => !path.includes('node_modules'),
        })
        const manifest = JSON.parse(await readFile(join(copy, 'package.json'), 'utf8')) as Record<
          string,
          Record<string, string>
        >
        for (const group of ['dependencies', 'devDependencies']) {
          if (manifest[group]?.['titorelli']) manifest[group]['titorelli'] = `file:${tarball}`
        }
        await writeFile(join(copy, 'package.json'), JSON.stringify(manifest, null, 2))
        await npm(copy, 'install', '--no-audit', '--no-fund')
        await npm(copy, 'test')
      })
    }
  },
)
