/**
 * Where some batches of a segment are: one entry per so many bytes. Offsets are numbers relative to the base of the segment,
 * positions are bytes in its file. Each entry also knows the largest timestamp before it, which makes look-ups by time exact
 * where timestamps are out of order.
 */

/** Below every timestamp. */
export const noTimestamp = -(2n ** 63n)

export class SparseIndex {
  readonly #intervalBytes: number
  readonly #offsets: number[] = []
  readonly #positions: number[] = []
  #timestamps = new BigInt64Array(4)

  constructor(intervalBytes: number) {
    this.#intervalBytes = intervalBytes
  }

  get count(): number {
    return this.#offsets.length
  }

  /** Tells of the batch at `position`, whose first offset is `relativeOffset`; `maxTimestampBefore` is over all earlier ones. */
  note(position: number, relativeOffset: number, maxTimestampBefore: bigint): void {
    const last = this.#positions.at(-1)
    if (last !== undefined && position - last < this.#intervalBytes) return
    const index = this.#offsets.push(relativeOffset) - 1
    this.#positions.push(position)
    if (index === this.#timestamps.length) {
      const grown = new BigInt64Array(index * 2)
      grown.set(this.#timestamps)
      this.#timestamps = grown
    }
    this.#timestamps[index] = maxTimestampBefore
  }

  /** A position at or before the batch that holds the offset, or follows it. */
  floor(relativeOffset: number): number {
    return this.#positions[lastWhere(this.count, (index) => this.#offsets[index]! <= relativeOffset)] ?? 0
  }

  /** A position at or before the first batch that begins at or behind the offset. Undefined when none is known. */
  ceiling(relativeOffset: number): number | undefined {
    return this.#positions[lastWhere(this.count, (index) => this.#offsets[index]! < relativeOffset) + 1]
  }

  /** A position before which every timestamp is below the asked one. */
  floorOfTime(timestampMs: bigint): number {
    return this.#positions[lastWhere(this.count, (index) => this.#timestamps[index]! < timestampMs)] ?? 0
  }
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
