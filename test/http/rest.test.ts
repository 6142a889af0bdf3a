/** REST v3 over real brokers in memory: what is written is read back, by HTTP and by Kafka. */
import assert from 'node:assert/strict'
import { test, type TestContext } from 'node:test'
import { JoinGroup } from '../../protocol/apis/join-group.ts'
import { OffsetCommit } from '../../protocol/apis/offset-commit.ts'
import { SyncGroup } from '../../protocol/apis/sync-group.ts'
import { encodeRecord } from '../../protocol/compile.ts'
import { zeroUuid } from '../../protocol/schema.ts'
import { ConsumerProtocolAssignment } from '../../protocol/state/consumer-protocol.ts'
import { Writer } from '../../protocol/writer.ts'
import { murmur2, partitionOfKey } from '../../src/http/partitioner.ts'
import { buildHttpApp } from '../../src/http/server.ts'
import { fromJson } from '../../src/json.ts'
import { readTopic, type TopicRecord } from '../../src/topics/records.ts'
import { startTestBroker, type TestBroker, type TestBrokerOptions } from '../support/broker.ts'

type Data = Readonly<Record<string, unknown>>
type Method = 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE'

interface World extends TestBroker {
  readonly clusterId: string
  /** Below the cluster. */
  readonly call: (method: Method, path: string, payload?: object) => Promise<{ status: number; body: Data }>
  /** The `data` of a list. */
  readonly list: (path: string) => Promise<readonly Data[]>
}

async function start(t: TestContext, options: TestBrokerOptions = {}): Promise<World> {
  const world = await startTestBroker(t, options)
  const app = buildHttpApp(world.broker.httpParts, new AbortController().signal)
  t.after(() => app.close())
  const { clusterId } = world.broker
  const call = async (method: Method, path: string, payload?: object) => {
    const url = `/kafka/v3/clusters/${clusterId}${path}`
    const { statusCode, body } = await app.inject({ method, url, ...(payload && { payload }) })
    return { status: statusCode, body: (body === '' ? {} : fromJson(body)) as Data }
  }
  const list = async (path: string) => {
    const { status, body } = await call('GET', path)
    assert.equal(status, 200, JSON.stringify(body))
    return body['data'] as readonly Data[]
  }
  return { ...world, clusterId, call, list }
}

function pick(data: Data | undefined, ...names: readonly string[]): unknown[] {
  return names.map((name) => data?.[name])
}

test('a topic is created with what the body says, grows, and is deleted', async (t) => {
  const { call, list, broker } = await start(t)
  const configs = [{ name: 'retention.ms', value: '1000' }]
  const created = await call('POST', '/topics', { topic_name: 'orders', partitions_count: 2, configs })
  assert.equal(created.status, 201)
  assert.deepEqual(pick(created.body, 'kind', 'topic_name', 'partitions_count', 'replication_factor'), [
    'KafkaTopic',
    'orders',
    2,
    1,
  ])
  assert.equal(broker.parts.topics.find('orders')?.config.retentionMs, 1_000n)
  const grown = await call('PATCH', '/topics/orders', { partitions_count: 5 })
  assert.deepEqual([grown.status, grown.body['partitions_count']], [200, 5])
  assert.equal((await list('/topics/orders/partitions')).length, 5)
  assert.equal((await call('DELETE', '/topics/orders')).status, 204)
  assert.deepEqual(await list('/topics'), [])
})

test('a topic that is only validated does not come into being', async (t) => {
  const { call, list } = await start(t)
  const { status, body } = await call('POST', '/topics', { topic_name: 'x', partitions_count: 3, validate_only: true })
  assert.deepEqual([status, body['topic_name'], body['partitions_count']], [200, 'x', 3])
  assert.deepEqual(await list('/topics'), [])
})

test('replicas go where the body assigns them', async (t) => {
  const { call, list } = await start(t, { brokerCount: 3 })
  const assignments = [
    { partition_id: 0, broker_ids: [2, 3] },
    { partition_id: 1, broker_ids: [3, 1] },
  ]
  const { status } = await call('POST', '/topics', { topic_name: 'x', replicas_assignments: assignments })
  assert.equal(status, 201)
  const replicas = await list('/topics/x/partitions/1/replicas')
  const shown = replicas.map((one) => pick(one, 'kind', 'broker_id', 'is_leader', 'is_in_sync'))
  assert.deepEqual(shown, [
    ['KafkaReplica', 3, true, true],
    ['KafkaReplica', 1, false, true],
  ])
  assert.deepEqual(
    pick((await call('GET', '/topics/x/partitions/1/replicas/1')).body, 'partition_id', 'broker_id'),
    [1, 1],
  )
  assert.equal((await call('GET', '/topics/x/partitions/1/replicas/2')).status, 404)
  const atBroker3 = await list('/brokers/3/partition-replicas')
  assert.deepEqual(
    atBroker3.map((one) => one['partition_id']),
    [0, 1],
  )
})

const refusals = [
  ['a name that is taken', 'POST', '/topics', { topic_name: 'orders' }, 400, 40002],
  ['a name that is none', 'POST', '/topics', { topic_name: 'a b' }, 400, 40002],
  ['a body without a name', 'POST', '/topics', {}, 400, 400],
  ['no partitions', 'POST', '/topics', { topic_name: 'x', partitions_count: 0 }, 400, 400],
  ['fewer partitions', 'PATCH', '/topics/orders', { partitions_count: 1 }, 400, 40002],
  ['an unknown topic to delete', 'DELETE', '/topics/nope', undefined, 404, 40403],
  ['an unknown topic to grow', 'PATCH', '/topics/nope', { partitions_count: 9 }, 404, 40403],
  ['an unknown topic to produce to', 'POST', '/topics/nope/records', {}, 404, 40403],
  ['an unknown partition to produce to', 'POST', '/topics/orders/records', { partition_id: 9 }, 404, 40403],
  ['data without a type', 'POST', '/topics/orders/records', { value: { data: 'x' } }, 400, 400],
  ['broken base64', 'POST', '/topics/orders/records', { value: { type: 'BINARY', data: '*' } }, 400, 400],
  ['a type of a schema', 'POST', '/topics/orders/records', { value: { type: 'AVRO', data: 'x' } }, 400, 400],
  ['a time that is none', 'POST', '/topics/orders/records', { timestamp: 'now' }, 400, 400],
  ['an unknown config', 'PUT', '/topics/orders/configs/nope', { value: '1' }, 400, 40002],
  ['a wrong value of a config', 'PUT', '/topics/orders/configs/retention.ms', { value: 'x' }, 400, 40002],
  ['configs of an unknown topic', 'GET', '/topics/nope/configs', undefined, 404, 40403],
  ['an unknown config to read', 'GET', '/topics/orders/configs/nope', undefined, 404, 404],
  ['an unknown config to reset', 'DELETE', '/topics/orders/configs/nope', undefined, 404, 404],
  ['configs of an unknown broker', 'GET', '/brokers/9/configs', undefined, 404, 404],
  ['an unknown broker', 'GET', '/brokers/9', undefined, 404, 404],
  ['an unknown group', 'GET', '/consumer-groups/nope', undefined, 404, 404],
  ['lags of an unknown group', 'GET', '/consumer-groups/nope/lags', undefined, 404, 404],
  ['an unknown group to delete', 'DELETE', '/consumer-groups/nope', undefined, 404, 404],
] as const

test('what is refused tells so with status and error code', async (t) => {
  const { call } = await start(t, { topics: { orders: 2 } })
  for (const [name, method, path, payload, status, errorCode] of refusals) {
    await t.test(`${method} with ${name} gets ${status} and ${errorCode}`, async () => {
      const answer = await call(method, path, payload)
      assert.deepEqual([answer.status, answer.body['error_code']], [status, errorCode], JSON.stringify(answer.body))
      assert.equal(typeof answer.body['message'], 'string')
    })
  }
})

test('configs of a topic are listed, set, reset, and changed together or not at all', async (t) => {
  const { call, list, clusterId } = await start(t, { topics: { orders: 1 } })
  assert.equal((await call('PUT', '/topics/orders/configs/retention.ms', { value: '5000' })).status, 204)
  const one = (await call('GET', '/topics/orders/configs/retention.ms')).body
  assert.deepEqual(pick(one, 'kind', 'cluster_id', 'topic_name', 'value', 'is_default', 'source'), [
    'KafkaTopicConfig',
    clusterId,
    'orders',
    '5000',
    false,
    'DYNAMIC_TOPIC_CONFIG',
  ])
  const [first] = one['synonyms'] as readonly Data[]
  assert.deepEqual(first, { name: 'retention.ms', value: '5000', source: 'DYNAMIC_TOPIC_CONFIG' })
  const data = [
    { name: 'cleanup.policy', value: 'compact' },
    { name: 'retention.ms', operation: 'DELETE' },
  ]
  assert.equal((await call('POST', '/topics/orders/configs:alter', { data, validate_only: true })).status, 204)
  assert.equal((await call('GET', '/topics/orders/configs/retention.ms')).body['value'], '5000')
  assert.equal((await call('POST', '/topics/orders/configs:alter', { data })).status, 204)
  const set = (await list('/topics/orders/configs')).filter((config) => !config['is_default'])
  assert.deepEqual(
    set.map((config) => pick(config, 'name', 'value')),
    [['cleanup.policy', 'compact']],
  )
  const broken = [
    { name: 'cleanup.policy', value: 'delete' },
    { name: 'retention.ms', value: 'x' },
  ]
  assert.equal((await call('POST', '/topics/orders/configs:alter', { data: broken })).status, 400)
  assert.equal((await call('GET', '/topics/orders/configs/cleanup.policy')).body['value'], 'compact')
  assert.equal((await call('DELETE', '/topics/orders/configs/cleanup.policy')).status, 204)
  assert.equal((await call('GET', '/topics/orders/configs/cleanup.policy')).body['is_default'], true)
  assert.ok((await list('/topics/-/configs')).every((config) => config['topic_name'] === 'orders'))
})

test('configs of one broker and of all are their own', async (t) => {
  const { call, list } = await start(t, { brokerCount: 2 })
  assert.deepEqual(await list('/broker-configs'), [])
  assert.equal((await call('PUT', '/broker-configs/log.retention.ms', { value: '7000' })).status, 204)
  const [all] = await list('/broker-configs')
  assert.deepEqual(pick(all, 'kind', 'config_type', 'name', 'value', 'source'), [
    'KafkaClusterConfig',
    'BROKER',
    'log.retention.ms',
    '7000',
    'DYNAMIC_DEFAULT_BROKER_CONFIG',
  ])
  const data = [{ name: 'log.retention.ms', value: '9000' }]
  assert.equal((await call('POST', '/brokers/2/configs:alter', { data })).status, 204)
  const values = await Promise.all(
    [1, 2].map(async (id) => (await call('GET', `/brokers/${id}/configs/log.retention.ms`)).body),
  )
  assert.deepEqual(
    values.map((config) => pick(config, 'kind', 'broker_id', 'value', 'source')),
    [
      ['KafkaBrokerConfig', 1, '7000', 'DYNAMIC_DEFAULT_BROKER_CONFIG'],
      ['KafkaBrokerConfig', 2, '9000', 'DYNAMIC_BROKER_CONFIG'],
    ],
  )
})

test('all brokers of the process are listed, with host, port and links', async (t) => {
  const { call, list, broker, clusterId } = await start(t, { brokerCount: 3 })
  const brokers = await list('/brokers')
  assert.deepEqual(
    brokers.map((one) => pick(one, 'kind', 'broker_id', 'host', 'port', 'rack')),
    [1, 2, 3].map((id, at) => ['KafkaBroker', id, 'broker.test', broker.ports[at], null]),
  )
  const { body } = await call('GET', '/brokers/2')
  assert.deepEqual(body['configs'], {
    related: `http://localhost:80/kafka/v3/clusters/${clusterId}/brokers/2/configs`,
  })
})

test('records are produced as binary, string and JSON, with key, headers and time, and read back', async (t) => {
  const { call, broker, clusterId } = await start(t, { topics: { orders: 3 } })
  const produced = await call('POST', '/topics/orders/records', {
    partition_id: 1,
    headers: [
      { name: 'h', value: 'AQI=' },
      { name: 'n', value: null },
    ],
    key: { type: 'BINARY', data: '/w==' },
    value: { type: 'JSON', data: { a: [1, null] } },
    timestamp: '2026-01-02T03:04:05.678Z',
  })
  assert.deepEqual(
    [produced.status, produced.body],
    [
      200,
      {
        error_code: 200,
        cluster_id: clusterId,
        topic_name: 'orders',
        partition_id: 1,
        offset: 0,
        timestamp: '2026-01-02T03:04:05.678Z',
        key: { type: 'BINARY', size: 1 },
        value: { type: 'JSON', size: 14 },
      },
    ],
  )
  const next = await call('POST', '/topics/orders/records', { partition_id: 1, value: { type: 'STRING', data: 'é' } })
  assert.deepEqual(pick(next.body, 'offset', 'key', 'value'), [1, undefined, { type: 'STRING', size: 2 }])
  const tombstone = await call('POST', '/topics/orders/records', { partition_id: 1 })
  assert.equal(tombstone.body['offset'], 2)
  const { logs, deadlines, memory, environment, topics } = broker.parts
  const reading = { logs, deadlines, memory, clock: environment.clock }
  const found: TopicRecord[] = []
  for await (const record of readTopic(reading, topics.find('orders')!, { signal: new AbortController().signal }))
    found.push(record)
  const text = (bytes: Uint8Array | null) => bytes && Buffer.from(bytes).toString()
  assert.deepEqual(
    found.map(({ partition, value }) => [partition, text(value)]),
    [
      [1, '{"a":[1,null]}'],
      [1, 'é'],
      [1, null],
    ],
  )
  assert.deepEqual([...found[0]!.key!], [255])
})

test('a key chooses its partition as in Java clients, and what has none takes turns', async (t) => {
  const { call } = await start(t, { topics: { orders: 4 } })
  const key = { type: 'STRING', data: 'abc' }
  const [a, b] = [
    await call('POST', '/topics/orders/records', { key }),
    await call('POST', '/topics/orders/records', { key }),
  ]
  assert.equal(a.body['partition_id'], partitionOfKey(Buffer.from('abc'), 4))
  assert.equal(b.body['partition_id'], a.body['partition_id'])
  const turns: unknown[] = []
  for (let at = 0; at < 4; at++) turns.push((await call('POST', '/topics/orders/records', {})).body['partition_id'])
  assert.deepEqual(new Set(turns), new Set([0, 1, 2, 3]))
})

/** From the tests of Kafka's own clients. */
for (const [text, hash] of [
  ['21', -973932308],
  ['foobar', -790332482],
  ['a-little-bit-long-string', -985981536],
  ['a-little-bit-longer-string', -1486304829],
  ['lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8', -58897971],
  ['abc', 479470107],
] as const) {
  test(`the hash of '${text}' is the one of Java clients`, () => {
    assert.equal(murmur2(Buffer.from(text)), hash)
  })
}

/** A group with one member that reads orders-0, and offsets committed for both partitions of orders. */
async function startGroup(
  t: TestContext,
): Promise<World & { readonly memberId: string; readonly coordinator: number }> {
  const world = await start(t, { topics: { orders: 2 }, brokerCount: 3 })
  const groupId = 'shop 1'
  const coordinator = world.broker.parts.groupCoordinators.brokerOf(groupId)!
  const client = await world.connect(coordinator)
  const joined = await client.send(JoinGroup, 3, {
    groupId,
    sessionTimeoutMs: 10_000,
    rebalanceTimeoutMs: 10_000,
    memberId: '',
    protocolType: 'consumer',
    protocols: [{ name: 'range', metadata: new Uint8Array() }],
  })
  const { memberId, generationId } = joined
  const writer = new Writer()
  writer.int16(0)
  encodeRecord(ConsumerProtocolAssignment, 0, { assignedPartitions: [{ topic: 'orders', partitions: [0] }] }, writer)
  const assignments = [{ memberId, assignment: Buffer.concat(writer.chunks()) }]
  await client.send(SyncGroup, 2, { groupId, generationId, memberId, assignments })
  const partitions = [0, 1].map((partitionIndex) => ({
    partitionIndex,
    committedOffset: partitionIndex === 0 ? 1n : 0n,
    committedMetadata: null,
  }))
  const topics = [{ name: 'orders', topicId: zeroUuid, partitions }]
  await client.send(OffsetCommit, 8, { groupId, generationIdOrMemberEpoch: generationId, memberId, topics })
  for (let count = 0; count < 4; count++) await world.call('POST', '/topics/orders/records', { partition_id: 0 })
  await world.call('POST', '/topics/orders/records', { partition_id: 1 })
  return { ...world, memberId, coordinator }
}

test('a group is shown with its state, its members, and what they read', async (t) => {
  const { call, list, memberId, coordinator, clusterId } = await startGroup(t)
  const base = `http://localhost:80/kafka/v3/clusters/${clusterId}`
  const [group] = await list('/consumer-groups')
  assert.deepEqual(group, (await call('GET', '/consumer-groups/shop%201')).body)
  assert.deepEqual(
    pick(group, 'kind', 'consumer_group_id', 'state', 'is_simple', 'partition_assignor', 'coordinator'),
    ['KafkaConsumerGroup', 'shop 1', 'STABLE', false, 'range', { related: `${base}/brokers/${coordinator}` }],
  )
  const [consumer] = await list('/consumer-groups/shop%201/consumers')
  assert.deepEqual(pick(consumer, 'kind', 'consumer_id', 'client_id', 'instance_id'), [
    'KafkaConsumer',
    memberId,
    'test',
    null,
  ])
  assert.equal((await call('GET', `/consumer-groups/shop%201/consumers/${memberId}`)).status, 200)
  assert.equal((await call('GET', '/consumer-groups/shop%201/consumers/nobody')).status, 404)
  const assigned = await list(`/consumer-groups/shop%201/consumers/${memberId}/assignments`)
  assert.deepEqual(
    assigned.map((one) => pick(one, 'topic_name', 'partition_id')),
    [['orders', 0]],
  )
})

test('lags of a group are shown by partition, with who reads it, and in sum', async (t) => {
  const { call, list, memberId } = await startGroup(t)
  const lags = await list('/consumer-groups/shop%201/lags')
  const fields = ['topic_name', 'partition_id', 'current_offset', 'log_end_offset', 'lag', 'consumer_id'] as const
  assert.deepEqual(
    lags.map((one) => pick(one, ...fields)),
    [
      ['orders', 0, 1, 4, 3, memberId],
      ['orders', 1, 0, 1, 1, ''],
    ],
  )
  assert.deepEqual((await call('GET', '/consumer-groups/shop%201/lags/orders/partitions/1')).body, lags[1])
  assert.equal((await call('GET', '/consumer-groups/shop%201/lags/orders/partitions/2')).status, 404)
  const { body } = await call('GET', '/consumer-groups/shop%201/lag-summary')
  const summary = ['max_lag', 'total_lag', 'max_lag_topic_name', 'max_lag_partition_id', 'max_lag_consumer_id']
  assert.deepEqual(pick(body, ...summary), [3, 4, 'orders', 0, memberId])
})

test('a group with members is not deleted', async (t) => {
  const { call } = await startGroup(t)
  const { status, body } = await call('DELETE', '/consumer-groups/shop%201')
  assert.deepEqual([status, body['error_code']], [400, 40002])
})

test("a number or a text that Kafka's protocol can't carry is the sender's mistake, not the broker's", async (t) => {
  const { call, log } = await start(t, { topics: { orders: 1 } })
  const requests: readonly (readonly [Method, string, object])[] = [
    ['PATCH', '/topics/orders', { partitions_count: 1e308 }],
    ['POST', '/topics', { topic_name: 'new', partitions_count: 2 ** 31 }],
    ['POST', '/topics', { topic_name: 'new', replication_factor: 65_537 }],
    ['POST', '/topics/orders/records', { partition_id: 2 ** 32 }],
    ['PUT', '/topics/orders/configs/retention.ms', { value: '1'.repeat(40_000) }],
    ['PUT', '/broker-configs/nothing', { value: 'x'.repeat(40_000) }],
  ]
  for (const [method, path, body] of requests) {
    const { status } = await call(method, path, body)
    assert.equal(status, 400, `${method} ${path} ${JSON.stringify(body).slice(0, 100)}`)
  }
  assert.deepEqual(
    log.filter(({ level }) => level === 'error'),
    [],
  )
})

/** The addresses of all `self` and `related` links in an answer. */
function linksIn(data: unknown): string[] {
  if (typeof data !== 'object' || data === null) return []
  return Object.entries(data).flatMap(([name, value]) =>
    (name === 'self' || name === 'related') && typeof value === 'string' ? [value] : linksIn(value),
  )
}

test('every link of every answer leads somewhere: all are followed, from the cluster on', async (t) => {
  const { call, clusterId } = await startGroup(t)
  const waiting = ['']
  const statuses = new Map<string, number>()
  for (const path of waiting) {
    const { status, body } = await call('GET', path)
    statuses.set(path, status)
    for (const link of linksIn(body)) {
      const next = link.slice(link.indexOf(clusterId) + clusterId.length)
      if (!waiting.includes(next) && !next.startsWith('/topics/__')) waiting.push(next)
    }
  }
  assert(waiting.includes('/topics/orders/partitions/1/replicas/2'), waiting.join(' '))
  const refused = [...statuses].filter(([, status]) => status !== 200).map(([path, status]) => `${status} ${path}`)
  assert.deepEqual(refused.toSorted(), [
    '400 /acls',
    '404 /topics/orders/partitions/0/reassignment',
    '404 /topics/orders/partitions/1/reassignment',
  ])
})

test('a reassignment is none, and ACLs need an authorizer, as Kafka says it', async (t) => {
  const { call, list } = await start(t, { topics: { orders: 1 } })
  assert.deepEqual(await list('/topics/-/partitions/-/reassignment'), [])
  assert.deepEqual(await list('/topics/orders/partitions/-/reassignment'), [])
  assert.equal((await call('GET', '/topics/nope/partitions/-/reassignment')).body['error_code'], 40403)
  assert.equal((await call('GET', '/topics/orders/partitions/9/reassignment')).body['error_code'], 40403)
  const one = await call('GET', '/topics/orders/partitions/0/reassignment')
  assert.deepEqual(one.body, { error_code: 404, message: 'orders-0 is not being reassigned' })
  const acls = await call('GET', '/acls')
  assert.deepEqual([acls.status, acls.body], [400, { error_code: 40002, message: 'No Authorizer is configured.' }])
})
