/**
 * Which leader epoch begins at which offset: the history by which two copies of a log find where they part.
 * Epochs and start offsets both rise from entry to entry.
 */
import type { EpochStart } from './checkpoint-files.ts'
import type { EpochEnd } from './log-store.ts'

/** Kafka's answer where an epoch is unknown. */
export const unknownEpochEnd: EpochEnd = { leaderEpoch: -1, endOffset: -1n }

/**
 * The highest that the protocol can name. No real log comes near; a damaged file, or a source that makes them up, may
 * name it.
 */
const highestLeaderEpoch = 2_147_483_647

/** The epoch of the leader after this one. There is none after the highest: it stays. */
export function nextLeaderEpoch(leaderEpoch: number): number {
  return Math.min(leaderEpoch + 1, highestLeaderEpoch)
}

export class LeaderEpochs {
  #entries: EpochStart[]
  /** The largest offset that each entry was assigned at. */
  #seen: bigint[]
  /** Rises with every change, so that a checkpoint knows whether it is due. */
  changeCount = 0

  constructor(entries: readonly EpochStart[] = []) {
    this.#entries = [...entries]
    this.#seen = entries.map(({ startOffset }) => startOffset)
  }

  get entries(): readonly EpochStart[] {
    return this.#entries
  }

  /** The latest epoch, or -1. */
  get latest(): number {
    return this.#entries.at(-1)?.leaderEpoch ?? -1
  }

  /** Notes that `leaderEpoch` begins at `startOffset`. An epoch that has begun already keeps its start. */
  assign(leaderEpoch: number, startOffset: bigint): void {
    if (leaderEpoch < 0) return
    const last = this.#entries.at(-1)
    if (last && last.leaderEpoch === leaderEpoch && startOffset >= last.startOffset) {
      this.#seen[this.#seen.length - 1] = startOffset
      return
    }
    while (this.#entries.length > 0) {
      const tail = this.#entries.at(-1)!
      if (tail.leaderEpoch < leaderEpoch && tail.startOffset < startOffset) break
      this.#entries.pop()
      this.#seen.pop()
    }
    this.#entries.push({ leaderEpoch, startOffset })
    this.#seen.push(startOffset)
    this.changeCount += 1
  }

  /** The end of the largest epoch at or below the asked one, as OffsetsForLeaderEpoch answers it. */
  endOf(leaderEpoch: number, logEndOffset: bigint): EpochEnd {
    if (leaderEpoch < 0) return unknownEpochEnd
    if (leaderEpoch === this.latest) return { leaderEpoch, endOffset: logEndOffset }
    const higher = this.#entries.findIndex((entry) => entry.leaderEpoch > leaderEpoch)
    if (higher === -1) return unknownEpochEnd
    const endOffset = this.#entries[higher]!.startOffset
    // An epoch before the first known one ends where that begins.
    const floor = higher === 0 ? leaderEpoch : this.#entries[higher - 1]!.leaderEpoch
    return { leaderEpoch: floor, endOffset }
  }

  /** The epoch of the record at `offset`, or -1. */
  at(offset: bigint): number {
    return this.#entries.findLast((entry) => entry.startOffset <= offset)?.leaderEpoch ?? -1
  }

  startOf(leaderEpoch: number): bigint | undefined {
    return this.#entries.find((entry) => entry.leaderEpoch === leaderEpoch)?.startOffset
  }

  /** The largest offset that an epoch below `leaderEpoch` was assigned at, or -1. */
  lastSeenBelow(leaderEpoch: number): bigint {
    return this.#seen[this.#entries.findLastIndex((entry) => entry.leaderEpoch < leaderEpoch)] ?? -1n
  }

  /** The largest epoch below `leaderEpoch`, or -1. */
  below(leaderEpoch: number): number {
    return this.#entries.findLast((entry) => entry.leaderEpoch < leaderEpoch)?.leaderEpoch ?? -1
  }

  /** Forgets what begins at or behind `endOffset`: the log was cut there. */
  truncateFromEnd(endOffset: bigint): void {
    const kept = this.#entries.filter((entry) => entry.startOffset < endOffset)
    if (kept.length === this.#entries.length) return
    this.#entries = kept
    this.#seen = this.#seen.slice(0, kept.length)
    this.changeCount += 1
  }

  /** Forgets what ended before `startOffset`; the epoch that reaches across it begins there from now on. */
  truncateFromStart(startOffset: bigint): void {
    const across = this.#entries.findLast((entry) => entry.startOffset <= startOffset)
    if (!across || (across === this.#entries[0] && across.startOffset === startOffset)) return
    const later = this.#entries.filter((entry) => entry.startOffset > startOffset)
    this.#seen = this.#seen.slice(this.#entries.length - later.length - 1)
    this.#entries = [{ leaderEpoch: across.leaderEpoch, startOffset }, ...later]
    this.changeCount += 1
  }

  clear(): void {
    this.#entries = []
    this.#seen = []
    this.changeCount += 1
  }
}
