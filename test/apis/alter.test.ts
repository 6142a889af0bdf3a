import assert from 'node:assert/strict'
import { test } from 'node:test'
import { AlterConfigs } from '../../protocol/apis/alter-configs.ts'
import { CreatePartitions } from '../../protocol/apis/create-partitions.ts'
import { DeleteRecords } from '../../protocol/apis/delete-records.ts'
import { DescribeLogDirs } from '../../protocol/apis/describe-log-dirs.ts'
import { IncrementalAlterConfigs } from '../../protocol/apis/incremental-alter-configs.ts'
import { Produce } from '../../protocol/apis/produce.ts'
import { errorNameOf } from '../../protocol/errors.ts'
import { zeroUuid } from '../../protocol/schema.ts'
import { Mirror } from '../../protocol/state/mirror-records.ts'
import { record } from '../../src/metadata/metadata-store.ts'
import { startTestBroker, versionsOf, type TestBroker } from '../support/broker.ts'
import { produceRequest } from '../support/requests.ts'

const set = 0
const remove = 1
const append = 2
const subtract = 3

async function createMirror({ broker }: TestBroker): Promise<void> {
  const topicId = 'AAAAAAAAAAAAAAAAAAAABQ'
  const mirror = { topicId, linkId: topicId, sourceTopicName: 'orders', sourceTopicId: zeroUuid }
  await broker.parts.topics.create({
    name: 'mirror',
    topicId,
    partitionCount: 1,
    extraRecords: [record(Mirror, mirror)],
  })
}

function overridesOf({ broker }: TestBroker, topic = 'orders'): Record<string, string> {
  return Object.fromEntries(broker.parts.topics.find(topic)!.image.configs)
}

for (const version of versionsOf(CreatePartitions)) {
  test(`CreatePartitions v${version} adds partitions that can be produced to at once`, async (t) => {
    const broker = await startTestBroker(t, { topics: { orders: 1 } })
    await createMirror(broker)
    const ask = async (name: string, count: number, validateOnly = false) => {
      const request = { topics: [{ name, count, assignments: null }], timeoutMs: 1_000, validateOnly }
      const { results } = await broker.send(CreatePartitions, version, request)
      return errorNameOf(results[0]!.errorCode)
    }
    assert.equal(await ask('orders', 3, true), 'NONE')
    assert.equal(broker.broker.parts.topics.find('orders')!.partitions.length, 1)
    assert.equal(await ask('orders', 3), 'NONE')
    const { responses } = await broker.send(Produce, 9, produceRequest({ partition: 2 }))
    assert.equal(responses[0]!.partitionResponses[0]!.errorCode, 0)
    assert.equal(await ask('orders', 3), 'INVALID_PARTITIONS')
    assert.equal(await ask('orders', 2), 'INVALID_PARTITIONS')
    assert.equal(await ask('missing', 2), 'UNKNOWN_TOPIC_OR_PARTITION')
    assert.equal(await ask('mirror', 2), 'INVALID_REQUEST')
  })
}

for (const version of versionsOf(DeleteRecords)) {
  test(`DeleteRecords v${version} moves the log start, within the log only`, async (t) => {
    const broker = await startTestBroker(t, { topics: { orders: 1 } })
    await createMirror(broker)
    await broker.send(Produce, 9, produceRequest({ values: ['a', 'b', 'c'] }))
    const ask = async (name: string, offset: bigint) => {
      const topics = [{ name, partitions: [{ partitionIndex: 0, offset }] }]
      const response = await broker.send(DeleteRecords, version, { topics, timeoutMs: 1_000 })
      const { lowWatermark, errorCode } = response.topics[0]!.partitions[0]!
      return [errorNameOf(errorCode), lowWatermark]
    }
    assert.deepEqual(await ask('orders', 2n), ['NONE', 2n])
    assert.deepEqual(await ask('orders', 1n), ['NONE', 2n], 'deleted already')
    assert.deepEqual(await ask('orders', -2n), ['OFFSET_OUT_OF_RANGE', -1n])
    assert.deepEqual(await ask('orders', 4n), ['OFFSET_OUT_OF_RANGE', -1n])
    assert.deepEqual(await ask('orders', -1n), ['NONE', 3n])
    assert.deepEqual(await ask('mirror', 0n), ['INVALID_REQUEST', -1n])
  })
}

for (const version of versionsOf(IncrementalAlterConfigs)) {
  test(`IncrementalAlterConfigs v${version} sets, removes, and changes lists`, async (t) => {
    const broker = await startTestBroker(t, { topics: { orders: 1 } })
    const ask = async (name: string, configOperation: number, value: string | null, validateOnly = false) => {
      const resources = [{ resourceType: 2, resourceName: 'orders', configs: [{ name, configOperation, value }] }]
      const { responses } = await broker.send(IncrementalAlterConfigs, version, { resources, validateOnly })
      return errorNameOf(responses[0]!.errorCode)
    }
    assert.equal(await ask('retention.ms', set, '5000', true), 'NONE')
    assert.deepEqual(overridesOf(broker), {})
    assert.equal(await ask('retention.ms', set, '5000'), 'NONE')
    assert.equal(broker.broker.parts.topics.find('orders')!.config.retentionMs, 5_000n)
    assert.equal(await ask('cleanup.policy', append, 'compact'), 'NONE')
    assert.deepEqual(overridesOf(broker), { 'retention.ms': '5000', 'cleanup.policy': 'delete,compact' })
    assert.equal(await ask('cleanup.policy', subtract, 'delete'), 'NONE')
    assert.equal(await ask('retention.ms', remove, null), 'NONE')
    assert.deepEqual(overridesOf(broker), { 'cleanup.policy': 'compact' })
    assert.equal(await ask('retention.ms', append, '1'), 'INVALID_CONFIG')
    assert.equal(await ask('retention.ms', set, 'soon'), 'INVALID_CONFIG')
    assert.equal(await ask('no.such', set, '1'), 'INVALID_CONFIG')
    assert.equal(await ask('retention.ms', set, null), 'INVALID_REQUEST')
    assert.equal(await ask('retention.ms', 9, '1'), 'INVALID_REQUEST')
  })
}

test('configs that a mirror has from its source are refused by name', async (t) => {
  const broker = await startTestBroker(t)
  await createMirror(broker)
  const change = { name: 'cleanup.policy', configOperation: set, value: 'compact' }
  const resources = [{ resourceType: 2, resourceName: 'mirror', configs: [change] }]
  const { responses } = await broker.send(IncrementalAlterConfigs, 1, { resources, validateOnly: false })
  assert.equal(errorNameOf(responses[0]!.errorCode), 'INVALID_REQUEST')
  assert.equal(
    responses[0]!.errorMessage,
    "Cannot modify mirror topic mirror because 'cleanup.policy' are set to always sync",
  )
})

for (const version of versionsOf(AlterConfigs)) {
  test(`AlterConfigs v${version} replaces all configs`, async (t) => {
    const broker = await startTestBroker(t, { topics: { orders: 1 } })
    for (const [name, value] of [
      ['retention.ms', '5000'],
      ['cleanup.policy', 'compact'],
    ] as const) {
      const resources = [{ resourceType: 2, resourceName: 'orders', configs: [{ name, value }] }]
      const { responses } = await broker.send(AlterConfigs, version, { resources, validateOnly: false })
      assert.equal(responses[0]!.errorCode, 0)
      assert.deepEqual(overridesOf(broker), { [name]: value })
    }
  })
}

for (const version of versionsOf(DescribeLogDirs)) {
  test(`DescribeLogDirs v${version} tells the size of each partition`, async (t) => {
    const broker = await startTestBroker(t, { topics: { orders: 2, other: 1 } })
    await broker.send(Produce, 9, produceRequest({ values: ['a'] }))
    const { results } = await broker.send(DescribeLogDirs, version, { topics: [{ topic: 'orders', partitions: [0] }] })
    const [topic] = results[0]!.topics
    assert.equal(topic!.name, 'orders')
    assert.deepEqual(
      topic!.partitions.map(({ partitionIndex, partitionSize }) => [partitionIndex, partitionSize > 60n]),
      [[0, true]],
    )
    const all = await broker.send(DescribeLogDirs, version, { topics: null })
    assert.equal(all.results[0]!.topics.length, 2)
  })
}
