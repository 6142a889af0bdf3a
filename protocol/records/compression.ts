/**
 * The codecs of record batches, synchronous and each bounded: a batch that would decompress beyond the caller's limit
 * is refused at the limit, whatever sizes it claims.
 */
import { constants, gunzipSync, gzipSync, zstdCompressSync, zstdDecompressSync } from 'node:zlib'
import { type Compression, RecordsError } from './batch.ts'
import { BoundedOutput } from './bounded-output.ts'
import { readLz4Frame, writeLz4Frame } from './lz4-frame.ts'
import { readSnappy, writeSnappy } from './snappy-xerial.ts'
import { zstdFramesOf } from './zstd-frames.ts'

/**
 * The bytes behind a codec, at most `maxBytes` of them. For 'none' these are the bytes themselves, and a view for
 * one-piece content of the others: treat it as read-only.
 *
 * @throws RecordsError TOO_LARGE, UNSUPPORTED_COMPRESSION (a frame feature that Kafka does not read), CORRUPT.
 */
export function decompress(compression: Compression, bytes: Uint8Array, maxBytes: number): Uint8Array {
  switch (compression) {
    case 'none':
      if (bytes.length > maxBytes) throw new BoundedOutput(maxBytes).tooLarge()
      return bytes
    case 'gzip':
      return readGzip(bytes, maxBytes)
    case 'snappy':
      return readSnappy(bytes, maxBytes)
    case 'lz4':
      return readLz4Frame(bytes, maxBytes)
    case 'zstd':
      return readZstd(bytes, maxBytes)
  }
}

/**
 * The bytes as Kafka's Java client would compress them. `level` is that of gzip (-1 to 9, default -1) and of zstd
 * (default 3); snappy has none, and for LZ4 there is one only.
 */
export function compress(compression: Compression, bytes: Uint8Array, level?: number): Uint8Array {
  switch (compression) {
    case 'none':
      return bytes
    case 'gzip':
      return gzipSync(bytes, level === undefined ? {} : { level })
    case 'snappy':
      return writeSnappy(bytes)
    case 'lz4':
      return writeLz4Frame(bytes)
    case 'zstd':
      return zstdCompressSync(bytes, { params: { [constants.ZSTD_c_compressionLevel]: level ?? 3 } })
  }
}

/** Several gzip members in a row are read as one content; node:zlib does that by itself. */
function readGzip(bytes: Uint8Array, maxBytes: number): Uint8Array {
  const output = new BoundedOutput(maxBytes)
  output.append(inflate('gzip', output, () => gunzipSync(bytes, zlibOptions(bytes, output))))
  return output.toBytes()
}

/** Several zstd frames in a row are read as one content. */
function readZstd(bytes: Uint8Array, maxBytes: number): Uint8Array {
  const output = new BoundedOutput(maxBytes)
  for (const frame of zstdFramesOf(bytes)) {
    if (frame.contentSizeBytes !== undefined) output.check(frame.contentSizeBytes)
    output.append(inflate('zstd', output, () => zstdDecompressSync(frame.bytes, zlibOptions(frame.bytes, output))))
  }
  return output.toBytes()
}

function inflate(codec: string, output: BoundedOutput, run: () => Uint8Array): Uint8Array {
  try {
    return run()
  } catch (error) {
    if (error instanceof RangeError) throw output.tooLarge(error)
    throw new RecordsError('CORRUPT', `${codec}: does not decompress`, error)
  }
}

/**
 * Pieces near the size of the result save copies; the limit of node:zlib must be 1 or more, and `append` checks the
 * real one.
 */
function zlibOptions(bytes: Uint8Array, output: BoundedOutput): { maxOutputLength: number; chunkSize: number } {
  const chunkSize = Math.min(Math.max(bytes.length * 4, 4_096), 131_072)
  return { maxOutputLength: Math.max(output.leftBytes, 1), chunkSize }
}
