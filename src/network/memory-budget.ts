import assert from 'node:assert/strict'

/**
 * Who holds memory: frames that arrived, appends that wait for their write, the tails of logs kept for consumers,
 * answers that clients have not taken, what compaction remembers of keys, and bytes on their way through links.
 */
export const memoryKinds = ['request', 'append', 'tail', 'response', 'cleaner', 'link'] as const
export type MemoryKind = (typeof memoryKinds)[number]
type ClientMemoryKind = Exclude<MemoryKind, 'link'>

/**
 * From harmless to serious; each level includes what the ones before it ask for.
 * `evict`: caches shrink. `shrink`: fetches return less. `stop`: the connections that hold most are no longer read.
 */
export const memoryPressures = ['none', 'evict', 'shrink', 'stop'] as const
export type MemoryPressure = (typeof memoryPressures)[number]

/** Where each level begins, as a share of what clients may use. Reading goes on when the level falls below `shrink`. */
const pressureMarks = { evict: 0.6, shrink: 0.75, stop: 0.9 }
/**
 * One fetch may take this part of all memory: larger answers make no client faster, and fill caches that smaller ones
 * fit into. Under pressure it is a part of what is free.
 */
const fetchShare = { ofAll: 1 / 16, ofFree: 1 / 8 }

/** Something that is read from and can be told to stop: a connection. */
export interface MemoryReader {
  /** The bytes it holds now: the one with the most is stopped first. */
  readonly heldBytes: number
  stopReading(): void
  goOnReading(): void
}

/** Memory that can be let go of at any time: it is only faster to have it. */
export interface MemoryCache {
  readonly usedBytes: number
  /** Lets go of what is least useful until it holds at most about `sizeBytes`. */
  evictTo(sizeBytes: number): void
}

export interface MemoryBudgetOptions {
  /** The limit for all kinds together, in bytes. */
  readonly limitBytes?: number
  /** The part of the limit that only links may use, so that clients never starve a mirror. */
  readonly linkShareBytes?: number
}

const limitBytesDefault = 512 * 1024 * 1024

/**
 * Counts the bytes that a process holds for its clients and links, and says when to hold less. It grants every
 * reservation: what is counted is already there. The limit is kept by acting before it is reached, at three marks.
 */
export class MemoryBudget {
  readonly limitBytes: number
  readonly linkShareBytes: number
  readonly #used: Record<MemoryKind, number> = { request: 0, append: 0, tail: 0, response: 0, cleaner: 0, link: 0 }
  #clientBytes = 0
  #pressure: MemoryPressure = 'none'
  readonly #marks: Record<Exclude<MemoryPressure, 'none'>, number>
  readonly #listeners = new Set<(pressure: MemoryPressure) => void>()
  readonly #readers = new Set<MemoryReader>()
  readonly #stoppedReaders = new Set<MemoryReader>()

  constructor(options: MemoryBudgetOptions = {}) {
    this.limitBytes = options.limitBytes ?? limitBytesDefault
    this.linkShareBytes = options.linkShareBytes ?? Math.floor(this.limitBytes / 4)
    assert(this.linkShareBytes < this.limitBytes, 'the share of links leaves nothing for clients')
    const clientLimitBytes = this.limitBytes - this.linkShareBytes
    this.#marks = {
      evict: clientLimitBytes * pressureMarks.evict,
      shrink: clientLimitBytes * pressureMarks.shrink,
      stop: clientLimitBytes * pressureMarks.stop,
    }
  }

  get pressure(): MemoryPressure {
    return this.#pressure
  }

  /** The bytes of all kinds. */
  get usedBytes(): number {
    return this.#clientOwnBytes() + this.#used.link
  }

  usedBytesOf(kind: MemoryKind): number {
    return this.#used[kind]
  }

  /** Counts bytes that are held from now on. Every reservation is released once, with the same kind and bytes. */
  reserve(kind: MemoryKind, bytes: number): void {
    this.#used[kind] += bytes
    this.#noteChange()
    if (this.#pressure === 'stop') this.#stopLargestReader()
  }

  release(kind: MemoryKind, bytes: number): void {
    this.#used[kind] -= bytes
    assert(this.#used[kind] >= 0, `released more ${kind} memory than was reserved`)
    this.#noteChange()
    this.#keepOneReading()
  }

  /** The same bytes are held for something else from now on; both kinds belong to clients. */
  move(bytes: number, from: ClientMemoryKind, to: ClientMemoryKind): void {
    this.#used[from] -= bytes
    assert(this.#used[from] >= 0, `moved more ${from} memory than was reserved`)
    this.#used[to] += bytes
  }

  /** Reserves what a holder has grown by, or releases what it has shrunk by. */
  change(kind: MemoryKind, grownBytes: number): void {
    if (grownBytes > 0) this.reserve(kind, grownBytes)
    else this.release(kind, -grownBytes)
  }

  /**
   * Counts `bytes` for links, if they fit: into their own share, or beyond it into what clients leave free below the
   * mark where fetches shrink. False: ask again when something was released.
   */
  tryReserveForLinks(bytes: number): boolean {
    const beyondShare = Math.max(0, this.#used.link + bytes - this.linkShareBytes)
    const isFirst = this.#used.link === 0 // one batch may be larger than the share, and must not wait for ever
    if (beyondShare > 0 && !isFirst && this.#clientOwnBytes() + beyondShare > this.#marks.shrink) return false
    this.reserve('link', bytes)
    return true
  }

  /**
   * How many bytes one fetch may return. Never 0: a log store returns one whole batch for any limit above 0, so that
   * consumers go on, batch by batch, however little is left.
   */
  fetchAllowance(): number {
    const allowedBytes = Math.max(1, Math.floor(this.limitBytes * fetchShare.ofAll))
    if (this.#pressure === 'none' || this.#pressure === 'evict') return allowedBytes
    const freeBytes = this.limitBytes - this.linkShareBytes - this.#clientBytes
    return Math.min(allowedBytes, Math.max(1, Math.floor(freeBytes * fetchShare.ofFree)))
  }

  /**
   * Whether clients may hold so many bytes more for what has not come yet, without making anybody hold less but caches.
   */
  hasRoomFor(bytes: number): boolean {
    return this.#clientBytes + bytes < this.#marks.shrink
  }

  /**
   * Calls the listener with each new level, up and down. At `evict` and above, caches should let go of what they can.
   */
  onPressure(listener: (pressure: MemoryPressure) => void): Disposable {
    this.#listeners.add(listener)
    return { [Symbol.dispose]: () => void this.#listeners.delete(listener) }
  }

  /** Makes a cache one of those that shrink under pressure: to half at `evict`, to next to nothing beyond it. */
  addCache(cache: MemoryCache): Disposable {
    return this.onPressure((pressure) => {
      if (pressure === 'evict') cache.evictTo(Math.floor(cache.usedBytes / 2))
      else if (pressure !== 'none') cache.evictTo(0)
    })
  }

  get readerCount(): number {
    return this.#readers.size
  }

  /** Makes a connection one of those that may be stopped. */
  addReader(reader: MemoryReader): void {
    this.#readers.add(reader)
  }

  removeReader(reader: MemoryReader): void {
    this.#readers.delete(reader)
    this.#stoppedReaders.delete(reader)
    this.#keepOneReading()
  }

  #clientOwnBytes(): number {
    return this.#used.request + this.#used.append + this.#used.tail + this.#used.response
  }

  #noteChange(): void {
    const linkExcessBytes = Math.max(0, this.#used.link - this.linkShareBytes)
    this.#clientBytes = this.#clientOwnBytes() + linkExcessBytes
    const pressure = this.#levelOf(this.#clientBytes)
    if (pressure === this.#pressure) return
    this.#pressure = pressure
    for (const listener of this.#listeners) {
      listener(pressure)
      if (this.#pressure !== pressure) return // it released enough for another level, which everyone was told already
    }
    if (this.#pressure === 'none' || this.#pressure === 'evict') this.#goOn()
  }

  #levelOf(bytes: number): MemoryPressure {
    if (bytes < this.#marks.evict) return 'none'
    if (bytes < this.#marks.shrink) return 'evict'
    return bytes < this.#marks.stop ? 'shrink' : 'stop'
  }

  /**
   * Stops the reader that holds most. One is stopped per reservation above the mark, which is as fast as the use can
   * grow. The last one goes on unless memory comes free without it: somebody has to be able to finish its frame.
   */
  #stopLargestReader(): void {
    const readingCount = this.#readers.size - this.#stoppedReaders.size
    if (readingCount === 0 || (readingCount === 1 && !this.#comesFree())) return
    let largest: MemoryReader | undefined
    for (const reader of this.#readers) {
      if (this.#stoppedReaders.has(reader)) continue
      if (!largest || reader.heldBytes > largest.heldBytes) largest = reader
    }
    if (!largest) return
    this.#stoppedReaders.add(largest)
    largest.stopReading()
  }

  /** When all readers are stopped and no memory comes free by itself, the one that holds least goes on. */
  #keepOneReading(): void {
    if (this.#readers.size === 0 || this.#stoppedReaders.size < this.#readers.size || this.#comesFree()) return
    const [smallest] = [...this.#stoppedReaders].sort((a, b) => a.heldBytes - b.heldBytes)
    this.#stoppedReaders.delete(smallest!)
    smallest!.goOnReading()
  }

  /** An append ends when the disk is done with it; nothing that a client does holds it up. */
  #comesFree(): boolean {
    return this.#used.append > 0
  }

  #goOn(): void {
    const stopped = [...this.#stoppedReaders]
    this.#stoppedReaders.clear()
    for (const reader of stopped) reader.goOnReading()
  }
}
