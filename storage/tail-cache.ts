/**
 * The newest bytes of a log, in memory: consumers and links at the end of it read no disk. Appended batches are copied into
 * chunks (a view would pin the whole frame that it came in), but for big ones that make up most of their buffer.
 * Bytes that were published never change; a chunk that was let go lives on with whoever still reads it.
 */

/** Below this size a copy is cheaper than a chunk of its own. */
const ownChunkBytes = 16 * 1024
const smallestChunkBytes = 4 * 1024
const largestChunkBytes = 256 * 1024

/** What all tails of a process may hold. Over the limit the oldest chunks of all logs are let go first. */
export class TailBudget {
  readonly limitBytes: number
  #usedBytes = 0
  /** The chunks of all tails form a list from the oldest to the newest: a queue that any of them can leave. */
  #oldest: TailChunk | undefined
  #newest: TailChunk | undefined
  readonly #onChange: (grownBytes: number) => void

  /** `onChange` hears by how many bytes the tails have grown, negative when they shrink: for a budget of the whole process. */
  constructor(limitBytes: number, onChange: (grownBytes: number) => void = () => {}) {
    this.limitBytes = limitBytes
    this.#onChange = onChange
  }

  get usedBytes(): number {
    return this.#usedBytes
  }

  add(chunk: TailChunk): void {
    chunk.older = this.#newest
    if (this.#newest) this.#newest.newer = chunk
    else this.#oldest = chunk
    this.#newest = chunk
    this.#usedBytes += chunk.heldBytes
    this.#onChange(chunk.heldBytes)
    this.evictTo(this.limitBytes)
  }

  /** To be called once for each chunk that was added. */
  remove(chunk: TailChunk): void {
    if (chunk.older) chunk.older.newer = chunk.newer
    else this.#oldest = chunk.newer
    if (chunk.newer) chunk.newer.older = chunk.older
    else this.#newest = chunk.older
    chunk.older = undefined
    chunk.newer = undefined
    this.#usedBytes -= chunk.heldBytes
    this.#onChange(-chunk.heldBytes)
  }

  /** Lets go of the oldest chunks until the tails hold at most this many bytes, or only one chunk. */
  evictTo(sizeBytes: number): void {
    while (this.#usedBytes > sizeBytes && this.#oldest && this.#oldest !== this.#newest) {
      this.#oldest.owner.evictThrough(this.#oldest)
    }
  }
}

/** Batches that follow each other in one segment, and in these bytes. */
export class TailChunk {
  readonly owner: TailCache
  readonly bytes: Uint8Array
  /** The memory that goes when this does: all of what the bytes are a view of. */
  readonly heldBytes: number
  readonly segmentBaseOffset: bigint
  usedBytes = 0
  readonly firstOffset: bigint
  lastOffset: bigint
  /** Of each batch, three numbers in turn: its first and last offset relative to `firstOffset`, and where it ends in `bytes`. */
  readonly spans: number[] = []
  older: TailChunk | undefined
  newer: TailChunk | undefined

  constructor(owner: TailCache, bytes: Uint8Array, place: BatchPlace) {
    this.owner = owner
    this.bytes = bytes
    this.heldBytes = bytes.buffer.byteLength
    this.segmentBaseOffset = place.segmentBaseOffset
    this.firstOffset = place.baseOffset
    this.lastOffset = place.baseOffset - 1n
  }

  get batchCount(): number {
    return this.spans.length / 3
  }

  /** Where a batch ends in `bytes`, and the next one begins; that of batch -1 is where the first one begins. */
  endAt(batch: number): number {
    return batch < 0 ? 0 : this.spans[batch * 3 + 2]!
  }

  /** One behind the last offset of a batch. */
  nextOffsetAt(batch: number): bigint {
    return this.firstOffset + BigInt(this.spans[batch * 3 + 1]! + 1)
  }

  /** The number of the batch that holds an offset, or of the next one behind it. */
  batchAt(offset: bigint): number {
    return offset <= this.firstOffset ? 0 : this.#find(1, Number(offset - this.firstOffset))
  }

  /** How many batches begin below an offset. */
  countBelow(offset: bigint): number {
    return offset > this.lastOffset ? this.batchCount : this.#find(0, Number(offset - this.firstOffset))
  }

  /** The number of the first batch for which one of its three numbers is at least `wanted`. */
  #find(which: 0 | 1, wanted: number): number {
    let [low, high] = [0, this.batchCount]
    while (low < high) {
      const middle = (low + high) >>> 1
      if (this.spans[middle * 3 + which]! < wanted) low = middle + 1
      else high = middle
    }
    return low
  }
}

/** Where a batch belongs. */
export interface BatchPlace {
  readonly segmentBaseOffset: bigint
  readonly baseOffset: bigint
  readonly lastOffset: bigint
}

export class TailCache {
  readonly #budget: TailBudget
  readonly #limitBytes: number
  #chunks: TailChunk[] = []
  #heldBytes = 0

  constructor(budget: TailBudget, limitBytes: number) {
    this.#budget = budget
    this.#limitBytes = limitBytes
  }

  /** Takes a batch behind the last one and returns the bytes to patch and write: a copy, or the same when it is big. */
  place(batch: Uint8Array, place: BatchPlace): Uint8Array {
    if (batch.length >= ownChunkBytes && batch.length * 2 >= batch.buffer.byteLength) {
      const chunk = this.#open(batch, place)
      this.#note(chunk, place, batch.length)
      return batch
    }
    let chunk = this.#chunks.at(-1)
    const fits =
      chunk !== undefined &&
      chunk.segmentBaseOffset === place.segmentBaseOffset &&
      chunk.bytes.length - chunk.usedBytes >= batch.length &&
      place.lastOffset - chunk.firstOffset < 2_147_483_648n
    if (!chunk || !fits) {
      const grown = Math.min(largestChunkBytes, (chunk?.bytes.length ?? smallestChunkBytes / 2) * 2)
      chunk = this.#open(new Uint8Array(Math.max(batch.length, grown)), place)
    }
    const start = chunk.usedBytes
    chunk.bytes.set(batch, start)
    this.#note(chunk, place, batch.length)
    return chunk.bytes.subarray(start, start + batch.length)
  }

  /** The first offset that can be read here, or undefined when nothing can. */
  get firstOffset(): bigint | undefined {
    return this.#chunks[0]?.firstOffset
  }

  /**
   * Whole batches from the one that holds `offset` (or follows it) on, below `endOffset`, up to `maxBytes`, but the first one
   * in any case when `minOneBatch`. Undefined when the tail does not reach back to `offset`.
   */
  read(offset: bigint, endOffset: bigint, limit: { maxBytes: number; minOneBatch: boolean }): TailRead | undefined {
    const first = this.#chunks[0]
    if (!first || offset < first.firstOffset) return undefined
    const chunks: Uint8Array[] = []
    let [sizeBytes, upperBound] = [0, offset]
    let { minOneBatch } = limit
    for (let index = this.#chunkIndexOf(offset); index < this.#chunks.length; index++) {
      const chunk = this.#chunks[index]!
      if (chunk.firstOffset >= endOffset) break
      const from = chunk.batchAt(offset)
      const start = chunk.endAt(from - 1)
      let until = from
      const visible = chunk.countBelow(endOffset)
      while (until < visible) {
        const isWithin = sizeBytes + chunk.endAt(until) - start <= limit.maxBytes
        if (!isWithin && !minOneBatch) break
        minOneBatch = false
        until += 1
      }
      if (until > from) {
        const end = chunk.endAt(until - 1)
        chunks.push(chunk.bytes.subarray(start, end))
        sizeBytes += end - start
        upperBound = chunk.nextOffsetAt(until - 1)
      }
      if (until < chunk.batchCount) break
    }
    return { chunks, sizeBytes, upperBound }
  }

  /** Bytes of the batches from `offset` up to `endOffset`, or undefined when the tail does not reach back that far. */
  sizeBetween(offset: bigint, endOffset: bigint): number | undefined {
    const first = this.#chunks[0]
    if (!first || offset < first.firstOffset) return undefined
    let sizeBytes = 0
    for (let index = this.#chunkIndexOf(offset); index < this.#chunks.length; index++) {
      const chunk = this.#chunks[index]!
      if (chunk.firstOffset >= endOffset) break
      const start = chunk.endAt(chunk.batchAt(offset) - 1)
      const end = chunk.endAt(chunk.countBelow(endOffset) - 1)
      if (end > start) sizeBytes += end - start
    }
    return sizeBytes
  }

  /** Lets go of a chunk that it has, and of all before it. */
  evictThrough(chunk: TailChunk): void {
    while (this.#chunks.length > 0) {
      const oldest = this.#chunks.shift()!
      this.#forget(oldest)
      if (oldest === chunk) return
    }
  }

  /** Lets go of everything that begins below `offset`: the log has other bytes there now. */
  evictBelow(offset: bigint): void {
    const last = this.#chunks.findLast((chunk) => chunk.firstOffset < offset)
    if (last) this.evictThrough(last)
  }

  clear(): void {
    for (const chunk of this.#chunks) this.#forget(chunk)
    this.#chunks = []
  }

  #chunkIndexOf(offset: bigint): number {
    let [low, high] = [0, this.#chunks.length]
    while (low < high) {
      const middle = (low + high) >>> 1
      if (this.#chunks[middle]!.lastOffset < offset) low = middle + 1
      else high = middle
    }
    return low
  }

  #open(bytes: Uint8Array, place: BatchPlace): TailChunk {
    const chunk = new TailChunk(this, bytes, place)
    this.#chunks.push(chunk)
    this.#heldBytes += chunk.heldBytes
    this.#budget.add(chunk)
    while (this.#heldBytes > this.#limitBytes && this.#chunks.length > 1) this.evictThrough(this.#chunks[0]!)
    return chunk
  }

  #note(chunk: TailChunk, place: BatchPlace, sizeBytes: number): void {
    chunk.usedBytes += sizeBytes
    const { firstOffset } = chunk
    chunk.spans.push(Number(place.baseOffset - firstOffset), Number(place.lastOffset - firstOffset), chunk.usedBytes)
    chunk.lastOffset = place.lastOffset
  }

  #forget(chunk: TailChunk): void {
    this.#heldBytes -= chunk.heldBytes
    this.#budget.remove(chunk)
  }
}

export interface TailRead {
  readonly chunks: Uint8Array[]
  readonly sizeBytes: number
  /** One behind the last offset that was read. */
  readonly upperBound: bigint
}
