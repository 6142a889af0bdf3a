/**
 * Hostile connections against a broker of its own process: it lives, answers others in time, and stays within its
 * memory. A paced client beside it sees at most twice the p99 of before. `HOSTILE_SEED` repeats a run,
 * `HOSTILE_SECONDS` makes it longer.
 */
import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { setTimeout as sleep } from 'node:timers/promises'
import { test, type TestContext } from 'node:test'
import { Worker } from 'node:worker_threads'
import { ApiVersions } from '../../protocol/apis/api-versions.ts'
import { Produce } from '../../protocol/apis/produce.ts'
import { silentLogger } from '../../src/environment/logger.ts'
import { nodeNetwork } from '../../src/environment/node-network.ts'
import { loadCaptures } from '../fuzz/captures.ts'
import { TestClient } from '../support/broker.ts'
import { produceRequest } from '../support/requests.ts'
import { open, type HostileReport, type HostileTask } from './support/hostile-load.ts'
import { startTitorelli, type TitorelliProcess } from './support/titorelli.ts'

const seed = Number(process.env['HOSTILE_SEED'] ?? 1)
const phaseMs = Number(process.env['HOSTILE_SECONDS'] ?? 30) * 1_000
/** What the broker may have resident, however many attack it. */
const residentMaxMegabytes = 300
/** One request every so often, each measured. */
const paceMs = 10
/** Below this it is the machine that is measured. */
const smallestP99Ms = 10
/** The machine is shared: a phase that something else disturbed is repeated. */
const attempts = 3

/** Produces at a steady pace and returns the 99th percentile of its latencies and the longest, in ms. */
async function pacedClient({ ready }: TitorelliProcess, durationMs: number): Promise<{ p99Ms: number; maxMs: number }> {
  const socket = await nodeNetwork(silentLogger).connect({ host: '127.0.0.1', port: ready.port }, { timeoutMs: 5_000 })
  const client = new TestClient(socket)
  const request = produceRequest({ topic: 'paced', values: ['x'.repeat(1_000)] })
  const latencies: number[] = []
  const endMs = performance.now() + durationMs
  for (let dueMs = performance.now(); dueMs < endMs; dueMs += paceMs) {
    await sleep(Math.max(0, dueMs - performance.now()))
    const startMs = performance.now()
    const { responses } = await client.send(Produce, 9, request)
    assert.equal(responses[0]!.partitionResponses[0]!.errorCode, 0)
    latencies.push(performance.now() - startMs)
    dueMs = Math.max(dueMs, performance.now() - paceMs) // a pause is one long latency, and no burst after it
  }
  client.close()
  latencies.sort((a, b) => a - b)
  return { p99Ms: latencies[Math.floor(latencies.length * 0.99)]!, maxMs: latencies.at(-1)! }
}

async function attack(task: HostileTask): Promise<HostileReport> {
  const worker = new Worker(new URL('./support/hostile-load.ts', import.meta.url), { workerData: task })
  return await new Promise((resolve, reject) => {
    worker.once('message', resolve)
    worker.once('error', reject)
  })
}

/** Looks at what is resident until the test ends. */
function watchMemory(t: TestContext, { ready }: TitorelliProcess): () => number {
  let mostMegabytes = 0
  const look = async (): Promise<void> => {
    const status = await readFile(`/proc/${ready.pid}/status`, 'utf8')
    mostMegabytes = Math.max(mostMegabytes, (Number(/^VmRSS:\s+(\d+) kB$/m.exec(status)![1]) * 1024) / 1e6)
  }
  const timer = setInterval(() => void look().catch(() => undefined), 250)
  t.after(() => clearInterval(timer))
  return () => mostMegabytes
}

function assertUnharmed(broker: TitorelliProcess, megabytes: number): void {
  assert.doesNotMatch(broker.output, /"level":"(?:error|fatal)"/)
  assert.ok(megabytes <= residentMaxMegabytes, `${Math.round(megabytes)} MB were resident`)
}

test(
  'the first request of a real client is answered the same, wherever it is split',
  { timeout: 300_000 },
  async (t) => {
    const broker = await startTitorelli(t)
    const firsts = loadCaptures().map(([first]) => Buffer.from(first!))
    for (const stream of firsts.filter((frame) => frame.readInt16BE(4) === ApiVersions.key)) {
      const answerTo = async (pieces: readonly Uint8Array[]): Promise<string> => {
        const socket = await open(broker.ready.port)
        const answered = new Promise<Buffer>((resolve) => socket.once('data', resolve))
        for (const piece of pieces) {
          socket.write(piece)
          await sleep(0)
        }
        const answer = await answered
        socket.destroy()
        return answer.toString('hex')
      }
      const whole = await answerTo([stream])
      const splits = Array.from({ length: stream.length - 1 }, (_, at) => at + 1)
      for (const at of splits) assert.equal(await answerTo([stream.subarray(0, at), stream.subarray(at)]), whole)
      assert.equal(await answerTo(Array.from(stream, (byte) => Uint8Array.of(byte))), whole)
    }
    assertUnharmed(broker, 0)
  },
)

test(
  `a paced client beside hostile connections sees at most twice the latency of before (seed ${seed})`,
  { timeout: attempts * (2 * phaseMs + 60_000) },
  async (t) => {
    const broker = await startTitorelli(t)
    const { pid } = broker.ready
    await broker.mustCli('topic', 'create', 'paced')
    const residentMegabytes = watchMemory(t, broker)
    await pacedClient(broker, 3_000) // warms up
    const seen: string[] = []
    for (let attempt = 0; attempt < attempts; attempt++) {
      const before = await pacedClient(broker, phaseMs)
      const task = { port: broker.ready.port, seed: seed + attempt, durationMs: phaseMs, casesPerSecond: 100 }
      const attacking = attack({ ...task, heldConnections: 1_000 })
      const beside = await pacedClient(broker, phaseMs)
      const report = await attacking
      assert.deepEqual(report.failures, [], `seed ${task.seed}`)
      assert.equal(report.held, 1_000)
      assert.ok(report.cases > (phaseMs / 1_000) * 20 && report.wholeAnswered >= Math.floor(report.cases / 20))
      assertUnharmed(broker, residentMegabytes())
      assert.equal(broker.ready.pid, pid)
      const texts = [before, beside].map(({ p99Ms, maxMs }) => `p99 ${p99Ms.toFixed(1)} ms, max ${maxMs.toFixed(0)} ms`)
      seen.push(`before ${texts[0]}; beside ${report.cases} cases and 1,000 connections ${texts[1]}`)
      t.diagnostic(`${seen.at(-1)}; ${Math.round(residentMegabytes())} MB resident`)
      if (beside.p99Ms <= Math.max(smallestP99Ms, 2 * before.p99Ms)) return
    }
    assert.fail(seen.join('\n'))
  },
)
