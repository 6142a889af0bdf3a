/**
 * A read-only view of one record batch, format v2 (magic 2), without decoding its records.
 * The fields are declared once, as a buffer-layout structure; their offsets come from it.
 *
 *   0  baseOffset             int64      23  lastOffsetDelta   int32
 *   8  batchLength            int32      27  baseTimestamp     int64
 *  12  partitionLeaderEpoch   int32      35  maxTimestamp      int64
 *  16  magic                  int8       43  producerId        int64
 *  17  crc                    uint32     51  producerEpoch     int16
 *  21  attributes             int16      53  baseSequence      int32
 *                                        57  recordCount       int32
 *
 * Attributes: bits 0-2 compression, 3 timestamp type, 4 transactional, 5 control, 6 delete horizon.
 *
 * The CRC-32C covers byte 21 onwards, so a broker may rewrite baseOffset and
 * partitionLeaderEpoch without touching the checksum or the records.
 * Spec: https://kafka.apache.org/documentation/#recordbatch
 */
import { s16be, s32be, s8, struct, u32be } from '@solana/buffer-layout'
import { crc32c } from '../crc32c.ts'
import { int64 } from './int64.ts'

/** The header fields of a batch, parsed once where the bytes enter. */
export interface BatchHeader {
  readonly baseOffset: bigint
  /** Bytes that follow the length field: the whole batch is 12 bytes longer. */
  readonly batchLength: number
  readonly partitionLeaderEpoch: number
  readonly magic: number
  readonly crc: number
  readonly attributes: number
  readonly lastOffsetDelta: number
  readonly baseTimestamp: bigint
  readonly maxTimestamp: bigint
  readonly producerId: bigint
  readonly producerEpoch: number
  readonly baseSequence: number
  readonly recordCount: number
}

/** One v2 batch: its bytes and its header. An append that assigns offsets ignores the batch's own base offset. */
export interface BatchRef {
  readonly bytes: Uint8Array
  readonly header: BatchHeader
}

export type RecordsErrorCode =
  | 'CORRUPT' // a length, a count or a checksum does not hold
  | 'UNSUPPORTED_MAGIC' // a message set of before Kafka 0.11 (magic 0 or 1)
  | 'TOO_LARGE' // more bytes than the caller's limit, or than a batch can hold
  | 'UNSUPPORTED_COMPRESSION' // a codec number or a frame feature that Kafka's clients cannot read either
  | 'INVALID_RECORD' // the batch holds together, and a record in it does not

/** The one error of everything in this folder: whatever the bytes are, nothing else is thrown for them. */
export class RecordsError extends Error {
  override readonly name = 'RecordsError'
  readonly code: RecordsErrorCode

  constructor(code: RecordsErrorCode, message: string, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause })
    this.code = code
  }
}

/** Codecs by their number in the attributes. */
export const compressions = ['none', 'gzip', 'snappy', 'lz4', 'zstd'] as const
export type Compression = (typeof compressions)[number]

/** @internal Types of the package name only what comes with it. */
export const batchHeaderLayout = struct<BatchHeader>([
  int64('baseOffset'),
  s32be('batchLength'),
  s32be('partitionLeaderEpoch'),
  s8('magic'),
  u32be('crc'),
  s16be('attributes'),
  s32be('lastOffsetDelta'),
  int64('baseTimestamp'),
  int64('maxTimestamp'),
  int64('producerId'),
  s16be('producerEpoch'),
  s32be('baseSequence'),
  s32be('recordCount'),
])

// Constants, and not a table built in a loop, because single reads at constant places are what the hot path is made of.
const baseOffsetAt = positionOf('baseOffset')
const batchLengthAt = positionOf('batchLength')
const partitionLeaderEpochAt = positionOf('partitionLeaderEpoch')
const magicAt = positionOf('magic')
const crcAt = positionOf('crc')
const attributesAt = positionOf('attributes')
const lastOffsetDeltaAt = positionOf('lastOffsetDelta')
const baseTimestampAt = positionOf('baseTimestamp')
const maxTimestampAt = positionOf('maxTimestamp')
const producerIdAt = positionOf('producerId')
const producerEpochAt = positionOf('producerEpoch')
const baseSequenceAt = positionOf('baseSequence')
const recordCountAt = positionOf('recordCount')

/** Bytes of the fixed part of a batch: the records follow it. */
export const batchHeaderSizeBytes = batchHeaderLayout.span
/** Bytes in front of what `batchLength` counts: the base offset and the length itself. */
export const batchOverheadBytes = partitionLeaderEpochAt
/** The largest batch that the format can carry: a record set travels behind an int32 length. */
export const maxBatchBytes = 2_147_483_647

/** A base offset above this could have a last offset without a next one in an int64. */
const maxBaseOffset = 2n ** 63n - 1n - 2n ** 31n

const timestampTypeBit = 0x08
const transactionalBit = 0x10
const controlBit = 0x20
const deleteHorizonBit = 0x40
const compressionMask = 0x07

/** One view over a frame, to be handed to every `readBatchHeader` in it. */
export function dataViewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
}

/**
 * Reads the header at a position, by single field reads. `view` is a DataView over the same bytes: callers with many
 * batches make it once. Needs the 61 header bytes only, not the records behind them, and does not check the CRC.
 *
 * @throws RecordsError UNSUPPORTED_MAGIC for magic 0 and 1; CORRUPT when fewer than 61 bytes are left, when the length
 * is below that of an empty batch, when the count, an offset or the last offset delta is negative or the offsets leave
 * their 64 bits, and for any other magic.
 */
export function readBatchHeader(bytes: Uint8Array, position = 0, view: DataView = dataViewOf(bytes)): BatchHeader {
  checkFrame(bytes, position, view)
  if (bytes.length - position < batchHeaderSizeBytes) {
    throw new RecordsError(
      'CORRUPT',
      `batch at position ${position} is cut: got ${bytes.length - position} bytes, expected ${batchHeaderSizeBytes} or more`,
    )
  }
  const header: BatchHeader = {
    baseOffset: view.getBigInt64(position + baseOffsetAt),
    batchLength: view.getInt32(position + batchLengthAt),
    partitionLeaderEpoch: view.getInt32(position + partitionLeaderEpochAt),
    magic: view.getInt8(position + magicAt),
    crc: view.getUint32(position + crcAt),
    attributes: view.getInt16(position + attributesAt),
    lastOffsetDelta: view.getInt32(position + lastOffsetDeltaAt),
    baseTimestamp: view.getBigInt64(position + baseTimestampAt),
    maxTimestamp: view.getBigInt64(position + maxTimestampAt),
    producerId: view.getBigInt64(position + producerIdAt),
    producerEpoch: view.getInt16(position + producerEpochAt),
    baseSequence: view.getInt32(position + baseSequenceAt),
    recordCount: view.getInt32(position + recordCountAt),
  }
  if (header.recordCount < 0 || header.lastOffsetDelta < 0) {
    throw new RecordsError(
      'CORRUPT',
      `batch at position ${position} has recordCount ${header.recordCount} and lastOffsetDelta ${header.lastOffsetDelta}, expected 0 or more`,
    )
  }
  if (header.baseOffset < 0n || header.baseOffset > maxBaseOffset) {
    throw new RecordsError(
      'CORRUPT',
      `batch at position ${position} has baseOffset ${header.baseOffset}, expected 0 to ${maxBaseOffset}`,
    )
  }
  return header
}

/**
 * The batches of a record set that holds nothing else, as views over its bytes. No CRC is checked.
 * @throws RecordsError as `readBatchHeader`, and CORRUPT when the last batch is cut.
 */
export function splitBatches(bytes: Uint8Array): BatchRef[] {
  const { batches, sizeBytes } = walk(bytes)
  if (sizeBytes !== bytes.length) {
    throw new RecordsError(
      'CORRUPT',
      `batch at position ${sizeBytes} is cut: ${bytes.length - sizeBytes} bytes are left of it`,
    )
  }
  return batches
}

/**
 * The whole batches of a fetch answer, whose end may be a cut batch (brokers slice by size). What is left of a cut
 * batch is dropped, but not unread: a wrong length or magic in it is an error, because asking again would bring the
 * same.
 * @throws RecordsError as `readBatchHeader`.
 */
export function splitWholeBatches(bytes: Uint8Array): BatchRef[] {
  return walk(bytes).batches
}

/** The size of the whole batch in bytes, as its header says. */
export function sizeBytesOf(header: BatchHeader): number {
  return header.batchLength + batchOverheadBytes
}

/** The offset of the last record, also when compaction removed that record: the delta stays. */
export function lastOffsetOf(header: BatchHeader): bigint {
  return header.baseOffset + BigInt(header.lastOffsetDelta)
}

export function isTransactional(header: BatchHeader): boolean {
  return (header.attributes & transactionalBit) !== 0
}

export function isControl(header: BatchHeader): boolean {
  return (header.attributes & controlBit) !== 0
}

/** Compaction has put the time when tombstones may go where the base timestamp was (KIP-534). */
export function hasDeleteHorizon(header: BatchHeader): boolean {
  return (header.attributes & deleteHorizonBit) !== 0
}

export function timestampTypeOf(header: BatchHeader): 'CreateTime' | 'LogAppendTime' {
  return (header.attributes & timestampTypeBit) !== 0 ? 'LogAppendTime' : 'CreateTime'
}

/** @throws RecordsError UNSUPPORTED_COMPRESSION for a number that no codec has. */
export function compressionOf(header: BatchHeader): Compression {
  const compression = compressions[header.attributes & compressionMask]
  if (compression === undefined) {
    throw new RecordsError(
      'UNSUPPORTED_COMPRESSION',
      `compression ${header.attributes & compressionMask} is unknown, expected 0 to ${compressions.length - 1}`,
    )
  }
  return compression
}

/** Whether the checksum in the header is that of the bytes. */
export function verifyCrc(batch: BatchRef): boolean {
  return crcOf(batch.bytes) === batch.header.crc
}

/** The checksum of a whole batch, computed: over all bytes from the attributes on. */
export function crcOf(bytes: Uint8Array): number {
  return crc32c(bytes.subarray(attributesAt))
}

/** Writes the offset and the leader epoch that an append gives to a batch, in place. The CRC covers neither. */
export function assignInPlace(
  bytes: Uint8Array,
  assigned: { readonly baseOffset: bigint; readonly leaderEpoch: number },
): void {
  const view = dataViewOf(bytes)
  view.setBigInt64(baseOffsetAt, assigned.baseOffset)
  view.setInt32(partitionLeaderEpochAt, assigned.leaderEpoch)
}

/**
 * Turns a batch into one of LogAppendTime, in place: the timestamp type, the time as its maximum, and a new CRC. The
 * base timestamp and the deltas stay, as in Kafka: readers of such a batch give every record the maximum. Returns the
 * same bytes.
 */
export function withLogAppendTime(bytes: Uint8Array, logAppendTimeMs: bigint): Uint8Array {
  const view = dataViewOf(bytes)
  view.setInt16(attributesAt, view.getInt16(attributesAt) | timestampTypeBit)
  view.setBigInt64(maxTimestampAt, logAppendTimeMs)
  return sealInPlace(bytes)
}

/** Takes the timestamp type LogAppendTime from a batch, in place, with a new CRC. Returns the same bytes. */
export function withCreateTime(bytes: Uint8Array): Uint8Array {
  const view = dataViewOf(bytes)
  view.setInt16(attributesAt, view.getInt16(attributesAt) & ~timestampTypeBit)
  return sealInPlace(bytes)
}

/**
 * Writes the CRC of the batch into it: the last step of whoever changed a byte behind the checksum. Returns the same
 * bytes.
 */
export function sealInPlace(bytes: Uint8Array): Uint8Array {
  dataViewOf(bytes).setUint32(crcAt, crcOf(bytes))
  return bytes
}

/** The attributes for a batch. */
export function attributesOf(options: {
  readonly compression: Compression
  readonly timestampType: 'CreateTime' | 'LogAppendTime'
  readonly isTransactional: boolean
  readonly isControl: boolean
  readonly hasDeleteHorizon: boolean
}): number {
  return (
    compressions.indexOf(options.compression) |
    (options.timestampType === 'LogAppendTime' ? timestampTypeBit : 0) |
    (options.isTransactional ? transactionalBit : 0) |
    (options.isControl ? controlBit : 0) |
    (options.hasDeleteHorizon ? deleteHorizonBit : 0)
  )
}

/** The same attributes with another codec. */
export function attributesWith(attributes: number, compression: Compression): number {
  return (attributes & ~compressionMask) | compressions.indexOf(compression)
}

/** Writes every field; the caller seals the batch once its records are in place. */
export function writeBatchHeader(bytes: Uint8Array, header: BatchHeader): void {
  batchHeaderLayout.encode(header, bytes)
}

/** Batches up to the first that is not whole, and the bytes they take. */
function walk(bytes: Uint8Array): { batches: BatchRef[]; sizeBytes: number } {
  const view = dataViewOf(bytes)
  const batches: BatchRef[] = []
  let position = 0
  for (;;) {
    checkFrame(bytes, position, view)
    if (bytes.length - position < batchHeaderSizeBytes) break
    const sizeBytes = view.getInt32(position + batchLengthAt) + batchOverheadBytes
    if (sizeBytes > bytes.length - position) break
    const header = readBatchHeader(bytes, position, view)
    batches.push({ bytes: bytes.subarray(position, position + sizeBytes), header })
    position += sizeBytes
  }
  return { batches, sizeBytes: position }
}

/**
 * Checks the magic and the length as far as their bytes are there: the magic first, because it decides what the rest
 * means.
 */
function checkFrame(bytes: Uint8Array, position: number, view: DataView): void {
  const left = bytes.length - position
  if (left <= magicAt) return
  const magic = view.getInt8(position + magicAt)
  if (magic !== 2) {
    const isOld = magic === 0 || magic === 1
    throw new RecordsError(
      isOld ? 'UNSUPPORTED_MAGIC' : 'CORRUPT',
      `batch at position ${position} has magic ${magic}, expected 2`,
    )
  }
  const batchLength = view.getInt32(position + batchLengthAt)
  const lowest = batchHeaderSizeBytes - batchOverheadBytes
  if (batchLength < lowest || batchLength > maxBatchBytes - batchOverheadBytes) {
    throw new RecordsError(
      'CORRUPT',
      `batch at position ${position} has length ${batchLength}, expected ${lowest} to ${maxBatchBytes - batchOverheadBytes}`,
    )
  }
}

function positionOf(field: keyof BatchHeader): number {
  const position = batchHeaderLayout.offsetOf(field)
  if (position === undefined) throw new Error(`the batch header has no field ${field}`)
  return position
}
