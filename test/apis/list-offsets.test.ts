import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ListOffsets } from '../../protocol/apis/list-offsets.ts'
import { OffsetForLeaderEpoch } from '../../protocol/apis/offset-for-leader-epoch.ts'
import { Produce } from '../../protocol/apis/produce.ts'
import { crc32c } from '../../protocol/crc32c.ts'
import { errorCodes, errorNameOf } from '../../protocol/errors.ts'
import { startTestBroker, versionsOf, type TestBroker } from '../support/broker.ts'
import { batchOf } from '../support/records.ts'
import { listOffsetsRequest, produceRequest } from '../support/requests.ts'

/** Three batches with the times 10, 30, 30, 20 and 40: out of order, and two of the same. */
async function produceTimes(broker: TestBroker): Promise<void> {
  for (const times of [[10n, 30n], [30n, 20n], [40n]]) {
    const records = times.map((timestampMs) => ({ key: null, value: 'x', timestampMs }))
    const batch = batchOf([], { records, baseTimestampMs: times[0]! })
    const { responses } = await broker.send(Produce, 9, produceRequest({ records: [batch] }))
    assert.equal(responses[0]!.partitionResponses[0]!.errorCode, errorCodes.NONE)
  }
}

/** What each special timestamp finds, and the version that brought it. */
const specials: readonly [string, bigint, number, bigint][] = [
  ['latest', -1n, 1, 5n],
  ['earliest', -2n, 1, 0n],
  ['max timestamp', -3n, 7, 4n],
  ['earliest local', -4n, 8, 0n],
  ['latest tiered', -5n, 9, -1n],
  ['earliest pending upload', -6n, 11, -1n],
]

for (const version of versionsOf(ListOffsets)) {
  test(`T14: ListOffsets v${version} answers every special timestamp, or 35 for one of a later version`, async (t) => {
    const broker = await startTestBroker(t, { topics: { orders: 1 } })
    await produceTimes(broker)
    for (const [what, timestamp, since, offset] of specials) {
      const { topics } = await broker.send(ListOffsets, version, listOffsetsRequest(timestamp))
      const [found] = topics[0]!.partitions
      const expected = version < since ? ['UNSUPPORTED_VERSION', -1n] : ['NONE', offset]
      assert.deepEqual([errorNameOf(found!.errorCode), found!.offset], expected, what)
    }
  })

  test(`ListOffsets v${version} finds the first record at or after a time, and -1 without an error behind the last`, async (t) => {
    const broker = await startTestBroker(t, { topics: { orders: 1 } })
    await produceTimes(broker)
    for (const [timestamp, offset, found] of [
      [0n, 0n, 10n],
      [11n, 1n, 30n],
      [30n, 1n, 30n],
      [31n, 4n, 40n],
      [41n, -1n, -1n],
    ] as const) {
      const { topics } = await broker.send(ListOffsets, version, listOffsetsRequest(timestamp))
      const [partition] = topics[0]!.partitions
      assert.deepEqual([partition!.errorCode, partition!.offset, partition!.timestamp], [0, offset, found])
    }
  })
}

test('ListOffsets refuses unknown partitions, stale epochs and repetitions one by one', async (t) => {
  const broker = await startTestBroker(t, { topics: { orders: 1 } })
  const { topics, logs } = broker.broker.parts
  await logs.raiseLeaderEpoch(topics.find('orders')!.partitions[0]!.log, 3)
  const codeOf = async (options: Parameters<typeof listOffsetsRequest>[1]): Promise<string> => {
    const response = await broker.send(ListOffsets, 6, listOffsetsRequest(-1n, options))
    return errorNameOf(response.topics[0]!.partitions[0]!.errorCode)
  }
  assert.equal(await codeOf({ partition: 4 }), 'UNKNOWN_TOPIC_OR_PARTITION')
  assert.equal(await codeOf({ topic: 'missing' }), 'UNKNOWN_TOPIC_OR_PARTITION')
  assert.equal(await codeOf({ currentLeaderEpoch: 2 }), 'FENCED_LEADER_EPOCH')
  assert.equal(await codeOf({ currentLeaderEpoch: 4 }), 'UNKNOWN_LEADER_EPOCH')
  const request = listOffsetsRequest(-1n)
  const [query] = request.topics[0]!.partitions
  const twice = { ...request, topics: [{ name: 'orders', partitions: [query!, query!] }] }
  const response = await broker.send(ListOffsets, 6, twice)
  const codes = response.topics[0]!.partitions.map(({ errorCode }) => errorNameOf(errorCode))
  assert.deepEqual(codes, ['INVALID_REQUEST'], 'named once, as Kafka does')
})

test('a look-up by time that meets records which do not decompress says so, in its partition only', async (t) => {
  const broker = await startTestBroker(t, { topics: { orders: 1, sane: 1 } })
  const bomb = batchOf([], { records: [{ value: Buffer.alloc(300_000) }], compression: 'gzip' })
  const garbage = batchOf(['a', 'b'], { compression: 'gzip' }).fill(0xee, 61)
  new DataView(garbage.buffer, garbage.byteOffset).setUint32(17, crc32c(garbage.subarray(21)))
  const { topics } = broker.broker.parts
  await topics.setConfigs(topics.find('orders')!.image.topicId, new Map([['max.decompressed.message.bytes', '200000']]))
  await broker.send(Produce, 9, produceRequest({ topic: 'sane' }))
  for (const batch of [bomb, garbage]) {
    const { responses } = await broker.send(Produce, 9, produceRequest({ records: [batch] }))
    assert.equal(responses[0]!.partitionResponses[0]!.errorCode, errorCodes.NONE)
    const [corrupt, sane] = ['orders', 'sane'].map((topic) => listOffsetsRequest(5n, { topic }).topics[0]!)
    const response = await broker.send(ListOffsets, 7, { ...listOffsetsRequest(5n), topics: [corrupt!, sane!] })
    assert.deepEqual(
      response.topics.map(({ partitions }) => [errorNameOf(partitions[0]!.errorCode), partitions[0]!.offset]),
      [
        ['CORRUPT_MESSAGE', -1n],
        ['NONE', 0n],
      ],
    )
    await broker.broker.parts.logs.deleteBefore(topics.find('orders')!.partitions[0]!.log, 1n)
  }
  assert.deepEqual(
    broker.log.filter(({ level }) => level === 'error'),
    [],
  )
})

test('T15: the latest offset never goes back while records are produced', async (t) => {
  const broker = await startTestBroker(t, { topics: { orders: 1 } })
  const client = await broker.connect()
  const producing = Promise.all(Array.from({ length: 30 }, () => client.send(Produce, 9, produceRequest())))
  let last = 0n
  for (let round = 0; round < 30; round++) {
    const { topics } = await broker.send(ListOffsets, 6, listOffsetsRequest(-1n))
    const { offset } = topics[0]!.partitions[0]!
    assert(offset >= last)
    last = offset
  }
  await producing
})

for (const version of versionsOf(OffsetForLeaderEpoch)) {
  test(`OffsetForLeaderEpoch v${version} tells where an epoch ended`, async (t) => {
    const broker = await startTestBroker(t, { topics: { orders: 1 } })
    const log = broker.broker.parts.topics.find('orders')!.partitions[0]!.log
    await broker.send(Produce, 9, produceRequest({ values: ['a', 'b'] }))
    await broker.broker.parts.logs.raiseLeaderEpoch(log, 4)
    await broker.send(Produce, 9, produceRequest({ values: ['c'] }))
    const ask = async (leaderEpoch: number, partition = 0, currentLeaderEpoch = -1) => {
      const topics = [{ topic: 'orders', partitions: [{ partition, currentLeaderEpoch, leaderEpoch }] }]
      const [answer] = (await broker.send(OffsetForLeaderEpoch, version, { replicaId: -1, topics })).topics
      const { errorCode, leaderEpoch: found, endOffset } = answer!.partitions[0]!
      return [errorNameOf(errorCode), found, endOffset]
    }
    assert.deepEqual(await ask(0), ['NONE', 0, 2n])
    assert.deepEqual(await ask(2), ['NONE', 0, 2n])
    assert.deepEqual(await ask(4), ['NONE', 4, 3n])
    assert.deepEqual(await ask(5), ['NONE', -1, -1n])
    assert.deepEqual(await ask(0, 7), ['UNKNOWN_TOPIC_OR_PARTITION', -1, -1n])
    assert.deepEqual(await ask(0, 0, 3), ['FENCED_LEADER_EPOCH', -1, -1n])
  })
}
