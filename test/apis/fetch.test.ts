import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Fetch } from '../../protocol/apis/fetch.ts'
import { Produce } from '../../protocol/apis/produce.ts'
import { errorCodes } from '../../protocol/errors.ts'
import { startTestBroker, versionsOf, type TestBroker, type TestBrokerOptions } from '../support/broker.ts'
import { valuesOf } from '../support/records.ts'
import { fetchRequest, produceRequest, type FetchOptions } from '../support/requests.ts'

const none = errorCodes.NONE

async function start(t: Parameters<typeof startTestBroker>[0], options: TestBrokerOptions = {}): Promise<TestBroker> {
  return startTestBroker(t, { topics: { orders: 3 }, ...options })
}

async function produce(broker: TestBroker, values: readonly string[], partition = 0): Promise<void> {
  const { responses } = await broker.send(Produce, 9, produceRequest({ values, partition }))
  assert.equal(responses[0]!.partitionResponses[0]!.errorCode, none)
}

function idOf({ broker }: TestBroker): string {
  return broker.parts.topics.find('orders')!.image.topicId
}

for (const version of versionsOf(Fetch)) {
  test(`Fetch v${version} reads whole batches, with the ends of the log`, async (t) => {
    const broker = await start(t)
    await produce(broker, ['a', 'b'])
    await produce(broker, ['c'])
    const partitions = [{ partition: 0, fetchOffset: 1n }]
    const response = await broker.send(Fetch, version, fetchRequest({ topicId: idOf(broker), partitions }))
    const [partition] = response.responses[0]!.partitions
    assert.deepEqual(valuesOf(partition!.records), ['a', 'b', 'c']) // T7: the batch that contains the offset, whole
    assert.equal(partition!.highWatermark, 3n)
    assert.equal(partition!.lastStableOffset, 3n)
    assert.equal(partition!.abortedTransactions, null)
  })

  test(`T6: Fetch v${version} answers no records as empty bytes, not as null`, async (t) => {
    const broker = await start(t)
    const response = await broker.send(Fetch, version, fetchRequest({ topicId: idOf(broker), isolationLevel: 1 }))
    const [partition] = response.responses[0]!.partitions
    assert.deepEqual(partition!.records, [])
    assert.deepEqual(partition!.abortedTransactions, [])
  })

  test(`Fetch v${version} answers what it can't read in its partition`, async (t) => {
    const broker = await start(t)
    const topicId = idOf(broker)
    const partitions = [{ partition: 0, fetchOffset: 5n }, { partition: 9 }, { partition: 1 }]
    const response = await broker.send(Fetch, version, fetchRequest({ topicId, partitions, maxWaitMs: 60_000 }))
    const codes = response.responses[0]!.partitions.map(({ errorCode }) => errorCode)
    assert.deepEqual(codes, [errorCodes.OFFSET_OUT_OF_RANGE, errorCodes.UNKNOWN_TOPIC_OR_PARTITION, none])
    const unknown = { topic: 'missing', topicId: 'AAAAAAAAAAAAAAAAAAAAAQ' }
    const other = await broker.send(Fetch, version, fetchRequest(unknown))
    const expected = version >= 13 ? errorCodes.UNKNOWN_TOPIC_ID : errorCodes.UNKNOWN_TOPIC_OR_PARTITION
    assert.equal(other.responses[0]!.partitions[0]!.errorCode, expected)
  })
}

test('a fetch that finds nothing waits, and is woken by a produce', async (t) => {
  const broker = await start(t)
  const polled = broker.send(Fetch, 11, fetchRequest({ maxWaitMs: 60_000 }))
  await produce(broker, ['a'])
  const { responses } = await polled
  assert.deepEqual(valuesOf(responses[0]!.partitions[0]!.records), ['a'])
})

test('a fetch waits for min.bytes over all its partitions', async (t) => {
  const broker = await start(t)
  const partitions = [{ partition: 0 }, { partition: 1 }]
  const polled = broker.send(Fetch, 11, fetchRequest({ maxWaitMs: 60_000, minBytes: 250, partitions }))
  await produce(broker, ['x'.repeat(100)])
  await produce(broker, ['y'.repeat(100)], 1)
  const { responses } = await polled
  assert.deepEqual(
    responses[0]!.partitions.map(({ records }) => valuesOf(records)),
    [['x'.repeat(100)], ['y'.repeat(100)]],
  )
})

test('a fetch that waits in vain answers empty when its time is over', async (t) => {
  const broker = await start(t)
  const { responses } = await broker.send(Fetch, 11, fetchRequest({ maxWaitMs: 20 }))
  assert.deepEqual(responses[0]!.partitions[0]!.records, [])
})

test('a waiting fetch hears at once that its topic was deleted', async (t) => {
  const broker = await start(t)
  const polled = broker.send(Fetch, 11, fetchRequest({ maxWaitMs: 60_000 }))
  await broker.send(Fetch, 11, fetchRequest()) // the first one waits when this is answered
  await broker.broker.parts.topics.delete(idOf(broker))
  const { responses } = await polled
  assert.equal(responses[0]!.partitions[0]!.errorCode, errorCodes.UNKNOWN_TOPIC_OR_PARTITION)
})

test('T7: the first batch is returned whole although it is beyond every limit, and only the first', async (t) => {
  const broker = await start(t)
  await produce(broker, ['x'.repeat(5_000)])
  await produce(broker, ['y'.repeat(5_000)])
  await produce(broker, ['z'.repeat(5_000)], 1)
  const partitions = [0, 1].map((partition) => ({ partition, partitionMaxBytes: 10 }))
  const { responses } = await broker.send(Fetch, 11, fetchRequest({ partitions, maxBytes: 10 }))
  const [first, second] = responses[0]!.partitions
  assert.deepEqual(valuesOf(first!.records), ['x'.repeat(5_000)])
  assert.deepEqual(second!.records, [])
})

test('a fetch with a stale or an unknown leader epoch is refused', async (t) => {
  const broker = await start(t)
  const { topics, logs } = broker.broker.parts
  await logs.raiseLeaderEpoch(topics.find('orders')!.partitions[0]!.log, 3)
  for (const [currentLeaderEpoch, expected] of [
    [2, errorCodes.FENCED_LEADER_EPOCH],
    [3, none],
    [4, errorCodes.UNKNOWN_LEADER_EPOCH],
  ] as const) {
    const partitions = [{ partition: 0, currentLeaderEpoch }]
    const { responses } = await broker.send(Fetch, 16, fetchRequest({ topicId: idOf(broker), partitions }))
    const [partition] = responses[0]!.partitions
    assert.equal(partition!.errorCode, expected)
    if (expected === errorCodes.FENCED_LEADER_EPOCH) assert.equal(partition!.currentLeader.leaderEpoch, 3)
  }
})

test('a fetch whose last epoch is not in the log hears where the histories part', async (t) => {
  const broker = await start(t)
  const log = broker.broker.parts.topics.find('orders')!.partitions[0]!.log
  await produce(broker, ['a', 'b'])
  await broker.broker.parts.logs.raiseLeaderEpoch(log, 5)
  await produce(broker, ['c'])
  const partitions = [{ partition: 0, fetchOffset: 3n, lastFetchedEpoch: 2 }]
  const { responses } = await broker.send(Fetch, 12, fetchRequest({ partitions, maxWaitMs: 60_000 }))
  const [partition] = responses[0]!.partitions
  assert.deepEqual(partition!.divergingEpoch, { epoch: 0, endOffset: 2n })
  assert.deepEqual(partition!.records, [])
})

/** A client with a session. */
function sessionOf(broker: TestBroker) {
  return async (options: FetchOptions) => {
    const response = await broker.send(Fetch, 11, fetchRequest(options))
    const named = response.responses.flatMap(({ partitions }) => partitions)
    return { ...response, named: named.map(({ partitionIndex }) => partitionIndex) }
  }
}

test('T13: a fetch session names only what changed, forgets, and counts its epochs', async (t) => {
  const broker = await start(t)
  const ask = sessionOf(broker)
  const full = await ask({ sessionEpoch: 0, partitions: [{ partition: 0 }, { partition: 1 }] })
  const { sessionId } = full
  assert.notEqual(sessionId, 0)
  assert.deepEqual(full.named, [0, 1])
  const idle = await ask({ sessionId, sessionEpoch: 1, partitions: [] })
  assert.deepEqual([idle.errorCode, idle.sessionId, idle.named], [none, sessionId, []])
  await produce(broker, ['a'], 1)
  assert.deepEqual((await ask({ sessionId, sessionEpoch: 2, partitions: [] })).named, [1])
  const moved = [{ partition: 1, fetchOffset: 1n }]
  assert.deepEqual((await ask({ sessionId, sessionEpoch: 3, partitions: moved })).named, [])
  await produce(broker, ['b'], 1)
  assert.deepEqual((await ask({ sessionId, sessionEpoch: 4, partitions: [], forgotten: [1] })).named, [])
  const stale = await ask({ sessionId, sessionEpoch: 4, partitions: [] })
  assert.equal(stale.errorCode, errorCodes.INVALID_FETCH_SESSION_EPOCH)
  const unknown = await ask({ sessionId: sessionId + 1, sessionEpoch: 1, partitions: [] })
  assert.deepEqual([unknown.errorCode, unknown.sessionId], [errorCodes.FETCH_SESSION_ID_NOT_FOUND, 0])
  await ask({ sessionId, sessionEpoch: -1, partitions: [{ partition: 0 }] })
  const closed = await ask({ sessionId, sessionEpoch: 5, partitions: [] })
  assert.equal(closed.errorCode, errorCodes.FETCH_SESSION_ID_NOT_FOUND)
})

test('T13: a session of names is not continued with ids', async (t) => {
  const broker = await start(t)
  const { sessionId } = await sessionOf(broker)({ sessionEpoch: 0 })
  const response = await broker.send(Fetch, 13, fetchRequest({ sessionId, sessionEpoch: 1, partitions: [] }))
  assert.equal(response.errorCode, errorCodes.FETCH_SESSION_TOPIC_ID_ERROR)
})

test('T13: without a free slot a client fetches without a session', async (t) => {
  const broker = await start(t, { configs: { 'max.incremental.fetch.session.cache.slots': '1' } })
  const ask = sessionOf(broker)
  assert.notEqual((await ask({ sessionEpoch: 0 })).sessionId, 0)
  assert.equal((await ask({ sessionEpoch: 0 })).sessionId, 0)
})

test('T10: a session by ids hears that its topic was deleted', async (t) => {
  const broker = await start(t)
  const topicId = idOf(broker)
  const { sessionId } = await broker.send(Fetch, 13, fetchRequest({ sessionEpoch: 0, topicId }))
  const next = async (sessionEpoch: number) => {
    const answer = await broker.send(Fetch, 13, fetchRequest({ sessionId, sessionEpoch, partitions: [] }))
    return answer.responses[0]!.partitions[0]!.errorCode
  }
  await broker.broker.parts.topics.delete(topicId)
  assert.equal(await next(1), errorCodes.UNKNOWN_TOPIC_OR_PARTITION)
  await broker.broker.parts.topics.create({ name: 'orders', partitionCount: 1 })
  assert.equal(await next(2), errorCodes.INCONSISTENT_TOPIC_ID)
  const again = await broker.send(Fetch, 13, fetchRequest({ topicId }))
  assert.equal(again.responses[0]!.partitions[0]!.errorCode, errorCodes.UNKNOWN_TOPIC_ID, 'without a session')
})

test('a partition that is named twice in one fetch is read once, as it was named last', async (t) => {
  const broker = await start(t)
  await produce(broker, ['a'])
  await produce(broker, ['b'])
  const partitions = [{ partition: 0 }, { partition: 0, fetchOffset: 1n }]
  const { responses } = await broker.send(Fetch, 12, fetchRequest({ partitions }))
  assert.deepEqual(
    responses[0]!.partitions.map(({ records }) => valuesOf(records)),
    [['b']],
  )
})

test('a fetch as a replica is refused: no other broker has one', async (t) => {
  const broker = await start(t)
  const answer = await broker.send(Fetch, 11, { ...fetchRequest(), replicaId: 2 })
  assert.equal(answer.responses[0]!.partitions[0]!.errorCode, errorCodes.NOT_LEADER_OR_FOLLOWER)
  const replicaState = { replicaId: 2, replicaEpoch: 0n }
  const later = await broker.send(Fetch, 17, { ...fetchRequest({ topicId: idOf(broker) }), replicaState })
  assert.equal(later.responses[0]!.partitions[0]!.errorCode, errorCodes.NOT_LEADER_OR_FOLLOWER)
})

test('a stop answers waiting fetches at once', async (t) => {
  const broker = await start(t)
  const client = await broker.connect()
  const polled = client.send(Fetch, 11, fetchRequest({ maxWaitMs: 600_000 }))
  await broker.send(Fetch, 11, fetchRequest())
  const [{ responses }] = await Promise.all([polled, broker.broker.stop()])
  assert.deepEqual(responses[0]!.partitions[0]!.records, [])
})

test('a thousand idle long polls cost less than a hundredth of a core', async (t) => {
  const broker = await start(t)
  const client = await Promise.all(Array.from({ length: 20 }, () => broker.connect()))
  const polls = client.flatMap((one) =>
    Array.from({ length: 50 }, () => one.send(Fetch, 11, fetchRequest({ maxWaitMs: 600_000 }))),
  )
  await broker.send(Fetch, 11, fetchRequest({ maxWaitMs: 50 })) // all wait by now
  const roundMs = 2_000
  const shares: number[] = []
  // A round may meet the collector at work; what polls costs in each.
  for (let round = 0; round < 3 && !shares.some((share) => share < 0.01); round++) {
    const before = process.cpuUsage()
    await broker.send(Fetch, 11, fetchRequest({ maxWaitMs: roundMs, partitions: [{ partition: 1 }] }))
    const { user, system } = process.cpuUsage(before)
    shares.push((user + system) / 1_000 / roundMs)
  }
  assert(Math.min(...shares) < 0.01, `shares of a core: ${shares.join(', ')}`)
  await produce(broker, ['a'])
  assert.equal((await Promise.all(polls)).length, 1_000)
})

test('a fetch whose limits leave less than min.bytes of what is there is answered at once', async (t) => {
  const broker = await start(t)
  for (const value of ['a', 'b', 'c']) await produce(broker, [value.repeat(600)])
  const partitions = [{ partition: 0, partitionMaxBytes: 1_000 }]
  const asked = fetchRequest({ maxWaitMs: 60_000, minBytes: 1_000, maxBytes: 1_000, partitions })
  const { responses } = await broker.send(Fetch, 11, asked)
  assert.deepEqual(valuesOf(responses[0]!.partitions[0]!.records), ['a'.repeat(600)])
})

test('min.bytes beyond what one answer may hold is no reason to wait', async (t) => {
  const broker = await start(t, { configs: { 'titorelli.memory.budget.bytes': '16777216' } })
  for (const value of ['a', 'b', 'c']) await produce(broker, [value.repeat(500_000)])
  const partitions = [{ partition: 0, partitionMaxBytes: 50_000_000 }]
  const asked = fetchRequest({ maxWaitMs: 60_000, minBytes: 20_000_000, maxBytes: 50_000_000, partitions })
  const { responses } = await broker.send(Fetch, 11, asked)
  assert.equal(valuesOf(responses[0]!.partitions[0]!.records).length, 2)
})

test('memory of reads from files is used again only when nobody needs it: each of many answers is what was written', async (t) => {
  const broker = await start(t, { configs: { 'titorelli.memory.budget.bytes': '16777216' } })
  const values = Array.from({ length: 24 }, (_, at) => String.fromCharCode(97 + at).repeat(400_000))
  for (const value of values) await produce(broker, [value]) // more than the tails of all logs may hold
  const clients = await Promise.all(Array.from({ length: 4 }, () => broker.connect()))
  const answers = clients.map(async (client, shift) => {
    const asked = values.slice(0, 12).map(async (_, place) => {
      const at = (place + shift) % 12
      const partitions = [{ partition: 0, fetchOffset: BigInt(at), partitionMaxBytes: 1 }]
      const { responses } = await client.send(Fetch, 11, fetchRequest({ partitions }))
      assert.deepEqual(valuesOf(responses[0]!.partitions[0]!.records), [values[at]])
    })
    await Promise.all(asked)
  })
  await Promise.all(answers)
})
