import { strict as assert } from 'node:assert'
import { test } from 'node:test'
import {
  compressionOf,
  compressions,
  hasDeleteHorizon,
  isControl,
  isTransactional,
  lastOffsetOf,
  readBatchHeader,
  timestampTypeOf,
  verifyCrc,
  type BatchRef,
} from '../../protocol/records/batch.ts'
import { buildEndTransactionMarker, readControlRecord } from '../../protocol/records/control.ts'
import { decodeRecords, defaultRecordLimits } from '../../protocol/records/record.ts'
import { cleanBatch, type CleaningRules } from '../../storage/cleaner-filter.ts'
import { OffsetMap } from '../../storage/cleaner-offset-map.ts'
import { CleanedTransactions } from '../../storage/cleaner-transactions.ts'
import { testCleaner } from '../support/cleaning.ts'
import { testBatch } from '../support/logs.ts'

const nowMs = 1_000_000n
const encoder = new TextEncoder()

/** Rules that know these keys at these newest offsets. */
function rulesOf(
  newest: Record<string, bigint>,
  rules: Partial<CleaningRules> & { latestOffset?: bigint } = {},
): CleaningRules {
  const map = new OffsetMap({ slots: 64, loadFactor: 0.9, digest: testCleaner.digest, baseOffset: 0n })
  for (const [key, offset] of Object.entries(newest)) map.put(encoder.encode(key), offset)
  map.latestOffset = rules.latestOffset ?? 1_000n
  return {
    map,
    transactions: new CleanedTransactions([]),
    lastRecords: new Map(),
    upperBoundOffset: 100_000n,
    nowMs,
    deleteRetentionMs: 500n,
    limits: defaultRecordLimits,
    ...rules,
  }
}

function marker(place: { baseOffset: bigint; commit?: boolean; producerEpoch?: number }): BatchRef {
  const bytes = buildEndTransactionMarker({
    producerId: 7n,
    producerEpoch: 0,
    coordinatorEpoch: 4,
    commit: true,
    timestampMs: 900n,
    leaderEpoch: 2,
    ...place,
  })
  return { bytes, header: readBatchHeader(bytes) }
}

function summaryOf(batch: BatchRef | undefined): string[] {
  assert(batch)
  assert(verifyCrc(batch), 'the CRC holds')
  assert.deepEqual(readBatchHeader(batch.bytes), batch.header)
  return decodeRecords(batch).map(({ offset, timestampMs, key, value }) => {
    const decoder = new TextDecoder()
    return `${offset} ${timestampMs} ${decoder.decode(key!)}=${value === null ? 'null' : decoder.decode(value)}`
  })
}

const ofProducer = { producerId: 7n, producerEpoch: 1, baseSequence: 40, leaderEpoch: 2 }

for (const compression of compressions) {
  test(`what stays of a batch keeps its offsets, sequences, epochs, times and codec (${compression})`, () => {
    const batch = testBatch({
      ...ofProducer,
      baseOffset: 10n,
      compression,
      records: [
        { key: 'a', value: 'old', timestampMs: 500n },
        { key: 'b', value: 'new', timestampMs: 600n, headers: [{ key: 'h', value: 'x' }] },
        { key: 'a', value: 'new', timestampMs: 550n },
        { key: 'c', value: 'old', timestampMs: 700n },
      ],
    })
    const cleaned = cleanBatch(batch, rulesOf({ a: 12n, b: 11n, c: 20n }))
    assert.deepEqual(summaryOf(cleaned), ['11 600 b=new', '12 550 a=new'])
    assert.deepEqual(decodeRecords(cleaned!)[0]!.headers.length, 1)
    const { header } = cleaned!
    assert.equal(header.baseOffset, 10n)
    assert.equal(lastOffsetOf(header), 13n)
    assert.equal(header.recordCount, 2)
    assert.equal(header.maxTimestamp, 600n)
    assert.equal(compressionOf(header), compression)
    const { producerId, producerEpoch, baseSequence, partitionLeaderEpoch } = header
    assert.deepEqual({ producerId, producerEpoch, baseSequence, leaderEpoch: partitionLeaderEpoch }, ofProducer)
  })
}

test('a batch that loses nothing is the same object', () => {
  const batch = testBatch({ baseOffset: 10n, records: [{ key: 'a', value: 'x' }] })
  assert.equal(cleanBatch(batch, rulesOf({ a: 10n })), batch)
  assert.equal(cleanBatch(batch, rulesOf({})), batch, 'a key that the map does not know is compacted already')
})

test('records behind the range of the map stay, also those without a key; before its end these go', () => {
  const batch = testBatch({ baseOffset: 10n, records: [{ key: null, value: 'x' }] })
  assert.equal(cleanBatch(batch, rulesOf({}, { latestOffset: 9n })), batch)
  assert.equal(cleanBatch(batch, rulesOf({}, { latestOffset: 10n })), undefined)
})

test('with LogAppendTime the maximum stays the time of the append, also under a horizon', () => {
  const batch = testBatch({
    baseOffset: 10n,
    timestampType: 'LogAppendTime',
    maxTimestampMs: 800n,
    records: [
      { key: 'a', value: 'x', timestampMs: 100n },
      { key: 'b', value: null, timestampMs: 100n },
    ],
  })
  const cleaned = cleanBatch(batch, rulesOf({ a: 20n, b: 11n }))
  assert.deepEqual(summaryOf(cleaned), ['11 800 b=null'])
  assert.equal(timestampTypeOf(cleaned!.header), 'LogAppendTime')
  assert(hasDeleteHorizon(cleaned!.header))
})

test('a tombstone gets its horizon at the first cleaning, keeps it at the next, and goes when it has passed', () => {
  const batch = testBatch({
    baseOffset: 10n,
    compression: 'gzip',
    records: [
      { key: 'a', value: 'x', timestampMs: 100n },
      { key: 'b', value: null, timestampMs: 2_000_000n },
    ],
  })
  const newest = { a: 10n, b: 11n }
  const first = cleanBatch(batch, rulesOf(newest))!
  assert.deepEqual(summaryOf(first), ['10 100 a=x', '11 2000000 b=null'], 'times are what they were')
  assert(hasDeleteHorizon(first.header))
  assert.equal(first.header.baseTimestamp, nowMs + 500n)
  assert.equal(first.header.maxTimestamp, 2_000_000n)
  assert.equal(cleanBatch(first, rulesOf(newest, { nowMs: nowMs + 499n })), first)
  const second = cleanBatch(first, rulesOf(newest, { nowMs: nowMs + 500n }))!
  assert.deepEqual(summaryOf(second), ['10 100 a=x'])
  assert.equal(second.header.baseTimestamp, nowMs + 500n, 'the horizon stays with the batch')
})

test('an emptied batch stays where its producer or the end of the cleaned range needs it, and only there', () => {
  const batch = testBatch({ ...ofProducer, baseOffset: 10n, compression: 'zstd', records: [{ key: 'a', value: 'x' }] })
  const newest = { a: 20n }
  const last = new Map([[7n, { lastDataOffset: 10n, producerEpoch: 1 }]])
  const earlier = new Map([[7n, { lastDataOffset: 15n, producerEpoch: 1 }]])
  assert.equal(cleanBatch(batch, rulesOf(newest)), undefined)
  assert.equal(cleanBatch(batch, rulesOf(newest, { lastRecords: earlier })), undefined)
  for (const rules of [{ lastRecords: last }, { upperBoundOffset: 11n }]) {
    const cleaned = cleanBatch(batch, rulesOf(newest, rules))!
    assert.deepEqual(summaryOf(cleaned), [])
    assert.equal(cleaned.bytes.length, 61)
    assert.equal(cleaned.header.baseSequence, 40)
    assert.equal(lastOffsetOf(cleaned.header), 10n)
    assert.equal(cleaned.header.maxTimestamp, batch.header.maxTimestamp)
    assert.equal(compressionOf(cleaned.header), 'none')
    assert.equal(cleanBatch(cleaned, rulesOf(newest, rules)), cleaned)
    assert.equal(cleanBatch(cleaned, rulesOf(newest)), undefined)
  }
})

test('a marker stays with its data; without data it gets a horizon and then goes', () => {
  const data = testBatch({ ...ofProducer, isTransactional: true, baseOffset: 10n, records: [{ key: 'a', value: 'x' }] })
  const withData = rulesOf({ a: 10n })
  assert.equal(cleanBatch(data, withData), data)
  const committed = marker({ baseOffset: 11n })
  assert.equal(cleanBatch(committed, withData), committed)

  const alone = cleanBatch(committed, rulesOf({}))!
  assert.equal(readControlRecord(alone)?.type, 'COMMIT')
  assert.equal(readControlRecord(alone)?.coordinatorEpoch, 4)
  assert.equal(decodeRecords(alone)[0]!.timestampMs, 900n)
  assert(isControl(alone.header) && isTransactional(alone.header) && hasDeleteHorizon(alone.header))
  assert.equal(cleanBatch(alone, rulesOf({}, { nowMs: nowMs + 499n })), alone)
  assert.equal(cleanBatch(alone, rulesOf({}, { nowMs: nowMs + 500n })), undefined)
})

test('the last marker of a producer without data stays, emptied, for its epoch', () => {
  const alone = cleanBatch(marker({ baseOffset: 11n, producerEpoch: 3 }), rulesOf({}))!
  const lastRecords = new Map([[7n, { lastDataOffset: undefined, producerEpoch: 3 }]])
  const kept = cleanBatch(alone, rulesOf({}, { lastRecords, nowMs: nowMs + 500n }))!
  assert.equal(readControlRecord(kept), undefined)
  assert.equal(kept.header.producerEpoch, 3)
  assert(isControl(kept.header))
})

test('aborted data goes, also behind the range of the map, and readers are told of it while its marker is needed', () => {
  const aborted = [{ producerId: 7n, firstOffset: 10n, lastOffset: 11n, lastStableOffset: 12n }]
  const data = testBatch({ ...ofProducer, isTransactional: true, baseOffset: 10n, records: [{ key: 'a', value: 'x' }] })
  const abort = marker({ baseOffset: 11n, commit: false })
  const first = rulesOf({}, { transactions: new CleanedTransactions(aborted), latestOffset: 5n })
  assert.equal(cleanBatch(data, first), undefined)
  assert.equal(cleanBatch(abort, first), abort, 'its data was still there')
  assert.deepEqual(first.transactions.takeKept(), aborted)
  assert.deepEqual(first.transactions.takeKept(), [])

  const second = rulesOf({}, { transactions: new CleanedTransactions(aborted) })
  const alone = cleanBatch(abort, second)!
  assert(hasDeleteHorizon(alone.header))
  assert.deepEqual(second.transactions.takeKept(), [])
})

test('only what the transaction wrote is aborted, not what its producer commits later', () => {
  const aborted = [{ producerId: 7n, firstOffset: 10n, lastOffset: 11n, lastStableOffset: 12n }]
  const rules = rulesOf({ a: 12n }, { transactions: new CleanedTransactions(aborted) })
  const batchAt = (baseOffset: bigint): BatchRef =>
    testBatch({ ...ofProducer, isTransactional: true, baseOffset, records: [{ key: 'a', value: 'x' }] })
  const other = testBatch({ producerId: 8n, producerEpoch: 0, baseSequence: 0, isTransactional: true, baseOffset: 9n })
  assert.equal(cleanBatch(other, rules), other)
  assert.equal(cleanBatch(batchAt(10n), rules), undefined)
  const abort = marker({ baseOffset: 11n, commit: false })
  assert.equal(cleanBatch(abort, rules), abort)
  const later = batchAt(12n)
  assert.equal(cleanBatch(later, rules), later)
  const commit = marker({ baseOffset: 13n })
  assert.equal(cleanBatch(commit, rules), commit)
})

test('the offset map keeps the newest offset of as many keys as it has room for', () => {
  const options = { slots: 100, loadFactor: 0.5, digest: testCleaner.digest, baseOffset: 2n ** 40n }
  const map = new OffsetMap(options)
  assert.equal(map.latestOffset, 2n ** 40n - 1n)
  const keyOf = (index: number): Uint8Array => encoder.encode(`key-${index}`)
  for (let round = 0; round < 2; round++) {
    for (let index = 0; index < 50; index++) assert(map.put(keyOf(index), 2n ** 40n + BigInt(round * 50 + index)))
  }
  assert.equal(map.count, 50)
  assert(!map.put(keyOf(50), 2n ** 41n), 'full')
  assert.equal(map.latestOffset, 2n ** 40n + 99n)
  assert(map.put(keyOf(3), 2n ** 41n), 'known keys still move')
  for (let index = 0; index < 50; index++) {
    assert.equal(map.find(keyOf(index)), index === 3 ? 2n ** 41n : 2n ** 40n + BigInt(50 + index))
  }
  assert.equal(map.find(keyOf(50)), undefined)
})

test('keys whose digests begin alike are told apart, up to the last slot', () => {
  const digest = (key: Uint8Array): Uint8Array => Uint8Array.of(...new Uint8Array(15).fill(255), key[0]!)
  const map = new OffsetMap({ slots: 8, loadFactor: 0.99, digest, baseOffset: 0n })
  for (let index = 0; index < 7; index++) assert(map.put(Uint8Array.of(index), BigInt(index)))
  assert(!map.put(Uint8Array.of(7), 7n), 'one slot stays free, or a search would not end')
  for (let index = 0; index < 7; index++) assert.equal(map.find(Uint8Array.of(index)), BigInt(index))
  assert.equal(map.find(Uint8Array.of(9)), undefined)
})
