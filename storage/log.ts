/**
 * One partition: its queue of appends and of exclusive operations.
 *
 * Group commit. What arrives in one turn of the event loop, or while a write is in flight, goes out in one vectored
 * write. Offsets and producer state are given when an append is queued, before it is written; only complete writes
 * become visible. When a write fails, it and all that is queued behind it fail, the log is cut to its last whole batch,
 * and its state is derived anew before the next append gets an offset. When that fails too, or a sync does, the log
 * goes offline until a restart.
 */
import { strict as assert } from 'node:assert'
import { AppendAdmission, type PendingAppend } from './append-admission.ts'
import { DiskError } from './disk.ts'
import { firstOf, GroupWriter, type AppendGroup } from './group-writer.ts'
import { unusable } from './log-reader.ts'
import { LogCheckpoint, type CheckpointOptions } from './log-checkpoint.ts'
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
import { failureOf, StorageError } from './outcome.ts'
import { rebuildHistory, saveEpochs } from './recovery.ts'
import { SegmentSync } from './segment-sync.ts'

/** A group is closed at this size, so that the first of it does not wait for ever more. */
const groupLimitBytes = 16 * 1024 * 1024

export type LogListener = (log: LogHandle, cause: WakeCause) => void

interface ExclusiveTask {
  readonly kind: 'task'
  readonly run: () => Promise<void>
}

export class PartitionLog implements LogHandle {
  readonly state: LogState
  readonly sync: SegmentSync
  readonly checkpoint: LogCheckpoint
  readonly listeners = new Set<LogListener>()
  readonly #admission: AppendAdmission
  readonly #writer: GroupWriter
  #queue: (PendingAppend | ExclusiveTask)[] = []
  #writing: readonly PendingAppend[] = []
  /** Tasks queued or running: appends behind them get their offsets when these are done. */
  #waitingTasks = 0
  #isRunning = false
  #idle: Promise<void> = Promise.resolve()
  #savingEpochs: Promise<void> = Promise.resolve()

  constructor(state: LogState, options: CheckpointOptions) {
    this.state = state
    this.sync = new SegmentSync(state)
    this.checkpoint = new LogCheckpoint(this, options)
    this.#admission = new AppendAdmission(state)
    this.#writer = new GroupWriter(this)
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
    return new Promise((resolve) => this.enqueue(entry, options, resolve))
  }

  /** The same for a caller with a promise of its own: `settle` is called once. */
  enqueue(entry: AppendEntry, options: AppendOptions, settle: (result: AppendResult) => void): void {
    const pending: PendingAppend = {
      kind: 'append',
      entry,
      options,
      settle,
      placed: [],
      sizeBytes: 0,
      logAppendTimeMs: -1n,
      repeats: undefined,
    }
    if (this.#waitingTasks > 0 || this.#admit(pending)) {
      this.#queue.push(pending)
      this.#start()
    }
  }

  /** Runs `work` alone: after all appends that were called before, and before those that are called later. */
  exclusive<T extends object>(work: () => Promise<T>, fence?: Fence): Promise<Result<T>> {
    return new Promise((resolve) => {
      const run = async () => {
        const refused = unusable(this.state) ?? this.#admission.refusedByFence(fence)
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
    this.#admission.fence(fence)
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
    this.#admission.restart()
  }

  /** Makes the history of epochs durable if it changed. One saves at a time, whoever asks: all write the same file. */
  saveEpochs(): Promise<void> {
    const mine = this.#savingEpochs.then(async () => {
      const { changeCount } = this.state.epochs
      if (changeCount === this.state.savedEpochs) return
      await saveEpochs(this.state)
      this.state.savedEpochs = changeCount
    })
    this.#savingEpochs = mine.catch(() => undefined)
    return mine
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
          await this.state.disk.nextTurn()
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
      this.#failAll(this.#writing, unusable(this.state)!)
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
    const admitted = waiting.filter((item) => item.kind === 'append' && (item.placed.length > 0 || this.#admit(item)))
    this.#queue.unshift(...admitted)
  }

  /**
   * Checks an append and gives it its offsets. False when it is answered already, or waits for the one that it repeats.
   */
  #admit(pending: PendingAppend): boolean {
    const answer = this.#admission.admit(pending)
    if (!answer) return true
    if (answer.ok && answer.lastOffset >= this.state.highWatermark) this.#repeat(pending, answer)
    else pending.settle(answer)
    return false
  }

  /** The append repeats one that is under way, and shares its outcome. */
  #repeat(pending: PendingAppend, answer: AppendResult & { readonly ok: true }): void {
    const original = [...this.#writing, ...this.#queue].find(
      (item) => item.kind === 'append' && item.placed.some((batch) => batch.lastOffset === answer.lastOffset),
    ) as PendingAppend | undefined
    assert(original, 'a batch that is not visible yet is under way')
    original.repeats ??= []
    original.repeats.push((outcome) =>
      pending.settle(outcome.ok ? { ...answer, logStartOffset: outcome.logStartOffset } : outcome),
    )
  }

  /** The appends at the head of the queue, up to the next task. */
  #takeGroup(): AppendGroup {
    const queue = this.#queue
    let [count, sizeBytes] = [0, 0]
    for (const item of queue) {
      if (item.kind === 'task' || (count > 0 && sizeBytes + item.sizeBytes > groupLimitBytes)) break
      sizeBytes += item.sizeBytes
      count += 1
    }
    this.#queue = queue.splice(count)
    return { appends: queue as PendingAppend[], sizeBytes }
  }

  async #commit(group: AppendGroup): Promise<void> {
    this.#writing = group.appends
    const room = this.checkpoint.roomFor(group.sizeBytes)
    if (room) await room
    const outcome = unusable(this.state) ?? this.#writer.write(group)
    const failed = outcome instanceof Promise ? await outcome : outcome
    if (failed === undefined) this.#publish(group)
    this.#writing = []
    if (failed === undefined) return
    if (this.state.status === 'online') await this.#recoverFrom(failed, group)
    else this.#failAll(group.appends, unusable(this.state) ?? failed)
  }

  #publish(group: AppendGroup): void {
    const { state } = this
    let index = state.segments.length
    while (index > 0 && state.segments[index - 1]!.baseOffset > firstOf(group).segmentBaseOffset) index -= 1
    index -= 1
    const first = index
    for (const pending of group.appends) {
      for (const batch of pending.placed) {
        while (state.segments[index]!.baseOffset !== batch.segmentBaseOffset) index += 1
        state.segments[index]!.note(batch.position, batch.bytes.length, batch)
        state.highWatermark = batch.lastOffset + 1n
      }
    }
    state.producers.onVisible(state.highWatermark)
    const { nowMs } = group.appends[0]!.options
    this.checkpoint.noteAppended(group.sizeBytes, { hasRolled: index > first, nowMs })
    for (const pending of group.appends) this.#finish(pending, this.#resultOf(pending))
    this.#dropReplaced()
    this.notify('appended')
  }

  #resultOf(pending: PendingAppend): AppendResult {
    return {
      ok: true,
      baseOffset: pending.placed[0]!.baseOffset,
      lastOffset: pending.placed.at(-1)!.lastOffset,
      logStartOffset: this.state.logStartOffset,
      logAppendTimeMs: pending.logAppendTimeMs,
      duplicate: false,
    }
  }

  #dropReplaced(): void {
    const replaced = this.#writer.takeReplaced()
    if (!replaced) return
    this.state.generation += 1
    this.sync.forget(replaced)
    this.#waitingTasks += 1
    this.#queue.unshift({ kind: 'task', run: () => replaced.retire('remove') })
  }

  /** A write failed: back to the last whole batch, or offline. */
  async #recoverFrom(cause: Failure, group: AppendGroup): Promise<void> {
    const failed = [...group.appends]
    this.#waitingTasks += 1
    while (this.#queue[0]?.kind === 'append') failed.push(this.#queue.shift() as PendingAppend)
    try {
      await this.#writer.undo()
      await rebuildHistory(this.state)
      this.restart()
    } catch (error) {
      this.goOffline(failureOf(error).message)
    }
    this.#waitingTasks -= 1
    this.#failAll(failed, cause)
    this.#prepareWaiting()
  }

  #failAll(failed: readonly PendingAppend[], result: Failure): void {
    for (const pending of failed) this.#finish(pending, result)
  }

  #finish(pending: PendingAppend, result: AppendResult): void {
    for (const batch of pending.placed) this.state.tail.settle(batch)
    pending.settle(result)
    if (pending.repeats) for (const settle of pending.repeats) settle(result)
  }
}
