/**
 * What of a log is not durable yet. A sync covers the writes that were complete when it started, and no others:
 * segments written meanwhile stay marked. Syncs of one log follow each other. A sync of a file that somebody has
 * removed or cut fails, because what it makes durable nobody will find.
 */
import { DiskError } from './disk.ts'
import type { LogState } from './log-state.ts'
import { wholly } from './outcome.ts'
import type { Segment } from './segment.ts'

export class SegmentSync {
  readonly #state: LogState
  #written = new Set<Segment>()
  /** True at first: the process before this one may have been killed behind a file that it created or removed. */
  #isDirectoryChanged = true
  #last: Promise<void> = Promise.resolve()
  #recoveryPoint: bigint
  /** How often the log has lost its end: a sync that began before makes nothing durable of what took its place. */
  #cutCount = 0
  /** When the last sync started, by the caller's clock; -1 before the first. */
  lastSyncMs = -1n

  constructor(state: LogState) {
    this.#state = state
    // What was read back and is not noted may still be in the page cache only.
    const noted = state.noted?.endOffset ?? 0n
    const known = noted > state.logStartOffset ? noted : state.logStartOffset
    // A mirror may have been noted at the end of a gap, which is not there any more.
    this.#recoveryPoint = known < state.highWatermark ? known : state.highWatermark
    for (const segment of state.segments) {
      if (!segment.isEmpty && segment.nextOffset > noted) this.#written.add(segment)
    }
  }

  /** Everything below is durable. */
  get recoveryPoint(): bigint {
    return this.#recoveryPoint
  }

  get isDue(): boolean {
    return this.hasWrites || this.#isDirectoryChanged
  }

  /** Whether something was written that no sync has covered. */
  get hasWrites(): boolean {
    return this.#written.size > 0
  }

  /** Records below `offset` that no sync has covered. */
  unsyncedRecords(offset: bigint): bigint {
    return offset > this.#recoveryPoint ? offset - this.#recoveryPoint : 0n
  }

  /** To be called when a write is complete. */
  noteWrite(segment: Segment): void {
    this.#written.add(segment)
  }

  noteDirectory(): void {
    this.#isDirectoryChanged = true
  }

  forget(segment: Segment): void {
    this.#written.delete(segment)
  }

  /** To be called when the log ends at `offset`, or is about to: what was durable below is so still. */
  noteCut(offset: bigint): void {
    this.#cutCount += 1
    if (offset < this.#recoveryPoint) this.#recoveryPoint = offset
  }

  /** To be called when the log is empty and begins at `offset`, durably. */
  noteEmpty(offset: bigint): void {
    this.#cutCount += 1
    this.#recoveryPoint = offset
  }

  /**
   * Makes everything below `writtenEnd` durable: what is visible, or what the caller has written beyond that.
   * Rejects with what the disk said. The log must go offline then: what a failed sync left is unknown.
   */
  run(writtenEnd = this.#state.highWatermark): Promise<void> {
    const previous = this.#last
    const mine = this.#sync(previous, writtenEnd)
    this.#last = mine
    return mine
  }

  async #sync(previous: Promise<void>, writtenEnd: bigint): Promise<void> {
    const cutCount = this.#cutCount
    await previous
    const segments = [...this.#written]
    const isDirectoryChanged = this.#isDirectoryChanged
    this.#written = new Set()
    this.#isDirectoryChanged = false
    for (const segment of segments) segment.acquire()
    const { disk, folder } = this.#state
    try {
      await wholly(async () => {
        await Promise.all(segments.map(syncWhole))
        if (isDirectoryChanged) await disk.syncDirectory(folder)
      })
    } finally {
      for (const segment of segments) segment.release()
    }
    if (cutCount === this.#cutCount && writtenEnd > this.#recoveryPoint) this.#recoveryPoint = writtenEnd
  }
}

async function syncWhole(segment: Segment): Promise<void> {
  const [loss] = await Promise.all([segment.findLoss('sync'), segment.sync()])
  if (loss !== undefined) throw new DiskError('IO', segment.path, loss)
}
