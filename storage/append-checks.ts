/**
 * What an append must hold before it gets offsets. Which checks apply depends on who appends:
 *
 *   check                        client   coordinator   mirror
 *   size (max.message.bytes)     yes      no            no
 *   magic, length                yes      yes           yes
 *   CRC                          yes      yes           yes
 *   lastOffsetDelta + 1 = count  yes      yes           no: compaction at the source leaves gaps
 *   attributes                   yes      codec only    codec only
 *   timestamps, LogAppendTime    yes      yes           no
 *   null keys when compacted     yes      no            no
 *   compression.type             yes      no            no
 *   sequences                    yes      no            no
 *   producer epochs              yes      yes           no
 *   offsets, leader epochs       given    given         checked
 */
import {
  attributesWith,
  compressionOf,
  isControl,
  readBatchHeader,
  RecordsError,
  sizeBytesOf,
  timestampTypeOf,
  verifyCrc,
  withCreateTime,
  type BatchRef,
  type Compression,
} from '../protocol/records/batch.ts'
import { rebuild } from '../protocol/records/build.ts'
import { readRecords, timestampMsOf } from '../protocol/records/record.ts'
import type { AppendEntry, Failure, LogConfig, RecordError, StorageCode } from './log-store.ts'
import { failure } from './outcome.ts'

type Refusal = Failure & { readonly recordErrors?: readonly RecordError[] }

export interface CheckOptions {
  readonly config: LogConfig
  readonly nowMs: bigint
}

/** The batches as they are to be written, all or none. */
export function checkBatches(entry: AppendEntry, options: CheckOptions): readonly BatchRef[] | Refusal {
  if (entry.batches.length === 0) return failure('INVALID_RECORD', 'an append without a batch')
  let batches = entry.batches
  for (let index = 0; index < entry.batches.length; index++) {
    const batch = entry.batches[index]!
    try {
      const refused = checkShape(batch, entry.origin) ?? checkRules(batch, entry.origin, options)
      if (refused) return refused
      if (entry.origin !== 'client') continue
      const wanted = recompressed(withOwnTimestamps(batch, options.config), options.config)
      if (wanted !== batch) batches = batches.with(index, wanted)
    } catch (error) {
      if (error instanceof RecordsError) return failure(codeOfRecordsError[error.code], error.message)
      throw error
    }
  }
  return batches
}

const codeOfRecordsError: Record<RecordsError['code'], StorageCode> = {
  CORRUPT: 'CORRUPT_BATCH',
  UNSUPPORTED_MAGIC: 'UNSUPPORTED_MAGIC',
  TOO_LARGE: 'BATCH_TOO_LARGE',
  UNSUPPORTED_COMPRESSION: 'UNSUPPORTED_COMPRESSION',
  INVALID_RECORD: 'INVALID_RECORD',
}

/** What holds for the bytes of every batch, whoever wrote it. */
function checkShape(batch: BatchRef, origin: AppendEntry['origin']): Failure | undefined {
  const { header, bytes } = batch
  if (header.magic < 2)
    return failure('UNSUPPORTED_MAGIC', `magic ${header.magic} was dropped with Kafka 4, expected 2`)
  if (header.magic > 2) return failure('CORRUPT_BATCH', `magic ${header.magic} is unknown, expected 2`)
  if (sizeBytesOf(header) !== bytes.length) {
    return failure('CORRUPT_BATCH', `batch has ${bytes.length} bytes, its header says ${sizeBytesOf(header)}`)
  }
  if (!verifyCrc(batch)) return failure('CORRUPT_BATCH', `the CRC of the batch does not match its bytes`)
  compressionOf(header) // throws for a codec that does not exist
  if (origin === 'mirror') return undefined
  if (header.recordCount <= 0 || header.lastOffsetDelta + 1 !== header.recordCount) {
    return failure(
      'INVALID_RECORD',
      `batch counts ${header.recordCount} records and ${header.lastOffsetDelta + 1} offsets, expected the same and 1 or more`,
    )
  }
  return undefined
}

function checkRules(batch: BatchRef, origin: AppendEntry['origin'], options: CheckOptions): Refusal | undefined {
  if (origin === 'mirror') return undefined
  if (origin === 'coordinator') return checkTimestamps(batch, options)
  const { header, bytes } = batch
  const { config } = options
  if (bytes.length > config.maxMessageBytes) {
    return failure('BATCH_TOO_LARGE', `batch has ${bytes.length} bytes, expected up to ${config.maxMessageBytes}`)
  }
  if (header.baseOffset !== 0n) {
    return failure('INVALID_RECORD', `batch has base offset ${header.baseOffset}, expected 0`)
  }
  if (isControl(header)) return failure('INVALID_RECORD', 'clients may not write control records')
  if (header.producerId >= 0n && header.baseSequence < 0) {
    return failure(
      'INVALID_RECORD',
      `producer ${header.producerId} sent sequence ${header.baseSequence}, expected 0 or more`,
    )
  }
  return checkTimestamps(batch, options) ?? (config.cleanupPolicy.compact ? checkKeys(batch, config) : undefined)
}

function checkTimestamps(batch: BatchRef, { config, nowMs }: CheckOptions): Refusal | undefined {
  if (config.messageTimestampType === 'LogAppendTime') return undefined // the append's own time replaces the batch's
  const oldest = nowMs - config.messageTimestampBeforeMaxMs
  const newest = nowMs + config.messageTimestampAfterMaxMs
  const isGood = (timestampMs: bigint): boolean =>
    timestampMs === -1n || (timestampMs >= oldest && timestampMs <= newest)
  const { maxTimestamp } = batch.header
  if (isGood(maxTimestamp)) return undefined
  const textOf = (timestampMs: bigint): string =>
    `timestamp ${timestampMs} is out of range, expected ${oldest} to ${newest}`
  const recordErrors: RecordError[] = []
  let batchIndex = 0
  for (const record of readRecords(batch, { maxDecompressedBytes: config.maxDecompressedMessageBytes })) {
    const timestampMs = timestampMsOf(batch.header, record)
    if (!isGood(timestampMs)) recordErrors.push({ batchIndex, message: textOf(timestampMs) })
    batchIndex += 1
  }
  return { ...failure('INVALID_TIMESTAMP', textOf(maxTimestamp)), recordErrors }
}

/** What a producer says of append times does not count: the records keep the times they were given. */
function withOwnTimestamps(batch: BatchRef, config: LogConfig): BatchRef {
  const isForeign = timestampTypeOf(batch.header) === 'LogAppendTime' && config.messageTimestampType === 'CreateTime'
  if (!isForeign) return batch
  const bytes = withCreateTime(Uint8Array.from(batch.bytes))
  return { bytes, header: readBatchHeader(bytes) }
}

/** Compaction knows records by their key. */
function checkKeys(batch: BatchRef, config: LogConfig): Refusal | undefined {
  const recordErrors: RecordError[] = []
  let batchIndex = 0
  for (const record of readRecords(batch, { maxDecompressedBytes: config.maxDecompressedMessageBytes })) {
    if (record.keySizeBytes < 0) {
      recordErrors.push({ batchIndex, message: 'compacted topics accept no record without a key' })
    }
    batchIndex += 1
  }
  if (recordErrors.length === 0) return undefined
  return { ...failure('INVALID_RECORD', 'compacted topics accept no record without a key'), recordErrors }
}

/** The batch under the topic's own codec. */
function recompressed(batch: BatchRef, config: LogConfig): BatchRef {
  if (config.compressionType === 'producer') return batch
  const compression: Compression = config.compressionType === 'uncompressed' ? 'none' : config.compressionType
  if (batch.header.attributes === attributesWith(batch.header.attributes, compression)) return batch
  const level = compression === 'gzip' || compression === 'zstd' ? config.compressionLevels[compression] : undefined
  const limits = { maxDecompressedBytes: config.maxDecompressedMessageBytes }
  // A batch that is written anew gets a CRC of ours: what it vouches for must be records.
  for (const record of readRecords(batch, limits)) void record
  const bytes = rebuild(batch, {
    compression,
    limits,
    ...(level === undefined ? {} : { level }),
  })
  if (bytes.length > config.maxMessageBytes) {
    throw new RecordsError(
      'TOO_LARGE',
      `batch has ${bytes.length} bytes as ${compression}, expected up to ${config.maxMessageBytes}`,
    )
  }
  return { bytes, header: readBatchHeader(bytes) }
}
