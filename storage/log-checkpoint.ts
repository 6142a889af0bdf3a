/**
 * Makes a log durable up to a point and notes that point, so that opening it reads only what came later: `log-note.ts`.
 *
 * What is noted is captured at one moment at which nothing is being appended; it is written while appends go on. A
 * checkpoint is taken when a segment is full, when enough bytes have come since the last one, and when the store
 * closes.
 */
import { DiskError } from './disk.ts'
import type { EarlySyncs } from './early-syncs.ts'
import type { PartitionLog } from './log.ts'
import { olderBatchesOf, removeNote, saveNote, type LogNote } from './log-note.ts'
import { failureOf } from './outcome.ts'
import { encodeSnapshot } from './producer-snapshot.ts'
import type { AbortedEntry, ProducerEntry } from './producer-state.ts'
import { segmentFileName, type SegmentCapture } from './segment.ts'

export interface CheckpointOptions {
  /** What may come to the log since its last checkpoint before appends wait for the next one. */
  readonly limitBytes: number
  readonly earlySyncs: EarlySyncs
}

/** The log at one moment. */
interface Capture {
  readonly endOffset: bigint
  readonly segments: readonly { readonly capture: SegmentCapture; readonly aborted: readonly AbortedEntry[] }[]
  readonly producers: readonly ProducerEntry[]
  readonly aborted: readonly AbortedEntry[]
}

/** This part of the limit is worth a sync before a checkpoint is due. */
const earlySyncShare = 1 / 16
/**
 * Logs of a topic that fill alike take their checkpoints one after the other: each at its own place in this part of the
 * way.
 */
const spreadShare = 1 / 4

export class LogCheckpoint {
  readonly #log: PartitionLog
  readonly #limitBytes: number
  /** A checkpoint is due behind so many. */
  readonly #dueBytes: number
  readonly #earlySyncs: EarlySyncs
  #bytesSince = 0
  /** Without an early sync. */
  #bytesSinceSync = 0
  #isDue: boolean
  /** A checkpoint that will capture what is visible now: it has not captured anything yet. */
  #waiting: Promise<void> | undefined
  /** Writing what was captured. */
  #writing: Promise<void> = Promise.resolve()
  #isWriting = false

  constructor(log: PartitionLog, { limitBytes, earlySyncs }: CheckpointOptions) {
    this.#log = log
    this.#limitBytes = limitBytes
    this.#dueBytes = (limitBytes / 2) * (1 - spreadShare * placeOf(log.id.partitionIndex))
    this.#earlySyncs = earlySyncs
    this.#isDue = log.state.noted?.endOffset !== log.state.highWatermark
  }

  /** Whether something is not noted. */
  get isDue(): boolean {
    return this.#isDue || this.#log.hasUnsavedEpochs
  }

  /** To be called when appends have become visible. */
  noteAppended(sizeBytes: number, { hasRolled, nowMs }: { readonly hasRolled: boolean; readonly nowMs: bigint }): void {
    this.#isDue = true
    this.#bytesSince += sizeBytes
    this.#bytesSinceSync += sizeBytes
    if (hasRolled || this.#bytesSince >= this.#dueBytes) this.request()
    else if (this.#bytesSinceSync >= this.#limitBytes * earlySyncShare)
      this.#earlySyncs.offer(nowMs, () => this.#syncEarly().catch((error: unknown) => this.#log.breakDown(error)))
  }

  /** Takes a checkpoint soon. What fails is told by the log. */
  request(): void {
    this.run().catch((error: unknown) => this.#log.breakDown(error))
  }

  /**
   * What an append of so many bytes has to wait for, so that no more than the limit is without a note; mostly nothing.
   */
  roomFor(sizeBytes: number): Promise<void> | undefined {
    // One half of the limit is what is being written, the other what comes meanwhile.
    return this.#isWriting && (this.#bytesSince + sizeBytes) * 2 > this.#limitBytes ? this.#writing : undefined
  }

  /**
   * Resolves when all that is visible now is durable and noted, or the log is offline, or its disk has no room for the
   * note.
   */
  run(): Promise<void> {
    this.#waiting ??= this.#captureAndWrite()
    return this.#waiting
  }

  /** Makes what is visible durable, and notes nothing. Resolves when that is done or has failed. */
  async #syncEarly(): Promise<void> {
    await this.#writing
    let syncing: Promise<void> | undefined
    await this.#log.exclusive(async () => {
      this.#bytesSinceSync = 0
      if (!this.#log.sync.hasWrites || this.#isWriting) return {}
      syncing = this.#log.sync.run().catch((error: unknown) => this.#fail(error))
      this.#writing = syncing
      return {}
    })
    await syncing
  }

  /** Resolves when no checkpoint is being written: within `log.exclusive` none begins either. */
  settled(): Promise<void> {
    return this.#writing
  }

  /** Takes the note away, durably. To be called within `log.exclusive` before anything that it speaks of changes. */
  async forget(): Promise<void> {
    await this.#writing
    const { state } = this.#log
    this.#isDue = true
    state.noted = undefined
    await removeNote(state.disk, state.folder)
    for (const offset of state.snapshotOffsets) await this.#removeSnapshot(offset)
    state.snapshotOffsets = []
  }

  async #captureAndWrite(): Promise<void> {
    await this.#writing
    let writing: Promise<void> | undefined
    await this.#log.exclusive(async () => {
      this.#waiting = undefined
      if (this.isDue) writing = this.#write(this.#capture())
      return {}
    })
    this.#waiting = undefined
    await writing
  }

  #capture(): Capture {
    const { state } = this.#log
    this.#bytesSince = 0
    this.#bytesSinceSync = 0
    this.#isDue = false
    const aborted = [...state.producers.aborted] // by marker
    let next = 0
    const segments = state.segments.map((segment, index) => {
      const from = next
      const end = state.segments[index + 1]?.baseOffset ?? state.highWatermark
      while (next < aborted.length && aborted[next]!.lastOffset < end) next += 1
      return { capture: segment.capture(), aborted: aborted.slice(from, next) }
    })
    return {
      endOffset: state.highWatermark,
      segments,
      producers: [...state.producers.producers],
      aborted,
    }
  }

  #write(capture: Capture): Promise<void> {
    this.#isWriting = true
    const segments = capture.segments.map((each) => each.capture.segment)
    for (const segment of segments) segment.acquire()
    this.#writing = this.#writeAll(capture)
      .catch((error: unknown) => this.#fail(error))
      .finally(() => {
        this.#isWriting = false
        for (const segment of segments) segment.release()
      })
    return this.#writing
  }

  async #writeAll(capture: Capture): Promise<void> {
    const { state } = this.#log
    const { disk, folder } = state
    await this.#log.sync.run(capture.endOffset)
    const segments: LogNote['segments'][number][] = []
    for (const each of capture.segments) {
      segments.push(await each.capture.segment.writeIndexes(each.capture, each.aborted))
    }
    await this.#log.saveEpochs()
    const { endOffset, producers, aborted } = capture
    if (producers.length > 0) {
      await disk.replaceFile(this.#snapshotPath(endOffset), encodeSnapshot(producers))
    }
    const note = { endOffset, producerCount: producers.length, segments, batches: olderBatchesOf(producers) }
    await saveNote(disk, folder, note)
    state.noted = { endOffset, producers, aborted, note }
    for (const offset of state.snapshotOffsets) if (offset !== endOffset) await this.#removeSnapshot(offset)
    state.snapshotOffsets = producers.length > 0 ? [endOffset] : []
  }

  /**
   * Without room for a note the old one holds: it only takes longer to open the log. Anything else is a disk that
   * fails.
   */
  #fail(error: unknown): void {
    this.#isDue = true
    if (error instanceof DiskError && error.code === 'NO_SPACE') return
    if (this.#log.state.status === 'online') this.#log.goOffline(failureOf(error).message)
  }

  async #removeSnapshot(offset: bigint): Promise<void> {
    await this.#log.state.disk.remove(this.#snapshotPath(offset))
  }

  #snapshotPath(offset: bigint): string {
    return `${this.#log.state.folder}/${segmentFileName(offset, 'snapshot')}`
  }
}

/** From 0 to 1, evenly spread however many come one after the other: multiples of the golden ratio. */
function placeOf(index: number): number {
  return (index * 0.618_033_988_749_895) % 1
}
