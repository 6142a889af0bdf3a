/**
 * Writes groups of appends to the segments of a log: one vectored write where a group stays in one segment, as nearly
 * every one does. Groups of one log never overlap.
 */
import type { PendingAppend } from './append-admission.ts'
import type { PlacedBatch } from './append-plan.ts'
import { unusable } from './log-reader.ts'
import type { PartitionLog } from './log.ts'
import type { Failure } from './log-store.ts'
import { failureOf } from './outcome.ts'
import { openSegment } from './recovery.ts'
import type { Segment } from './segment.ts'

/** So often, at most, an append looks whether the file is still there: a small part of what a write costs. */
const lookIntervalMs = 1_000n

/** Appends that follow each other, and what they have to write. Never empty. */
export interface AppendGroup {
  readonly appends: readonly PendingAppend[]
  readonly sizeBytes: number
}

export function firstOf(group: AppendGroup): PlacedBatch {
  return group.appends[0]!.placed[0]!
}

export function lastOf(group: AppendGroup): PlacedBatch {
  return group.appends.at(-1)!.placed.at(-1)!
}

export class GroupWriter {
  readonly #log: PartitionLog
  /** The untouched segment that another took the place of: it goes once the first group of the other is visible. */
  #replaced: Segment | undefined
  /** When the file that is written to was last looked at, by the clock of appends. */
  #lookedMs = -lookIntervalMs

  constructor(log: PartitionLog) {
    this.#log = log
  }

  /**
   * What failed, or nothing, when the group is written, and synced where it has to be: at once where the disk can, else
   * in time. After a failed sync, or a sync that was due before a new segment began, the log is offline. Rejects for
   * broken invariants only.
   */
  write(group: AppendGroup): Promise<Failure | undefined> | Failure | undefined {
    if (!this.#isOneWrite(group)) return this.#writeAndSync(group)
    const active = this.#log.state.activeSegment
    const { position } = firstOf(group)
    const chunks = chunksOf(batchesOf(group))
    try {
      if (!active.writeNow(position, chunks)) return this.#writeInTime(active, position, chunks)
    } catch (error) {
      return failureOf(error)
    }
    this.#log.sync.noteWrite(active)
    return undefined
  }

  /** What the first group in a new segment has replaced, once. */
  takeReplaced(): Segment | undefined {
    const replaced = this.#replaced
    this.#replaced = undefined
    return replaced
  }

  /** After a write that failed: the segments hold what is visible again, and nothing behind it. */
  async undo(): Promise<void> {
    const { state, sync } = this.#log
    const replaced = this.takeReplaced()
    if (replaced) {
      const [begun] = state.segments
      state.segments = [replaced]
      sync.forget(begun!)
      await begun!.retire('remove')
    }
    const begun = state.segments.filter((segment, index) => index > 0 && segment.isEmpty)
    state.segments = state.segments.filter((segment) => !begun.includes(segment))
    for (const segment of begun) {
      sync.forget(segment)
      await segment.retire('remove')
    }
    sync.noteDirectory() // a removal that a power cut takes back would bring them back
    await state.activeSegment.dropUnnoted()
  }

  /** One write is all that it takes: no look at the file before, no other segment, no sync. */
  #isOneWrite(group: AppendGroup): boolean {
    const { segmentBaseOffset } = firstOf(group)
    const { baseOffset } = this.#log.state.activeSegment
    const isInActive = segmentBaseOffset === baseOffset && lastOf(group).segmentBaseOffset === baseOffset
    return isInActive && !this.#mustSync(group) && !this.#mustLook(group)
  }

  async #writeInTime(active: Segment, position: number, chunks: readonly Uint8Array[]): Promise<Failure | undefined> {
    try {
      await active.write(position, chunks)
    } catch (error) {
      return failureOf(error)
    }
    this.#log.sync.noteWrite(active)
    return undefined
  }

  async #writeAndSync(group: AppendGroup): Promise<Failure | undefined> {
    try {
      if (this.#mustLook(group)) await this.#look(group)
      const refused = unusable(this.#log.state)
      if (refused) return refused
      await this.#writeParts(batchesOf(group))
    } catch (error) {
      return failureOf(error)
    }
    if (!this.#mustSync(group)) return undefined
    try {
      await this.#log.sync.run(lastOf(group).lastOffset + 1n)
      return undefined
    } catch (error) {
      // What a failed sync left on the disk is unknown, and asking again proves nothing.
      const found = failureOf(error)
      this.#log.goOffline(found.message)
      return found
    }
  }

  #mustLook({ appends }: AppendGroup): boolean {
    const sinceMs = appends[0]!.options.nowMs - this.#lookedMs
    return sinceMs >= lookIntervalMs || sinceMs < 0n
  }

  /**
   * Takes the log offline where the file that is written to was removed or cut. Afterwards a write would hide a cut.
   */
  async #look({ appends }: AppendGroup): Promise<void> {
    this.#lookedMs = appends[0]!.options.nowMs
    const loss = await this.#log.state.activeSegment.findLoss('append')
    if (loss !== undefined) this.#log.goOffline(loss)
  }

  async #writeParts(batches: readonly PlacedBatch[]): Promise<void> {
    let from = 0
    while (from < batches.length) {
      const { segmentBaseOffset, position } = batches[from]!
      let to = from + 1
      while (to < batches.length && batches[to]!.segmentBaseOffset === segmentBaseOffset) to += 1
      const segment = await this.#segmentFor(segmentBaseOffset, from === 0)
      await segment.write(position, chunksOf(batches.slice(from, to)))
      this.#log.sync.noteWrite(segment)
      from = to
    }
  }

  /** The active segment, or a new one that begins at this offset. An untouched one that does not suit is replaced. */
  async #segmentFor(baseOffset: bigint, isFirstOfGroup: boolean): Promise<Segment> {
    const { state, sync } = this.#log
    const active = state.activeSegment
    if (active.baseOffset === baseOffset) return active
    if (!active.isEmpty || !isFirstOfGroup) await this.#syncBeforeRoll()
    const segment = await openSegment(state, baseOffset, true)
    sync.noteDirectory()
    if (isFirstOfGroup && active.isEmpty && state.segments.length === 1) {
      this.#replaced = active
      state.segments = [segment]
    } else {
      state.segments = [...state.segments, segment]
    }
    return segment
  }

  /**
   * A new segment must not outlive the end of the one before it: records that a power cut leaves behind a hole would be
   * taken for the log.
   */
  async #syncBeforeRoll(): Promise<void> {
    try {
      await this.#log.sync.run()
    } catch (error) {
      this.#log.goOffline(failureOf(error).message)
      throw error
    }
  }

  #mustSync(group: AppendGroup): boolean {
    if (group.appends.some((append) => append.options.durable === true)) return true
    const first = firstOf(group).baseOffset
    const count = lastOf(group).lastOffset + 1n - first
    return this.#log.sync.unsyncedRecords(first) + count >= this.#log.state.config.flushMessages
  }
}

function batchesOf(group: AppendGroup): readonly PlacedBatch[] {
  const { appends } = group
  return appends.length === 1 ? appends[0]!.placed : appends.flatMap((append) => append.placed)
}

/** The bytes to write, as few pieces as they lie in memory: batches of one chunk follow each other there. */
function chunksOf(batches: readonly PlacedBatch[]): Uint8Array[] {
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
