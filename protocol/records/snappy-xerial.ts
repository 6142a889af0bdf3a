/**
 * Snappy as Kafka's clients write it: Java in the framing of xerial's library, librdkafka and Go clients raw.
 *
 *   magic     8 bytes   82 53 4e 41 50 50 59 00
 *   version   int32     1
 *   lowest    int32     1, the oldest version that can read it
 *   chunks              int32 size, raw snappy of that size
 *
 * A chunk size that is the start of the magic begins a further stream behind the first.
 */
import { Buffer } from 'node:buffer'
import type * as snappyLibrary from 'snappy'
import { dataViewOf, RecordsError } from './batch.ts'
import { BoundedOutput } from './bounded-output.ts'
import { loadLater } from './load-later.ts'

const snappy = loadLater<typeof snappyLibrary>('snappy')
const streamHeader = Uint8Array.of(0x82, 0x53, 0x4e, 0x41, 0x50, 0x50, 0x59, 0, 0, 0, 0, 1, 0, 0, 0, 1)
const magicBytes = 8
const magicHead = 0x82534e41 | 0
/** What Java's stream puts into a chunk. */
const chunkBytes = 32_768
/**
 * Results in memory of V8: the finalizers of foreign memory made every call six times as slow (80 us against 12 for 32
 * KiB).
 */
const owned = { copyOutputData: true }
/** No raw snappy grows by more: its densest element makes 64 bytes of 3. */
const maxRatio = 22

/** @throws RecordsError TOO_LARGE when the content would pass `maxBytes`, else CORRUPT. */
export function readSnappy(bytes: Uint8Array, maxBytes: number): Uint8Array {
  const output = new BoundedOutput(maxBytes)
  if (!startsWithMagic(bytes, 0)) {
    output.append(readRaw(bytes, output))
    return output.toBytes()
  }
  const view = dataViewOf(bytes)
  let position = 0
  while (position < bytes.length) {
    if (bytes.length - position < 4) throw corrupt(`stream is cut at position ${bytes.length}`)
    const sizeBytes = view.getInt32(position)
    if (sizeBytes === magicHead) {
      checkStreamHeader(bytes, position, view)
      position += streamHeader.length
      continue
    }
    position += 4
    if (sizeBytes < 0 || sizeBytes > bytes.length - position) {
      throw corrupt(`chunk at position ${position} has ${sizeBytes} bytes, expected 0 to ${bytes.length - position}`)
    }
    output.append(readRaw(bytes.subarray(position, position + sizeBytes), output))
    position += sizeBytes
  }
  return output.toBytes()
}

/** The bytes as one stream like those of Kafka's Java client. */
export function writeSnappy(bytes: Uint8Array): Uint8Array {
  const parts: Uint8Array[] = [streamHeader]
  for (let position = 0; position < bytes.length; position += chunkBytes) {
    const compressed = snappy().compressSync(bytes.subarray(position, position + chunkBytes), owned)
    const size = new Uint8Array(4)
    dataViewOf(size).setInt32(0, compressed.length)
    parts.push(size, compressed)
  }
  return Buffer.concat(parts)
}

function startsWithMagic(bytes: Uint8Array, position: number): boolean {
  if (bytes.length - position < magicBytes) return false
  for (let i = 0; i < magicBytes; i++) if (bytes[position + i] !== streamHeader[i]) return false
  return true
}

function checkStreamHeader(bytes: Uint8Array, position: number, view: DataView): void {
  if (!startsWithMagic(bytes, position)) throw corrupt(`magic at position ${position} is wrong`)
  if (bytes.length - position < streamHeader.length) throw corrupt(`stream is cut at position ${bytes.length}`)
  const version = view.getInt32(position + magicBytes)
  if (version < 1) throw corrupt(`version is ${version}, expected 1 or more`)
}

function readRaw(bytes: Uint8Array, output: BoundedOutput): Uint8Array {
  const sizeBytes = contentSizeOf(bytes)
  output.check(sizeBytes)
  if (sizeBytes > bytes.length * maxRatio) throw corrupt(`${bytes.length} bytes claim to hold ${sizeBytes}`)
  const { uncompressSync } = snappy()
  try {
    return uncompressSync(bytes, { asBuffer: true, ...owned }) as Buffer
  } catch (error) {
    throw corrupt('a chunk does not decompress', error)
  }
}

/** The content's size that stands in front of raw snappy, as an unsigned varint of 32 bits. */
function contentSizeOf(bytes: Uint8Array): number {
  let sizeBytes = 0
  for (let i = 0; i < 5; i++) {
    const byte = bytes[i]
    if (byte === undefined) throw corrupt(`a chunk of ${bytes.length} bytes has no whole size in front`)
    sizeBytes += (byte & 0x7f) * 2 ** (7 * i)
    if (byte < 0x80) return sizeBytes
  }
  throw corrupt('the size in front of a chunk is too long')
}

function corrupt(what: string, cause?: unknown): RecordsError {
  return new RecordsError('CORRUPT', `snappy: ${what}`, cause)
}
