/**
 * Memory for the large answers of a cluster, used again and again. A fresh block for each answer costs more than the
 * answer: the kernel clears its pages, and the garbage collector, which counts such blocks, runs through the whole heap
 * to find them.
 */

/** Smaller answers get memory of their own. They are those of an idle source: what lies here unused is let go. */
const smallestBytes = 64 * 1024
/** Nothing larger is kept. */
const largestBytes = 64 * 1024 * 1024
/** One for the fetch under way, one for the answer that is being written. */
const unusedMaxCount = 2

/** The memory of one answer. */
export interface FrameLease {
  /**
   * Memory for a frame, of which the frame is less than half; undefined where it is not worth it. To be called once.
   */
  take(sizeBytes: number): Uint8Array | undefined
  /**
   * Nobody looks at the frame any more. An offer, not a duty: a block that is not given back is collected like any
   * other.
   */
  release(): void
}

export class FrameBlocks {
  #unused: Uint8Array[] = []

  /** Of the blocks that nobody uses. */
  get unusedBytes(): number {
    return this.#unused.reduce((sum, block) => sum + block.length, 0)
  }

  lend(): FrameLease {
    let block: Uint8Array | undefined
    return {
      take: (sizeBytes) => (block = this.#take(sizeBytes)),
      release: () => {
        if (block && this.#unused.length < unusedMaxCount) this.#unused.push(block)
        block = undefined
      },
    }
  }

  #take(sizeBytes: number): Uint8Array | undefined {
    const wantedBytes = 2 ** Math.ceil(Math.log2(2 * sizeBytes + 1))
    if (sizeBytes < smallestBytes || wantedBytes > largestBytes) {
      this.#unused = []
      return undefined
    }
    this.#unused = this.#unused.filter((block) => block.length >= wantedBytes) // answers grow to the size that stays
    // The one that was used last: the processor still has parts of it at hand.
    return this.#unused.pop() ?? Buffer.allocUnsafeSlow(wantedBytes)
  }
}
