/**
 * Our broker beside others on this machine, in one run: the same load to each, round by round in turns, after a
 * warm-up. Prints tables of medians with their spread and which targets are met, and writes JSON. See
 * docs/benchmarks.md.
 *
 *   npm run bench                         about five minutes
 *   npm run bench -- --full               about half an hour
 *   npm run bench -- --list               the workloads and the peers
 *   npm run bench -- --only produce-1k,latency-20 --peers titorelli,kafka --json FILE
 *   npm run bench -- --full --write       also writes bench/peers/results.json and the tables of docs/benchmarks.md
 *   npm run bench -- --from FILE --write  writes them from the JSON of an earlier run
 */
import { execFileSync } from 'node:child_process'
import { readFile, writeFile } from 'node:fs/promises'
import { cpus, totalmem } from 'node:os'
import { parseArgs } from 'node:util'
import { Bench, type Mode } from './bench.ts'
import type { Round } from './metrics.ts'
import { peerNames, peers, type PeerName } from './peers.ts'
import { sectionsOf, textOf, withSections, type Failure, type Report } from './report.ts'
import { workloads, type Workload } from './workloads.ts'

const document = new URL('../../docs/benchmarks.md', import.meta.url)
const kept = new URL('results.json', import.meta.url)

const { values } = parseArgs({
  options: {
    full: { type: 'boolean', default: false },
    list: { type: 'boolean', default: false },
    write: { type: 'boolean', default: false },
    only: { type: 'string' },
    peers: { type: 'string' },
    json: { type: 'string' },
    from: { type: 'string' },
    /** Of bytes, rounds and warm-up: to see quickly whether it works. */
    scale: { type: 'string', default: '1' },
  },
})

if (values.list) {
  for (const { name, measures } of workloads) console.log(`${name.padEnd(14)} ${measures}`)
  for (const name of peerNames) console.log(`${name.padEnd(14)} ${peers[name]}`)
} else {
  const report = values.from === undefined ? await run() : (JSON.parse(await readFile(values.from, 'utf8')) as Report)
  console.log(`\n${textOf(report)}`)
  if (report.failures.some(({ peer }) => peer === 'titorelli')) process.exitCode = 1
  const text = `${JSON.stringify(report, null, 2)}\n`
  if (values.json !== undefined) await writeFile(values.json, text)
  if (values.write) {
    await writeFile(kept, text)
    await writeFile(document, withSections(await readFile(document, 'utf8'), sectionsOf(report)))
  }
}

async function run(): Promise<Report> {
  const mode: Mode = values.full ? 'full' : 'quick'
  const startedMs = performance.now()
  const chosen = chosenOf(
    'only',
    values.only,
    workloads.map(({ name }) => name),
  )
  // Data in memory is told from data on disk where there is time for it, or where it is asked for.
  const isUsual = (name: PeerName): boolean => name !== 'kfake-memory' || mode === 'full'
  const chosenPeers =
    values.peers === undefined ? peerNames.filter(isUsual) : chosenOf('peers', values.peers, peerNames)
  const bench = new Bench({ mode, scale: Number(values.scale) }, (line) =>
    console.log(`${((performance.now() - startedMs) / 1000).toFixed(0).padStart(5)} s  ${line}`),
  )
  bench.say(await machine())
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    process.once(signal, () => {
      bench.close().then(
        () => process.exit(1),
        () => process.exit(1),
      )
    })
  }
  const results: Record<string, Record<string, Round[]>> = {}
  const failures: Failure[] = []
  try {
    for (const workload of workloads) {
      if (!chosen.includes(workload.name)) continue
      const its = workload.peers.filter((name) => chosenPeers.includes(name))
      if (its.length > 0) results[workload.name] = await runWorkload(bench, workload, { names: its, failures })
    }
  } finally {
    await bench.close()
  }
  const seconds = Math.round((performance.now() - startedMs) / 1000)
  return {
    date: new Date().toISOString(),
    mode,
    scale: bench.scale,
    seconds,
    commit: commit(),
    machine: await machine(),
    results,
    failures,
  }
}

async function runWorkload(
  bench: Bench,
  workload: Workload,
  { names, failures }: { readonly names: readonly PeerName[]; readonly failures: Failure[] },
): Promise<Record<string, Round[]>> {
  const size = workload[bench.mode]
  const rounds = Math.max(1, Math.round(size.rounds * Math.min(1, bench.scale)))
  const byPeer = Object.fromEntries(names.map((name) => [name, [] as Round[]]))
  if (workload.brokers === 'warm') for (const name of names) if (name !== 'mirrormaker') await bench.warmBroker(name)
  bench.say(workload.name)
  for (let round = 0; round < rounds; round++) {
    const one = async (name: PeerName): Promise<void> => {
      try {
        byPeer[name]!.push(await workload.run(bench, name, size.bytes * bench.scale))
      } catch (error) {
        if (bench.isClosed) throw error
        const reason = (error instanceof Error ? error.message : String(error)).trim().split('\n').at(-1)!
        failures.push({ workload: workload.name, peer: name, reason })
        bench.say(`a round of ${name} failed: ${reason}`)
      }
    }
    if (workload.brokers === 'own-at-once') await Promise.all(names.map(one))
    else for (const name of round % 2 === 0 ? names : names.toReversed()) await one(name)
  }
  return byPeer
}

function chosenOf<T extends string>(option: string, text: string | undefined, known: readonly T[]): readonly T[] {
  if (text === undefined) return known
  const names = text.split(',')
  const stranger = names.find((name) => !known.includes(name as T))
  if (stranger !== undefined) throw new Error(`got --${option} ${stranger}, expected one of ${known.join(', ')}`)
  return names as T[]
}

async function machine(): Promise<string> {
  const [cpu] = cpus()
  const kernel = (await readFile('/proc/sys/kernel/osrelease', 'utf8')).trim()
  const memory = Math.round(totalmem() / 2 ** 30)
  return `${cpu?.model ?? 'unknown processor'}, ${cpus().length} cores, ${memory} GiB, Linux ${kernel}, Node ${process.version}`
}

function commit(): string {
  return execFileSync('git', ['describe', '--always', '--dirty'], { encoding: 'utf8', cwd: import.meta.dirname }).trim()
}
