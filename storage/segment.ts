/**
 * One segment: a `.log` file in Kafka's format, and where its batches are.
 *
 * What is written becomes visible only through `note`. A segment is counted by its readers: once retired (deleted, cut
 * away, or the log closes) its file closes with the last of them, never under one.
 */
import { strict as assert } from 'node:assert'
import { crc32c } from '../protocol/crc32c.ts'
import { lastOffsetOf, type BatchHeader } from '../protocol/records/batch.ts'
import { batchesIn, scanBatches, type ScannedBatch, type ScanOptions } from './batch-scan.ts'
import { DiskError, type Disk, type DiskClass, type FileStat } from './disk.ts'
import { abortedEntryBytes, decodeAbortedEntries, encodeAbortedEntries } from './index-files.ts'
import { OpenFiles, PooledFile } from './open-files.ts'
import { StorageError } from './outcome.ts'
import type { AbortedEntry } from './producer-state.ts'
import type { Block, BlockPool } from './block-pool.ts'
import { noPart, readPart, SegmentIndexes, type FilePart } from './segment-indexes.ts'
import type { SparseIndex } from './sparse-index.ts'

/** Offsets in a segment are int32 relative to its base, as in Kafka's index files. */
export const maxRelativeOffset = 2_147_483_647

/** `00000000000000000042.log` */
export function segmentFileName(baseOffset: bigint, suffix = 'log'): string {
  return `${baseOffset.toString().padStart(20, '0')}.${suffix}`
}

/** What a segment may consist of. The log comes last: where it has its final name, all of its files have theirs. */
export const segmentFileKinds = ['txnindex', 'timeindex', 'index', 'log'] as const

/**
 * How the files of a segment are called that is not, or no longer, part of its log, as in Kafka: written by the
 * cleaner, on its way to the place of others, and waiting for its removal. See `segment-swap.ts`.
 */
export type SegmentSuffix = '' | '.cleaned' | '.swap' | '.deleted'

export interface ColdRead {
  readonly bytes: Uint8Array
  /** What the bytes are a view of, where that can be given back. */
  readonly buffer?: Block
  /** One behind the last offset that was read. */
  readonly upperBound: bigint
}

export interface ReadLimit {
  readonly maxBytes: number
  readonly minOneBatch: boolean
}

export interface SegmentRead extends ReadLimit {
  readonly offset: bigint
  readonly endOffset: bigint
}

export interface SegmentOptions {
  readonly baseOffset: bigint
  readonly indexIntervalBytes: number
  /** Begins with empty files, whatever was there. */
  readonly isNew?: boolean
  readonly suffix?: SegmentSuffix
  /** The files that may be open. Default: this one always is. */
  readonly files?: OpenFiles
}

/** How far a segment is known to be whole, and which indexes go with that. */
export interface SegmentNote {
  readonly baseOffset: bigint
  readonly nextOffset: bigint
  readonly sizeBytes: number
  readonly maxTimestampMs: bigint
  readonly firstTimestampMs: bigint | undefined
  readonly offsets: FilePart
  readonly times: FilePart
  readonly aborted: FilePart
}

/** A segment as it is at one moment, for a note that is written later. */
export interface SegmentCapture extends Omit<SegmentNote, 'offsets' | 'times' | 'aborted'> {
  readonly segment: Segment
  readonly offsetCount: number
  readonly timeCount: number
}

export class Segment {
  readonly baseOffset: bigint
  readonly #folder: string
  #suffix: SegmentSuffix
  readonly #disk: Disk
  readonly #file: PooledFile
  readonly #intervalBytes: number
  #indexes: SegmentIndexes
  /** Entries of batches before this position, and below this offset, may be in the files only. */
  #indexedBytes = 0
  #indexedOffset = 0n
  #aborted: FilePart = noPart
  #sizeBytes = 0
  #nextOffset: bigint
  #firstTimestampMs: bigint | undefined
  #readers = 0
  #end: 'open' | 'close' | 'remove' = 'open'
  #ended: Promise<void> | undefined
  /** Reads and writes of the index files follow each other. */
  #indexWork: Promise<unknown> = Promise.resolve()

  private constructor(disk: Disk, folder: string, options: SegmentOptions) {
    this.#disk = disk
    this.#folder = folder
    this.#suffix = options.suffix ?? ''
    this.baseOffset = options.baseOffset
    this.#nextOffset = options.baseOffset
    this.#intervalBytes = options.indexIntervalBytes
    this.#indexes = new SegmentIndexes(options.indexIntervalBytes)
    this.#file = new PooledFile(disk, options.files ?? new OpenFiles(1), this.path)
    this.#file.onUnused = () => this.#unloadIndexes()
  }

  /** Opens or creates the file. Its batches are unknown until they are noted. */
  static async open(disk: Disk, folder: string, options: SegmentOptions): Promise<Segment> {
    const segment = new Segment(disk, folder, options)
    if (options.isNew === true) await segment.#file.create()
    return segment
  }

  /** A segment that is as it was noted. Nothing is read before it is needed; batches behind the note may be noted. */
  static restore(disk: Disk, folder: string, note: SegmentNote, options: Omit<SegmentOptions, 'baseOffset'>): Segment {
    const segment = new Segment(disk, folder, { ...options, baseOffset: note.baseOffset })
    segment.#indexes = SegmentIndexes.behind(options.indexIntervalBytes, note)
    segment.#indexedBytes = note.sizeBytes
    segment.#indexedOffset = note.nextOffset
    segment.#aborted = note.aborted
    segment.#sizeBytes = note.sizeBytes
    segment.#nextOffset = note.nextOffset
    segment.#firstTimestampMs = note.firstTimestampMs
    return segment
  }

  /** Of the `.log` file, by the name it has now. */
  get path(): string {
    return this.#pathOf('log')
  }

  /** Bytes of the batches that were noted. */
  get sizeBytes(): number {
    return this.#sizeBytes
  }

  /** One behind the last offset, or the base. */
  get nextOffset(): bigint {
    return this.#nextOffset
  }

  /** The largest timestamp, or `noTimestamp`. */
  get maxTimestampMs(): bigint {
    return this.#indexes.maxTimestampMs
  }

  /** The largest timestamp of the first batch: what rolling by time counts from. */
  get firstTimestampMs(): bigint | undefined {
    return this.#firstTimestampMs
  }

  /** Entries of the offset index. */
  get indexEntries(): number {
    return this.#indexes.count
  }

  get timeIndexEntries(): number {
    return this.#indexes.timeCount
  }

  /** Bytes since the last entry of the offset index. */
  get bytesSinceEntry(): number {
    return this.#indexes.bytesSinceEntry
  }

  get isEmpty(): boolean {
    return this.#sizeBytes === 0
  }

  fileSize(): Promise<number> {
    return this.#file.size()
  }

  /**
   * What is wrong with the file, in words, or undefined: somebody may remove or cut it under the running broker. One
   * that was cut and written to since then is not found out.
   */
  async findLoss(diskClass: DiskClass): Promise<string | undefined> {
    const expectedBytes = this.#sizeBytes
    const { sizeBytes, isLinked } = await this.#stat(diskClass)
    if (this.#end !== 'open') return undefined // the log itself removed or cut it meanwhile
    if (!isLinked) return `its file ${this.path} was removed under the running broker`
    if (sizeBytes >= expectedBytes) return undefined
    return `its file ${this.path} was cut under the running broker: got ${sizeBytes} bytes, expected ${expectedBytes} or more`
  }

  async #stat(diskClass: DiskClass): Promise<FileStat> {
    try {
      return await this.#file.stat(diskClass)
    } catch (error) {
      if (error instanceof DiskError && error.code === 'NOT_FOUND') return { sizeBytes: 0, isLinked: false }
      throw error
    }
  }

  /** Writes behind what is there. The bytes count for nothing before `note`. */
  write(position: number, chunks: readonly Uint8Array[]): Promise<void> {
    return this.#file.write(position, chunks)
  }

  /** The same at once, where that is possible: see `DiskFile.writeNow`. */
  writeNow(position: number, chunks: readonly Uint8Array[]): boolean {
    return this.#file.writeNow(position, chunks)
  }

  /** Makes the next batch visible: it was written right behind the last. */
  note(
    position: number,
    sizeBytes: number,
    header: Pick<BatchHeader, 'baseOffset' | 'lastOffsetDelta' | 'maxTimestamp'>,
  ): void {
    assert(position === this.#sizeBytes, 'batches are noted in the order of their bytes')
    assert(header.baseOffset >= this.#nextOffset, 'offsets never go back')
    const lastOffset = header.baseOffset + BigInt(header.lastOffsetDelta)
    assert(lastOffset - this.baseOffset <= BigInt(maxRelativeOffset), 'offsets fit their segment')
    const relativeOffset = this.#relative(lastOffset)
    this.#indexes.note({ position, sizeBytes, relativeOffset, maxTimestampMs: header.maxTimestamp })
    this.#sizeBytes += sizeBytes
    this.#nextOffset = lastOffset + 1n
    this.#firstTimestampMs ??= header.maxTimestamp
  }

  /** Cuts the file to what was noted, durably. */
  async dropUnnoted(): Promise<void> {
    await this.#file.truncate(this.#sizeBytes)
    await this.#file.sync()
  }

  /** Cuts the file durably. The caller opens the segment anew, because what was noted no longer holds. */
  async truncateFile(sizeBytes: number): Promise<void> {
    await this.#file.truncate(sizeBytes)
    await this.#file.sync()
  }

  sync(): Promise<void> {
    return this.#file.sync()
  }

  /**
   * Ends a segment that gets no more batches: its log and indexes are durable when this resolves, but not their names.
   */
  async seal(): Promise<void> {
    await this.dropUnnoted()
    await this.#withIndexes(() => this.#writeIndexes(this.capture()))
  }

  /** What a note will say of the segment: as it is now. */
  capture(): SegmentCapture {
    this.#indexes.noteLargest()
    return {
      segment: this,
      baseOffset: this.baseOffset,
      nextOffset: this.#nextOffset,
      sizeBytes: this.#sizeBytes,
      maxTimestampMs: this.maxTimestampMs,
      firstTimestampMs: this.#firstTimestampMs,
      offsetCount: this.#indexes.count,
      timeCount: this.#indexes.timeCount,
    }
  }

  /**
   * Writes and syncs the indexes as far as the capture goes. `aborted`: all transactions whose abort markers lie within
   * it. Names of files that are new are durable when the folder is synced.
   */
  async writeIndexes(capture: SegmentCapture, aborted: readonly AbortedEntry[]): Promise<SegmentNote> {
    return this.#withIndexes(async () => {
      await this.#writeIndexes(capture)
      if (aborted.length !== this.#aborted.entries) await this.#writeAborted(aborted)
      const { offsets, times } = this.#indexes.written
      const { baseOffset, nextOffset, sizeBytes, maxTimestampMs, firstTimestampMs } = capture
      const aboutLog = { baseOffset, nextOffset, sizeBytes, maxTimestampMs, firstTimestampMs }
      return { ...aboutLog, offsets, times, aborted: this.#aborted }
    })
  }

  /** Replaces the index of aborted transactions, durably. */
  writeAborted(entries: readonly AbortedEntry[]): Promise<void> {
    return this.#withIndexes(() => this.#writeAborted(entries))
  }

  /** The index of aborted transactions, or undefined where the file is not as it was noted. */
  async readAborted(): Promise<AbortedEntry[] | undefined> {
    const wanted = { part: this.#aborted, entryBytes: abortedEntryBytes }
    const bytes = await readPart(this.#disk, this.#pathOf('txnindex'), wanted)
    return bytes && decodeAbortedEntries(bytes)
  }

  /** Renames all files of the segment. Readers go on with what they have open. Durable when the folder is synced. */
  async rename(suffix: SegmentSuffix): Promise<void> {
    for (const kind of segmentFileKinds) {
      const from = this.#pathOf(kind)
      if (kind !== 'log' && !(await this.#disk.exists(from))) continue
      await this.#disk.rename(from, this.#pathOf(kind, suffix))
    }
    this.#suffix = suffix
    this.#file.path = this.path
  }

  /** The batches from a position on, up to what is noted now. */
  scan(from = 0, options?: ScanOptions): AsyncGenerator<readonly ScannedBatch[], void, undefined> {
    return scanBatches(this.#file, { from, to: this.#sizeBytes }, options)
  }

  /** What lies in the file behind what is noted: for recovery. */
  scanFile(fileSizeBytes: number): AsyncGenerator<readonly ScannedBatch[], void, undefined> {
    return scanBatches(this.#file, { from: this.#sizeBytes, to: fileSizeBytes })
  }

  /** A position at or before the batch that holds the offset, or follows it. */
  async positionOf(offset: bigint): Promise<number> {
    return (await this.#table()).floor(this.#relative(offset))
  }

  /** A position before which every timestamp is below the asked one. */
  async positionOfTime(timestampMs: bigint): Promise<number> {
    return (await this.#table()).floorOfTime(timestampMs)
  }

  /**
   * Bytes in [fromOffset, toOffset), at most an index interval too many at each end, or all of them while the entries
   * for `fromOffset` are not in memory.
   */
  sizeBetween(fromOffset: bigint, toOffset: bigint): number {
    const { table, isLoaded } = this.#indexes
    if (!isLoaded && fromOffset < this.#indexedOffset) return this.#sizeBytes
    const from = Math.max(isLoaded ? 0 : this.#indexedBytes, table.floor(this.#relative(fromOffset)))
    const to = toOffset >= this.#nextOffset ? undefined : table.ceiling(this.#relative(toOffset))
    return Math.max(0, (to ?? this.#sizeBytes) - from)
  }

  /**
   * Whole batches from the one that holds `offset` (or follows it) on, below `endOffset`, in one piece of memory out of
   * `buffers`. Undefined when the segment has none.
   */
  async read(wanted: SegmentRead, buffers: BlockPool): Promise<ColdRead | undefined> {
    const to = this.#sizeBytes
    let position = await this.positionOf(wanted.offset)
    let windowBytes = Math.min(Math.max(wanted.maxBytes, 0), 64 * 1024 * 1024) + 16 * 1024
    while (position < to) {
      const length = Math.min(windowBytes, to - position)
      const buffer = buffers.take(length)
      const bytes = await this.#file.read(position, length, 'read', buffer.bytes)
      const { batches, sizeBytes, nextSizeBytes } = batchesIn(bytes, position)
      const first = batches.findIndex((batch) => lastOffsetOf(batch.header) >= wanted.offset)
      const taken = first >= 0 ? takeBatches(bytes, batches.slice(first), { ...wanted, position }) : undefined
      if (taken && bytes.buffer === buffer.bytes.buffer) return { ...taken, buffer }
      buffer.release()
      if (first >= 0) return taken
      position += sizeBytes
      if (nextSizeBytes > wanted.maxBytes && !wanted.minOneBatch) return undefined // it does not fit: no use to read it
      // A size that leads beyond the end would have us wait here for bytes that never come.
      const isCut = position < to && position + nextSizeBytes > to
      if (nextSizeBytes === 0 || isCut || bytes.length < length) {
        throw new StorageError('CORRUPT_BATCH', `${this.path} is damaged at position ${position}`)
      }
      windowBytes = Math.max(windowBytes, nextSizeBytes)
    }
    return undefined
  }

  /** Keeps the file open until the matching `release`. */
  acquire(): void {
    assert(this.#end === 'open' || this.#readers > 0, `${this.path} is read after it was closed`)
    this.#readers += 1
  }

  release(): void {
    this.#readers -= 1
    assert(this.#readers >= 0)
    if (this.#readers === 0 && this.#end !== 'open') this.#ended ??= this.#finish()
  }

  /**
   * Takes the segment out of use: its file closes (and goes, for 'remove') after the last reader. The name is free only
   * when `ended` resolves; 'remove' takes the name away at once, while readers go on with the open file.
   */
  async retire(end: 'close' | 'remove'): Promise<void> {
    this.#end = end
    if (end === 'remove') for (const kind of segmentFileKinds) await this.#disk.remove(this.#pathOf(kind))
    if (this.#readers === 0) this.#ended ??= this.#finish()
    if (this.#ended) await this.#ended
  }

  async #finish(): Promise<void> {
    await this.#file.close()
  }

  /** The index, read back or made again where it is not in memory. */
  async #table(): Promise<SparseIndex> {
    if (!this.#indexes.isLoaded) {
      await this.#withIndexes(async () => {
        if (this.#indexes.isLoaded || (await this.#indexes.load(this.#disk, this.#indexPaths()))) return
        const again = new SegmentIndexes(this.#intervalBytes)
        for await (const batches of scanBatches(this.#file, { from: 0, to: this.#indexedBytes })) {
          for (const { position, bytes, header } of batches) {
            const relativeOffset = this.#relative(lastOffsetOf(header))
            again.note({ position, sizeBytes: bytes.length, relativeOffset, maxTimestampMs: header.maxTimestamp })
          }
        }
        again.noteLargest()
        this.#indexes.rebuild(again)
      })
    }
    return this.#indexes.table
  }

  #unloadIndexes(): void {
    if (!this.#indexes.unload()) return
    this.#indexedBytes = this.#sizeBytes
    this.#indexedOffset = this.#nextOffset
  }

  #withIndexes<T>(work: () => Promise<T>): Promise<T> {
    const mine = this.#indexWork.then(work)
    this.#indexWork = mine.catch(() => undefined)
    return mine
  }

  async #writeIndexes(capture: SegmentCapture): Promise<void> {
    const upTo = { offsets: capture.offsetCount, times: capture.timeCount }
    await this.#indexes.write(this.#disk, this.#indexPaths(), upTo)
  }

  async #writeAborted(entries: readonly AbortedEntry[]): Promise<void> {
    const bytes = encodeAbortedEntries(entries)
    const file = await this.#disk.open(this.#pathOf('txnindex'), { create: true })
    try {
      await file.truncate(bytes.length)
      if (bytes.length > 0) await file.write(0, [bytes])
      await file.sync()
    } finally {
      await file.close()
    }
    this.#aborted = { entries: entries.length, crc: crc32c(bytes) }
  }

  #indexPaths(): { index: string; timeindex: string } {
    return { index: this.#pathOf('index'), timeindex: this.#pathOf('timeindex') }
  }

  #pathOf(kind: (typeof segmentFileKinds)[number], suffix = this.#suffix): string {
    return `${this.#folder}/${segmentFileName(this.baseOffset, kind)}${suffix}`
  }

  #relative(offset: bigint): number {
    return Number(offset - this.baseOffset)
  }
}

function takeBatches(
  bytes: Uint8Array,
  batches: readonly ScannedBatch[],
  options: ReadLimit & { readonly endOffset: bigint; readonly position: number },
): Pick<ColdRead, 'bytes' | 'upperBound'> | undefined {
  const { endOffset, maxBytes, minOneBatch } = options
  const start = batches[0]!.position
  let last: ScannedBatch | undefined
  for (const batch of batches) {
    if (batch.header.baseOffset >= endOffset) break
    const isWithin = batch.position + batch.bytes.length - start <= maxBytes
    if (!isWithin && (last || !minOneBatch)) break
    last = batch
  }
  if (!last) return undefined
  const from = start - options.position
  const until = last.position + last.bytes.length - options.position
  return { bytes: bytes.subarray(from, until), upperBound: lastOffsetOf(last.header) + 1n }
}
