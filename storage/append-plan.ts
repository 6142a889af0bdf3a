/**
 * Where the next batch goes: offset, segment and position, ahead of what is written. The plan moves when an append is
 * queued and returns to what is visible when a write fails.
 */
import type { BatchRef } from '../protocol/records/batch.ts'
import { offsetEntryBytes, timeEntryBytes } from './index-files.ts'
import type { LogConfig } from './log-store.ts'
import { maxRelativeOffset, type Segment } from './segment.ts'
import type { TailChunk } from './tail-cache.ts'

/** A batch with its place. */
export interface PlacedBatch {
  /** What is written: the tail's own copy, or the bytes that were handed in. */
  bytes: Uint8Array
  /** Where the tail keeps these bytes. */
  chunk: TailChunk | undefined
  readonly baseOffset: bigint
  readonly lastOffset: bigint
  readonly lastOffsetDelta: number
  readonly maxTimestamp: bigint
  readonly segmentBaseOffset: bigint
  /** In the file of the segment. */
  readonly position: number
}

const maxRelative = BigInt(maxRelativeOffset)

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
  take(batch: BatchRef, baseOffset: bigint, when: { readonly config: LogConfig; readonly nowMs: bigint }): PlacedBatch {
    const { bytes } = batch
    const { maxTimestamp, lastOffsetDelta } = batch.header
    const next: PlacedBatch = {
      bytes,
      chunk: undefined,
      baseOffset,
      lastOffset: baseOffset + BigInt(lastOffsetDelta),
      lastOffsetDelta,
      maxTimestamp,
      segmentBaseOffset: this.#segmentBaseOffset,
      position: this.#sizeBytes,
    }
    const place = this.#mustRoll(next, when.nowMs, when.config) ? this.#roll(next) : next
    this.#sizeBytes += bytes.length
    this.#firstTimestampMs ??= maxTimestamp
    this.#sinceMs ??= when.nowMs
    growIndex(this.#index, next, when.config.indexIntervalBytes)
    this.nextOffset = next.lastOffset + 1n
    return place
  }

  #roll(first: PlacedBatch): PlacedBatch {
    this.#segmentBaseOffset = first.baseOffset
    this.#sizeBytes = 0
    this.#firstTimestampMs = undefined
    this.#sinceMs = undefined
    this.#index = { ...emptyIndex }
    return { ...first, segmentBaseOffset: first.baseOffset, position: 0 }
  }

  #mustRoll(next: PlacedBatch, nowMs: bigint, config: LogConfig): boolean {
    if (next.baseOffset < this.#segmentBaseOffset) return true // only an empty log takes a batch from below its start
    if (next.lastOffset - this.#segmentBaseOffset > maxRelative) return true
    if (this.#sizeBytes === 0) return false
    if (this.#sizeBytes + next.bytes.length > config.segmentBytes) return true
    if (isFull(this.#index, config.segmentIndexBytes)) return true
    const first = this.#firstTimestampMs ?? -1n
    const waitedMs = first >= 0n ? next.maxTimestamp - first : nowMs - (this.#sinceMs ?? nowMs)
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

function growIndex(index: IndexSize, { bytes, maxTimestamp }: PlacedBatch, intervalBytes: number): void {
  if (maxTimestamp > index.maxTimestampMs) index.maxTimestampMs = maxTimestamp
  if (index.bytesSinceEntry > intervalBytes) {
    index.entries += 1
    if (index.maxTimestampMs > index.lastTimeMs) {
      index.timeEntries += 1
      index.lastTimeMs = index.maxTimestampMs
    }
    index.bytesSinceEntry = 0
  }
  index.bytesSinceEntry += bytes.length
}

/** Kafka's rule: one entry of the time index is kept for the end of the segment. */
function isFull(index: IndexSize, limitBytes: number): boolean {
  const isOffsetFull = index.entries >= Math.max(1, Math.floor(limitBytes / offsetEntryBytes))
  return isOffsetFull || index.timeEntries >= Math.max(1, Math.floor(limitBytes / timeEntryBytes) - 1)
}

/**
 * How long a segment may take records. The cleaner never looks into the active one, so that must end in time for it.
 */
function longestMs({ cleanupPolicy, maxCompactionLagMs, segmentMs }: LogConfig): bigint {
  return cleanupPolicy.compact && maxCompactionLagMs > 0n && maxCompactionLagMs < segmentMs
    ? maxCompactionLagMs
    : segmentMs
}
