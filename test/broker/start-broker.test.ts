import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ApiVersions } from '../../protocol/apis/api-versions.ts'
import { Produce } from '../../protocol/apis/produce.ts'
import { zeroUuid } from '../../protocol/schema.ts'
import { nodeNetwork } from '../../src/environment/node-network.ts'
import { silentLogger } from '../../src/environment/logger.ts'
import { startBroker, type EmbeddedBroker } from '../../src/index.ts'
import { TestClient } from '../support/broker.ts'
import { batchOf } from '../support/records.ts'

const network = nodeNetwork(silentLogger)

async function connect(broker: EmbeddedBroker): Promise<TestClient> {
  const [host, port] = broker.bootstrapServers.split(':')
  return new TestClient(await network.connect({ host: host!, port: Number(port) }, { timeoutMs: 1_000 }))
}

async function produce(broker: EmbeddedBroker, topic: string, values: readonly string[]): Promise<void> {
  const client = await connect(broker)
  const partitionData = [{ index: 0, records: [batchOf(values)] }]
  const topicData = [{ name: topic, topicId: zeroUuid, partitionData }]
  const { responses } = await client.send(Produce, 9, { acks: -1, timeoutMs: 1_000, topicData })
  assert.equal(responses[0]!.partitionResponses[0]!.errorCode, 0)
  client.close()
}

test('an embedded broker yields the decoded records of a topic', async () => {
  await using broker = await startBroker({ topics: ['orders'] })
  await produce(broker, 'orders', ['a', 'b'])
  await produce(broker, 'orders', ['c'])
  const seen: [bigint, string][] = []
  for await (const { offset, value } of broker.records('orders')) seen.push([offset, Buffer.from(value!).toString()])
  assert.deepEqual(seen, [
    [0n, 'a'],
    [1n, 'b'],
    [2n, 'c'],
  ])
})

test('records that are followed go on with what is produced later', async () => {
  await using broker = await startBroker({ topics: ['orders'] })
  const iterator = broker.records('orders', { follow: true })[Symbol.asyncIterator]()
  const next = iterator.next()
  await produce(broker, 'orders', ['later'])
  const { value } = await next
  assert.equal(Buffer.from(value.value).toString(), 'later')
})

test('a reset removes the topics and keeps port and cluster id', async () => {
  await using broker = await startBroker({ topics: { orders: { partitions: 3 }, bills: {} } })
  const before = [broker.bootstrapServers, broker.clusterId]
  await produce(broker, 'orders', ['a'])
  await broker.reset()
  await broker.createTopic('orders')
  const seen: unknown[] = []
  for await (const record of broker.records('orders')) seen.push(record)
  assert.deepEqual(seen, [])
  assert.deepEqual([broker.bootstrapServers, broker.clusterId], before)
  await assert.rejects(async () => void (await broker.records('bills')[Symbol.asyncIterator]().next()), {
    errorName: 'UNKNOWN_TOPIC_OR_PARTITION',
  })
})

test('an embedded broker refuses a topic with a wrong config by name', async () => {
  await using broker = await startBroker()
  await assert.rejects(broker.createTopic('orders', { configs: { 'retention.ms': 'soon' } }), {
    errorName: 'INVALID_CONFIG',
    message: /retention\.ms/,
  })
  await assert.rejects(startBroker({ configs: { 'num.partitions': 0 } }), /num\.partitions=0/)
})

test('a broker answers ApiVersions within a small part of a second after it was started', async () => {
  await (await startBroker()).stop() // fills the codec cache
  const samples: number[] = []
  for (let round = 0; round < 5; round++) {
    const startMs = performance.now()
    const broker = await startBroker()
    const client = await connect(broker)
    await client.send(ApiVersions, 3, { clientSoftwareName: 'test', clientSoftwareVersion: '1' })
    samples.push(performance.now() - startMs)
    client.close()
    await broker.stop()
  }
  const medianMs = samples.toSorted((a, b) => a - b)[2]!
  assert(medianMs < 100, `the median was ${medianMs} ms`)
})
