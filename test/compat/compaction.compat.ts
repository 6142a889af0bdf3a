/**
 * Compaction beside Apache Kafka's: what it leaves of the same records, and whether Kafka's tools and mirrors agree
 * with it.
 */
import assert from 'node:assert/strict'
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test, type TestContext } from 'node:test'
import { codecs, createTopics, kafkajsClient, platformaticProducer, sendWithPlatformatic } from './support/clients.ts'
import { startKafka, type KafkaProcess } from './support/kafka.ts'
import { verify, waitUntilMirrored } from './support/mirrors.ts'
import { kafkaTool, usePeer } from './support/peers.ts'
import { eventually } from './support/processes.ts'
import { startTitorelli, type TitorelliProcess } from './support/titorelli.ts'

const quickCleaning = 'log.cleaner.backoff.ms=200'
const compacted = {
  'cleanup.policy': 'compact',
  'segment.ms': '150',
  'max.compaction.lag.ms': '150', // a mirror takes this over from its source, and not segment.ms
  'min.cleanable.dirty.ratio': '0.01',
  'delete.retention.ms': '100',
}
const keyCount = 20
const roundCount = 8

function keyOf(index: number): string {
  return `key-${String(index).padStart(2, '0')}`
}

/** Longer than `segment.ms`: the next batch begins a segment. */
function untilNextSegment(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, 200))
}

/** Rounds over all keys, each with another codec and some keys deleted. Returns what the keys have in the end. */
async function produceRounds(t: TestContext, bootstrap: string, topic: string): Promise<Map<string, string>> {
  const producer = platformaticProducer(t, bootstrap, { idempotent: true })
  const plain = kafkajsClient(bootstrap).producer()
  await plain.connect()
  const live = new Map<string, string>()
  for (let round = 0; round < roundCount; round++) {
    const keys = Array.from({ length: keyCount }, (_, index) => keyOf(index))
    const records = [...keys, `only ${round}`].map((key) => ({ key, value: `round ${round}` }))
    await sendWithPlatformatic(producer, topic, { codec: codecs[round % codecs.length]!, records })
    for (const { key, value } of records) live.set(key, value)
    const deleted = keys.filter((_, at) => at % 5 === round % 5)
    await plain.send({ topic, messages: deleted.map((key) => ({ key, value: null })) })
    for (const key of deleted) live.delete(key)
    await untilNextSegment()
  }
  await plain.send({ topic, messages: [{ key: 'last', value: 'last' }] })
  live.set('last', 'last')
  await plain.disconnect()
  return live
}

interface Contents {
  readonly recordCount: number
  /** The newest value of each key that is not deleted. */
  readonly live: Map<string, string>
}

/** What Kafka's own consumer reads of a topic with one partition, committed records only. */
async function readAll(bootstrap: string, topic: string): Promise<Contents> {
  const args = ['--bootstrap-server', bootstrap, '--topic', topic, '--partition', '0', '--offset', 'earliest']
  const printed = await kafkaTool('kafka-console-consumer', [
    ...args,
    '--isolation-level',
    'read_committed',
    '--formatter-property',
    'print.key=true',
    '--timeout-ms',
    '3000',
  ])
  const live = new Map<string, string>()
  const lines = printed.split('\n').filter((line) => line.includes('\t'))
  for (const line of lines) {
    const [key, value] = line.split('\t')
    if (value === 'null') live.delete(key!)
    else live.set(key!, value!)
  }
  return { recordCount: lines.length, live }
}

function sorted(live: ReadonlyMap<string, string>): [string, string][] {
  return [...live].sort(([a], [b]) => (a < b ? -1 : 1))
}

/** Where a topic of ours is compacted up to, or 0. */
async function cleanedOffset(broker: TitorelliProcess, topic: string): Promise<number> {
  const text = await readFile(join(broker.dataDir, 'cleaner-offset-checkpoint'), 'utf8').catch(() => '')
  return Number(new RegExp(`^${topic} 0 (\\d+)$`, 'm').exec(text)?.[1] ?? 0)
}

/**
 * Kafka's dump tool reads every file of a partition, of a broker that is stopped. Returns what it says of the batches.
 */
async function dump(broker: TitorelliProcess, topic: string): Promise<string[]> {
  const folder = join(broker.dataDir, `${topic}-0`)
  const names = (await readdir(folder)).sort()
  const pathsOf = (kind: string): string =>
    names
      .filter((name) => name.endsWith(kind))
      .map((name) => join(folder, name))
      .join(',')
  const printed = await kafkaTool('kafka-dump-log', ['--deep-iteration', '--files', pathsOf('.log')])
  const batches = printed.split('\n').filter((line) => line.startsWith('baseOffset: '))
  assert(batches.length > 0)
  for (const batch of batches) assert.match(batch, /isvalid: true$/)
  assert.doesNotMatch(printed, /exception|found .*invalid|mismatch/i)
  const indexes = [pathsOf('.index'), pathsOf('.timeindex'), pathsOf('.txnindex')]
    .filter((paths) => paths !== '')
    .join(',')
  const checked = await kafkaTool('kafka-dump-log', ['--index-sanity-check', '--files', indexes])
  assert.doesNotMatch(checked, /exception|failed|mismatch/i)
  return batches
}

test('the same records leave the same keys and values in a compacted topic of Kafka and of ours', async (t) => {
  if (!(await usePeer(t, 'kafka'))) return
  const kafka = await startKafka(t, quickCleaning)
  const broker = await startTitorelli(t, '--config', quickCleaning)
  const found: Contents[] = []
  for (const bootstrap of [kafka.bootstrap, broker.bootstrap]) {
    await createTopics(bootstrap, [{ topic: 'compacted', configs: compacted }])
    const expected = await produceRounds(t, bootstrap, 'compacted')
    const contents = await eventually(
      'the topic is compacted',
      async () => {
        const read = await readAll(bootstrap, 'compacted')
        return read.recordCount < keyCount * 2.5 && read
      },
      30_000,
    )
    assert.deepEqual(sorted(contents.live), sorted(expected))
    found.push(contents)
  }
  assert.deepEqual(sorted(found[1]!.live), sorted(found[0]!.live))
  assert((await cleanedOffset(broker, 'compacted')) > 0)

  await t.test("Kafka's dump tool reads what our cleaner wrote", async () => {
    await broker.end('SIGTERM')
    const batches = await dump(broker, 'compacted')
    assert(
      batches.some((batch) => !batch.includes('deleteHorizonMs: OptionalLong.empty')),
      'tombstones wait',
    )
    for (const codec of codecs)
      assert(
        batches.some((batch) => batch.includes(`compresscodec: ${codec}`)),
        codec,
      )
    await broker.start()
    const again = await readAll(broker.bootstrap, 'compacted')
    assert.deepEqual(sorted(again.live), sorted(found[1]!.live))
  })

  await t.test('a mirror of a compacted topic with transactions cleans its own log, and is identical by record', () =>
    checkMirror(t, kafka, broker),
  )
})

async function checkMirror(t: TestContext, kafka: KafkaProcess, broker: TitorelliProcess): Promise<void> {
  const topic = 'ledger'
  await createTopics(kafka.bootstrap, [{ topic, configs: compacted }])
  await broker.mustCli('link', 'create', 'west', '--source-bootstrap-server', kafka.bootstrap)
  await broker.mustCli('mirror', 'create', topic, '--link', 'west')
  const producer = kafka.client().producer({ transactionalId: 'ledger', idempotent: true, maxInFlightRequests: 1 })
  await producer.connect()
  for (let round = 0; round < roundCount; round++) {
    for (const outcome of ['commit', 'abort'] as const) {
      const transaction = await producer.transaction()
      const messages = Array.from({ length: keyCount }, (_, index) => ({
        key: keyOf(index),
        value: (index + round) % 7 === 0 ? null : `round ${round}, ${outcome}`,
      }))
      await transaction.send({ topic, messages })
      await transaction[outcome]()
    }
    await untilNextSegment()
  }
  await producer.disconnect()
  await produceRounds(t, kafka.bootstrap, topic)
  await waitUntilMirrored(kafka.bootstrap, broker, topic)
  await eventually('our cleaner has been there', async () => (await cleanedOffset(broker, topic)) > 0, 30_000)
  await verify(broker, topic)
  const ours = await readAll(broker.bootstrap, topic)
  const theirs = await readAll(kafka.bootstrap, topic)
  assert.deepEqual(sorted(ours.live), sorted(theirs.live))
  await broker.end('SIGKILL')
  await broker.start()
  await waitUntilMirrored(kafka.bootstrap, broker, topic)
  await verify(broker, topic)
  await broker.end('SIGTERM')
  await dump(broker, topic)
}
