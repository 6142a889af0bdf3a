import assert from 'node:assert/strict'
import test from 'node:test'
import fc from 'fast-check'
import {
  assignInPlace,
  batchHeaderLayout,
  batchHeaderSizeBytes,
  batchOverheadBytes,
  type BatchHeader,
  type BatchRef,
  compressionOf,
  crcOf,
  dataViewOf,
  lastOffsetOf,
  readBatchHeader,
  RecordsError,
  type RecordsErrorCode,
  sealInPlace,
  sizeBytesOf,
  splitBatches,
  splitWholeBatches,
  timestampTypeOf,
  verifyCrc,
  withLogAppendTime,
} from '../../../protocol/records/batch.ts'
import { buildBatch, buildBatchRef } from '../../../protocol/records/build.ts'
import { decodeRecords } from '../../../protocol/records/record.ts'
import { lastSequenceOf, sequenceAfter } from '../../../protocol/records/sequence.ts'
import { bytesOf, goldenBatches } from './golden.ts'

const int64s = fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n })
const int32s = fc.integer({ min: -(2 ** 31), max: 2 ** 31 - 1 })
const int16s = fc.integer({ min: -(2 ** 15), max: 2 ** 15 - 1 })
const headers: fc.Arbitrary<BatchHeader> = fc.record(
  {
    baseOffset: fc.bigInt({ min: 0n, max: 2n ** 63n - 1n - 2n ** 31n }),
    batchLength: fc.integer({ min: 49, max: 2 ** 31 - 13 }),
    partitionLeaderEpoch: int32s,
    magic: fc.constant(2),
    crc: fc.nat({ max: 0xffffffff }),
    attributes: int16s,
    lastOffsetDelta: fc.nat(),
    baseTimestamp: int64s,
    maxTimestamp: int64s,
    producerId: int64s,
    producerEpoch: int16s,
    baseSequence: int32s,
    recordCount: fc.nat(),
  },
  { noNullPrototype: true },
)

test('the header has the places that the format gives its fields', () => {
  const places = Object.keys(readBatchHeader(buildBatch({ records: [] }))).map((field) => [
    field,
    batchHeaderLayout.offsetOf(field as keyof BatchHeader),
  ])
  assert.deepEqual(places, [
    ['baseOffset', 0],
    ['batchLength', 8],
    ['partitionLeaderEpoch', 12],
    ['magic', 16],
    ['crc', 17],
    ['attributes', 21],
    ['lastOffsetDelta', 23],
    ['baseTimestamp', 27],
    ['maxTimestamp', 35],
    ['producerId', 43],
    ['producerEpoch', 51],
    ['baseSequence', 53],
    ['recordCount', 57],
  ])
  assert.equal(batchHeaderSizeBytes, 61)
  assert.equal(batchOverheadBytes, 12)
})

test('any header that is written reads back with every bit, alone and at a place in a frame', () => {
  fc.assert(
    fc.property(headers, fc.nat({ max: 9 }), (header, position) => {
      const frame = new Uint8Array(position + 61 + 3)
      batchHeaderLayout.encode(header, frame, position)
      assert.deepEqual(readBatchHeader(frame, position), header)
      assert.deepEqual(readBatchHeader(frame, position, dataViewOf(frame)), header)
      assert.deepEqual({ ...batchHeaderLayout.decode(frame, position) }, header)
    }),
    { numRuns: 200 },
  )
})

test('a header is read from bytes that begin within a larger buffer', () => {
  const whole = Buffer.concat([Buffer.alloc(7), buildBatch({ records: [{ value: 'a' }], producerId: 2n ** 53n + 1n })])
  assert.equal(readBatchHeader(whole.subarray(7)).producerId, 2n ** 53n + 1n)
  assert.equal(batchHeaderLayout.decode(whole.subarray(7)).producerId, 2n ** 53n + 1n)
})

test('fewer bytes than a header are corrupt, however many there are', () => {
  const bytes = buildBatch({ records: [{ value: 'a' }] })
  for (let end = 0; end < 61; end++) refuses('CORRUPT', () => readBatchHeader(bytes.subarray(0, end)))
  assert.equal(readBatchHeader(bytes.subarray(0, 61)).recordCount, 1)
})

test('magic 0 and 1 are refused by name, any other magic as corrupt', () => {
  const bytes = buildBatch({ records: [{ value: 'a' }] })
  for (const [magic, code] of [
    [0, 'UNSUPPORTED_MAGIC'],
    [1, 'UNSUPPORTED_MAGIC'],
    [3, 'CORRUPT'],
    [-1, 'CORRUPT'],
  ] as const) {
    dataViewOf(bytes).setInt8(16, magic)
    refuses(code, () => readBatchHeader(bytes))
    refuses(code, () => splitBatches(bytes))
    refuses(code, () => splitWholeBatches(bytes.subarray(0, 30)))
  }
})

test('an old message set, shorter than a header, is refused by its magic and not as cut', () => {
  // offset 0, size 14, crc, magic 1, attributes, timestamp cut
  const old = Buffer.from('00000000000000000000000e11223344' + '0100', 'hex')
  refuses('UNSUPPORTED_MAGIC', () => splitBatches(old))
  refuses('UNSUPPORTED_MAGIC', () => splitWholeBatches(old))
})

for (const batchLength of [-2147483648, -1, 0, 48, 2147483647]) {
  test(`a batch length of ${batchLength} is corrupt`, () => {
    const bytes = buildBatch({ records: [{ value: 'a' }] })
    dataViewOf(bytes).setInt32(8, batchLength)
    refuses('CORRUPT', () => readBatchHeader(bytes))
    refuses('CORRUPT', () => splitBatches(bytes))
    refuses('CORRUPT', () => splitWholeBatches(bytes))
  })
}

for (const [field, position] of [
  ['lastOffsetDelta', 23],
  ['recordCount', 57],
] as const) {
  test(`a negative ${field} is corrupt`, () => {
    const bytes = buildBatch({ records: [{ value: 'a' }] })
    dataViewOf(bytes).setInt32(position, -1)
    refuses('CORRUPT', () => readBatchHeader(bytes))
  })
}

for (const baseOffset of [-1n, -(2n ** 63n), 2n ** 63n - 1n]) {
  test(`a base offset of ${baseOffset} is corrupt, because no offset can follow its batch or it is none`, () => {
    const bytes = buildBatch({ records: [{ value: 'a' }], baseOffset })
    refuses('CORRUPT', () => readBatchHeader(bytes))
  })
}

test('a record set cut at any byte gives its whole batches to a fetcher and is corrupt to others', () => {
  const parts = [0, 1, 2].map((i) => buildBatch({ baseOffset: BigInt(i), records: [{ value: `value ${i}` }] }))
  const set = Buffer.concat(parts)
  const ends = [parts[0]!.length, parts[0]!.length + parts[1]!.length, set.length]
  for (let end = 0; end <= set.length; end++) {
    const cut = set.subarray(0, end)
    const wholeCount = ends.filter((wholeEnd) => wholeEnd <= end).length
    assert.equal(splitWholeBatches(cut).length, wholeCount)
    if (end === 0 || ends.includes(end)) assert.equal(splitBatches(cut).length, wholeCount)
    else refuses('CORRUPT', () => splitBatches(cut))
  }
})

test('batches of a set are views over its bytes, not copies', () => {
  const set = Buffer.concat([buildBatch({ records: [] }), buildBatch({ records: [] })])
  for (const batch of splitBatches(set)) assert.equal(batch.bytes.buffer, set.buffer)
})

test('a length that reaches beyond the set is corrupt, or a cut batch to a fetcher', () => {
  const bytes = buildBatch({ records: [{ value: 'a' }] })
  dataViewOf(bytes).setInt32(8, bytes.length - 12 + 1)
  refuses('CORRUPT', () => splitBatches(bytes))
  assert.deepEqual(splitWholeBatches(bytes), [])
})

test('offset and leader epoch are assigned in place without touching the checksum', () => {
  const bytes = buildBatch({ records: [{ value: 'a' }, { value: 'b' }] })
  const before = readBatchHeader(bytes)
  assignInPlace(bytes, { baseOffset: 9007199254740993n, leaderEpoch: 2147483647 })
  const header = readBatchHeader(bytes)
  assert.deepEqual(header, { ...before, baseOffset: 9007199254740993n, partitionLeaderEpoch: 2147483647 })
  assert.ok(verifyCrc({ bytes, header }))
  assert.equal(lastOffsetOf(header), 9007199254740994n)
})

test('LogAppendTime is set with its type, as the maximum and with a new checksum, and every record has that time', () => {
  const { bytes, header: before } = buildBatchRef({
    records: [{ timestampMs: 5n }, { timestampMs: 9n }],
    isTransactional: true,
    compression: 'gzip',
  })
  const same = withLogAppendTime(bytes, 9007199254740993n)
  assert.equal(same, bytes)
  const header = readBatchHeader(bytes)
  assert.equal(timestampTypeOf(header), 'LogAppendTime')
  assert.deepEqual(header, {
    ...before,
    attributes: before.attributes | 8,
    maxTimestamp: 9007199254740993n,
    crc: crcOf(bytes),
  })
  assert.deepEqual(
    decodeRecords({ bytes, header }).map((record) => record.timestampMs),
    [9007199254740993n, 9007199254740993n],
  )
})

test('a change of any bit behind the checksum is found, and none in front of it', () => {
  const bytes = buildBatch({ records: [{ key: 'k', value: 'v' }] })
  for (let position = 0; position < bytes.length; position++) {
    const changed = Uint8Array.from(bytes)
    changed[position]! ^= 0x10
    if (position >= 8 && position < 12) continue // the length
    if (position === 16) continue // the magic
    const batch = refUnchecked(changed)
    assert.equal(verifyCrc(batch), position < 17, `byte ${position}`)
  }
})

test('codec numbers 5 to 7 are refused by name', () => {
  const bytes = buildBatch({ records: [{ value: 'a' }] })
  for (const number of [5, 6, 7]) {
    dataViewOf(bytes).setInt16(21, number)
    refuses('UNSUPPORTED_COMPRESSION', () => compressionOf(readBatchHeader(bytes)))
    refuses('UNSUPPORTED_COMPRESSION', () => decodeRecords(refUnchecked(sealInPlace(bytes))))
  }
})

test('sequences go on with 0 after the largest int32', () => {
  assert.equal(sequenceAfter(0, 1), 1)
  assert.equal(sequenceAfter(2147483647, 1), 0)
  assert.equal(sequenceAfter(2147483646, 5), 3)
  const { header } = buildBatchRef({ records: [{}, {}, {}], baseSequence: 2147483646 })
  assert.equal(lastSequenceOf(header), 0)
  assert.equal(lastSequenceOf(buildBatchRef({ records: [{}] }).header), -1)
})

test('real batches with any bytes changed or cut are read, or refused with RecordsError', () => {
  fc.assert(
    fc.property(
      fc.constantFrom(...goldenBatches.filter((golden) => golden.sizeBytes < 1_000)),
      fc.array(fc.tuple(fc.nat({ max: 999 }), fc.nat({ max: 255 })), { minLength: 1, maxLength: 4 }),
      fc.option(fc.nat({ max: 999 })),
      (golden, changes, cut) => {
        const bytes = bytesOf(golden)
        for (const [position, value] of changes) bytes[position % bytes.length] = value
        const input = cut === null ? bytes : bytes.subarray(0, cut % bytes.length)
        onlyRecordsErrors(() => splitBatches(input).forEach((batch) => decodeRecords(batch)))
        onlyRecordsErrors(() => splitWholeBatches(input).forEach((batch) => decodeRecords(batch)))
      },
    ),
    { numRuns: 2_000 },
  )
})

test('the sizes of a header are those of its batch', () => {
  const { bytes, header } = buildBatchRef({ records: [{ value: 'abc' }] })
  assert.equal(sizeBytesOf(header), bytes.length)
})

function refUnchecked(bytes: Uint8Array): BatchRef {
  return { bytes, header: batchHeaderLayout.decode(bytes) }
}

function refuses(code: RecordsErrorCode, run: () => unknown): void {
  assert.throws(run, (error) => error instanceof RecordsError && error.code === code, `expected ${code}`)
}

function onlyRecordsErrors(run: () => void): void {
  try {
    run()
  } catch (error) {
    if (!(error instanceof RecordsError)) throw error
  }
}
