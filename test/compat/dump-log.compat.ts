/**
 * Kafka's dump tool reads every file that a log consists of here, and logs that Kafka wrote open here, also after its
 * kill.
 */
import assert from 'node:assert/strict'
import { cp, mkdtemp, readdir, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test, type TestContext } from 'node:test'
import { readBatchHeader, splitBatches } from '../../protocol/records/batch.ts'
import { buildEndTransactionMarker } from '../../protocol/records/control.ts'
import {
  formatEpochs,
  formatOffsets,
  formatPartitionMetadata,
  parseEpochs,
  parseOffsets,
  parsePartitionMetadata,
} from '../../storage/checkpoint-files.ts'
import { NodeDisk } from '../../storage/node-disk.ts'
import {
  append,
  openTestLog,
  openTestStore,
  readAllBatches,
  readAllValues,
  testBatch,
  testNowMs,
} from '../support/logs.ts'
import { KafkaProcess } from './support/kafka.ts'
import { kafkaTool, usePeer } from './support/peers.ts'
import { eventually, freePorts } from './support/processes.ts'

const config = { segmentBytes: 60_000, indexIntervalBytes: 1_000 }

async function temporaryFolder(t: TestContext): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'dump-log-'))
  t.after(() => rm(folder, { recursive: true, force: true }))
  return folder
}

/** Segments, indexes with many entries, open and aborted transactions, timestamps out of order. */
async function writeLog(root: string): Promise<void> {
  const store = await openTestStore({ disk: new NodeDisk(root) })
  const log = await openTestLog(store, { config })
  const sequences = new Map<bigint, number>()
  for (let index = 0; index < 600; index++) {
    const producerId = index % 4 === 0 ? 7n : 8n
    const baseSequence = sequences.get(producerId) ?? 0
    sequences.set(producerId, baseSequence + 3)
    const batch = testBatch({
      records: [0, 1, 2].map((one) => ({
        key: `key-${index}`,
        value: 'v'.repeat((index * 7) % 90),
        timestampMs: testNowMs + BigInt(index * 1000 + one - ((index * 13) % 7) * 1500),
      })),
      baseSequence,
      producerId,
      producerEpoch: 1,
      isTransactional: producerId === 7n,
      compression: index % 5 === 0 ? 'lz4' : 'none',
    })
    assert((await append(store, log, { batches: [batch], nowMs: testNowMs })).ok)
    if (index % 40 !== 36) continue
    const marker = buildEndTransactionMarker({
      producerId: 7n,
      producerEpoch: 1,
      coordinatorEpoch: 2,
      commit: index % 80 === 36,
      timestampMs: testNowMs + BigInt(index * 1000),
      leaderEpoch: 0,
      baseOffset: 0n,
    })
    const batches = [{ bytes: marker, header: readBatchHeader(marker) }]
    assert((await append(store, log, { batches, origin: 'coordinator' })).ok)
  }
  await store.close()
}

test("Kafka's dump tool finds every file of a log in order", async (t) => {
  if (!(await usePeer(t, 'kafka'))) return
  const root = await temporaryFolder(t)
  await writeLog(root)
  const folder = join(root, 'orders-0')
  const names = await readdir(folder)
  const pathsOf = (ending: string) => names.filter((name) => name.endsWith(ending)).map((name) => join(folder, name))
  assert.ok(pathsOf('.log').length > 1 && pathsOf('.txnindex').length > 1)
  const dump = async (paths: readonly string[], ...args: string[]) => {
    const output = await kafkaTool('kafka-dump-log', ['--files', paths.join(','), ...args])
    assert.doesNotMatch(
      output,
      /mismatch|corrupt|error|exception|invalid|Non-?consecutive|out of order/i,
      output.slice(0, 2000),
    )
    return output
  }

  const logs = await dump(pathsOf('.log'), '--deep-iteration')
  assert.equal(logs.match(/isvalid: true/g)?.length, 615)
  const indexes = await dump([...pathsOf('.index'), ...pathsOf('.timeindex')], '--index-sanity-check')
  assert.equal(indexes.match(/passed sanity check/g)?.length, pathsOf('.index').length + pathsOf('.timeindex').length)
  const entries = await dump([...pathsOf('.index'), ...pathsOf('.timeindex')], '--deep-iteration')
  assert.ok((entries.match(/^offset: \d+ position: \d+/gm)?.length ?? 0) > 30, entries.slice(0, 1000))
  assert.ok((entries.match(/^timestamp: \d+ offset: \d+/gm)?.length ?? 0) > 30)
  const aborted = await dump(pathsOf('.txnindex'))
  assert.equal(
    aborted.match(/version: 0 producerId: 7 firstOffset: \d+ lastOffset: \d+ lastStableOffset: \d+/g)?.length,
    7,
  )
  const snapshot = await dump(pathsOf('.snapshot'))
  assert.match(snapshot, /producerId: 7 producerEpoch: 1 coordinatorEpoch: 2 .*lastSequence: 449/)
  assert.match(snapshot, /producerId: 8 producerEpoch: 1 coordinatorEpoch: -1 .*lastSequence: 1349/)
})

for (const signal of ['SIGTERM', 'SIGKILL'] as const) {
  test(`a log that Kafka wrote opens here with all that Kafka serves, after ${signal}`, async (t) => {
    if (!(await usePeer(t, 'kafka'))) return
    const dir = await temporaryFolder(t)
    const [port, controllerPort] = (await freePorts(2)) as [number, number]
    const kafka = new KafkaProcess({ dir, port, controllerPort, configs: ['log.index.interval.bytes=500'] })
    t.after(() => kafka.end('SIGKILL'))
    await kafka.start()
    const client = kafka.client()
    const admin = client.admin()
    await admin.createTopics({
      topics: [{ topic: 'orders', numPartitions: 1, configEntries: [{ name: 'segment.bytes', value: '1048576' }] }],
    })
    await admin.disconnect()
    const producer = client.producer({ idempotent: true, maxInFlightRequests: 1 })
    await producer.connect()
    const values = Array.from({ length: 300 }, (_, index) => `${index}-${'x'.repeat(10_000)}`)
    for (let from = 0; from < values.length; from += 5) {
      await producer.send({ topic: 'orders', messages: values.slice(from, from + 5).map((value) => ({ value })) })
    }
    await producer.disconnect()
    await kafka.end(signal)

    const found = (await readdir(dir, { recursive: true })).find((name) => name.endsWith('orders-0/partition.metadata'))
    assert.ok(found, 'Kafka has a folder of the partition')
    const root = await temporaryFolder(t)
    await cp(join(dir, found, '..'), join(root, 'orders-0'), { recursive: true })
    const topicId = /topic_id: (\S+)/.exec(await readFile(join(root, 'orders-0/partition.metadata'), 'utf8'))![1]!
    const losses: unknown[] = []
    const open = async () => {
      const store = await openTestStore({ disk: new NodeDisk(root), onLoss: (loss) => losses.push(loss) })
      return { store, log: await openTestLog(store, { topicId, config }) }
    }
    for (const { store, log } of [await open(), await open()]) {
      assert.deepEqual(await readAllValues(store, log), values)
      const batches = await readAllBatches(store, log)
      const time = batches.at(-1)!.header.maxTimestamp
      const last = await store.offsetForTime(log, time)
      assert.ok(last.ok && last.found && last.found.timestampMs === time)
      assert.equal(store.activeProducers(log)[0]?.lastSequence, 299)
      await store.close()
    }
    assert.deepEqual(losses, [])
    const bytes = await readFile(join(root, `orders-0/${'0'.repeat(20)}.log`))
    assert.ok(splitBatches(bytes).length > 10, 'nothing of what Kafka wrote was changed')
  })
}

/** What is read of each and written again: the store writes some of them only when they change. */
const checkpoints: Record<string, (bytes: Uint8Array) => Uint8Array> = {
  'recovery-point-offset-checkpoint': (bytes) => formatOffsets(parseOffsets(bytes)!),
  'log-start-offset-checkpoint': (bytes) => formatOffsets(parseOffsets(bytes)!),
  'cleaner-offset-checkpoint': (bytes) => formatOffsets(parseOffsets(bytes)!),
  'orders-0/leader-epoch-checkpoint': (bytes) => formatEpochs(parseEpochs(bytes)!),
  'orders-0/partition.metadata': (bytes) => formatPartitionMetadata(parsePartitionMetadata(bytes)!),
}

test("text checkpoints are Kafka's own, byte for byte", async (t) => {
  if (!(await usePeer(t, 'kafka'))) return
  const dir = await temporaryFolder(t)
  const [port, controllerPort] = (await freePorts(2)) as [number, number]
  const configs = ['log.cleaner.backoff.ms=100', 'log.flush.offset.checkpoint.interval.ms=200']
  const kafka = new KafkaProcess({ dir, port, controllerPort, configs })
  t.after(() => kafka.end('SIGKILL'))
  await kafka.start()
  const client = kafka.client()
  const [admin, producer] = [client.admin(), client.producer({ idempotent: true, maxInFlightRequests: 1 })]
  await Promise.all([admin.connect(), producer.connect()])
  const configEntries = Object.entries({
    'cleanup.policy': 'compact,delete',
    'segment.bytes': '1048576',
    'min.cleanable.dirty.ratio': '0.01',
  }).map(([name, value]) => ({ name, value }))
  await admin.createTopics({ topics: [{ topic: 'orders', numPartitions: 1, configEntries }] })
  for (let index = 0; index < 150; index++) {
    const messages = [{ key: `${index}`, value: `${index}-${'x'.repeat(10_000)}` }]
    await producer.send({ topic: 'orders', messages })
  }
  await admin.fetchTopicOffsets('orders') // so that it knows the leader
  await admin.deleteTopicRecords({ topic: 'orders', partitions: [{ partition: 0, offset: '17' }] })
  const found = (await readdir(dir, { recursive: true })).find((name) => name.endsWith('orders-0/partition.metadata'))!
  const theirs = join(dir, found, '../..')
  await eventually('Kafka has cleaned', async () => {
    return /^orders 0 [1-9]/m.test(await readFile(join(theirs, 'cleaner-offset-checkpoint'), 'utf8'))
  })
  await Promise.all([admin.disconnect(), producer.disconnect()])
  await kafka.end('SIGTERM')

  const mine = await temporaryFolder(t)
  await cp(theirs, mine, { recursive: true })
  await rm(join(mine, '__cluster_metadata-0'), { recursive: true, force: true })
  const topicId = /topic_id: (\S+)/.exec(await readFile(join(theirs, 'orders-0/partition.metadata'), 'utf8'))![1]!
  const store = await openTestStore({ disk: new NodeDisk(mine) })
  assert.equal(store.wasUnclean, false, "Kafka's mark of a clean stop is one here")
  const log = await openTestLog(store, { topicId, config })
  assert.deepEqual([store.view(log).logStartOffset, store.view(log).logEndOffset], [17n, 150n])
  for (const name of ['recovery-point-offset-checkpoint', 'log-start-offset-checkpoint']) await rm(join(mine, name))
  await store.close()
  for (const [name, writtenAgain] of Object.entries(checkpoints)) {
    const kafkas = await readFile(join(theirs, name))
    assert.equal(await readFile(join(mine, name), 'utf8'), kafkas.toString(), name)
    assert.deepEqual(Buffer.from(writtenAgain(kafkas)), kafkas, name)
  }
  const mark = await readFile(join(mine, '.kafka_cleanshutdown'), 'utf8')
  assert.match(mark, /^\{"version":0,"brokerEpoch":-1\}$/)
  assert.match(await readFile(join(theirs, '.kafka_cleanshutdown'), 'utf8'), /^\{"version":0,"brokerEpoch":\d+\}$/)
})
