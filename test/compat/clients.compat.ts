/** Unmodified clients produce to our broker and read back what they and the others wrote, with every codec each supports. */
import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test, type TestContext } from 'node:test'
import { inspect } from 'node:util'
import { CompressionTypes } from 'kafkajs'
import { splitBatches } from '../../protocol/records/batch.ts'
import {
  codecs,
  createTopics,
  kafkajsClient,
  platformaticAdmin,
  platformaticConsumer,
  platformaticProducer,
  recordsOf,
  sendWithPlatformatic,
  type Codec,
  type TestRecord,
} from './support/clients.ts'
import { kafkaTool, usePeer } from './support/peers.ts'
import { mustRun } from './support/processes.ts'
import { startTitorelli } from './support/titorelli.ts'

/** Reads a whole partition with kcat: every record as key and value. */
async function readWithKcat(bootstrap: string, topic: string): Promise<TestRecord[]> {
  const args = [
    '-b',
    bootstrap,
    '-C',
    '-t',
    topic,
    '-p',
    '0',
    '-o',
    'beginning',
    '-e',
    '-q',
    '-X',
    'check.crcs=true',
    '-f',
    '%k\\t%s\\n',
  ]
  const { stdout } = await mustRun('kcat', args, { timeoutMs: 30_000 })
  return stdout
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => ({ key: line.split('\t')[0]!, value: line.split('\t')[1]! }))
}

/** Reads a whole partition with @platformatic/kafka's fetch, which decompresses and decodes by itself. */
async function readWithPlatformatic(t: TestContext, bootstrap: string, topic: string): Promise<TestRecord[]> {
  const consumer = platformaticConsumer(t, bootstrap)
  const metadata = await consumer.metadata({ topics: [topic] })
  const { id: topicId, partitions } = metadata.topics.get(topic)!
  const end = (await consumer.listOffsets({ topics: [topic] })).get(topic)![0]!
  const records: TestRecord[] = []
  for (let fetchOffset = 0n; fetchOffset < end;) {
    const response = await consumer.fetch({
      node: partitions[0]!.leader,
      topics: [
        {
          topicId,
          partitions: [
            { partition: 0, currentLeaderEpoch: -1, fetchOffset, lastFetchedEpoch: -1, partitionMaxBytes: 1_048_576 },
          ],
        },
      ],
    })
    const batches = response.responses[0]?.partitions[0]?.records ?? []
    assert(batches.length > 0, 'a fetch below the end brings records')
    for (const batch of batches) {
      records.push(...batch.records.map(({ key, value }) => ({ key: String(key), value: String(value) })))
      fetchOffset = batch.firstOffset + BigInt(batch.lastOffsetDelta) + 1n
    }
  }
  return records
}

async function consoleProduce(
  bootstrap: string,
  topic: string,
  options: { readonly codec: Codec; readonly records: readonly TestRecord[] },
): Promise<void> {
  const input = options.records.map(({ key, value }) => `${key}\t${value}\n`).join('')
  const flags = ['--compression-codec', options.codec, '--reader-property', 'parse.key=true']
  await kafkaTool('kafka-console-producer', ['--bootstrap-server', bootstrap, '--topic', topic, ...flags], input)
}

async function kcatProduce(
  bootstrap: string,
  topic: string,
  options: { readonly codec: Codec; readonly records: readonly TestRecord[] },
): Promise<void> {
  const input = options.records.map(({ key, value }) => `${key}\t${value}\n`).join('')
  const flags = ['-P', '-t', topic, '-p', '0', '-K', '\t', '-z', options.codec, '-X', 'acks=all']
  await mustRun('kcat', ['-b', bootstrap, ...flags], { input, timeoutMs: 30_000 })
}

test('kcat produces and consumes with every codec, idempotent too', async (t) => {
  if (!(await usePeer(t, 'kcat'))) return
  const broker = await startTitorelli(t)
  for (const codec of codecs) {
    const records = recordsOf(`kcat-${codec}`, 200)
    await kcatProduce(broker.bootstrap, `kcat-${codec}`, { codec, records })
    assert.deepEqual(await readWithKcat(broker.bootstrap, `kcat-${codec}`), records, codec)
  }
  const input = recordsOf('idempotent', 100)
    .map(({ value }) => `${value}\n`)
    .join('')
  const flags = ['-P', '-t', 'kcat-idempotent', '-p', '0', '-X', 'enable.idempotence=true']
  await mustRun('kcat', ['-b', broker.bootstrap, ...flags], { input, timeoutMs: 30_000 })
  assert.equal((await readWithKcat(broker.bootstrap, 'kcat-idempotent')).length, 100)
})

test('kcat lists the cluster and asks for offsets by time', async (t) => {
  if (!(await usePeer(t, 'kcat'))) return
  const broker = await startTitorelli(t)
  await kcatProduce(broker.bootstrap, 'listed', { codec: 'none', records: recordsOf('listed', 3) })
  const { stdout } = await mustRun('kcat', ['-b', broker.bootstrap, '-L', '-J'])
  const listing = JSON.parse(stdout) as { topics: { topic: string; partitions: unknown[] }[] }
  assert.deepEqual(
    listing.topics.map(({ topic }) => topic),
    ['listed'],
  )
  const byTime = await mustRun('kcat', ['-b', broker.bootstrap, '-Q', '-t', 'listed:0:0'])
  assert.match(byTime.stdout, /listed \[0\] offset 0/)
})

test("Kafka's console producer produces with every codec", async (t) => {
  if (!(await usePeer(t, 'kafka-console-producer')) || !(await usePeer(t, 'kcat'))) return
  const broker = await startTitorelli(t)
  for (const codec of codecs) {
    const records = recordsOf(`console-${codec}`, 200)
    await consoleProduce(broker.bootstrap, `console-${codec}`, { codec, records })
    assert.deepEqual(await readWithKcat(broker.bootstrap, `console-${codec}`), records, codec)
  }
})

test("Kafka's console consumer reads a partition without a group, and its tools list topics and offsets", async (t) => {
  if (!(await usePeer(t, 'kafka-console-producer'))) return
  const broker = await startTitorelli(t)
  const records = recordsOf('read', 100)
  await consoleProduce(broker.bootstrap, 'read', { codec: 'zstd', records })
  const server = ['--bootstrap-server', broker.bootstrap]
  const from = ['--topic', 'read', '--partition', '0', '--offset', 'earliest', '--max-messages', '100']
  const printed = await kafkaTool('kafka-console-consumer', [...server, ...from, '--timeout-ms', '20000'])
  assert.deepEqual(
    printed.split('\n').slice(0, -1),
    records.map(({ value }) => value),
  )
  assert.equal(await kafkaTool('kafka-get-offsets', [...server, '--topic', 'read']), 'read:0:100\n')
  assert.match(await kafkaTool('kafka-topics', [...server, '--describe']), /Topic: read\s.*PartitionCount: 1\s/)
})

test('kafkajs creates a topic, produces with its codecs and asks for offsets', async (t) => {
  if (!(await usePeer(t, 'kafkajs'))) return
  const broker = await startTitorelli(t)
  await createTopics(broker.bootstrap, [{ topic: 'jobs', partitions: 1, configs: { 'retention.ms': '3600000' } }])
  const kafka = kafkajsClient(broker.bootstrap)
  const producer = kafka.producer({ idempotent: true, maxInFlightRequests: 1 })
  await producer.connect()
  t.after(() => producer.disconnect())
  const records = recordsOf('kafkajs', 100)
  const compressions = [CompressionTypes.None, CompressionTypes.GZIP]
  for (const compression of compressions) await producer.send({ topic: 'jobs', messages: records, compression })

  const admin = kafka.admin()
  await admin.connect()
  t.after(() => admin.disconnect())
  const [partition] = await admin.fetchTopicOffsets('jobs')
  assert.deepEqual([partition?.low, partition?.high], ['0', '200'])
  assert.deepEqual(await readWithPlatformatic(t, broker.bootstrap, 'jobs'), [...records, ...records])
  await admin.deleteTopics({ topics: ['jobs'] })
  assert.deepEqual(await admin.listTopics(), [])
})

test('@platformatic/kafka creates a topic, produces with every codec and fetches it back', async (t) => {
  if (!(await usePeer(t, 'platformatic'))) return
  const broker = await startTitorelli(t)
  const admin = platformaticAdmin(t, broker.bootstrap)
  await admin.createTopics({ topics: codecs.map((codec) => `platformatic-${codec}`), partitions: 1, replicas: 1 })
  const producer = platformaticProducer(t, broker.bootstrap)
  for (const codec of codecs) {
    const records = recordsOf(`platformatic-${codec}`, 200)
    await sendWithPlatformatic(producer, `platformatic-${codec}`, { codec, records })
    assert.deepEqual(await readWithPlatformatic(t, broker.bootstrap, `platformatic-${codec}`), records, codec)
  }
})

test('an idempotent producer of @platformatic/kafka produces', async (t) => {
  if (!(await usePeer(t, 'platformatic'))) return
  const broker = await startTitorelli(t)
  await createTopics(broker.bootstrap, [{ topic: 'once' }])
  const producer = platformaticProducer(t, broker.bootstrap, { idempotent: true })
  const records = recordsOf('once', 50)
  for (const record of records) await sendWithPlatformatic(producer, 'once', { codec: 'none', records: [record] })
  assert.deepEqual(await readWithPlatformatic(t, broker.bootstrap, 'once'), records)
})

test('producer ids above 2^53, half of them odd, come back from every idempotent client as they were given', async (t) => {
  const peers = ['kcat', 'kafka-console-producer', 'kafkajs', 'platformatic'] as const
  for (const peer of peers) if (!(await usePeer(t, peer))) return
  const broker = await startTitorelli(t)
  await createTopics(broker.bootstrap, [{ topic: 'ids' }])
  const records = recordsOf('ids', 1)
  const kcatFlags = ['-P', '-t', 'ids', '-p', '0', '-X', 'enable.idempotence=true']
  for (let round = 0; round < 2; round++) {
    await mustRun('kcat', ['-b', broker.bootstrap, ...kcatFlags], { input: 'x\n', timeoutMs: 30_000 })
    await consoleProduce(broker.bootstrap, 'ids', { codec: 'none', records })
    const producer = kafkajsClient(broker.bootstrap).producer({ idempotent: true, maxInFlightRequests: 1 })
    await producer.connect()
    await producer.send({ topic: 'ids', messages: records })
    await producer.disconnect()
    const idempotent = platformaticProducer(t, broker.bootstrap, { idempotent: true })
    await sendWithPlatformatic(idempotent, 'ids', { codec: 'none', records })
  }
  const batches = splitBatches(await readFile(join(broker.dataDir, 'ids-0', '00000000000000000000.log')))
  const ids = batches.map(({ header }) => header.producerId)
  assert.equal(ids.length, 8)
  assert(ids[0]! > 2n ** 53n)
  assert.deepEqual(
    ids,
    ids.map((_, place) => ids[0]! + BigInt(place)),
  )
})

test('what was acknowledged is there after kill -9 and a restart', async (t) => {
  if (!(await usePeer(t, 'platformatic'))) return
  const broker = await startTitorelli(t)
  await createTopics(broker.bootstrap, [{ topic: 'kept' }])
  const records = recordsOf('kept', 500)
  await sendWithPlatformatic(platformaticProducer(t, broker.bootstrap), 'kept', { codec: 'lz4', records })
  await broker.end('SIGKILL')
  await broker.start()
  assert.deepEqual(await readWithPlatformatic(t, broker.bootstrap, 'kept'), records)
})

test('every client that produces to a mirror is refused at once, with the reason where its version carries one', async (t) => {
  const peers = ['kcat', 'kafka-console-producer', 'kafkajs', 'platformatic'] as const
  for (const peer of peers) if (!(await usePeer(t, peer))) return
  const source = await startTitorelli(t)
  const mirror = await startTitorelli(t)
  await createTopics(source.bootstrap, [{ topic: 'orders' }])
  await mirror.mustCli('link', 'create', 'west', '--source-bootstrap-server', source.bootstrap)
  await mirror.mustCli('mirror', 'create', 'orders', '--link', 'west')
  const reason = /Cannot append records to read-only mirror topic 'orders'/

  const kcat = await mustRun(
    'bash',
    ['-c', `kcat -b ${mirror.bootstrap} -P -t orders -p 0 -X message.timeout.ms=8000 2>&1 || true`],
    { input: 'x\n' },
  )
  assert.match(kcat.stdout, /Invalid request/i)

  const input = 'x\n'
  const consoleArgs = [
    '-c',
    `"$0" kafka-console-producer --bootstrap-server ${mirror.bootstrap} --topic orders 2>&1 || true`,
  ]
  const { peerScript } = await import('./support/peers.ts')
  const printed = await mustRun('bash', [...consoleArgs, peerScript('kafka-tool')], { input })
  assert.match(printed.stdout, /InvalidRequestException/)
  assert.match(printed.stdout, reason)

  const producer = kafkajsClient(mirror.bootstrap).producer()
  await producer.connect()
  t.after(() => producer.disconnect())
  await assert.rejects(producer.send({ topic: 'orders', messages: [{ value: 'x' }] }), { type: 'INVALID_REQUEST' })

  const sending = sendWithPlatformatic(platformaticProducer(t, mirror.bootstrap), 'orders', {
    codec: 'none',
    records: [{ key: 'k', value: 'x' }],
  })
  await assert.rejects(sending, (error: unknown) => /INVALID_REQUEST|apiCode: 42/.test(inspect(error, { depth: 8 })))
  const topic = JSON.parse(await mirror.mustCli('topic', 'describe', 'orders', '--json')) as {
    partitions: { high_watermark: number }[]
  }
  assert.equal(topic.partitions[0]?.high_watermark, 0, 'nothing was appended')
})
