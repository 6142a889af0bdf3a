/**
 * One segment: a `.log` file in Kafka's format, and where its batches are.
 *
 * What is written becomes visible only through `note`. A segment is counted by its readers: once retired (deleted, cut away,
 * or the log closes) its file closes with the last of them, never under one.
 */
import { strict as assert } from 'node:assert'
import { lastOffsetOf, type BatchHeader } from '../protocol/records/batch.ts'
import { batchesIn, scanBatches, type ScannedBatch } from './batch-scan.ts'
import type { Disk, DiskClass, DiskFile } from './disk.ts'
import { StorageError } from './outcome.ts'
import { noTimestamp, SparseIndex } from './sparse-index.ts'

/** Offsets in a segment are int32 relative to its base, as in Kafka's index files. */
export const maxRelativeOffset = 2_147_483_647

/** `00000000000000000042.log` */
export function segmentFileName(baseOffset: bigint, suffix = 'log'): string {
  return `${baseOffset.toString().padStart(20, '0')}.${suffix}`
}

/** What a segment may consist of. The log comes last: where it has its final name, all of its files have theirs. */
export const segmentFileKinds = ['txnindex', 'timeindex', 'index', 'log'] as const

/**
 * How the files of a segment are called that is not, or no longer, part of its log, as in Kafka: written by the cleaner, on
 * its way to the place of others, and waiting for its removal. See `segment-swap.ts`.
 */
export type SegmentSuffix = '' | '.cleaned' | '.swap' | '.deleted'

export interface ColdRead {
  readonly bytes: Uint8Array
  /** One behind the last offset that was read. */
  readonly upperBound: bigint
}

export interface ReadLimit {
  readonly maxBytes: number
  readonly minOneBatch: boolean
}

export interface SegmentOptions {
  readonly baseOffset: bigint
  readonly indexIntervalBytes: number
  /** Begins with empty files, whatever was there. */
  readonly isNew?: boolean
  readonly suffix?: SegmentSuffix
}

export class Segment {
  readonly baseOffset: bigint
  readonly #folder: string
  #suffix: SegmentSuffix
  readonly #disk: Disk
  readonly #file: DiskFile
  readonly #index: SparseIndex
  #sizeBytes = 0
  #nextOffset: bigint
  #maxTimestampMs = noTimestamp
  #firstTimestampMs: bigint | undefined
  #readers = 0
  #end: 'open' | 'close' | 'remove' = 'open'
  #ended: Promise<void> | undefined

  private constructor(disk: Disk, file: DiskFile, options: SegmentOptions & { folder: string }) {
    this.#disk = disk
    this.#file = file
    this.#folder = options.folder
    this.#suffix = options.suffix ?? ''
    this.baseOffset = options.baseOffset
    this.#nextOffset = options.baseOffset
    this.#index = new SparseIndex(options.indexIntervalBytes)
  }

  /** Opens or creates the file. Its batches are unknown until they are noted. */
  static async open(disk: Disk, folder: string, options: SegmentOptions): Promise<Segment> {
    const path = `${folder}/${segmentFileName(options.baseOffset)}${options.suffix ?? ''}`
    const file = await disk.open(path, { create: options.isNew === true })
    const segment = new Segment(disk, file, { ...options, folder })
    if (options.isNew === true) await file.truncate(0)
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
    return this.#maxTimestampMs
  }

  /** The largest timestamp of the first batch: what rolling by time counts from. */
  get firstTimestampMs(): bigint | undefined {
    return this.#firstTimestampMs
  }

  get indexEntries(): number {
    return this.#index.count
  }

  get isEmpty(): boolean {
    return this.#sizeBytes === 0
  }

  fileSize(): Promise<number> {
    return this.#file.size()
  }

  /** Writes behind what is there. The bytes count for nothing before `note`. */
  async write(position: number, chunks: readonly Uint8Array[]): Promise<void> {
    await this.#file.write(position, chunks)
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
    this.#index.note(position, Number(header.baseOffset - this.baseOffset), this.#maxTimestampMs)
    this.#sizeBytes += sizeBytes
    this.#nextOffset = lastOffset + 1n
    this.#firstTimestampMs ??= header.maxTimestamp
    if (header.maxTimestamp > this.#maxTimestampMs) this.#maxTimestampMs = header.maxTimestamp
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
   * Ends a segment that gets no more batches: all its files are written and synced when this resolves. Their names are not
   * durable before the folder is synced.
   */
  async seal(): Promise<void> {
    await this.dropUnnoted()
  }

  /** Renames all files of the segment. Readers go on with what they have open. Durable when the folder is synced. */
  async rename(suffix: SegmentSuffix): Promise<void> {
    for (const kind of segmentFileKinds) {
      const from = this.#pathOf(kind)
      if (kind !== 'log' && !(await this.#disk.exists(from))) continue
      await this.#disk.rename(from, this.#pathOf(kind, suffix))
    }
    this.#suffix = suffix
  }

  /** The batches from a position on, up to what is noted now. */
  scan(from = 0, diskClass?: DiskClass): AsyncGenerator<readonly ScannedBatch[], void, undefined> {
    return scanBatches(this.#file, { from, to: this.#sizeBytes }, diskClass)
  }

  /** Everything in the file, noted or not: for recovery. */
  scanFile(fileSizeBytes: number): AsyncGenerator<readonly ScannedBatch[], void, undefined> {
    return scanBatches(this.#file, { from: 0, to: fileSizeBytes })
  }

  positionOf(offset: bigint): number {
    return this.#index.floor(this.#relative(offset))
  }

  positionOfTime(timestampMs: bigint): number {
    return this.#index.floorOfTime(timestampMs)
  }

  /** Bytes in [fromOffset, toOffset), at most an index interval too many at each end. */
  sizeBetween(fromOffset: bigint, toOffset: bigint): number {
    const from = this.positionOf(fromOffset)
    const to = toOffset >= this.#nextOffset ? undefined : this.#index.ceiling(this.#relative(toOffset))
    return Math.max(0, (to ?? this.#sizeBytes) - from)
  }

  /**
   * Whole batches from the one that holds `offset` (or follows it) on, below `endOffset`, in one piece of memory. Undefined
   * when the segment has none.
   */
  async read(offset: bigint, endOffset: bigint, limit: ReadLimit): Promise<ColdRead | undefined> {
    const to = this.#sizeBytes
    let position = this.positionOf(offset)
    let wanted = Math.min(Math.max(limit.maxBytes, 0), 64 * 1024 * 1024) + 16 * 1024
    while (position < to) {
      const length = Math.min(wanted, to - position)
      const bytes = await this.#file.read(position, length, 'read')
      const { batches, sizeBytes, nextSizeBytes } = batchesIn(bytes, position)
      const first = batches.findIndex((batch) => lastOffsetOf(batch.header) >= offset)
      if (first >= 0) return takeBatches(bytes, batches.slice(first), { endOffset, position, limit })
      if (nextSizeBytes === 0 || bytes.length < length) {
        throw new StorageError('CORRUPT_BATCH', `${this.path} is damaged at position ${position + sizeBytes}`)
      }
      position += sizeBytes
      wanted = Math.max(wanted, nextSizeBytes)
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
   * Takes the segment out of use: its file closes (and goes, for 'remove') after the last reader. The name is free only when
   * `ended` resolves; 'remove' takes the name away at once, while readers go on with the open file.
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
  options: { endOffset: bigint; position: number; limit: ReadLimit },
): ColdRead | undefined {
  const { endOffset, limit } = options
  const start = batches[0]!.position
  let last: ScannedBatch | undefined
  for (const batch of batches) {
    if (batch.header.baseOffset >= endOffset) break
    const isWithin = batch.position + batch.bytes.length - start <= limit.maxBytes
    if (!isWithin && (last || !limit.minOneBatch)) break
    last = batch
  }
  if (!last) return undefined
  const from = start - options.position
  const until = last.position + last.bytes.length - options.position
  return { bytes: bytes.subarray(from, until), upperBound: lastOffsetOf(last.header) + 1n }
}
