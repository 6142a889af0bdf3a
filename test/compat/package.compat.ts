/**
 * What `npm pack` yields, installed in an empty folder on each Node that it is for: JavaScript, types, the command, the
 * broker in a program, native code, and the examples on top of it.
 */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { cp, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { test, type TestContext } from 'node:test'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { installIn, installNode, pack, withNode } from './support/package.ts'
import { eventually, mustRun, runCommand } from './support/processes.ts'

const root = fileURLToPath(new URL('../../', import.meta.url))
/** Beside the Node that runs this, which is the one of package.json. */
const newestNode = '26.10.0'
/** What an idle broker may have resident, in MB, with and without its HTTP API. */
const residentMaxMegabytes = { http: 100, noHttp: 70 }
/** By a start without HTTP: the command, and the parts of the bundle that it needs. */
const loadsMax = 25
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

type Manifest = Record<string, Record<string, string>>

/**
 * Runs the installed command as a broker until the test ends. Resolves when it is ready; it must not have complained.
 */
async function startInstalled(
  t: TestContext,
  { folder, nodePath }: Installed,
  { flags = [], env: extra = {} }: { readonly flags?: readonly string[]; readonly env?: NodeJS.ProcessEnv } = {},
): Promise<Ready> {
  const home = await mkdtemp(join(folder, 'broker-'))
  const readyFile = join(home, 'ready.json')
  const bin = join(folder, 'node_modules', '.bin', 'titorelli')
  const args = ['start', '--port', '0', '--http-port', '0', '--data-dir', join(home, 'data'), '--ready-file', readyFile]
  const env = { ...process.env, ...withNode(nodePath), ...extra }
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
    { ...(await startInstalled(t, installed, { flags: ['--no-http'] })), limit: residentMaxMegabytes.noHttp },
  ]
  await new Promise((resolve) => setTimeout(resolve, idleMs))
  for (const { pid, limit } of brokers) {
    const megabytes = await residentMegabytes(pid)
    t.diagnostic(`${Math.round(megabytes)} MB resident, ${limit} are allowed`)
    assert.ok(megabytes <= limit, `${megabytes} MB`)
  }
}

/** The loads of a started process, by its hook. */
const countLoads = `
  import { writeFileSync } from 'node:fs'
  import { registerHooks } from 'node:module'
  const urls = []
  registerHooks({
    load(url, context, next) {
      if (url.startsWith('file:')) urls.push(url)
      return next(url, context)
    },
  })
  process.on('exit', () => writeFileSync(process.env.REPORT, JSON.stringify(urls)))`

/** Every module is looked for, read and linked: what a start loads is in few files. */
async function testLoads(t: TestContext, installed: Installed): Promise<void> {
  const [preload, report] = [join(installed.folder, 'preload.mjs'), join(installed.folder, 'loads.json')]
  await writeFile(preload, countLoads)
  const env = { NODE_OPTIONS: `--import ${pathToFileURL(preload).href}`, REPORT: report }
  await t.test('and ended', async (t) => {
    await startInstalled(t, installed, { flags: ['--no-http'], env })
  })
  const urls = JSON.parse(await readFile(report, 'utf8')) as string[]
  t.diagnostic(`${urls.length} modules loaded, ${loadsMax} are allowed`)
  assert.ok(urls.some((url) => url.endsWith('/titorelli/dist/src/cli/main.js')))
  assert.ok(urls.length <= loadsMax, urls.join('\n'))
}

async function testPrograms(installed: Installed): Promise<void> {
  const embedded = `
    import { startBroker } from 'titorelli'
    await using broker = await startBroker({ topics: ['hello'], http: true })
    const topics = await fetch(broker.httpUrl + '/kafka/v3/clusters/' + broker.clusterId + '/topics')
    for (const { topic_name: name } of (await topics.json()).data) console.log(name)
    for await (const record of broker.records('hello')) console.log(record.value)`
  assert.deepEqual(await runProgram(installed, embedded), ['hello'])
  const natives = `
    import { startBroker } from 'titorelli'
    const codecs = ['gzip', 'snappy', 'lz4', 'zstd']
    const topics = codecs.map((codec) => [codec, { configs: { 'compression.type': codec } }])
    await using broker = await startBroker({ topics: Object.fromEntries(topics), http: true })
    const body = JSON.stringify({ value: { type: 'STRING', data: 'a'.repeat(100_000) } })
    for (const codec of codecs) {
      const url = broker.httpUrl + '/kafka/v3/clusters/' + broker.clusterId + '/topics/' + codec + '/records'
      await (await fetch(url, { method: 'POST', headers: { 'content-type': 'application/json' }, body })).json()
      for await (const { value } of broker.records(codec)) console.log(codec, value.length)
    }
    const loaded = process.report.getReport().sharedObjects
    for (const name of ['snappy', 'lz4-napi', 'crc32']) console.log(name, loaded.some((path) => path.includes(name)))`
  assert.deepEqual(await runProgram(installed, natives), [
    ...['gzip', 'snappy', 'lz4', 'zstd'].map((codec) => `${codec} 100000`),
    ...['snappy', 'lz4-napi', 'crc32'].map((name) => `${name} true`),
  ])
}

async function testTypes(installed: Installed): Promise<void> {
  const { folder } = installed
  const wrong = `import { startBroker } from 'titorelli'\nexport const wrong: number = (await startBroker()).bootstrapServers\n`
  await writeFile(join(folder, 'types.ts'), wrong)
  const lib = ['--target', 'es2024', '--lib', 'es2024,esnext.disposable']
  const tsc = ['--noEmit', '--strict', '--skipLibCheck', '--module', 'nodenext', ...lib, 'types.ts']
  const checked = await runCommand(join(root, 'node_modules/.bin/tsc'), tsc, { cwd: folder })
  assert.match(checked.stdout, /types\.ts\(2,14\): error TS2322: Type 'string' is not assignable to type 'number'/)
  assert.equal(checked.stdout.trim().split('\n').length, 1, checked.stdout)
  for (const name of await packagesInTypes(installed))
    assert.ok(existsSync(join(installed.folder, 'node_modules', name)), `the types name ${name}`)
}

/** The packages that the types of the package name, from the ones that programs import. */
async function packagesInTypes({ folder }: Installed): Promise<Set<string>> {
  const paths = new Set([join(folder, 'node_modules/titorelli/dist/src/index.d.ts')])
  const packages = new Set<string>()
  for (const path of paths) {
    const text = await readFile(path, 'utf8')
    for (const [, specifier = ''] of text.matchAll(/(?:^(?:import|export) .*from |import\()['"]([^'"]+)['"]/gm)) {
      if (specifier.startsWith('.')) paths.add(join(dirname(path), specifier.replace(/\.ts$/, '.d.ts')))
      else if (!specifier.startsWith('node:')) packages.add(specifier)
    }
  }
  assert.ok(paths.size > 10)
  return packages
}

/** In a copy, with the tarball in the place of the package that the example names. */
async function testExample(example: string, { folder, tarball, nodePath }: Installed): Promise<void> {
  const copy = join(folder, 'examples', example)
  await cp(join(root, 'examples', example), copy, {
    recursive: true,
    filter: (path) => !path.includes('node_modules'),
  })
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

  await t.test('holds the licences of what is bundled into it', async () => {
    const { dependencies, devDependencies } = JSON.parse(await readFile(join(root, 'package.json'), 'utf8')) as Manifest
    const licences = await readFile(join(root, 'dist/THIRD-PARTY-LICENSES.txt'), 'utf8')
    const isBundled = (name: string): boolean => licences.includes(`\n${name} `)
    assert.deepEqual(Object.keys(devDependencies!).filter(isBundled), ['@solana/buffer-layout', 'commander', 'pino'])
    assert.deepEqual(Object.keys(dependencies!).filter(isBundled), [], 'what is installed beside it is not in it')
    assert.ok(paths.includes('dist/THIRD-PARTY-LICENSES.txt'))
  })

  const nodes = [process.execPath, await installNode(join(folder, 'newest-node'), newestNode)]
  for (const nodePath of nodes) {
    const { stdout } = await mustRun(nodePath, ['--version'])
    await t.test(`works on Node ${stdout.trim()}`, { timeout: 600_000 }, async (t) => {
      const installed: Installed = { folder: join(folder, stdout.trim()), tarball, nodePath }
      await installIn(installed.folder, [tarball], nodePath)
      await t.test('as a broker, with the commands', (t) => testBrokerAndCommands(t, installed))
      await t.test('with few modules to load', (t) => testLoads(t, installed))
      await t.test('within its memory when idle', (t) => testIdleMemory(t, installed))
      await t.test('in programs, with the native code', () => testPrograms(installed))
      await t.test('with its types', () => testTypes(installed))
      for (const example of await readdir(join(root, 'examples')))
        await t.test(`in examples/${example}`, { timeout: 300_000 }, () => testExample(example, installed))
    })
  }
})
