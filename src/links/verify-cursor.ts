import type { BatchRef } from '../../protocol/records/batch.ts'
import type { MemoryBudget } from '../network/memory-budget.ts'
import type { ChunkReader, ChunkResult, Failed, Moved } from './verify-parts.ts'

interface HeldChunk {
  readonly batches: readonly BatchRef[]
  readonly reservedBytes: number
  /** The first batch that was not taken yet. */
  next: number
}

/**
 * The batches of one log in a range, in the order of the log, with one chunk read ahead. Ends at the first batch at or
 * beyond the end of the range.
 */
export class BatchCursor {
  readonly #reader: ChunkReader
  readonly #memory: MemoryBudget
  readonly #toOffset: bigint
  readonly #abort = new AbortController()
  readonly #chunks: HeldChunk[] = []
  readonly #readsBeyond: boolean
  #offset: bigint
  #ahead: Promise<ChunkResult> | undefined
  #isEnded = false
  #stopped: Failed | Moved | undefined
  #damage: string | undefined

  /** `readsBeyond`: look for batches out of their place also behind the one that reaches the end of the range. */
  constructor(
    reader: ChunkReader,
    range: { readonly fromOffset: bigint; readonly toOffset: bigint; readonly readsBeyond?: boolean },
    memory: MemoryBudget,
  ) {
    this.#reader = reader
    this.#memory = memory
    this.#offset = range.fromOffset
    this.#toOffset = range.toOffset
    this.#readsBeyond = range.readsBeyond ?? false
    if (range.fromOffset >= range.toOffset) this.#isEnded = true
  }

  /** Why no batch follows those held, where it is not the end of the range: the bytes behind them are no batch. */
  get damage(): string | undefined {
    return this.#damage
  }

  /** The next batch of those held, or the one `index` behind it. */
  peek(index = 0): BatchRef | undefined {
    let left = index
    for (const chunk of this.#chunks) {
      const count = chunk.batches.length - chunk.next
      if (left < count) return chunk.batches[chunk.next + left]
      left -= count
    }
    return undefined
  }

  /** All batches held, the next one first. */
  held(): BatchRef[] {
    return this.#chunks.flatMap((chunk) => chunk.batches.slice(chunk.next))
  }

  take(): void {
    const chunk = this.#chunks[0]
    if (!chunk) return
    chunk.next += 1
    if (chunk.next < chunk.batches.length) return
    this.#chunks.shift()
    this.#memory.release('link', chunk.reservedBytes)
  }

  /** Holds at least `count` batches afterwards, or all that are left. */
  async fill(count: number): Promise<Failed | Moved | undefined> {
    while (!this.#isEnded && this.peek(count - 1) === undefined) {
      if (this.#stopped) return this.peek() ? undefined : this.#stopped
      await this.#load()
    }
    return undefined
  }

  /** Lets go of everything. */
  async close(): Promise<void> {
    this.#abort.abort()
    const ahead = await this.#ahead
    if (ahead?.kind === 'chunk') this.#memory.release('link', ahead.reservedBytes)
    for (const chunk of this.#chunks) this.#memory.release('link', chunk.reservedBytes)
    this.#chunks.length = 0
    this.#isEnded = true
  }

  async #load(): Promise<void> {
    const result = await (this.#ahead ?? this.#reader.read(this.#offset, this.#abort.signal))
    this.#ahead = undefined
    if (result.kind === 'end' || (result.kind === 'moved' && this.#offset >= this.#toOffset)) {
      this.#isEnded = true
      return
    }
    if (result.kind !== 'chunk') {
      this.#stopped = result
      return
    }
    const end = result.batches.findIndex((batch) => batch.header.baseOffset >= this.#toOffset)
    const batches = end < 0 ? result.batches : result.batches.slice(0, end)
    this.#damage = end < 0 ? result.damage : undefined
    const isThrough = result.nextOffset >= this.#toOffset && !this.#readsBeyond
    this.#isEnded = end >= 0 || result.damage !== undefined || isThrough
    this.#offset = result.nextOffset
    if (batches.length > 0) this.#chunks.push({ batches, reservedBytes: result.reservedBytes, next: 0 })
    else this.#memory.release('link', result.reservedBytes)
    if (!this.#isEnded) this.#readAhead()
  }

  #readAhead(): void {
    const ahead = this.#reader.read(this.#offset, this.#abort.signal)
    ahead.catch(() => {}) // heard of by whoever awaits it: `#load` or `close`
    this.#ahead = ahead
  }
}
