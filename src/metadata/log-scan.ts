/**
 * Reads a metadata log. Each append is one batch, written and synced before the next one starts: so a crash can damage
 * the last batch only, and that one was never acknowledged. Damage with an intact batch behind it is something else and
 * is never repaired by cutting acknowledged changes off.
 */
import { Buffer } from 'node:buffer'
import {
  batchHeaderSizeBytes,
  dataViewOf,
  isControl,
  lastOffsetOf,
  readBatchHeader,
  RecordsError,
  sizeBytesOf,
  verifyCrc,
  type BatchRef,
} from '../../protocol/records/batch.ts'
import { readRecords } from '../../protocol/records/record.ts'
import type { Disk, DiskFile } from '../../storage/disk.ts'
import { ImageBuilder } from './image.ts'
import { metadataDirectory, segmentPath } from './log-files.ts'
import { MetadataError } from './metadata-error.ts'
import type { MetadataImage } from './metadata-store.ts'
import { decodeMetadataRecord } from './records.ts'

const windowBytes = 1_048_576

export interface ScanStart {
  readonly image: MetadataImage
  /** Of the last record in the image, in milliseconds; -1 where there is none. */
  readonly lastTimestampMs: bigint
}

export interface ScannedLog {
  readonly image: MetadataImage
  readonly lastTimestampMs: bigint
  /** Bytes of batches that the start did not hold. */
  readonly replayedBytes: number
  /** Where the log goes on: the base offset of its last segment. */
  readonly activeSegment: bigint
  /** Bytes of whole batches in that segment. */
  readonly sizeBytes: number
  /** Bytes behind them, of a last write that a crash tore. */
  readonly tornBytes: number
  /** Base offsets of later segments that were begun and never written to. */
  readonly unusedSegments: readonly bigint[]
}

/**
 * Replays the segments of a log behind what the start holds. Segments that end before it are not looked at.
 *
 * @throws MetadataError CORRUPT, also where the log has a gap, or UNSUPPORTED; DiskError.
 */
export async function scanLog(disk: Disk, segments: readonly bigint[], start: ScanStart): Promise<ScannedLog> {
  const startOffset = start.image.offset + 1n
  const firstIndex = segments.findLastIndex((baseOffset) => baseOffset <= startOffset)
  if (firstIndex < 0)
    throw new MetadataError(
      'CORRUPT',
      `${disk.root}/${metadataDirectory}: the log begins at offset ${segments[0] ?? 'none'}, expected ${startOffset} or less`,
    )
  const builder = new ImageBuilder(start.image)
  const unusedSegments: bigint[] = []
  let last: ScannedSegment | undefined
  let { lastTimestampMs } = start
  let replayedBytes = 0
  for (const [index, baseOffset] of segments.slice(firstIndex).entries()) {
    const file = await disk.open(segmentPath(baseOffset))
    try {
      if (index > 0 && (await file.size()) === 0) {
        unusedSegments.push(baseOffset)
        continue
      }
      if (last && (last.tornBytes > 0 || last.nextOffset !== baseOffset)) throw brokenChain(file.path, last, baseOffset)
      last = await scanSegment(file, { baseOffset, builder, startOffset })
    } finally {
      await file.close()
    }
    lastTimestampMs = last.lastTimestampMs ?? lastTimestampMs
    replayedBytes += last.replayedBytes
  }
  const { nextOffset, ...found } = last!
  if (nextOffset < startOffset)
    throw new MetadataError(
      'CORRUPT',
      `${disk.root}/${segmentPath(found.activeSegment)} ends at offset ${nextOffset}, but a snapshot reaches ${startOffset}`,
    )
  const image = nextOffset === startOffset ? start.image : builder.finish(nextOffset - 1n)
  return { ...found, image, lastTimestampMs, replayedBytes, unusedSegments }
}

interface ScannedSegment {
  readonly activeSegment: bigint
  readonly nextOffset: bigint
  readonly lastTimestampMs: bigint | undefined
  readonly replayedBytes: number
  readonly sizeBytes: number
  readonly tornBytes: number
}

async function scanSegment(
  file: DiskFile,
  from: { readonly baseOffset: bigint; readonly builder: ImageBuilder; readonly startOffset: bigint },
): Promise<ScannedSegment> {
  const fileBytes = await file.size()
  let nextOffset = from.baseOffset
  let lastTimestampMs: bigint | undefined
  let sizeBytes = 0
  let replayedBytes = 0
  for await (const batch of batchesOf(file, fileBytes)) {
    if (batch.header.baseOffset !== nextOffset) break
    nextOffset = lastOffsetOf(batch.header) + 1n
    sizeBytes += batch.bytes.length
    if (nextOffset <= from.startOffset) continue
    if (batch.header.baseOffset < from.startOffset)
      throw new MetadataError('CORRUPT', `${file.path}: a snapshot ends within the batch before offset ${nextOffset}`)
    replayBatch(from.builder, batch, file.path)
    lastTimestampMs = batch.header.maxTimestamp
    replayedBytes += batch.bytes.length
  }
  const tornBytes = fileBytes - sizeBytes
  if (tornBytes > 0) await refuseIfIntactBehind(file, { position: sizeBytes, fileBytes, nextOffset })
  return { activeSegment: from.baseOffset, nextOffset, lastTimestampMs, replayedBytes, sizeBytes, tornBytes }
}

function brokenChain(path: string, before: ScannedSegment, baseOffset: bigint): MetadataError {
  return new MetadataError(
    'CORRUPT',
    `${path} begins at offset ${baseOffset}, but the segment before it ends at ${before.nextOffset}` +
      (before.tornBytes > 0 ? `, damaged at byte ${before.sizeBytes}` : '') +
      ': restore the file from a copy',
  )
}

/** @throws MetadataError CORRUPT */
export function replayBatch(builder: ImageBuilder, batch: BatchRef, path: string): void {
  if (isControl(batch.header)) return
  try {
    for (const record of readRecords(batch)) {
      if (record.value === null) throw new TypeError('a record without a value')
      builder.replay(decodeMetadataRecord(record.value))
    }
  } catch (error) {
    const { baseOffset } = batch.header
    const reason = error instanceof Error ? error.message : String(error)
    throw new MetadataError('CORRUPT', `${path}: the batch at offset ${baseOffset} can't be replayed: ${reason}`, {
      cause: error,
    })
  }
}

/** The whole batches from the start of the file, up to the first that is not intact. */
export async function* batchesOf(file: DiskFile, fileBytes: number): AsyncGenerator<BatchRef> {
  let window = new Uint8Array(0)
  let position = 0 // of the window, in the file
  let at = 0 // of the next batch, in the window
  const have = async (count: number): Promise<boolean> => {
    if (window.length - at >= count) return true
    if (fileBytes - position - at < count) return false
    position += at
    window = new Uint8Array(await file.read(position, Math.min(fileBytes - position, Math.max(count, windowBytes))))
    at = 0
    return window.length >= count
  }
  while (await have(batchHeaderSizeBytes)) {
    const header = findHeader(window, at)
    if (!header || !(await have(sizeBytesOf(header)))) return
    const batch = { header, bytes: window.subarray(at, at + sizeBytesOf(header)) }
    if (!verifyCrc(batch)) return
    yield batch
    at += batch.bytes.length
  }
}

function findHeader(bytes: Uint8Array, position: number, view?: DataView): BatchRef['header'] | undefined {
  try {
    return readBatchHeader(bytes, position, view)
  } catch (error) {
    if (error instanceof RecordsError) return undefined
    throw error
  }
}

/**
 * Tells a torn last write from damage in the middle: only the latter has an intact batch of a later offset behind it.
 */
async function refuseIfIntactBehind(
  file: DiskFile,
  damage: { readonly position: number; readonly fileBytes: number; readonly nextOffset: bigint },
): Promise<void> {
  const rest = await file.read(damage.position, damage.fileBytes - damage.position)
  const view = dataViewOf(rest)
  const magicAt = 16
  for (let at = 0; at + batchHeaderSizeBytes <= rest.length; at++) {
    if (rest[at + magicAt] !== 2) continue
    const baseOffset = view.getBigInt64(at)
    if (baseOffset < 0n || baseOffset > damage.nextOffset + BigInt(rest.length)) continue
    const header = findHeader(rest, at, view)
    if (!header || sizeBytesOf(header) > rest.length - at) continue
    if (!verifyCrc({ header, bytes: Buffer.from(rest.buffer, rest.byteOffset + at, sizeBytesOf(header)) })) continue
    throw new MetadataError(
      'CORRUPT',
      `${file.path} is damaged at byte ${damage.position} (offset ${damage.nextOffset}), and acknowledged changes follow at byte ` +
        `${damage.position + at} (offset ${baseOffset}): restore the file from a copy`,
    )
  }
}
