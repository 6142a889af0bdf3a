/**
 * What an append has to pass before it is queued, and what it gets then: offsets, producer state, and places in the
 * log, all of them ahead of what is written. They hold if everything queued before it is written; when a write fails,
 * the log goes back to what is visible, and nothing that was given behind it counts.
 */
import { assignInPlace, RecordsError, withLogAppendTime, type BatchRef } from '../protocol/records/batch.ts'
import { checkBatches, type CheckOptions } from './append-checks.ts'
import { AppendPlan, type PlacedBatch } from './append-plan.ts'
import { unusable } from './log-reader.ts'
import type { LogState } from './log-state.ts'
import type { AppendEntry, AppendOptions, AppendResult, Failure, Fence, LentMemory } from './log-store.ts'
import { failure, failureOf, StorageError } from './outcome.ts'
import type { StagedProducers } from './producer-state.ts'

/** An append between its call and its answer. */
export interface PendingAppend {
  readonly kind: 'append'
  readonly entry: AppendEntry
  readonly options: AppendOptions
  readonly settle: (result: AppendResult) => void
  /** Empty until it has its offsets. */
  readonly placed: PlacedBatch[]
  sizeBytes: number
  logAppendTimeMs: bigint
  /** Repeats of this append that came while it was under way: they share its outcome. */
  repeats: ((result: AppendResult) => void)[] | undefined
}

export class AppendAdmission {
  readonly #state: LogState
  readonly #fences = new Map<string, bigint>()
  #plan: AppendPlan

  constructor(state: LogState) {
    this.#state = state
    this.#plan = planOf(state)
  }

  fence(fence: Fence): void {
    const known = this.#fences.get(fence.lease)
    if (known === undefined || known < fence.fenceEpoch) this.#fences.set(fence.lease, fence.fenceEpoch)
  }

  refusedByFence(fence: Fence | undefined): Failure | undefined {
    const known = fence && this.#fences.get(fence.lease)
    if (known === undefined || known <= fence!.fenceEpoch) return undefined
    return failure('FENCED', `lease ${fence!.lease} has moved on to ${known}, got ${fence!.fenceEpoch}`)
  }

  /** Goes on from what is visible. */
  restart(): void {
    this.#plan = planOf(this.#state)
  }

  /**
   * Gives an append its offsets and places. The answer instead where it is refused, or where it repeats an earlier
   * append, which may be under way still.
   */
  admit(append: PendingAppend): AppendResult | undefined {
    const { entry, options } = append
    const refused = unusable(this.#state) ?? this.refusedByFence(entry.fence) ?? this.#refusedByMode(entry)
    if (refused) return refused
    const when = { config: this.#state.config, nowMs: options.nowMs }
    const batches = checkBatches(entry, when)
    if (!Array.isArray(batches)) return batches as AppendResult
    const duplicate = entry.origin === 'client' ? this.#answerDuplicate(batches[0]!) : undefined
    if (duplicate) return duplicate
    try {
      this.#assign(append, batches, when)
      return undefined
    } catch (error) {
      if (error instanceof RecordsError) return failure('INVALID_RECORD', error.message)
      return failureOf(error)
    }
  }

  #refusedByMode(entry: AppendEntry): AppendResult | undefined {
    const state = this.#state
    if (state.isMirror && entry.origin !== 'mirror') {
      return failure('READ_ONLY', `Cannot append records to read-only mirror topic '${state.topicName}'`)
    }
    if (entry.mode.kind === 'assign') {
      if (entry.mode.leaderEpoch >= state.leaderEpoch) return undefined
      return failure(
        'LEADER_EPOCH_STALE',
        `${state.label} has leader epoch ${state.leaderEpoch}, got ${entry.mode.leaderEpoch}`,
      )
    }
    if (!state.isMirror && entry.origin === 'mirror') {
      return failure('FENCED', `${state.label} is no mirror any more`)
    }
    const expected = this.#plan.nextOffset
    if (entry.mode.expectedLogEndOffset === expected) return undefined
    const message = `${state.label} ends at ${expected}, expected ${entry.mode.expectedLogEndOffset}`
    return { ...failure('OFFSET_MISMATCH', message), expected }
  }

  #answerDuplicate(batch: BatchRef): AppendResult | undefined {
    const duplicate = this.#state.producers.findDuplicate(batch)
    if (!duplicate) return undefined
    const { lastOffset, offsetDelta, timestampMs } = duplicate
    return {
      ok: true,
      baseOffset: lastOffset - BigInt(offsetDelta),
      lastOffset,
      logStartOffset: this.#state.logStartOffset,
      logAppendTimeMs: timestampMs, // as Kafka, whatever the timestamp type
      duplicate: true,
    }
  }

  /** Offsets, producer state and places for all batches, or (throwing) for none. */
  #assign(append: PendingAppend, batches: readonly BatchRef[], when: CheckOptions): void {
    const { mode, origin } = append.entry
    const state = this.#state
    if (mode.kind === 'preserve') this.#checkOwnOffsets(batches)
    const isStamped = origin !== 'mirror' && state.config.messageTimestampType === 'LogAppendTime'
    const stamped = isStamped ? batches.map((batch) => withMaxTimestamp(batch, when.nowMs)) : batches
    if (isStamped) append.logAppendTimeMs = when.nowMs
    const staged = this.#stage(append.entry, stamped)
    for (const batch of stamped) this.#place(append, batch, when)
    if (staged) state.producers.commit(staged)
  }

  /** @throws StorageError by the rules of sequences, epochs and transactions. */
  #stage({ mode, origin }: AppendEntry, batches: readonly BatchRef[]): StagedProducers | undefined {
    let staged: StagedProducers | undefined
    let next = this.#plan.nextOffset
    for (const batch of batches) {
      const { header } = batch
      const baseOffset = mode.kind === 'assign' ? next : header.baseOffset
      next = baseOffset + BigInt(header.lastOffsetDelta) + 1n
      if (header.producerId < 0n) continue
      staged ??= this.#state.producers.stage(origin)
      staged.add(batch, baseOffset)
    }
    return staged
  }

  #place(append: PendingAppend, batch: BatchRef, when: CheckOptions): void {
    const state = this.#state
    const { mode } = append.entry
    const { header } = batch
    const baseOffset = mode.kind === 'assign' ? this.#plan.nextOffset : header.baseOffset
    const leaderEpoch = mode.kind === 'assign' ? mode.leaderEpoch : header.partitionLeaderEpoch
    const placed = this.#plan.take(batch, baseOffset, when)
    if (mode.kind === 'preserve' && mode.isBulk === true) state.tail.skip()
    else state.tail.place(placed, memoryOf(batch, append.entry))
    if (mode.kind === 'assign') assignInPlace(placed.bytes, { baseOffset, leaderEpoch })
    if (append.logAppendTimeMs >= 0n) withLogAppendTime(placed.bytes, append.logAppendTimeMs)
    state.epochs.assign(leaderEpoch, baseOffset)
    if (leaderEpoch > state.leaderEpoch) state.leaderEpoch = leaderEpoch
    append.placed.push(placed)
    append.sizeBytes += placed.bytes.length
  }

  /** @throws StorageError when offsets or leader epochs go back. */
  #checkOwnOffsets(batches: readonly BatchRef[]): void {
    const state = this.#state
    let next = this.#plan.nextOffset
    let epoch = state.epochs.latest
    // A log that begins within a batch of its source holds that batch whole.
    let isFirst = state.activeSegment.isEmpty && state.segments.length === 1 && next === state.highWatermark
    for (const { header } of batches) {
      const lastOffset = header.baseOffset + BigInt(header.lastOffsetDelta)
      if (header.baseOffset < next && !(isFirst && lastOffset >= next)) {
        throw new StorageError('INVALID_RECORD', `batch begins at ${header.baseOffset}, expected ${next} or more`)
      }
      if (header.partitionLeaderEpoch >= 0 && header.partitionLeaderEpoch < epoch) {
        throw new StorageError(
          'LEADER_EPOCH_STALE',
          `batch has leader epoch ${header.partitionLeaderEpoch}, expected ${epoch} or more`,
        )
      }
      isFirst = false
      next = lastOffset + 1n
      epoch = Math.max(epoch, header.partitionLeaderEpoch)
    }
  }
}

/** The lent memory that a batch lies in: not where it was built anew, compressed otherwise for one. */
function memoryOf({ bytes }: BatchRef, { memory, batches }: AppendEntry): LentMemory | undefined {
  return memory && batches.some((handedIn) => handedIn.bytes === bytes) ? memory : undefined
}

function planOf(state: LogState): AppendPlan {
  return new AppendPlan(state.label, state.activeSegment, state.highWatermark)
}

function withMaxTimestamp(batch: BatchRef, maxTimestamp: bigint): BatchRef {
  return { bytes: batch.bytes, header: { ...batch.header, maxTimestamp } }
}
