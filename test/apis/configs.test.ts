import assert from 'node:assert/strict'
import { test } from 'node:test'
import { AlterConfigs } from '../../protocol/apis/alter-configs.ts'
import { DescribeConfigs } from '../../protocol/apis/describe-configs.ts'
import { IncrementalAlterConfigs } from '../../protocol/apis/incremental-alter-configs.ts'
import { ListConfigResources } from '../../protocol/apis/list-config-resources.ts'
import { Produce } from '../../protocol/apis/produce.ts'
import { errorNameOf } from '../../protocol/errors.ts'
import { MemoryDisk } from '../../storage/memory-disk.ts'
import { alterLoggers, describeLoggers } from '../../src/apis/broker-loggers.ts'
import { brokerConfigs } from '../../src/config/broker-configs.ts'
import { groupConfigs } from '../../src/config/group-configs.ts'
import { topicConfigs } from '../../src/config/topic-configs.ts'
import { silentLogger } from '../../src/environment/logger.ts'
import { nodeClock } from '../../src/environment/node-clock.ts'
import { startTestBroker, type TestBroker } from '../support/broker.ts'
import { produceRequest } from '../support/requests.ts'

const types = { topic: 2, broker: 4, logger: 8, clientMetrics: 16, group: 32 } as const
const [set, remove] = [0, 1]
const longMax = '9223372036854775807'

interface Target {
  readonly type: number
  readonly name: string
}

/** Sets values; null removes. Returns the name of the error. */
async function alter(broker: TestBroker, target: Target, values: Readonly<Record<string, string | null>>) {
  const configs = Object.entries(values).map(([name, value]) => ({
    name,
    configOperation: value === null ? remove : set,
    value,
  }))
  const resources = [{ resourceType: target.type, resourceName: target.name, configs }]
  const { responses } = await broker.send(IncrementalAlterConfigs, 1, { resources, validateOnly: false })
  return errorNameOf(responses[0]!.errorCode)
}

async function describe(broker: TestBroker, { type, name }: Target) {
  const resources = [{ resourceType: type, resourceName: name, configurationKeys: null }]
  const request = { resources, includeSynonyms: true, includeDocumentation: true }
  const [result] = (await broker.send(DescribeConfigs, 4, request)).results
  assert.equal(result!.errorCode, 0)
  return new Map(result!.configs.map((config) => [config.name, config]))
}

async function shown(broker: TestBroker, target: Target, config: string) {
  const { value, configSource } = (await describe(broker, target)).get(config)!
  return [value, configSource]
}

const orders = { type: types.topic, name: 'orders' }
const allBrokers = { type: types.broker, name: '' }
const oneBroker = { type: types.broker, name: '1' }

test('a default that is set for all brokers holds for topics at once, and after a restart', async (t) => {
  const disk = new MemoryDisk((run) => nodeClock.defer(run))
  const broker = await startTestBroker(t, { disk, topics: { orders: 1 } })
  const limitOf = ({ broker: { parts } }: TestBroker) => parts.topics.find('orders')!.config.maxMessageBytes
  assert.equal(await alter(broker, allBrokers, { 'message.max.bytes': '100' }), 'NONE')
  assert.deepEqual(await shown(broker, orders, 'max.message.bytes'), ['100', 3])
  const large = produceRequest({ values: ['x'.repeat(200)] })
  const codeOf = async () => (await broker.send(Produce, 9, large)).responses[0]!.partitionResponses[0]!.errorCode
  assert.equal(errorNameOf(await codeOf()), 'MESSAGE_TOO_LARGE')
  await alter(broker, oneBroker, { 'message.max.bytes': '5000' })
  assert.deepEqual(await shown(broker, orders, 'max.message.bytes'), ['5000', 2], 'one broker wins over all')
  assert.equal(await codeOf(), 0)
  await broker.broker.stop()
  const again = await startTestBroker(t, { disk })
  assert.equal(limitOf(again), 5000)
  await alter(again, oneBroker, { 'message.max.bytes': null })
  await alter(again, allBrokers, { 'message.max.bytes': null })
  assert.deepEqual(await shown(again, orders, 'max.message.bytes'), ['1048588', 5])
  assert.equal(limitOf(again), 1_048_588)
})

test('what is set for brokers and is no default of topics holds from the next start on', async (t) => {
  const disk = new MemoryDisk((run) => nodeClock.defer(run))
  const broker = await startTestBroker(t, { disk })
  assert.equal(await alter(broker, allBrokers, { 'max.connections': '77' }), 'NONE')
  assert.deepEqual(await shown(broker, oneBroker, 'max.connections'), ['77', 3])
  await broker.broker.stop()
  const again = await startTestBroker(t, { disk })
  assert.equal(again.broker.parts.config.maxConnections, 77)
  assert.deepEqual(await shown(again, oneBroker, 'max.connections'), ['77', 3])
})

test('configs of brokers that only a restart could change are refused', async (t) => {
  const broker = await startTestBroker(t)
  assert.equal(await alter(broker, oneBroker, { 'num.partitions': '3' }), 'INVALID_REQUEST')
  assert.equal(await alter(broker, allBrokers, { listeners: 'PLAINTEXT://:1' }), 'INVALID_REQUEST')
  assert.equal(await alter(broker, oneBroker, { 'log.cleaner.threads': 'many' }), 'INVALID_REQUEST')
  assert.equal(
    await alter(broker, { type: types.broker, name: '9' }, { 'log.cleaner.threads': '2' }),
    'INVALID_REQUEST',
  )
  assert.equal((await describe(broker, allBrokers)).size, 0)
})

test('a config that nothing knows is kept, and its value is not shown', async (t) => {
  const broker = await startTestBroker(t)
  assert.equal(await alter(broker, allBrokers, { 'my.plugin.password': 'secret' }), 'NONE')
  const config = (await describe(broker, allBrokers)).get('my.plugin.password')!
  assert.deepEqual([config.value, config.isSensitive], [null, true])
})

test('every config of a topic, a broker and a group is listed', async (t) => {
  const broker = await startTestBroker(t, { topics: { orders: 1 } })
  const namesOf = async (target: Target) => [...(await describe(broker, target)).keys()]
  assert.deepEqual(await namesOf(orders), Object.keys(topicConfigs).toSorted())
  assert.deepEqual(await namesOf(oneBroker), Object.keys(brokerConfigs).toSorted())
  assert.deepEqual(await namesOf({ type: types.group, name: 'g' }), Object.keys(groupConfigs).toSorted())
})

test('T19: what tools read of a broker is there, and its addresses are those that clients get', async (t) => {
  const broker = await startTestBroker(t)
  const configs = await describe(broker, oneBroker)
  for (const name of ['default.replication.factor', 'delete.topic.enable', 'authorizer.class.name', 'num.partitions'])
    assert(configs.has(name), name)
  assert.equal(configs.get('advertised.listeners')!.value, `PLAINTEXT://broker.test:${broker.broker.port}`)
  assert.equal(configs.get('broker.id')!.value, '1')
})

test('T19: cleanup.policy reads back exactly as it was set', async (t) => {
  const broker = await startTestBroker(t, { topics: { orders: 1 } })
  await alter(broker, orders, { 'cleanup.policy': 'compact' })
  assert.deepEqual(await shown(broker, orders, 'cleanup.policy'), ['compact', 1])
})

test('T20: after AlterConfigs everything that it does not name is at its default again', async (t) => {
  const broker = await startTestBroker(t, { topics: { orders: 1 } })
  await alter(broker, orders, { 'retention.ms': '1', 'segment.ms': '2' })
  const configs = [{ name: 'segment.ms', value: '3' }]
  const resources = [{ resourceType: types.topic, resourceName: 'orders', configs }]
  await broker.send(AlterConfigs, 2, { resources, validateOnly: false })
  const own = [...(await describe(broker, orders)).values()].filter(({ configSource }) => configSource !== 5)
  assert.deepEqual(
    own.map(({ name, value }) => [name, value]),
    [['segment.ms', '3']],
  )
})

test('T28: durations up to the largest int64 are kept as they are, and nothing overflows', async (t) => {
  const broker = await startTestBroker(t, { topics: { orders: 1 } })
  const names = Object.entries(topicConfigs).filter(([, row]) => row.type === 'LONG' && !('max' in row))
  const values = Object.fromEntries(
    names
      .map(([name]) => name)
      .filter((name) => name !== 'min.compaction.lag.ms')
      .map((name) => [name, longMax]),
  )
  assert.equal(await alter(broker, orders, values), 'NONE')
  for (const name of Object.keys(values)) assert.deepEqual(await shown(broker, orders, name), [longMax, 1], name)
  const { responses } = await broker.send(Produce, 9, produceRequest())
  assert.equal(responses[0]!.partitionResponses[0]!.errorCode, 0)
  await broker.broker.parts.logs.housekeep(BigInt(Date.now()))
  assert.equal(await alter(broker, orders, { 'retention.ms': '9223372036854775808' }), 'INVALID_CONFIG')
})

test('configs of groups and client metrics are kept within their bounds, and listed while there are some', async (t) => {
  const broker = await startTestBroker(t)
  const group = { type: types.group, name: 'g' }
  const metrics = { type: types.clientMetrics, name: 'm' }
  assert.equal(await alter(broker, group, { 'consumer.session.timeout.ms': '46000' }), 'NONE')
  assert.equal(await alter(broker, group, { 'consumer.session.timeout.ms': '1' }), 'INVALID_CONFIG')
  assert.equal(await alter(broker, group, { 'no.such': '1' }), 'INVALID_CONFIG')
  assert.deepEqual(await shown(broker, group, 'consumer.session.timeout.ms'), ['46000', 8])
  assert.equal(await alter(broker, metrics, { 'interval.ms': '1000', match: 'client_id=a.*' }), 'NONE')
  assert.equal(await alter(broker, metrics, { 'interval.ms': '7' }), 'INVALID_REQUEST')
  assert.equal(await alter(broker, metrics, { match: 'colour=red' }), 'INVALID_CONFIG')
  assert.deepEqual(await shown(broker, metrics, 'interval.ms'), ['1000', 7])
  const list = async () =>
    (await broker.send(ListConfigResources, 1, { resourceTypes: [16, 32] })).configResources.map(
      ({ resourceName }) => resourceName,
    )
  assert.deepEqual(await list(), ['m', 'g'])
  await alter(broker, metrics, { 'interval.ms': null, match: null })
  await alter(broker, group, { 'consumer.session.timeout.ms': null })
  assert.deepEqual(await list(), [])
})

test('a resource that is named twice in one request is refused each time', async (t) => {
  const broker = await startTestBroker(t, { topics: { orders: 1 } })
  const configs = [{ name: 'retention.ms', configOperation: set, value: '1' }]
  const resource = { resourceType: types.topic, resourceName: 'orders', configs }
  const { responses } = await broker.send(IncrementalAlterConfigs, 1, {
    resources: [resource, resource],
    validateOnly: false,
  })
  assert.deepEqual(
    responses.map(({ errorCode }) => errorNameOf(errorCode)),
    ['INVALID_REQUEST', 'INVALID_REQUEST'],
  )
})

test('the level of the root logger changes while the broker runs', async (t) => {
  const { broker } = await startTestBroker(t)
  const logger = { ...silentLogger, level: 'info' }
  const parts = { ...broker.parts, environment: { ...broker.parts.environment, logger } }
  const change = (value: string | null, validateOnly = false, operation = set) =>
    alterLoggers('1', [{ name: 'root', configOperation: operation, value }], { validateOnly, broker: parts })
  change('DEBUG', true)
  assert.equal(logger.level, 'info')
  change('DEBUG')
  assert.equal(logger.level, 'debug')
  assert.equal(describeLoggers('1', parts)[0]!.value, 'DEBUG')
  assert.throws(() => change('LOUD'), { errorName: 'INVALID_CONFIG' })
  assert.throws(() => change(null, false, remove), { errorName: 'INVALID_REQUEST' })
  assert.throws(() => describeLoggers('2', parts), { errorName: 'INVALID_REQUEST' })
  assert.deepEqual(describeLoggers('1', broker.parts), [], 'a logger without a level is not listed')
})

test('of changes that are made at the same time none is lost', async (t) => {
  const broker = await startTestBroker(t, { topics: { orders: 1 } })
  const names = ['retention.ms', 'segment.ms', 'delete.retention.ms', 'flush.ms']
  await Promise.all(names.map((name) => alter(broker, orders, { [name]: '12345' })))
  const overrides = broker.broker.parts.topics.find('orders')!.image.configs
  assert.deepEqual([...overrides.keys()].toSorted(), names.toSorted())
  const append = (value: string) => {
    const configs = [{ name: 'log.cleanup.policy', configOperation: 2, value }]
    const resources = [{ resourceType: types.broker, resourceName: '', configs }]
    return broker.send(IncrementalAlterConfigs, 1, { resources, validateOnly: false })
  }
  await Promise.all([append('compact'), alter(broker, allBrokers, { 'log.retention.ms': '7' }), append('delete')])
  assert.deepEqual(await shown(broker, orders, 'cleanup.policy'), ['delete,compact', 3])
  assert.equal((await describe(broker, allBrokers)).size, 2)
})
