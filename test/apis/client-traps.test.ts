/**
 * What broke unmodified clients on other brokers that speak Kafka's protocol: one test for each, in the versions that
 * those clients use. The traps of transactions and quotas come with them.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ApiVersions } from '../../protocol/apis/api-versions.ts'
import { CreateTopics } from '../../protocol/apis/create-topics.ts'
import { DeleteRecords } from '../../protocol/apis/delete-records.ts'
import { DescribeConfigs } from '../../protocol/apis/describe-configs.ts'
import { DescribeTopicPartitions } from '../../protocol/apis/describe-topic-partitions.ts'
import { Fetch } from '../../protocol/apis/fetch.ts'
import { ListOffsets } from '../../protocol/apis/list-offsets.ts'
import { Metadata } from '../../protocol/apis/metadata.ts'
import { OffsetFetch } from '../../protocol/apis/offset-fetch.ts'
import { Produce } from '../../protocol/apis/produce.ts'
import { decodeResponse } from '../../protocol/compile.ts'
import { errorCodes } from '../../protocol/errors.ts'
import { splitBatches } from '../../protocol/records/batch.ts'
import { decodeRecords } from '../../protocol/records/record.ts'
import { Reader } from '../../protocol/reader.ts'
import { zeroUuid } from '../../protocol/schema.ts'
import { linkName, startMirrorPair, until, untilMirrored } from '../support/mirror.ts'
import { startTestBroker, versionsOf, type TestBroker } from '../support/broker.ts'
import { batchOf } from '../support/records.ts'
import {
  createTopicsRequest,
  fetchRequest,
  listOffsetsRequest,
  metadataRequest,
  produceRequest,
} from '../support/requests.ts'

async function recordsOf(broker: TestBroker, topic = 'orders') {
  const { responses } = await broker.send(Fetch, 11, fetchRequest({ topic }))
  const bytes = Buffer.concat(responses[0]!.partitions[0]!.records ?? [])
  return splitBatches(bytes).flatMap((batch) => decodeRecords(batch))
}

for (const version of versionsOf(CreateTopics).filter((number) => number >= 5)) {
  test(`CreateTopics v${version} answers configs as a list, which Java's admin client reads without asking`, async (t) => {
    const broker = await startTestBroker(t)
    const created = await broker.send(CreateTopics, version, createTopicsRequest('orders'))
    const [topic] = created.topics
    assert.equal(topic!.errorCode, errorCodes.NONE)
    assert.equal(topic!.topicConfigErrorCode ?? 0, errorCodes.NONE)
    assert(Array.isArray(topic!.configs) && topic!.configs.length > 0)
  })
}

test("DescribeTopicPartitions answers empty lists of eligible leaders, on which Java's describeTopics would else fail", async (t) => {
  const broker = await startTestBroker(t, { topics: { orders: 1 } })
  const request = { topics: [{ name: 'orders' }], responsePartitionLimit: 100, cursor: null }
  const { topics } = await broker.send(DescribeTopicPartitions, 0, request)
  const [partition] = topics[0]!.partitions
  assert.deepEqual([partition!.eligibleLeaderReplicas, partition!.lastKnownElr], [[], []])
})

test('bytes behind the end of a request are left alone: librdkafka 2.16 asks for all topics with three too many', async (t) => {
  const broker = await startTestBroker(t, { topics: { orders: 1 } })
  const client = await broker.connect()
  // Metadata v13, recorded: the null list of topics, two flags and the tagged fields end behind the fourth byte of its
  // body.
  const frame = Buffer.from('000000190003000d00000003000772646b61666b610000000000010000', 'hex')
  const answer = await client.exchange(frame)
  const response = decodeResponse(Metadata, 13, new Reader(answer, 5)) // 5: the correlation id, and no tagged fields
  assert.deepEqual(
    response.topics.map(({ name }) => name),
    ['orders'],
  )
})

for (const version of versionsOf(OffsetFetch)) {
  test(`OffsetFetch v${version} of a group that nobody knows answers -1, an empty text and no error`, async (t) => {
    const broker = await startTestBroker(t, { topics: { orders: 1 } })
    const { topicId } = broker.broker.parts.topics.find('orders')!.image
    const [name, partitionIndexes] = ['orders', [0]]
    const group = { groupId: 'nobody', memberId: null, memberEpoch: -1, topics: [{ name, topicId, partitionIndexes }] }
    const byName = { ...group, topics: [{ name, topicId: zeroUuid, partitionIndexes }] }
    const byId = { ...group, topics: [{ name: '', topicId, partitionIndexes }] }
    const asked =
      version < 8
        ? { groupId: 'nobody', topics: [{ name, partitionIndexes }], groups: [] }
        : { groupId: '', topics: [], groups: [version < 10 ? byName : byId] }
    const answer = await broker.send(OffsetFetch, version, { ...asked, requireStable: false })
    const found = version >= 8 ? answer.groups[0]! : answer
    assert.equal(found.errorCode ?? 0, errorCodes.NONE)
    const [partition] = found.topics[0]!.partitions
    assert.deepEqual(
      [partition!.committedOffset, partition!.metadata, partition!.errorCode],
      [-1n, '', errorCodes.NONE],
    )
  })
}

for (const version of [0, 1, 2, 3]) {
  test(`Metadata v${version}, which cannot say whether it wants the topic created, creates it`, async (t) => {
    const broker = await startTestBroker(t)
    const { topics } = await broker.send(Metadata, version, metadataRequest(['orders']))
    assert.equal(topics[0]!.errorCode, errorCodes.NONE)
    assert(broker.broker.parts.topics.find('orders'))
  })
}

test('ApiVersions advertises Produce from version 0 on, where old librdkafka and @platformatic/kafka look for it', async (t) => {
  const broker = await startTestBroker(t)
  const { apiKeys } = await broker.send(ApiVersions, 0, { clientSoftwareName: '', clientSoftwareVersion: '' })
  assert.equal(apiKeys.find(({ apiKey }) => apiKey === Produce.key)?.minVersion, 0)
})

test('the marker of an aborted transaction has a key and a value of 6 bytes, which kafkajs reads without asking', async (t) => {
  const pair = await startMirrorPair(t, { topics: { orders: 1 } })
  const { links, parts } = pair.mirror.broker
  await links.createMirror(linkName, { sourceTopicName: 'orders' })
  const { logs, topics } = pair.source.broker.parts
  const { log } = topics.find('orders')!.partitions[0]!
  const producer = { producerId: 77n, producerEpoch: 0, baseSequence: 0, isTransactional: true }
  const mode = { kind: 'assign', leaderEpoch: logs.view(log).leaderEpoch } as const
  const entry = { log, batches: splitBatches(batchOf(['a'], producer)), mode, origin: 'coordinator' } as const
  const [appended] = await logs.append([entry], { nowMs: BigInt(Date.now()) })
  assert(appended!.ok)
  await untilMirrored(pair)
  await links.changeMirrors(linkName, 'failover', { names: ['orders'] }, { validateOnly: false })
  await until('it is STOPPED', () => parts.topics.find('orders')!.image.mirror?.state === 'STOPPED')
  const marker = (await recordsOf(pair.mirror)).at(-1)!
  assert.deepEqual([marker.key?.length, marker.value?.length], [4, 6])
})

test('an empty key or value stays empty, and null stays null', async (t) => {
  const broker = await startTestBroker(t, { topics: { orders: 1 } })
  const records = [
    batchOf([], {
      records: [
        { key: '', value: '' },
        { key: null, value: null },
      ],
    }),
  ]
  await broker.send(Produce, 9, produceRequest({ records }))
  const [empty, none] = await recordsOf(broker)
  assert.deepEqual([empty!.key?.length, empty!.value?.length], [0, 0])
  assert.deepEqual([none!.key, none!.value], [null, null])
})

for (const name of ['a b', 'ö', '', '.', '..', 'x'.repeat(250)]) {
  test(`the topic name '${name.slice(0, 10)}' is refused with INVALID_TOPIC_EXCEPTION when it is created or asked for`, async (t) => {
    const broker = await startTestBroker(t)
    const created = await broker.send(CreateTopics, 5, createTopicsRequest(name))
    assert.equal(created.topics[0]!.errorCode, errorCodes.INVALID_TOPIC_EXCEPTION)
    const described = await broker.send(Metadata, 9, metadataRequest([name], { allowAutoTopicCreation: true }))
    assert.equal(described.topics[0]!.errorCode, errorCodes.INVALID_TOPIC_EXCEPTION)
  })
}

for (const version of versionsOf(Produce).filter((number) => number >= 8)) {
  test(`Produce v${version} names a record without a key on a compacted topic in its record errors`, async (t) => {
    const broker = await startTestBroker(t)
    const configs = new Map([['cleanup.policy', 'compact']])
    const { topicId } = await broker.broker.parts.topics.create({ name: 'orders', partitionCount: 1, configs })
    const records = [
      batchOf([], {
        records: [
          { key: 'k', value: 'a' },
          { key: null, value: 'b' },
        ],
      }),
    ]
    const named = version >= 13 ? { topic: '', topicId } : { topic: 'orders', topicId: zeroUuid }
    const { responses } = await broker.send(Produce, version, produceRequest({ ...named, records }))
    const [partition] = responses[0]!.partitionResponses
    assert.equal(partition!.errorCode, errorCodes.INVALID_RECORD)
    assert.deepEqual(
      partition!.recordErrors?.map(({ batchIndex }) => batchIndex),
      [1],
    )
    assert.equal(
      broker.broker.parts.logs.view(broker.broker.parts.topics.find('orders')!.partitions[0]!.log).highWatermark,
      0n,
    )
  })
}

test('CreateTopics that only validates creates nothing', async (t) => {
  const broker = await startTestBroker(t)
  const { topics } = await broker.send(CreateTopics, 5, createTopicsRequest('orders', { validateOnly: true }))
  assert.equal(topics[0]!.errorCode, errorCodes.NONE)
  assert.equal(broker.broker.parts.topics.find('orders'), undefined)
})

test('DeleteRecords answers OFFSET_OUT_OF_RANGE for an offset that no record has or will have', async (t) => {
  const broker = await startTestBroker(t, { topics: { orders: 1 } })
  await broker.send(Produce, 9, produceRequest({ values: ['a', 'b', 'c'] }))
  const deleteBefore = async (offset: bigint) => {
    const topics = [{ name: 'orders', partitions: [{ partitionIndex: 0, offset }] }]
    const answer = await broker.send(DeleteRecords, 2, { topics, timeoutMs: 1_000 })
    const { errorCode, lowWatermark } = answer.topics[0]!.partitions[0]!
    return [errorCode, lowWatermark]
  }
  assert.deepEqual(await deleteBefore(-2n), [errorCodes.OFFSET_OUT_OF_RANGE, -1n])
  assert.deepEqual(await deleteBefore(4n), [errorCodes.OFFSET_OUT_OF_RANGE, -1n])
  assert.deepEqual(await deleteBefore(2n), [errorCodes.NONE, 2n])
  assert.deepEqual(await deleteBefore(-1n), [errorCodes.NONE, 3n])
})

test('ListOffsets by time finds the first record at or after it, also in the middle of a batch', async (t) => {
  const broker = await startTestBroker(t, { topics: { orders: 1 } })
  const records = Array.from({ length: 20 }, (_, at) => ({
    key: null,
    value: `${at}`,
    timestampMs: 1_000n + BigInt(at),
  }))
  await broker.send(Produce, 9, produceRequest({ records: [batchOf([], { baseTimestampMs: 1_000n, records })] }))
  const { topics } = await broker.send(ListOffsets, 7, listOffsetsRequest(1_010n))
  const [partition] = topics[0]!.partitions
  assert.deepEqual([partition!.offset, partition!.timestamp], [10n, 1_010n])
})

test('DescribeConfigs of a broker has what kafkajs, kafka-python and @platformatic/kafka read, with synonyms', async (t) => {
  const broker = await startTestBroker(t, { configs: { 'num.partitions': '7' } })
  const names = ['advertised.listeners', 'num.partitions', 'default.replication.factor']
  const { results } = await broker.send(DescribeConfigs, 3, {
    resources: [{ resourceType: 4, resourceName: '1', configurationKeys: names }],
    includeSynonyms: true,
    includeDocumentation: false,
  })
  const configs = new Map(results[0]!.configs.map((config) => [config.name, config]))
  assert.deepEqual([...configs.keys()].toSorted(), names.toSorted())
  assert.equal(configs.get('num.partitions')!.value, '7')
  assert.deepEqual(
    configs.get('num.partitions')!.synonyms?.map(({ value }) => value),
    ['7', '1'],
  )
})
