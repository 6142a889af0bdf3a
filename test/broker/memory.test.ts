/** What a whole broker holds for its clients is counted, and bounded. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Fetch } from '../../protocol/apis/fetch.ts'
import { Produce } from '../../protocol/apis/produce.ts'
import { splitWholeBatches } from '../../protocol/records/batch.ts'
import { decodeRecords } from '../../protocol/records/record.ts'
import { startTestBroker, type TestBroker } from '../support/broker.ts'
import { fetchRequest, produceRequest } from '../support/requests.ts'
import { SlowDisk } from '../support/slow-disk.ts'

async function until(isSo: () => boolean): Promise<void> {
  while (!isSo()) await new Promise((resolve) => setImmediate(resolve))
}

function usedBytes({ broker }: TestBroker) {
  const { memory } = broker.parts
  return { request: memory.usedBytesOf('request'), append: memory.usedBytesOf('append') }
}

test('a produce counts as a queued append from when it was handed to its log until it is written', async (t) => {
  const disk = new SlowDisk()
  const broker = await startTestBroker(t, { disk, topics: { orders: 1 } })
  const client = await broker.connect()
  disk.hold()
  const produced = client.send(Produce, 9, produceRequest({ values: ['x'.repeat(10_000)] }))
  await until(() => usedBytes(broker).append > 10_000)
  assert.equal(usedBytes(broker).request, 0)
  const vanished = await broker.connect()
  vanished.post(Produce, 9, produceRequest({ values: ['y'.repeat(10_000)] }))
  await until(() => usedBytes(broker).append > 20_000)
  vanished.close()
  await vanished.closed
  disk.letGo()
  await produced
  await until(() => usedBytes(broker).append === 0)
  assert.deepEqual(usedBytes(broker), { request: 0, append: 0 })
})

test('with a disk that stands still, appends fill the memory budget and no more; all are written when it goes on', async (t) => {
  const disk = new SlowDisk()
  const configs = { 'titorelli.memory.budget.bytes': String(16 * 1024 * 1024) }
  const broker = await startTestBroker(t, { disk, configs, topics: { orders: 2 } })
  const { memory } = broker.broker.parts
  const clients = await Promise.all(Array.from({ length: 8 }, () => broker.connect()))
  disk.hold()
  const value = 'x'.repeat(1_000_000)
  const produced = clients.flatMap((client) =>
    Array.from({ length: 6 }, (_, round) =>
      client.send(Produce, 9, produceRequest({ values: [value], partition: round % 2 })),
    ),
  )
  await until(() => memory.pressure === 'stop')
  for (let turn = 0; turn < 200; turn++) await new Promise((resolve) => setImmediate(resolve))
  assert(usedBytes(broker).append > 4_000_000, `${usedBytes(broker).append}`)
  assert(
    memory.usedBytes < memory.limitBytes + 2_000_000,
    `${memory.usedBytes} bytes of a budget of ${memory.limitBytes}`,
  )
  disk.letGo()
  for (const { responses } of await Promise.all(produced))
    assert.equal(responses[0]!.partitionResponses[0]!.errorCode, 0)
  const ends = broker.broker.parts.topics
    .find('orders')!
    .partitions.map(({ log }) => broker.broker.parts.logs.view(log).logEndOffset)
  assert.deepEqual(ends, [24n, 24n])
})

test('what nobody reads is written out of the frames that it came in, which are not used again before that', async (t) => {
  const disk = new SlowDisk()
  const world = await startTestBroker(t, { disk, topics: { orders: 1 } })
  const { memory } = world.broker.parts
  const client = await world.connect()
  const expected: string[] = []
  const next = (acks: number) => {
    const value = `${expected.length} `.padEnd(100_000, `${expected.length}`)
    expected.push(value)
    return produceRequest({ values: [value], acks })
  }
  for (let count = 0; count < 20; count++) await client.send(Produce, 9, next(-1)) // more than a tail keeps unread
  disk.hold()
  const clients = await Promise.all(Array.from({ length: 4 }, () => world.connect()))
  const answers: Promise<unknown>[] = []
  for (let round = 0; round < 6; round++) {
    for (const one of clients) {
      if (round % 3 === 0) one.post(Produce, 9, next(0))
      else answers.push(one.send(Produce, 9, next(-1)))
    }
  }
  await until(() => memory.usedBytesOf('append') > 24 * 100_000)
  clients[0]!.close()
  await clients[0]!.closed
  disk.letGo()
  const settled = await Promise.allSettled(answers)
  assert.equal(settled.filter(({ status }) => status === 'rejected').length, 4, 'those of the client that has gone')
  await until(() => memory.usedBytesOf('append') === 0)
  const found: string[] = []
  while (found.length < expected.length) {
    const partitions = [{ partition: 0, fetchOffset: BigInt(found.length) }]
    const { responses } = await client.send(Fetch, 11, fetchRequest({ partitions }))
    const { errorCode, records: chunks } = responses[0]!.partitions[0]!
    assert.equal(errorCode, 0)
    const records = Buffer.concat(chunks!)
    assert(records.length > 0)
    for (const { value } of splitWholeBatches(records).flatMap((batch) => decodeRecords(batch)))
      found.push(Buffer.from(value!).toString())
  }
  assert(
    found.every((value) => expected.includes(value)),
    'values came whole',
  )
  assert(
    expected.every((value) => found.includes(value)),
    'all values came',
  )
})

test('fetches that wait for the disk together read less when memory gets short, a batch each at least', async (t) => {
  const disk = new SlowDisk()
  const configs = { 'titorelli.memory.budget.bytes': String(16 * 1024 * 1024) }
  const broker = await startTestBroker(t, { disk, configs, topics: { orders: 1 } })
  const value = 'x'.repeat(1_000_000)
  for (let count = 0; count < 12; count++) await broker.send(Produce, 9, produceRequest({ values: [value] }))
  const clients = await Promise.all(Array.from({ length: 20 }, () => broker.connect()))
  disk.hold()
  const partitions = [{ partition: 0, partitionMaxBytes: 7_000_000 }] // the tail in memory does not reach back that far
  const fetched = clients.map((client) => client.send(Fetch, 11, fetchRequest({ maxBytes: 7_000_000, partitions })))
  await broker.send(Fetch, 11, fetchRequest({ maxWaitMs: 50, partitions: [{ partition: 0, fetchOffset: 12n }] }))
  assert(disk.waitingReadBytes > 5_000_000, `${disk.waitingReadBytes}`)
  assert(disk.waitingReadBytes < 40_000_000, `${disk.waitingReadBytes} bytes are read, of 140 MB asked for`)
  disk.letGo()
  for (const { responses } of await Promise.all(fetched)) assert(responses[0]!.partitions[0]!.records!.length > 0)
  await until(() => broker.broker.parts.memory.usedBytesOf('response') === 0)
})
