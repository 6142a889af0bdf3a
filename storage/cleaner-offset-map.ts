/**
 * The newest offset of each key in a range of a log, in memory that is given in advance: 24 bytes per key, as in Kafka.
 * Keys are known by 128 bits of a digest alone; two keys with the same digest would pass for one.
 *
 * Open addressing: the digest says where to begin, and the next free slot is taken.
 */
import { strict as assert } from 'node:assert'

/** A digest of a key of 16 bytes or more, always the same for the same key. Storage has no cryptography of its own. */
export type KeyDigest = (key: Uint8Array) => Uint8Array

export const bytesPerSlot = 24

export interface OffsetMapOptions {
  readonly slots: number
  /** At most this share of the slots is filled. */
  readonly loadFactor: number
  readonly digest: KeyDigest
  /** The smallest offset that will be put: the others are kept relative to it. */
  readonly baseOffset: bigint
}

export class OffsetMap {
  readonly #slots: number
  readonly #limit: number
  readonly #digest: KeyDigest
  readonly #baseOffset: bigint
  readonly #digests: Int32Array
  /** Relative offset + 1; 0 where the slot is free, so that memory which is not used is never touched. */
  readonly #offsets: Float64Array
  #count = 0
  /** What is in the range up to here is in the map: one below the base at first. */
  latestOffset: bigint

  constructor({ slots, loadFactor, digest, baseOffset }: OffsetMapOptions) {
    assert(slots > 0)
    this.#slots = slots
    this.#limit = Math.max(1, Math.min(Math.floor(slots * loadFactor), slots - 1))
    this.#digest = digest
    this.#baseOffset = baseOffset
    this.#digests = new Int32Array(slots * 4)
    this.#offsets = new Float64Array(slots)
    this.latestOffset = baseOffset - 1n
  }

  get count(): number {
    return this.#count
  }

  /**
   * Notes a key; offsets come in rising order. False, and nothing is noted, when the key is new and the map is full.
   */
  put(key: Uint8Array, offset: bigint): boolean {
    const digest = this.#wordsOf(key)
    const slot = this.#slotOf(digest)
    if (this.#offsets[slot] === 0) {
      if (this.#count >= this.#limit) return false
      this.#digests.set(digest, slot * 4)
      this.#count += 1
    }
    this.#offsets[slot] = Number(offset - this.#baseOffset) + 1
    this.latestOffset = offset
    return true
  }

  /** The newest offset of the key in the range, or undefined. */
  find(key: Uint8Array): bigint | undefined {
    const relative = this.#offsets[this.#slotOf(this.#wordsOf(key))]!
    return relative === 0 ? undefined : this.#baseOffset + BigInt(relative - 1)
  }

  #slotOf(digest: Int32Array): number {
    let slot = (digest[0]! >>> 0) % this.#slots
    while (this.#offsets[slot] !== 0 && !this.#isAt(slot, digest)) slot = slot + 1 === this.#slots ? 0 : slot + 1
    return slot
  }

  #isAt(slot: number, digest: Int32Array): boolean {
    const at = slot * 4
    for (let word = 0; word < 4; word++) if (this.#digests[at + word] !== digest[word]) return false
    return true
  }

  #wordsOf(key: Uint8Array): Int32Array {
    const bytes = this.#digest(key)
    assert(bytes.length >= 16, `a digest has 16 bytes or more, got ${bytes.length}`)
    const words = new Int32Array(4)
    for (let word = 0; word < 4; word++) {
      const at = word * 4
      words[word] = bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16) | (bytes[at + 3]! << 24)
    }
    return words
  }
}
