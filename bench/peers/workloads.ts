/** What is measured: one row per workload. The runner, the tables, the targets and docs/benchmarks.md read the rows. */
import { mustRun } from '../../test/compat/support/processes.ts'
import { peerScript } from '../../test/compat/support/peers.ts'
import { batching, pacing, reading, type Bench } from './bench.ts'
import type { MetricName, Round, Target } from './metrics.ts'
import { partitionCount, type Broker, type BrokerName, type PeerName } from './peers.ts'
import { sleep } from './processes.ts'
import { replicate } from './replication.ts'

export interface Size {
  readonly rounds: number
  /** Of record values in one round of one peer. Where a round is no load: 0. */
  readonly bytes: number
}

export interface Workload {
  readonly name: string
  /** For docs/benchmarks.md. */
  readonly measures: string
  readonly peers: readonly PeerName[]
  readonly metrics: readonly MetricName[]
  readonly targets: readonly Target[]
  readonly quick: Size
  readonly full: Size
  /**
   * Brokers of its own that it starts; those too, all of a round at once, because they do nothing; or those under load.
   */
  readonly brokers: 'own' | 'own-at-once' | 'warm'
  /** One round of one peer. */
  run(bench: Bench, peer: PeerName, bytes: number): Promise<Round>
}

const brokers = ['titorelli', 'kafka', 'kfake', 'kfake-memory'] as const
const throughput = ['megabytesPerSecond', 'cpuSecondsPerGigabyte'] as const
/** How long a broker is left alone before its memory is read. */
const idleMs = 10_000
const pacedBytesPerSecond = 20e6
/** The JVM flags of Kafka's own scripts for its tools. */
const toolJvmFlags = '-Xmx512m -server -XX:+UseG1GC -XX:MaxGCPauseMillis=20'

export const workloads: readonly Workload[] = [
  {
    name: 'start',
    measures: 'from the start of the process, in a folder in which it ran before, to the first answered ApiVersions',
    peers: brokers,
    metrics: ['startMs'],
    targets: [{ metric: 'startMs', against: 'kafka', atMost: 0.1 }],
    brokers: 'own',
    quick: { rounds: 3, bytes: 0 },
    full: { rounds: 9, bytes: 0 },
    async run(bench, peer) {
      const broker = await bench.brokerToStart(peer as BrokerName)
      const startMs = await broker.start()
      await broker.end()
      return { startMs }
    },
  },
  {
    name: 'idle-memory',
    measures: `memory ${idleMs / 1000} s after the start, without a client`,
    peers: brokers,
    metrics: ['residentMegabytes', 'proportionalMegabytes'],
    targets: [{ metric: 'residentMegabytes', against: 'kafka', atMost: 1 / 3 }],
    brokers: 'own-at-once',
    quick: { rounds: 1, bytes: 0 },
    full: { rounds: 3, bytes: 0 },
    async run(bench, peer) {
      const broker = await bench.brokerToStart(peer as BrokerName)
      await broker.start()
      await sleep(idleMs)
      const { residentMegabytes, proportionalMegabytes } = await broker.memory()
      await broker.end()
      return { residentMegabytes, proportionalMegabytes }
    },
  },
  {
    name: 'produce-1k',
    measures: `librdkafka produces 1 KiB records with acks=all to ${partitionCount} partitions, no compression`,
    peers: brokers,
    metrics: throughput,
    targets: [
      { metric: 'megabytesPerSecond', against: 'kafka', atLeast: 1 },
      { metric: 'cpuSecondsPerGigabyte', against: 'kafka', atMost: 1 },
    ],
    brokers: 'warm',
    quick: { rounds: 5, bytes: 400e6 },
    full: { rounds: 9, bytes: 2e9 },
    run: (bench, peer, bytes) => produce(bench, peer, { bytes, recordBytes: 1024 }),
  },
  {
    name: 'produce-100',
    measures: 'the same with records of 100 bytes',
    peers: brokers,
    metrics: throughput,
    targets: [],
    brokers: 'warm',
    quick: { rounds: 3, bytes: 100e6 },
    full: { rounds: 9, bytes: 400e6 },
    run: (bench, peer, bytes) => produce(bench, peer, { bytes, recordBytes: 100 }),
  },
  {
    name: 'consume-1k',
    measures: `librdkafka consumes, from the beginning, 1 KiB records that were just produced to ${partitionCount} partitions; the clock starts with the first of them`,
    peers: brokers,
    metrics: throughput,
    targets: [{ metric: 'megabytesPerSecond', against: 'kafka', atLeast: 1 }],
    brokers: 'warm',
    quick: { rounds: 5, bytes: 400e6 },
    full: { rounds: 7, bytes: 2e9 },
    run: (bench, peer, bytes) => consume(bench, peer, { bytes, recordBytes: 1024 }),
  },
  {
    name: 'latency-20',
    measures: `end to end at ${pacedBytesPerSecond / 1e6} MB/s: librdkafka produces 1 KiB records at a steady pace (acks=all, linger.ms=1, ${partitionCount} partitions) and consumes them in the same program; from when a record was due to when the consumer has it; the first quarter does not count`,
    peers: brokers,
    metrics: ['p50Ms', 'p99Ms', 'p999Ms', 'maxMs', 'cpuSecondsPerGigabyte'],
    targets: [{ metric: 'p99Ms', against: 'kafka', atMost: 1 }],
    brokers: 'warm',
    quick: { rounds: 3, bytes: 80e6 },
    full: { rounds: 5, bytes: 400e6 },
    run: latency,
  },
  {
    name: 'java-produce',
    measures:
      'kafka-producer-perf-test with its defaults (1 KiB records, acks=all): the view of a Java user, most of it the time of a cold JVM',
    peers: brokers,
    metrics: throughput,
    targets: [],
    brokers: 'warm',
    quick: { rounds: 1, bytes: 200e6 },
    full: { rounds: 2, bytes: 1e9 },
    run: javaProduce,
  },
  {
    name: 'java-consume',
    measures:
      'kafka-consumer-perf-test with its defaults on what was just produced; the time of its group to assemble does not count',
    peers: brokers,
    metrics: throughput,
    targets: [],
    brokers: 'warm',
    quick: { rounds: 1, bytes: 200e6 },
    full: { rounds: 2, bytes: 1e9 },
    run: javaConsume,
  },
  {
    name: 'replication',
    measures:
      'a topic of a Kafka (1 KiB records, 12 partitions), filled before, is copied: by a mirror topic of ours, or by MirrorMaker 2 into a second Kafka, whose CPU is counted with it; the rate from the first copied record to the last; the first record from the creation of the mirror, and from the start of the MirrorMaker process',
    peers: ['titorelli', 'mirrormaker'],
    metrics: ['megabytesPerSecond', 'cpuSecondsPerGigabyte', 'sourceCpuSecondsPerGigabyte', 'firstRecordMs'],
    targets: [
      { metric: 'megabytesPerSecond', against: 'mirrormaker', atLeast: 4 },
      { metric: 'cpuSecondsPerGigabyte', against: 'mirrormaker', atMost: 1 / 8 },
      { metric: 'firstRecordMs', atMost: 1000 },
    ],
    brokers: 'warm',
    quick: { rounds: 2, bytes: 300e6 },
    full: { rounds: 3, bytes: 2e9 },
    run: replicate,
  },
]

interface Load {
  readonly bytes: number
  readonly recordBytes: number
}

/** A topic that is gone when the work is done. */
async function withTopic(bench: Bench, peer: PeerName, work: (broker: Broker, topic: string) => Promise<Round>) {
  const broker = await bench.warmBroker(peer as BrokerName)
  const topic = bench.topicName('load')
  await broker.createTopic(topic, partitionCount)
  try {
    return await work(broker, topic)
  } finally {
    await broker.deleteTopic(topic)
  }
}

/** Runs load on a broker and says what the broker spent. */
async function measured(
  broker: Broker,
  run: () => Promise<{ readonly bytes: number; readonly seconds: number }>,
): Promise<Round> {
  const before = await broker.cpuSeconds()
  const { bytes, seconds } = await run()
  const cpuSeconds = (await broker.cpuSeconds()) - before
  return { megabytesPerSecond: bytes / 1e6 / seconds, cpuSecondsPerGigabyte: cpuSeconds / (bytes / 1e9) }
}

function produce(bench: Bench, peer: PeerName, { bytes, recordBytes }: Load): Promise<Round> {
  const records = Math.round(bytes / recordBytes)
  return withTopic(bench, peer, (broker, topic) =>
    measured(broker, () => bench.load('produce', broker, { topic, records, recordBytes, more: batching })),
  )
}

function consume(bench: Bench, peer: PeerName, { bytes, recordBytes }: Load): Promise<Round> {
  const records = Math.round(bytes / recordBytes)
  return withTopic(bench, peer, async (broker, topic) => {
    await bench.load('produce', broker, { topic, records, recordBytes, more: batching })
    return await measured(broker, () => bench.load('consume', broker, { topic, records, recordBytes, more: reading }))
  })
}

function latency(bench: Bench, peer: PeerName, bytes: number): Promise<Round> {
  const recordBytes = 1024
  const records = Math.round(bytes / recordBytes)
  const more = [`${pacedBytesPerSecond}`, `${Math.round(records / 4)}`, ...pacing]
  return withTopic(bench, peer, async (broker, topic) => {
    const before = await broker.cpuSeconds()
    const report = await bench.load('latency', broker, { topic, records, recordBytes, more })
    const { p50Ms = NaN, p99Ms = NaN, p999Ms = NaN, maxMs = NaN } = report
    const cpuSecondsPerGigabyte = ((await broker.cpuSeconds()) - before) / (report.bytes / 1e9)
    return { p50Ms, p99Ms, p999Ms, maxMs, cpuSecondsPerGigabyte }
  })
}

async function kafkaTool(name: string, args: readonly string[]): Promise<string> {
  const env = { KAFKA_TOOL_JVM_FLAGS: toolJvmFlags }
  return (await mustRun(peerScript('kafka-tool'), [name, ...args], { env, timeoutMs: 600_000 })).stdout
}

function javaProduce(bench: Bench, peer: PeerName, bytes: number): Promise<Round> {
  const records = Math.round(bytes / 1024)
  return withTopic(bench, peer, (broker, topic) =>
    measured(broker, async () => {
      const where = ['--bootstrap-server', broker.bootstrap, '--topic', topic]
      const what = ['--num-records', `${records}`, '--record-size', '1024', '--throughput', '-1']
      const printed = await kafkaTool('kafka-producer-perf-test', [...where, ...what])
      const recordsPerSecond = lastNumber(printed, /([\d.]+) records\/sec/g)
      return { bytes: records * 1024, seconds: records / recordsPerSecond }
    }),
  )
}

function javaConsume(bench: Bench, peer: PeerName, bytes: number): Promise<Round> {
  const records = Math.round(bytes / 1024)
  return withTopic(bench, peer, async (broker, topic) => {
    await bench.load('produce', broker, { topic, records, recordBytes: 1024, more: batching })
    return await measured(broker, async () => {
      const where = ['--bootstrap-server', broker.bootstrap, '--topic', topic]
      const printed = await kafkaTool('kafka-consumer-perf-test', [
        ...where,
        '--num-records',
        `${records}`,
        '--hide-header',
      ])
      const [, , , , consumed, , , fetchMs] = printed.trim().split('\n').at(-1)!.split(',')
      return { bytes: Number(consumed) * 1024, seconds: Number(fetchMs) / 1000 }
    })
  })
}

/** The last match: these tools print what they have so far, and at the end the whole. */
function lastNumber(text: string, pattern: RegExp): number {
  const found = [...text.matchAll(pattern)].at(-1)?.[1]
  if (found === undefined) throw new Error(`no number in what was printed: ${text}`)
  return Number(found)
}
