/**
 * LZ4 frames around the block codec of lz4-napi, whose own frame code has no limit on its output.
 *
 *   magic          u32le  0x184D2204
 *   FLG            u8     bits 7-6 version 01, 5 independent blocks, 4 block checksums, 3 content size,
 *                         2 content checksum, 1 reserved, 0 dictionary id
 *   BD             u8     bits 6-4 largest block: 4 = 64 KiB, 5 = 256 KiB, 6 = 1 MiB, 7 = 4 MiB
 *   content size   u64le  when FLG says so
 *   HC             u8     second byte of the xxHash-32 of FLG to content size
 *   blocks                u32le size (high bit: stored, not compressed), bytes, u32le xxHash-32 of them when FLG
 *                         says so
 *   end mark       u32le  0
 *   checksum       u32le  xxHash-32 of the content when FLG says so
 *
 * Blocks that refer to the ones before them (linked), dictionaries and bytes behind the frame are refused: Kafka's Java
 * client reads none of these, so a topic must not hold them. Spec:
 * https://github.com/lz4/lz4/blob/dev/doc/lz4_Frame_format.md
 */
import { Buffer } from 'node:buffer'
import type * as lz4Library from 'lz4-napi'
import { dataViewOf, RecordsError } from './batch.ts'
import { BoundedOutput } from './bounded-output.ts'
import { loadLater } from './load-later.ts'
import { xxhash32 } from './xxhash32.ts'

const lz4 = loadLater<typeof lz4Library>('lz4-napi')
const magic = 0x184d2204
const flag = { independent: 0x20, blockChecksum: 0x10, contentSize: 0x08, contentChecksum: 0x04, dictionary: 0x01 }
const storedBit = 0x8000_0000
/** No block grows by more: a run of 255 bytes costs at least one. */
const maxRatio = 255

/** What Kafka's Java client writes in front: independent blocks of 64 KiB, no checksums, no content size. */
const kafkaHeader = Uint8Array.of(0x04, 0x22, 0x4d, 0x18, 0x60, 0x40, 0x82)
const kafkaBlockBytes = 65_536

interface FrameHeader {
  readonly sizeBytes: number
  readonly blockMaxBytes: number
  readonly hasBlockChecksums: boolean
  readonly hasContentChecksum: boolean
  readonly contentSizeBytes: bigint | undefined
}

/**
 * The content of one frame, at most `maxBytes` of it.
 * @throws RecordsError TOO_LARGE beyond the limit, UNSUPPORTED_COMPRESSION for linked blocks and dictionaries, else
 * CORRUPT.
 */
export function readLz4Frame(bytes: Uint8Array, maxBytes: number): Uint8Array {
  const view = dataViewOf(bytes)
  const header = readHeader(bytes, view)
  const output = new BoundedOutput(maxBytes)
  if (header.contentSizeBytes !== undefined && header.contentSizeBytes > BigInt(maxBytes)) throw output.tooLarge()
  let position = header.sizeBytes
  for (;;) {
    const size = uint32At(view, position)
    position += 4
    if (size === 0) break
    const isStored = size >= storedBit
    const sizeBytes = isStored ? size - storedBit : size
    if (sizeBytes > header.blockMaxBytes || sizeBytes > bytes.length - position) {
      const expected = Math.min(header.blockMaxBytes, bytes.length - position)
      throw corrupt(`block at position ${position} has ${sizeBytes} bytes, expected up to ${expected}`)
    }
    const block = bytes.subarray(position, position + sizeBytes)
    position += sizeBytes
    if (header.hasBlockChecksums) {
      checkHash(block, uint32At(view, position), 'a block')
      position += 4
    }
    output.append(isStored ? block : readBlock(block, header.blockMaxBytes, output))
  }
  const content = output.toBytes()
  if (header.contentSizeBytes !== undefined && header.contentSizeBytes !== BigInt(content.length)) {
    throw corrupt(`content has ${content.length} bytes, expected ${header.contentSizeBytes}`)
  }
  if (header.hasContentChecksum) {
    checkHash(content, uint32At(view, position), 'the content')
    position += 4
  }
  if (position !== bytes.length) throw corrupt(`${bytes.length - position} bytes follow the frame`)
  return content
}

/** The bytes as one frame like those of Kafka's Java client. */
export function writeLz4Frame(bytes: Uint8Array): Uint8Array {
  const parts: Uint8Array[] = [kafkaHeader]
  for (let position = 0; position < bytes.length; position += kafkaBlockBytes) {
    const block = bytes.subarray(position, position + kafkaBlockBytes)
    const compressed = lz4().compressSync(bufferOf(block)).subarray(4) // the package puts the size in front
    const isStored = compressed.length >= block.length
    const body = isStored ? block : compressed
    parts.push(uint32(isStored ? body.length + storedBit : body.length), body)
  }
  parts.push(uint32(0))
  return Buffer.concat(parts)
}

function readHeader(bytes: Uint8Array, view: DataView): FrameHeader {
  if (uint32At(view, 0) !== magic) throw corrupt(`magic is ${uint32At(view, 0)}, expected ${magic}`)
  if (bytes.length < 7) throw corrupt(`header is cut after ${bytes.length} bytes`)
  const flags = view.getUint8(4)
  const blockDescriptor = view.getUint8(5)
  if (flags >>> 6 !== 1) throw corrupt(`version is ${flags >>> 6}, expected 1`)
  if ((flags & 0x02) !== 0 || (blockDescriptor & 0x8f) !== 0) {
    throw corrupt(`reserved bits are set: FLG ${flags}, BD ${blockDescriptor}`)
  }
  if ((flags & flag.dictionary) !== 0) throw unsupported('a dictionary')
  if ((flags & flag.independent) === 0) throw unsupported('linked blocks')
  const blockSizeId = blockDescriptor >>> 4
  if (blockSizeId < 4) throw corrupt(`block size id is ${blockSizeId}, expected 4 to 7`)
  const hasContentSize = (flags & flag.contentSize) !== 0
  const sizeBytes = hasContentSize ? 15 : 7
  if (bytes.length < sizeBytes) throw corrupt(`header is cut after ${bytes.length} bytes`)
  const expected = (xxhash32(bytes.subarray(4, sizeBytes - 1)) >>> 8) & 0xff
  const found = view.getUint8(sizeBytes - 1)
  if (found !== expected) throw corrupt(`header checksum is ${found}, expected ${expected}`)
  return {
    sizeBytes,
    blockMaxBytes: 1 << (8 + 2 * blockSizeId),
    hasBlockChecksums: (flags & flag.blockChecksum) !== 0,
    hasContentChecksum: (flags & flag.contentChecksum) !== 0,
    contentSizeBytes: hasContentSize ? view.getBigUint64(6, true) : undefined,
  }
}

/** Decompresses one block into no more than a block, what the limit leaves, and what so few bytes can hold. */
function readBlock(block: Uint8Array, blockMaxBytes: number, output: BoundedOutput): Uint8Array {
  const roomBytes = Math.min(blockMaxBytes, output.leftBytes, block.length * maxRatio)
  const prefixed = Buffer.allocUnsafe(4 + block.length)
  prefixed.writeUInt32LE(roomBytes, 0)
  prefixed.set(block, 4)
  const { uncompressSync } = lz4()
  let content: Uint8Array
  try {
    content = uncompressSync(prefixed)
  } catch (error) {
    const isLimit = roomBytes === output.leftBytes && error instanceof Error && error.message.includes('too small')
    throw isLimit ? output.tooLarge(error) : corrupt('a block does not decompress', error)
  }
  // The room was guessed; a small content must not pin the rest of it.
  return content.length * 2 < roomBytes ? content.slice() : content
}

function checkHash(bytes: Uint8Array, expected: number, what: string): void {
  const found = xxhash32(bytes)
  if (found !== expected) throw corrupt(`checksum of ${what} is ${found}, expected ${expected}`)
}

function uint32At(view: DataView, position: number): number {
  if (view.byteLength - position < 4) throw corrupt(`frame is cut at position ${view.byteLength}`)
  return view.getUint32(position, true)
}

function uint32(value: number): Uint8Array {
  const bytes = new Uint8Array(4)
  dataViewOf(bytes).setUint32(0, value, true)
  return bytes
}

function bufferOf(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
}

function corrupt(what: string, cause?: unknown): RecordsError {
  return new RecordsError('CORRUPT', `lz4 frame: ${what}`, cause)
}

function unsupported(what: string): RecordsError {
  return new RecordsError('UNSUPPORTED_COMPRESSION', `lz4 frame has ${what}, which Kafka's clients cannot read`)
}
