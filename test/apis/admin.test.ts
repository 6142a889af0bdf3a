import assert from 'node:assert/strict'
import { test } from 'node:test'
import { CreateTopics } from '../../protocol/apis/create-topics.ts'
import { DeleteTopics } from '../../protocol/apis/delete-topics.ts'
import { DescribeCluster } from '../../protocol/apis/describe-cluster.ts'
import { DescribeConfigs } from '../../protocol/apis/describe-configs.ts'
import { DescribeTopicPartitions } from '../../protocol/apis/describe-topic-partitions.ts'
import { Metadata } from '../../protocol/apis/metadata.ts'
import { errorCodes, errorNameOf } from '../../protocol/errors.ts'
import { zeroUuid } from '../../protocol/schema.ts'
import { startTestBroker, versionsOf, type TestBroker } from '../support/broker.ts'
import { createTopicsRequest, metadataRequest } from '../support/requests.ts'

const none = errorCodes.NONE
const unknownId = 'AAAAAAAAAAAAAAAAAAAAAQ'

async function namesIn(broker: TestBroker): Promise<(string | null)[]> {
  const { topics } = await broker.send(Metadata, 9, metadataRequest(null))
  return topics.map(({ name }) => name)
}

for (const version of versionsOf(Metadata)) {
  test(`Metadata v${version} describes a topic with its leader, and the cluster`, async (t) => {
    const broker = await startTestBroker(t, { topics: { orders: 3 } })
    const response = await broker.send(Metadata, version, metadataRequest(['orders']))
    const [topic] = response.topics
    assert.equal(topic!.errorCode, none)
    assert.deepEqual(
      topic!.partitions.map(({ partitionIndex, leaderId }) => [partitionIndex, leaderId]),
      [
        [0, 1],
        [1, 1],
        [2, 1],
      ],
    )
    assert.deepEqual(
      response.brokers.map(({ nodeId, host, port }) => [nodeId, host, port]),
      [[1, 'broker.test', broker.broker.port]],
    )
    if (version >= 10) assert.equal(topic!.topicId, broker.broker.parts.topics.find('orders')!.image.topicId)
  })

  test(`T8: Metadata v${version} names a controller that is one of its brokers, and a cluster id`, async (t) => {
    const broker = await startTestBroker(t, { configs: { 'node.id': '7' } })
    const { brokers, controllerId, clusterId } = await broker.send(Metadata, version, metadataRequest([]))
    assert.deepEqual(
      brokers.map(({ nodeId }) => nodeId),
      [7],
    )
    if (version >= 1) assert.equal(controllerId, 7)
    if (version >= 2) assert.equal(clusterId, broker.broker.clusterId)
    assert.match(broker.broker.clusterId, /^[\w-]{22}$/)
  })

  test(`Metadata v${version} creates a missing topic where that is allowed`, async (t) => {
    const broker = await startTestBroker(t, { configs: { 'num.partitions': '2' } })
    if (version >= 4) {
      const refused = await broker.send(
        Metadata,
        version,
        metadataRequest(['fresh'], { allowAutoTopicCreation: false }),
      )
      assert.equal(refused.topics[0]!.errorCode, errorCodes.UNKNOWN_TOPIC_OR_PARTITION)
    }
    const response = await broker.send(Metadata, version, metadataRequest(['fresh']))
    assert.equal(response.topics[0]!.errorCode, none)
    assert.equal(response.topics[0]!.partitions.length, 2)
    const invalid = await broker.send(Metadata, version, metadataRequest(['no such/name']))
    assert.equal(invalid.topics[0]!.errorCode, errorCodes.INVALID_TOPIC_EXCEPTION)
  })

  test(`Metadata v${version} lists all topics for ${version === 0 ? 'an empty list' : 'null'}`, async (t) => {
    const broker = await startTestBroker(t, { topics: { a: 1, b: 1 } })
    const all = await broker.send(Metadata, version, metadataRequest(version === 0 ? [] : null))
    assert.deepEqual(
      all.topics.map(({ name }) => name),
      ['a', 'b'],
    )
    if (version > 0) assert.deepEqual((await broker.send(Metadata, version, metadataRequest([]))).topics, [])
  })
}

for (const version of [10, 11, 12, 13]) {
  test(`T11: Metadata v${version} ${version < 12 ? 'refuses' : 'answers'} topic ids`, async (t) => {
    const broker = await startTestBroker(t, { topics: { orders: 1 } })
    const { topicId } = broker.broker.parts.topics.find('orders')!.image
    const ask = (id: string) => broker.send(Metadata, version, metadataRequest([{ topicId: id }]))
    const known = (await ask(topicId)).topics[0]!
    const unknown = version < 12 ? undefined : (await ask(unknownId)).topics[0]!
    if (version < 12) assert.equal(known.errorCode, errorCodes.INVALID_REQUEST)
    else assert.deepEqual([known.errorCode, known.name], [none, 'orders'])
    if (unknown) assert.deepEqual([unknown.errorCode, unknown.name], [errorCodes.UNKNOWN_TOPIC_ID, null])
  })
}

test('T32: internal topics are listed as internal', async (t) => {
  const broker = await startTestBroker(t, { topics: { __consumer_offsets: 1, orders: 1 } })
  const { topics } = await broker.send(Metadata, 9, metadataRequest(null))
  assert.deepEqual(
    topics.map(({ name, isInternal }) => [name, isInternal]),
    [
      ['__consumer_offsets', true],
      ['orders', false],
    ],
  )
})

test('T32: asking for an internal topic never creates it: it comes whole, when it is needed', async (t) => {
  const broker = await startTestBroker(t)
  for (const name of ['__consumer_offsets', '__transaction_state']) {
    const { topics } = await broker.send(Metadata, 9, metadataRequest([name]))
    assert.deepEqual([topics[0]!.errorCode, topics[0]!.isInternal], [errorCodes.UNKNOWN_TOPIC_OR_PARTITION, true])
  }
  assert.deepEqual(await namesIn(broker), [])
})

for (const version of versionsOf(CreateTopics)) {
  test(`T22: a topic created with CreateTopics v${version} is in Metadata as soon as it is answered`, async (t) => {
    const broker = await startTestBroker(t)
    const request = createTopicsRequest('orders', { numPartitions: 3, configs: { 'cleanup.policy': 'compact' } })
    const { topics } = await broker.send(CreateTopics, version, request)
    assert.equal(topics[0]!.errorCode, none)
    assert.deepEqual(await namesIn(broker), ['orders'])
    if (version < 5) return
    assert.equal(topics[0]!.numPartitions, 3)
    const policy = topics[0]!.configs!.find(({ name }) => name === 'cleanup.policy')
    assert.deepEqual([policy!.value, policy!.configSource], ['compact', 1])
  })

  test(`CreateTopics v${version} that only validates creates nothing, and refuses with an array of configs`, async (t) => {
    const broker = await startTestBroker(t, { topics: { orders: 1 } })
    const valid = await broker.send(CreateTopics, version, createTopicsRequest('other', { validateOnly: true }))
    assert.equal(valid.topics[0]!.errorCode, none)
    const taken = await broker.send(CreateTopics, version, createTopicsRequest('orders', { validateOnly: true }))
    assert.equal(taken.topics[0]!.errorCode, errorCodes.TOPIC_ALREADY_EXISTS)
    if (version >= 5) assert.deepEqual(taken.topics[0]!.configs, [])
    assert.deepEqual(await namesIn(broker), ['orders'])
  })
}

const refusals: readonly [string, string, Parameters<typeof createTopicsRequest>[1]][] = [
  ['INVALID_TOPIC_EXCEPTION', 'a/b', {}],
  ['INVALID_TOPIC_EXCEPTION', '..', {}],
  ['INVALID_TOPIC_EXCEPTION', 'x'.repeat(250), {}],
  ['INVALID_TOPIC_EXCEPTION', 'a_b', {}], // collides with a.b
  ['TOPIC_ALREADY_EXISTS', 'a.b', {}],
  ['INVALID_PARTITIONS', 'new', { numPartitions: 0 }],
  ['INVALID_REPLICATION_FACTOR', 'new', { replicationFactor: 0 }],
  ['INVALID_REPLICATION_FACTOR', 'new', { replicationFactor: 3 }],
  ['INVALID_CONFIG', 'new', { configs: { 'no.such': '1' } }],
  ['INVALID_CONFIG', 'new', { configs: { 'retention.ms': 'x' } }],
  ['INVALID_CONFIG', 'new', { configs: { 'retention.ms': null } }],
  ['INVALID_REQUEST', 'new', { assignments: [[1]] }],
  ['INVALID_REPLICA_ASSIGNMENT', 'new', { assignments: [[5]], numPartitions: -1, replicationFactor: -1 }],
]
for (const [errorName, name, options] of refusals) {
  test(`CreateTopics of ${name.slice(0, 10)} with ${JSON.stringify(options)} is ${errorName}`, async (t) => {
    const broker = await startTestBroker(t, {
      topics: { 'a.b': 1 },
      configs: { 'titorelli.relaxed.replication.factor': 'false' },
    })
    const { topics } = await broker.send(CreateTopics, 7, createTopicsRequest(name, options))
    assert.equal(errorNameOf(topics[0]!.errorCode), errorName)
    assert(topics[0]!.errorMessage)
    assert.deepEqual(await namesIn(broker), ['a.b'])
  })
}

test('a name that is asked for twice in one request is refused once', async (t) => {
  const broker = await startTestBroker(t)
  const [topic] = createTopicsRequest('orders').topics
  const request = { ...createTopicsRequest('orders'), topics: [topic!, topic!] }
  const { topics } = await broker.send(CreateTopics, 7, request)
  assert.deepEqual(
    topics.map(({ errorCode }) => errorCode),
    [errorCodes.INVALID_REQUEST],
  )
})

test('T21: a replication factor above the number of brokers is lowered where the broker is relaxed', async (t) => {
  const broker = await startTestBroker(t)
  const { topics } = await broker.send(CreateTopics, 7, createTopicsRequest('orders', { replicationFactor: 3 }))
  assert.deepEqual([topics[0]!.errorCode, topics[0]!.replicationFactor], [none, 1])
})

for (const version of versionsOf(DeleteTopics)) {
  test(`DeleteTopics v${version} deletes, and its name is free at once`, async (t) => {
    const broker = await startTestBroker(t, { topics: { orders: 2, kept: 1 } })
    const remove = (name: string) =>
      broker.send(DeleteTopics, version, {
        topics: version >= 6 ? [{ name, topicId: zeroUuid }] : [],
        topicNames: version >= 6 ? [] : [name],
        timeoutMs: 1_000,
      })
    assert.equal((await remove('orders')).responses[0]!.errorCode, none)
    assert.deepEqual(await namesIn(broker), ['kept'])
    assert.equal((await remove('orders')).responses[0]!.errorCode, errorCodes.UNKNOWN_TOPIC_OR_PARTITION)
    const again = await broker.send(CreateTopics, 7, createTopicsRequest('orders'))
    assert.equal(again.topics[0]!.errorCode, none)
  })
}

test('DeleteTopics v6 deletes by id, and refuses what is named twice or not at all', async (t) => {
  const broker = await startTestBroker(t, { topics: { orders: 1, kept: 1 } })
  const idOf = (name: string) => broker.broker.parts.topics.find(name)!.image.topicId
  const topics = [
    { name: null, topicId: idOf('orders') },
    { name: null, topicId: unknownId },
    { name: null, topicId: zeroUuid },
    { name: 'kept', topicId: zeroUuid },
    { name: null, topicId: idOf('kept') },
  ]
  const { responses } = await broker.send(DeleteTopics, 6, { topics, topicNames: [], timeoutMs: 1_000 })
  assert.deepEqual(
    responses.map(({ errorCode, name }) => [errorNameOf(errorCode), name]),
    [
      ['NONE', 'orders'],
      ['UNKNOWN_TOPIC_ID', null],
      ['INVALID_REQUEST', null],
      ['INVALID_REQUEST', 'kept'],
    ],
  )
  assert.equal(responses[3]!.topicId, idOf('kept'), 'by name and by id: one answer, as in Kafka')
  assert.deepEqual(await namesIn(broker), ['kept'])
})

test('topics are not deleted where delete.topic.enable is false', async (t) => {
  const broker = await startTestBroker(t, { topics: { orders: 1 }, configs: { 'delete.topic.enable': 'false' } })
  for (const [version, expected] of [
    [1, errorCodes.INVALID_REQUEST],
    [3, errorCodes.TOPIC_DELETION_DISABLED],
  ] as const) {
    const request = { topics: [], topicNames: ['orders'], timeoutMs: 1_000 }
    const { responses } = await broker.send(DeleteTopics, version, request)
    assert.equal(responses[0]!.errorCode, expected)
  }
})

for (const version of versionsOf(DescribeConfigs)) {
  test(`DescribeConfigs v${version} shows values with their sources`, async (t) => {
    const broker = await startTestBroker(t, { configs: { 'log.retention.hours': '2' } })
    const configs = new Map([['cleanup.policy', 'compact']])
    await broker.broker.parts.topics.create({ name: 'orders', partitionCount: 1, configs })
    const ask = (resourceType: number, resourceName: string, configurationKeys: string[] | null = null) =>
      broker.send(DescribeConfigs, version, {
        resources: [{ resourceType, resourceName, configurationKeys }],
        includeSynonyms: true,
      })
    const topic = (await ask(2, 'orders', ['cleanup.policy', 'retention.ms'])).results[0]!
    assert.deepEqual(
      topic.configs.map(({ name, value, configSource, synonyms }) => [name, value, configSource, synonyms.length]),
      [
        ['cleanup.policy', 'compact', 1, 2],
        ['retention.ms', '7200000', 5, 0], // as Kafka: of the three names only the first counts as a source
      ],
    )
    const names = (await ask(4, '1')).results[0]!.configs.map(({ name }) => name)
    for (const name of ['default.replication.factor', 'delete.topic.enable', 'advertised.listeners', 'num.partitions'])
      assert(names.includes(name), name)
    assert.equal((await ask(2, 'missing')).results[0]!.errorCode, errorCodes.UNKNOWN_TOPIC_OR_PARTITION)
    assert.equal((await ask(4, '7')).results[0]!.errorCode, errorCodes.INVALID_REQUEST)
  })
}

for (const version of versionsOf(DescribeCluster)) {
  test(`DescribeCluster v${version} names the cluster and its brokers`, async (t) => {
    const broker = await startTestBroker(t)
    const response = await broker.send(DescribeCluster, version, {
      includeClusterAuthorizedOperations: true,
      includeFencedBrokers: false,
    })
    assert.deepEqual([response.errorCode, response.clusterId, response.controllerId], [0, broker.broker.clusterId, 1])
    assert.deepEqual(
      response.brokers.map(({ brokerId, port }) => [brokerId, port]),
      [[1, broker.broker.port]],
    )
    assert.equal(response.clusterAuthorizedOperations, 8096)
  })
}

test('a cursor at a topic that was not asked for is refused, for every topic that was', async (t) => {
  const broker = await startTestBroker(t, { topics: { a: 1, b: 1 } })
  const request = { topics: [{ name: 'a' }, { name: 'b' }], responsePartitionLimit: 10 }
  const answer = await broker.send(DescribeTopicPartitions, 0, {
    ...request,
    cursor: { topicName: 'aa', partitionIndex: 0 },
  })
  assert.deepEqual(
    answer.topics.map(({ errorCode }) => errorCode),
    [errorCodes.INVALID_REQUEST, errorCodes.INVALID_REQUEST],
  )
})

test('names beside ids do not count in Metadata', async (t) => {
  const broker = await startTestBroker(t, { topics: { a: 1 } })
  const { topicId } = broker.broker.parts.topics.find('a')!.image
  const answer = await broker.send(Metadata, 12, metadataRequest([{ topicId }, 'a', 'missing']))
  assert.deepEqual(
    answer.topics.map(({ name }) => name),
    ['a'],
  )
})

test('T18: DescribeTopicPartitions goes page by page, and its lists are never null', async (t) => {
  const broker = await startTestBroker(t, { topics: { b: 3, a: 2 } })
  const seen: [string | null, number][] = []
  let cursor: { topicName: string; partitionIndex: number } | null = null
  let pages = 0
  do {
    const response: Awaited<ReturnType<typeof ask>> = await ask(cursor)
    for (const { name, partitions } of response.topics) {
      for (const { partitionIndex, eligibleLeaderReplicas, lastKnownElr } of partitions) {
        assert.deepEqual([eligibleLeaderReplicas, lastKnownElr], [[], []])
        seen.push([name, partitionIndex])
      }
    }
    cursor = response.nextCursor
    pages++
  } while (cursor)
  assert.deepEqual(seen, [
    ['a', 0],
    ['a', 1],
    ['b', 0],
    ['b', 1],
    ['b', 2],
  ])
  assert.equal(pages, 3)
  function ask(from: typeof cursor) {
    return broker.send(DescribeTopicPartitions, 0, { topics: [], responsePartitionLimit: 2, cursor: from })
  }
})
