/**
 * Memory for frames of clients and for cold reads, used again and again. A fresh block for each costs more than what is
 * done with it: the kernel clears its pages, and the garbage collector, which counts such blocks, runs through the
 * whole heap to find them.
 *
 * Giving a block back is an offer, not a duty: one that nobody gives back is collected like any other.
 */
import { strict as assert } from 'node:assert'

/** Sizes are rounded up to this, so that frames or reads of about the same size share blocks. */
const stepBytes = 256 * 1024
/** A larger block is never kept. */
const largestKeptBytes = 16 * 1024 * 1024

export interface BlockPoolOptions {
  /** What may lie here unused, in bytes. */
  readonly limitBytes: number
  /**
   * Hears by how many bytes the unused blocks have grown, negative when they shrink: for a budget of the whole process.
   */
  readonly onChange?: (grownBytes: number) => void
  /** Overwrites what is given back, so that whoever looks at it afterwards is found out: for tests. */
  readonly poisons?: boolean
}

/** A block in use, until `release`. */
export interface Block {
  /** At least as many bytes as were asked for. */
  readonly bytes: Uint8Array
  /** Nobody looks at the bytes any more. To be called once. */
  release(): void
}

export class BlockPool {
  readonly #options: BlockPoolOptions
  /**
   * By size, the size that was asked for last at the end. The block that was used last is used first: the processor
   * still has parts of it at hand.
   */
  readonly #unused = new Map<number, UnusedBlocks>()
  #unusedBytes = 0

  constructor(options: BlockPoolOptions) {
    this.#options = options
  }

  /** Of the blocks that nobody uses. */
  get usedBytes(): number {
    return this.#unusedBytes
  }

  take(sizeBytes: number): Block {
    const roundedBytes = Math.max(1, Math.ceil(sizeBytes / stepBytes)) * stepBytes
    const unused = this.#unused.get(roundedBytes) ?? { blocks: [], leastCount: 0 }
    this.#unused.delete(roundedBytes)
    this.#unused.set(roundedBytes, unused)
    const bytes = unused.blocks.pop()
    if (!bytes) return this.#lend(new Uint8Array(roundedBytes))
    unused.leastCount = Math.min(unused.leastCount, unused.blocks.length)
    this.#grow(-roundedBytes)
    return this.#lend(bytes)
  }

  /** Lets go of what was not needed since the last call. */
  trim(): void {
    for (const [sizeBytes, unused] of this.#unused) {
      unused.blocks.splice(0, unused.leastCount)
      this.#grow(-sizeBytes * unused.leastCount)
      unused.leastCount = unused.blocks.length
      if (unused.blocks.length === 0) this.#unused.delete(sizeBytes)
    }
  }

  /**
   * Lets go of blocks, of those sizes first that were asked for longest ago, until at most this many bytes are left.
   */
  evictTo(limitBytes: number): void {
    for (const [sizeBytes, unused] of this.#unused) {
      if (this.#unusedBytes <= limitBytes) return
      while (this.#unusedBytes > limitBytes && unused.blocks.length > 0) {
        unused.blocks.shift()
        this.#grow(-sizeBytes)
      }
      unused.leastCount = Math.min(unused.leastCount, unused.blocks.length)
    }
  }

  #lend(bytes: Uint8Array): Block {
    let isReleased = false
    return {
      bytes,
      release: () => {
        assert(!isReleased, 'a block is given back once')
        isReleased = true
        this.#takeBack(bytes)
      },
    }
  }

  #takeBack(bytes: Uint8Array): void {
    const { limitBytes, poisons } = this.#options
    if (poisons === true) bytes.fill(0xdb)
    if (bytes.length > Math.min(largestKeptBytes, limitBytes)) return
    this.evictTo(limitBytes - bytes.length) // blocks of a size that nobody asks for any more must not keep others out
    const unused = this.#unused.get(bytes.length)
    if (unused) unused.blocks.push(bytes)
    else this.#unused.set(bytes.length, { blocks: [bytes], leastCount: 0 })
    this.#grow(bytes.length)
  }

  #grow(grownBytes: number): void {
    if (grownBytes === 0) return
    this.#unusedBytes += grownBytes
    this.#options.onChange?.(grownBytes)
  }
}

interface UnusedBlocks {
  readonly blocks: Uint8Array[]
  /** So few there were at some moment since the last `trim`: as many were not needed. */
  leastCount: number
}
