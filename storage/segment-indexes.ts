/**
 * The `.index` and `.timeindex` of one segment: what is in their files, what is not written yet, and what of both is in
 * memory.
 *
 * Entries gather in memory as batches come, and go to the files when the log notes how far it has come (`LogNote`),
 * before that note: an index file is believed only as far as a note vouches for it, by count and checksum. Whatever
 * else may have happened to it (zeros at its end, a cut, an older copy, a second copy behind the first, no file at
 * all), it is made again from the log. An index whose entries are all in its files may leave memory; it is read back by
 * the first look-up.
 */
import { strict as assert } from 'node:assert'
import { crc32c } from '../protocol/crc32c.ts'
import { DiskError, type Disk } from './disk.ts'
import {
  decodeOffsetEntries,
  decodeTimeEntries,
  encodeOffsetEntries,
  encodeTimeEntries,
  offsetEntryBytes,
  timeEntryBytes,
  type TimeEntry,
} from './index-files.ts'
import { joinIndexes, noTimestamp, SparseIndex } from './sparse-index.ts'

/** A beginning of a file of entries: how many, and the CRC-32C of their bytes. */
export interface FilePart {
  readonly entries: number
  readonly crc: number
}

export const noPart: FilePart = { entries: 0, crc: 0 }

/** One batch, as the indexes see it. */
export interface IndexedBatch {
  readonly position: number
  readonly sizeBytes: number
  /** Of its last record, relative to the base of the segment. */
  readonly relativeOffset: number
  readonly maxTimestampMs: bigint
}

export class SegmentIndexes {
  readonly #intervalBytes: number
  #bytesSinceEntry = 0
  #maxTimestampMs = noTimestamp
  #offsetOfMax = 0
  #lastTimeMs = -1n
  /** All entries from `#unloaded` on. */
  #table = new SparseIndex()
  /** So many entries at the beginning are only in the file. */
  #unloaded = 0
  #times: TimeEntry[] = []
  #unloadedTimes = 0
  #written: { offsets: FilePart; times: FilePart } = { offsets: noPart, times: noPart }

  constructor(intervalBytes: number) {
    this.#intervalBytes = intervalBytes
  }

  /** Goes on behind what the files have, which stays there until it is needed. */
  static behind(
    intervalBytes: number,
    written: { readonly offsets: FilePart; readonly times: FilePart; readonly maxTimestampMs: bigint },
  ): SegmentIndexes {
    const indexes = new SegmentIndexes(intervalBytes)
    indexes.#written = { offsets: written.offsets, times: written.times }
    indexes.#unloaded = written.offsets.entries
    indexes.#unloadedTimes = written.times.entries
    indexes.#maxTimestampMs = written.maxTimestampMs
    indexes.#lastTimeMs = written.maxTimestampMs > -1n ? written.maxTimestampMs : -1n
    return indexes
  }

  get count(): number {
    return this.#unloaded + this.#table.count
  }

  get timeCount(): number {
    return this.#unloadedTimes + this.#times.length
  }

  get isLoaded(): boolean {
    return this.#unloaded === 0 && this.#unloadedTimes === 0
  }

  get written(): { readonly offsets: FilePart; readonly times: FilePart } {
    return this.#written
  }

  /** All that is known, in memory. Only the entries that are: a caller that needs more loads them first. */
  get table(): SparseIndex {
    return this.#table
  }

  /** The largest timestamp so far, or `noTimestamp`. */
  get maxTimestampMs(): bigint {
    return this.#maxTimestampMs
  }

  get bytesSinceEntry(): number {
    return this.#bytesSinceEntry
  }

  note(batch: IndexedBatch): void {
    if (batch.maxTimestampMs > this.#maxTimestampMs) {
      this.#maxTimestampMs = batch.maxTimestampMs
      this.#offsetOfMax = batch.relativeOffset
    }
    if (this.#bytesSinceEntry > this.#intervalBytes) {
      this.#table.push(batch, this.#maxTimestampMs)
      this.noteLargest()
      this.#bytesSinceEntry = 0
    }
    this.#bytesSinceEntry += batch.sizeBytes
  }

  /**
   * Gives the time index the largest timestamp, if it has not got it: where a segment or a note ends, as Kafka does.
   */
  noteLargest(): void {
    if (this.#maxTimestampMs <= this.#lastTimeMs) return
    this.#times.push({ timestampMs: this.#maxTimestampMs, relativeOffset: this.#offsetOfMax })
    this.#lastTimeMs = this.#maxTimestampMs
  }

  /** Writes the entries up to these counts to their files and syncs them. Calls never overlap. */
  async write(
    disk: Disk,
    paths: { readonly index: string; readonly timeindex: string },
    upTo: { readonly offsets: number; readonly times: number },
  ): Promise<void> {
    const { offsets, times } = this.#written
    if (offsets.entries < upTo.offsets || offsets.entries === 0) {
      const entries = this.#table.entries(offsets.entries - this.#unloaded, upTo.offsets - this.#unloaded)
      const part = await appendEntries(disk, paths.index, encodeOffsetEntries(entries), {
        part: offsets,
        entryBytes: offsetEntryBytes,
      })
      this.#written = { ...this.#written, offsets: part }
    }
    if (times.entries < upTo.times || times.entries === 0) {
      const entries = this.#times.slice(times.entries - this.#unloadedTimes, upTo.times - this.#unloadedTimes)
      const part = await appendEntries(disk, paths.timeindex, encodeTimeEntries(entries), {
        part: times,
        entryBytes: timeEntryBytes,
      })
      this.#written = { ...this.#written, times: part }
    }
  }

  /** Lets go of all entries, if the files have them. False where they do not. */
  unload(): boolean {
    if (this.#written.offsets.entries !== this.count || this.#written.times.entries !== this.timeCount) return false
    this.#unloaded = this.count
    this.#unloadedTimes = this.timeCount
    this.#table = new SparseIndex()
    this.#times = []
    return true
  }

  /** Reads the entries back that are only in the files. False where these are not what was written. */
  async load(disk: Disk, paths: { readonly index: string; readonly timeindex: string }): Promise<boolean> {
    const [unloaded, unloadedTimes] = [this.#unloaded, this.#unloadedTimes]
    const { offsets, times } = this.#written
    const offsetBytes = await readPart(disk, paths.index, { part: offsets, entryBytes: offsetEntryBytes })
    const timeBytes = await readPart(disk, paths.timeindex, { part: times, entryBytes: timeEntryBytes })
    if (!offsetBytes || !timeBytes) return false
    // Let go of meanwhile: what was read is not all that is needed now.
    if (this.#unloaded !== unloaded || this.#unloadedTimes !== unloadedTimes) return this.load(disk, paths)
    this.#prepend(
      decodeOffsetEntries(offsetBytes).slice(0, unloaded),
      decodeTimeEntries(timeBytes).slice(0, unloadedTimes),
    )
    return true
  }

  /**
   * Takes entries that were made again from the log in place of those that the files should have. All are written anew.
   */
  rebuild(again: SegmentIndexes): void {
    this.#prepend(again.#table.entries(0), again.#times)
    this.#written = { offsets: noPart, times: noPart }
  }

  #prepend(offsets: ReturnType<SparseIndex['entries']>, times: readonly TimeEntry[]): void {
    const [pending, pendingTimes] = [this.#table, this.#times]
    const table = joinIndexes(offsets, times)
    for (const [index, entry] of pending.entries(0).entries()) table.push(entry, pending.timestampAt(index))
    this.#table = table
    this.#times = [...times, ...pendingTimes]
    this.#unloaded = 0
    this.#unloadedTimes = 0
  }
}

/** Puts entries behind a known part of a file, cuts what lies behind them, and syncs. */
async function appendEntries(
  disk: Disk,
  path: string,
  bytes: Uint8Array,
  behind: { readonly part: FilePart; readonly entryBytes: number },
): Promise<FilePart> {
  const { part, entryBytes } = behind
  const position = part.entries * entryBytes
  const file = await disk.open(path, { create: true })
  try {
    if (bytes.length > 0) await file.write(position, [bytes])
    await file.truncate(position + bytes.length)
    await file.sync()
  } finally {
    await file.close()
  }
  assert(bytes.length % entryBytes === 0)
  return { entries: part.entries + bytes.length / entryBytes, crc: crc32c(bytes, part.crc) }
}

/** The bytes of a part, or undefined where the file does not have it. */
export async function readPart(
  disk: Disk,
  path: string,
  wanted: { readonly part: FilePart; readonly entryBytes: number },
): Promise<Uint8Array | undefined> {
  if (wanted.part.entries === 0) return new Uint8Array(0)
  const sizeBytes = wanted.part.entries * wanted.entryBytes
  try {
    const bytes = (await disk.readFile(path)).subarray(0, sizeBytes)
    return bytes.length === sizeBytes && crc32c(bytes) === wanted.part.crc ? bytes : undefined
  } catch (error) {
    if (error instanceof DiskError && error.code === 'NOT_FOUND') return undefined
    throw error
  }
}
