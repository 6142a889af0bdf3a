/** Walks over the batches of a segment file, a window at a time. */
import {
  batchHeaderSizeBytes,
  batchOverheadBytes,
  dataViewOf,
  readBatchHeader,
  RecordsError,
  type BatchHeader,
  type BatchRef,
} from '../protocol/records/batch.ts'
import type { DiskClass, DiskFile } from './disk.ts'

export interface ScannedBatch extends BatchRef {
  /** Of the first byte, in the file. */
  readonly position: number
}

const defaultWindowBytes = 1024 * 1024

export interface ScanOptions {
  readonly diskClass?: DiskClass
  /** Read in one piece, but for batches that are larger. */
  readonly windowBytes?: number
}

/**
 * The batches in [from, to), in order, grouped by how they were read. Ends where a header is not one of a batch or a
 * batch is cut: the caller sees that by where the last one ended. No CRC is checked.
 */
export async function* scanBatches(
  file: DiskFile,
  range: { readonly from: number; readonly to: number },
  { diskClass = 'read', windowBytes = defaultWindowBytes }: ScanOptions = {},
): AsyncGenerator<readonly ScannedBatch[], void, undefined> {
  let position = range.from
  let wanted = windowBytes
  while (position < range.to) {
    const length = Math.min(wanted, range.to - position)
    const bytes = await file.read(position, length, diskClass)
    const { batches, sizeBytes, nextSizeBytes } = batchesIn(bytes, position)
    if (batches.length > 0) yield batches
    position += sizeBytes
    if (nextSizeBytes === 0 || position + nextSizeBytes > range.to || bytes.length < length) return
    wanted = Math.max(windowBytes, nextSizeBytes)
  }
}

/**
 * The whole batches at the start of `bytes`, which came from `position` of a file. `nextSizeBytes` is the size of what
 * follows as its header says; at least a header's where not even that is there, and 0 where it is no batch.
 */
export function batchesIn(
  bytes: Uint8Array,
  position: number,
): { batches: ScannedBatch[]; sizeBytes: number; nextSizeBytes: number } {
  const view = dataViewOf(bytes)
  const batches: ScannedBatch[] = []
  let at = 0
  for (;;) {
    if (bytes.length - at < batchHeaderSizeBytes) {
      return { batches, sizeBytes: at, nextSizeBytes: batchHeaderSizeBytes }
    }
    const header = headerAt(bytes, at, view)
    if (!header) return { batches, sizeBytes: at, nextSizeBytes: 0 }
    const sizeBytes = header.batchLength + batchOverheadBytes
    if (sizeBytes > bytes.length - at) return { batches, sizeBytes: at, nextSizeBytes: sizeBytes }
    batches.push({ bytes: bytes.subarray(at, at + sizeBytes), header, position: position + at })
    at += sizeBytes
  }
}

function headerAt(bytes: Uint8Array, at: number, view: DataView): BatchHeader | undefined {
  try {
    return readBatchHeader(bytes, at, view)
  } catch (error) {
    if (error instanceof RecordsError) return undefined
    throw error
  }
}
