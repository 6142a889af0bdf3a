import type { Block, BlockPool } from '../../storage/block-pool.ts'
import type { LentMemory } from '../../storage/log-store.ts'

/** Smaller frames get memory of their own size; so do larger ones, which few clients send. */
const smallestBytes = 64 * 1024
const largestBytes = 2 * 1024 * 1024
/** A client that claims a large frame has sent so much of it before it is given memory for all of it. */
const leastPresentBytes = 16 * 1024

/**
 * The memory of one frame. It is used for other frames once everybody who retained it has released it; the first is who
 * took it.
 */
export class FrameMemory implements LentMemory {
  readonly #block: Block
  #userCount = 1

  /**
   * Memory for a frame of which so many bytes are there; undefined where it should have memory of its own, for now at
   * least.
   */
  static take(pool: BlockPool, sizeBytes: number, presentBytes: number): FrameMemory | undefined {
    const isSuited = sizeBytes > smallestBytes && sizeBytes <= largestBytes && presentBytes >= leastPresentBytes
    return isSuited ? new FrameMemory(pool.take(sizeBytes)) : undefined
  }

  private constructor(block: Block) {
    this.#block = block
  }

  get bytes(): Uint8Array {
    return this.#block.bytes
  }

  retain(): void {
    this.#userCount++
  }

  release(): void {
    this.#userCount--
    if (this.#userCount === 0) this.#block.release()
  }
}
