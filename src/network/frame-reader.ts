/**
 * Cuts a byte stream into frames, for both sides of a connection. A large frame is read to where it stays: the socket
 * is asked to read into its memory, and only what comes before its size is known takes a detour.
 */

/**
 * A frame that no peer of good will sends: the connection cannot go on, because nobody knows where the next one begins.
 */
export class FrameError extends Error {
  constructor(message: string) {
    super(message)
    this.name = 'FrameError'
  }
}

/** The size that stands before each frame: a signed 32-bit number, big endian. */
export const sizePrefixBytes = 4
/**
 * A frame is given so much of its own, or twice of what is there, and more each time that is full: a claimed size is no
 * reason.
 */
const leastMemoryBytes = 4 * 1024

/**
 * What all connections read into while no frame of theirs is under way, so that an idle one holds no memory. It is read
 * into and emptied in one go.
 */
const landing = new Uint8Array(64 * 1024)

export interface FrameReaderOptions {
  readonly frameMaxBytes: number
  /**
   * At least as many bytes as a frame of this size needs, if somebody has them ready; undefined, and it may be asked
   * for again when more of the frame is there. So many bytes of it are there now.
   */
  memoryFor?(sizeBytes: number, presentBytes: number): Uint8Array | undefined
  /** The frame without its size; the memory is the receiver's. */
  onFrame(frame: Uint8Array): void
}

export class FrameReader {
  readonly #options: FrameReaderOptions
  /** What is there of the size of the next frame, and in how many bytes. */
  #size = 0
  #sizeBytesSeen = 0
  /** Memory of the frame under way, and how much of the frame is in it. */
  #memory: Uint8Array | undefined
  #filledBytes = 0

  constructor(options: FrameReaderOptions) {
    this.#options = options
  }

  /**
   * Where the next bytes go; never empty. It is to be read into right before `filled`, with nothing else in between.
   */
  room(): Uint8Array {
    return this.#memory ? this.#memory.subarray(this.#filledBytes, this.#size) : landing
  }

  /**
   * So many bytes are at the start of the last `room`.
   * @throws FrameError for a size that is negative or above the limit; and what `onFrame` throws.
   */
  filled(sizeBytes: number): void {
    if (this.#memory) this.#noteFilled(sizeBytes)
    else this.push(landing.subarray(0, sizeBytes))
  }

  /** Takes a copy of bytes that were read elsewhere. Throws like `filled`. */
  push(bytes: Uint8Array): void {
    for (let from = 0; from < bytes.length;) {
      if (!this.#memory) {
        this.#takeSizeByte(bytes[from++]!)
        if (this.#sizeBytesSeen === sizePrefixBytes) this.#begin(bytes.length - from)
        continue
      }
      const room = this.room()
      const part = bytes.subarray(from, from + room.length)
      room.set(part)
      from += part.length
      this.#noteFilled(part.length)
    }
  }

  #takeSizeByte(byte: number): void {
    this.#size = (this.#size << 8) | byte
    this.#sizeBytesSeen++
  }

  /** So many bytes of the frame, or of what follows it, are there. */
  #begin(presentBytes: number): void {
    const { frameMaxBytes } = this.#options
    if (this.#size < 0 || this.#size > frameMaxBytes) {
      throw new FrameError(`got a frame of ${this.#size} bytes, expected 0 to ${frameMaxBytes}`)
    }
    this.#memory = this.#memoryFor(presentBytes)
    this.#filledBytes = 0
    if (this.#size === 0) this.#finish()
  }

  #noteFilled(sizeBytes: number): void {
    this.#filledBytes += sizeBytes
    if (this.#filledBytes === this.#size) return this.#finish()
    const full = this.#memory!
    if (this.#filledBytes < full.length) return
    this.#memory = this.#memoryFor(full.length)
    this.#memory.set(full)
  }

  #memoryFor(presentBytes: number): Uint8Array {
    const ready = this.#options.memoryFor?.(this.#size, presentBytes)
    return ready ?? Buffer.allocUnsafeSlow(Math.min(this.#size, Math.max(leastMemoryBytes, presentBytes * 2)))
  }

  #finish(): void {
    const frame = this.#memory!.subarray(0, this.#size)
    this.#memory = undefined
    this.#size = 0
    this.#sizeBytesSeen = 0
    this.#options.onFrame(frame)
  }
}
