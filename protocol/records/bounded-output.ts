import { RecordsError } from './batch.ts'

/**
 * Collects decompressed pieces up to a limit. One piece alone, the common case, is handed on without a copy; of more,
 * no list is kept, because a hostile input of many tiny pieces would make that list many times as large as their bytes.
 */
export class BoundedOutput {
  readonly #maxBytes: number
  #bytes: Uint8Array = new Uint8Array(0)
  #sizeBytes = 0

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes
  }

  /** How many bytes may still come. */
  get leftBytes(): number {
    return this.#maxBytes - this.#sizeBytes
  }

  /** Refuses a size that is known before its bytes are. @throws RecordsError TOO_LARGE. */
  check(sizeBytes: number): void {
    if (sizeBytes > this.leftBytes) throw this.tooLarge()
  }

  /** The error for an output that would pass the limit. */
  tooLarge(cause?: unknown): RecordsError {
    return new RecordsError('TOO_LARGE', `records decompress to more than ${this.#maxBytes} bytes`, cause)
  }

  /** @throws RecordsError TOO_LARGE when the piece passes the limit. */
  append(piece: Uint8Array): void {
    this.check(piece.length)
    if (piece.length === 0) return
    if (this.#sizeBytes === 0) {
      this.#bytes = piece
      this.#sizeBytes = piece.length
      return
    }
    const wanted = this.#sizeBytes + piece.length
    if (wanted > this.#bytes.length) {
      const grown = new Uint8Array(Math.min(Math.max(wanted, this.#sizeBytes * 2), this.#maxBytes))
      grown.set(this.#bytes.subarray(0, this.#sizeBytes))
      this.#bytes = grown
    }
    this.#bytes.set(piece, this.#sizeBytes)
    this.#sizeBytes = wanted
  }

  /** All pieces in a row. */
  toBytes(): Uint8Array {
    return this.#bytes.subarray(0, this.#sizeBytes)
  }
}
