/**
 * Finds the frames in a zstd stream by walking their block headers, because node:zlib stops behind the first one
 * without a word. Spec: RFC 8878, section 3.1.
 */
import { dataViewOf, RecordsError } from './batch.ts'

export interface ZstdFrame {
  readonly bytes: Uint8Array
  /** What the frame says of its content, in bytes; undefined when it does not. */
  readonly contentSizeBytes: number | undefined
}

const magic = 0xfd2fb528
const skippableMagic = 0x184d2a50
/** Writers make one frame per batch. More than this many cost more to begin than they can hold. */
const maxFrames = 1_000

/** @throws RecordsError CORRUPT when a header makes no sense, bytes are missing or there are too many frames. */
export function zstdFramesOf(bytes: Uint8Array): ZstdFrame[] {
  const view = dataViewOf(bytes)
  const frames: ZstdFrame[] = []
  let position = 0
  while (position < bytes.length) {
    need(view, position, 8)
    const found = view.getUint32(position, true)
    if ((found & 0xfffffff0) >>> 0 === skippableMagic) {
      const sizeBytes = 8 + view.getUint32(position + 4, true)
      need(view, position, sizeBytes)
      position += sizeBytes
      continue
    }
    if (found !== magic) throw corrupt(`magic at position ${position} is ${found}, expected ${magic}`)
    const header = readFrameHeader(view, position)
    const end = endOfBlocks(view, position + header.sizeBytes) + header.checksumBytes
    need(view, position, end - position)
    frames.push({ bytes: bytes.subarray(position, end), contentSizeBytes: header.contentSizeBytes })
    if (frames.length > maxFrames) throw corrupt(`more than ${maxFrames} frames`)
    position = end
  }
  return frames
}

function readFrameHeader(
  view: DataView,
  start: number,
): { sizeBytes: number; checksumBytes: number; contentSizeBytes: number | undefined } {
  const descriptor = view.getUint8(start + 4)
  if ((descriptor & 0x08) !== 0) throw corrupt(`reserved bit is set: ${descriptor}`)
  const isSingleSegment = (descriptor & 0x20) !== 0
  const dictionaryIdBytes = [0, 1, 2, 4][descriptor & 0x03]!
  const contentSizeFlag = descriptor >>> 6
  const contentSizeBytes = contentSizeFlag === 0 ? (isSingleSegment ? 1 : 0) : 1 << contentSizeFlag
  const contentSizeAt = start + 5 + (isSingleSegment ? 0 : 1) + dictionaryIdBytes
  need(view, contentSizeAt, contentSizeBytes)
  return {
    sizeBytes: contentSizeAt + contentSizeBytes - start,
    checksumBytes: (descriptor & 0x04) !== 0 ? 4 : 0,
    contentSizeBytes: contentSizeOf(view, contentSizeAt, contentSizeBytes),
  }
}

function contentSizeOf(view: DataView, position: number, widthBytes: number): number | undefined {
  switch (widthBytes) {
    case 0:
      return undefined
    case 1:
      return view.getUint8(position)
    case 2:
      return view.getUint16(position, true) + 256
    case 4:
      return view.getUint32(position, true)
    default:
      return Number(view.getBigUint64(position, true)) // rounded above 2^53, where every limit refuses it
  }
}

/** The position behind the last block of a frame. */
function endOfBlocks(view: DataView, start: number): number {
  let position = start
  for (;;) {
    need(view, position, 3)
    const header = view.getUint16(position, true) | (view.getUint8(position + 2) << 16)
    const type = (header >>> 1) & 0x03
    if (type === 3) throw corrupt(`block type at position ${position} is reserved`)
    const sizeBytes = type === 1 ? 1 : header >>> 3 // type 1 repeats one byte
    position += 3 + sizeBytes
    if ((header & 1) !== 0) return position
  }
}

function need(view: DataView, position: number, sizeBytes: number): void {
  if (sizeBytes > view.byteLength - position) {
    throw corrupt(
      `stream is cut: got ${view.byteLength - position} bytes at position ${position}, expected ${sizeBytes}`,
    )
  }
}

function corrupt(what: string): RecordsError {
  return new RecordsError('CORRUPT', `zstd: ${what}`)
}
