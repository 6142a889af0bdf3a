/**
 * Compaction of one log: keeps the newest record of each key, as Kafka's cleaner does.
 *
 * A cleaning reads what is dirty (not yet compacted) into an offset map, as far as that has room, then writes the
 * segments from the log start to the end of the map anew, several small ones into one, and puts them in the place of
 * the old ones, the oldest first. The active segment and everything from the last stable offset on are left alone.
 *
 * What a cleaning rests on is made durable before anything is removed: no record goes because of one that a power cut
 * takes.
 */
import { isControl, lastOffsetOf, RecordsError, verifyCrc, type BatchRef } from '../protocol/records/batch.ts'
import { offsetOf, readRecords, type RecordLimits } from '../protocol/records/record.ts'
import { cleanBatch, type CleaningRules, type LastRecord } from './cleaner-filter.ts'
import { bytesPerSlot, OffsetMap, type KeyDigest } from './cleaner-offset-map.ts'
import { CleanedTransactions } from './cleaner-transactions.ts'
import { withSegment } from './log-reader.ts'
import type { PartitionLog } from './log.ts'
import type { LogState } from './log-state.ts'
import type { CleanOptions, Result } from './log-store.ts'
import { failure, failureOf, StorageError } from './outcome.ts'
import type { AbortedEntry } from './producer-state.ts'
import { replaceSegments } from './segment-swap.ts'
import { maxRelativeOffset, Segment } from './segment.ts'

/** What a cleaning reads and writes with when nobody says. */
const defaultIoBufferBytes = 512 * 1024
/** The least that is read or written in one piece. */
const smallestPieceBytes = 4 * 1024
/** So much is cleaned between two calls of `pace`. */
const paceBytes = 128 * 1024
/** The larger of an index entry, as in append-plan. */
const largestIndexEntryBytes = 12

/** What a cleaning works with. */
export interface CleanerParts {
  readonly digest: KeyDigest
  /** `log.cleaner.dedupe.buffer.size`: what the offset map may take. */
  readonly bufferBytes: number
  /** `log.cleaner.io.buffer.load.factor`: the share of the offset map that may be filled. */
  readonly loadFactor: number
  /** `log.cleaner.io.buffer.size`: what reading and writing may take, half each. Larger batches take more. */
  readonly ioBufferBytes?: number
  /** Hears by how many bytes the offset map has grown, negative when it goes. */
  readonly onMemory?: (grownBytes: number) => void
}

/** What a cleaning of a log would have to do. */
export interface Cleanable {
  readonly firstDirtyOffset: bigint
  /** The base offset of the first segment that must not be cleaned yet. */
  readonly firstUncleanableOffset: bigint
  readonly cleanBytes: number
  readonly dirtyBytes: number
  /** The share of the dirty bytes. */
  readonly dirtyRatio: number
  /** A dirty record is older than `max.compaction.lag.ms`. */
  readonly isOverdue: boolean
}

export interface Cleaned {
  /** Everything below is compacted: where the next cleaning begins. */
  readonly cleanedOffset: bigint
  readonly bytesBefore: number
  readonly bytesAfter: number
}

/** Kafka's rules for what may be cleaned. `cleanedOffset`: where the last cleaning ended. */
export function cleanableOf(state: LogState, cleanedOffset: bigint, nowMs: bigint): Cleanable {
  const { segments, config, logStartOffset } = state
  const firstDirtyOffset =
    cleanedOffset < logStartOffset || cleanedOffset > state.highWatermark ? logStartOffset : cleanedOffset
  const sealed = segments.slice(0, -1)
  const dirty = sealed.filter((_, index) => segments[index + 1]!.baseOffset > firstDirtyOffset)
  const { minCompactionLagMs, maxCompactionLagMs } = config
  const tooYoung =
    minCompactionLagMs > 0n ? dirty.find((segment) => segment.maxTimestampMs > nowMs - minCompactionLagMs) : undefined
  const limit = lowest(state.lastStableOffset, tooYoung?.baseOffset ?? state.activeSegment.baseOffset)
  const firstUncleanableOffset = segments[state.segmentIndexOf(limit)]!.baseOffset
  const sizeOf = (some: readonly Segment[]): number => some.reduce((sum, segment) => sum + segment.sizeBytes, 0)
  const cleanBytes = sizeOf(
    sealed.filter((segment) => segment.baseOffset < firstDirtyOffset && !dirty.includes(segment)),
  )
  const dirtyBytes = sizeOf(dirty.filter((segment) => segment.baseOffset < firstUncleanableOffset))
  const oldest = dirty.map((segment) => segment.firstTimestampMs ?? -1n).filter((timestampMs) => timestampMs > 0n)
  return {
    firstDirtyOffset,
    firstUncleanableOffset,
    cleanBytes,
    dirtyBytes,
    dirtyRatio: dirtyBytes === 0 ? 0 : dirtyBytes / (cleanBytes + dirtyBytes),
    isOverdue: oldest.some((timestampMs) => timestampMs < nowMs - maxCompactionLagMs),
  }
}

/** Whether it is worth it, or due. */
export function mustClean(state: LogState, cleanable: Cleanable): boolean {
  if (!state.config.cleanupPolicy.compact || state.status !== 'online' || cleanable.dirtyBytes === 0) return false
  return cleanable.isOverdue || cleanable.dirtyRatio > state.config.minCleanableDirtyRatio
}

/**
 * Compacts one log. Appends and reads go on meanwhile; cleanings of one log never overlap. When the log is cut or its
 * start moves into what is cleaned, the cleaning ends early, with a failure that may be tried again.
 *
 * A failure CORRUPT_BATCH means that the log cannot be cleaned: nothing of the batch's segment was changed.
 */
export async function cleanLog(
  log: PartitionLog,
  cleanable: Cleanable,
  options: CleanOptions & CleanerParts,
): Promise<Result<Cleaned>> {
  const begun = await log.exclusive(async () => prepare(log, cleanable))
  if (!begun.ok) return begun
  try {
    await log.sync.run()
  } catch (error) {
    const found = failureOf(error)
    log.goOffline(found.message)
    return found
  }
  try {
    return { ok: true, ...(await new Cleaning(log, begun, options).run()) }
  } catch (error) {
    if (error instanceof RecordsError) return failure('CORRUPT_BATCH', `${log.label}: ${error.message}`)
    return failureOf(error)
  }
}

interface Snapshot {
  readonly cleanable: Cleanable
  readonly generation: number
  readonly segments: readonly Segment[]
  readonly lastRecords: ReadonlyMap<bigint, LastRecord>
  readonly aborted: readonly AbortedEntry[]
}

/** Within `exclusive`: no append is under way, so that what is known of producers is written, too. */
function prepare(log: PartitionLog, cleanable: Cleanable): Snapshot {
  const { state } = log
  const lastRecords = new Map<bigint, LastRecord>()
  for (const { producerId, producerEpoch, batches } of state.producers.producers) {
    lastRecords.set(producerId, { producerEpoch, lastDataOffset: batches.at(-1)?.lastOffset })
  }
  return {
    cleanable,
    generation: state.generation,
    segments: state.segments.filter((segment) => segment.baseOffset < cleanable.firstUncleanableOffset),
    lastRecords,
    aborted: state.producers.aborted.filter((entry) => entry.firstOffset < cleanable.firstUncleanableOffset),
  }
}

class Cleaning {
  readonly #log: PartitionLog
  readonly #snapshot: Snapshot
  readonly #options: CleanOptions & CleanerParts
  readonly #limits: RecordLimits
  readonly #pieceBytes: number
  /** Of the log, as this cleaning knows it. */
  #generation: number
  #unpacedBytes = 0

  constructor(log: PartitionLog, snapshot: Snapshot, options: CleanOptions & CleanerParts) {
    this.#log = log
    this.#snapshot = snapshot
    this.#generation = snapshot.generation
    this.#options = options
    this.#limits = { maxDecompressedBytes: log.state.config.maxDecompressedMessageBytes }
    this.#pieceBytes = Math.max(smallestPieceBytes, (options.ioBufferBytes ?? defaultIoBufferBytes) / 2)
  }

  async run(): Promise<Cleaned> {
    const slots = this.#slotCount()
    const { onMemory } = this.#options
    onMemory?.(slots * bytesPerSlot)
    try {
      return await this.#clean(await this.#fillMap(slots))
    } finally {
      onMemory?.(-slots * bytesPerSlot)
    }
  }

  /** As many keys as there can be, or as the memory is good for. */
  #slotCount(): number {
    const { firstDirtyOffset, firstUncleanableOffset } = this.#snapshot.cleanable
    const { bufferBytes, loadFactor } = this.#options
    const offsets = Number(firstUncleanableOffset - firstDirtyOffset)
    return Math.max(16, Math.min(Math.floor(bufferBytes / bytesPerSlot), Math.ceil(offsets / loadFactor) + 1))
  }

  async #clean(map: OffsetMap): Promise<Cleaned> {
    const { cleanable, segments, aborted, lastRecords } = this.#snapshot
    const cleanedOffset = map.latestOffset + 1n
    const { config } = this.#log.state
    const rules: CleaningRules = {
      map,
      transactions: new CleanedTransactions(aborted),
      lastRecords,
      upperBoundOffset: cleanable.firstUncleanableOffset,
      nowMs: this.#options.nowMs,
      deleteRetentionMs: config.deleteRetentionMs,
      limits: this.#limits,
    }
    const covered = segments.filter((segment) => segment.baseOffset < cleanedOffset)
    let [bytesBefore, bytesAfter] = [0, 0]
    for (const group of this.#groups(covered)) {
      bytesBefore += group.reduce((sum, segment) => sum + segment.sizeBytes, 0)
      bytesAfter += await this.#cleanGroup(group, rules)
    }
    this.#checkUncut()
    return { cleanedOffset, bytesBefore, bytesAfter }
  }

  /** Reads the dirty range up to where the map is full. */
  async #fillMap(slots: number): Promise<OffsetMap> {
    const { cleanable, segments, aborted } = this.#snapshot
    const { firstDirtyOffset, firstUncleanableOffset } = cleanable
    const { digest, loadFactor } = this.#options
    const map = new OffsetMap({ slots, loadFactor, digest, baseOffset: firstDirtyOffset })
    const transactions = new CleanedTransactions(aborted.filter((entry) => entry.lastOffset >= firstDirtyOffset))
    for (const [index, segment] of segments.entries()) {
      const endOffset = segments[index + 1]?.baseOffset ?? firstUncleanableOffset
      if (endOffset <= firstDirtyOffset) continue
      const from = firstDirtyOffset > segment.baseOffset ? await segment.positionOf(firstDirtyOffset) : 0
      const isFull = await this.#eachBatch(segment, from, (batch) => !this.#mapBatch(map, transactions, batch))
      if (isFull) break
      map.latestOffset = endOffset - 1n // the offsets behind the last batch are gaps
    }
    return map
  }

  /** False when the map is full. */
  #mapBatch(map: OffsetMap, transactions: CleanedTransactions, batch: BatchRef): boolean {
    const { firstDirtyOffset } = this.#snapshot.cleanable
    const { header } = batch
    if (isControl(header)) {
      transactions.isEmptied(batch, this.#limits)
    } else if (!transactions.isAborted(batch)) {
      for (const record of readRecords(batch, this.#limits)) {
        const { key } = record
        const offset = offsetOf(header, record)
        if (key !== null && offset >= firstDirtyOffset && !map.put(key, offset)) return false
      }
    }
    if (lastOffsetOf(header) >= firstDirtyOffset) map.latestOffset = lastOffsetOf(header)
    return true
  }

  /** Segments that will be one: as many as could fit even if nothing went. */
  #groups(segments: readonly Segment[]): Segment[][] {
    const { config } = this.#log.state
    const groups: Segment[][] = []
    let [sizeBytes, entries] = [0, 0]
    for (const segment of segments) {
      const group = groups.at(-1)
      sizeBytes += segment.sizeBytes
      entries += segment.indexEntries
      const fits =
        group !== undefined &&
        sizeBytes <= config.segmentBytes &&
        entries * largestIndexEntryBytes <= config.segmentIndexBytes &&
        segment.nextOffset - group[0]!.baseOffset <= BigInt(maxRelativeOffset)
      if (fits) {
        group.push(segment)
        continue
      }
      groups.push([segment])
      sizeBytes = segment.sizeBytes
      entries = segment.indexEntries
    }
    return groups
  }

  /** Returns the bytes that are left. */
  async #cleanGroup(group: readonly Segment[], rules: CleaningRules): Promise<number> {
    const { state } = this.#log
    this.#checkUncut()
    const cleaned = await Segment.open(state.disk, state.folder, {
      baseOffset: group[0]!.baseOffset,
      indexIntervalBytes: state.config.indexIntervalBytes,
      files: state.files,
      isNew: true,
      suffix: '.cleaned',
    })
    let isReplacing = false
    try {
      const isChanged = await this.#rewrite(group, cleaned, rules)
      const aborted = rules.transactions.takeKept()
      if (!isChanged && group.length === 1) return cleaned.sizeBytes
      await cleaned.seal()
      const swapped = await this.#log.exclusive(async () => {
        this.#checkUncut()
        isReplacing = true
        await replaceSegments(this.#log, { old: group, cleaned, aborted })
        this.#generation = state.generation
        state.tail.evictBelow(state.segments[state.segments.indexOf(cleaned) + 1]!.baseOffset)
        return {}
      })
      if (!swapped.ok) throw new StorageError(swapped.code, swapped.message)
      return cleaned.sizeBytes
    } finally {
      // Where a replacement broke off, opening the log again finishes or undoes it by the files that are there.
      const mayCount = isReplacing && state.status !== 'online'
      if (!state.segments.includes(cleaned)) await cleaned.retire(mayCount ? 'close' : 'remove')
    }
  }

  /** Writes what stays of the segments. Returns whether anything of them does not. */
  async #rewrite(group: readonly Segment[], cleaned: Segment, rules: CleaningRules): Promise<boolean> {
    let isChanged = false
    let waiting: BatchRef[] = []
    let waitingBytes = 0
    const flush = async (): Promise<void> => {
      const batches = waiting
      waiting = []
      waitingBytes = 0
      if (batches.length === 0) return
      await cleaned.write(
        cleaned.sizeBytes,
        batches.map((batch) => batch.bytes),
      )
      for (const batch of batches) cleaned.note(cleaned.sizeBytes, batch.bytes.length, batch.header)
    }
    for (const segment of group) {
      await this.#eachBatch(segment, 0, (batch) => {
        const kept = cleanBatch(batch, rules)
        if (kept !== batch) isChanged = true
        if (kept) {
          waiting.push(kept)
          waitingBytes += kept.bytes.length
        }
        return waitingBytes >= this.#pieceBytes ? flush().then(() => false) : false
      })
      await flush()
    }
    return isChanged
  }

  /** Walks over a segment from a position on until `visit` says true. Each batch is checked before it is believed. */
  async #eachBatch(
    segment: Segment,
    from: number,
    visit: (batch: BatchRef) => boolean | Promise<boolean>,
  ): Promise<boolean> {
    this.#checkUncut()
    try {
      return await withSegment(segment, () => this.#walk(segment, from, visit))
    } catch (error) {
      this.#checkUncut() // bytes that are being cut tell nothing
      throw error
    }
  }

  async #walk(
    segment: Segment,
    from: number,
    visit: (batch: BatchRef) => boolean | Promise<boolean>,
  ): Promise<boolean> {
    let position = from
    for await (const batches of segment.scan(from, { diskClass: 'housekeeping', windowBytes: this.#pieceBytes })) {
      for (const batch of batches) {
        this.#checkOngoing()
        if (!verifyCrc(batch)) {
          throw new RecordsError('CORRUPT', `the CRC of the batch at offset ${batch.header.baseOffset} does not hold`)
        }
        if (await visit(batch)) return true
        position = batch.position + batch.bytes.length
        await this.#pace(batch.bytes.length)
      }
    }
    if (position !== segment.sizeBytes) throw new RecordsError('CORRUPT', `damaged at position ${position}`)
    return false
  }

  async #pace(sizeBytes: number): Promise<void> {
    this.#unpacedBytes += sizeBytes
    if (this.#unpacedBytes < paceBytes) return
    const paced = this.#unpacedBytes
    this.#unpacedBytes = 0
    await this.#options.pace(paced)
  }

  #checkOngoing(): void {
    if (this.#options.signal?.aborted)
      throw new StorageError('TIMED_OUT', `the cleaning of ${this.#log.label} was ended`)
  }

  /** @throws StorageError when the log was cut, emptied or deleted, or its start moved over a segment. */
  #checkUncut(): void {
    this.#checkOngoing()
    const { state } = this.#log
    if (state.status === 'online' && state.generation === this.#generation) return
    throw new StorageError('STORAGE_FAILED', `${state.label} was cut while it was cleaned`)
  }
}

function lowest(a: bigint, b: bigint): bigint {
  return a < b ? a : b
}
