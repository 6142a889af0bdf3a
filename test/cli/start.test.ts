/** `titorelli start` as a process: what it prints and writes, how it ends, what it refuses. */
import assert from 'node:assert/strict'
import { spawn, type ChildProcess } from 'node:child_process'
import { watch } from 'node:fs'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { createServer, type AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { basename, dirname, join } from 'node:path'
import { suite, test, type TestContext } from 'node:test'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { Metadata } from '../../protocol/apis/metadata.ts'
import { silentLogger } from '../../src/environment/logger.ts'
import { nodeNetwork } from '../../src/environment/node-network.ts'
import { TestClient } from '../support/broker.ts'
import { metadataRequest } from '../support/requests.ts'

const bin = fileURLToPath(new URL('../../bin/titorelli.js', import.meta.url))

/** Runs before the command, and writes what was loaded before V8 got its first flag, and after it. */
const loadsAroundFlags = `
  import { writeFileSync } from 'node:fs'
  import { registerHooks, syncBuiltinESMExports } from 'node:module'
  import v8 from 'node:v8'
  const [before, after] = [[], []]
  let isFlagged = false
  registerHooks({
    load(url, context, next) {
      const loads = isFlagged ? after : before
      loads.push(url)
      return next(url, context)
    },
  })
  const setFlags = v8.setFlagsFromString
  v8.setFlagsFromString = (flags) => {
    isFlagged = true
    setFlags(flags)
  }
  syncBuiltinESMExports()
  process.on('exit', () => writeFileSync(process.env.REPORT, JSON.stringify({ before, after })))`

/** What should end by itself and does not, fails. */
const limit = { timeout: 20_000 }

async function temporaryFolder(t: TestContext): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'titorelli-start-'))
  t.after(() => rm(folder, { recursive: true, force: true }))
  return folder
}

class Started {
  readonly child: ChildProcess
  stdout = ''
  stderr = ''
  readonly ended: Promise<{ status: number | null; signal: NodeJS.Signals | null }>

  constructor(t: TestContext, args: readonly string[], env: Record<string, string> = {}) {
    t.after(() => this.child.kill('SIGKILL'))
    this.child = spawn(process.execPath, [bin, ...args], {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { ...process.env, ...env },
    })
    this.child.stdout!.setEncoding('utf8').on('data', (text: string) => (this.stdout += text))
    this.child.stderr!.setEncoding('utf8').on('data', (text: string) => (this.stderr += text))
    this.ended = new Promise((resolve) => this.child.once('close', (status, signal) => resolve({ status, signal })))
  }
}

/** Starts a broker with a ready file and waits for it. */
async function startReady(t: TestContext, args: readonly string[], env: Record<string, string> = {}) {
  const readyFile = join(await temporaryFolder(t), 'ready.json')
  const started = new Started(t, ['start', '--port', '0', '--ready-file', readyFile, ...args], env)
  const appeared = new Promise<void>((resolve) => {
    const watcher = watch(dirname(readyFile), (_, name) => name === basename(readyFile) && done())
    const done = () => {
      watcher.close()
      resolve()
    }
    t.after(() => watcher.close())
  })
  await Promise.race([appeared, started.ended.then(() => assert.fail(`it ended: ${started.stdout}${started.stderr}`))])
  return { started, line: await readFile(readyFile, 'utf8') }
}

// They mostly wait for other processes.
suite('titorelli start', { concurrency: 3 }, () => {
  test('the ready file is one JSON line with ports, cluster id and pid, written when both ports answer', async (t) => {
    const dataDir = join(await temporaryFolder(t), 'data')
    const { started, line } = await startReady(t, [
      '--http-port',
      '0',
      '--data-dir',
      dataDir,
      '--cluster-id',
      'my-cluster',
    ])
    assert.match(line, /^[^\n]+\n$/)
    const { port, httpPort, clusterId, pid } = JSON.parse(line) as Record<string, number | string>
    assert.deepEqual([clusterId, pid], ['my-cluster', started.child.pid])
    assert(Number(port) > 0)
    const response = await fetch(`http://127.0.0.1:${httpPort}/kafka/v3/clusters/my-cluster`)
    assert.equal(response.status, 200)
    await response.arrayBuffer()
  })

  test('the banner says what it is, its version, where clients connect, where the data is, and what to type next', async (t) => {
    const dataDir = join(await temporaryFolder(t), 'data')
    const { started, line } = await startReady(t, ['--http-port', '0', '--data-dir', dataDir])
    const { port, httpPort } = JSON.parse(line) as { port: number; httpPort: number }
    const { version } = JSON.parse(await readFile(new URL('../../package.json', import.meta.url), 'utf8')) as {
      version: string
    }
    for (const text of [
      `Titorelli ${version}`,
      `127.0.0.1:${port}`,
      `http://127.0.0.1:${httpPort}`,
      dataDir,
      'Next:',
      `kcat -b 127.0.0.1:${port}`,
    ]) {
      assert(started.stdout.includes(text), `${text} is missing in ${started.stdout}`)
    }
  })

  for (const signal of ['SIGTERM', 'SIGINT'] as const) {
    test(`${signal} ends it with status 0 within five seconds`, async (t) => {
      const { started } = await startReady(t, ['--http-port', '0', '--memory'])
      const startedMs = performance.now()
      started.child.kill(signal)
      assert.deepEqual(await started.ended, { status: 0, signal: null }, started.stderr)
      assert(performance.now() - startedMs < 5_000)
    })
  }

  for (const [what, hang, status, message] of [
    ['a stop that hangs', 'http.Server.prototype.close = () => undefined', 1, /not stopped within/],
    ['something that is still open', 'setInterval(() => undefined, 1_000)', 0, /broker stopped/],
  ] as const) {
    test(`${what} does not keep SIGTERM from ending the process within five seconds`, limit, async (t) => {
      const preload = encodeURIComponent(`import http from 'node:http'; ${hang}`)
      const env = { NODE_OPTIONS: `--import=data:text/javascript,${preload}` }
      const { started } = await startReady(t, ['--http-port', '0', '--memory'], env)
      const startedMs = performance.now()
      started.child.kill('SIGTERM')
      assert.deepEqual(await started.ended, { status, signal: null })
      assert(performance.now() - startedMs < 5_000)
      assert.match(started.stderr, message)
    })
  }

  test('a stop whose last sync fails says so in the log and at the end, with status 1', limit, async (t) => {
    const preload = `import fs from 'node:fs'
      import { syncBuiltinESMExports } from 'node:module'
      const { fdatasync } = fs
      const failing = (_, done) => process.nextTick(done, Object.assign(new Error('EIO: i/o error'), { code: 'EIO' }))
      fs.fdatasync = (...args) => (process.exitCode === 77 ? failing : fdatasync)(...args)
      syncBuiltinESMExports()
      process.once('SIGTERM', () => (process.exitCode = 77))`
    const env = { NODE_OPTIONS: `--import=data:text/javascript,${encodeURIComponent(preload)}` }
    const dataDir = join(await temporaryFolder(t), 'data')
    const { started, line } = await startReady(t, ['--http-port', '0', '--data-dir', dataDir], env)
    const { httpPort, clusterId } = JSON.parse(line) as { httpPort: number; clusterId: string }
    const created = await fetch(`http://127.0.0.1:${httpPort}/kafka/v3/clusters/${clusterId}/topics`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ topic_name: 'orders' }),
    })
    assert.equal(created.status, 201)
    started.child.kill('SIGTERM')
    assert.deepEqual(await started.ended, { status: 1, signal: null })
    assert.match(started.stderr, /"msg":"the logs did not stop cleanly"/)
    assert.match(
      started.stderr,
      /^titorelli.*: the logs did not stop cleanly: orders-0 could not be synced.*EIO: i\/o error$/m,
    )
  })

  test('a start that hangs is cut off by SIGTERM within five seconds too', limit, async (t) => {
    const hang = `import { Server } from 'node:net'
      Server.prototype.listen = () => setInterval(() => undefined, 1_000) && console.log('hangs')`
    const env = { NODE_OPTIONS: `--import=data:text/javascript,${encodeURIComponent(hang)}` }
    const started = new Started(t, ['start', '--memory', '--no-http'], env)
    await new Promise<void>((resolve) => started.child.stdout!.once('data', () => resolve()))
    const startedMs = performance.now()
    started.child.kill('SIGTERM')
    assert.deepEqual(await started.ended, { status: 1, signal: null })
    assert(performance.now() - startedMs < 5_000)
    assert.match(started.stderr, /not started within/)
  })

  test('port 0 is advertised as the port that was picked, and an advertised address as it was given', async (t) => {
    for (const [args, expected] of [
      [['--memory'], (port: number) => `127.0.0.1:${port}`],
      [['--host', '0.0.0.0', '--advertised', 'broker.example:0'], (port: number) => `broker.example:${port}`],
      [['--host', '::', '--advertised', 'broker.example:19092'], () => 'broker.example:19092'],
    ] as const) {
      const { line } = await startReady(t, ['--no-http', '--memory', ...args])
      const { port } = JSON.parse(line) as { port: number }
      const socket = await nodeNetwork(silentLogger).connect({ host: '127.0.0.1', port }, { timeoutMs: 5_000 })
      const client = new TestClient(socket)
      const { brokers } = await client.send(Metadata, 9, metadataRequest([]))
      client.close()
      assert.deepEqual(
        brokers.map((broker) => `${broker.host}:${broker.port}`),
        [expected(port)],
      )
    }
  })

  test('the cluster id of a data folder survives a restart, after SIGTERM and after SIGKILL', async (t) => {
    const dataDir = join(await temporaryFolder(t), 'data')
    const ids: unknown[] = []
    for (const signal of ['SIGTERM', 'SIGKILL', 'SIGTERM'] as const) {
      const { started, line } = await startReady(t, ['--no-http', '--data-dir', dataDir])
      ids.push((JSON.parse(line) as { clusterId: string }).clusterId)
      started.child.kill(signal)
      await started.ended
    }
    assert.equal(new Set(ids).size, 1)
  })

  test('a second broker on a data folder is told who has it, and gets it after a kill -9 of the first', async (t) => {
    const dataDir = join(await temporaryFolder(t), 'data')
    const { started: first } = await startReady(t, ['--no-http', '--data-dir', dataDir])
    const second = new Started(t, ['start', '--port', '0', '--no-http', '--data-dir', dataDir])
    assert.equal((await second.ended).status, 1)
    assert(second.stderr.includes(`${dataDir} is in use by process ${first.child.pid}`), second.stderr)
    first.child.kill('SIGKILL')
    await first.ended
    const { line } = await startReady(t, ['--no-http', '--data-dir', dataDir])
    assert.notEqual((JSON.parse(line) as { pid: number }).pid, first.child.pid)
  })

  test('a ready file of an earlier run is gone before the broker is ready, and one that can not be written ends it', async (t) => {
    const folder = await temporaryFolder(t)
    const readyFile = join(folder, 'ready.json')
    await writeFile(readyFile, '{"port":1}\n')
    const server = createServer()
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    t.after(() => server.close())
    const { port } = server.address() as AddressInfo
    const args = ['start', '--memory', '--no-http', '--port', `${port}`]
    assert.equal((await new Started(t, [...args, '--ready-file', readyFile]).ended).status, 1)
    await assert.rejects(readFile(readyFile), { code: 'ENOENT' })
    const lost = new Started(t, ['start', '--memory', '--no-http', '--port', '0', '--ready-file', `${folder}/no/where`])
    assert.equal((await lost.ended).status, 2)
    assert.match(lost.stderr, /--ready-file .*no\/where/)
    assert.doesNotMatch(lost.stderr, /\n\s+at /)
  })

  test('without HTTP the ready file says null and the banner says off', async (t) => {
    const { started, line } = await startReady(t, ['--no-http', '--memory'])
    assert.equal((JSON.parse(line) as { httpPort: number | null }).httpPort, null)
    assert.match(started.stdout, /HTTP API: +off/)
    assert.match(started.stdout, /Data: +in memory/)
  })

  for (const flag of ['--port', '--http-port'] as const) {
    test(`a ${flag} in use is named, and the status is 1`, limit, async (t) => {
      const server = createServer()
      await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
      t.after(() => server.close())
      const { port } = server.address() as AddressInfo
      const other = flag === '--port' ? '--http-port' : '--port'
      const started = new Started(t, ['start', '--memory', flag, `${port}`, other, '0'])
      assert.equal((await started.ended).status, 1, started.stdout)
      assert.match(started.stderr, new RegExp(`\\b${port}\\b.*in use`))
    })
  }

  for (const [args, pattern] of [
    [['--port', 'ninety'], /--port=ninety.*expected a port/],
    [['--config', 'num.partitions=none'], /num\.partitions=none.*--config.*expected/],
    [['--config', 'no.such.config=1'], /no\.such\.config/],
    [['--config-file', '/nowhere/server.properties'], /\/nowhere\/server\.properties/],
    [['--host', '0.0.0.0'], /--advertised/],
    [['--no-such-flag'], /--no-such-flag/],
  ] as const) {
    test(`start ${args.join(' ')} ends with status 2 and says what was expected`, limit, async (t) => {
      const started = new Started(t, ['start', '--memory', ...args])
      assert.equal((await started.ended).status, 2, started.stdout)
      assert.match(started.stderr, pattern)
    })
  }

  test('flags win over KAFKA_ variables, those over the config file', limit, async (t) => {
    const file = join(await temporaryFolder(t), 'server.properties')
    await writeFile(file, 'num.partitions=2\nlog.segment.bytes=1048576\n')
    const env = { KAFKA_NUM_PARTITIONS: 'wrong', KAFKA_LOG_SEGMENT_BYTES: 'wrong', KAFKA_HEAP_OPTS: '-Xmx1g' }
    const args = ['start', '--memory', '--config-file', file, '--config', 'num.partitions=3']
    const refused = new Started(t, args, env)
    assert.equal((await refused.ended).status, 2)
    assert.match(refused.stderr, /log\.segment\.bytes=wrong.*KAFKA_LOG_SEGMENT_BYTES/)
    assert.doesNotMatch(refused.stderr, /num\.partitions/, 'a stronger source hides the wrong value')
  })

  test('V8 gets its flags when all code is loaded, as compiled code fits only the flags it was made with', async (t) => {
    const folder = await temporaryFolder(t)
    const [preload, report] = [join(folder, 'preload.mjs'), join(folder, 'report.json')]
    await writeFile(preload, loadsAroundFlags)
    const env = { NODE_OPTIONS: `--import ${pathToFileURL(preload).href}`, REPORT: report }
    const { started } = await startReady(t, ['--memory', '--no-http'], env)
    started.child.kill('SIGTERM')
    assert.equal((await started.ended).status, 0, started.stderr)
    const loads = JSON.parse(await readFile(report, 'utf8')) as Record<'before' | 'after', string[]>
    assert.ok(loads.before.some((url) => url.endsWith('/src/broker.ts')))
    assert.deepEqual(
      loads.after.filter((url) => !url.startsWith('node:') && !url.includes('@node-rs/crc32')), // which comes with the first log
      [],
    )
    const late = loads.before.filter((url) => /\/node_modules\/(?:fastify|snappy|lz4-napi)\//.test(url))
    assert.deepEqual(late, [], 'what most starts need later, if ever')
  })

  test('the command refuses a Node that is too old with a clear message', async () => {
    const source = await readFile(bin, 'utf8')
    assert.doesNotMatch(source, /\?\?|\?\.|^await |[^.]\bawait /m, 'no syntax that Node 12 can not parse')
    assert.match(source, /needs Node/)
  })
})
