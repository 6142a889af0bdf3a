/**
 * The packed and installed command, and Kafka: from the start of the process to the first answered ApiVersions, tried
 * every 2 ms over a new connection, and the memory of the idle process some seconds later. Both start on data that a
 * first start has left, in turns.
 *
 *   node bench/broker/cold-start.bench.ts [--rounds 11] [--kafka-rounds 3]
 *
 * At most 150 ms with a filled compile cache, and 100 MB resident, 70 without HTTP.
 */
import { spawn } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import { cpus, tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { KafkaProcess } from '../../test/compat/support/kafka.ts'
import { installIn, pack } from '../../test/compat/support/package.ts'
import { freePorts } from '../../test/compat/support/processes.ts'
import { firstAnswer, memoryOf, sleep } from '../peers/processes.ts'

/** V8 has collected by then, and a JVM has done what it puts off. */
const idleMs = 2_000
const timeoutMs = 60_000

interface Start {
  readonly answeredMs: number
  readonly residentMegabytes: number
  readonly proportionalMegabytes: number
}

/** Starts the command of the package, and ends it. */
async function startPackage(bin: string, folder: string, flags: readonly string[]): Promise<Start> {
  const [port] = (await freePorts(1)) as [number]
  const args = ['start', '--data-dir', join(folder, 'data'), '--port', `${port}`, '--log-level', 'warn', ...flags]
  const env = { ...process.env, NODE_COMPILE_CACHE: join(folder, 'compile-cache') }
  const startedMs = performance.now()
  const child = spawn(process.execPath, [bin, ...args], { stdio: ['ignore', 'ignore', 'inherit'], env })
  const ended = new Promise((resolve) => child.once('exit', resolve))
  try {
    const answeredMs = (await firstAnswer(port, timeoutMs)) - startedMs
    await sleep(idleMs)
    return { answeredMs, ...(await memoryOf(child.pid!)) }
  } finally {
    child.kill('SIGTERM')
    await ended
  }
}

async function startKafka(kafka: KafkaProcess): Promise<Start> {
  const startedMs = performance.now()
  const starting = kafka.start()
  try {
    const [answeredAtMs] = await Promise.all([firstAnswer(kafka.port, timeoutMs), starting])
    await sleep(idleMs)
    return { answeredMs: answeredAtMs - startedMs, ...(await memoryOf(kafka.pid)) }
  } finally {
    await kafka.end('SIGTERM')
  }
}

function rowOf(name: string, starts: readonly Start[]): string {
  const of = (key: keyof Start): string => {
    const sorted = starts.map((start) => start[key]).toSorted((a, b) => a - b)
    return `${sorted[0]!.toFixed(0)} / ${sorted[sorted.length >> 1]!.toFixed(0)}`
  }
  const { answeredMs, residentMegabytes, proportionalMegabytes } = {
    answeredMs: of('answeredMs'),
    residentMegabytes: of('residentMegabytes'),
    proportionalMegabytes: of('proportionalMegabytes'),
  }
  return `| ${name} | ${answeredMs} | ${residentMegabytes} | ${proportionalMegabytes} | ${starts.length} |`
}

if (import.meta.main) {
  const { values } = parseArgs({ options: { rounds: { type: 'string' }, 'kafka-rounds': { type: 'string' } } })
  const rounds = Number(values.rounds ?? 11)
  const kafkaRounds = Number(values['kafka-rounds'] ?? 3)
  const folder = await mkdtemp(join(tmpdir(), 'titorelli-cold-start-'))
  try {
    const { tarball } = await pack(folder)
    const installed = join(folder, 'installed')
    await installIn(installed, [tarball])
    const bin = join(installed, 'node_modules', 'titorelli', 'bin', 'titorelli.js')
    const [port, controllerPort] = (await freePorts(2)) as [number, number]
    const kafka = new KafkaProcess({ dir: join(folder, 'kafka'), port, controllerPort, configs: [] })
    const kinds = {
      'titorelli, HTTP on': { rounds, start: () => startPackage(bin, folder, ['--http-port', '0']) },
      'titorelli --no-http': { rounds, start: () => startPackage(bin, folder, ['--no-http']) },
      'Apache Kafka': { rounds: kafkaRounds, start: () => startKafka(kafka) },
    }
    const measured = new Map<string, Start[]>(Object.keys(kinds).map((name) => [name, []]))
    for (let round = -1; round < Math.max(rounds, kafkaRounds); round++) {
      for (const [name, kind] of Object.entries(kinds)) {
        if (round >= kind.rounds || kind.rounds === 0) continue
        const start = await kind.start()
        if (round < 0) console.log(`${name}, first start on an empty folder: ${start.answeredMs.toFixed(0)} ms`)
        else measured.get(name)!.push(start)
      }
    }
    const [cpu] = cpus()
    console.log(`\n${cpu?.model ?? 'unknown processor'}, ${cpus().length} cores, Node ${process.version}\n`)
    console.log('| least / median | to the first answer, ms | resident, MB | proportional, MB | starts |')
    console.log('| --- | --- | --- | --- | --- |')
    for (const [name, starts] of measured) if (starts.length > 0) console.log(rowOf(name, starts))
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}
