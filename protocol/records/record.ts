/**
 * The records in a batch, read lazily: keys, values and headers are views into the (decompressed) block, offsets and
 * timestamps stay deltas until somebody asks.
 *
 *   length          varint    bytes that follow
 *   attributes      int8      unused
 *   timestampDelta  varlong   against the batch's baseTimestamp
 *   offsetDelta     varint    against the batch's baseOffset
 *   key             varint length (-1: null), bytes
 *   value           varint length (-1: null), bytes
 *   headers         varint count, each: varint length and UTF-8 key, varint length (-1: null) and value
 *
 * Spec: https://kafka.apache.org/documentation/#record
 */
import { Buffer } from 'node:buffer'
import {
  batchHeaderSizeBytes,
  type BatchHeader,
  type BatchRef,
  compressionOf,
  RecordsError,
  timestampTypeOf,
} from './batch.ts'
import { decompress } from './compression.ts'
import { VarintReader } from './varint.ts'

export interface RecordLimits {
  /** The most bytes that the records of one batch may decompress to. */
  readonly maxDecompressedBytes: number
}

/** For callers without a config at hand. */
export const defaultRecordLimits: RecordLimits = { maxDecompressedBytes: 67_108_864 }

export interface RecordHeader {
  readonly key: string
  readonly value: Uint8Array | null
}

/** A record in a friendly form. The bytes are views: copy what outlives the batch. */
export interface DecodedRecord {
  readonly offset: bigint
  readonly timestampMs: bigint
  readonly key: Uint8Array | null
  readonly value: Uint8Array | null
  readonly headers: readonly RecordHeader[]
  /** Of the record as it stands in the uncompressed block, its length field included. */
  readonly sizeBytes: number
}

/** Length, attributes, both deltas, two lengths and a count, a byte each. */
const smallestRecordBytes = 7

/** Where the parts of a record are in its block. A size of -1 means null. */
interface RecordParts {
  readonly start: number
  readonly end: number
  readonly attributes: number
  readonly timestampDelta: number | bigint
  readonly offsetDelta: number
  readonly keyAt: number
  readonly keySizeBytes: number
  readonly valueAt: number
  readonly valueSizeBytes: number
  readonly headersAt: number
}

/** One record, checked as a whole when it was read; its parts are cut out when asked for. */
export class RecordView {
  readonly #block: Uint8Array
  readonly #parts: RecordParts

  constructor(block: Uint8Array, parts: RecordParts) {
    this.#block = block
    this.#parts = parts
  }

  /** Of the whole record, its length field included. */
  get sizeBytes(): number {
    return this.#parts.end - this.#parts.start
  }

  /** The whole record as it stands in the block, its length field included. */
  get bytes(): Uint8Array {
    return this.#block.subarray(this.#parts.start, this.#parts.end)
  }

  get attributes(): number {
    return this.#parts.attributes
  }

  get offsetDelta(): number {
    return this.#parts.offsetDelta
  }

  /** A number wherever that is exact, so that no bigint is made per record. */
  get timestampDelta(): number | bigint {
    return this.#parts.timestampDelta
  }

  /** -1 for null. */
  get keySizeBytes(): number {
    return this.#parts.keySizeBytes
  }

  /** -1 for null, as in a tombstone. */
  get valueSizeBytes(): number {
    return this.#parts.valueSizeBytes
  }

  get key(): Uint8Array | null {
    return viewOf(this.#block, this.#parts.keyAt, this.#parts.keySizeBytes)
  }

  get value(): Uint8Array | null {
    return viewOf(this.#block, this.#parts.valueAt, this.#parts.valueSizeBytes)
  }

  get headers(): readonly RecordHeader[] {
    const reader = new VarintReader(this.#block, this.#parts.headersAt, this.#parts.end)
    const count = reader.varint()
    const headers: RecordHeader[] = []
    for (let i = 0; i < count; i++) {
      const keySizeBytes = reader.varint()
      const key = Buffer.from(this.#block.buffer, this.#block.byteOffset + reader.position, keySizeBytes).toString()
      reader.position += keySizeBytes
      const valueSizeBytes = reader.varint()
      headers.push({ key, value: viewOf(this.#block, reader.position, valueSizeBytes) })
      reader.position += Math.max(valueSizeBytes, 0)
    }
    return headers
  }
}

/**
 * The records of a batch, in order. Decompresses when iteration starts. The CRC is not checked here.
 *
 * @throws RecordsError, while iterating: TOO_LARGE, UNSUPPORTED_COMPRESSION or CORRUPT for the block as a whole;
 * INVALID_RECORD for a record whose lengths do not hold, whose offset delta does not rise or passes the header's, and
 * for a block that holds more or fewer records than the header counts.
 */
export function* readRecords(
  batch: BatchRef,
  limits: RecordLimits = defaultRecordLimits,
): Generator<RecordView, void, undefined> {
  const { header } = batch
  const block = recordBlockOf(batch, limits)
  if (header.recordCount * smallestRecordBytes > block.length) {
    throw invalid(`batch counts ${header.recordCount} records in ${block.length} bytes`)
  }
  const reader = new VarintReader(block)
  let previousDelta = -1
  for (let index = 0; index < header.recordCount; index++) {
    const parts = readParts(reader, index)
    if (parts.offsetDelta <= previousDelta || parts.offsetDelta > header.lastOffsetDelta) {
      throw invalid(
        `record ${index} has offset delta ${parts.offsetDelta}, expected ${previousDelta + 1} to ${header.lastOffsetDelta}`,
      )
    }
    previousDelta = parts.offsetDelta
    yield new RecordView(block, parts)
  }
  if (reader.position !== block.length) {
    throw invalid(
      `${block.length - reader.position} bytes follow the ${header.recordCount} records that the batch counts`,
    )
  }
}

/** All records of a batch, decoded. @throws RecordsError as `readRecords`. */
export function decodeRecords(batch: BatchRef, limits: RecordLimits = defaultRecordLimits): DecodedRecord[] {
  const decoded: DecodedRecord[] = []
  for (const record of readRecords(batch, limits)) decoded.push(decodeRecord(batch.header, record))
  return decoded
}

export function decodeRecord(header: BatchHeader, record: RecordView): DecodedRecord {
  return {
    offset: offsetOf(header, record),
    timestampMs: timestampMsOf(header, record),
    key: record.key,
    value: record.value,
    headers: record.headers,
    sizeBytes: record.sizeBytes,
  }
}

export function offsetOf(header: BatchHeader, record: RecordView): bigint {
  return header.baseOffset + BigInt(record.offsetDelta)
}

/**
 * With LogAppendTime every record has the time of the append, which is the batch's maximum. A sum beyond 64 bits wraps,
 * as it does in Kafka, so that both read the same from the same bytes.
 */
export function timestampMsOf(header: BatchHeader, record: RecordView): bigint {
  if (timestampTypeOf(header) === 'LogAppendTime') return header.maxTimestamp
  return BigInt.asIntN(64, header.baseTimestamp + BigInt(record.timestampDelta))
}

/** The bytes of all records, decompressed. @throws RecordsError as `decompress`. */
export function recordBlockOf(batch: BatchRef, limits: RecordLimits = defaultRecordLimits): Uint8Array {
  const compression = compressionOf(batch.header)
  const bytes = batch.bytes.subarray(batchHeaderSizeBytes)
  // A batch that compaction emptied may keep its codec and has no block at all.
  if (bytes.length === 0 && batch.header.recordCount === 0) return bytes
  return decompress(compression, bytes, limits.maxDecompressedBytes)
}

/** Reads one record and checks that each of its parts lies within it and that nothing is left. */
function readParts(reader: VarintReader, index: number): RecordParts {
  const start = reader.position
  const sizeBytes = reader.varint()
  const blockEnd = reader.bytes.length
  if (sizeBytes < 0 || sizeBytes > blockEnd - reader.position) {
    throw invalid(`record ${index} has length ${sizeBytes}, expected 0 to ${blockEnd - reader.position}`)
  }
  const end = reader.position + sizeBytes
  reader.end = end
  const attributes = reader.byte()
  const timestampDelta = reader.varlong()
  const offsetDelta = reader.varint()
  const keySizeBytes = readSize(reader, index, 'a key')
  const keyAt = reader.position
  reader.position += Math.max(keySizeBytes, 0)
  const valueSizeBytes = readSize(reader, index, 'a value')
  const valueAt = reader.position
  reader.position += Math.max(valueSizeBytes, 0)
  const headersAt = reader.position
  skipHeaders(reader, index)
  if (reader.position !== end) throw invalid(`record ${index} has ${end - reader.position} bytes more than its parts`)
  reader.end = blockEnd
  return {
    start,
    end,
    attributes,
    timestampDelta,
    offsetDelta,
    keyAt,
    keySizeBytes,
    valueAt,
    valueSizeBytes,
    headersAt,
  }
}

function skipHeaders(reader: VarintReader, index: number): void {
  const count = reader.varint()
  if (count < 0 || count * 2 > reader.end - reader.position) {
    throw invalid(`record ${index} counts ${count} headers in ${reader.end - reader.position} bytes`)
  }
  for (let i = 0; i < count; i++) {
    const keySizeBytes = readSize(reader, index, 'a header key')
    if (keySizeBytes < 0) throw invalid(`record ${index} has a header key of length ${keySizeBytes}`)
    reader.position += keySizeBytes
    const valueSizeBytes = readSize(reader, index, 'a header value')
    reader.position += Math.max(valueSizeBytes, 0)
  }
}

/** A size that the record has room for, or -1. */
function readSize(reader: VarintReader, index: number, what: string): number {
  const sizeBytes = reader.varint()
  const left = reader.end - reader.position
  if (sizeBytes < -1 || sizeBytes > left) {
    throw invalid(`record ${index} has ${what} of length ${sizeBytes}, expected -1 to ${left}`)
  }
  return sizeBytes
}

function viewOf(block: Uint8Array, position: number, sizeBytes: number): Uint8Array | null {
  return sizeBytes < 0 ? null : block.subarray(position, position + sizeBytes)
}

function invalid(message: string): RecordsError {
  return new RecordsError('INVALID_RECORD', message)
}
