/**
 * Where the next batch goes: offset, segment and position, ahead of what is written. The plan moves when an append is queued
 * and returns to what is visible when a write fails.
 */
import { lastOffsetOf, type BatchRef } from '../protocol/records/batch.ts'
import { offsetEntryBytes, timeEntryBytes } from './index-files.ts'
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

export class AppendPlan {
  nextOffset: bigint
  #segmentBaseOffset: bigint
  #sizeBytes: number
  #firstTimestampMs: bigint | undefined
  /** When the plan met the segment, by the caller's clock: what counts where batches have no timestamps. */
  #sinceMs: bigint | undefined
  #index: IndexSize
  readonly #label: string

  constructor(label: string, active: Segment, nextOffset: bigint) {
    this.#label = label
    this.nextOffset = nextOffset
    this.#segmentBaseOffset = active.baseOffset
    this.#sizeBytes = active.sizeBytes
    this.#firstTimestampMs = active.firstTimestampMs
    this.#index = {
      entries: active.indexEntries,
      timeEntries: active.timeIndexEntries,
      bytesSinceEntry: active.bytesSinceEntry,
      maxTimestampMs: active.maxTimestampMs,
      lastTimeMs: active.timeIndexEntries === 0 ? -1n : active.maxTimestampMs,
    }
  }

  /** Gives the batch its place. A segment that does not suit it is left, and a new one begins with it. */
  take(batch: BatchRef, baseOffset: bigint, when: { readonly config: LogConfig; readonly nowMs: bigint }): Place {
    const lastOffset = lastOffsetOf(batch.header) - batch.header.baseOffset + baseOffset
    const { maxTimestamp } = batch.header
    const sizeBytes = batch.bytes.length
    if (this.#mustRoll({ baseOffset, lastOffset, maxTimestamp, sizeBytes, nowMs: when.nowMs }, when.config)) {
      this.#segmentBaseOffset = baseOffset
      this.#sizeBytes = 0
      this.#firstTimestampMs = undefined
      this.#sinceMs = undefined
      this.#index = { ...emptyIndex }
    }
    const place = { segmentBaseOffset: this.#segmentBaseOffset, position: this.#sizeBytes, baseOffset, lastOffset }
    this.#sizeBytes += sizeBytes
    this.#firstTimestampMs ??= maxTimestamp
    this.#sinceMs ??= when.nowMs
    growIndex(this.#index, { sizeBytes, maxTimestamp, intervalBytes: when.config.indexIntervalBytes })
    this.nextOffset = lastOffset + 1n
    return place
  }

  #mustRoll(
    next: { baseOffset: bigint; lastOffset: bigint; maxTimestamp: bigint; sizeBytes: number; nowMs: bigint },
    config: LogConfig,
  ): boolean {
    if (next.baseOffset < this.#segmentBaseOffset) return true // only an empty log takes a batch from below its start
    if (next.lastOffset - this.#segmentBaseOffset > BigInt(maxRelativeOffset)) return true
    if (this.#sizeBytes === 0) return false
    if (this.#sizeBytes + next.sizeBytes > config.segmentBytes) return true
    if (isFull(this.#index, config.segmentIndexBytes)) return true
    const first = this.#firstTimestampMs ?? -1n
    const waitedMs = first >= 0n ? next.maxTimestamp - first : next.nowMs - (this.#sinceMs ?? next.nowMs)
    return waitedMs > longestMs(config) - this.#jitter(config)
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

/** The indexes of a segment as they will be when everything that is planned is written: see `SegmentIndexes.note`. */
interface IndexSize {
  entries: number
  timeEntries: number
  bytesSinceEntry: number
  maxTimestampMs: bigint
  lastTimeMs: bigint
}

const emptyIndex: IndexSize = {
  entries: 0,
  timeEntries: 0,
  bytesSinceEntry: 0,
  maxTimestampMs: -1n,
  lastTimeMs: -1n,
}

function growIndex(
  index: IndexSize,
  batch: { readonly sizeBytes: number; readonly maxTimestamp: bigint; readonly intervalBytes: number },
): void {
  if (batch.maxTimestamp > index.maxTimestampMs) index.maxTimestampMs = batch.maxTimestamp
  if (index.bytesSinceEntry > batch.intervalBytes) {
    index.entries += 1
    if (index.maxTimestampMs > index.lastTimeMs) {
      index.timeEntries += 1
      index.lastTimeMs = index.maxTimestampMs
    }
    index.bytesSinceEntry = 0
  }
  index.bytesSinceEntry += batch.sizeBytes
}

/** Kafka's rule: one entry of the time index is kept for the end of the segment. */
function isFull(index: IndexSize, limitBytes: number): boolean {
  const isOffsetFull = index.entries >= Math.max(1, Math.floor(limitBytes / offsetEntryBytes))
  return isOffsetFull || index.timeEntries >= Math.max(1, Math.floor(limitBytes / timeEntryBytes) - 1)
}

/** How long a segment may take records. The cleaner never looks into the active one, so that must end in time for it. */
function longestMs({ cleanupPolicy, maxCompactionLagMs, segmentMs }: LogConfig): bigint {
  return cleanupPolicy.compact && maxCompactionLagMs > 0n && maxCompactionLagMs < segmentMs
    ? maxCompactionLagMs
    : segmentMs
}
