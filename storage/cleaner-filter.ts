/**
 * What the cleaner leaves of a batch. Pure: batches in, batches out.
 *
 * A record stays when it is the newest of its key in the range that the offset map covers, or lies behind that range. A
 * tombstone, and a marker without data, stays until a horizon that is written into its batch the first time that a
 * cleaning meets it (KIP-534): the attribute is set, and the horizon takes the place of the base timestamp. Aborted
 * data goes.
 *
 * Offsets, sequences and epochs of a batch stay what they were, whatever goes from it; so does its codec. A batch
 * without records stays where its header is still needed: the last of a producer, and the last of what is cleaned.
 */
import {
  attributesOf,
  batchHeaderSizeBytes,
  batchOverheadBytes,
  compressionOf,
  hasDeleteHorizon,
  isControl,
  isTransactional,
  lastOffsetOf,
  maxBatchBytes,
  readBatchHeader,
  RecordsError,
  sealInPlace,
  timestampTypeOf,
  writeBatchHeader,
  type BatchHeader,
  type BatchRef,
} from '../protocol/records/batch.ts'
import { compress } from '../protocol/records/compression.ts'
import { offsetOf, readRecords, timestampMsOf, type RecordLimits, type RecordView } from '../protocol/records/record.ts'
import {
  VarintReader,
  varintSizeBytes,
  varlongSizeBytes,
  writeVarint,
  writeVarlong,
} from '../protocol/records/varint.ts'
import type { OffsetMap } from './cleaner-offset-map.ts'
import type { CleanedTransactions } from './cleaner-transactions.ts'

/** By which batch a log remembers a producer. */
export interface LastRecord {
  /** The last offset of its last data batch, or undefined when only a marker tells of it. */
  readonly lastDataOffset: bigint | undefined
  readonly producerEpoch: number
}

export interface CleaningRules {
  readonly map: OffsetMap
  readonly transactions: CleanedTransactions
  readonly lastRecords: ReadonlyMap<bigint, LastRecord>
  /** What is cleaned ends here. */
  readonly upperBoundOffset: bigint
  readonly nowMs: bigint
  readonly deleteRetentionMs: bigint
  readonly limits: RecordLimits
}

/** Milliseconds where a batch has no timestamp. */
const noTimestampMs = -1n

/**
 * The batch as it stays, the same object where nothing changes, or undefined when it goes. Batches come in the order of
 * their offsets, each once.
 *
 * @throws RecordsError for a batch whose records cannot be read.
 */
export function cleanBatch(batch: BatchRef, rules: CleaningRules): BatchRef | undefined {
  const { header } = batch
  const isMarker = isControl(header)
  const isNeedless = isMarker ? rules.transactions.isEmptied(batch, rules.limits) : rules.transactions.isAborted(batch)
  const losesAll = isNeedless && (!isMarker || isPastHorizon(header, rules.nowMs))
  const staysEmpty = isLastOfProducer(header, rules.lastRecords) || lastOffsetOf(header) + 1n === rules.upperBoundOffset
  if (losesAll) return staysEmpty ? emptied(batch) : undefined
  const kept = [...readRecords(batch, rules.limits)].filter((record) => isMarker || stays(header, record, rules))
  if (kept.length === 0) return staysEmpty ? emptied(batch) : undefined
  const hasRemovable = (isNeedless && isMarker) || kept.some((record) => record.valueSizeBytes < 0)
  const horizonMs = hasRemovable && !hasDeleteHorizon(header) ? rules.nowMs + rules.deleteRetentionMs : undefined
  if (horizonMs === undefined && kept.length === header.recordCount) return batch
  return rewritten(batch, kept, horizonMs)
}

function stays(header: BatchHeader, record: RecordView, { map, nowMs }: CleaningRules): boolean {
  const offset = offsetOf(header, record)
  if (offset > map.latestOffset) return true
  const { key } = record
  if (key === null) return false
  const newest = map.find(key)
  if (newest !== undefined && offset < newest) return false
  return record.valueSizeBytes >= 0 || !isPastHorizon(header, nowMs)
}

function isPastHorizon(header: BatchHeader, nowMs: bigint): boolean {
  return hasDeleteHorizon(header) && header.baseTimestamp <= nowMs
}

/** The log learns the sequences and the epoch of a producer from this batch when it is opened. */
function isLastOfProducer(header: BatchHeader, lastRecords: ReadonlyMap<bigint, LastRecord>): boolean {
  const last = header.producerId < 0n ? undefined : lastRecords.get(header.producerId)
  if (!last) return false
  if (last.lastDataOffset !== undefined) return lastOffsetOf(header) === last.lastDataOffset
  return isControl(header) && header.producerEpoch === last.producerEpoch
}

/** Only the header, without codec and horizon: neither has a meaning without records. */
function emptied(batch: BatchRef): BatchRef {
  const { header } = batch
  if (header.recordCount === 0 && batch.bytes.length === batchHeaderSizeBytes) return batch
  const attributes = attributesOf({
    compression: 'none',
    timestampType: timestampTypeOf(header),
    isTransactional: isTransactional(header),
    isControl: isControl(header),
    hasDeleteHorizon: false,
  })
  return assembled({ ...header, attributes, baseTimestamp: noTimestampMs, recordCount: 0 }, new Uint8Array())
}

function rewritten(batch: BatchRef, kept: readonly RecordView[], horizonMs: bigint | undefined): BatchRef {
  const { header } = batch
  const compression = compressionOf(header)
  const isAppendTime = timestampTypeOf(header) === 'LogAppendTime'
  let maxTimestamp = isAppendTime ? header.maxTimestamp : noTimestampMs
  const pieces: Uint8Array[] = []
  for (const record of kept) {
    const timestampMs = timestampMsOf(header, record)
    if (timestampMs > maxTimestamp) maxTimestamp = timestampMs
    pieces.push(
      horizonMs === undefined
        ? record.bytes
        : withTimestampDelta(record.bytes, BigInt.asIntN(64, timestampMs - horizonMs)),
    )
  }
  const block = compress(compression, joined(pieces))
  const changed = { ...header, maxTimestamp, recordCount: kept.length }
  if (horizonMs === undefined) return assembled(changed, block)
  const attributes = attributesOf({
    compression,
    timestampType: timestampTypeOf(header),
    isTransactional: isTransactional(header),
    isControl: isControl(header),
    hasDeleteHorizon: true,
  })
  return assembled({ ...changed, attributes, baseTimestamp: horizonMs }, block)
}

/** The same record with another timestamp delta: everything from its offset delta on is copied. */
function withTimestampDelta(record: Uint8Array, timestampDelta: bigint): Uint8Array {
  const reader = new VarintReader(record)
  reader.varint() // the length
  const attributes = reader.byte()
  reader.varlong()
  const rest = record.subarray(reader.position)
  const bodyBytes = 1 + varlongSizeBytes(timestampDelta) + rest.length
  const bytes = new Uint8Array(varintSizeBytes(bodyBytes) + bodyBytes)
  let position = writeVarint(bytes, 0, bodyBytes)
  bytes[position++] = attributes
  position = writeVarlong(bytes, position, timestampDelta)
  bytes.set(rest, position)
  return bytes
}

function assembled(header: BatchHeader, block: Uint8Array): BatchRef {
  const sizeBytes = batchHeaderSizeBytes + block.length
  if (sizeBytes > maxBatchBytes) {
    throw new RecordsError('TOO_LARGE', `batch would have ${sizeBytes} bytes, expected up to ${maxBatchBytes}`)
  }
  const bytes = new Uint8Array(sizeBytes)
  writeBatchHeader(bytes, { ...header, batchLength: sizeBytes - batchOverheadBytes })
  bytes.set(block, batchHeaderSizeBytes)
  sealInPlace(bytes)
  return { bytes, header: readBatchHeader(bytes) }
}

function joined(pieces: readonly Uint8Array[]): Uint8Array {
  const bytes = new Uint8Array(pieces.reduce((sum, piece) => sum + piece.length, 0))
  let position = 0
  for (const piece of pieces) {
    bytes.set(piece, position)
    position += piece.length
  }
  return bytes
}
