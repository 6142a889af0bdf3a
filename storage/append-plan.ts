/**
 * Where the next batch goes: offset, segment and position, ahead of what is written. The plan moves when an append is queued
 * and returns to what is visible when a write fails.
 */
import { lastOffsetOf, type BatchRef } from '../protocol/records/batch.ts'
import type { LogConfig } from './log-store.ts'
import { maxRelativeOffset, type Segment } from './segment.ts'

/** A batch with its place, ready to be written. */
export interface PlacedBatch {
  readonly bytes: Uint8Array
  readonly baseOffset: bigint
  readonly lastOffsetDelta: number
  readonly maxTimestamp: bigint
  readonly segmentBaseOffset: bigint
  readonly position: number
}

export interface Place {
  readonly segmentBaseOffset: bigint
  readonly position: number
  readonly baseOffset: bigint
  readonly lastOffset: bigint
}

/** The smaller of Kafka's two index entries takes 8 bytes, the larger 12; both files have the same limit. */
const largestIndexEntryBytes = 12

export class AppendPlan {
  nextOffset: bigint
  #segmentBaseOffset: bigint
  #sizeBytes: number
  #firstTimestampMs: bigint | undefined
  #indexedBytes: number
  readonly #label: string

  constructor(label: string, active: Segment, nextOffset: bigint) {
    this.#label = label
    this.nextOffset = nextOffset
    this.#segmentBaseOffset = active.baseOffset
    this.#sizeBytes = active.sizeBytes
    this.#firstTimestampMs = active.firstTimestampMs
    this.#indexedBytes = active.indexEntries
  }

  /** Gives the batch its place. A segment that does not suit it is left, and a new one begins with it. */
  take(batch: BatchRef, baseOffset: bigint, config: LogConfig): Place {
    const lastOffset = lastOffsetOf(batch.header) - batch.header.baseOffset + baseOffset
    const { maxTimestamp } = batch.header
    if (this.#mustRoll({ baseOffset, lastOffset, maxTimestamp, sizeBytes: batch.bytes.length }, config)) {
      this.#segmentBaseOffset = baseOffset
      this.#sizeBytes = 0
      this.#firstTimestampMs = undefined
      this.#indexedBytes = 0
    }
    const place = { segmentBaseOffset: this.#segmentBaseOffset, position: this.#sizeBytes, baseOffset, lastOffset }
    this.#sizeBytes += batch.bytes.length
    this.#firstTimestampMs ??= maxTimestamp
    this.#indexedBytes += 1
    this.nextOffset = lastOffset + 1n
    return place
  }

  #mustRoll(
    next: { baseOffset: bigint; lastOffset: bigint; maxTimestamp: bigint; sizeBytes: number },
    config: LogConfig,
  ): boolean {
    if (next.baseOffset < this.#segmentBaseOffset) return true // only an empty log takes a batch from below its start
    if (next.lastOffset - this.#segmentBaseOffset > BigInt(maxRelativeOffset)) return true
    if (this.#sizeBytes === 0) return false
    if (this.#sizeBytes + next.sizeBytes > config.segmentBytes) return true
    const entries = Math.min(this.#indexedBytes, Math.ceil(this.#sizeBytes / Math.max(1, config.indexIntervalBytes)))
    if ((entries + 1) * largestIndexEntryBytes > config.segmentIndexBytes) return true
    const since = this.#firstTimestampMs ?? -1n
    return since >= 0n && next.maxTimestamp - since > longestMs(config) - this.#jitter(config)
  }

  /** Logs of one age roll at different times. The share is derived, so that the same log always gets the same. */
  #jitter(config: LogConfig): bigint {
    if (config.segmentJitterMs <= 0n) return 0n
    let hash = 7
    for (const letter of `${this.#label}/${this.#segmentBaseOffset}`)
      hash = (hash * 31 + letter.charCodeAt(0)) % 1_000_003
    const longest = longestMs(config)
    const limit = config.segmentJitterMs < longest ? config.segmentJitterMs : longest
    return (limit * BigInt(hash)) / 1_000_003n
  }
}

/** How long a segment may take records. The cleaner never looks into the active one, so that must end in time for it. */
function longestMs({ cleanupPolicy, maxCompactionLagMs, segmentMs }: LogConfig): bigint {
  return cleanupPolicy.compact && maxCompactionLagMs > 0n && maxCompactionLagMs < segmentMs
    ? maxCompactionLagMs
    : segmentMs
}
