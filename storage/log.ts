/**
 * One partition: its queue of appends and of exclusive operations.
 *
 * Group commit. One write is in flight; what arrives meanwhile goes out in the next vectored write. Offsets and producer state
 * are given when an append is queued, before it is written; only complete writes become visible. When a write fails, it and
 * all that is queued behind it fail, the log is cut to its last whole batch, and its state is derived anew before the next
 * append gets an offset. When that fails too, or a sync does, the log goes offline until a restart.
 */
import { strict as assert } from 'node:assert'
import { assignInPlace, RecordsError, withLogAppendTime, type BatchRef } from '../protocol/records/batch.ts'
import { DiskError } from './disk.ts'
import { checkBatches } from './append-checks.ts'
import { AppendPlan, type PlacedBatch } from './append-plan.ts'
import { unusable } from './log-reader.ts'
import { LogCheckpoint } from './log-checkpoint.ts'
import type { LogState } from './log-state.ts'
import type {
  AppendEntry,
  AppendOptions,
  AppendResult,
  Failure,
  Fence,
  LogHandle,
  LogId,
  Result,
  WakeCause,
} from './log-store.ts'
import { failure, failureOf, StorageError } from './outcome.ts'
import type { StagedProducers, WrittenBatch } from './producer-state.ts'
import { openSegment, rebuildHistory, saveEpochs } from './recovery.ts'
import type { Segment } from './segment.ts'
import { SegmentSync } from './segment-sync.ts'

/** A group is closed at this size, so that the first of it does not wait for ever more. */
const groupLimitBytes = 16 * 1024 * 1024
export const defaultUnsyncedLimitBytes = 64 * 1024 * 1024

export type LogListener = (log: LogHandle, cause: WakeCause) => void

/** An append between its call and its answer. */
interface PendingAppend {
  readonly kind: 'append'
  readonly entry: AppendEntry
  readonly options: AppendOptions
  readonly settle: (result: AppendResult) => void
  /** Empty until it has its offsets. */
  placed: readonly PlacedBatch[]
  sizeBytes: number
  logAppendTimeMs: bigint
  /** Repeats of this append that came while it was under way: they share its outcome. */
  readonly repeats: ((result: AppendResult) => void)[]
}

interface ExclusiveTask {
  readonly kind: 'task'
  readonly run: () => Promise<void>
}

export class PartitionLog implements LogHandle {
  readonly state: LogState
  readonly sync: SegmentSync
  readonly checkpoint: LogCheckpoint
  readonly listeners = new Set<LogListener>()
  readonly #fences = new Map<string, bigint>()
  readonly #queue: (PendingAppend | ExclusiveTask)[] = []
  #writing: readonly PendingAppend[] = []
  /** Tasks queued or running: appends behind them get their offsets when these are done. */
  #waitingTasks = 0
  #plan: AppendPlan
  #isRunning = false
  #idle: Promise<void> = Promise.resolve()
  #replacedSegment: Segment | undefined

  /** `unsyncedLimitBytes`: so many bytes may be appended before they are synced in the background. */
  constructor(state: LogState, unsyncedLimitBytes = defaultUnsyncedLimitBytes) {
    this.state = state
    this.sync = new SegmentSync(state)
    this.checkpoint = new LogCheckpoint(this, unsyncedLimitBytes)
    this.#plan = this.#freshPlan()
  }

  get hasUnsavedEpochs(): boolean {
    return this.state.savedEpochs !== this.state.epochs.changeCount
  }

  get id(): LogId {
    return this.state.id
  }

  get label(): string {
    return this.state.label
  }

  append(entry: AppendEntry, options: AppendOptions): Promise<AppendResult> {
    return new Promise((resolve) => {
      const pending: PendingAppend = {
        kind: 'append',
        entry,
        options,
        settle: resolve,
        placed: [],
        sizeBytes: 0,
        logAppendTimeMs: -1n,
        repeats: [],
      }
      if (this.#waitingTasks > 0 || this.#prepare(pending)) {
        this.#queue.push(pending)
        this.#start()
      }
    })
  }

  /** Runs `work` alone: after all appends that were called before, and before those that are called later. */
  exclusive<T extends object>(work: () => Promise<T>, fence?: Fence): Promise<Result<T>> {
    return new Promise((resolve) => {
      const run = async () => {
        const refused = unusable(this.state) ?? this.#refusedByFence(fence)
        if (refused) return resolve(refused)
        try {
          resolve({ ok: true, ...(await work()) })
        } catch (error) {
          resolve(this.#failureOfTask(error))
        }
      }
      this.#waitingTasks += 1
      this.#queue.push({ kind: 'task', run })
      this.#start()
    })
  }

  fence(fence: Fence): void {
    const known = this.#fences.get(fence.lease)
    if (known === undefined || known < fence.fenceEpoch) this.#fences.set(fence.lease, fence.fenceEpoch)
  }

  notify(cause: WakeCause): void {
    for (const listener of this.listeners) listener(this, cause)
  }

  /** Nothing works on this log any more, until a restart. */
  goOffline(reason: string): void {
    if (this.state.status !== 'online') return
    this.state.status = 'offline'
    this.state.offlineReason = reason
    this.state.generation += 1
    this.notify('offline')
  }

  /** Resolves when everything that is queued now is done. */
  async drain(): Promise<void> {
    while (this.#isRunning) await this.#idle
  }

  /** To be called by a task that changed segments or the end: appends go on from what is visible now. */
  restart(): void {
    assert(this.#waitingTasks > 0)
    this.state.tail.clear()
    this.#plan = this.#freshPlan()
  }

  /** Makes the history of epochs durable if it changed. */
  async saveEpochs(): Promise<void> {
    const { changeCount } = this.state.epochs
    if (changeCount === this.state.savedEpochs) return
    await saveEpochs(this.state)
    this.state.savedEpochs = changeCount
  }

  #freshPlan(): AppendPlan {
    return new AppendPlan(this.label, this.state.activeSegment, this.state.highWatermark)
  }

  #failureOfTask(error: unknown): Failure {
    if (!(error instanceof StorageError) && !(error instanceof DiskError)) {
      this.breakDown(error)
      return unusable(this.state)!
    }
    const found = failureOf(error)
    // A task that broke off on the disk may have left segments half changed; one that only lacked room has not begun.
    const isUnharmed = error instanceof StorageError || (found.code === 'NO_SPACE' && this.state.segments.length > 0)
    if (!isUnharmed) this.goOffline(found.message)
    return found
  }

  /** A broken invariant: this log stops here, and says so; the others go on. */
  breakDown(error: unknown): void {
    this.goOffline(`broken invariant: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`)
  }

  #start(): void {
    if (this.#isRunning) return
    this.#isRunning = true
    this.#idle = this.#run()
  }

  async #run(): Promise<void> {
    try {
      while (this.#queue.length > 0) {
        const head = this.#queue[0]!
        if (head.kind === 'append') {
          await this.#commit(this.#takeGroup())
          continue
        }
        this.#queue.shift()
        await head.run()
        this.#waitingTasks -= 1
        this.#prepareWaiting()
      }
    } catch (error) {
      this.breakDown(error)
      const refused = unusable(this.state)!
      this.#failAll(this.#writing, refused)
      this.#writing = []
    } finally {
      this.#isRunning = false
    }
    if (this.#queue.length > 0) this.#start()
  }

  /** Gives offsets to the appends up to the next task. */
  #prepareWaiting(): void {
    const end = this.#queue.findIndex((item) => item.kind === 'task')
    const waiting = this.#queue.splice(0, end === -1 ? this.#queue.length : end)
    const prepared = waiting.filter((item) => item.kind === 'append' && (item.placed.length > 0 || this.#prepare(item)))
    this.#queue.unshift(...prepared)
  }

  #takeGroup(): readonly PendingAppend[] {
    const group: PendingAppend[] = []
    let sizeBytes = 0
    for (const item of this.#queue) {
      if (item.kind === 'task' || (group.length > 0 && sizeBytes + item.sizeBytes > groupLimitBytes)) break
      sizeBytes += item.sizeBytes
      group.push(item)
    }
    this.#queue.splice(0, group.length)
    return group
  }

  /** Checks an append and gives it its offsets. False when it is answered already, or waits for the one that it repeats. */
  #prepare(pending: PendingAppend): boolean {
    const { entry, options } = pending
    const refused = unusable(this.state) ?? this.#refusedByFence(entry.fence) ?? this.#refusedByMode(entry)
    if (refused) return answer(pending, refused)
    const batches = checkBatches(entry, { config: this.state.config, nowMs: options.nowMs })
    if (!Array.isArray(batches)) return answer(pending, batches as AppendResult)
    const duplicate = entry.origin === 'client' ? this.state.producers.findDuplicate(batches[0]!) : undefined
    if (duplicate) return this.#answerDuplicate(pending, duplicate)
    try {
      this.#assign(pending, batches)
      return true
    } catch (error) {
      if (error instanceof RecordsError) return answer(pending, failure('INVALID_RECORD', error.message))
      return answer(pending, failureOf(error))
    }
  }

  #refusedByFence(fence: Fence | undefined): Failure | undefined {
    const known = fence && this.#fences.get(fence.lease)
    if (known === undefined || known <= fence!.fenceEpoch) return undefined
    return failure('FENCED', `lease ${fence!.lease} has moved on to ${known}, got ${fence!.fenceEpoch}`)
  }

  #refusedByMode(entry: AppendEntry): AppendResult | undefined {
    const { state } = this
    if (state.isMirror && entry.origin !== 'mirror') {
      return failure('READ_ONLY', `Cannot append records to read-only mirror topic '${state.topicName}'`)
    }
    if (entry.mode.kind === 'assign') {
      if (entry.mode.leaderEpoch >= state.leaderEpoch) return undefined
      return failure(
        'LEADER_EPOCH_STALE',
        `${this.label} has leader epoch ${state.leaderEpoch}, got ${entry.mode.leaderEpoch}`,
      )
    }
    if (!state.isMirror && entry.origin === 'mirror') {
      return failure('FENCED', `${this.label} is no mirror any more`)
    }
    const expected = this.#plan.nextOffset
    if (entry.mode.expectedLogEndOffset === expected) return undefined
    const message = `${this.label} ends at ${expected}, expected ${entry.mode.expectedLogEndOffset}`
    return { ...failure('OFFSET_MISMATCH', message), expected }
  }

  #answerDuplicate(pending: PendingAppend, duplicate: WrittenBatch): false {
    const { lastOffset, offsetDelta, timestampMs } = duplicate
    const result: AppendResult = {
      ok: true,
      baseOffset: lastOffset - BigInt(offsetDelta),
      lastOffset,
      logStartOffset: this.state.logStartOffset,
      logAppendTimeMs: timestampMs, // as Kafka, whatever the timestamp type
      duplicate: true,
    }
    if (lastOffset < this.state.highWatermark) return answer(pending, result)
    const original = [...this.#writing, ...this.#queue].find(
      (item) => item.kind === 'append' && item.placed.some((batch) => lastOffsetOfPlaced(batch) === lastOffset),
    ) as PendingAppend | undefined
    assert(original, 'a batch that is not visible yet is under way')
    original.repeats.push((outcome) =>
      pending.settle(outcome.ok ? { ...result, logStartOffset: outcome.logStartOffset } : outcome),
    )
    return false
  }

  /** Offsets, producer state and places for all batches, or (throwing) for none. */
  #assign(pending: PendingAppend, batches: readonly BatchRef[]): void {
    const { entry, options } = pending
    const { state } = this
    const staged = state.producers.stage(entry.origin)
    const baseOffsets = entry.mode.kind === 'assign' ? this.#nextOffsets(batches) : this.#ownOffsets(batches)
    const stampMs =
      entry.origin !== 'mirror' && state.config.messageTimestampType === 'LogAppendTime' ? options.nowMs : -1n
    const stamped = stampMs < 0n ? batches : batches.map((batch) => withMaxTimestamp(batch, stampMs))
    for (const [index, batch] of stamped.entries()) staged.add(batch, baseOffsets[index]!)
    this.#place(pending, { batches: stamped, baseOffsets, staged, stampMs })
  }

  #place(
    pending: PendingAppend,
    parts: { batches: readonly BatchRef[]; baseOffsets: readonly bigint[]; staged: StagedProducers; stampMs: bigint },
  ): void {
    const { state } = this
    const { mode } = pending.entry
    const placed: PlacedBatch[] = []
    const when = { config: state.config, nowMs: pending.options.nowMs }
    for (const [index, batch] of parts.batches.entries()) {
      const place = this.#plan.take(batch, parts.baseOffsets[index]!, when)
      const bytes = state.tail.place(batch.bytes, place)
      if (mode.kind === 'assign') assignInPlace(bytes, { baseOffset: place.baseOffset, leaderEpoch: mode.leaderEpoch })
      if (parts.stampMs >= 0n) withLogAppendTime(bytes, parts.stampMs)
      const leaderEpoch = mode.kind === 'assign' ? mode.leaderEpoch : batch.header.partitionLeaderEpoch
      state.epochs.assign(leaderEpoch, place.baseOffset)
      state.leaderEpoch = Math.max(state.leaderEpoch, leaderEpoch)
      placed.push({
        ...place,
        bytes,
        lastOffsetDelta: batch.header.lastOffsetDelta,
        maxTimestamp: batch.header.maxTimestamp,
      })
      pending.sizeBytes += bytes.length
    }
    state.producers.commit(parts.staged)
    pending.placed = placed
    pending.logAppendTimeMs = parts.stampMs
  }

  #nextOffsets(batches: readonly BatchRef[]): bigint[] {
    let next = this.#plan.nextOffset
    return batches.map((batch) => {
      const baseOffset = next
      next += BigInt(batch.header.lastOffsetDelta) + 1n
      return baseOffset
    })
  }

  /** @throws StorageError when offsets or leader epochs go back. */
  #ownOffsets(batches: readonly BatchRef[]): bigint[] {
    let next = this.#plan.nextOffset
    let epoch = this.state.epochs.latest
    // A log that begins within a batch of its source holds that batch whole.
    let isFirst =
      this.state.activeSegment.isEmpty && this.state.segments.length === 1 && next === this.state.highWatermark
    return batches.map(({ header }) => {
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
      return header.baseOffset
    })
  }

  async #commit(group: readonly PendingAppend[]): Promise<void> {
    this.#writing = group
    const room = this.checkpoint.roomFor(group.reduce((sum, pending) => sum + pending.sizeBytes, 0))
    if (room) await room
    const refused = unusable(this.state)
    if (refused) {
      this.#writing = []
      return this.#failAll(group, refused)
    }
    const failed = (await this.#tryWrite(group)) ?? (await this.#trySync(group))
    if (failed === undefined) this.#publish(group)
    this.#writing = []
    if (failed === undefined) return
    if (this.state.status === 'online') await this.#recoverFrom(failed, group)
    else this.#failAll(group, unusable(this.state) ?? failed)
  }

  async #tryWrite(group: readonly PendingAppend[]): Promise<Failure | undefined> {
    try {
      await this.#write(group.flatMap((pending) => pending.placed))
      return undefined
    } catch (error) {
      return failureOf(error)
    }
  }

  /** What a failed sync left on the disk is unknown, and asking again proves nothing: the log goes offline. */
  async #trySync(group: readonly PendingAppend[]): Promise<Failure | undefined> {
    if (!this.#mustSync(group)) return undefined
    try {
      await this.sync.run(lastOffsetOfPlaced(group.at(-1)!.placed.at(-1)!) + 1n)
      return undefined
    } catch (error) {
      const found = failureOf(error)
      this.goOffline(found.message)
      return found
    }
  }

  async #write(batches: readonly PlacedBatch[]): Promise<void> {
    let from = 0
    while (from < batches.length) {
      const { segmentBaseOffset, position } = batches[from]!
      let to = from + 1
      while (to < batches.length && batches[to]!.segmentBaseOffset === segmentBaseOffset) to += 1
      const segment = await this.#segmentFor(segmentBaseOffset, from === 0)
      await segment.write(position, mergeAdjacent(batches.slice(from, to)))
      this.sync.noteWrite(segment)
      from = to
    }
  }

  /** The active segment, or a new one that begins at this offset. An untouched one that does not suit is replaced. */
  async #segmentFor(baseOffset: bigint, isFirstOfGroup: boolean): Promise<Segment> {
    const { state } = this
    const active = state.activeSegment
    if (active.baseOffset === baseOffset) return active
    if (!active.isEmpty || !isFirstOfGroup) await this.#syncBeforeRoll()
    const segment = await openSegment(state, baseOffset, true)
    this.sync.noteDirectory()
    if (isFirstOfGroup && active.isEmpty && state.segments.length === 1) {
      this.#replacedSegment = active
      state.segments = [segment]
    } else {
      state.segments = [...state.segments, segment]
    }
    return segment
  }

  /**
   * A new segment must not outlive the end of the one before it: records that a power cut leaves behind a hole would be taken
   * for the log.
   */
  async #syncBeforeRoll(): Promise<void> {
    try {
      await this.sync.run()
    } catch (error) {
      this.goOffline(failureOf(error).message)
      throw error
    }
  }

  #mustSync(group: readonly PendingAppend[]): boolean {
    if (group.some((pending) => pending.options.durable === true)) return true
    const first = group[0]!.placed[0]!
    const count = lastOffsetOfPlaced(group.at(-1)!.placed.at(-1)!) + 1n - first.baseOffset
    return this.sync.unsyncedRecords(first.baseOffset) + count >= this.state.config.flushMessages
  }

  #publish(group: readonly PendingAppend[]): void {
    const { state } = this
    let index = state.segments.length
    while (index > 0 && state.segments[index - 1]!.baseOffset > group[0]!.placed[0]!.segmentBaseOffset) index -= 1
    index -= 1
    const first = index
    for (const pending of group) {
      for (const batch of pending.placed) {
        while (state.segments[index]!.baseOffset !== batch.segmentBaseOffset) index += 1
        state.segments[index]!.note(batch.position, batch.bytes.length, batch)
        state.highWatermark = lastOffsetOfPlaced(batch) + 1n
      }
    }
    state.producers.onVisible(state.highWatermark)
    const sizeBytes = group.reduce((sum, pending) => sum + pending.sizeBytes, 0)
    this.checkpoint.noteAppended(sizeBytes, index > first)
    for (const pending of group) this.#finish(pending, this.#resultOf(pending))
    if (this.#replacedSegment) this.#dropReplaced()
    this.notify('appended')
  }

  #resultOf(pending: PendingAppend): AppendResult {
    return {
      ok: true,
      baseOffset: pending.placed[0]!.baseOffset,
      lastOffset: lastOffsetOfPlaced(pending.placed.at(-1)!),
      logStartOffset: this.state.logStartOffset,
      logAppendTimeMs: pending.logAppendTimeMs,
      duplicate: false,
    }
  }

  #dropReplaced(): void {
    const replaced = this.#replacedSegment!
    this.#replacedSegment = undefined
    this.state.generation += 1
    this.sync.forget(replaced)
    this.#waitingTasks += 1
    this.#queue.unshift({ kind: 'task', run: () => replaced.retire('remove') })
  }

  /** A write failed: back to the last whole batch, or offline. */
  async #recoverFrom(cause: Failure, group: readonly PendingAppend[]): Promise<void> {
    const failed = [...group]
    this.#waitingTasks += 1
    while (this.#queue[0]?.kind === 'append') failed.push(this.#queue.shift() as PendingAppend)
    try {
      await this.#cutToVisible()
    } catch (error) {
      this.goOffline(failureOf(error).message)
    }
    this.#waitingTasks -= 1
    this.#failAll(failed, cause)
    this.#prepareWaiting()
  }

  async #cutToVisible(): Promise<void> {
    const { state } = this
    if (this.#replacedSegment) {
      const [begun] = state.segments
      state.segments = [this.#replacedSegment]
      this.#replacedSegment = undefined
      this.sync.forget(begun!)
      await begun!.retire('remove')
    }
    const begun = state.segments.filter((segment, index) => index > 0 && segment.isEmpty)
    state.segments = state.segments.filter((segment) => !begun.includes(segment))
    for (const segment of begun) {
      this.sync.forget(segment)
      await segment.retire('remove')
    }
    await state.activeSegment.dropUnnoted()
    await rebuildHistory(state)
    this.restart()
  }

  #failAll(failed: readonly PendingAppend[], result: Failure): void {
    for (const pending of failed) this.#finish(pending, result)
  }

  #finish(pending: PendingAppend, result: AppendResult): void {
    pending.settle(result)
    for (const settle of pending.repeats) settle(result)
  }
}

function answer(pending: PendingAppend, result: AppendResult): false {
  pending.settle(result)
  return false
}

function lastOffsetOfPlaced(batch: PlacedBatch): bigint {
  return batch.baseOffset + BigInt(batch.lastOffsetDelta)
}

function withMaxTimestamp(batch: BatchRef, maxTimestamp: bigint): BatchRef {
  return { bytes: batch.bytes, header: { ...batch.header, maxTimestamp } }
}

/** The bytes to write, as few pieces as they lie in memory: batches of one chunk follow each other there. */
function mergeAdjacent(batches: readonly PlacedBatch[]): Uint8Array[] {
  const chunks: Uint8Array[] = []
  for (const { bytes } of batches) {
    const last = chunks.at(-1)
    if (last && last.buffer === bytes.buffer && last.byteOffset + last.length === bytes.byteOffset) {
      chunks[chunks.length - 1] = new Uint8Array(last.buffer, last.byteOffset, last.length + bytes.length)
    } else {
      chunks.push(bytes)
    }
  }
  return chunks
}
