/** Record batches and their codecs: headers that lie under a checksum that holds, blocks that are bombs or none. */
import assert from 'node:assert/strict'
import { encodeRecord } from '../../protocol/compile.ts'
import { ProtocolError } from '../../protocol/protocol-error.ts'
import {
  compressions,
  RecordsError,
  sealInPlace,
  splitBatches,
  splitWholeBatches,
} from '../../protocol/records/batch.ts'
import { buildBatch, rebuild } from '../../protocol/records/build.ts'
import { compress, decompress } from '../../protocol/records/compression.ts'
import { buildEndTransactionMarker, readControlRecords } from '../../protocol/records/control.ts'
import { decodeRecords } from '../../protocol/records/record.ts'
import type { RecordInput, RecordType } from '../../protocol/schema.ts'
import * as groupRecords from '../../protocol/state/group-records.ts'
import { metadataRecordTypes } from '../../protocol/state/record-types.ts'
import { Writer } from '../../protocol/writer.ts'
import { parseGroupRecord } from '../../src/groups/group-records.ts'
import { decodeMetadataRecord } from '../../src/metadata/records.ts'
import type { Random } from '../../src/environment/environment.ts'
import { randomVersion, structOf } from './messages.ts'
import { chance, joined, mutated, oddBigints, pick } from './mutate.ts'
import { pureTarget } from './target.ts'

/** What the records of one batch may decompress to, in these cases. */
const maxDecompressedBytes = 262_144
const headerBytes = 61
const limits = { maxDecompressedBytes }

/** Whole batches of any codec, also with timestamps and offsets at their borders. */
export function randomBatch(random: Random): Uint8Array {
  if (chance(random, 10))
    return buildEndTransactionMarker({
      commit: chance(random, 2),
      producerId: 5n,
      producerEpoch: 1,
      coordinatorEpoch: 0,
      timestampMs: 1n,
    })
  const records = Array.from({ length: 1 + random.below(5) }, (_, at) => ({
    key: chance(random, 3) ? null : random.bytes(random.below(9)),
    value: chance(random, 4) ? null : new Uint8Array(random.below(400)).fill(at),
    headers: chance(random, 3) ? [{ key: 'h', value: chance(random, 2) ? null : random.bytes(3) }] : [],
    timestampMs: chance(random, 6) ? pick(random, oddBigints) : 1_700_000_000_000n + BigInt(at),
  }))
  const baseOffset = chance(random, 6) ? pick(random, oddBigints) & 0x7fffffffffffff00n : 0n
  return buildBatch({ records, baseOffset, compression: pick(random, compressions) })
}

/** What a broker, a cleaner, a consumer and a verifier do with bytes that came as batches. */
function readAll(bytes: Uint8Array): void {
  for (const split of [splitBatches, splitWholeBatches]) {
    refusedOr(() => {
      for (const batch of split(bytes)) {
        refusedOr(() => decodeRecords(batch, limits).map(({ offset, timestampMs }) => offset + timestampMs))
        refusedOr(() => readControlRecords(batch, limits))
        refusedOr(() => rebuild(batch, { compression: 'lz4', limits }))
      }
    })
  }
}

function refusedOr(work: () => unknown): void {
  try {
    work()
  } catch (error) {
    if (!(error instanceof RecordsError) && !(error instanceof ProtocolError)) throw error
  }
}

/** The size and the checksum are made to hold, so that what is behind them is looked at. */
function sealed(bytes: Uint8Array): Uint8Array {
  if (bytes.length < headerBytes) return bytes
  new DataView(bytes.buffer, bytes.byteOffset).setInt32(8, bytes.length - 12)
  return sealInPlace(bytes)
}

export const recordBatches = pureTarget('record batches', 20, () => (random) => {
  const batch = randomBatch(random)
  readAll(batch)
  for (let round = 0; round < 3; round++) {
    const changed = mutated(random, batch, chance(random, 2) ? headerBytes : 0)
    readAll(chance(random, 4) ? changed : sealed(changed))
  }
  readAll(mutated(random, joined(batch, randomBatch(random))))
})

/** Content of which little says much, as bombs are made of. */
function content(random: Random): Uint8Array {
  const filled = new Uint8Array(random.below(chance(random, 20) ? 2 * maxDecompressedBytes : 3_000)).fill(7)
  return chance(random, 2) ? filled : joined(random.bytes(random.below(300)), filled)
}

export const codecs = pureTarget('codecs', 12, () => (random) => {
  const codec = pick(random, compressions)
  const whole = content(random)
  const compressed = compress(codec, whole)
  const inputs = [
    compressed,
    mutated(random, compressed),
    joined(compressed, compressed),
    random.bytes(random.below(64)),
  ]
  for (const input of inputs) {
    refusedOr(() => {
      const output = decompress(codec, input, maxDecompressedBytes)
      assert.ok(output.length <= maxDecompressedBytes, `${codec} gave ${output.length} bytes`)
      if (input === compressed) assert.deepEqual(Buffer.from(output), Buffer.from(whole))
    })
  }
})

function encoded(random: Random, type: RecordType, prefix: readonly number[], isKey = false): Uint8Array {
  const version = isKey ? 0 : randomVersion(random, type.versions)
  const writer = new Writer()
  for (const number of prefix) writer.int16(number)
  if (!isKey) writer.int16(version)
  encodeRecord(type, version, structOf(random, type.fields, version) as RecordInput<RecordType>, writer)
  return Uint8Array.from(writer.toBytes())
}

/** Records that a coordinator reads back when it loads. */
export const coordinatorRecords = pureTarget('coordinator records', 12, () => (random) => {
  const { OffsetCommitKey, OffsetCommitValue, GroupMetadataKey, GroupMetadataValue } = groupRecords
  const isGroup = chance(random, 2)
  const key = isGroup ? encoded(random, GroupMetadataKey, [2], true) : encoded(random, OffsetCommitKey, [1], true)
  const value = encoded(random, isGroup ? GroupMetadataValue : OffsetCommitValue, [])
  refusedOr(() => parseGroupRecord({ key, value }))
  refusedOr(() => parseGroupRecord({ key, value: null }))
  refusedOr(() => parseGroupRecord({ key: mutated(random, key), value }))
  for (let round = 0; round < 3; round++) refusedOr(() => parseGroupRecord({ key, value: mutated(random, value) }))
})

export const metadataRecords = pureTarget('metadata records', 12, () => (random) => {
  const type = pick(random, metadataRecordTypes)
  const version = randomVersion(random, type.versions)
  const writer = new Writer()
  for (const number of [1, type.key ?? 0, version]) writer.uvarint(number)
  encodeRecord(type, version, structOf(random, type.fields, version) as RecordInput<RecordType>, writer)
  const bytes = Uint8Array.from(writer.toBytes())
  refusedOr(() => decodeMetadataRecord(bytes))
  for (let round = 0; round < 4; round++) refusedOr(() => decodeMetadataRecord(mutated(random, bytes)))
})
