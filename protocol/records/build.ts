/** Writes whole batches: for coordinators, markers, the metadata log, tests, and topics that ask for another codec. */
import { Buffer } from 'node:buffer'
import {
  attributesOf,
  attributesWith,
  batchHeaderSizeBytes,
  batchOverheadBytes,
  type BatchHeader,
  type BatchRef,
  type Compression,
  maxBatchBytes,
  readBatchHeader,
  RecordsError,
  sealInPlace,
  writeBatchHeader,
} from './batch.ts'
import { compress } from './compression.ts'
import { recordBlockOf, type RecordLimits } from './record.ts'
import { varintSizeBytes, varlongSizeBytes, writeVarint, writeVarlong } from './varint.ts'

/** Strings stand for their UTF-8 bytes. */
export interface RecordInput {
  readonly key?: Uint8Array | string | null
  readonly value?: Uint8Array | string | null
  readonly headers?: readonly { readonly key: string; readonly value: Uint8Array | string | null }[]
  /** Default: the base timestamp of the batch. */
  readonly timestampMs?: bigint
  /** Default: one more than that of the record before. */
  readonly offsetDelta?: number
}

export interface BatchInput {
  readonly records: readonly RecordInput[]
  readonly baseOffset?: bigint
  readonly leaderEpoch?: number
  readonly compression?: Compression
  /** For gzip and zstd; see `compress`. */
  readonly level?: number
  /** Default: the timestamp of the first record, else 0. */
  readonly baseTimestampMs?: bigint
  /** Default: the highest timestamp of a record, else -1. With LogAppendTime it is the time of the append. */
  readonly maxTimestampMs?: bigint
  readonly timestampType?: 'CreateTime' | 'LogAppendTime'
  /** Default: -1, as all of the producer's fields: the batch of a producer without idempotence. */
  readonly producerId?: bigint
  readonly producerEpoch?: number
  readonly baseSequence?: number
  readonly isTransactional?: boolean
  readonly isControl?: boolean
  /** When tombstones in the batch may be removed; takes the place of the base timestamp (KIP-534). */
  readonly deleteHorizonMs?: bigint
  /** Default: that of the last record. Compaction keeps it when it removes the last record. */
  readonly lastOffsetDelta?: number
}

/** A record with its bytes and deltas settled. */
interface Prepared {
  readonly key: Uint8Array | null
  readonly value: Uint8Array | null
  readonly headers: readonly { readonly key: Uint8Array; readonly value: Uint8Array | null }[]
  readonly timestampDelta: bigint
  readonly offsetDelta: number
  /** Without the length field. */
  readonly bodyBytes: number
}

/** One batch with its CRC. @throws RecordsError TOO_LARGE when it would pass what the format can carry. */
export function buildBatch(input: BatchInput): Uint8Array {
  const { records, compression = 'none', timestampType = 'CreateTime' } = input
  const baseTimestamp = input.deleteHorizonMs ?? input.baseTimestampMs ?? records[0]?.timestampMs ?? 0n
  let offsetDelta = -1
  let maxTimestamp = -1n
  const prepared = records.map((record) => {
    const timestampMs = record.timestampMs ?? input.baseTimestampMs ?? baseTimestamp
    if (timestampMs > maxTimestamp) maxTimestamp = timestampMs
    offsetDelta = record.offsetDelta ?? offsetDelta + 1
    return prepare(record, offsetDelta, BigInt.asIntN(64, timestampMs - baseTimestamp)) // wraps, as readers undo
  })
  const attributes = attributesOf({
    compression,
    timestampType,
    isTransactional: input.isTransactional ?? false,
    isControl: input.isControl ?? false,
    hasDeleteHorizon: input.deleteHorizonMs !== undefined,
  })
  const header: Omit<BatchHeader, 'batchLength'> = {
    baseOffset: input.baseOffset ?? 0n,
    partitionLeaderEpoch: input.leaderEpoch ?? -1,
    magic: 2,
    crc: 0,
    attributes,
    lastOffsetDelta: input.lastOffsetDelta ?? Math.max(offsetDelta, 0),
    baseTimestamp,
    maxTimestamp: input.maxTimestampMs ?? maxTimestamp,
    producerId: input.producerId ?? -1n,
    producerEpoch: input.producerEpoch ?? -1,
    baseSequence: input.baseSequence ?? -1,
    recordCount: records.length,
  }
  const block = encodeBlock(prepared)
  return assemble(header, block.length === 0 ? block : compress(compression, block, input.level))
}

/** The same with its header, as storage and links take it. */
export function buildBatchRef(input: BatchInput): BatchRef {
  const bytes = buildBatch(input)
  return { bytes, header: readBatchHeader(bytes) }
}

/**
 * The same batch with another codec: every header field, offset delta and record stays. The records are not decoded,
 * because the block is the same under every codec.
 * @throws RecordsError as `decompress`, and TOO_LARGE when the result would pass what the format can carry.
 */
export function rebuild(
  batch: BatchRef,
  options: { readonly compression: Compression; readonly level?: number; readonly limits?: RecordLimits },
): Uint8Array {
  const block = recordBlockOf(batch, options.limits)
  const attributes = attributesWith(batch.header.attributes, options.compression)
  return assemble(
    { ...batch.header, attributes },
    block.length === 0 ? block : compress(options.compression, block, options.level),
  )
}

function assemble(header: Omit<BatchHeader, 'batchLength'>, block: Uint8Array): Uint8Array {
  const sizeBytes = batchHeaderSizeBytes + block.length
  if (sizeBytes > maxBatchBytes) {
    throw new RecordsError('TOO_LARGE', `batch would have ${sizeBytes} bytes, expected up to ${maxBatchBytes}`)
  }
  const bytes = new Uint8Array(sizeBytes)
  writeBatchHeader(bytes, { ...header, batchLength: sizeBytes - batchOverheadBytes })
  bytes.set(block, batchHeaderSizeBytes)
  return sealInPlace(bytes)
}

function prepare(record: RecordInput, offsetDelta: number, timestampDelta: bigint): Prepared {
  const key = bytesOf(record.key)
  const value = bytesOf(record.value)
  const headers = (record.headers ?? []).map((header) => ({
    key: Buffer.from(header.key),
    value: bytesOf(header.value),
  }))
  const headersBytes = headers.reduce((sum, header) => sum + fieldBytes(header.key) + fieldBytes(header.value), 0)
  const bodyBytes =
    1 +
    varlongSizeBytes(timestampDelta) +
    varintSizeBytes(offsetDelta) +
    fieldBytes(key) +
    fieldBytes(value) +
    varintSizeBytes(headers.length) +
    headersBytes
  return { key, value, headers, timestampDelta, offsetDelta, bodyBytes }
}

function encodeBlock(records: readonly Prepared[]): Uint8Array {
  const sizeBytes = records.reduce((sum, { bodyBytes }) => sum + varintSizeBytes(bodyBytes) + bodyBytes, 0)
  const block = new Uint8Array(sizeBytes)
  let position = 0
  for (const record of records) {
    position = writeVarint(block, position, record.bodyBytes)
    block[position++] = 0 // attributes
    position = writeVarlong(block, position, record.timestampDelta)
    position = writeVarint(block, position, record.offsetDelta)
    position = writeField(block, position, record.key)
    position = writeField(block, position, record.value)
    position = writeVarint(block, position, record.headers.length)
    for (const header of record.headers) {
      position = writeField(block, position, header.key)
      position = writeField(block, position, header.value)
    }
  }
  return block
}

function fieldBytes(field: Uint8Array | null): number {
  return field === null ? varintSizeBytes(-1) : varintSizeBytes(field.length) + field.length
}

function writeField(block: Uint8Array, position: number, field: Uint8Array | null): number {
  if (field === null) return writeVarint(block, position, -1)
  const start = writeVarint(block, position, field.length)
  block.set(field, start)
  return start + field.length
}

function bytesOf(field: Uint8Array | string | null | undefined): Uint8Array | null {
  if (field === undefined || field === null) return null
  return typeof field === 'string' ? Buffer.from(field) : field
}
