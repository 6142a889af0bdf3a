/**
 * Writes Kafka's primitive types as a list of chunks: bytes of its own, and between them record bytes that are
 * borrowed, not copied. A value that its type can't hold is a defect of the caller and throws.
 */
import assert from 'node:assert/strict'
import { Buffer } from 'node:buffer'
import type { Uuid } from './schema.ts'

/** Smaller record chunks are copied: a chunk of its own costs more in the vectored write. */
const borrowFromBytes = 512

interface Borrowed {
  /** Where in the writer's own bytes it belongs. */
  readonly position: number
  readonly bytes: Uint8Array
}

export class Writer {
  #buffer: Buffer
  #view: DataView
  #position = 0
  #borrowed: Borrowed[] = []
  #borrowedBytes = 0

  constructor(initialBytes = 256) {
    this.#buffer = Buffer.allocUnsafe(initialBytes)
    this.#view = viewOf(this.#buffer)
  }

  /** All bytes written so far. */
  get sizeBytes(): number {
    return this.#position + this.#borrowedBytes
  }

  /** Makes room for `sizeBytes` and returns where they begin. */
  #claim(sizeBytes: number): number {
    const position = this.#position
    const end = position + sizeBytes
    if (end > this.#buffer.length) {
      const grown = Buffer.allocUnsafe(Math.max(end, this.#buffer.length * 2))
      grown.set(this.#buffer.subarray(0, position))
      this.#buffer = grown
      this.#view = viewOf(grown)
    }
    this.#position = end
    return position
  }

  bool(value: boolean): void {
    assert(typeof value === 'boolean')
    const position = this.#claim(1)
    this.#view.setInt8(position, value ? 1 : 0)
  }

  int8(value: number): void {
    if ((value << 24) >> 24 !== value) refuse('int8', value)
    const position = this.#claim(1)
    this.#view.setInt8(position, value)
  }

  int16(value: number): void {
    if ((value << 16) >> 16 !== value) refuse('int16', value)
    const position = this.#claim(2)
    this.#view.setInt16(position, value)
  }

  uint16(value: number): void {
    if ((value & 0xffff) !== value) refuse('uint16', value)
    const position = this.#claim(2)
    this.#view.setUint16(position, value)
  }

  int32(value: number): void {
    if ((value | 0) !== value) refuse('int32', value)
    const position = this.#claim(4)
    this.#view.setInt32(position, value)
  }

  uint32(value: number): void {
    if (value >>> 0 !== value) refuse('uint32', value)
    const position = this.#claim(4)
    this.#view.setUint32(position, value)
  }

  int64(value: bigint): void {
    if (BigInt.asIntN(64, value) !== value) refuse('int64', value)
    const position = this.#claim(8)
    this.#view.setBigInt64(position, value)
  }

  float64(value: number): void {
    assert(typeof value === 'number')
    const position = this.#claim(8)
    this.#view.setFloat64(position, value)
  }

  uuid(value: Uuid): void {
    const position = this.#claim(16)
    const written = value.length === 22 ? this.#buffer.write(value, position, 16, 'base64url') : 0
    if (written !== 16) refuse('uuid', value)
  }

  uvarint(value: number): void {
    if (value >>> 0 !== value) refuse('uvarint', value)
    let rest = value
    while (rest > 0x7f) {
      const position = this.#claim(1)
      this.#view.setUint8(position, (rest & 0x7f) | 0x80)
      rest >>>= 7
    }
    const position = this.#claim(1)
    this.#view.setUint8(position, rest)
  }

  string(value: string, compact: boolean): void {
    const sizeBytes = Buffer.byteLength(value, 'utf8')
    if (sizeBytes > 0x7fff) refuse('string', `${sizeBytes} bytes`)
    if (compact) this.uvarint(sizeBytes + 1)
    else this.int16(sizeBytes)
    const position = this.#claim(sizeBytes)
    this.#buffer.write(value, position, sizeBytes, 'utf8')
  }

  nullableString(value: string | null, compact: boolean): void {
    if (value !== null) this.string(value, compact)
    else if (compact) this.uvarint(0)
    else this.int16(-1)
  }

  bytes(value: Uint8Array, compact: boolean): void {
    if (compact) this.uvarint(value.length + 1)
    else this.int32(value.length)
    this.raw(value)
  }

  nullableBytes(value: Uint8Array | null, compact: boolean): void {
    if (value !== null) this.bytes(value, compact)
    else if (compact) this.uvarint(0)
    else this.int32(-1)
  }

  /** The chunks one after the other. Large ones are borrowed: they must not change until the message has left. */
  records(chunks: readonly Uint8Array[], compact: boolean): void {
    let sizeBytes = 0
    for (const chunk of chunks) sizeBytes += chunk.length
    if (compact) this.uvarint(sizeBytes + 1)
    else this.int32(sizeBytes)
    for (const chunk of chunks) {
      if (chunk.length < borrowFromBytes) this.raw(chunk)
      else this.#borrow(chunk)
    }
  }

  nullableRecords(chunks: readonly Uint8Array[] | null, compact: boolean): void {
    if (chunks !== null) this.records(chunks, compact)
    else if (compact) this.uvarint(0)
    else this.int32(-1)
  }

  #borrow(bytes: Uint8Array): void {
    this.#borrowed.push({ position: this.#position, bytes })
    this.#borrowedBytes += bytes.length
  }

  arrayLength(length: number, compact: boolean): void {
    if (compact) this.uvarint(length + 1)
    else this.int32(length)
  }

  /** Bytes as they are. */
  raw(bytes: Uint8Array): void {
    const position = this.#claim(bytes.length)
    this.#buffer.set(bytes, position)
  }

  /** Fills in an int32 that was written before anything was borrowed (the size of a frame). */
  patchInt32(position: number, value: number): void {
    assert(this.#borrowed.length === 0 || this.#borrowed[0]!.position >= position + 4)
    this.#view.setInt32(position, value)
  }

  /** Everything written, in order. The writer must not be used afterwards. */
  chunks(): Uint8Array[] {
    const chunks: Uint8Array[] = []
    let from = 0
    for (const { position, bytes } of this.#borrowed) {
      if (position > from) chunks.push(this.#buffer.subarray(from, position))
      chunks.push(bytes)
      from = position
    }
    if (this.#position > from) chunks.push(this.#buffer.subarray(from, this.#position))
    return chunks
  }

  /**
   * Everything written as one piece; copies only where something was borrowed. The writer must not be used afterwards.
   */
  toBytes(): Uint8Array {
    if (this.#borrowed.length === 0) return this.#buffer.subarray(0, this.#position)
    return Buffer.concat(this.chunks())
  }
}

function viewOf(buffer: Buffer): DataView {
  return new DataView(buffer.buffer, buffer.byteOffset, buffer.byteLength)
}

function refuse(type: string, value: unknown): never {
  throw new RangeError(`got ${String(value)}, expected a value that ${type} can hold`)
}
