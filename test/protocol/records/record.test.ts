import assert from 'node:assert/strict'
import test from 'node:test'
import fc from 'fast-check'
import {
  batchHeaderSizeBytes,
  type BatchRef,
  compressions,
  dataViewOf,
  readBatchHeader,
  RecordsError,
  type RecordsErrorCode,
  sealInPlace,
  splitBatches,
  verifyCrc,
} from '../../../protocol/records/batch.ts'
import { buildBatch, buildBatchRef, rebuild, type RecordInput } from '../../../protocol/records/build.ts'
import { buildControlBatch, readControlRecord, readControlRecords } from '../../../protocol/records/control.ts'
import { decodeRecords, readRecords } from '../../../protocol/records/record.ts'
import {
  VarintReader,
  varintSizeBytes,
  varlongSizeBytes,
  writeVarint,
  writeVarlong,
} from '../../../protocol/records/varint.ts'
import { hexOf } from './golden.ts'

const fields = fc.option(fc.uint8Array({ maxLength: 40 }))
const inputs: fc.Arbitrary<Required<Omit<RecordInput, 'offsetDelta'>>> = fc.record({
  key: fields,
  value: fields,
  headers: fc.array(
    fc.record({ key: fc.string({ unit: 'binary', maxLength: 8 }).map((key) => key.toWellFormed()), value: fields }),
    { maxLength: 3 },
  ),
  timestampMs: fc.oneof(
    fc.bigInt({ min: -1n, max: 2_000_000_000_000n }),
    fc.bigInt({ min: -(2n ** 62n), max: 2n ** 62n - 1n }),
  ),
})

for (const compression of compressions) {
  test(`records built with ${compression} decode to what they were built from`, () => {
    fc.assert(
      fc.property(
        fc.array(inputs, { maxLength: 12 }),
        fc.bigInt({ min: 0n, max: 2n ** 62n }),
        (records, baseOffset) => {
          const batch = onlyOf(buildBatch({ records, baseOffset, compression }))
          assert.ok(verifyCrc(batch))
          const decoded = decodeRecords(batch)
          const expected = records.map((record, i) => ({ ...plain(record), offset: baseOffset + BigInt(i) }))
          assert.deepEqual(
            decoded.map((record) => ({ ...plain(record), offset: record.offset })),
            expected,
          )
          const highest = records.reduce((max, { timestampMs }) => (timestampMs > max ? timestampMs : max), -1n)
          assert.equal(batch.header.maxTimestamp, highest)
        },
      ),
      { numRuns: 60 },
    )
  })

  test(`${compression} records beyond the limit are refused, at the limit they are read`, () => {
    const batch = buildBatchRef({ compression, records: [{ value: 'x'.repeat(100_000) }] })
    const [record] = decodeRecords(batch)
    assert.equal(decodeRecords(batch, { maxDecompressedBytes: record!.sizeBytes }).length, 1)
    refuses('TOO_LARGE', () => decodeRecords(batch, { maxDecompressedBytes: record!.sizeBytes - 1 }))
  })
}

test('keys, values and headers are views into the block of an uncompressed batch', () => {
  const batch = buildBatchRef({ records: [{ key: 'k', value: 'v', headers: [{ key: 'h', value: 'w' }] }] })
  const [record] = readRecords(batch)
  assert.ok(record)
  for (const view of [record.key, record.value, record.headers[0]!.value, record.bytes]) {
    assert.equal(view?.buffer, batch.bytes.buffer)
  }
  assert.equal(record.bytes.length, record.sizeBytes)
  assert.equal(record.sizeBytes, batch.bytes.length - batchHeaderSizeBytes)
})

test('deltas are numbers while these are exact, and bigints beyond', () => {
  const batch = buildBatchRef({
    baseTimestampMs: 0n,
    records: [{ timestampMs: 2n ** 47n }, { timestampMs: 2n ** 60n + 1n }, { timestampMs: -1n }],
  })
  const deltas = [...readRecords(batch)].map((record) => BigInt(record.timestampDelta))
  assert.deepEqual(deltas, [2n ** 47n, 2n ** 60n + 1n, -1n])
  assert.equal(typeof [...readRecords(batch)][0]!.timestampDelta, 'number')
})

test('timestamps whose distance leaves 64 bits come back as they went in', () => {
  const timestamps = [-(2n ** 63n), 2n ** 63n - 1n, 0n]
  const batch = buildBatchRef({ records: timestamps.map((timestampMs) => ({ timestampMs })) })
  assert.deepEqual(
    decodeRecords(batch).map((record) => record.timestampMs),
    timestamps,
  )
})

test('a batch of no records holds none, also when compaction has left it a codec', () => {
  for (const compression of compressions) {
    const batch = buildBatchRef({ compression, records: [], lastOffsetDelta: 9 })
    assert.equal(batch.bytes.length, batchHeaderSizeBytes)
    assert.deepEqual(decodeRecords(batch), [])
    assert.deepEqual(decodeRecords(onlyOf(rebuild(batch, { compression: 'zstd' }))), [])
  }
})

for (const [what, block, recordCount, reason] of [
  ['more records than counted', '0c000000010100' + '0c000002010100', 1, /7 bytes follow/],
  ['fewer records than counted', '0c00000001010000000000000000', 2, /length 0|cut/],
  ['a byte behind its records', '0c000000010100' + '00', 1, /1 bytes follow/],
  ['a negative record length', '0d000000010100', 1, /length -7/],
  ['a record length beyond the block', '0e000000010100', 1, /length 7, expected 0 to 6/],
  ['a record length that is too short for the parts', '0a000000010100', 1, /cut/],
  ['a record length that is longer than the parts', '0e00000001010000', 1, /1 bytes more/],
  ['a key length of -2', '0c000000030100', 1, /a key of length -2/],
  ['a key length beyond the record', '0c000000080100', 1, /a key of length 4/],
  ['a value length of -2', '0c000000010300', 1, /a value of length -2/],
  ['a value length beyond the record', '0c000000010800', 1, /a value of length 4/],
  ['a negative header count', '0c000000010101', 1, /counts -1 headers/],
  ['more headers than bytes', '0c000000010104', 1, /counts 2 headers in 0 bytes/],
  ['a count of 2^31-1 headers', '140000000101feffffff0f', 1, /counts 2147483647 headers/],
  ['a null header key', '10000000010102' + '0101', 1, /header key of length -1/],
  ['a header value beyond the record', '10000000010102' + '0008', 1, /header value of length 4/],
  ['a negative offset delta', '0c000001010100', 1, /offset delta -1, expected 0 to 4/],
  ['an offset delta beyond the last', '0c00000a010100', 1, /offset delta 5, expected 0 to 4/],
  ['offset deltas that do not rise', '0c000000010100' + '0c000000010100', 2, /offset delta 0, expected 1/],
  ['a varint of six bytes', '160000808080808000010100', 1, /32 bits/],
  ['a varint of more than 32 bits', '1400008080808010010100', 1, /32 bits/],
  ['a varlong of eleven bytes', '200080808080808080808080' + '0000010100', 1, /64 bits/],
  ['a varlong of more than 64 bits', '1e0080808080808080808002' + '00010100', 1, /64 bits/],
] as const) {
  test(`a batch with ${what} is refused with INVALID_RECORD`, () => {
    const isExpected = (error: unknown): boolean =>
      error instanceof RecordsError && error.code === 'INVALID_RECORD' && reason.test(error.message)
    assert.throws(() => decodeRecords(batchAround(block, recordCount)), isExpected)
  })
}

test('a count of records that the bytes cannot hold is refused before any is read', () => {
  const batch = batchAround('0c000000010100', 2_147_483_647)
  refuses('INVALID_RECORD', () => readRecords(batch).next())
})

test('varints padded within their width are read, as Kafka reads them', () => {
  const [record] = decodeRecords(batchAround('1400808000' + '808000' + '010100', 1))
  assert.equal(record?.offset, 0n)
})

test('any 32-bit number survives a varint, in the bytes that were announced', () => {
  fc.assert(
    fc.property(fc.oneof(fc.integer(), fc.constantFrom(0, -1, 63, 64, -64, -65, 2147483647, -2147483648)), (value) => {
      const bytes = new Uint8Array(5)
      const end = writeVarint(bytes, 0, value)
      assert.equal(end, varintSizeBytes(value))
      const reader = new VarintReader(bytes, 0, end)
      assert.equal(reader.varint(), value)
      assert.equal(reader.position, end)
    }),
  )
})

test('any 64-bit number survives a varlong, in the bytes that were announced', () => {
  const edges = [0n, -1n, 2n ** 48n, -(2n ** 48n), 2n ** 53n + 1n, 2n ** 62n + 1n, 2n ** 63n - 1n, -(2n ** 63n)]
  const any = fc.oneof(
    fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }),
    fc.constantFrom(...edges),
    fc.integer().map(BigInt),
  )
  fc.assert(
    fc.property(any, (value) => {
      const bytes = new Uint8Array(10)
      const end = writeVarlong(bytes, 0, value)
      assert.equal(end, varlongSizeBytes(value))
      const reader = new VarintReader(bytes, 0, end)
      assert.equal(BigInt(reader.varlong()), value)
      assert.equal(reader.position, end)
    }),
  )
})

test('varints have the bytes that the format gives them', () => {
  const hexOfVarint = (value: number): string | null => {
    const bytes = new Uint8Array(5)
    return hexOf(bytes.subarray(0, writeVarint(bytes, 0, value)))
  }
  assert.deepEqual([0, -1, 1, 64, 300, 2147483647].map(hexOfVarint), ['00', '01', '02', '8001', 'd804', 'feffffff0f'])
})

test('records as bytes at random are read, or refused with RecordsError', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 60 }), fc.nat({ max: 8 }), (block, recordCount) => {
      try {
        decodeRecords(batchAround(Buffer.from(block).toString('hex'), recordCount))
      } catch (error) {
        if (!(error instanceof RecordsError)) throw error
      }
    }),
    { numRuns: 2_000 },
  )
})

test('a control batch of later types is read as UNKNOWN, and several records one by one', () => {
  const bytes = buildControlBatch({
    timestampMs: 1n,
    records: [
      { type: 'SNAPSHOT_HEADER', value: Buffer.from('a') },
      { type: 'KRAFT_VOTERS', value: Buffer.from('b') },
    ],
  })
  assert.deepEqual(
    readControlRecords(onlyOf(bytes)).map((record) => record.type),
    ['SNAPSHOT_HEADER', 'KRAFT_VOTERS'],
  )
  const later = onlyOf(buildBatch({ isControl: true, records: [{ key: Buffer.from('00000063', 'hex'), value: null }] }))
  assert.equal(readControlRecord(later)?.type, 'UNKNOWN')
  assert.equal(readControlRecord(later)?.typeNumber, 99)
  assert.equal(readControlRecord(onlyOf(buildBatch({ isControl: true, records: [] }))), undefined)
})

for (const [what, key, value] of [
  ['no key', null, '000000000001'],
  ['a key of 3 bytes', '000000', '000000000001'],
  ['a key of a negative version', 'ffff0000', '000000000001'],
  ['a null value', '00000000', null],
  ['a value of 5 bytes', '00000001', '0000000000'],
  ['a value of a negative version', '00000001', 'ffff00000000'],
] as const) {
  test(`a marker with ${what} is refused with INVALID_RECORD`, () => {
    const record = {
      key: key === null ? null : Buffer.from(key, 'hex'),
      value: value === null ? null : Buffer.from(value, 'hex'),
    }
    refuses('INVALID_RECORD', () => readControlRecord(onlyOf(buildBatch({ isControl: true, records: [record] }))))
  })
}

test('a data batch is not read as a control batch', () => {
  refuses('INVALID_RECORD', () => readControlRecord(buildBatchRef({ records: [{ value: 'a' }] })))
})

/** An uncompressed batch of five offsets around a block in hex. */
function batchAround(block: string, recordCount: number): BatchRef {
  const bytes = Buffer.concat([buildBatch({ records: [], lastOffsetDelta: 4 }), Buffer.from(block, 'hex')])
  const view = dataViewOf(bytes)
  view.setInt32(8, bytes.length - 12)
  view.setInt32(57, recordCount)
  sealInPlace(bytes)
  return { bytes, header: readBatchHeader(bytes) }
}

function onlyOf(bytes: Uint8Array): BatchRef {
  const [batch, ...others] = splitBatches(bytes)
  assert.ok(batch)
  assert.equal(others.length, 0)
  return batch
}

function plain(record: Pick<Required<RecordInput>, 'key' | 'value' | 'headers' | 'timestampMs'>): object {
  const hex = (field: Uint8Array | string | null): string | null => (field === null ? null : hexOf(Buffer.from(field)))
  return {
    key: hex(record.key),
    value: hex(record.value),
    headers: record.headers.map((header) => [header.key, hex(header.value)]),
    timestampMs: record.timestampMs,
  }
}

function refuses(code: RecordsErrorCode, run: () => unknown): void {
  assert.throws(run, (error) => error instanceof RecordsError && error.code === code, `expected ${code}`)
}
