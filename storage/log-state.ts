/** What is known of one partition: the parts that appending, reading, recovery and housekeeping share. */
import { strict as assert } from 'node:assert'
import type { Disk } from './disk.ts'
import { LeaderEpochs } from './leader-epochs.ts'
import type { NotedHistory } from './log-note.ts'
import type { LogConfig, LogId, LogView, ReadRequest } from './log-store.ts'
import type { OpenFiles } from './open-files.ts'
import { ProducerState } from './producer-state.ts'
import type { BlockPool } from './block-pool.ts'
import type { Segment } from './segment.ts'
import type { TailCache } from './tail-cache.ts'

export interface LogStateParts {
  readonly id: LogId
  readonly topicName: string
  readonly disk: Disk
  /** The path of its folder. */
  readonly folder: string
  readonly config: LogConfig
  readonly isMirror: boolean
  readonly tail: TailCache
  /** What may be open of the segments of all logs. */
  readonly files: OpenFiles
  readonly blocks: BlockPool
}

export class LogState {
  readonly id: LogId
  readonly topicName: string
  readonly label: string
  readonly disk: Disk
  readonly folder: string
  readonly tail: TailCache
  readonly files: OpenFiles
  readonly blocks: BlockPool
  readonly epochs = new LeaderEpochs()
  readonly producers = new ProducerState()
  config: LogConfig
  isMirror: boolean
  status: 'online' | 'offline' | 'dropped' = 'online'
  /** Why the log is offline. */
  offlineReason = ''
  /** By base offset, never empty once the log is open. The last one is written to. */
  segments: Segment[] = []
  logStartOffset = 0n
  /** The end of what was written completely: what can be read, and where a restart would go on. */
  highWatermark = 0n
  leaderEpoch = -1
  /** What the note on the disk says. */
  noted: NotedHistory | undefined
  /** Of the snapshots in the folder. */
  snapshotOffsets: readonly bigint[] = []
  /** The log start that a restart would find, where it lies behind the first segment's base. */
  savedLogStart = 0n
  /** The change of the leader epochs that is on the disk. */
  savedEpochs = -1
  /** Rises whenever bytes that were visible may have been replaced: a read that spans a change starts again. */
  generation = 0

  constructor(parts: LogStateParts) {
    this.id = parts.id
    this.topicName = parts.topicName
    this.label = `${parts.topicName}-${parts.id.partitionIndex}`
    this.disk = parts.disk
    this.folder = parts.folder
    this.config = parts.config
    this.isMirror = parts.isMirror
    this.tail = parts.tail
    this.files = parts.files
    this.blocks = parts.blocks
  }

  get activeSegment(): Segment {
    const active = this.segments.at(-1)
    assert(active, 'an open log has a segment')
    return active
  }

  get sizeBytes(): number {
    let sizeBytes = 0
    for (const segment of this.segments) sizeBytes += segment.sizeBytes
    return sizeBytes
  }

  get lastStableOffset(): bigint {
    const stable = this.producers.lastStableOffset(this.highWatermark)
    return stable < this.logStartOffset ? this.logStartOffset : stable
  }

  view(): LogView {
    return {
      logStartOffset: this.logStartOffset,
      lastStableOffset: this.lastStableOffset,
      highWatermark: this.highWatermark,
      logEndOffset: this.highWatermark,
      leaderEpoch: this.leaderEpoch,
    }
  }

  /** The first offset that a reader of this isolation may not see. */
  visibleEnd(isolation: ReadRequest['isolation']): bigint {
    return isolation === 'committed' ? this.lastStableOffset : this.highWatermark
  }

  /** The index of the segment that holds an offset at or behind the log start. */
  segmentIndexOf(offset: bigint): number {
    let [low, high] = [0, this.segments.length]
    while (low < high) {
      const middle = (low + high) >>> 1
      if (this.segments[middle]!.baseOffset <= offset) low = middle + 1
      else high = middle
    }
    return Math.max(0, low - 1)
  }
}
