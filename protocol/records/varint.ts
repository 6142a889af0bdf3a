/**
 * The varints of records: zigzag, 7 bits a byte, the lowest first. Lengths, counts and offset deltas have 32 bits,
 * timestamp deltas 64.
 */
import { RecordsError } from './batch.ts'

/** Reads forward over bytes; `end` may be moved inwards, to the end of a record, while that record is read. */
export class VarintReader {
  readonly bytes: Uint8Array
  position: number
  end: number

  constructor(bytes: Uint8Array, position = 0, end = bytes.length) {
    this.bytes = bytes
    this.position = position
    this.end = end
  }

  /** @throws RecordsError INVALID_RECORD when the bytes end within the varint, or it has more than 32 bits. */
  varint(): number {
    let raw = 0
    for (let shift = 0; ; shift += 7) {
      const byte = this.byte()
      if (shift === 28 && byte > 0x0f) throw tooLong(this.position, 32)
      raw |= (byte & 0x7f) << shift
      if (byte < 0x80) return (raw >>> 1) ^ -(raw & 1)
    }
  }

  /** A number where it is exact, else a bigint. @throws RecordsError as `varint`, for 64 bits. */
  varlong(): number | bigint {
    // Up to 49 bits fit in a number, and every real timestamp delta does.
    const start = this.position
    let raw = 0
    let scale = 1
    for (let count = 0; count < 7; count++) {
      const byte = this.byte()
      raw += (byte & 0x7f) * scale
      if (byte < 0x80) return raw % 2 === 0 ? raw / 2 : -(raw + 1) / 2
      scale *= 128
    }
    this.position = start
    return this.#longVarlong()
  }

  #longVarlong(): bigint {
    let raw = 0n
    for (let shift = 0n; ; shift += 7n) {
      const byte = this.byte()
      if (shift === 63n && byte > 1) throw tooLong(this.position, 64)
      raw |= BigInt(byte & 0x7f) << shift
      if (byte < 0x80) return BigInt.asIntN(64, (raw >> 1n) ^ -(raw & 1n))
    }
  }

  byte(): number {
    if (this.position >= this.end) {
      throw new RecordsError('INVALID_RECORD', `record is cut at position ${this.position} of its block`)
    }
    return this.bytes[this.position++]!
  }
}

/** Bytes that a 32-bit varint takes. */
export function varintSizeBytes(value: number): number {
  const raw = ((value << 1) ^ (value >> 31)) >>> 0
  return raw < 0x80 ? 1 : raw < 0x4000 ? 2 : raw < 0x20_0000 ? 3 : raw < 0x1000_0000 ? 4 : 5
}

/** Writes a 32-bit varint; returns the position behind it. */
export function writeVarint(bytes: Uint8Array, position: number, value: number): number {
  let raw = ((value << 1) ^ (value >> 31)) >>> 0
  while (raw >= 0x80) {
    bytes[position++] = (raw & 0x7f) | 0x80
    raw >>>= 7
  }
  bytes[position++] = raw
  return position
}

/** Bytes that a 64-bit varint takes. */
export function varlongSizeBytes(value: bigint): number {
  let raw = zigzagOf(value)
  let sizeBytes = 1
  for (; raw >= 0x80n; raw >>= 7n) sizeBytes++
  return sizeBytes
}

/** Writes a 64-bit varint; returns the position behind it. */
export function writeVarlong(bytes: Uint8Array, position: number, value: bigint): number {
  let raw = zigzagOf(value)
  for (; raw >= 0x80n; raw >>= 7n) bytes[position++] = Number(raw & 0x7fn) | 0x80
  bytes[position++] = Number(raw)
  return position
}

function zigzagOf(value: bigint): bigint {
  return BigInt.asUintN(64, (value << 1n) ^ (value >> 63n))
}

function tooLong(position: number, bits: number): RecordsError {
  return new RecordsError('INVALID_RECORD', `varint before position ${position} has more than ${bits} bits`)
}
