/** A whole broker whose disk fills up. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { CreateTopics } from '../../protocol/apis/create-topics.ts'
import { Fetch } from '../../protocol/apis/fetch.ts'
import { InitProducerId } from '../../protocol/apis/init-producer-id.ts'
import { Produce } from '../../protocol/apis/produce.ts'
import { errorNameOf } from '../../protocol/errors.ts'
import { CrashDisk, seededNumbers } from '../support/crash-disk.ts'
import { startTestBroker, type TestBroker } from '../support/broker.ts'
import { valuesOf } from '../support/records.ts'
import { fetchRequest, produceRequest } from '../support/requests.ts'

async function produce(broker: TestBroker, value: string): Promise<string> {
  const { responses } = await broker.send(Produce, 9, produceRequest({ values: [value] }))
  return errorNameOf(responses[0]!.partitionResponses[0]!.errorCode)
}

async function fetchValues(broker: TestBroker): Promise<string[]> {
  const { responses } = await broker.send(Fetch, 11, fetchRequest())
  return valuesOf(responses[0]!.partitions[0]!.records)
}

async function createTopic(broker: TestBroker, name: string): Promise<string> {
  const topic = { name, numPartitions: 1, replicationFactor: 1, assignments: [], configs: [] }
  const { topics } = await broker.send(CreateTopics, 7, { topics: [topic], timeoutMs: 1000, validateOnly: false })
  return errorNameOf(topics[0]!.errorCode)
}

async function initProducer(broker: TestBroker): Promise<string> {
  const { errorCode } = await broker.send(InitProducerId, 4, { transactionalId: null, transactionTimeoutMs: 0 })
  return errorNameOf(errorCode)
}

test('a broker whose disk is full answers each request with a retriable error, and works again once there is room', async (t) => {
  const disk = new CrashDisk(seededNumbers(1))
  const broker = await startTestBroker(t, { disk, topics: { orders: 1 } })
  assert.equal(await produce(broker, 'before'), 'NONE')
  disk.tornShare = 0.5
  disk.fault = (operation) => (operation === 'write' ? 'NO_SPACE' : undefined)
  for (let attempt = 0; attempt < 2; attempt++) {
    assert.equal(await produce(broker, 'never'), 'KAFKA_STORAGE_ERROR')
    assert.equal(await createTopic(broker, 'never'), 'KAFKA_STORAGE_ERROR')
    assert.equal(await initProducer(broker), 'COORDINATOR_NOT_AVAILABLE')
  }
  assert.deepEqual(await fetchValues(broker), ['before'])
  disk.fault = () => undefined
  assert.equal(await produce(broker, 'after'), 'NONE')
  assert.equal(await createTopic(broker, 'later'), 'NONE')
  assert.equal(await initProducer(broker), 'NONE')
  await broker.broker.stop()

  const again = await startTestBroker(t, { disk: disk.kill() })
  assert.deepEqual(await fetchValues(again), ['before', 'after'])
  assert.deepEqual([...again.broker.parts.metadata.image.topics.keys()].sort(), ['later', 'orders'])
})

test('a partition whose folder is removed goes offline with one error in the log, and others go on', async (t) => {
  const disk = new CrashDisk(seededNumbers(1))
  const broker = await startTestBroker(t, { disk, topics: { orders: 1, others: 1 } })
  assert.equal(await produce(broker, 'a'), 'NONE')
  await disk.remove('orders-0')
  await broker.broker.parts.logs.housekeep(BigInt(Date.now()))
  for (let attempt = 0; attempt < 2; attempt++) assert.equal(await produce(broker, 'b'), 'KAFKA_STORAGE_ERROR')
  const errors = broker.log.filter(({ level }) => level === 'error')
  assert.deepEqual(
    errors.map(({ message, fields }) => [message, fields]),
    [
      [
        'a log is offline until a restart',
        { partition: 'orders-0', reason: 'its folder orders-0 was removed under the running broker' },
      ],
    ],
  )
  const { responses } = await broker.send(Produce, 9, produceRequest({ topic: 'others', values: ['x'] }))
  assert.equal(errorNameOf(responses[0]!.partitionResponses[0]!.errorCode), 'NONE')
})
