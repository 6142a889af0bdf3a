import {
  batchHeaderLayout,
  type Compression,
  compressions,
  dataViewOf,
  readBatchHeader,
  splitBatches,
} from '../../protocol/records/batch.ts'
import { buildBatch, buildBatchRef } from '../../protocol/records/build.ts'
import { compress, decompress } from '../../protocol/records/compression.ts'
import { decodeRecords, readRecords } from '../../protocol/records/record.ts'
import { xxhash32 } from '../../protocol/records/xxhash32.ts'
import { benchmark, runBenchmarks } from '../support/benchmark.ts'

const once = { small: 10, large: 1_000_000 }
const records = Array.from({ length: 100 }, (_, i) => ({
  key: `key-${i}`,
  value: `{"id":${i},"name":"somebody","note":"${'abcdefghij'.repeat(i % 8)}"}`,
  timestampMs: 1_700_000_000_000n + BigInt(i),
}))
const batch = buildBatchRef({ records, producerId: 9007199254740993n, producerEpoch: 1, baseSequence: 0 })
const recordBytes = batch.bytes.length / records.length
const frame = Buffer.concat(Array.from({ length: 100 }, () => batch.bytes))
const frameView = dataViewOf(frame)

benchmark('read a batch header', once, (operations) => {
  let sum = 0
  for (let i = 0; i < operations; i++) {
    sum += readBatchHeader(frame, (i % 100) * batch.bytes.length, frameView).batchLength
  }
  return sum
})

benchmark('decode a batch header by its layout as a whole', { small: 10, large: 200_000 }, (operations) => {
  let sum = 0
  for (let i = 0; i < operations; i++) {
    sum += batchHeaderLayout.decode(frame, (i % 100) * batch.bytes.length).batchLength
  }
  return sum
})

benchmark('split a frame of 100 batches, for each batch', { small: 100, large: 500_000 }, (operations) => {
  let sum = 0
  for (let i = 0; i < operations; i += 100) sum += splitBatches(frame).length
  return sum
})

const sixteenKibibytes = Buffer.alloc(16_384, 'checksum')
benchmark('xxhash32', { small: 4, large: 5_000 }, sumOfHashes, { bytesEach: sixteenKibibytes.length })

benchmark(
  'read a record, not its parts',
  { small: 100, large: 1_000_000 },
  (operations) => {
    let sum = 0
    for (let i = 0; i < operations; i += records.length) {
      for (const record of readRecords(batch)) sum += record.valueSizeBytes
    }
    return sum
  },
  { bytesEach: recordBytes },
)

benchmark(
  'decode a record',
  { small: 100, large: 500_000 },
  (operations) => {
    let sum = 0
    for (let i = 0; i < operations; i += records.length) sum += decodeRecords(batch).length
    return sum
  },
  { bytesEach: recordBytes },
)

benchmark(
  'build a record',
  { small: 100, large: 200_000 },
  (operations) => {
    let sum = 0
    for (let i = 0; i < operations; i += records.length) sum += buildBatch({ records }).length
    return sum
  },
  { bytesEach: recordBytes },
)

const block = Buffer.concat(Array.from({ length: 12 }, () => batch.bytes)) // 120 to 130 KB, as a large batch has
for (const compression of compressions) if (compression !== 'none') benchmarkCodec(compression)

function benchmarkCodec(compression: Compression): void {
  const sizes = { small: 1, large: 100 }
  const bytesEach = block.length
  benchmark(
    `compress ${bytesEach} bytes, ${compression}`,
    sizes,
    (operations) => {
      let sum = 0
      for (let i = 0; i < operations; i++) sum += compress(compression, block).length
      return sum
    },
    { bytesEach },
  )
  const compressed = compress(compression, block)
  benchmark(
    `decompress ${bytesEach} bytes, ${compression}`,
    sizes,
    (operations) => {
      let sum = 0
      for (let i = 0; i < operations; i++) sum += decompress(compression, compressed, 1_048_576).length
      return sum
    },
    { bytesEach },
  )
}

function sumOfHashes(operations: number): number {
  let sum = 0
  for (let i = 0; i < operations; i++) sum = (sum + xxhash32(sixteenKibibytes)) % 4_294_967_296
  return sum
}

if (import.meta.main) await runBenchmarks()
