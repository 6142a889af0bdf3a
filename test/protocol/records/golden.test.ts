import assert from 'node:assert/strict'
import test from 'node:test'
import { crc32c } from '../../../protocol/crc32c.ts'
import {
  type BatchRef,
  compressionOf,
  compressions,
  hasDeleteHorizon,
  isControl,
  isTransactional,
  lastOffsetOf,
  readBatchHeader,
  sizeBytesOf,
  splitBatches,
  timestampTypeOf,
  verifyCrc,
} from '../../../protocol/records/batch.ts'
import { buildBatch, rebuild } from '../../../protocol/records/build.ts'
import { buildControlBatch, buildEndTransactionMarker, readControlRecord } from '../../../protocol/records/control.ts'
import { decodeRecords, readRecords } from '../../../protocol/records/record.ts'
import { lastSequenceOf } from '../../../protocol/records/sequence.ts'
import { bytesOf, type GoldenBatch, goldenBatches, goldenNamed, hexOf } from './golden.ts'

for (const golden of goldenBatches) {
  test(`the header of a batch by Kafka reads as Kafka reads it (${golden.name})`, () => {
    const { header, bytes } = refOf(golden)
    const read = {
      baseOffset: header.baseOffset,
      lastOffset: lastOffsetOf(header),
      leaderEpoch: header.partitionLeaderEpoch,
      crc: header.crc,
      compression: compressionOf(header),
      timestampType: timestampTypeOf(header),
      isTransactional: isTransactional(header),
      isControl: isControl(header),
      deleteHorizonMs: hasDeleteHorizon(header) ? header.baseTimestamp : null,
      baseTimestamp: header.baseTimestamp,
      maxTimestamp: header.maxTimestamp,
      producerId: header.producerId,
      producerEpoch: header.producerEpoch,
      baseSequence: header.baseSequence,
      lastSequence: lastSequenceOf(header),
      recordCount: header.recordCount,
      sizeBytes: sizeBytesOf(header),
    }
    const { name: _name, bytes: _bytes, records: _records, valuesCrc: _valuesCrc, ...expected } = golden
    assert.deepEqual(JSON.parse(JSON.stringify(read, bigintsAsStrings)), expected)
    assert.equal(bytes.length, golden.sizeBytes)
    assert.ok(verifyCrc({ bytes, header }))
  })

  test(`the records of a batch by Kafka decode as Kafka decodes them (${golden.name})`, () => {
    const batch = refOf(golden)
    assert.equal(valuesCrcOf(batch), golden.valuesCrc)
    if (golden.recordCount <= 10) assert.deepEqual(recordsOf(batch), golden.records)
  })

  test(`a batch by Kafka keeps all but its codec when it is rebuilt with another (${golden.name})`, () => {
    const batch = refOf(golden)
    for (const compression of compressions) {
      const [rebuilt] = splitBatches(rebuild(batch, { compression }))
      assert.ok(rebuilt)
      assert.ok(verifyCrc(rebuilt))
      assert.equal(compressionOf(rebuilt.header), compression)
      assert.deepEqual(withoutCodec(rebuilt), withoutCodec(batch))
      assert.deepEqual(recordsOf(rebuilt), recordsOf(batch))
    }
  })
}

for (const golden of goldenBatches.filter((batch) => batch.compression === 'none' && !batch.isControl)) {
  test(`a batch built from what was read has the bytes that Kafka wrote (${golden.name})`, () => {
    const batch = refOf(golden)
    const { header } = batch
    const built = buildBatch({
      baseOffset: header.baseOffset,
      leaderEpoch: header.partitionLeaderEpoch,
      baseTimestampMs: header.baseTimestamp,
      maxTimestampMs: header.maxTimestamp,
      timestampType: golden.timestampType,
      producerId: header.producerId,
      producerEpoch: header.producerEpoch,
      baseSequence: header.baseSequence,
      isTransactional: golden.isTransactional,
      lastOffsetDelta: header.lastOffsetDelta,
      ...(golden.deleteHorizonMs === null ? {} : { deleteHorizonMs: BigInt(golden.deleteHorizonMs) }),
      records: [...readRecords(batch)].map((record) => ({
        key: record.key,
        value: record.value,
        headers: record.headers,
        timestampMs: header.baseTimestamp + BigInt(record.timestampDelta),
        offsetDelta: record.offsetDelta,
      })),
    })
    assert.equal(hexOf(built), hexOf(batch.bytes))
  })
}

test('a commit marker has the bytes of the one that Kafka writes', () => {
  const marker = buildEndTransactionMarker({
    producerId: 9007199254740995n,
    producerEpoch: 9,
    coordinatorEpoch: 15,
    commit: true,
    timestampMs: 1700000000000n,
    leaderEpoch: 4,
    baseOffset: 77n,
  })
  assert.equal(hexOf(marker), hexOf(bytesOf(goldenNamed('none: commit marker'))))
})

test('an abort marker has the bytes of the one that Kafka writes', () => {
  const marker = buildEndTransactionMarker({
    producerId: 4611686018427387907n,
    producerEpoch: 0,
    coordinatorEpoch: 2147483647,
    commit: false,
    timestampMs: 1700000000001n,
    baseOffset: 9007199254740997n,
  })
  assert.equal(hexOf(marker), hexOf(bytesOf(goldenNamed('none: abort marker'))))
})

test('control records by Kafka are read by their type', () => {
  const typesRead = goldenBatches
    .filter((golden) => golden.isControl)
    .map((golden) => {
      const record = readControlRecord(refOf(golden))
      return [golden.name, record?.type, record?.typeNumber, record?.coordinatorEpoch]
    })
  assert.deepEqual(typesRead, [
    ['none: commit marker', 'COMMIT', 1, 15],
    ['none: abort marker', 'ABORT', 0, 2147483647],
    ['none: leader change', 'LEADER_CHANGE', 2, undefined],
    ['none: snapshot header', 'SNAPSHOT_HEADER', 3, undefined],
    ['none: snapshot footer', 'SNAPSHOT_FOOTER', 4, undefined],
    ['none: kraft version', 'KRAFT_VERSION', 5, undefined],
  ])
})

test('a control batch around the same value has the bytes of the one that Kafka writes', () => {
  const batch = refOf(goldenNamed('none: leader change'))
  const value = readControlRecord(batch)?.value
  assert.ok(value)
  const built = buildControlBatch({
    records: [{ type: 'LEADER_CHANGE', value }],
    timestampMs: 1700000000002n,
    leaderEpoch: 1,
  })
  assert.equal(hexOf(built), hexOf(batch.bytes))
})

test('batches of every kind in one record set are split where each ends', () => {
  const together = Buffer.concat(goldenBatches.map(bytesOf))
  const sizes = splitBatches(together).map((batch) => batch.bytes.length)
  assert.deepEqual(
    sizes,
    goldenBatches.map((golden) => golden.sizeBytes),
  )
})

function refOf(golden: GoldenBatch): BatchRef {
  const bytes = bytesOf(golden)
  return { bytes, header: readBatchHeader(bytes) }
}

function recordsOf(batch: BatchRef): unknown[] {
  return decodeRecords(batch).map((record) => ({
    offset: String(record.offset),
    timestampMs: String(record.timestampMs),
    key: hexOf(record.key),
    value: hexOf(record.value),
    headers: record.headers.map((header) => [hexOf(Buffer.from(header.key)), hexOf(header.value)]),
  }))
}

function valuesCrcOf(batch: BatchRef): number {
  let crc = 0
  for (const { value } of readRecords(batch)) if (value !== null) crc = crc32c(value, crc)
  return crc
}

function withoutCodec(batch: BatchRef): unknown {
  const { batchLength: _batchLength, crc: _crc, attributes, ...rest } = batch.header
  return { ...rest, attributes: attributes & ~7 }
}

function bigintsAsStrings(_key: string, value: unknown): unknown {
  return typeof value === 'bigint' ? String(value) : value
}
