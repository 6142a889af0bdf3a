/**
 * One partition of a mirror while its link copies it. Its only memory of progress is the mirror's own log end; what is
 * kept here beside it is where the next fetch goes on while earlier batches are still being written.
 */
import assert from 'node:assert/strict'
import { errorNameOf } from '../../protocol/errors.ts'
import { lastOffsetOf, type BatchRef, type RecordsError } from '../../protocol/records/batch.ts'
import type { AppendResult, Fence, LogHandle, LogStore } from '../../storage/log-store.ts'
import type { Clock, Logger, Random, Timer } from '../environment/environment.ts'
import type { BrokerMetrics } from '../metrics/broker-metrics.ts'
import type { FetchedPartition, FetchPosition, RemoteTopic } from '../remote/remote.ts'
import type { LinkConfigs } from './link-configs.ts'
import type { MirrorTopicError } from './link-service.ts'
import { receivedBatches } from './received-batches.ts'

/** From this Fetch version on the source itself compares histories (KIP-595's lastFetchedEpoch). */
const epochCheckFromVersion = 12
/** So many answers' worth of bytes may wait for the disk before a partition is asked for more. */
const fetchesAhead = 4
/** A source end below the mirror's is believed when it is seen this often in a row. */
const truncationConfirmations = 3

export interface Trouble {
  readonly reason: string
  readonly sinceMs: number
  /** Wall clock, ms; undefined where it does not try again by itself. */
  readonly nextRetryMs: number | undefined
}

/** What a partition asks of the topic and the link around it. */
export interface PartitionOwner {
  readonly configs: LinkConfigs
  /** The partition can be fetched again, or not any more. */
  readinessChanged(partition: MirrorPartition): void
  /** The source's leaders or topics are not what we think. */
  refreshSource(): void
  /** The whole mirror fails, for good. */
  fail(error: MirrorTopicError, reason: string): void
  /** The fetch offset is outside of the source's log: find out why. */
  outOfRange(partition: MirrorPartition): void
  /** The source's log goes on with a batch that begins in front of the end of our log, which is empty. */
  beginsWithin(partition: MirrorPartition): void
  /** The source is too old to compare histories by itself: do it before anything is appended. */
  validate(partition: MirrorPartition): void
}

export interface PartitionParts {
  readonly logs: LogStore
  readonly metrics?: BrokerMetrics | undefined
  readonly clock: Clock
  readonly random: Random
  readonly logger: Logger
  readonly owner: PartitionOwner
  readonly log: LogHandle
  readonly fence: Fence
  readonly partitionIndex: number
}

type Activity = 'fetching' | 'waiting' | 'checking' | 'off'

export class MirrorPartition {
  readonly partitionIndex: number
  readonly log: LogHandle
  leaderId = -1
  leaderEpoch = -1
  /** As last seen, -1 before the first answer. */
  sourceHighWatermark = -1n
  sourceLogStart = -1n
  lastFetchMs: number | undefined
  /** How often the source may have changed its history: a comparison counts only while this stands still. */
  historyChanges = 0
  readonly #parts: PartitionParts
  #activity: Activity = 'off'
  #trouble: Trouble | undefined
  #nextOffset = 0n
  #lastEpoch = -1
  #maxBytes = 0
  #pendingAppends = 0
  #pendingBytes = 0
  #mustRewind = false
  #retryTimer: Timer | undefined
  #backoffMs = 0
  #truncationsSeen = 0
  #isMovingStart = false
  /** Below this offset batches go in one by one: one of them is broken, and those in front of it are good. */
  #carefulUntil = -1n
  /** Nothing is taken below `epochCheckFromVersion` before the histories were compared. */
  #isValidated = false
  #whenIdle: (() => void)[] = []

  constructor(parts: PartitionParts) {
    this.#parts = parts
    this.partitionIndex = parts.partitionIndex
    this.log = parts.log
  }

  get nextOffset(): bigint {
    return this.#nextOffset
  }

  /** The epoch of the last record held, -1 where there is none. */
  get lastEpoch(): number {
    return this.#lastEpoch
  }

  get trouble(): Trouble | undefined {
    return this.#trouble
  }

  get isRunning(): boolean {
    return this.#activity !== 'off'
  }

  /** Nothing was mirrored yet, and no start was chosen. */
  get isFresh(): boolean {
    return this.#parts.logs.view(this.log).logEndOffset === 0n
  }

  /** Begins to fetch behind the end of the log. */
  start(): void {
    if (this.#activity !== 'off') return
    this.#maxBytes = this.#parts.owner.configs.replicaFetchMaxBytes
    this.#backoffMs = 0
    this.#trouble = undefined
    this.#activity = 'waiting'
    this.rewind()
  }

  /** Takes nothing more. Batches that were handed to the log are still written: `idle` waits for them. */
  stop(): void {
    this.#retryTimer?.cancel()
    this.#retryTimer = undefined
    this.#activity = 'off'
    this.#trouble = undefined
    this.#parts.owner.readinessChanged(this)
  }

  /** Resolves when no append is under way. */
  idle(): Promise<void> {
    if (this.#pendingAppends === 0) return Promise.resolve()
    return new Promise((resolve) => this.#whenIdle.push(resolve))
  }

  /** A new source connection or leader: what was known of the source's history may not hold any more. */
  forgetValidation(): void {
    this.#isValidated = false
    this.historyChanges++
  }

  /** The histories agree, as of so many changes. Goes on, and compares again when there was another one since. */
  validated(historyChanges: number): void {
    this.#isValidated = historyChanges === this.historyChanges
    this.rewind()
  }

  /** Its leader could not be asked. The fetcher tries again; until an answer comes, describe shows this. */
  unreached(reason: string, retryInMs: number): void {
    this.forgetValidation()
    if (this.#activity === 'off') return
    const nowMs = this.#parts.clock.nowMs()
    this.#trouble = { reason, sinceMs: this.#trouble?.sinceMs ?? nowMs, nextRetryMs: nowMs + retryInMs }
  }

  /** What to ask for next; undefined while it is not to be asked. */
  position(topic: RemoteTopic): FetchPosition | undefined {
    if (this.#activity !== 'fetching' || this.#pendingBytes >= fetchesAhead * this.#maxBytes) return undefined
    return {
      topicName: topic.name,
      topicId: topic.topicId,
      partitionIndex: this.partitionIndex,
      fetchOffset: this.#nextOffset,
      lastFetchedEpoch: this.#lastEpoch,
      currentLeaderEpoch: this.leaderEpoch,
      maxBytes: this.#maxBytes,
    }
  }

  /**
   * Takes one answer to `position`. The promise, where there is one, resolves when the bytes of the answer are not
   * needed any more; it never rejects. `dropped`: nothing of the answer was used, so that the source has to tell it
   * again.
   */
  receive(fetched: FetchedPartition, position: FetchPosition, version: number): Promise<void> | 'dropped' | undefined {
    if (this.#activity !== 'fetching' || position.fetchOffset !== this.#nextOffset) return 'dropped'
    this.lastFetchMs = this.#parts.clock.nowMs()
    if (fetched.errorCode !== 0) return this.#refused(fetched.errorCode)
    if (fetched.diverging) return this.#diverged(fetched.diverging)
    if (version < epochCheckFromVersion && !this.#isValidated && this.#lastEpoch >= 0) {
      this.#activity = 'checking'
      this.#parts.owner.validate(this)
      return 'dropped'
    }
    this.sourceHighWatermark = fetched.highWatermark
    this.#follow(fetched.logStartOffset)
    if (fetched.records.length === 0) this.#recovered()
    return this.#take(fetched.records)
  }

  /** Goes on where the log ends, unless it was stopped. */
  rewind(): void {
    if (this.#activity === 'off') return
    if (this.#pendingAppends > 0) {
      this.#mustRewind = true
      this.#activity = 'waiting'
      return
    }
    const { logs } = this.#parts
    const view = logs.view(this.log)
    this.#mustRewind = false
    this.#nextOffset = view.logEndOffset
    this.#lastEpoch = view.logEndOffset > view.logStartOffset ? logs.epochAt(this.log, view.logEndOffset - 1n) : -1
    this.#activity = 'fetching'
    this.#parts.owner.readinessChanged(this)
  }

  /** Goes on at the log end without naming the epoch of the last record: the source's log begins exactly there. */
  rewindWithoutEpoch(): void {
    this.rewind()
    this.#lastEpoch = -1
  }

  /** Tries again after a pause that grows, with a reason that describe shows. */
  retryLater(reason: string): void {
    if (this.#activity === 'off') return
    const { clock, random, owner, logger } = this.#parts
    const maxMs = Number(owner.configs.reconnectBackoffMaxMs)
    const firstMs = Math.max(1, Number(owner.configs.reconnectBackoffMs))
    this.#backoffMs = Math.min(maxMs, this.#backoffMs === 0 ? firstMs : this.#backoffMs * 2)
    const delayMs = this.#backoffMs * (0.8 + random.below(400) / 1000)
    const nowMs = clock.nowMs()
    if (this.#trouble === undefined || this.#trouble.reason !== reason)
      logger.warn({ partition: this.log.label, reason, retryInMs: Math.round(delayMs) }, 'mirror partition waits')
    this.#trouble = { reason, sinceMs: this.#trouble?.sinceMs ?? nowMs, nextRetryMs: nowMs + delayMs }
    this.#activity = 'waiting'
    this.#retryTimer?.cancel()
    this.#retryTimer = clock.setTimer(delayMs, () => {
      this.#retryTimer = undefined
      if (this.#activity === 'waiting') this.rewind()
    })
    owner.readinessChanged(this)
  }

  /** Something that must not happen did: this partition stands still, and says so, until a restart. */
  breakDown(reason: string): void {
    this.stop()
    this.#trouble = { reason, sinceMs: this.#parts.clock.nowMs(), nextRetryMs: undefined }
  }

  /** The source's end is below ours: true when it was seen often enough to be believed. */
  confirmTruncation(): boolean {
    this.#truncationsSeen++
    return this.#truncationsSeen >= truncationConfirmations
  }

  #recovered(): void {
    this.#backoffMs = 0
    this.#trouble = undefined
    this.#truncationsSeen = 0
  }

  #refused(errorCode: number): undefined {
    const name = errorNameOf(errorCode)
    if (name === 'OFFSET_OUT_OF_RANGE') {
      this.#activity = 'checking'
      this.#parts.owner.outOfRange(this)
      return undefined
    }
    this.forgetValidation()
    this.#parts.owner.refreshSource()
    this.retryLater(`the source answers ${name}`)
    return undefined
  }

  #diverged({ leaderEpoch, endOffset }: { leaderEpoch: number; endOffset: bigint }): undefined {
    const reason =
      `partition ${this.partitionIndex}: the source has another history from offset ${endOffset} on ` +
      `(its leader epoch ${leaderEpoch} ends there), the mirror has records up to ${this.#nextOffset} ` +
      `with leader epoch ${this.#lastEpoch}`
    this.stop()
    this.#parts.owner.fail('UNEXPECTED_TRUNCATION', reason)
    return undefined
  }

  /**
   * Follows the source's log start: what is gone there goes here, as far as it is mirrored; the rest when it is
   * written.
   */
  #follow(sourceLogStart: bigint): void {
    if (sourceLogStart > this.sourceLogStart) this.sourceLogStart = sourceLogStart
    this.#followLogStart()
  }

  #followLogStart(): void {
    const { sourceLogStart } = this
    const { logs, fence, logger } = this.#parts
    const view = logs.view(this.log)
    const offset = sourceLogStart < view.highWatermark ? sourceLogStart : view.highWatermark
    if (offset <= view.logStartOffset || this.#isMovingStart) return
    this.#isMovingStart = true
    logs
      .deleteBefore(this.log, offset, fence)
      .then(
        (result) => {
          if (!result.ok)
            logger.warn(
              { partition: this.log.label, code: result.code, reason: result.message },
              'log start of a mirror not moved',
            )
        },
        (error: unknown) => logger.error({ partition: this.log.label, err: error }, 'log start of a mirror not moved'),
      )
      .finally(() => (this.#isMovingStart = false))
      .catch(() => undefined) // neither of both throws
  }

  #take(records: Uint8Array): Promise<void> | undefined {
    const { batches: received, broken } = receivedBatches(records)
    const batches = received.filter(({ header }) => lastOffsetOf(header) >= this.#nextOffset)
    if (batches.length > 0) return this.#append(this.#nextOffset < this.#carefulUntil ? batches.slice(0, 1) : batches)
    if (broken) return this.#unreadable(broken)
    // Only the beginning of a batch that is larger than what was asked for.
    if (records.length > 0) this.#maxBytes = Math.min(this.#maxBytes * 2, 0x3fffffff)
    return undefined
  }

  #unreadable(error: RecordsError): undefined {
    if (error.code === 'UNSUPPORTED_MAGIC') {
      this.stop()
      this.#parts.owner.fail('UNSUPPORTED_MESSAGE_FORMAT', `partition ${this.partitionIndex}: ${error.message}`)
    } else {
      this.retryLater(`the source sends a broken batch: ${error.message}`)
    }
    return undefined
  }

  async #append(batches: readonly BatchRef[]): Promise<void> {
    const { logs, clock, fence, metrics } = this.#parts
    const last = batches.at(-1)!.header
    const expectedLogEndOffset = this.#nextOffset
    const sizeBytes = batches.reduce((sum, batch) => sum + batch.bytes.length, 0)
    this.#pendingAppends++
    this.#pendingBytes += sizeBytes
    this.#nextOffset = lastOffsetOf(last) + 1n
    this.#lastEpoch = last.partitionLeaderEpoch
    // Far behind the source: whoever follows the mirror is not served from memory then, but nothing is copied into it
    // either.
    const isBulk = this.#nextOffset < this.sourceHighWatermark
    const mode = { kind: 'preserve', expectedLogEndOffset, isBulk } as const
    const entry = { log: this.log, batches, mode, origin: 'mirror', fence } as const
    const [result] = await logs.append([entry], { nowMs: BigInt(clock.nowMs()) })
    this.#pendingAppends--
    this.#pendingBytes -= sizeBytes
    assert(result)
    if (result.ok) metrics?.noteAppended('mirror', batches)
    else if (metrics) metrics.appends.mirror.failures++
    if (!result.ok && result.code === 'CORRUPT_BATCH' && batches.length > 1)
      this.#carefulUntil = lastOffsetOf(last) + 1n
    const isRefused = !result.ok && result.code === 'INVALID_RECORD'
    if (isRefused && this.#isWithin(batches[0]!, expectedLogEndOffset)) this.#beginWithin()
    else this.#appended(result)
    if (this.#pendingAppends > 0) return
    for (const resolve of this.#whenIdle.splice(0)) resolve()
    if (this.#mustRewind && this.#activity === 'waiting' && !this.#retryTimer) this.rewind()
  }

  /** A log that lost its records with the power, but not its log start, may begin within a batch of its source. */
  #isWithin({ header }: BatchRef, expectedLogEndOffset: bigint): boolean {
    const { logStartOffset, logEndOffset } = this.#parts.logs.view(this.log)
    const isEmpty = logStartOffset === logEndOffset && logEndOffset === expectedLogEndOffset
    return isEmpty && header.baseOffset < expectedLogEndOffset
  }

  #beginWithin(): void {
    if (this.#activity !== 'fetching') return
    this.#activity = 'checking'
    this.#parts.owner.beginsWithin(this)
  }

  #appended(result: AppendResult): void {
    if (this.#activity === 'off') return
    if (result.ok) {
      if (this.#activity === 'fetching') this.#recovered()
      this.#followLogStart()
      return this.#parts.owner.readinessChanged(this)
    }
    switch (result.code) {
      case 'FENCED':
      case 'UNKNOWN_LOG':
        return this.stop()
      case 'OFFSET_MISMATCH':
        // An append before this one failed, or someone moved the end: the log says where to go on.
        if (this.#activity === 'fetching') this.rewind()
        return
      case 'LEADER_EPOCH_STALE':
        this.stop()
        return this.#parts.owner.fail(
          'NON_MONOTONIC_SOURCE_EPOCH',
          `partition ${this.partitionIndex}: ${result.message}`,
        )
      default:
        return this.retryLater(`the batch was not appended: ${result.message}`)
    }
  }
}
