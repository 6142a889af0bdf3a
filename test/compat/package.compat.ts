/**
 * What `npm pack` yields, installed in an empty folder on each Node that it is for: JavaScript, types, the command, the broker in a
 * program, native code, and the examples on top of it.
 */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { cp, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test, type TestContext } from 'node:test'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { installIn, installNode, pack, withNode } from './support/package.ts'
import { eventually, mustRun, runCommand } from './support/processes.ts'

const root = fileURLToPath(new URL('../../', import.meta.url))
/** Beside the Node that runs this, which is the one of package.json. */
const newestNode = '26.10.0'
/** What an idle broker may have resident, in MB, with and without its HTTP API. */
const residentMaxMegabytes = { http: 100, noHttp: 70 }
/** V8 has collected by then what the start needed. */
const idleMs = 2_500

interface Ready {
  readonly port: number
  readonly httpPort: number | null
  readonly pid: number
}

interface Installed {
  readonly folder: string
  readonly tarball: string
  readonly nodePath: string
}

/** Runs the installed command as a broker until the test ends. Resolves when it is ready; it must not have complained. */
async function startInstalled(t: TestContext, { folder, nodePath }: Installed, ...flags: string[]): Promise<Ready> {
  const home = await mkdtemp(join(folder, 'broker-'))
  const readyFile = join(home, 'ready.json')
  const bin = join(folder, 'node_modules', '.bin', 'titorelli')
  const args = ['start', '--port', '0', '--http-port', '0', '--data-dir', join(home, 'data'), '--ready-file', readyFile]
  const env = { ...process.env, ...withNode(nodePath) }
  const child = spawn(bin, [...args, '--log-level', 'warn', ...flags], { env, stdio: ['ignore', 'ignore', 'pipe'] })
  let complaints = ''
  child.stderr.setEncoding('utf8').on('data', (text: string) => (complaints += text))
  const ended = new Promise((resolve) => child.once('exit', resolve))
  t.after(async () => {
    child.kill('SIGTERM')
    assert.equal(await ended, 0)
    assert.equal(complaints, '')
  })
  return await eventually('the broker is ready', async () => JSON.parse(await readFile(readyFile, 'utf8')) as Ready)
}

async function residentMegabytes(pid: number): Promise<number> {
  const status = await readFile(`/proc/${pid}/status`, 'utf8')
  return (Number(/^VmRSS:\s+(\d+) kB$/m.exec(status)![1]) * 1024) / 1e6
}

/** Runs a program in the folder, where `titorelli` is installed. Returns its lines. */
async function runProgram({ folder, nodePath }: Installed, program: string): Promise<string[]> {
  const { stdout, stderr } = await mustRun(nodePath, ['--input-type=module', '--eval', program], { cwd: folder })
  assert.equal(stderr, '')
  return stdout.trim().split('\n')
}

async function testBrokerAndCommands(t: TestContext, installed: Installed): Promise<void> {
  const { version } = JSON.parse(await readFile(join(root, 'package.json'), 'utf8')) as { version: string }
  const options = { cwd: installed.folder, env: withNode(installed.nodePath) }
  const command = async (...args: string[]) =>
    (await mustRun('npx', ['--no-install', 'titorelli', ...args], options)).stdout.trim()
  assert.equal(await command('--version'), version)
  const { httpPort } = await startInstalled(t, installed)
  const url = ['--url', `http://127.0.0.1:${httpPort}`]
  await command('topic', 'create', 'greetings', '--partitions', '2', ...url)
  assert.match(await command('topic', 'list', ...url), /greetings/)
  assert.match(await command('group', 'list', '--json', ...url), /^[[{]/)
}

async function testIdleMemory(t: TestContext, installed: Installed): Promise<void> {
  const brokers = [
    { ...(await startInstalled(t, installed)), limit: residentMaxMegabytes.http },
    { ...(await startInstalled(t, installed, '--no-http')), limit: residentMaxMegabytes.noHttp },
  ]
  await new Promise((resolve) => setTimeout(resolve, idleMs))
  for (const { pid, limit } of brokers) {
    const megabytes = await residentMegabytes(pid)
    t.diagnostic(`${Math.round(megabytes)} MB resident, ${limit} are allowed`)
    assert.ok(megabytes <= limit, `${megabytes} MB`)
  }
}

async function testPrograms(installed: Installed): Promise<void> {
  const embedded = `
    import { startBroker } from 'titorelli'
    await using broker = await startBroker({ topics: ['hello'], http: true })
    const topics = await fetch(broker.httpUrl + '/kafka/v3/clusters/' + broker.clusterId + '/topics')
    for (const { topic_name: name } of (await topics.json()).data) console.log(name)
    for await (const record of broker.records('hello')) console.log(record.value)`
  assert.deepEqual(await runProgram(installed, embedded), ['hello'])
  const dist = pathToFileURL(join(installed.folder, 'node_modules/titorelli/dist/protocol/')).href
  const natives = `
    import { compress, decompress } from '${dist}records/compression.js'
    import { crc32c } from '${dist}crc32c.js'
    const bytes = new Uint8Array(200_000).fill(7)
    for (const codec of ['gzip', 'snappy', 'lz4', 'zstd'])
      console.log(codec, decompress(codec, compress(codec, bytes), 200_000).length, crc32c(bytes) === crc32c(bytes))
    const loaded = process.report.getReport().sharedObjects
    for (const name of ['snappy', 'lz4-napi', 'crc32']) console.log(name, loaded.some((path) => path.includes(name)))`
  assert.deepEqual(await runProgram(installed, natives), [
    ...['gzip', 'snappy', 'lz4', 'zstd'].map((codec) => `${codec} 200000 true`),
    ...['snappy', 'lz4-napi', 'crc32'].map((name) => `${name} true`),
  ])
}

async function testTypes({ folder }: Installed): Promise<void> {
  const wrong = `import { startBroker } from 'titorelli'\nexport const wrong: number = (await startBroker()).bootstrapServers\n`
  await writeFile(join(folder, 'types.ts'), wrong)
  const lib = ['--target', 'es2024', '--lib', 'es2024,esnext.disposable']
  const tsc = ['--noEmit', '--strict', '--skipLibCheck', '--module', 'nodenext', ...lib, 'types.ts']
  const checked = await runCommand(join(root, 'node_modules/.bin/tsc'), tsc, { cwd: folder })
  assert.match(checked.stdout, /types\.ts\(2,14\): error TS2322: Type 'string' is not assignable to type 'number'/)
  assert.equal(checked.stdout.trim().split('\n').length, 1, checked.stdout)
}

/** In a copy, with the tarball in the place of the package that the example names. */
async function testExample(example: string, { folder, tarball, nodePath }: Installed): Promise<void> {
  const copy = join(folder, 'examples', example)
  await cp(join(root, 'examples', example), copy, {
    recursive: true,
    filter: (path) => !path.includes('node_modules'),
  })
  type Manifest = Record<string, Record<string, string>>
  const manifest = JSON.parse(await readFile(join(copy, 'package.json'), 'utf8')) as Manifest
  for (const group of ['dependencies', 'devDependencies']) {
    if (manifest[group]?.['titorelli']) manifest[group]['titorelli'] = `file:${tarball}`
  }
  await writeFile(join(copy, 'package.json'), JSON.stringify(manifest, null, 2))
  const options = { cwd: copy, env: withNode(nodePath), timeoutMs: 300_000 }
  await mustRun('npm', ['install', '--no-audit', '--no-fund'], options)
  await mustRun('npm', ['test'], options)
}

test('the packed tarball', { timeout: 1_200_000 }, async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'titorelli-package-'))
  t.after(() => rm(folder, { recursive: true, force: true }))
  const { tarball, paths } = await pack(folder)

  await t.test('holds JavaScript, types, the command, README and licence, and no sources or tests', () => {
    for (const path of ['bin/titorelli.js', 'dist/src/index.js', 'dist/src/index.d.ts', 'README.md', 'LICENSE']) {
      assert.ok(paths.includes(path), path)
    }
    assert.deepEqual(
      paths.filter((path) => /(^|\/)test\/|(?<!\.d)\.ts$/.test(path)),
      [],
    )
  })

  const nodes = [process.execPath, await installNode(join(folder, 'newest-node'), newestNode)]
  for (const nodePath of nodes) {
    const { stdout } = await mustRun(nodePath, ['--version'])
    await t.test(`works on Node ${stdout.trim()}`, { timeout: 600_000 }, async (t) => {
      const installed: Installed = { folder: join(folder, stdout.trim()), tarball, nodePath }
      await installIn(installed.folder, [tarball], nodePath)
      await t.test('as a broker, with the commands', (t) => testBrokerAndCommands(t, installed))
      await t.test('within its memory when idle', (t) => testIdleMemory(t, installed))
      await t.test('in programs, with the native code', () => testPrograms(installed))
      await t.test('with its types', () => testTypes(installed))
      for (const example of await readdir(join(root, 'examples')))
        await t.test(`in examples/${example}`, { timeout: 300_000 }, () => testExample(example, installed))
    })
  }
})
