/** A frame that no peer of good will sends: the connection cannot go on, because nobody knows where the next one begins. */
export class FrameError extends Error {
  constructor(message: string) {
    super(message)
    this.name = 'FrameError'
  }
}

/** The size that stands before each frame: a signed 32-bit number, big endian. */
export const sizePrefixBytes = 4
/** Neighbouring pieces below this size are joined, so that a sender of single bytes costs no object per byte. */
const joinBelowBytes = 16 * 1024

/**
 * Cuts a byte stream into frames. Pieces are collected as they come and a frame is put together once, when its last byte is
 * there: a claimed size allocates nothing.
 */
export class FrameAssembler {
  readonly #frameMaxBytes: number
  #pieces: Uint8Array[] = []
  /** Bytes of the first piece that were taken already. */
  #skippedBytes = 0
  #heldBytes = 0
  #frameSizeBytes: number | undefined

  constructor(frameMaxBytes: number) {
    this.#frameMaxBytes = frameMaxBytes
  }

  /** Bytes that came and were not taken as frames. */
  get heldBytes(): number {
    return this.#heldBytes
  }

  /** In how many pieces they are held. */
  get pieceCount(): number {
    return this.#pieces.length
  }

  /** Takes over bytes that nobody changes any more. */
  push(bytes: Uint8Array): void {
    if (bytes.byteLength === 0) return
    this.#heldBytes += bytes.byteLength
    this.#pieces.push(bytes)
    if (bytes.byteLength < joinBelowBytes) this.#joinSmallPieces()
  }

  /**
   * The next whole frame without its size, or undefined while it is incomplete. It shares memory with other frames only
   * where it is at least half of the piece it came in; so nobody who keeps it keeps much more than it.
   *
   * @throws FrameError for a size that is negative or above the limit.
   */
  next(): Uint8Array | undefined {
    this.#frameSizeBytes ??= this.#readSize()
    const sizeBytes = this.#frameSizeBytes
    if (sizeBytes === undefined || this.#heldBytes < sizeBytes) return undefined
    this.#frameSizeBytes = undefined
    return this.#take(sizeBytes)
  }

  #readSize(): number | undefined {
    if (this.#heldBytes < sizePrefixBytes) return undefined
    const prefix = this.#take(sizePrefixBytes)
    const sizeBytes = new DataView(prefix.buffer, prefix.byteOffset).getInt32(0)
    if (sizeBytes < 0 || sizeBytes > this.#frameMaxBytes) {
      throw new FrameError(`got a frame of ${sizeBytes} bytes, expected 0 to ${this.#frameMaxBytes}`)
    }
    return sizeBytes
  }

  #take(sizeBytes: number): Uint8Array {
    this.#heldBytes -= sizeBytes
    const first = this.#pieces[0]
    if (!first) return new Uint8Array(0)
    const position = this.#skippedBytes
    const restBytes = first.byteLength - position
    if (restBytes < sizeBytes) return this.#takeAcross(sizeBytes)
    this.#skip(sizeBytes)
    const view = first.subarray(position, position + sizeBytes)
    const isWorthSharing = sizeBytes <= sizePrefixBytes || sizeBytes * 2 >= first.buffer.byteLength
    return isWorthSharing ? view : new Uint8Array(view)
  }

  #takeAcross(sizeBytes: number): Uint8Array {
    const frame = Buffer.allocUnsafeSlow(sizeBytes) // a memory block of its own, filled below
    let filledBytes = 0
    while (filledBytes < sizeBytes) {
      const piece = this.#pieces[0] as Uint8Array
      const part = piece.subarray(this.#skippedBytes, this.#skippedBytes + sizeBytes - filledBytes)
      frame.set(part, filledBytes)
      filledBytes += part.byteLength
      this.#skip(part.byteLength)
    }
    return frame
  }

  /** Moves on inside the first piece; drops it when it is used up. */
  #skip(sizeBytes: number): void {
    this.#skippedBytes += sizeBytes
    if (this.#skippedBytes < (this.#pieces[0] as Uint8Array).byteLength) return
    this.#pieces.shift()
    this.#skippedBytes = 0
  }

  /** Joins like a binary counter carries: each byte is copied a few times at most, however small the pieces. */
  #joinSmallPieces(): void {
    for (let last = this.#pieces.length - 1; last > 0; last--) {
      const right = this.#pieces[last] as Uint8Array
      const left = this.#pieces[last - 1] as Uint8Array
      if (left.byteLength > right.byteLength || left.byteLength >= joinBelowBytes) return
      const joined = new Uint8Array(left.byteLength + right.byteLength)
      joined.set(left)
      joined.set(right, left.byteLength)
      this.#pieces.splice(last - 1, 2, joined)
    }
  }
}
