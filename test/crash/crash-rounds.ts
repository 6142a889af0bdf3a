/**
 * Kills a broker process with SIGKILL under the load of real clients, round after round on one data directory. After
 * each round every acknowledged record must be there: at the offset that was acknowledged, in the order it was sent,
 * once.
 *
 * The clients are idempotent and retry across the restarts, so that a record whose acknowledgement the kill took is
 * sent again, and the broker has to tell by the state it recovered that it has it already.
 */
import assert from 'node:assert/strict'
import { ProduceAcks, Producer, stringSerializers } from '@platformatic/kafka'
import { Kafka, logLevel } from 'kafkajs'
import type { Random } from '../../src/environment/environment.ts'
import { seededRandom } from '../../src/environment/seeded-random.ts'
import { createTopics } from '../compat/support/clients.ts'
import type { TitorelliProcess } from '../compat/support/titorelli.ts'

const topic = 'crash'
/**
 * Kills meet a roll now and then, and often a sync: what is written then was not acknowledged yet, and is sent again.
 */
const configs = { 'segment.bytes': '1048576', 'flush.messages': '10' }
/** Partitions by the client that writes them, one record after the other. */
const clientOf = ['platformatic', 'platformatic', 'kafkajs', 'kafkajs'] as const
const batchMaxRecords = 20

export interface CrashOptions {
  readonly broker: TitorelliProcess
  readonly rounds: number
  readonly seed: number
  /** Told after each round. */
  readonly onRound?: (round: number, report: CrashReport) => void
}

export interface CrashReport {
  acknowledged: number
  /** Records of sends that failed: they may be there or not. */
  unanswered: number
  /** Kills that hit the broker while it started. */
  killsAtStart: number
  slowestStartMs: number
}

/** What was sent to one partition. Values are `<partition>/<number>/<filling>`, numbers count up. */
interface Sent {
  readonly partition: number
  nextNumber: number
  /** Acknowledged offsets by number. */
  readonly acknowledged: Map<number, bigint>
}

/** A client that writes one partition. */
interface Writer {
  /** The offset of the first. Rejects when the client gave up: the records may be there or not. */
  send(values: readonly string[]): Promise<bigint>
  close(): Promise<unknown>
}

/**
 * Starts the broker, which must be new, and leaves it running. Throws an AssertionError at the first thing that is
 * wrong.
 */
export async function runCrashRounds({ broker, rounds, seed, onRound }: CrashOptions): Promise<CrashReport> {
  const random = seededRandom(seed)
  const report: CrashReport = { acknowledged: 0, unanswered: 0, killsAtStart: 0, slowestStartMs: 0 }
  await broker.start()
  await createTopics(broker.bootstrap, [{ topic, partitions: clientOf.length, configs }])
  const sent = clientOf.map((_, partition): Sent => ({ partition, nextNumber: 0, acknowledged: new Map() }))
  const writers = new Writers(broker.bootstrap)
  try {
    let checked = clientOf.map(() => 0n)
    for (let round = 1; round <= rounds; round++) {
      const load = startLoad(writers, sent, { random, report })
      try {
        await sleep(50 + random.below(450))
        await killAndStart(broker, random, report)
      } finally {
        load.isStopping = true
      }
      await load.done
      const read = await readFrom(broker.bootstrap, checked)
      for (const [partition, records] of read.entries()) check(sent[partition]!, records, checked[partition]!)
      checked = checked.map((offset, partition) => offset + BigInt(read[partition]!.length))
      onRound?.(round, report)
    }
    const everything = await readFrom(
      broker.bootstrap,
      clientOf.map(() => 0n),
    )
    for (const [partition, records] of everything.entries()) check(sent[partition]!, records, 0n)
    return report
  } finally {
    await writers.close()
  }
}

function sleep(delayMs: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, delayMs))
}

/** Kills it, and in a part of the rounds once more while it starts. */
async function killAndStart(broker: TitorelliProcess, random: Random, report: CrashReport): Promise<void> {
  assert.equal(await broker.end('SIGKILL'), null, 'the broker ended by itself')
  if (random.below(4) === 0) {
    const starting = broker.start().then(
      () => true,
      () => false,
    )
    await sleep(random.below(500))
    await broker.end('SIGKILL')
    if (!(await starting)) report.killsAtStart++
    await broker.end('SIGKILL') // the first may have come before there was a process
  }
  report.slowestStartMs = Math.max(report.slowestStartMs, await broker.start())
}

/** One writer per partition; one that gave up is replaced. */
class Writers {
  readonly #bootstrap: string
  readonly #open = new Map<number, Writer>()

  constructor(bootstrap: string) {
    this.#bootstrap = bootstrap
  }

  async for(partition: number): Promise<Writer> {
    const open = this.#open.get(partition)
    if (open) return open
    const openWriter = clientOf[partition] === 'kafkajs' ? kafkajsWriter : platformaticWriter
    const writer = await openWriter(this.#bootstrap, partition)
    this.#open.set(partition, writer)
    return writer
  }

  async drop(partition: number): Promise<void> {
    const writer = this.#open.get(partition)
    this.#open.delete(partition)
    await writer?.close().catch(() => undefined)
  }

  async close(): Promise<void> {
    for (const partition of this.#open.keys()) await this.drop(partition)
  }
}

function platformaticWriter(bootstrap: string, partition: number): Promise<Writer> {
  const producer = new Producer({
    clientId: `crash-${partition}`,
    bootstrapBrokers: [bootstrap],
    serializers: stringSerializers,
    idempotent: true,
    retries: 500,
    retryDelay: 20,
  })
  return Promise.resolve({
    async send(values: readonly string[]) {
      const messages = values.map((value) => ({ topic, partition, key: '', value }))
      const { offsets } = await producer.send({ messages, acks: ProduceAcks.ALL, idempotent: true })
      return offsets![0]!.offset
    },
    close: () => producer.close(true),
  })
}

async function kafkajsWriter(bootstrap: string, partition: number): Promise<Writer> {
  const kafka = new Kafka({
    clientId: `crash-${partition}`,
    brokers: [bootstrap],
    logLevel: logLevel.NOTHING,
    retry: { retries: 500, initialRetryTime: 20, maxRetryTime: 100 },
  })
  const producer = kafka.producer({ idempotent: true, maxInFlightRequests: 1 })
  await producer.connect()
  return {
    async send(values) {
      const [result] = await producer.send({ topic, messages: values.map((value) => ({ partition, value })) })
      return BigInt(result!.baseOffset!)
    },
    close: () => producer.disconnect(),
  }
}

/** Sends to all partitions until it is told to stop. `done` resolves when everything sent is answered, or given up. */
function startLoad(
  writers: Writers,
  sent: readonly Sent[],
  { random, report }: { readonly random: Random; readonly report: CrashReport },
): { isStopping: boolean; readonly done: Promise<unknown> } {
  const write = async (mine: Sent): Promise<void> => {
    while (!load.isStopping) {
      const count = 1 + random.below(batchMaxRecords)
      const first = mine.nextNumber
      mine.nextNumber += count
      const filling = 'x'.repeat(random.below(1500))
      const values = Array.from({ length: count }, (_, at) => `${mine.partition}/${first + at}/${filling}`)
      try {
        const writer = await writers.for(mine.partition)
        const baseOffset = await writer.send(values)
        for (let at = 0; at < count; at++) mine.acknowledged.set(first + at, baseOffset + BigInt(at))
        report.acknowledged += count
      } catch {
        report.unanswered += count
        await writers.drop(mine.partition)
      }
    }
  }
  const load = { isStopping: false, done: Promise.resolve<unknown>(undefined) }
  load.done = Promise.all(sent.map(write))
  return load
}

/** The values of each partition from an offset on to its end, read by a consumer. */
async function readFrom(bootstrap: string, offsets: readonly bigint[]): Promise<string[][]> {
  const kafka = new Kafka({ clientId: 'crash-check', brokers: [bootstrap], logLevel: logLevel.NOTHING })
  const admin = kafka.admin()
  await admin.connect()
  const listed = await admin.fetchTopicOffsets(topic)
  await admin.disconnect()
  const ends = offsets.map((_, partition) => BigInt(listed.find((each) => each.partition === partition)!.high))
  const read = offsets.map((): string[] => [])
  const isComplete = () => ends.every((end, at) => offsets[at]! + BigInt(read[at]!.length) >= end)
  if (isComplete()) return read
  const consumer = kafka.consumer({ groupId: 'crash-check' })
  await consumer.connect()
  await consumer.subscribe({ topic, fromBeginning: true })
  try {
    const complete = Promise.withResolvers<void>()
    const fail = (error: unknown): void => complete.reject(error as Error)
    const tooLate = setTimeout(
      () => fail(new Error(`read ${read.map((each) => each.length).join()} up to ${ends.join()}`)),
      60_000,
    )
    await consumer.run({
      autoCommit: false,
      eachBatch: ({ batch }) => {
        for (const { offset, value } of batch.messages) {
          const records = read[batch.partition]!
          const expected = offsets[batch.partition]! + BigInt(records.length)
          if (BigInt(offset) < expected) continue // fetched before the seek took effect
          if (BigInt(offset) > expected)
            fail(new Error(`partition ${batch.partition}: ${offset} comes before ${expected}`))
          records.push(value!.toString())
        }
        if (isComplete()) complete.resolve()
        return Promise.resolve()
      },
    })
    for (const [partition, offset] of offsets.entries()) consumer.seek({ topic, partition, offset: `${offset}` })
    await complete.promise.finally(() => clearTimeout(tooLate))
    return read
  } finally {
    await consumer.disconnect()
  }
}

/** What was read from `firstOffset` to the end against what was sent and acknowledged. */
function check({ partition, acknowledged }: Sent, records: readonly string[], firstOffset: bigint): void {
  const found = new Map<number, bigint>()
  let previous = -1
  for (const [at, value] of records.entries()) {
    const number = Number(value.split('/')[1])
    const offset = firstOffset + BigInt(at)
    const where = `partition ${partition}, offset ${offset}, record ${number}`
    assert(value.startsWith(`${partition}/${number}/`), `${where}: it was never sent: ${value.slice(0, 40)}`)
    assert(!found.has(number), `${where}: it is there twice, at ${found.get(number)} too`)
    assert(number > previous, `${where}: it comes behind record ${previous}`)
    found.set(number, offset)
    previous = number
  }
  for (const [number, offset] of acknowledged) {
    if (offset >= firstOffset)
      assert.equal(found.get(number), offset, `partition ${partition}: record ${number} was acknowledged at ${offset}`)
  }
}
