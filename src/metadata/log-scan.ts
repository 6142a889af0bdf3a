/**
 * Reads a metadata log from its beginning. Each append is one batch, written and synced before the next one starts: so a crash
 * can damage the last batch only, and that one was never acknowledged. Damage with an intact batch behind it is something else
 * and is never repaired by cutting acknowledged changes off.
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
import type { DiskFile } from '../../storage/disk.ts'
import { emptyImage, ImageBuilder } from './image.ts'
import { MetadataError } from './metadata-error.ts'
import type { MetadataImage } from './metadata-store.ts'
import { decodeMetadataRecord } from './records.ts'

const windowBytes = 1_048_576

export interface ScannedLog {
  readonly image: MetadataImage
  /** Bytes of whole batches. */
  readonly sizeBytes: number
  /** Bytes behind them, of a last write that a crash tore. */
  readonly tornBytes: number
}

/** @throws MetadataError CORRUPT or UNSUPPORTED. */
export async function scanLog(file: DiskFile): Promise<ScannedLog> {
  const fileBytes = await file.size()
  const builder = new ImageBuilder(emptyImage)
  let nextOffset = 0n
  let position = 0
  for await (const batch of batchesOf(file, fileBytes)) {
    if (batch.header.baseOffset !== nextOffset) break
    replayBatch(builder, batch, file.path)
    nextOffset = lastOffsetOf(batch.header) + 1n
    position += batch.bytes.length
  }
  if (position < fileBytes) await refuseIfIntactBehind(file, { position, fileBytes, nextOffset })
  return { image: builder.finish(nextOffset - 1n), sizeBytes: position, tornBytes: fileBytes - position }
}

function replayBatch(builder: ImageBuilder, batch: BatchRef, path: string): void {
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
async function* batchesOf(file: DiskFile, fileBytes: number): AsyncGenerator<BatchRef> {
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

/** Tells a torn last write from damage in the middle: only the latter has an intact batch of a later offset behind it. */
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
