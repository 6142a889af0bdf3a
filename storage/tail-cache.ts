/**
 * The newest bytes of a log, in memory: consumers and links at the end of it read no disk. Appended batches are copied
 * into chunks (a view would pin the whole frame that it came in), but for big ones that make up most of their buffer.
 * Bytes that were published never change while somebody may look at them. A tail that had to let go of bytes that
 * nobody has read keeps no more until somebody reads: the copies would be for nobody. The memory of a chunk that was
 * let go is used again once its batches are written and every reader has given it back; what no reader gives back is
 * left to the garbage collector.
 */
import { strict as assert } from 'node:assert'
import type { LentMemory } from './log-store.ts'

/**
 * From this size on a batch may be a chunk of its own. A copy of a smaller one costs less than the collection of its
 * frame.
 */
const ownChunkBytes = 64 * 1024
const smallestChunkBytes = 4 * 1024
const largestChunkBytes = 256 * 1024
/** What a tail keeps for the first reader to come, but its newest chunk in any case. */
const firstReaderBytes = 1024 * 1024
/** So many blocks of the largest size are kept for the next chunks. */
const spareBlocks = 16

/** What all tails of a process may hold. Over the limit the oldest chunks of all logs are let go first. */
export class TailBudget {
  readonly limitBytes: number
  /** Of all chunks that a tail has, or that wait for their write. */
  #chunkBytes = 0
  /** The chunks of all tails form a list from the oldest to the newest: a queue that any of them can leave. */
  #oldest: TailChunk | undefined
  #newest: TailChunk | undefined
  /** Memory of chunks that were let go, for new ones. */
  readonly #spares: Uint8Array[] = []
  readonly #onChange: (grownBytes: number) => void
  readonly #poisons: boolean

  /**
   * `onChange` hears by how many bytes the tails have grown, negative when they shrink: for a budget of the whole
   * process. `poisons` overwrites what nobody looks at any more, so that a reader who does is found out: for tests.
   */
  constructor(limitBytes: number, onChange: (grownBytes: number) => void = () => {}, poisons = false) {
    this.limitBytes = limitBytes
    this.#onChange = onChange
    this.#poisons = poisons
  }

  get usedBytes(): number {
    return this.#chunkBytes + this.#spares.length * largestChunkBytes
  }

  /** Memory for a chunk of this size. */
  take(sizeBytes: number): Uint8Array {
    const spare = sizeBytes === largestChunkBytes ? this.#spares.pop() : undefined
    if (!spare) return new Uint8Array(sizeBytes)
    this.#onChange(-spare.length)
    return spare
  }

  add(chunk: TailChunk): void {
    chunk.older = this.#newest
    if (this.#newest) this.#newest.newer = chunk
    else this.#oldest = chunk
    this.#newest = chunk
    this.#chunkBytes += chunk.heldBytes
    this.#onChange(chunk.heldBytes)
    this.#evictChunksTo(this.limitBytes)
  }

  /** To be called once for each chunk that was added, when its tail lets go of it. */
  remove(chunk: TailChunk): void {
    if (chunk.older) chunk.older.newer = chunk.newer
    else this.#oldest = chunk.newer
    if (chunk.newer) chunk.newer.older = chunk.older
    else this.#newest = chunk.older
    chunk.older = undefined
    chunk.newer = undefined
    chunk.isRemoved = true
    if (chunk.unwrittenCount === 0) this.#uncount(chunk)
  }

  /** A batch of the chunk is written, or never will be. */
  settle(chunk: TailChunk): void {
    chunk.unwrittenCount -= 1
    assert(chunk.unwrittenCount >= 0, 'a batch is settled once')
    if (chunk.isRemoved && chunk.unwrittenCount === 0) this.#uncount(chunk)
  }

  /** A reader looks no longer at the bytes of the chunk. */
  release(chunk: TailChunk): void {
    chunk.readerCount -= 1
    this.#reuse(chunk)
  }

  /** Lets go of the oldest chunks until the tails hold at most this many bytes, or only one chunk. */
  evictTo(sizeBytes: number): void {
    while (this.usedBytes > sizeBytes && this.#spares.pop()) this.#onChange(-largestChunkBytes)
    this.#evictChunksTo(sizeBytes)
    while (this.usedBytes > sizeBytes && this.#spares.pop()) this.#onChange(-largestChunkBytes)
  }

  #evictChunksTo(sizeBytes: number): void {
    while (this.#chunkBytes > sizeBytes && this.#oldest && this.#oldest !== this.#newest) {
      this.#oldest.owner.evictThrough(this.#oldest)
    }
  }

  #uncount(chunk: TailChunk): void {
    this.#chunkBytes -= chunk.heldBytes
    this.#onChange(-chunk.heldBytes)
    this.#reuse(chunk)
  }

  #reuse(chunk: TailChunk): void {
    const isUnused = chunk.isRemoved && chunk.unwrittenCount === 0 && chunk.readerCount === 0
    if (!isUnused) return
    chunk.lent?.release()
    if (!chunk.isOurs) return
    if (this.#poisons) chunk.bytes.fill(0xdb)
    if (chunk.bytes.length !== largestChunkBytes || this.#spares.length === spareBlocks) return
    this.#spares.push(chunk.bytes)
    this.#onChange(largestChunkBytes)
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
  /**
   * Of each batch, three numbers in turn: its first and last offset relative to `firstOffset`, and where it ends in
   * `bytes`.
   */
  readonly spans: number[] = []
  /** Of the budget's list. */
  older: TailChunk | undefined
  newer: TailChunk | undefined
  /** Its tail has let go of it. */
  isRemoved = false
  /** Batches that wait for their write. */
  unwrittenCount = 0
  /** Reads that have a view of the bytes and have not given it back. */
  readerCount = 0
  /** Somebody has read some of it, be that long ago. */
  wasRead = false
  /** The bytes are a block of the tail's own, not a batch as it was handed in. */
  readonly isOurs: boolean
  /** Where a batch as it was handed in lies, when that is lent. */
  readonly lent: LentMemory | undefined

  constructor(owner: TailCache, bytes: Uint8Array, { place, isOurs, lent }: ChunkOptions) {
    this.owner = owner
    this.isOurs = isOurs
    this.lent = lent
    lent?.retain()
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

interface ChunkOptions {
  readonly place: BatchPlace
  readonly isOurs: boolean
  readonly lent?: LentMemory | undefined
}

/** Where a batch belongs. */
export interface BatchPlace {
  readonly segmentBaseOffset: bigint
  readonly baseOffset: bigint
  readonly lastOffset: bigint
}

/** A batch on its way to the disk. */
export interface TailBatch extends BatchPlace {
  bytes: Uint8Array
  chunk: TailChunk | undefined
}

export class TailCache {
  readonly #budget: TailBudget
  readonly #limitBytes: number
  #chunks: TailChunk[] = []
  #heldBytes = 0
  /** Whether somebody reads here: 'nobody' since bytes had to go that nobody had read. */
  #readers: 'unknown' | 'some' | 'nobody' = 'unknown'

  constructor(budget: TailBudget, limitBytes: number) {
    this.#budget = budget
    this.#limitBytes = limitBytes
  }

  /**
   * Takes a batch behind the last one. Its `bytes` are the ones to patch and write from then on: a copy, or the same
   * when it is big or nobody reads here. What is kept is safe until `settle`; what is not kept is so by whoever handed
   * it in. `lent`: where the batch lies now, when that is lent; it is retained when the batch stays there for readers.
   */
  place(batch: TailBatch, lent?: LentMemory): void {
    if (this.#readers === 'nobody') return this.skip()
    const { bytes } = batch
    if (bytes.length >= ownChunkBytes && bytes.length * 2 >= bytes.buffer.byteLength) {
      this.#note(this.#open(bytes, { place: batch, isOurs: false, lent }), batch)
      return
    }
    let chunk = this.#chunks.at(-1)
    const fits =
      chunk !== undefined &&
      chunk.segmentBaseOffset === batch.segmentBaseOffset &&
      chunk.bytes.length - chunk.usedBytes >= bytes.length &&
      batch.lastOffset - chunk.firstOffset < 2_147_483_648n
    if (!chunk || !fits) {
      const grown = Math.min(largestChunkBytes, (chunk?.bytes.length ?? smallestChunkBytes / 2) * 2)
      const block = this.#budget.take(Math.max(bytes.length, grown))
      chunk = this.#open(block, { place: batch, isOurs: true })
    }
    const start = chunk.usedBytes
    chunk.bytes.set(bytes, start)
    batch.bytes = chunk.bytes.subarray(start, start + bytes.length)
    this.#note(chunk, batch)
  }

  /** A batch that nobody will read soon follows, and is not kept: the tail begins behind it. */
  skip(): void {
    if (this.#chunks.length > 0) this.clear()
  }

  /** The batch is written, or never will be. */
  settle(batch: TailBatch): void {
    if (batch.chunk) this.#budget.settle(batch.chunk)
    batch.chunk = undefined
  }

  /** The first offset that can be read here, or undefined when nothing can. */
  get firstOffset(): bigint | undefined {
    return this.#chunks[0]?.firstOffset
  }

  /** Somebody reads the log, or waits at its end. */
  noteReader(): void {
    this.#readers = 'some'
  }

  /**
   * Whole batches from the one that holds `offset` (or follows it) on, below `endOffset`, up to `maxBytes`, but the
   * first one in any case when `minOneBatch`. Undefined when the tail does not reach back to `offset`.
   */
  read(offset: bigint, endOffset: bigint, limit: { maxBytes: number; minOneBatch: boolean }): TailRead | undefined {
    this.noteReader()
    const first = this.#chunks[0]
    if (!first || offset < first.firstOffset) return undefined
    const chunks: Uint8Array[] = []
    const read: TailChunk[] = []
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
        read.push(chunk)
        chunk.readerCount += 1
        chunk.wasRead = true
        sizeBytes += end - start
        upperBound = chunk.nextOffsetAt(until - 1)
      }
      if (until < chunk.batchCount) break
    }
    let isReleased = false
    const release = () => {
      assert(!isReleased, 'a read is given back once')
      isReleased = true
      for (const chunk of read) this.#budget.release(chunk)
    }
    return { chunks, sizeBytes, upperBound, release }
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

  /** Lets go of a chunk that it has, and of all before it, to make room. */
  evictThrough(chunk: TailChunk): void {
    if (!chunk.wasRead) this.#readers = 'nobody'
    this.#forgetThrough(chunk)
  }

  /** Lets go of everything that begins below `offset`: the log has other bytes there now. */
  evictBelow(offset: bigint): void {
    const last = this.#chunks.findLast((chunk) => chunk.firstOffset < offset)
    if (last) this.#forgetThrough(last)
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

  #open(bytes: Uint8Array, options: ChunkOptions): TailChunk {
    const chunk = new TailChunk(this, bytes, options)
    this.#chunks.push(chunk)
    this.#heldBytes += chunk.heldBytes
    this.#budget.add(chunk)
    const limitBytes = this.#readers === 'some' ? this.#limitBytes : Math.min(this.#limitBytes, firstReaderBytes)
    while (this.#heldBytes > limitBytes && this.#chunks.length > 1) this.evictThrough(this.#chunks[0]!)
    return chunk
  }

  #note(chunk: TailChunk, batch: TailBatch): void {
    const { firstOffset } = chunk
    chunk.usedBytes += batch.bytes.length
    chunk.spans.push(Number(batch.baseOffset - firstOffset), Number(batch.lastOffset - firstOffset), chunk.usedBytes)
    chunk.lastOffset = batch.lastOffset
    chunk.unwrittenCount += 1
    batch.chunk = chunk
  }

  #forgetThrough(chunk: TailChunk): void {
    while (this.#chunks.length > 0) {
      const oldest = this.#chunks.shift()!
      this.#forget(oldest)
      if (oldest === chunk) return
    }
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
  /** Gives the bytes back: nobody looks at them any more. To be called once, or never. */
  readonly release: () => void
}
