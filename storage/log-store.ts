/**
 * The seam of record bytes: `src/` reaches them through `LogStore` alone.
 *
 * Rules that every engine keeps (`test/contracts/log-store.ts` holds them):
 * - Expected outcomes are values with a `StorageCode`; only misuse and broken invariants throw.
 * - A log is `(topicId, partitionIndex)`; callers hold a `LogHandle`, resolved once.
 * - The engine assigns offsets and checks producer sequences, atomically, inside `append`. Calls for one log take
 *   effect in call order. Nobody above sets a high watermark: the engine reports what is visible.
 * - Offsets reported by `view` never go back while a log is open, but for a `truncateTo` and `startAt`, which wake
 *   subscribers.
 * - The engine has no clock: `nowMs` comes from the caller.
 */
import type { BatchRef } from '../protocol/records/batch.ts'
import type { Uuid } from '../protocol/schema.ts'

export interface LogId {
  readonly topicId: Uuid
  readonly partitionIndex: number
}

/** An open log. Opaque: only the engine that made it can use it; it stays the same object until the log is dropped. */
export interface LogHandle {
  readonly id: LogId
  /** Shown in messages: `orders-3`. */
  readonly label: string
}

/** Fences a former owner (a link, a coordinator, a promote) out of an owner's operation. */
export interface Fence {
  readonly lease: string
  readonly fenceEpoch: bigint
}

/**
 * Every expected failure of an engine. `src/errors.ts` maps each to a Kafka error code in a Record, so that a new one
 * does not compile without a decision.
 */
export const storageCodes = [
  'UNKNOWN_LOG', // dropped, or never created
  'LOG_OFFLINE', // an I/O error or a failed sync; comes back with a restart
  'STORAGE_FAILED', // this call failed on the disk; the log was put right again
  'NO_SPACE', // the disk is full; nothing of this call was kept
  'FENCED', // the caller's fence is stale
  'LEADER_EPOCH_STALE', // the leader epoch asked with is below the log's
  'LEADER_EPOCH_UNKNOWN', // the leader epoch asked with is above the log's
  'OFFSET_OUT_OF_RANGE',
  'OFFSET_MISMATCH', // 'preserve': the log end is not the expected one; `expected` has the real one
  'CORRUPT_BATCH', // the CRC, a length or a count does not hold
  'INVALID_RECORD', // the batch is well formed, and breaks a rule of the topic; recordErrors may say which record
  'INVALID_TIMESTAMP',
  'UNSUPPORTED_MAGIC', // magic 0 or 1
  'UNSUPPORTED_COMPRESSION',
  'BATCH_TOO_LARGE',
  'OUT_OF_ORDER_SEQUENCE',
  'UNKNOWN_PRODUCER', // kept for engines that forget producers before their records
  'PRODUCER_EPOCH_STALE',
  'INVALID_TRANSACTION_STATE',
  'READ_ONLY', // the log is a mirror, and the caller is not its link
  'TIMED_OUT', // the outcome is unknown: nobody appends again blindly
  'BUSY', // a queue is full
] as const
export type StorageCode = (typeof storageCodes)[number]

export type Failure = {
  readonly ok: false
  readonly code: StorageCode
  readonly retriable: boolean
  readonly message: string
}
export type Result<T = unknown> = ({ readonly ok: true } & T) | Failure

export type AppendMode =
  /** Client produce and coordinators: offsets and the leader epoch are written into the batches. */
  | { readonly kind: 'assign'; readonly leaderEpoch: number }
  /**
   * Mirrors: the batches keep their offsets and epochs; gaps are fine. The log end is compared in the same step.
   * `isBulk`: much more follows at once, so none of it is kept in memory for readers, and no view of the batches
   * outlives the append.
   */
  | { readonly kind: 'preserve'; readonly expectedLogEndOffset: bigint; readonly isBulk?: boolean }

export interface AppendEntry {
  readonly log: LogHandle
  readonly batches: readonly BatchRef[]
  readonly mode: AppendMode
  /** Which checks apply: the table is in docs/architecture.md. */
  readonly origin: 'client' | 'coordinator' | 'mirror'
  readonly fence?: Fence
  /**
   * Where the batches lie, when that memory is lent until the append is answered: the store retains it for what it
   * keeps of the batches beyond that. Left out: the batches are the store's for good.
   */
  readonly memory?: LentMemory | undefined
}

/** Memory that is used for something else once everybody who retained it, and its lender, have released it. */
export interface LentMemory {
  retain(): void
  /** To be called once for each `retain`, or never: then it is collected like any other memory. */
  release(): void
}

export interface RecordError {
  /** The position of the record in its batch, from 0. */
  readonly batchIndex: number
  readonly message: string | null
}

export interface Appended {
  readonly baseOffset: bigint
  readonly lastOffset: bigint
  readonly logStartOffset: bigint
  /**
   * The append time in milliseconds where the topic uses LogAppendTime, else -1; of a duplicate the time it was written
   * with.
   */
  readonly logAppendTimeMs: bigint
  /** The batch was there already: these are the offsets it has. */
  readonly duplicate: boolean
}
export type AppendResult =
  | ({ readonly ok: true } & Appended)
  | (Failure & {
      readonly expected?: bigint
      readonly recordErrors?: readonly RecordError[]
      readonly logStartOffset?: bigint
    })

export interface AppendOptions {
  /** Wall clock of the caller, in milliseconds. */
  readonly nowMs: bigint
  /** Sync before the answer. */
  readonly durable?: boolean
}

/** What of a log can be seen. Every offset is the first one beyond. */
export interface LogView {
  readonly logStartOffset: bigint
  readonly lastStableOffset: bigint
  readonly highWatermark: bigint
  readonly logEndOffset: bigint
  readonly leaderEpoch: number
}

export interface ReadRequest {
  readonly log: LogHandle
  readonly offset: bigint
  /** At most so many bytes, but see `LogStore.read`. */
  readonly maxBytes: number
  readonly isolation: 'uncommitted' | 'committed'
  /** The leader epoch the client knows, or undefined: checked against the log's. */
  readonly currentLeaderEpoch?: number
  /** The epoch of the last record the client has, or undefined: a divergence is answered instead of data. */
  readonly lastFetchedEpoch?: number
}

export interface AbortedTransaction {
  readonly producerId: bigint
  readonly firstOffset: bigint
}
export interface EpochEnd {
  readonly leaderEpoch: number
  readonly endOffset: bigint
}
export interface OffsetAndEpoch {
  readonly offset: bigint
  readonly timestampMs: bigint
  readonly leaderEpoch: number
}

export interface ReadFound {
  readonly view: LogView
  /**
   * Whole batches, the first of which contains the asked offset or follows it. Shared and immutable: never write into
   * them.
   */
  readonly chunks: readonly Uint8Array[]
  /** Only for 'committed': the aborted transactions that reach into what was read, ordered by first offset. */
  readonly aborted: readonly AbortedTransaction[]
  /** The asked history differs from this log's: no chunks then. */
  readonly diverging?: EpochEnd
  /**
   * Offers the memory of the chunks back, where it can be used again: to be called at most once, by a reader that keeps
   * no view of them and has nobody else looking at them. A reader that never calls it costs no more than the time of a
   * collection.
   */
  readonly release?: () => void
}
export type ReadResult = ({ readonly ok: true } & ReadFound) | (Failure & { readonly view?: LogView })

export interface ReadOptions {
  /** Over all requests together. */
  readonly maxBytes: number
  /** The first batch of the first log that has data is returned even if it alone is beyond every limit (KIP-74). */
  readonly minOneBatch: boolean
  /** What the files have, also where it is kept in memory: for whoever checks them. */
  readonly isFromFiles?: boolean
}

export type WakeCause = 'appended' | 'logStart' | 'truncated' | 'dropped' | 'offline' | 'leaderEpoch'
export interface Subscription {
  close(): void
}

/** A transaction without a marker yet. */
export interface OpenTransaction {
  readonly producerId: bigint
  readonly producerEpoch: number
  readonly coordinatorEpoch: number
  readonly firstOffset: bigint
}
export interface ActiveProducer extends Omit<OpenTransaction, 'firstOffset'> {
  readonly lastSequence: number
  readonly lastTimestampMs: bigint
  /** -1 when no transaction is open. */
  readonly currentTransactionStartOffset: bigint
}

/** The topic configs the engine acts on, already typed and validated by the caller. Names are Kafka's, in camelCase. */
export interface LogConfig {
  readonly cleanupPolicy: { readonly compact: boolean; readonly delete: boolean }
  readonly compressionType: 'producer' | 'uncompressed' | 'gzip' | 'snappy' | 'lz4' | 'zstd'
  readonly compressionLevels: { readonly gzip: number; readonly lz4: number; readonly zstd: number }
  readonly deleteRetentionMs: bigint
  readonly fileDeleteDelayMs: bigint
  readonly flushMessages: bigint
  readonly flushMs: bigint
  readonly indexIntervalBytes: number
  readonly maxCompactionLagMs: bigint
  readonly maxMessageBytes: number
  readonly maxDecompressedMessageBytes: number
  readonly messageTimestampAfterMaxMs: bigint
  readonly messageTimestampBeforeMaxMs: bigint
  readonly messageTimestampType: 'CreateTime' | 'LogAppendTime'
  readonly minCleanableDirtyRatio: number
  readonly minCompactionLagMs: bigint
  readonly preallocate: boolean
  readonly retentionBytes: bigint
  readonly retentionMs: bigint
  readonly segmentBytes: number
  readonly segmentIndexBytes: number
  readonly segmentJitterMs: bigint
  readonly segmentMs: bigint
}

export interface TopicSpec {
  readonly topicId: Uuid
  /** Appears in folder names only. */
  readonly name: string
  readonly partitions: readonly { readonly partitionIndex: number; readonly leaderEpoch: number }[]
  readonly config: LogConfig
  /** A mirror: only appends of origin 'mirror' get in, and no retention of its own applies. */
  readonly isMirror: boolean
}

/** What a promote did to one log. */
export interface Promoted {
  readonly logEndOffset: bigint
  readonly leaderEpoch: number
  /** The last mirrored epoch and the log end before the markers. */
  readonly lastMirrored: { readonly leaderEpoch: number; readonly endOffset: bigint }
  readonly aborted: readonly OpenTransaction[]
}

export interface HousekeepingReport {
  readonly deletedSegments: number
  readonly deletedBytes: number
  readonly rolledSegments: number
  readonly expiredProducers: number
}

export interface CleanOptions {
  /** Wall clock of the caller, in milliseconds. */
  readonly nowMs: bigint
  /** Waited for after so many bytes were read and looked into: throttles the cleaning, and lets others run. */
  readonly pace: (sizeBytes: number) => Promise<void>
  /** Ends a cleaning early. What it has replaced by then stays so. */
  readonly signal?: AbortSignal
}

export interface CleaningReport {
  /** The log that was compacted, if there was one to compact. */
  readonly cleaned?: { readonly label: string; readonly bytesBefore: number; readonly bytesAfter: number }
  /** Logs that were tried before it. A final failure is not tried again until a restart. */
  readonly failures: readonly (Failure & { readonly label: string; readonly isFinal: boolean })[]
}

export interface LogStore {
  /** The handle of a log that exists, synchronously. */
  find(id: LogId): LogHandle | undefined

  /**
   * Appends to several logs; each entry settles on its own. Same length and order as `entries`. Offsets are assigned in
   * call order before this returns its promise. Resolves when the bytes are written (and synced, where `durable` or the
   * config asks for it), so that `kill -9` can't lose them. From then on the caller may use the memory of a batch again
   * that is less than half of the buffer it is a view of; a larger one may be kept as it is.
   */
  append(entries: readonly AppendEntry[], options: AppendOptions): Promise<readonly AppendResult[]>

  /**
   * Reads whole batches below the high watermark ('uncommitted') or the last stable offset ('committed'). Same length
   * and order.
   */
  read(requests: readonly ReadRequest[], options: ReadOptions): Promise<readonly ReadResult[]>

  /**
   * Tells of every change of what can be seen. The listener must not throw and must return quickly; it may be called
   * within `append`'s completion.
   */
  subscribe(logs: readonly LogHandle[], listener: (log: LogHandle, cause: WakeCause) => void): Subscription

  /** Last known, synchronous. Throws for a dropped log: resolve handles from the current metadata image. */
  view(log: LogHandle): LogView
  /**
   * Bytes of visible records from `offset` (inclusive) up to the end of `isolation`, an estimate that never says less
   * than there is by more than a batch. Synchronous, for fetch.min.bytes.
   */
  availableBytes(log: LogHandle, offset: bigint, isolation: ReadRequest['isolation']): number
  sizeBytes(log: LogHandle): number

  /** The first record whose timestamp is at or after `timestampMs`, below the high watermark. */
  offsetForTime(log: LogHandle, timestampMs: bigint): Promise<Result<{ found: OffsetAndEpoch | undefined }>>
  /** The record with the largest timestamp; of several, the earliest. */
  maxTimestamp(log: LogHandle): Promise<Result<{ found: OffsetAndEpoch | undefined }>>
  /**
   * Kafka's OffsetsForLeaderEpoch: the largest epoch at or below the asked one, and where it ends. Epoch -1, offset -1
   * when unknown.
   */
  endOffsetForEpoch(log: LogHandle, leaderEpoch: number): Promise<Result<EpochEnd>>
  /** The leader epoch of the record at `offset`, or -1. */
  epochAt(log: LogHandle, offset: bigint): number

  /**
   * Moves the log start forward (DeleteRecords, retention, a mirror's source). May lie inside a batch. Never beyond the
   * high watermark.
   */
  deleteBefore(log: LogHandle, offset: bigint, fence?: Fence): Promise<Result<LogView>>
  /** Empties the log and begins at `offset` (mirror start, a gap that may be skipped). */
  startAt(log: LogHandle, offset: bigint, fence: Fence): Promise<Result<LogView>>
  /** Cuts everything from `offset` on. */
  truncateTo(log: LogHandle, offset: bigint, fence: Fence): Promise<Result<LogView>>
  raiseLeaderEpoch(log: LogHandle, atLeast: number, fence?: Fence): Promise<Result<LogView>>
  openTransactions(log: LogHandle): readonly OpenTransaction[]
  activeProducers(log: LogHandle): readonly ActiveProducer[]

  /** Accepts only calls with this fence or a later one of the same lease from now on. */
  fence(log: LogHandle, fence: Fence): void
  /**
   * Makes a mirror writable: raises the leader epoch to at least `leaderEpoch`, then aborts open transactions with
   * markers of that epoch, keeps producer state, syncs. Idempotent by `decision.id`: a second call, also after a crash,
   * gives the same end.
   */
  promote(
    log: LogHandle,
    decision: { readonly id: string; readonly leaderEpoch: number; readonly nowMs: bigint },
    fence: Fence,
  ): Promise<Result<Promoted>>

  /** Creates the logs of a topic, or opens those that are there after a restart. Idempotent. */
  create(topic: TopicSpec): Promise<Result>
  configure(topicId: Uuid, config: LogConfig): void
  housekeep(nowMs: bigint): Promise<HousekeepingReport>
  /**
   * Compacts the one log that needs it most, if any does: by Kafka's rules (`cleanup.policy`,
   * `min.cleanable.dirty.ratio`, the compaction lags), mirrors too. Resolves when it is done, which may take long;
   * calls do not overlap.
   */
  clean(options: CleanOptions): Promise<CleaningReport>
  /** Syncs the logs that `flush.ms` says are due. To be called more often than that. */
  flushDue(nowMs: bigint): Promise<void>
  /** Syncs one log, or all. */
  flush(log?: LogHandle): Promise<Result>
  /**
   * Deletes the logs of a topic. Its name is free as soon as this resolves. Reads in flight end with UNKNOWN_LOG or
   * with what they have.
   */
  drop(topicId: Uuid): Promise<Result>
  /**
   * Syncs all, marks a clean stop, closes. Appends and creations that come after the call are LOG_OFFLINE.
   *
   * @throws StorageError when something could not be synced, or the stop not be marked as clean. All is closed all the
   * same; logs that went offline before are not told again.
   */
  close(): Promise<void>
}
