/** Produces that are under way at the same time: retries, pipelines, acks. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Fetch } from '../../protocol/apis/fetch.ts'
import { Produce } from '../../protocol/apis/produce.ts'
import { errorNameOf } from '../../protocol/errors.ts'
import { startTestBroker, type TestBroker, type TestClient } from '../support/broker.ts'
import { batchOf, valuesOf } from '../support/records.ts'
import { fetchRequest, produceRequest } from '../support/requests.ts'
import { SlowDisk } from '../support/slow-disk.ts'

const producer = { producerId: 9n, producerEpoch: 0 }

function sequenced(baseSequence: number, options: { readonly producerEpoch?: number } = {}): Uint8Array {
  return batchOf([`${baseSequence}`], { ...producer, ...options, baseSequence, baseTimestampMs: 1_700_000_000_000n })
}

async function produce(client: TestClient, records: Uint8Array, acks = -1): Promise<[string, bigint]> {
  const { responses } = await client.send(Produce, 9, produceRequest({ records: [records], acks }))
  const [partition] = responses[0]!.partitionResponses
  return [errorNameOf(partition!.errorCode), partition!.baseOffset]
}

async function fetchValues(broker: TestBroker): Promise<string[]> {
  const { responses } = await broker.send(Fetch, 11, fetchRequest())
  return valuesOf(responses[0]!.partitions[0]!.records)
}

for (const acks of [1, -1]) {
  test(`a retry of a batch that is still being written, from another connection, shares its outcome (acks ${acks})`, async (t) => {
    const disk = new SlowDisk()
    const broker = await startTestBroker(t, { disk, topics: { orders: 1 } })
    const [first, second] = [await broker.connect(), await broker.connect()]
    disk.hold()
    let isAnswered = false
    const answers = [
      produce(first, sequenced(0), acks),
      produce(first, sequenced(1), acks),
      produce(second, sequenced(0), acks),
      produce(second, sequenced(1), acks),
    ].map((answer) => answer.finally(() => (isAnswered = true)))
    await broker.send(Fetch, 11, fetchRequest({ maxWaitMs: 20 }))
    assert.equal(isAnswered, false, 'nothing is acknowledged before it is written')
    disk.letGo()
    assert.deepEqual(await Promise.all(answers), [
      ['NONE', 0n],
      ['NONE', 1n],
      ['NONE', 0n],
      ['NONE', 1n],
    ])
    assert.deepEqual(await fetchValues(broker), ['0', '1'])
  })
}

test('the last five batches of a producer are known when they come again, the sixth is out of order', async (t) => {
  const broker = await startTestBroker(t, { topics: { orders: 1 } })
  const client = await broker.connect()
  for (let sequence = 0; sequence < 6; sequence++) await produce(client, sequenced(sequence))
  for (let sequence = 1; sequence < 6; sequence++)
    assert.deepEqual(await produce(client, sequenced(sequence)), ['NONE', BigInt(sequence)])
  assert.deepEqual(await produce(client, sequenced(0)), ['OUT_OF_ORDER_SEQUENCE_NUMBER', -1n])
  assert.equal((await fetchValues(broker)).length, 6)
})

test('a higher producer epoch begins at sequence 0, and the lower one is fenced', async (t) => {
  const broker = await startTestBroker(t, { topics: { orders: 1 } })
  const client = await broker.connect()
  await produce(client, sequenced(0))
  assert.deepEqual(await produce(client, sequenced(1, { producerEpoch: 1 })), ['OUT_OF_ORDER_SEQUENCE_NUMBER', -1n])
  assert.deepEqual(await produce(client, sequenced(0, { producerEpoch: 1 })), ['NONE', 1n])
  assert.deepEqual(await produce(client, sequenced(1)), ['INVALID_PRODUCER_EPOCH', -1n])
})

test('a gap in a pipeline fails what is behind it, and the retries in their order succeed', async (t) => {
  const broker = await startTestBroker(t, { topics: { orders: 1 } })
  const client = await broker.connect()
  await produce(client, sequenced(0))
  const damaged = sequenced(1)
  damaged[damaged.length - 1]! ^= 1
  const answers = [produce(client, damaged), produce(client, sequenced(2)), produce(client, sequenced(3))]
  assert.deepEqual(await Promise.all(answers), [
    ['CORRUPT_MESSAGE', -1n],
    ['OUT_OF_ORDER_SEQUENCE_NUMBER', -1n],
    ['OUT_OF_ORDER_SEQUENCE_NUMBER', -1n],
  ])
  for (const sequence of [1, 2, 3])
    assert.deepEqual(await produce(client, sequenced(sequence)), ['NONE', BigInt(sequence)])
  assert.deepEqual(await fetchValues(broker), ['0', '1', '2', '3'])
})

test('a topic with LogAppendTime answers the time of the append, and its records carry it', async (t) => {
  const broker = await startTestBroker(t)
  const configs = new Map([['message.timestamp.type', 'LogAppendTime']])
  await broker.broker.parts.topics.create({ name: 'orders', partitionCount: 1, configs })
  const beforeMs = BigInt(Date.now())
  const { responses } = await broker.send(Produce, 9, produceRequest({ records: [sequenced(0)] }))
  const { logAppendTimeMs } = responses[0]!.partitionResponses[0]!
  assert(logAppendTimeMs >= beforeMs && logAppendTimeMs <= BigInt(Date.now()))
  const client = await broker.connect()
  const again = await client.send(Produce, 9, produceRequest({ records: [sequenced(0)] }))
  assert.equal(again.responses[0]!.partitionResponses[0]!.logAppendTimeMs, logAppendTimeMs, 'a retry too')
})
