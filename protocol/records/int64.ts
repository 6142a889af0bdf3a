import { Layout } from '@solana/buffer-layout'

/**
 * A signed 64-bit big-endian field as a bigint: the only 64-bit field that fixed layouts may use. The library's own
 * (`ns64`, `nu64` and their big-endian forms) go through a number and lose bits above 2^53.
 */
class Int64 extends Layout<bigint> {
  constructor(property?: string) {
    super(8, property)
  }

  override decode(bytes: Uint8Array, position = 0): bigint {
    return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength).getBigInt64(position)
  }

  override encode(value: bigint, bytes: Uint8Array, position = 0): number {
    new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength).setBigInt64(position, value)
    return this.span
  }
}

/** Declares a signed 64-bit big-endian field of that name. */
export function int64(property?: string): Layout<bigint> {
  return new Int64(property)
}
