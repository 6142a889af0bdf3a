import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Fetch } from '../../protocol/apis/fetch.ts'
import { InitProducerId } from '../../protocol/apis/init-producer-id.ts'
import { Metadata } from '../../protocol/apis/metadata.ts'
import { Produce } from '../../protocol/apis/produce.ts'
import { errorCodes } from '../../protocol/errors.ts'
import { splitBatches } from '../../protocol/records/batch.ts'
import { Mirror } from '../../protocol/state/mirror-records.ts'
import { record } from '../../src/metadata/metadata-store.ts'
import { startTestBroker, versionsOf, type TestBroker } from '../support/broker.ts'
import { batchOf, valuesOf } from '../support/records.ts'
import { fetchRequest, metadataRequest, produceRequest } from '../support/requests.ts'
import { zeroUuid } from '../../protocol/schema.ts'

async function topicIdOf(test: TestBroker, name: string): Promise<string> {
  return test.broker.parts.topics.find(name)!.image.topicId
}

async function fetchValues(broker: TestBroker, topic = 'orders'): Promise<string[]> {
  const { responses } = await broker.send(Fetch, 11, fetchRequest({ topic }))
  return valuesOf(responses[0]!.partitions[0]!.records)
}

for (const version of versionsOf(Produce)) {
  test(`Produce v${version} appends a batch and answers its offsets`, async (t) => {
    const broker = await startTestBroker(t, { topics: { orders: 2 } })
    const topicId = await topicIdOf(broker, 'orders')
    for (const baseOffset of [0n, 2n]) {
      const request = produceRequest({ topicId, values: ['a', 'b'] })
      const { responses } = await broker.send(Produce, version, request)
      const [partition] = responses[0]!.partitionResponses
      assert.equal(partition!.errorCode, errorCodes.NONE)
      assert.equal(partition!.baseOffset, baseOffset)
    }
    assert.deepEqual(await fetchValues(broker), ['a', 'b', 'a', 'b'])
  })

  test(`Produce v${version} answers an unknown topic in its partition`, async (t) => {
    const broker = await startTestBroker(t)
    const { responses } = await broker.send(Produce, version, produceRequest({ topicId: 'AAAAAAAAAAAAAAAAAAAAAQ' }))
    const expected = version >= 13 ? errorCodes.UNKNOWN_TOPIC_ID : errorCodes.UNKNOWN_TOPIC_OR_PARTITION
    assert.equal(responses[0]!.partitionResponses[0]!.errorCode, expected)
  })

  test(`Produce v${version} to a mirror is refused with INVALID_REQUEST`, async (t) => {
    const broker = await startTestBroker(t)
    const topicId = 'AAAAAAAAAAAAAAAAAAAABQ'
    const mirror = { topicId, linkId: topicId, sourceTopicName: 'orders', sourceTopicId: zeroUuid }
    await broker.broker.parts.topics.create({
      name: 'orders',
      topicId,
      partitionCount: 1,
      extraRecords: [record(Mirror, mirror)],
    })
    const { responses } = await broker.send(Produce, version, produceRequest({ topicId }))
    const [partition] = responses[0]!.partitionResponses
    assert.equal(partition!.errorCode, errorCodes.INVALID_REQUEST)
    if (version >= 8) assert.equal(partition!.errorMessage, "Cannot append records to read-only mirror topic 'orders'")
  })
}

for (const version of [0, 1, 2]) {
  test(`T4: Produce v${version} is advertised, and refused with 35 per partition`, async (t) => {
    const broker = await startTestBroker(t, { topics: { orders: 1 } })
    const client = await broker.connect()
    const body = Buffer.from(
      '0001000003e8000000010006' + Buffer.from('orders').toString('hex') + '0000000100000000ffffffff',
      'hex',
    )
    const header = Buffer.from([0, 0, 0, version, 0, 0, 0, 7, 0xff, 0xff])
    const size = Buffer.alloc(4)
    size.writeInt32BE(header.length + body.length)
    const frame = Buffer.from(await client.exchange(Buffer.concat([size, header, body])))
    assert.equal(frame.readInt32BE(0), 7)
    assert.equal(frame.readInt32BE(4), 1) // one topic
    assert.equal(frame.toString('latin1', 10, 16), 'orders')
    assert.equal(frame.readInt32BE(16), 1) // one partition
    assert.equal(frame.readInt16BE(24), 35)
    assert.equal(frame.length, 34 + (version >= 2 ? 8 : 0) + (version >= 1 ? 4 : 0))
  })
}

test('T25: acks 0 gets no answer, and later answers of the connection flow on', async (t) => {
  const broker = await startTestBroker(t, { topics: { orders: 1 } })
  const client = await broker.connect()
  client.post(Produce, 9, produceRequest({ acks: 0, values: ['silent'] }))
  const { responses } = await client.send(Produce, 9, produceRequest({ values: ['loud'] }))
  assert.equal(responses[0]!.partitionResponses[0]!.baseOffset, 1n)
  assert.deepEqual(await fetchValues(broker), ['silent', 'loud'])
})

test('acks 0 with a failure closes the connection, the only way to tell', async (t) => {
  const broker = await startTestBroker(t)
  const client = await broker.connect()
  client.post(Produce, 9, produceRequest({ acks: 0, topic: 'missing' }))
  await client.closed
})

test('acks beyond -1, 0 and 1 are refused', async (t) => {
  const broker = await startTestBroker(t, { topics: { orders: 1 } })
  const { responses } = await broker.send(Produce, 9, produceRequest({ acks: 2 }))
  assert.equal(responses[0]!.partitionResponses[0]!.errorCode, errorCodes.INVALID_REQUIRED_ACKS)
})

test('one bad partition does not fail the others', async (t) => {
  const broker = await startTestBroker(t, { topics: { orders: 1 } })
  const corrupt = batchOf(['x'])
  corrupt[corrupt.length - 1]! ^= 1
  const partitionData = [
    { index: 7, records: [batchOf(['nowhere'])] },
    { index: 0, records: [batchOf(['good'])] },
  ]
  const topicData = [
    { name: 'orders', topicId: zeroUuid, partitionData },
    { name: 'orders', topicId: zeroUuid, partitionData: [{ index: 0, records: [corrupt] }] },
  ]
  const { responses } = await broker.send(Produce, 9, { acks: -1, timeoutMs: 1_000, topicData })
  const codes = responses.flatMap((topic) => topic.partitionResponses.map((partition) => partition.errorCode))
  assert.deepEqual(codes, [errorCodes.UNKNOWN_TOPIC_OR_PARTITION, errorCodes.NONE, errorCodes.CORRUPT_MESSAGE])
  assert.deepEqual(await fetchValues(broker), ['good'])
})

const refused: readonly [string, readonly Uint8Array[] | null, number, number][] = [
  ['no batch', null, 9, errorCodes.INVALID_RECORD],
  ['two batches', [Buffer.concat([batchOf(['a']), batchOf(['b'])])], 9, errorCodes.INVALID_RECORD],
  ['magic 1', [magicOne()], 9, errorCodes.INVALID_RECORD],
  ['a cut batch', [batchOf(['abc']).subarray(0, 70)], 9, errorCodes.INVALID_RECORD],
  ['zstd before version 7', [batchOf(['a'], { compression: 'zstd' })], 6, errorCodes.UNSUPPORTED_COMPRESSION_TYPE],
  ['a batch that is too large', [batchOf(['x'.repeat(1_100_000)])], 9, errorCodes.MESSAGE_TOO_LARGE],
  [
    'a transactional batch',
    [batchOf(['a'], { isTransactional: true })],
    9,
    errorCodes.TRANSACTIONAL_ID_AUTHORIZATION_FAILED,
  ],
]

function magicOne(): Uint8Array {
  const bytes = batchOf(['a'])
  bytes[16] = 1
  return bytes
}

for (const [what, records, version, code] of refused) {
  test(`Produce refuses ${what} with ${code}`, async (t) => {
    const broker = await startTestBroker(t, { topics: { orders: 1 } })
    const { responses } = await broker.send(Produce, version, produceRequest({ records }))
    assert.equal(responses[0]!.partitionResponses[0]!.errorCode, code)
    assert.deepEqual(await fetchValues(broker), [])
  })
}

test('a transactional id gets a final error with a message while there are no transactions', async (t) => {
  const broker = await startTestBroker(t, { topics: { orders: 1 } })
  const { responses } = await broker.send(Produce, 9, produceRequest({ transactionalId: 'tx' }))
  const [partition] = responses[0]!.partitionResponses
  assert.equal(partition!.errorCode, errorCodes.INVALID_REQUEST)
  assert.match(partition!.errorMessage!, /no transactions/)
})

test('a record without a key on a compacted topic is named in the record errors', async (t) => {
  const broker = await startTestBroker(t)
  const configs = new Map([['cleanup.policy', 'compact']])
  await broker.broker.parts.topics.create({ name: 'orders', partitionCount: 1, configs })
  const { responses } = await broker.send(Produce, 8, produceRequest({ values: ['a'] }))
  const [partition] = responses[0]!.partitionResponses
  assert.equal(partition!.errorCode, errorCodes.INVALID_RECORD)
  assert.deepEqual(
    partition!.recordErrors.map((error) => error.batchIndex),
    [0],
  )
})

test('a retry of an idempotent batch gets the offsets of the first attempt', async (t) => {
  const broker = await startTestBroker(t, { topics: { orders: 1 } })
  const baseTimestampMs = BigInt(Date.now())
  const batch = { producerId: 9n, producerEpoch: 0, baseSequence: 0, baseTimestampMs }
  const request = produceRequest({ records: [batchOf(['a', 'b'], batch)] })
  const first = (await broker.send(Produce, 9, request)).responses[0]!.partitionResponses[0]!
  const second = (await broker.send(Produce, 9, request)).responses[0]!.partitionResponses[0]!
  assert.equal(first.logAppendTimeMs, -1n)
  assert.deepEqual(second, { ...first, logAppendTimeMs: baseTimestampMs }, 'as Kafka: with the time of the batch')
  const gap = produceRequest({ records: [batchOf(['d'], { ...batch, baseSequence: 9 })] })
  const { responses } = await broker.send(Produce, 9, gap)
  assert.equal(responses[0]!.partitionResponses[0]!.errorCode, errorCodes.OUT_OF_ORDER_SEQUENCE_NUMBER)
  assert.equal(responses[0]!.partitionResponses[0]!.logStartOffset, 0n)
  assert.deepEqual(await fetchValues(broker), ['a', 'b'])
})

test('a producer id above 2^53 with odd low bits survives the wire and the log', async (t) => {
  const broker = await startTestBroker(t, { topics: { orders: 1 } })
  const producerId = 9_007_199_254_740_993n + (1n << 60n)
  const records = [batchOf(['a'], { producerId, producerEpoch: 3, baseSequence: 0 })]
  await broker.send(Produce, 9, produceRequest({ records }))
  const { responses } = await broker.send(Fetch, 11, fetchRequest())
  const bytes = Buffer.concat(responses[0]!.partitions[0]!.records!)
  assert.equal(splitBatches(bytes)[0]!.header.producerId, producerId)
})

test('T27: the leader epoch in a produced batch is overwritten, and its checksum stays', async (t) => {
  const broker = await startTestBroker(t, { topics: { orders: 1 } })
  for (const leaderEpoch of [-1, 7]) {
    const sent = batchOf(['a'], { leaderEpoch })
    await broker.send(Produce, 9, produceRequest({ records: [sent] }))
  }
  const { responses } = await broker.send(Fetch, 11, fetchRequest())
  const batches = splitBatches(Buffer.concat(responses[0]!.partitions[0]!.records!))
  assert.deepEqual(
    batches.map(({ header }) => header.partitionLeaderEpoch),
    [0, 0],
  )
})

test('T10: a topic that is created again has another id, and the old one is unknown', async (t) => {
  const broker = await startTestBroker(t, { topics: { orders: 1 } })
  const topicId = await topicIdOf(broker, 'orders')
  await broker.broker.parts.topics.delete(topicId)
  await broker.broker.parts.topics.create({ name: 'orders', partitionCount: 1 })
  assert.notEqual(await topicIdOf(broker, 'orders'), topicId)
  const { responses } = await broker.send(Produce, 13, produceRequest({ topicId }))
  assert.equal(responses[0]!.partitionResponses[0]!.errorCode, errorCodes.UNKNOWN_TOPIC_ID)
})

test('two pipelined produces behind a metadata request that creates their topic keep their order', async (t) => {
  const broker = await startTestBroker(t)
  const client = await broker.connect()
  const answered: string[] = []
  const note = (what: string) => () => void answered.push(what)
  await Promise.all([
    client.send(Metadata, 4, metadataRequest(['orders'])).then(note('metadata')),
    client.send(Produce, 9, produceRequest({ values: ['first'] })).then(note('first')),
    client.send(Produce, 9, produceRequest({ values: ['second'] })).then(note('second')),
  ])
  assert.deepEqual(answered, ['metadata', 'first', 'second'])
  assert.deepEqual(await fetchValues(broker), ['first', 'second'])
})

test('T26: answers leave in the order of the requests, a long poll before a produce included', async (t) => {
  const broker = await startTestBroker(t, { topics: { orders: 1 } })
  const client = await broker.connect()
  const answered: string[] = []
  const polled = client.send(Fetch, 11, fetchRequest({ maxWaitMs: 60_000 })).then((response) => {
    answered.push('fetch')
    return response
  })
  await client.send(Produce, 9, produceRequest({ values: ['wakes'] })).then(() => answered.push('produce'))
  const { responses } = await polled
  assert.deepEqual(valuesOf(responses[0]!.partitions[0]!.records), ['wakes'])
  assert.deepEqual(answered, ['fetch', 'produce'])
})

for (const version of versionsOf(InitProducerId)) {
  test(`InitProducerId v${version} hands out each id once and refuses transactional ids for good`, async (t) => {
    const broker = await startTestBroker(t)
    const request = { transactionalId: null, transactionTimeoutMs: 0 }
    const ids = new Set<bigint>()
    for (let round = 0; round < 3; round++) {
      const { errorCode, producerId, producerEpoch } = await broker.send(InitProducerId, version, request)
      assert.equal(errorCode, errorCodes.NONE)
      assert.equal(producerEpoch, 0)
      assert(producerId >= 1n << 32n)
      ids.add(producerId)
    }
    assert.equal(ids.size, 3)
    const refusal = await broker.send(InitProducerId, version, { ...request, transactionalId: 'tx' })
    assert.equal(refusal.errorCode, errorCodes.INVALID_REQUEST)
    assert.equal(refusal.producerId, -1n)
  })
}

test('records of large requests stay as they were sent, however often the memory of requests is used again', async (t) => {
  const broker = await startTestBroker(t, {
    topics: { orders: 3 },
    configs: { 'titorelli.memory.budget.bytes': '67108864' },
  })
  const client = await broker.connect()
  const values: string[][] = [[], [], []]
  const send = async (round: number, partitions: readonly number[], sizeBytes: number): Promise<void> => {
    const partitionData = partitions.map((index) => {
      const value = `${round}.${index}.`.repeat(sizeBytes / 4).slice(0, sizeBytes)
      values[index]!.push(value)
      return { index, records: [batchOf([value])] }
    })
    const topicData = [{ name: 'orders', topicId: zeroUuid, partitionData }]
    const { responses } = await client.send(Produce, 9, { acks: -1, timeoutMs: 1_000, topicData })
    assert.deepEqual(new Set(responses[0]!.partitionResponses.map(({ errorCode }) => errorCode)), new Set([0]))
  }
  for (let round = 0; round < 60; round += 4) {
    await Promise.all([
      send(round, [0], 300_000), // kept where it came
      send(round + 1, [1], 1_000_000),
      send(round + 2, [0, 1, 2], 70_000), // copied out of what came
      send(round + 3, [2], 140_000),
    ])
  }
  for (const [partition, expected] of values.entries()) {
    const got: string[] = []
    while (got.length < expected.length) {
      const request = fetchRequest({ partitions: [{ partition, fetchOffset: BigInt(got.length) }] })
      const { responses } = await broker.send(Fetch, 11, request)
      got.push(...valuesOf(responses[0]!.partitions[0]!.records))
    }
    assert.ok(
      got.every((value, at) => value === expected[at]),
      `partition ${partition}`,
    )
  }
})
