/**
 * Where some batches of a segment are, in memory: the entries of `.index`, each with the largest timestamp up to and
 * with its batch, which `.timeindex` yields. Offsets are numbers relative to the base of the segment, positions are
 * bytes in its file.
 */
import type { OffsetEntry, TimeEntry } from './index-files.ts'

/** Below every timestamp. */
export const noTimestamp = -(2n ** 63n)

export class SparseIndex {
  #count = 0
  /** Relative last offset and position of each entry, in turn. */
  #places = new Int32Array(8)
  #timestamps = new BigInt64Array(4)

  get count(): number {
    return this.#count
  }

  /** The entry of the batch at `position`, whose last offset is `relativeOffset`. Entries rise. */
  push(entry: OffsetEntry, maxTimestampMs: bigint): void {
    if (this.#count === this.#timestamps.length) this.#grow(this.#count * 2)
    this.#places[this.#count * 2] = entry.relativeOffset
    this.#places[this.#count * 2 + 1] = entry.position
    this.#timestamps[this.#count] = maxTimestampMs
    this.#count += 1
  }

  /** Entries from a position in the index on. */
  entries(from: number, to = this.#count): OffsetEntry[] {
    return Array.from({ length: Math.max(0, to - from) }, (_, index) => ({
      relativeOffset: this.#places[(from + index) * 2]!,
      position: this.#places[(from + index) * 2 + 1]!,
    }))
  }

  timestampAt(index: number): bigint {
    return this.#timestamps[index]!
  }

  /** A position at or before the batch that holds the offset, or follows it. */
  floor(relativeOffset: number): number {
    const index = lastWhere(this.#count, (each) => this.#places[each * 2]! <= relativeOffset)
    return index < 0 ? 0 : this.#places[index * 2 + 1]!
  }

  /** A position at or before the first batch that begins behind the offset. Undefined when none is known. */
  ceiling(relativeOffset: number): number | undefined {
    const index = lastWhere(this.#count, (each) => this.#places[each * 2]! < relativeOffset) + 1
    return index < this.#count ? this.#places[index * 2 + 1]! : undefined
  }

  /** A position before which every timestamp is below the asked one. */
  floorOfTime(timestampMs: bigint): number {
    const index = lastWhere(this.#count, (each) => this.#timestamps[each]! < timestampMs)
    return index < 0 ? 0 : this.#places[index * 2 + 1]!
  }

  #grow(count: number): void {
    const places = new Int32Array(count * 2)
    places.set(this.#places)
    this.#places = places
    const timestamps = new BigInt64Array(count)
    timestamps.set(this.#timestamps)
    this.#timestamps = timestamps
  }
}

/**
 * Joins what the two files say. Whenever `.index` got an entry, `.timeindex` got one too if the largest timestamp had
 * risen: the last time entry whose offset is not behind that of an offset entry has the largest timestamp up to there.
 */
export function joinIndexes(offsets: readonly OffsetEntry[], times: readonly TimeEntry[]): SparseIndex {
  const joined = new SparseIndex()
  let [next, maxTimestampMs] = [0, noTimestamp]
  for (const entry of offsets) {
    while (next < times.length && times[next]!.relativeOffset <= entry.relativeOffset) {
      maxTimestampMs = times[next]!.timestampMs
      next += 1
    }
    joined.push(entry, maxTimestampMs)
  }
  return joined
}

/** The last index for which a statement holds that is true up to some index and false from there on; else -1. */
function lastWhere(count: number, holds: (index: number) => boolean): number {
  let [low, high] = [0, count]
  while (low < high) {
    const middle = (low + high) >>> 1
    if (holds(middle)) low = middle + 1
    else high = middle
  }
  return low - 1
}
