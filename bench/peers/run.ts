/**
 * Our broker beside Apache Kafka on this machine, in one run: the same load from librdkafka to both, round by round in turns,
 * after a warm-up of both. Prints a table of medians with their spread, and writes JSON.
 *
 *   npm run bench                       about five minutes
 *   npm run bench -- --full             about half an hour
 *   npm run bench -- --only produce-1k  one workload; --json FILE, --peers titorelli,kafka
 */
import { readFile, writeFile } from 'node:fs/promises'
import { cpus, totalmem } from 'node:os'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { mustRun } from '../../test/compat/support/processes.ts'
import { startPeer, type Peer, type PeerName, peerNames } from './peers.ts'

interface Workload {
  readonly name: string
  readonly kind: 'produce' | 'consume'
  readonly recordBytes: number
  /** Bytes of values per round, with --full four times as many. */
  readonly bytes: number
  readonly configs: readonly string[]
}

const batching = ['linger.ms', '5', 'batch.size', '1000000', 'queue.buffering.max.messages', '400000']
const reading = ['queued.min.messages', '200000', 'fetch.message.max.bytes', '4194304']
const partitionCount = 12

const workloads: readonly Workload[] = [
  { name: 'produce-1k', kind: 'produce', recordBytes: 1024, bytes: 512e6, configs: batching },
  { name: 'consume-1k', kind: 'consume', recordBytes: 1024, bytes: 512e6, configs: reading },
  { name: 'produce-100', kind: 'produce', recordBytes: 100, bytes: 100e6, configs: batching },
]

/** What one round of one peer came to. */
interface Round {
  readonly megabytesPerSecond: number
  /** CPU seconds of the broker for each 10^9 bytes of values. */
  readonly cpuSecondsPerGigabyte: number
}

const { values } = parseArgs({
  options: {
    full: { type: 'boolean', default: false },
    only: { type: 'string' },
    peers: { type: 'string', default: peerNames.join(',') },
    json: { type: 'string' },
  },
})
const rounds = values.full ? 9 : 5
const scale = values.full ? 4 : 1

const load = (await mustRun(fileURLToPath(new URL('load-build', import.meta.url)), [])).stdout.trim()
const peers: Peer[] = []
try {
  for (const name of values.peers.split(',')) peers.push(await startPeer(name as PeerName))
  const results = await runAll()
  console.log(tableOf(results))
  const report = { date: new Date().toISOString(), machine: await machine(), peers: peers.map(describe), results }
  if (values.json !== undefined) await writeFile(values.json, `${JSON.stringify(report, null, 2)}\n`)
} finally {
  for (const peer of peers) await peer.stop()
}

async function runAll(): Promise<Record<string, Record<string, Round[]>>> {
  const chosen = workloads.filter(({ name }) => values.only === undefined || name === values.only)
  if (chosen.length === 0)
    throw new Error(`got --only ${values.only}, expected one of ${workloads.map(({ name }) => name).join(', ')}`)
  console.log(`${await machine()}; ${peers.map(describe).join('; ')}`)
  for (const peer of peers) await warmUp(peer)
  const results: Record<string, Record<string, Round[]>> = {}
  for (const workload of chosen) {
    const byPeer = (results[workload.name] = Object.fromEntries(peers.map(({ name }) => [name, [] as Round[]])))
    for (let round = 0; round < rounds; round++) {
      for (const peer of round % 2 === 0 ? peers : peers.toReversed()) {
        byPeer[peer.name]!.push(await runRound(peer, workload, `${workload.name}-${round}`))
      }
    }
  }
  return results
}

/** A JVM compiles for about a minute under load; whoever needs less is not harmed. */
async function warmUp(peer: Peer): Promise<void> {
  const untilMs = performance.now() + (values.full ? 90_000 : 30_000)
  for (let at = 0; performance.now() < untilMs; at++) {
    for (const workload of workloads) await runRound(peer, { ...workload, bytes: workload.bytes / 4 }, `warm-${at}`)
  }
}

async function runRound(peer: Peer, workload: Workload, topic: string): Promise<Round> {
  const { kind, recordBytes, configs } = workload
  const records = Math.round((workload.bytes * scale) / recordBytes)
  const name = `${topic}-${recordBytes}-${kind}`
  await peer.createTopic(name, partitionCount)
  const run = async (what: Workload['kind'], how: readonly string[]) => {
    const args = [what, peer.bootstrap, name, `${records}`, `${recordBytes}`, `${partitionCount}`, ...how]
    const { stdout } = await mustRun(load, args, { timeoutMs: 600_000 })
    return JSON.parse(stdout) as { bytes: number; seconds: number }
  }
  if (kind === 'consume') await run('produce', batching)
  const before = await peer.cpuSeconds()
  const { bytes, seconds } = await run(kind, configs)
  const cpuSeconds = (await peer.cpuSeconds()) - before
  await peer.deleteTopic(name)
  return { megabytesPerSecond: bytes / 1e6 / seconds, cpuSecondsPerGigabyte: cpuSeconds / (bytes / 1e9) }
}

function tableOf(results: Record<string, Record<string, Round[]>>): string {
  const lines = ['workload      peer         MB/s (min to max)      CPU s/GB (min to max)']
  for (const [workload, byPeer] of Object.entries(results)) {
    for (const [peer, all] of Object.entries(byPeer)) {
      const rate = spreadOf(all.map((round) => round.megabytesPerSecond))
      const cpu = spreadOf(all.map((round) => round.cpuSecondsPerGigabyte))
      const text = (spread: Spread, digits: number): string =>
        `${spread.median.toFixed(digits)} (${spread.min.toFixed(digits)} to ${spread.max.toFixed(digits)})`
      lines.push(`${workload.padEnd(13)} ${peer.padEnd(12)} ${text(rate, 0).padEnd(22)} ${text(cpu, 2)}`)
    }
  }
  return lines.join('\n')
}

interface Spread {
  readonly min: number
  readonly median: number
  readonly max: number
}

function spreadOf(numbers: readonly number[]): Spread {
  const sorted = numbers.toSorted((a, b) => a - b)
  return { min: sorted[0]!, median: sorted[sorted.length >> 1]!, max: sorted.at(-1)! }
}

function describe(peer: Peer): string {
  return `${peer.name} started in ${Math.round(peer.startMs)} ms`
}

async function machine(): Promise<string> {
  const [cpu] = cpus()
  const kernel = (await readFile('/proc/sys/kernel/osrelease', 'utf8')).trim()
  const memory = Math.round(totalmem() / 2 ** 30)
  return `${cpu?.model ?? 'unknown processor'}, ${cpus().length} cores, ${memory} GiB, Linux ${kernel}, Node ${process.version}`
}
