/**
 * Cuts the answers of a source into frames. Each byte is read to where it stays: the socket is asked to read into the memory of
 * the frame under way, and only what comes before its size is known takes a detour.
 */
import { FrameError, sizePrefixBytes } from '../network/frame-assembler.ts'

/** What is read at once while no frame is under way; a smaller frame is copied out of it. */
const scratchBytes = 64 * 1024
/** A frame is given so much of its own when it begins, and twice as much each time that is full: a claimed size is no reason. */
const firstMemoryBytes = 1024 * 1024

export interface FrameReaderOptions {
  readonly frameMaxBytes: number
  /** Memory for a frame of this size, if somebody has some ready: at least as much. */
  memoryFor(sizeBytes: number): Uint8Array | undefined
  /** The frame without its size; the memory is the receiver's. */
  onFrame(frame: Uint8Array): void
}

export class FrameReader {
  readonly #options: FrameReaderOptions
  readonly #scratch = Buffer.allocUnsafeSlow(scratchBytes)
  /** Bytes in the scratch that are not taken yet: less than a size, between calls. */
  #scratchUsedBytes = 0
  #frame: Uint8Array | undefined
  #frameSizeBytes = 0
  #filledBytes = 0

  constructor(options: FrameReaderOptions) {
    this.#options = options
  }

  /** Where the next bytes go; never empty. It is read into before `filled`, and not after it. */
  room(): Uint8Array {
    if (!this.#frame) return this.#scratch.subarray(this.#scratchUsedBytes)
    return this.#frame.subarray(this.#filledBytes, this.#frameSizeBytes)
  }

  /**
   * So many bytes are at the start of the last `room`.
   * @throws FrameError for a size that is negative or above the limit; and what `onFrame` throws.
   */
  filled(sizeBytes: number): void {
    if (this.#frame) {
      this.#filledBytes += sizeBytes
      if (this.#filledBytes === this.#frameSizeBytes) this.#finish()
      else if (this.#filledBytes === this.#frame.length) this.#frame = grown(this.#frame, this.#frameSizeBytes)
    } else {
      this.#takeScratch(this.#scratchUsedBytes + sizeBytes)
    }
  }

  /** Takes bytes that were read elsewhere. */
  push(bytes: Uint8Array): void {
    for (let from = 0; from < bytes.length;) {
      const room = this.room()
      const part = bytes.subarray(from, from + room.length)
      room.set(part)
      from += part.length
      this.filled(part.length)
    }
  }

  #finish(): void {
    const frame = this.#frame!.subarray(0, this.#frameSizeBytes)
    this.#frame = undefined
    this.#options.onFrame(frame)
  }

  /** Takes all frames that begin in the scratch. */
  #takeScratch(usedBytes: number): void {
    let from = 0
    this.#scratchUsedBytes = 0 // also when a frame is refused
    while (usedBytes - from >= sizePrefixBytes && !this.#frame) {
      const sizeBytes = this.#sizeAt(from)
      from += sizePrefixBytes
      this.#frame = this.#memoryFor(sizeBytes)
      this.#frameSizeBytes = sizeBytes
      const part = this.#scratch.subarray(from, Math.min(usedBytes, from + sizeBytes))
      this.#frame.set(part)
      this.#filledBytes = part.length
      from += part.length
      if (this.#filledBytes === sizeBytes) this.#finish()
    }
    this.#scratch.copyWithin(0, from, usedBytes)
    this.#scratchUsedBytes = usedBytes - from
  }

  #sizeAt(position: number): number {
    const sizeBytes = this.#scratch.readInt32BE(position)
    const { frameMaxBytes } = this.#options
    if (sizeBytes >= 0 && sizeBytes <= frameMaxBytes) return sizeBytes
    throw new FrameError(`got a frame of ${sizeBytes} bytes, expected 0 to ${frameMaxBytes}`)
  }

  #memoryFor(sizeBytes: number): Uint8Array {
    const ready = this.#options.memoryFor(sizeBytes)
    return ready ?? Buffer.allocUnsafeSlow(Math.min(sizeBytes, firstMemoryBytes))
  }
}

function grown(memory: Uint8Array, sizeBytes: number): Uint8Array {
  const larger = Buffer.allocUnsafeSlow(Math.min(sizeBytes, memory.length * 2))
  larger.set(memory)
  return larger
}
