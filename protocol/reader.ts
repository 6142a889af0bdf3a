/**
 * Reads Kafka's primitive types out of one frame. Every claim of the bytes (a length, a count) is checked against what
 * is left before anything is allocated; whatever does not hold is a ProtocolError. Spec:
 * https://kafka.apache.org/protocol#protocol_types, KIP-482 (compact types, tagged fields).
 */
import { Buffer } from 'node:buffer'
import { ProtocolError } from './protocol-error.ts'
import type { Uuid } from './schema.ts'

/** Kafka refuses strings beyond this many bytes, in the compact form too. */
const maxStringBytes = 0x7fff
/**
 * How many strings, byte sequences and structs the arrays of one message may have together. An element of three bytes
 * costs a hundred as an object, so that a frame of legal size could else take all memory; a cluster has fewer
 * partitions than this.
 */
export const elementMaxCount = 1_000_000

export class Reader {
  readonly #bytes: Uint8Array
  readonly #view: DataView
  readonly #buffer: Buffer
  #position: number
  readonly #end: number
  /** Shared with the readers of its slices. */
  #elements = { count: 0 }

  /** Reads `bytes` from `start` up to `end` (positions in bytes). Results are views of `bytes`. */
  constructor(bytes: Uint8Array, start = 0, end = bytes.length) {
    this.#bytes = bytes
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
    this.#buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
    this.#position = start
    this.#end = end
  }

  get position(): number {
    return this.#position
  }

  get remaining(): number {
    return this.#end - this.#position
  }

  /** Moves over `sizeBytes` and returns where they began. */
  #take(sizeBytes: number): number {
    const position = this.#position
    if (sizeBytes > this.#end - position)
      throw new ProtocolError(`cut off: got ${this.#end - position} bytes, expected ${sizeBytes} or more`)
    this.#position = position + sizeBytes
    return position
  }

  bool(): boolean {
    return this.#view.getInt8(this.#take(1)) !== 0
  }

  int8(): number {
    return this.#view.getInt8(this.#take(1))
  }

  int16(): number {
    return this.#view.getInt16(this.#take(2))
  }

  uint16(): number {
    return this.#view.getUint16(this.#take(2))
  }

  int32(): number {
    return this.#view.getInt32(this.#take(4))
  }

  uint32(): number {
    return this.#view.getUint32(this.#take(4))
  }

  int64(): bigint {
    return this.#view.getBigInt64(this.#take(8))
  }

  float64(): number {
    return this.#view.getFloat64(this.#take(8))
  }

  uuid(): Uuid {
    const position = this.#take(16)
    return this.#buffer.toString('base64url', position, position + 16)
  }

  /** An unsigned varint of at most 32 bits. */
  uvarint(): number {
    let value = 0
    for (let shift = 0; shift < 28; shift += 7) {
      const byte = this.#view.getUint8(this.#take(1))
      value |= (byte & 0x7f) << shift
      if (byte < 0x80) return value
    }
    const last = this.#view.getUint8(this.#take(1))
    if (last > 0x0f) throw new ProtocolError('varint of more than 32 bits')
    return (value | (last << 28)) >>> 0
  }

  string(compact: boolean): string {
    return this.nullableString(compact) ?? refuseNull('string')
  }

  nullableString(compact: boolean): string | null {
    const sizeBytes = compact ? this.uvarint() - 1 : this.int16()
    if (sizeBytes < 0) return this.#nullOf(sizeBytes, 'string')
    if (sizeBytes > maxStringBytes)
      throw new ProtocolError(`string of ${sizeBytes} bytes, expected ${maxStringBytes} or less`)
    const position = this.#take(sizeBytes)
    return this.#buffer.toString('utf8', position, position + sizeBytes)
  }

  bytes(compact: boolean): Uint8Array {
    return this.nullableBytes(compact) ?? refuseNull('bytes')
  }

  nullableBytes(compact: boolean): Uint8Array | null {
    const sizeBytes = compact ? this.uvarint() - 1 : this.int32()
    if (sizeBytes < 0) return this.#nullOf(sizeBytes, 'bytes')
    const position = this.#take(sizeBytes)
    return this.#bytes.subarray(position, position + sizeBytes)
  }

  records(compact: boolean): readonly Uint8Array[] {
    return this.nullableRecords(compact) ?? refuseNull('records')
  }

  nullableRecords(compact: boolean): readonly Uint8Array[] | null {
    const bytes = this.nullableBytes(compact)
    if (bytes === null) return null
    return bytes.length === 0 ? [] : [bytes]
  }

  /** The length of an array of elements that take at least `minElementBytes` each. */
  arrayLength(compact: boolean, minElementBytes: number): number {
    const length = this.nullableArrayLength(compact, minElementBytes)
    return length < 0 ? refuseNull('array') : length
  }

  /** As `arrayLength`; -1 stands for null. */
  nullableArrayLength(compact: boolean, minElementBytes: number): number {
    const length = compact ? this.uvarint() - 1 : this.int32()
    if (length < 0) {
      this.#nullOf(length, 'array')
      return -1
    }
    if (length * minElementBytes > this.remaining)
      throw new ProtocolError(`array of ${length} elements in ${this.remaining} bytes`)
    return length
  }

  /** To be called before the elements of an array are read, where they become objects. */
  countElements(count: number): void {
    this.#elements.count += count
    if (this.#elements.count > elementMaxCount)
      throw new ProtocolError(`arrays of ${this.#elements.count} elements, expected ${elementMaxCount} or fewer`)
  }

  /** Whether a nullable struct is there. */
  structPresent(): boolean {
    return this.int8() >= 0
  }

  /** Moves over tagged fields that nobody knows. */
  skipTaggedFields(): void {
    for (let count = this.uvarint(); count > 0; count--) {
      this.uvarint()
      this.#take(this.uvarint())
    }
  }

  /** A reader of the next `sizeBytes`, which this one moves over. */
  slice(sizeBytes: number): Reader {
    const position = this.#take(sizeBytes)
    const reader = new Reader(this.#bytes, position, position + sizeBytes)
    reader.#elements = this.#elements
    return reader
  }

  /** The rest, as a view. */
  rest(): Uint8Array {
    return this.#bytes.subarray(this.#take(this.remaining), this.#end)
  }

  /** Throws unless all was read. */
  expectEnd(): void {
    if (this.remaining !== 0) throw new ProtocolError(`${this.remaining} bytes behind the end of the message`)
  }

  #nullOf(length: number, what: string): null {
    if (length !== -1) throw new ProtocolError(`${what} of length ${length}`)
    return null
  }
}

function refuseNull(what: string): never {
  throw new ProtocolError(`${what} is null, expected a value`)
}
