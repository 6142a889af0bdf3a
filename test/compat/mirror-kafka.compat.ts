/** A real Apache Kafka as the source of mirror topics. */
import assert from 'node:assert/strict'
import { test, type TestContext } from 'node:test'
import { codecs, createTopics, platformaticProducer, recordsOf, sendWithPlatformatic } from './support/clients.ts'
import { startKafka, type KafkaProcess } from './support/kafka.ts'
import { describeMirror, describeTopic, endOffsets, verify, waitUntilMirrored } from './support/mirrors.ts'
import { kafkaTool, usePeer } from './support/peers.ts'
import { eventually } from './support/processes.ts'
import { startTitorelli, type TitorelliProcess } from './support/titorelli.ts'

/** The source cleans, and notices its configs, quickly. */
const quickCleaning = ['log.cleaner.backoff.ms=200', 'log.retention.check.interval.ms=500']

async function linkTo(kafka: KafkaProcess, broker: TitorelliProcess): Promise<void> {
  await broker.mustCli('link', 'create', 'west', '--source-bootstrap-server', kafka.bootstrap)
}

async function mirrorOf(broker: TitorelliProcess, topic: string): Promise<void> {
  await broker.mustCli('mirror', 'create', topic, '--link', 'west')
}

/** Batches of every codec, in all three partitions. */
async function produceEveryCodec(t: TestContext, kafka: KafkaProcess, topic: string): Promise<void> {
  const producer = platformaticProducer(t, kafka.bootstrap)
  for (const codec of codecs) {
    for (const partition of [0, 1, 2]) {
      const records = recordsOf(`${codec}-${partition}`, 100)
      await sendWithPlatformatic(producer, topic, { codec, records, partition })
    }
  }
}

/** A committed transaction, an aborted one, and records without one between them. Returns one that is left open. */
async function produceTransactions(kafka: KafkaProcess, topic: string) {
  const plain = kafka.client().producer()
  const transactional = kafka
    .client()
    .producer({ transactionalId: `${topic}-1`, idempotent: true, maxInFlightRequests: 1 })
  const open = kafka.client().producer({ transactionalId: `${topic}-2`, idempotent: true, maxInFlightRequests: 1 })
  await Promise.all([plain.connect(), transactional.connect(), open.connect()])
  const send = { topic, messages: recordsOf('transaction', 20) }
  const committed = await transactional.transaction()
  await committed.send(send)
  await plain.send({ topic, messages: recordsOf('plain', 5) })
  await committed.commit()
  const aborted = await transactional.transaction()
  await aborted.send(send)
  await aborted.abort()
  const undecided = await open.transaction()
  await undecided.send(send)
  await plain.send({ topic, messages: recordsOf('behind', 5) })
  await Promise.all([plain.disconnect(), transactional.disconnect()])
  return { undecided, disconnect: () => open.disconnect() }
}

test('mirrors of a Kafka are identical: codecs, transactions, compaction, a log that begins later, new partitions', async (t) => {
  if (!(await usePeer(t, 'kafka'))) return
  const kafka = await startKafka(t, ...quickCleaning)
  const broker = await startTitorelli(t)
  await createTopics(kafka.bootstrap, [
    { topic: 'codecs', partitions: 3 },
    { topic: 'transactions' },
    { topic: 'trimmed' },
    {
      topic: 'compacted',
      configs: { 'cleanup.policy': 'compact', 'segment.ms': '300', 'min.cleanable.dirty.ratio': '0.01' },
    },
  ])
  await linkTo(kafka, broker)
  const source = kafka.client()

  await t.test('every codec, byte for byte, the first byte within a second', async (codecTest) => {
    await produceEveryCodec(codecTest, kafka, 'codecs')
    await mirrorOf(broker, 'codecs')
    const createdMs = performance.now()
    await eventually('the first byte is there', async () => {
      const { partitions } = await describeMirror(broker, 'west', 'codecs')
      return partitions.some((partition) => partition.log_end_offset > 0)
    })
    const firstByteMs = performance.now() - createdMs
    await waitUntilMirrored(kafka.bootstrap, broker, 'codecs')
    await verify(broker, 'codecs', /^identical$/)
    assert(firstByteMs < 1000, `the first byte came after ${firstByteMs} ms`)
  })

  await t.test('transactions: committed, aborted and open, with their markers', async () => {
    const { undecided, disconnect } = await produceTransactions(kafka, 'transactions')
    await mirrorOf(broker, 'transactions')
    await waitUntilMirrored(kafka.bootstrap, broker, 'transactions')
    await verify(broker, 'transactions', /^identical$/)
    const [open] = (await describeTopic(broker, 'transactions')).partitions
    assert(open!.last_stable_offset < open!.high_watermark, 'the open transaction holds the last stable offset back')
    await undecided.commit()
    await disconnect()
    await waitUntilMirrored(kafka.bootstrap, broker, 'transactions')
    await verify(broker, 'transactions', /^identical$/)
    const [decided] = (await describeTopic(broker, 'transactions')).partitions
    assert.equal(decided!.last_stable_offset, decided!.high_watermark)
  })

  await t.test('a log that does not begin at 0', async (trimTest) => {
    const producer = platformaticProducer(trimTest, kafka.bootstrap)
    for (const record of recordsOf('trimmed', 30)) {
      await sendWithPlatformatic(producer, 'trimmed', { codec: 'none', records: [record] })
    }
    const admin = source.admin()
    await admin.connect()
    await admin.fetchTopicOffsets('trimmed') // deleteTopicRecords looks the leader up in what this loads
    await admin.deleteTopicRecords({ topic: 'trimmed', partitions: [{ partition: 0, offset: '12' }] })
    await admin.disconnect()
    await mirrorOf(broker, 'trimmed')
    await waitUntilMirrored(kafka.bootstrap, broker, 'trimmed')
    const [partition] = (await describeMirror(broker, 'west', 'trimmed')).partitions
    assert.deepEqual([partition!.log_start_offset, partition!.log_end_offset], [12, 30])
    await verify(broker, 'trimmed')
  })

  await t.test('a compacted topic with gaps', async (compactTest) => {
    const producer = platformaticProducer(compactTest, kafka.bootstrap)
    for (let round = 0; round < 6; round++) {
      const records = recordsOf('key', 20).map(({ key }) => ({ key, value: `round ${round}` }))
      await sendWithPlatformatic(producer, 'compacted', { codec: round % 2 === 0 ? 'lz4' : 'none', records })
      await new Promise((resolve) => setTimeout(resolve, 400)) // longer than segment.ms: the next batch rolls a segment
    }
    await mirrorOf(broker, 'compacted')
    await waitUntilMirrored(kafka.bootstrap, broker, 'compacted')
    await verify(broker, 'compacted')
  })

  await t.test('partitions added at the source follow within five seconds', async (growTest) => {
    const admin = source.admin()
    await admin.connect()
    await admin.createPartitions({ topicPartitions: [{ topic: 'codecs', count: 4 }] })
    await admin.disconnect()
    const addedMs = performance.now()
    await eventually(
      'the mirror has the new partition',
      async () => (await describeTopic(broker, 'codecs')).partitions.length === 4,
    )
    assert(performance.now() - addedMs < 5_500, 'within 5 s')
    const producer = platformaticProducer(growTest, kafka.bootstrap)
    await sendWithPlatformatic(producer, 'codecs', { codec: 'zstd', records: recordsOf('new', 50), partition: 3 })
    await waitUntilMirrored(kafka.bootstrap, broker, 'codecs')
    await verify(broker, 'codecs')
  })

  await t.test('the lag of an idle source is what kafka-get-offsets says, minus the end of the mirror', async () => {
    const printed = await kafkaTool('kafka-get-offsets', ['--bootstrap-server', kafka.bootstrap, '--topic', 'codecs'])
    const ends = printed
      .trim()
      .split('\n')
      .map((line) => Number(line.split(':')[2]))
    await eventually(
      'the lag is told',
      async () => {
        const { partitions } = await describeMirror(broker, 'west', 'codecs')
        return partitions.every((one) => one.lag === ends[one.partition]! - one.log_end_offset)
      },
      2_000,
    )
  })

  await t.test("Kafka's console consumer reads a partition of the mirror without a group", async () => {
    const [end] = await endOffsets(kafka.bootstrap, 'codecs')
    const args = [
      '--bootstrap-server',
      broker.bootstrap,
      '--topic',
      'codecs',
      '--partition',
      '0',
      '--offset',
      'earliest',
    ]
    const printed = await kafkaTool('kafka-console-consumer', [
      ...args,
      '--max-messages',
      `${end}`,
      '--timeout-ms',
      '20000',
    ])
    assert.equal(printed.trim().split('\n').length, end)
  })
})

test('mirroring goes on after a restart of the source and of the mirror, and after kill -9 of either', async (t) => {
  if (!(await usePeer(t, 'kafka'))) return
  const kafka = await startKafka(t)
  const broker = await startTitorelli(t)
  await createTopics(kafka.bootstrap, [{ topic: 'orders', partitions: 3 }])
  await linkTo(kafka, broker)
  await mirrorOf(broker, 'orders')
  const interruptions = [
    () => kafka.end('SIGTERM').then(() => kafka.start()),
    () => broker.end('SIGTERM').then(() => broker.start()),
    () => kafka.end('SIGKILL').then(() => kafka.start()),
    () => broker.end('SIGKILL').then(() => broker.start()),
  ]
  for (const interrupt of interruptions) {
    await produceEveryCodec(t, kafka, 'orders')
    await interrupt()
    await waitUntilMirrored(kafka.bootstrap, broker, 'orders')
    await verify(broker, 'orders', /^identical$/)
  }
})

test('failover with the source dead: writable within a second, everything mirrored is still there', async (t) => {
  if (!(await usePeer(t, 'kafka'))) return
  const kafka = await startKafka(t)
  const broker = await startTitorelli(t)
  await createTopics(kafka.bootstrap, [{ topic: 'orders', partitions: 3 }, { topic: 'transactions' }])
  await linkTo(kafka, broker)
  await produceEveryCodec(t, kafka, 'orders')
  await produceTransactions(kafka, 'transactions')
  for (const topic of ['orders', 'transactions']) {
    await mirrorOf(broker, topic)
    await waitUntilMirrored(kafka.bootstrap, broker, topic)
    await verify(broker, topic, /^identical$/)
  }
  const before = await describeTopic(broker, 'transactions')
  await kafka.end('SIGKILL')

  const clusterPath = `${broker.httpUrl}/kafka/v3/clusters/${broker.ready.clusterId}`
  const response = await fetch(`${clusterPath}/links/west/mirrors:failover`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ mirror_topic_names: ['orders', 'transactions'] }),
  })
  assert.equal(response.status, 200)
  const answeredMs = performance.now()
  for (const topic of ['orders', 'transactions']) {
    await eventually(
      `${topic} is STOPPED`,
      async () => (await describeMirror(broker, 'west', topic)).mirror_status === 'STOPPED',
    )
  }
  const stoppedMs = performance.now() - answeredMs
  assert(stoppedMs < 1000, `STOPPED ${stoppedMs} ms after the answer`)

  const producer = platformaticProducer(t, broker.bootstrap, { idempotent: true })
  await sendWithPlatformatic(producer, 'orders', { codec: 'gzip', records: recordsOf('after', 10) })
  const after = await describeTopic(broker, 'transactions')
  assert.equal(
    after.partitions[0]!.last_stable_offset,
    after.partitions[0]!.high_watermark,
    'the open transaction is aborted',
  )
  assert(after.partitions[0]!.leader_epoch > before.partitions[0]!.leader_epoch, 'the leader epoch is raised')
})

test('a source topic that is deleted and created again never mixes into its mirror', async (t) => {
  if (!(await usePeer(t, 'kafka'))) return
  const kafka = await startKafka(t)
  const broker = await startTitorelli(t)
  await createTopics(kafka.bootstrap, [{ topic: 'orders', partitions: 3 }])
  await linkTo(kafka, broker)
  await produceEveryCodec(t, kafka, 'orders')
  await mirrorOf(broker, 'orders')
  await waitUntilMirrored(kafka.bootstrap, broker, 'orders')
  const before = await describeMirror(broker, 'west', 'orders')

  const admin = kafka.client().admin()
  await admin.connect()
  await admin.deleteTopics({ topics: ['orders'] })
  await eventually('the topic is created again', async () => {
    await createTopics(kafka.bootstrap, [{ topic: 'orders', partitions: 3 }])
    return true
  })
  await admin.disconnect()
  await produceEveryCodec(t, kafka, 'orders')
  await produceEveryCodec(t, kafka, 'orders')
  const failed = await eventually('the mirror fails', async () => {
    const mirror = await describeMirror(broker, 'west', 'orders')
    return mirror.mirror_status === 'FAILED' && mirror
  })
  assert.equal(failed.mirror_topic_error, 'SOURCE_TOPIC_ID_CHANGED')
  assert.deepEqual(
    failed.partitions.map((one) => one.log_end_offset),
    before.partitions.map((one) => one.log_end_offset),
  )
})
