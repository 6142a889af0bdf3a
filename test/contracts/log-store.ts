/** What every engine behind LogStore must do. */
import { strict as assert } from 'node:assert'
import { test, type TestContext } from 'node:test'
import { lastOffsetOf, sealInPlace, splitBatches, type BatchRef } from '../../protocol/records/batch.ts'
import { buildEndTransactionMarker } from '../../protocol/records/control.ts'
import { readBatchHeader, timestampTypeOf, verifyCrc, crcOf } from '../../protocol/records/batch.ts'
import { decodeRecords } from '../../protocol/records/record.ts'
import type { AppendResult, LogHandle, LogStore, Result, StorageCode, WakeCause } from '../../storage/log-store.ts'
import {
  append,
  mirror,
  openTestLog,
  read,
  readAllBatches,
  readAllRecords,
  readAllValues,
  testBatch,
  testNowMs,
  testTopic,
  testTopicId,
  type TestBatch,
  type TestTopic,
} from '../support/logs.ts'

/** An engine under test. `reopen` ends the store (cleanly, or as kill -9 would) and opens it on the same data. */
export interface Engine {
  store: LogStore
  reopen(how: 'clean' | 'killed'): Promise<LogStore>
}

export type MakeEngine = (t: TestContext) => Promise<Engine>

const link = { lease: 'link', fenceEpoch: 1n }

function refused(result: AppendResult | Result, code: StorageCode): void {
  assert(!result.ok, 'the call was expected to fail')
  assert.equal(result.code, code, result.message)
}

function succeeded<T extends { ok: boolean }>(result: T): T & { ok: true } {
  assert(
    result.ok,
    JSON.stringify(result, (_, value: unknown) => (typeof value === 'bigint' ? String(value) : value)),
  )
  return result as T & { ok: true }
}

async function allRefused(results: readonly Promise<AppendResult>[], code: StorageCode): Promise<void> {
  for (const result of await Promise.all(results)) refused(result, code)
}

function marker(options: {
  producerId?: bigint
  commit?: boolean
  coordinatorEpoch?: number
  producerEpoch?: number
}): BatchRef {
  const { producerId = 7n, commit = false, coordinatorEpoch = 0, producerEpoch = 0 } = options
  const bytes = buildEndTransactionMarker({
    producerId,
    producerEpoch,
    coordinatorEpoch,
    commit,
    timestampMs: testNowMs,
  })
  return { bytes, header: readBatchHeader(bytes) }
}

/** A batch of an idempotent producer. */
function sequenced(baseSequence: number, batch: TestBatch = {}): BatchRef {
  return testBatch({ producerId: 7n, producerEpoch: 0, baseSequence, ...batch })
}

function transactional(baseSequence: number, batch: TestBatch = {}): BatchRef {
  return sequenced(baseSequence, { isTransactional: true, ...batch })
}

const coordinator = { origin: 'coordinator' as const }

export function logStoreContract(name: string, makeEngine: MakeEngine): void {
  const open = async (t: TestContext, topic: TestTopic = {}) => {
    const engine = await makeEngine(t)
    return { engine, store: engine.store, log: await openTestLog(engine.store, topic) }
  }
  appendContract(name, open)
  checkContract(name, open)
  producerContract(name, open)
  transactionContract(name, open)
  readContract(name, open)
  lookUpContract(name, open)
  mirrorContract(name, open)
  lifeContract(name, open)
}

type Open = (t: TestContext, topic?: TestTopic) => Promise<{ engine: Engine; store: LogStore; log: LogHandle }>

function appendContract(name: string, open: Open): void {
  test(`${name}: appends that were called without waiting get their offsets in call order`, async (t) => {
    const { store, log } = await open(t)
    const results = await Promise.all(
      ['a', 'b', 'c', 'd'].map((value) => append(store, log, { batches: [testBatch({ values: [value, value] })] })),
    )
    assert.deepEqual(
      results.map((result) => succeeded(result).baseOffset),
      [0n, 2n, 4n, 6n],
    )
    assert.deepEqual(await readAllValues(store, log), ['a', 'a', 'b', 'b', 'c', 'c', 'd', 'd'])
  })

  test(`${name}: an append writes offset and leader epoch into the batch and leaves every other byte`, async (t) => {
    const { store, log } = await open(t)
    const batch = testBatch({ values: ['a', 'b'], leaderEpoch: 55 })
    const before = Buffer.from(batch.bytes)
    await append(store, log)
    succeeded(await append(store, log, { batches: [batch], mode: { kind: 'assign', leaderEpoch: 3 } }))
    const written = (await readAllBatches(store, log))[1]!
    assert.equal(written.header.baseOffset, 1n)
    assert.equal(written.header.partitionLeaderEpoch, 3)
    assert(verifyCrc(written))
    assert.deepEqual(Buffer.from(written.bytes.subarray(16)), before.subarray(16))
    assert.equal(store.view(log).leaderEpoch, 3)
  })

  test(`${name}: entries of one call settle on their own, in their order`, async (t) => {
    const { store, log } = await open(t, { partitionCount: 2 })
    const other = store.find({ topicId: testTopicId(), partitionIndex: 1 })!
    const mode = { kind: 'assign', leaderEpoch: 0 } as const
    const results = await store.append(
      [
        { log, batches: [testBatch()], mode, origin: 'client' },
        { log: other, batches: [marker({})], mode, origin: 'client' },
        { log: other, batches: [testBatch()], mode, origin: 'client' },
      ],
      { nowMs: testNowMs },
    )
    assert.deepEqual(
      results.map((result) => result.ok),
      [true, false, true],
    )
    assert.equal(store.view(other).highWatermark, 1n)
  })

  test(`${name}: of an entry with several batches all get in or none`, async (t) => {
    const { store, log } = await open(t)
    refused(await append(store, log, { batches: [sequenced(0), sequenced(5)] }), 'OUT_OF_ORDER_SEQUENCE')
    assert.equal(store.view(log).highWatermark, 0n)
    succeeded(await append(store, log, { batches: [sequenced(0), sequenced(1)] }))
    assert.equal(store.view(log).highWatermark, 2n)
  })

  test(`${name}: what is published never changes, also when the caller's buffer does`, async (t) => {
    const { store, log } = await open(t)
    const values = ['kept', 'x'.repeat(49_000)] // of less than half of the frame no view is kept, however large
    for (const value of values) {
      const frame = new Uint8Array(100_000)
      const batch = testBatch({ values: [value] })
      frame.set(batch.bytes, 500)
      const bytes = frame.subarray(500, 500 + batch.bytes.length)
      succeeded(await append(store, log, { batches: [{ bytes, header: batch.header }] }))
      frame.fill(0)
    }
    assert.deepEqual(await readAllValues(store, log), values)
  })

  test(`${name}: an append with a leader epoch that is over is refused`, async (t) => {
    const { store, log } = await open(t, { leaderEpoch: 4 })
    refused(await append(store, log, { mode: { kind: 'assign', leaderEpoch: 3 } }), 'LEADER_EPOCH_STALE')
    succeeded(await append(store, log, { mode: { kind: 'assign', leaderEpoch: 4 } }))
  })

  test(`${name}: a stale fence is refused, by lease`, async (t) => {
    const { store, log } = await open(t)
    store.fence(log, { lease: 'a', fenceEpoch: 5n })
    store.fence(log, { lease: 'a', fenceEpoch: 4n })
    refused(await append(store, log, { fence: { lease: 'a', fenceEpoch: 4n } }), 'FENCED')
    refused(await store.deleteBefore(log, 0n, { lease: 'a', fenceEpoch: 4n }), 'FENCED')
    succeeded(await append(store, log, { fence: { lease: 'a', fenceEpoch: 5n } }))
    succeeded(await append(store, log, { fence: { lease: 'b', fenceEpoch: 1n } }))
    succeeded(await append(store, log))
  })

  test(`${name}: with LogAppendTime the batch gets the time of the append, its type and a new CRC`, async (t) => {
    const { store, log } = await open(t, { config: { messageTimestampType: 'LogAppendTime' } })
    const batch = testBatch({ values: ['a', 'b'], baseTimestampMs: 5n })
    const result = succeeded(await append(store, log, { batches: [batch], nowMs: 77n }))
    assert.equal(result.logAppendTimeMs, 77n)
    const [written] = await readAllBatches(store, log)
    assert.equal(crcOf(written!.bytes), written!.header.crc)
    assert.deepEqual(
      decodeRecords(written!).map((record) => record.timestampMs),
      [77n, 77n],
    )
    assert.equal(succeeded(await store.offsetForTime(log, 77n)).found?.offset, 0n)
  })

  for (const compressionType of ['uncompressed', 'gzip', 'snappy', 'lz4', 'zstd'] as const) {
    test(`${name}: a topic of compression.type ${compressionType} recompresses, and keeps every record`, async (t) => {
      const { store, log } = await open(t, { config: { compressionType } })
      const batch = sequenced(0, {
        values: ['a', 'b', 'c'.repeat(500)],
        compression: compressionType === 'gzip' ? 'lz4' : 'gzip',
      })
      succeeded(await append(store, log, { batches: [batch] }))
      const [written] = await readAllBatches(store, log)
      const codes = { uncompressed: 0, gzip: 1, snappy: 2, lz4: 3, zstd: 4 }
      assert.equal(written!.header.attributes & 7, codes[compressionType])
      assert.equal(written!.header.producerId, 7n)
      assert(verifyCrc(written!))
      assert.deepEqual(await readAllValues(store, log), ['a', 'b', 'c'.repeat(500)])
    })
  }
}

function checkContract(name: string, open: Open): void {
  const cases: [string, StorageCode, TestTopic['config'], () => BatchRef][] = [
    [
      'a batch above max.message.bytes',
      'BATCH_TOO_LARGE',
      { maxMessageBytes: 100 },
      () => testBatch({ valueBytes: 50 }),
    ],
    ['a control batch', 'INVALID_RECORD', {}, () => marker({})],
    ['a batch that claims more offsets than records', 'INVALID_RECORD', {}, () => testBatch({ lastOffsetDelta: 3 })],
    ['a batch without records', 'INVALID_RECORD', {}, () => testBatch({ records: [] })],
    ['a producer id without a sequence', 'INVALID_RECORD', {}, () => testBatch({ producerId: 5n, producerEpoch: 0 })],
    [
      'a timestamp too far ahead',
      'INVALID_TIMESTAMP',
      {},
      () => testBatch({ baseTimestampMs: testNowMs + 3_600_001n }),
    ],
    [
      'a timestamp too old',
      'INVALID_TIMESTAMP',
      { messageTimestampBeforeMaxMs: 1000n },
      () => testBatch({ baseTimestampMs: testNowMs - 1001n }),
    ],
    ['a batch with an offset of its own', 'INVALID_RECORD', {}, () => testBatch({ baseOffset: 99n })],
    ['a flipped bit', 'CORRUPT_BATCH', {}, () => flipped(testBatch(), -2)],
    ['a length that is not its own', 'CORRUPT_BATCH', {}, () => cut(testBatch())],
    ['magic 1', 'UNSUPPORTED_MAGIC', {}, () => withMagic(testBatch(), 1)],
    ['a codec that does not exist', 'UNSUPPORTED_COMPRESSION', {}, () => withCodec(testBatch(), 6)],
  ]
  for (const [what, code, config, make] of cases) {
    test(`${name}: a client is refused ${what} with ${code}, and the next append works`, async (t) => {
      const { store, log } = await open(t, { config: config! })
      refused(await append(store, log, { batches: [make()] }), code)
      assert.equal(store.view(log).logEndOffset, 0n)
      assert.equal(succeeded(await append(store, log, { batches: [testBatch()] })).baseOffset, 0n)
    })
  }

  test(`${name}: records keep their times when a producer claims that they are those of an append`, async (t) => {
    const { store, log } = await open(t)
    const batch = testBatch({ baseTimestampMs: testNowMs - 5n, timestampType: 'LogAppendTime' })
    succeeded(await append(store, log, { batches: [batch] }))
    const [written] = await readAllBatches(store, log)
    assert.equal(timestampTypeOf(written!.header), 'CreateTime')
    assert.equal(decodeRecords(written!)[0]!.timestampMs, testNowMs - 5n)
    assert(verifyCrc(written!))
    assert.equal(timestampTypeOf(readBatchHeader(batch.bytes)), 'LogAppendTime', 'the bytes of the caller stay')
  })

  test(`${name}: a refusal for timestamps names the records that are out of range`, async (t) => {
    const { store, log } = await open(t)
    const late = testNowMs + 3_600_001n
    const records = [
      { value: 'a', timestampMs: late },
      { value: 'b', timestampMs: testNowMs },
      { value: 'c', timestampMs: late },
    ]
    const result = await append(store, log, { batches: [testBatch({ records })] })
    assert(!result.ok && result.code === 'INVALID_TIMESTAMP')
    assert.deepEqual(
      result.recordErrors?.map(({ batchIndex }) => batchIndex),
      [0, 2],
    )
  })

  test(`${name}: the bounds of size and time themselves are accepted`, async (t) => {
    const batch = testBatch({ baseTimestampMs: testNowMs + 3_600_000n })
    const { store, log } = await open(t, { config: { maxMessageBytes: batch.bytes.length } })
    succeeded(await append(store, log, { batches: [batch] }))
    succeeded(await append(store, log, { batches: [testBatch({ baseTimestampMs: -1n })] }))
  })

  test(`${name}: a compacted topic names each record without a key, and keeps none of the batch`, async (t) => {
    const { store, log } = await open(t, { config: { cleanupPolicy: { compact: true, delete: false } } })
    const batch = testBatch({
      records: [{ key: 'a' }, { value: 'x' }, { key: 'b' }, { value: 'y' }],
      compression: 'lz4',
    })
    const result = await append(store, log, { batches: [batch] })
    refused(result, 'INVALID_RECORD')
    assert(!result.ok)
    assert.deepEqual(
      result.recordErrors?.map((error) => error.batchIndex),
      [1, 3],
    )
    assert.equal(store.view(log).highWatermark, 0n)
  })

  test(`${name}: coordinators write markers and large batches, but no damaged ones`, async (t) => {
    const { store, log } = await open(t, { config: { maxMessageBytes: 10 } })
    succeeded(await append(store, log, { batches: [marker({})], ...coordinator }))
    succeeded(await append(store, log, { batches: [testBatch({ valueBytes: 500 })], ...coordinator }))
    refused(await append(store, log, { batches: [flipped(testBatch(), -1)], ...coordinator }), 'CORRUPT_BATCH')
  })
}

function flipped(batch: BatchRef, at: number): BatchRef {
  const bytes = Uint8Array.from(batch.bytes)
  const index = at < 0 ? bytes.length + at : at
  bytes[index] = bytes[index]! ^ 1
  return { bytes, header: batch.header }
}

function cut(batch: BatchRef): BatchRef {
  return { bytes: batch.bytes.subarray(0, -1), header: batch.header }
}

function withMagic(batch: BatchRef, magic: number): BatchRef {
  const bytes = Uint8Array.from(batch.bytes)
  bytes[16] = magic
  return { bytes, header: { ...batch.header, magic } }
}

function withCodec(batch: BatchRef, codec: number): BatchRef {
  const bytes = Uint8Array.from(batch.bytes)
  bytes[22] = codec
  sealInPlace(bytes)
  return { bytes, header: readBatchHeader(bytes) }
}

function producerContract(name: string, open: Open): void {
  test(`${name}: each of a producer's last five batches is recognized when it is sent again`, async (t) => {
    const { store, log } = await open(t)
    for (let index = 0; index < 6; index++) {
      succeeded(await append(store, log, { batches: [sequenced(index * 2, { values: ['a', 'b'] })] }))
    }
    for (let index = 1; index < 6; index++) {
      const again = succeeded(await append(store, log, { batches: [sequenced(index * 2, { values: ['a', 'b'] })] }))
      assert.equal(again.duplicate, true)
      assert.equal(again.baseOffset, BigInt(index * 2))
      assert.equal(again.lastOffset, BigInt(index * 2 + 1))
    }
    const oldest = append(store, log, { batches: [sequenced(0, { values: ['a', 'b'] })] })
    refused(await oldest, 'OUT_OF_ORDER_SEQUENCE')
    assert.equal(store.view(log).highWatermark, 12n)
  })

  test(`${name}: a repeat of a batch that is still being written waits for it and has its offsets`, async (t) => {
    const { store, log } = await open(t)
    const results = await Promise.all([
      append(store, log, { batches: [sequenced(0)] }),
      append(store, log, { batches: [sequenced(1)] }),
      append(store, log, { batches: [sequenced(0)] }),
      append(store, log, { batches: [sequenced(1)] }),
    ])
    assert.deepEqual(
      results.map((result) => [succeeded(result).baseOffset, result.ok && result.duplicate]),
      [
        [0n, false],
        [1n, false],
        [0n, true],
        [1n, true],
      ],
    )
    assert.equal(store.view(log).highWatermark, 2n)
  })

  test(`${name}: a gap in the sequence is refused, and the producer goes on where it was`, async (t) => {
    const { store, log } = await open(t)
    succeeded(await append(store, log, { batches: [sequenced(0, { values: ['a', 'b', 'c'] })] }))
    await allRefused(
      [2, 4, 100].map((sequence) => append(store, log, { batches: [sequenced(sequence)] })),
      'OUT_OF_ORDER_SEQUENCE',
    )
    succeeded(await append(store, log, { batches: [sequenced(3)] }))
  })

  test(`${name}: an unknown producer may begin at any sequence`, async (t) => {
    const { store, log } = await open(t)
    succeeded(await append(store, log, { batches: [sequenced(42)] }))
  })

  test(`${name}: after sequence 2147483647 comes 0`, async (t) => {
    const { store, log } = await open(t)
    succeeded(await append(store, log, { batches: [sequenced(2_147_483_646, { values: ['a', 'b', 'c'] })] }))
    succeeded(await append(store, log, { batches: [sequenced(1)] }))
    const again = succeeded(
      await append(store, log, { batches: [sequenced(2_147_483_646, { values: ['a', 'b', 'c'] })] }),
    )
    assert.equal(again.duplicate, true)
  })

  test(`${name}: a new producer epoch begins at sequence 0, and the old one is refused`, async (t) => {
    const { store, log } = await open(t)
    succeeded(await append(store, log, { batches: [sequenced(0)] }))
    refused(await append(store, log, { batches: [sequenced(1, { producerEpoch: 1 })] }), 'OUT_OF_ORDER_SEQUENCE')
    succeeded(await append(store, log, { batches: [sequenced(0, { producerEpoch: 1 })] }))
    refused(await append(store, log, { batches: [sequenced(1)] }), 'PRODUCER_EPOCH_STALE')
  })

  test(`${name}: producer ids above 2^53 differ by their last bit`, async (t) => {
    const { engine, store, log } = await open(t)
    const producerId = 2n ** 60n + 1n
    succeeded(await append(store, log, { batches: [sequenced(0, { producerId })] }))
    succeeded(await append(store, log, { batches: [sequenced(9, { producerId: producerId + 1n })] }))
    const reopened = await engine.reopen('killed')
    const again = await openTestLog(reopened)
    assert.deepEqual(
      reopened.activeProducers(again).map((producer) => producer.producerId),
      [producerId, producerId + 1n],
    )
    assert.equal(succeeded(await append(reopened, again, { batches: [sequenced(0, { producerId })] })).duplicate, true)
  })

  for (const how of ['clean', 'killed'] as const) {
    test(`${name}: producers are remembered over a restart (${how})`, async (t) => {
      const { engine, store, log } = await open(t)
      for (let index = 0; index < 3; index++) succeeded(await append(store, log, { batches: [sequenced(index)] }))
      const reopened = await engine.reopen(how)
      const again = await openTestLog(reopened)
      assert.equal(succeeded(await append(reopened, again, { batches: [sequenced(1)] })).baseOffset, 1n)
      refused(await append(reopened, again, { batches: [sequenced(9)] }), 'OUT_OF_ORDER_SEQUENCE')
      succeeded(await append(reopened, again, { batches: [sequenced(3)] }))
    })
  }

  test(`${name}: a producer that was silent for a day is forgotten, but for an open transaction`, async (t) => {
    const { store, log } = await open(t)
    succeeded(await append(store, log, { batches: [sequenced(0)] }))
    succeeded(await append(store, log, { batches: [transactional(0, { producerId: 8n })] }))
    assert.equal((await store.housekeep(testNowMs + 86_399_999n)).expiredProducers, 0)
    assert.equal((await store.housekeep(testNowMs + 86_400_000n)).expiredProducers, 1)
    assert.deepEqual(
      store.activeProducers(log).map((producer) => producer.producerId),
      [8n],
    )
  })
}

function transactionContract(name: string, open: Open): void {
  test(`${name}: committed readers stop at the first open transaction and learn which were aborted`, async (t) => {
    const { store, log } = await open(t)
    succeeded(await append(store, log)) // 0
    succeeded(await append(store, log, { batches: [transactional(0)] })) // 1
    succeeded(await append(store, log, { batches: [transactional(0, { producerId: 8n })] })) // 2
    assert.equal(store.view(log).lastStableOffset, 1n)
    succeeded(await append(store, log, { batches: [marker({ producerId: 8n, commit: true })], ...coordinator })) // 3
    assert.equal(store.view(log).lastStableOffset, 1n)
    const before = succeeded(await read(store, log, { isolation: 'committed' }))
    assert.equal(before.chunks.flatMap((chunk) => splitBatches(chunk)).length, 1)
    assert.deepEqual(before.aborted, [])
    succeeded(await append(store, log, { batches: [marker({})], ...coordinator })) // 4
    assert.equal(store.view(log).lastStableOffset, 5n)
    const after = succeeded(await read(store, log, { isolation: 'committed' }))
    assert.equal(after.chunks.flatMap((chunk) => splitBatches(chunk)).length, 5)
    assert.deepEqual(after.aborted, [{ producerId: 7n, firstOffset: 1n }])
    assert.deepEqual(succeeded(await read(store, log)).aborted, [])
  })

  test(`${name}: the aborted list has what reaches into the range that was read, in order of first offsets`, async (t) => {
    const { store, log } = await open(t)
    for (let round = 0; round < 4; round++) {
      const producerId = BigInt(10 + round)
      succeeded(await append(store, log, { batches: [transactional(0, { producerId, valueBytes: 100 })] }))
      succeeded(await append(store, log, { batches: [marker({ producerId })], ...coordinator }))
    }
    const sizeBytes = (await readAllBatches(store, log))[0]!.bytes.length
    const some = succeeded(await read(store, log, { isolation: 'committed', offset: 2n, maxBytes: sizeBytes }))
    assert.deepEqual(some.aborted, [{ producerId: 11n, firstOffset: 2n }])
    const marked = succeeded(await read(store, log, { isolation: 'committed', offset: 3n, maxBytes: 1 }))
    assert.deepEqual(marked.aborted, [{ producerId: 11n, firstOffset: 2n }])
    const all = succeeded(await read(store, log, { isolation: 'committed' }))
    assert.deepEqual(
      all.aborted.map((transaction) => transaction.firstOffset),
      [0n, 2n, 4n, 6n],
    )
  })

  test(`${name}: two transactions that end in the other order than they began both show up, sorted`, async (t) => {
    const { store, log } = await open(t)
    succeeded(await append(store, log, { batches: [transactional(0)] }))
    succeeded(await append(store, log, { batches: [transactional(0, { producerId: 8n })] }))
    succeeded(await append(store, log, { batches: [marker({ producerId: 8n })], ...coordinator }))
    succeeded(await append(store, log, { batches: [marker({})], ...coordinator }))
    const all = succeeded(await read(store, log, { isolation: 'committed' }))
    assert.deepEqual(all.aborted, [
      { producerId: 7n, firstOffset: 0n },
      { producerId: 8n, firstOffset: 1n },
    ])
  })

  test(`${name}: a plain batch of a producer with an open transaction is refused`, async (t) => {
    const { store, log } = await open(t)
    succeeded(await append(store, log, { batches: [transactional(0)] }))
    refused(await append(store, log, { batches: [sequenced(1)] }), 'INVALID_TRANSACTION_STATE')
    succeeded(await append(store, log, { batches: [transactional(1)] }))
  })

  test(`${name}: markers of an older coordinator or producer epoch are refused`, async (t) => {
    const { store, log } = await open(t)
    succeeded(await append(store, log, { batches: [transactional(0, { producerEpoch: 3 })] }))
    succeeded(
      await append(store, log, { batches: [marker({ producerEpoch: 3, coordinatorEpoch: 5 })], ...coordinator }),
    )
    refused(
      await append(store, log, { batches: [marker({ producerEpoch: 2 })], ...coordinator }),
      'PRODUCER_EPOCH_STALE',
    )
    refused(
      await append(store, log, { batches: [marker({ producerEpoch: 3, coordinatorEpoch: 4 })], ...coordinator }),
      'FENCED',
    )
  })

  test(`${name}: open transactions and the aborted list survive a restart`, async (t) => {
    const { engine, store, log } = await open(t)
    succeeded(await append(store, log, { batches: [transactional(0)] }))
    succeeded(await append(store, log, { batches: [marker({})], ...coordinator }))
    succeeded(await append(store, log, { batches: [transactional(1, { producerEpoch: 0 })] }))
    const reopened = await engine.reopen('killed')
    const again = await openTestLog(reopened)
    assert.equal(reopened.view(again).lastStableOffset, 2n)
    assert.deepEqual(reopened.openTransactions(again), [
      { producerId: 7n, producerEpoch: 0, coordinatorEpoch: 0, firstOffset: 2n },
    ])
    const all = succeeded(await read(reopened, again, { isolation: 'committed' }))
    assert.deepEqual(all.aborted, [{ producerId: 7n, firstOffset: 0n }])
  })
}

function readContract(name: string, open: Open): void {
  const smallSegments = { config: { segmentBytes: 1000, indexIntervalBytes: 200 } }

  test(`${name}: a read begins with the whole batch that holds the offset`, async (t) => {
    const { store, log } = await open(t)
    succeeded(await append(store, log, { batches: [testBatch({ values: ['a', 'b', 'c'] })] }))
    succeeded(await append(store, log, { batches: [testBatch({ values: ['d', 'e', 'f'] })] }))
    const result = succeeded(await read(store, log, { offset: 4n }))
    const batches = result.chunks.flatMap((chunk) => splitBatches(chunk))
    assert.deepEqual(
      batches.map((batch) => batch.header.baseOffset),
      [3n],
    )
    assert.deepEqual(succeeded(await read(store, log, { offset: 6n })).chunks, [])
  })

  test(`${name}: offsets outside of the log are refused with its view`, async (t) => {
    const { store, log } = await open(t)
    succeeded(await append(store, log))
    for (const offset of [-1n, 2n, 99n]) {
      const result = await read(store, log, { offset })
      refused(result as AppendResult, 'OFFSET_OUT_OF_RANGE')
      assert(!result.ok)
      assert.equal(result.view?.highWatermark, 1n)
    }
  })

  test(`${name}: limits hold over all requests together, and one batch too large comes only from the first log with data`, async (t) => {
    const { store, log } = await open(t, { partitionCount: 3 })
    const logs = [0, 1, 2].map((partitionIndex) => store.find({ topicId: testTopicId(), partitionIndex })!)
    for (const each of logs.slice(1)) {
      for (let index = 0; index < 3; index++) {
        succeeded(await append(store, each, { batches: [testBatch({ valueBytes: 1000 })] }))
      }
    }
    const requests = logs.map((each) => ({
      log: each,
      offset: 0n,
      maxBytes: 10_000,
      isolation: 'uncommitted' as const,
    }))
    const counts = async (maxBytes: number, minOneBatch: boolean) =>
      (await store.read(requests, { maxBytes, minOneBatch })).map(
        (result) => succeeded(result).chunks.flatMap((chunk) => splitBatches(chunk)).length,
      )
    assert.equal(store.view(log).highWatermark, 0n)
    assert.deepEqual(await counts(10, true), [0, 1, 0])
    assert.deepEqual(await counts(10, false), [0, 0, 0])
    assert.deepEqual(await counts(4 * 1100, true), [0, 3, 1])
    assert.deepEqual(await counts(100_000, true), [0, 3, 3])
  })

  test(`${name}: reads cross the borders of segments, from every offset, fresh and after a restart`, async (t) => {
    const { engine, store, log } = await open(t, smallSegments)
    const values = Array.from({ length: 40 }, (_, index) => `value ${index} ${'x'.repeat(index * 3)}`)
    for (let index = 0; index < 40; index += 2) {
      succeeded(await append(store, log, { batches: [testBatch({ values: values.slice(index, index + 2) })] }))
    }
    const reopened = await engine.reopen('clean')
    const again = await openTestLog(reopened, smallSegments)
    for (const [some, its] of [
      [store, log],
      [reopened, again],
    ] as const) {
      if (some === store && store !== reopened) continue
      assert.deepEqual(await readAllValues(some, its), values)
    }
    for (let offset = 0n; offset < 40n; offset++) {
      const batches = await readAllBatches(reopened, again, offset)
      assert.equal(batches[0]!.header.baseOffset, offset - (offset % 2n))
      assert.equal(lastOffsetOf(batches.at(-1)!.header), 39n)
    }
    succeeded(await append(reopened, again, { batches: [testBatch({ values: ['more'] })] }))
    assert.deepEqual(await readAllValues(reopened, again), [...values, 'more'])
  })

  test(`${name}: availableBytes is never less than there is, and little more`, async (t) => {
    const { engine, store, log } = await open(t, smallSegments)
    for (let index = 0; index < 30; index++) {
      succeeded(await append(store, log, { batches: [testBatch({ valueBytes: 100 })] }))
    }
    const sizes = (await readAllBatches(store, log)).map((batch) => batch.bytes.length)
    const from = (offset: number) => sizes.slice(offset).reduce((sum, size) => sum + size, 0)
    assert.equal(store.sizeBytes(log), from(0))
    const reopened = await engine.reopen('clean')
    const again = await openTestLog(reopened, smallSegments)
    for (const offset of [0, 1, 13, 29]) {
      assert(reopened.availableBytes(again, BigInt(offset), 'uncommitted') >= from(offset))
    }
    await readAllBatches(reopened, again) // an engine may know its log less exactly before it was read
    for (const offset of [0, 1, 13, 29, 30]) {
      const available = reopened.availableBytes(again, BigInt(offset), 'uncommitted')
      const expected = from(offset)
      assert(available >= expected && available <= expected + 400, `${available} of ${expected} at ${offset}`)
    }
  })

  test(`${name}: a reader with another history learns where it parts, before any byte`, async (t) => {
    const { store, log } = await open(t)
    const at = async (leaderEpoch: number) =>
      succeeded(await append(store, log, { mode: { kind: 'assign', leaderEpoch } }))
    await at(1) // 0
    await at(1) // 1
    await at(3) // 2
    await at(5) // 3
    const diverging = async (offset: bigint, lastFetchedEpoch: number) => {
      const result = succeeded(await read(store, log, { offset, lastFetchedEpoch }))
      if (result.diverging) assert.deepEqual(result.chunks, [])
      return result.diverging
    }
    assert.equal(await diverging(2n, 1), undefined)
    assert.deepEqual(await diverging(3n, 1), { leaderEpoch: 1, endOffset: 2n })
    assert.deepEqual(await diverging(2n, 2), { leaderEpoch: 1, endOffset: 2n })
    assert.deepEqual(await diverging(3n, 4), { leaderEpoch: 3, endOffset: 3n })
    assert.deepEqual(await diverging(9n, 5), { leaderEpoch: 5, endOffset: 4n })
    refused((await read(store, log, { offset: 2n, lastFetchedEpoch: 6 })) as AppendResult, 'OFFSET_OUT_OF_RANGE')
  })

  test(`${name}: a reader with another leader epoch than the log's is told so`, async (t) => {
    const { store, log } = await open(t, { leaderEpoch: 4 })
    refused((await read(store, log, { currentLeaderEpoch: 3 })) as AppendResult, 'LEADER_EPOCH_STALE')
    refused((await read(store, log, { currentLeaderEpoch: 5 })) as AppendResult, 'LEADER_EPOCH_UNKNOWN')
    succeeded(await read(store, log, { currentLeaderEpoch: 4 }))
    succeeded(await read(store, log, { currentLeaderEpoch: -1 }))
  })
}

function lookUpContract(name: string, open: Open): void {
  test(`${name}: the end of every epoch, known and unknown, is that of OffsetsForLeaderEpoch`, async (t) => {
    const { engine, store, log } = await open(t, { leaderEpoch: 2 })
    for (const leaderEpoch of [2, 2, 4, 7]) {
      succeeded(await append(store, log, { mode: { kind: 'assign', leaderEpoch } }))
    }
    const table = async (some: LogStore, its: LogHandle) =>
      Promise.all(
        [-1, 0, 2, 3, 4, 6, 7, 8].map(async (leaderEpoch) => {
          const end = succeeded(await some.endOffsetForEpoch(its, leaderEpoch))
          return [end.leaderEpoch, end.endOffset]
        }),
      )
    const expected = [
      [-1, -1n],
      [0, 0n],
      [2, 2n],
      [2, 2n],
      [4, 3n],
      [4, 3n],
      [7, 4n],
      [-1, -1n],
    ]
    assert.deepEqual(await table(store, log), expected)
    assert.deepEqual(
      [0n, 1n, 2n, 3n, 9n].map((offset) => store.epochAt(log, offset)),
      [2, 2, 4, 7, 7],
    )
    const reopened = await engine.reopen('killed')
    assert.deepEqual(await table(reopened, await openTestLog(reopened, { leaderEpoch: 7 })), expected)
  })

  test(`${name}: an epoch that was raised without a record is part of the history`, async (t) => {
    const { store, log } = await open(t)
    succeeded(await append(store, log))
    succeeded(await store.raiseLeaderEpoch(log, 5))
    succeeded(await store.raiseLeaderEpoch(log, 3))
    assert.equal(store.view(log).leaderEpoch, 5)
    assert.deepEqual(succeeded(await store.endOffsetForEpoch(log, 4)).endOffset, 1n)
    assert.deepEqual(succeeded(await store.endOffsetForEpoch(log, 5)).endOffset, 1n)
    refused(await append(store, log), 'LEADER_EPOCH_STALE')
  })

  test(`${name}: a look-up by time finds the first record at or after it, however times are ordered`, async (t) => {
    const { store, log } = await open(t, { config: { segmentBytes: 250, indexIntervalBytes: 1 } })
    const times = [50n, 10n, 40n, 20n, 60n, 60n, 30n, 55n]
    for (let index = 0; index < times.length; index += 2) {
      const records = times.slice(index, index + 2).map((timestampMs) => ({ key: 'k', timestampMs }))
      succeeded(await append(store, log, { batches: [testBatch({ records })] }))
    }
    for (let time = 0n; time < 65n; time += 5n) {
      const expected = times.findIndex((timestampMs) => timestampMs >= time)
      const { found } = succeeded(await store.offsetForTime(log, time))
      assert.equal(found?.offset, expected < 0 ? undefined : BigInt(expected), `at ${time}`)
      if (found) assert.equal(found.timestampMs, times[expected])
    }
    const { found } = succeeded(await store.maxTimestamp(log))
    assert.deepEqual(found, { offset: 4n, timestampMs: 60n, leaderEpoch: 0 })
    succeeded(await store.deleteBefore(log, 5n))
    assert.equal(succeeded(await store.offsetForTime(log, 60n)).found?.offset, 5n)
    assert.equal(succeeded(await store.maxTimestamp(log)).found?.offset, 5n)
    succeeded(await store.deleteBefore(log, 6n))
    assert.deepEqual(succeeded(await store.maxTimestamp(log)).found?.offset, 7n)
    assert.equal(succeeded(await store.offsetForTime(log, 56n)).found, undefined)
  })

  test(`${name}: an empty log has no record at any time`, async (t) => {
    const { store, log } = await open(t)
    assert.equal(succeeded(await store.offsetForTime(log, 0n)).found, undefined)
    assert.equal(succeeded(await store.maxTimestamp(log)).found, undefined)
  })
}

function mirrorContract(name: string, open: Open): void {
  const asMirror = { isMirror: true }

  test(`${name}: a mirror keeps every byte, over gaps and epochs`, async (t) => {
    const { engine, store, log } = await open(t, asMirror)
    const batches = [
      testBatch({ baseOffset: 3n, leaderEpoch: 1, values: ['a', 'b'] }),
      testBatch({ baseOffset: 9n, leaderEpoch: 1, values: ['c'], compression: 'zstd', lastOffsetDelta: 4 }),
      testBatch({
        baseOffset: 2n ** 40n,
        leaderEpoch: 6,
        producerId: 2n ** 60n + 1n,
        producerEpoch: 1,
        baseSequence: 77,
      }),
    ]
    const bytes = batches.map((batch) => Buffer.from(batch.bytes))
    succeeded(await mirror(store, log, batches.slice(0, 2)))
    succeeded(await mirror(store, log, batches.slice(2)))
    assert.equal(store.view(log).logEndOffset, 2n ** 40n + 1n)
    assert.equal(store.view(log).leaderEpoch, 6)
    const reopened = await engine.reopen('killed')
    const again = await openTestLog(reopened, asMirror)
    for (const read of [await readAllBatches(reopened, again)]) {
      assert.deepEqual(
        read.map((batch) => Buffer.from(batch.bytes)),
        bytes,
      )
    }
    assert.equal(reopened.view(again).logEndOffset, 2n ** 40n + 1n)
    assert.equal(lastOffsetOf((await readAllBatches(reopened, again, 6n))[0]!.header), 13n)
    assert.deepEqual(succeeded(await reopened.endOffsetForEpoch(again, 1)).endOffset, 2n ** 40n)
  })

  test(`${name}: what a mirror takes in bulk is read as all else, and the caller's memory is free then`, async (t) => {
    const { store, log } = await open(t, asMirror)
    const expected: Buffer[] = []
    for (const [offset, letter] of ['a', 'b', 'c', 'd', 'e'].entries()) {
      const value = letter.repeat(40_000)
      const { header, bytes } = testBatch({ baseOffset: BigInt(offset), leaderEpoch: 0, values: [value] })
      expected.push(Buffer.from(bytes))
      const isBulk = offset % 4 !== 0 // between two that are not
      const mode = { kind: 'preserve', expectedLogEndOffset: BigInt(offset), isBulk } as const
      succeeded(await append(store, log, { batches: [{ header, bytes }], origin: 'mirror', mode }))
      if (isBulk) bytes.fill(0)
      for (let from = 0; from <= offset; from++) {
        const found = await readAllBatches(store, log, BigInt(from))
        assert.deepEqual(
          found.map((batch) => Buffer.from(batch.bytes)),
          expected.slice(from),
        )
      }
    }
  })

  test(`${name}: only its link writes a mirror`, async (t) => {
    const { store, log } = await open(t, asMirror)
    const result = await append(store, log)
    refused(result, 'READ_ONLY')
    assert(!result.ok && !result.retriable)
    refused(await append(store, log, { batches: [marker({})], ...coordinator }), 'READ_ONLY')
  })

  test(`${name}: the expected log end is compared with what is queued, not only with what is written`, async (t) => {
    const { store, log } = await open(t, asMirror)
    const results = await Promise.all([
      mirror(store, log, [testBatch({ baseOffset: 0n })], 0n),
      mirror(store, log, [testBatch({ baseOffset: 1n })], 0n),
      mirror(store, log, [testBatch({ baseOffset: 1n })], 1n),
    ])
    succeeded(results[0])
    refused(results[1], 'OFFSET_MISMATCH')
    assert(!results[1].ok)
    assert.equal(results[1].expected, 1n)
    succeeded(results[2])
  })

  test(`${name}: a mirror refuses damage, offsets that go back and epochs that go back`, async (t) => {
    const { store, log } = await open(t, asMirror)
    succeeded(await mirror(store, log, [testBatch({ baseOffset: 5n, leaderEpoch: 3 })]))
    refused(await mirror(store, log, [flipped(testBatch({ baseOffset: 6n, leaderEpoch: 3 }), -1)]), 'CORRUPT_BATCH')
    refused(await mirror(store, log, [testBatch({ baseOffset: 5n, leaderEpoch: 3 })]), 'INVALID_RECORD')
    refused(await mirror(store, log, [testBatch({ baseOffset: 6n, leaderEpoch: 2 })]), 'LEADER_EPOCH_STALE')
    refused(
      await mirror(store, log, [
        testBatch({ baseOffset: 6n, leaderEpoch: 3 }),
        testBatch({ baseOffset: 6n, leaderEpoch: 3 }),
      ]),
      'INVALID_RECORD',
    )
    assert.equal(store.view(log).logEndOffset, 6n)
  })

  test(`${name}: a mirror applies no rule of size, time or sequence`, async (t) => {
    const { store, log } = await open(t, {
      ...asMirror,
      config: { maxMessageBytes: 10, segmentBytes: 100, cleanupPolicy: { compact: true, delete: false } },
    })
    const batches = [
      testBatch({ baseOffset: 0n, leaderEpoch: 0, valueBytes: 5000, baseTimestampMs: testNowMs * 2n }),
      sequenced(7, { baseOffset: 1n, leaderEpoch: 0, records: [{ value: 'no key' }] }),
      sequenced(99, { baseOffset: 2n, leaderEpoch: 0, timestampType: 'LogAppendTime' }),
      sequenced(3, { baseOffset: 3n, leaderEpoch: 0, producerEpoch: 4, lastOffsetDelta: 5 }),
      testBatch({ baseOffset: 9n, leaderEpoch: 0, records: [], lastOffsetDelta: 2 }),
    ]
    succeeded(await mirror(store, log, batches))
    assert.equal((await readAllBatches(store, log)).length, 5)
    assert.equal(store.activeProducers(log)[0]?.producerEpoch, 4)
    await store.housekeep(testNowMs * 10n)
    assert.equal(store.view(log).logStartOffset, 0n)
  })

  test(`${name}: a log that begins within a batch of its source holds that batch whole`, async (t) => {
    const { engine, store, log } = await open(t, asMirror)
    succeeded(await store.startAt(log, 105n, link))
    assert.deepEqual(store.view(log).logStartOffset, 105n)
    const batch = testBatch({ baseOffset: 100n, leaderEpoch: 0, values: Array.from('0123456789') })
    succeeded(await mirror(store, log, [batch], 105n))
    assert.deepEqual([store.view(log).logStartOffset, store.view(log).logEndOffset], [105n, 110n])
    assert.equal((await readAllBatches(store, log, 107n))[0]!.header.baseOffset, 100n)
    refused((await read(store, log, { offset: 104n })) as AppendResult, 'OFFSET_OUT_OF_RANGE')
    const reopened = await engine.reopen('clean')
    const again = await openTestLog(reopened, asMirror)
    assert.deepEqual([reopened.view(again).logStartOffset, reopened.view(again).logEndOffset], [105n, 110n])
  })

  test(`${name}: a promote raises the epoch, aborts what is open, keeps producers and makes writable`, async (t) => {
    const { engine, store, log } = await open(t, asMirror)
    succeeded(
      await mirror(store, log, [
        transactional(0, { baseOffset: 0n, leaderEpoch: 3 }),
        sequenced(5, { producerId: 9n, baseOffset: 1n, leaderEpoch: 3 }),
        transactional(0, { producerId: 8n, producerEpoch: 2, baseOffset: 2n, leaderEpoch: 4 }),
      ]),
    )
    store.fence(log, { lease: 'link', fenceEpoch: 2n })
    const decision = { id: 'd1', leaderEpoch: 9, nowMs: testNowMs }
    refused(await store.promote(log, decision, link), 'FENCED')
    const promoted = succeeded(await store.promote(log, decision, { lease: 'link', fenceEpoch: 2n }))
    assert.deepEqual(promoted, {
      ok: true,
      logEndOffset: 5n,
      leaderEpoch: 9,
      lastMirrored: { leaderEpoch: 4, endOffset: 3n },
      aborted: [
        { producerId: 7n, producerEpoch: 0, coordinatorEpoch: -1, firstOffset: 0n },
        { producerId: 8n, producerEpoch: 2, coordinatorEpoch: -1, firstOffset: 2n },
      ],
    })
    assert.deepEqual(await store.promote(log, decision, { lease: 'link', fenceEpoch: 2n }), promoted)
    const view = store.view(log)
    assert.equal(view.lastStableOffset, view.highWatermark)
    assert.equal(view.leaderEpoch, 9)
    const markers = (await readAllBatches(store, log)).slice(3)
    assert.deepEqual(
      markers.map(({ header }) => [
        header.baseOffset,
        header.partitionLeaderEpoch,
        header.producerId,
        header.producerEpoch,
      ]),
      [
        [3n, 9, 7n, 0],
        [4n, 9, 8n, 2],
      ],
    )
    refused(await mirror(store, log, [testBatch({ baseOffset: 5n, leaderEpoch: 9 })]), 'FENCED')
    const mode = { kind: 'assign', leaderEpoch: 9 } as const
    const again = succeeded(await append(store, log, { batches: [sequenced(5, { producerId: 9n })], mode }))
    assert.equal(again.duplicate, true)
    assert.equal(again.baseOffset, 1n)
    assert.equal(succeeded(await append(store, log, { mode })).baseOffset, 5n)
    const reopened = await engine.reopen('killed')
    const its = await openTestLog(reopened, { leaderEpoch: 9 })
    assert.deepEqual(succeeded(await reopened.endOffsetForEpoch(its, 4)), { ok: true, leaderEpoch: 4, endOffset: 3n })
  })

  test(`${name}: a promote that is repeated after a restart converges to the same end`, async (t) => {
    const { engine, store, log } = await open(t, asMirror)
    succeeded(await mirror(store, log, [transactional(0, { baseOffset: 0n, leaderEpoch: 3 })]))
    const decision = { id: 'd1', leaderEpoch: 9, nowMs: testNowMs }
    const first = succeeded(await store.promote(log, decision, link))
    const reopened = await engine.reopen('killed')
    const again = await openTestLog(reopened, asMirror)
    const second = succeeded(await reopened.promote(again, decision, link))
    assert.equal(second.logEndOffset, first.logEndOffset)
    assert.deepEqual(second.lastMirrored, first.lastMirrored)
    assert.deepEqual(
      second.aborted.map((transaction) => transaction.firstOffset),
      [0n],
    )
    assert.equal(reopened.view(again).leaderEpoch, 9)
    succeeded(await append(reopened, again, { mode: { kind: 'assign', leaderEpoch: 9 } }))
  })
}

function lifeContract(name: string, open: Open): void {
  test(`${name}: deleteBefore moves the start, also into a batch, and it stays over a restart`, async (t) => {
    const small = { config: { segmentBytes: 200 } }
    const { engine, store, log } = await open(t, small)
    for (let index = 0; index < 6; index++) {
      succeeded(await append(store, log, { batches: [testBatch({ values: ['a', 'b', 'c'] })] }))
    }
    const before = store.sizeBytes(log)
    assert.equal(succeeded(await store.deleteBefore(log, 7n)).logStartOffset, 7n)
    assert(store.sizeBytes(log) < before)
    assert.equal(succeeded(await store.deleteBefore(log, 2n)).logStartOffset, 7n)
    refused(await store.deleteBefore(log, 19n), 'OFFSET_OUT_OF_RANGE')
    refused((await read(store, log, { offset: 6n })) as AppendResult, 'OFFSET_OUT_OF_RANGE')
    assert.equal((await readAllBatches(store, log, 7n))[0]!.header.baseOffset, 6n)
    const reopened = await engine.reopen('killed')
    const again = await openTestLog(reopened, small)
    assert.deepEqual([reopened.view(again).logStartOffset, reopened.view(again).highWatermark], [7n, 18n])
    succeeded(await reopened.deleteBefore(again, 18n))
    assert.equal(succeeded(await append(reopened, again)).baseOffset, 18n)
  })

  test(`${name}: truncateTo cuts whole batches, with their producers, epochs and transactions`, async (t) => {
    const small = { config: { segmentBytes: 400 } }
    const { engine, store, log } = await open(t, small)
    for (let index = 0; index < 5; index++) {
      const batch = transactional(index * 3, { values: ['a', 'b', 'c'] })
      succeeded(await append(store, log, { batches: [batch], mode: { kind: 'assign', leaderEpoch: index } }))
    }
    succeeded(
      await append(store, log, { batches: [marker({})], mode: { kind: 'assign', leaderEpoch: 5 }, ...coordinator }),
    )
    const view = succeeded(await store.truncateTo(log, 7n, link))
    assert.deepEqual([view.logEndOffset, view.lastStableOffset], [6n, 0n])
    assert.equal(succeeded(await store.endOffsetForEpoch(log, 1)).endOffset, 6n)
    assert.equal((await readAllBatches(store, log)).length, 2)
    refused(
      await append(store, log, { batches: [transactional(15)], mode: { kind: 'assign', leaderEpoch: 6 } }),
      'OUT_OF_ORDER_SEQUENCE',
    )
    const next = await append(store, log, { batches: [transactional(6)], mode: { kind: 'assign', leaderEpoch: 6 } })
    assert.equal(succeeded(next).baseOffset, 6n)
    const reopened = await engine.reopen('killed')
    const again = await openTestLog(reopened, small)
    assert.equal(reopened.view(again).logEndOffset, 7n)
    assert.equal(reopened.openTransactions(again)[0]?.firstOffset, 0n)
  })

  test(`${name}: startAt empties the log and begins at the offset, forwards or back`, async (t) => {
    const { engine, store, log } = await open(t)
    succeeded(await append(store, log, { batches: [sequenced(0)] }))
    for (const offset of [500n, 100n]) {
      const view = succeeded(await store.startAt(log, offset, link))
      assert.deepEqual([view.logStartOffset, view.highWatermark], [offset, offset])
      assert.deepEqual(store.activeProducers(log), [])
      assert.deepEqual(await readAllRecords(store, log), [])
    }
    assert.equal(succeeded(await append(store, log)).baseOffset, 100n)
    const reopened = await engine.reopen('killed')
    const again = await openTestLog(reopened)
    assert.deepEqual([reopened.view(again).logStartOffset, reopened.view(again).highWatermark], [100n, 101n])
  })

  test(`${name}: appends around a truncation keep their order`, async (t) => {
    const { store, log } = await open(t)
    const results = await Promise.all([
      append(store, log, { batches: [testBatch({ values: ['a', 'b', 'c'] })] }),
      append(store, log, { batches: [testBatch({ values: ['d'] })] }),
      store.truncateTo(log, 3n, link),
      append(store, log, { batches: [testBatch({ values: ['e'] })] }),
      append(store, log, { batches: [testBatch({ values: ['f'] })] }),
    ])
    assert(results.every((result) => result.ok))
    assert.deepEqual(await readAllValues(store, log), ['a', 'b', 'c', 'e', 'f'])
  })

  test(`${name}: subscribers hear of everything that changes what can be seen, until they close`, async (t) => {
    const { store, log } = await open(t)
    const causes: WakeCause[] = []
    const subscription = store.subscribe([log], (_, cause) => causes.push(cause))
    succeeded(await append(store, log))
    succeeded(await store.deleteBefore(log, 1n))
    succeeded(await store.raiseLeaderEpoch(log, 4))
    succeeded(await append(store, log, { mode: { kind: 'assign', leaderEpoch: 4 } }))
    succeeded(await store.truncateTo(log, 1n, link))
    succeeded(await store.startAt(log, 9n, link))
    assert.deepEqual(causes, ['appended', 'logStart', 'leaderEpoch', 'appended', 'truncated', 'truncated'])
    subscription.close()
    succeeded(await append(store, log, { mode: { kind: 'assign', leaderEpoch: 4 } }))
    assert.equal(causes.length, 6)
    store.subscribe([log], (_, cause) => causes.push(cause))
    succeeded(await store.drop(testTopicId()))
    assert.equal(causes.at(-1), 'dropped')
  })

  test(`${name}: a subscriber that is woken by an append sees it`, async (t) => {
    const { store, log } = await open(t)
    const seen: bigint[] = []
    store.subscribe([log], (its) => seen.push(store.view(its).highWatermark))
    succeeded(await append(store, log))
    assert.deepEqual(seen, [1n])
  })

  test(`${name}: retention by time and size takes the oldest segments, and never a mirror's`, async (t) => {
    const config = { segmentBytes: 300, retentionMs: 1000n, retentionBytes: -1n }
    const { store, log } = await open(t, { config })
    for (let index = 0; index < 4; index++) {
      const baseTimestampMs = testNowMs + BigInt(index) * 100n
      succeeded(await append(store, log, { batches: [testBatch({ valueBytes: 200, baseTimestampMs })] }))
    }
    assert.equal((await store.housekeep(testNowMs + 1000n)).deletedSegments, 0)
    assert.equal((await store.housekeep(testNowMs + 1101n)).deletedSegments, 2)
    assert.equal(store.view(log).logStartOffset, 2n)
    const oneSegment = BigInt(store.sizeBytes(log)) / 2n
    store.configure(
      testTopicId(),
      testTopic({ config: { ...config, retentionMs: -1n, retentionBytes: oneSegment + 1n } }).config,
    )
    assert.equal((await store.housekeep(testNowMs + 9999n)).deletedSegments, 0)
    store.configure(
      testTopicId(),
      testTopic({ config: { ...config, retentionMs: -1n, retentionBytes: oneSegment } }).config,
    )
    assert.equal((await store.housekeep(testNowMs + 9999n)).deletedSegments, 1)
    assert.equal(store.view(log).logStartOffset, 3n)
    store.configure(testTopicId(), testTopic({ config }).config)
    const last = await store.housekeep(testNowMs + 99_999n)
    assert.deepEqual([last.deletedSegments, last.rolledSegments], [1, 1])
    assert.deepEqual([store.view(log).logStartOffset, store.view(log).highWatermark], [4n, 4n])
    assert.equal(succeeded(await append(store, log)).baseOffset, 4n)
  })

  test(`${name}: creating twice changes nothing, and adds what is new`, async (t) => {
    const { store, log } = await open(t)
    succeeded(await append(store, log))
    succeeded(await store.create(testTopic({ partitionCount: 2, leaderEpoch: 3 })))
    assert.equal(store.find({ topicId: testTopicId(), partitionIndex: 0 }), log)
    assert.equal(store.view(log).highWatermark, 1n)
    assert.equal(store.view(log).leaderEpoch, 3)
    assert(store.find({ topicId: testTopicId(), partitionIndex: 1 }))
    assert.equal(store.find({ topicId: testTopicId(2), partitionIndex: 0 }), undefined)
  })

  test(`${name}: a dropped topic's name is free at once, and its bytes are never served again`, async (t) => {
    const { engine, store, log } = await open(t)
    succeeded(await append(store, log, { batches: [testBatch({ values: ['old'] })] }))
    succeeded(await store.deleteBefore(log, 1n))
    succeeded(await store.drop(testTopicId()))
    assert.equal(store.find({ topicId: testTopicId(), partitionIndex: 0 }), undefined)
    refused(await append(store, log), 'UNKNOWN_LOG')
    refused(
      (
        await store.read([{ log, offset: 0n, maxBytes: 1, isolation: 'uncommitted' }], {
          maxBytes: 1,
          minOneBatch: true,
        })
      )[0] as AppendResult,
      'UNKNOWN_LOG',
    )
    assert.throws(() => store.view(log))
    const next = await openTestLog(store, { topicId: testTopicId(2) })
    assert.equal(store.view(next).logStartOffset, 0n)
    succeeded(await append(store, next, { batches: [testBatch({ values: ['new'] })] }))
    const reopened = await engine.reopen('killed')
    assert.deepEqual(await readAllValues(reopened, await openTestLog(reopened, { topicId: testTopicId(2) })), ['new'])
  })

  test(`${name}: a topic that was deleted while the store was down is not taken for a new one of its name`, async (t) => {
    const { engine, store, log } = await open(t)
    succeeded(await append(store, log))
    const reopened = await engine.reopen('killed')
    const next = await openTestLog(reopened, { topicId: testTopicId(2) })
    assert.equal(reopened.view(next).highWatermark, 0n)
  })

  test(`${name}: a durable append and a flush answer when all is synced`, async (t) => {
    const { store, log } = await open(t, { config: { flushMessages: 2n } })
    succeeded(await append(store, log, { durable: true }))
    succeeded(await append(store, log))
    succeeded(await append(store, log))
    succeeded(await store.flush(log))
    succeeded(await store.flush())
    assert.equal(store.view(log).highWatermark, 3n)
  })

  test(`${name}: what comes while the store closes is refused, so that the stop is clean all the same`, async (t) => {
    const { engine, store, log } = await open(t)
    succeeded(await append(store, log))
    const reopening = engine.reopen('clean')
    const late = await Promise.all([append(store, log), store.create(testTopic({ topicId: testTopicId(2) }))])
    for (const result of late) refused(result, 'LOG_OFFLINE')
    const reopened = await reopening
    assert.equal(reopened.view(await openTestLog(reopened)).logEndOffset, 1n)
  })
}
