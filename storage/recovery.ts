/**
 * Opens the folder of one partition: takes over what its note says, finds the segments behind that, walks over their
 * batches, cuts what is no whole batch of this log, and derives everything else that is known of it. Without a note
 * that holds, all segments are read. After a clean stop the bytes are trusted; otherwise each CRC behind the recovery
 * point is checked.
 */
import { lastOffsetOf, RecordsError, verifyCrc } from '../protocol/records/batch.ts'
import type { ScannedBatch } from './batch-scan.ts'
import {
  formatEpochs,
  formatPartitionMetadata,
  loadFile,
  parseEpochs,
  parsePartitionMetadata,
  type EpochStart,
} from './checkpoint-files.ts'
import type { Disk } from './disk.ts'
import type { LogState } from './log-state.ts'
import { loadNote, loadProducers, noteName, removeNote } from './log-note.ts'
import type { AbortedEntry } from './producer-state.ts'
import { maxRelativeOffset, Segment, type SegmentOptions } from './segment.ts'
import { recoverSwaps } from './segment-swap.ts'

export interface RecoveryOptions {
  /** The last stop was clean: no CRC is checked. */
  readonly isClean: boolean
  /**
   * What `recovery-point-offset-checkpoint` has for this partition: batches below it are durable, and not checked
   * again.
   */
  readonly recoveryPoint: bigint | undefined
  /** What `log-start-offset-checkpoint` has for this partition. */
  readonly logStartOffset: bigint | undefined
  /** The leader epoch of the partition in the metadata. */
  readonly leaderEpoch: number
}

/** What recovery had to give up. */
export interface Loss {
  readonly label: string
  readonly lostBytes: number
  readonly logEndOffset: bigint
}

export const epochCheckpointName = 'leader-epoch-checkpoint'
const metadataName = 'partition.metadata'

/** Fills the state from the folder, which is made when it is missing. Returns what was lost, if anything. */
export async function recover(state: LogState, options: RecoveryOptions): Promise<Loss | undefined> {
  const { disk, folder } = state
  const isOurs = await claimFolder(state)
  let names = (await disk.list(folder)).map((entry) => entry.name)
  const isSwapped = (await recoverSwaps(disk, folder, names)).size > 0
  if (isSwapped) names = (await disk.list(folder)).map((entry) => entry.name)
  const bases = names.filter((name) => /^\d{20}\.log$/.test(name)).map((name) => BigInt(name.slice(0, 20)))
  const snapshots = names.filter((name) => /^\d{20}\.snapshot$/.test(name))
  state.snapshotOffsets = snapshots.map((name) => BigInt(name.slice(0, 20)))
  const epochs = isOurs ? await loadFile(disk, `${folder}/${epochCheckpointName}`, parseEpochs) : undefined
  if (names.includes(noteName)) {
    const isRestored = epochs && !isSwapped && (await restoreNoted(state, { bases, epochs, ...options }))
    if (isRestored !== true) await removeNote(disk, folder)
  }
  const lostBytes = await loadSegments(state, bases, options)
  state.highWatermark = state.segments.at(-1)?.nextOffset ?? 0n
  await beginAtLogStart(state, isOurs ? options.logStartOffset : undefined)
  mergeEpochs(state, epochs ?? [])
  // Readers may have seen an epoch whose records are lost: what is told of the log never goes back.
  state.leaderEpoch = Math.max(
    options.leaderEpoch,
    ...(epochs ?? []).map((entry) => entry.leaderEpoch),
    state.epochs.latest,
  )
  if (!state.isMirror) state.epochs.assign(state.leaderEpoch, state.highWatermark)
  if (epochs && sameEpochs(epochs, state.epochs.entries)) state.savedEpochs = state.epochs.changeCount
  state.producers.onVisible(state.highWatermark)
  state.producers.onLogStart(state.logStartOffset)
  return lostBytes === 0 ? undefined : { label: state.label, lostBytes, logEndOffset: state.highWatermark }
}

function sameEpochs(some: readonly EpochStart[], others: readonly EpochStart[]): boolean {
  if (some.length !== others.length) return false
  return some.every((entry, index) => {
    const other = others[index]!
    return entry.leaderEpoch === other.leaderEpoch && entry.startOffset === other.startOffset
  })
}

/**
 * Takes over what the note of the log says, if all of it is there: then only what lies behind it is read. False where
 * something is missing or has another size than noted; the state is untouched then.
 */
async function restoreNoted(
  state: LogState,
  found: { bases: readonly bigint[]; epochs: readonly EpochStart[]; logStartOffset: bigint | undefined },
): Promise<boolean> {
  const { disk, folder } = state
  const note = await loadNote(disk, folder)
  if (!note) return false
  const logStartOffset = found.logStartOffset ?? 0n
  // What was deleted since lies below the log start.
  const noted = note.segments.filter(
    (segment) =>
      segment.sizeBytes > 0 && (segment.nextOffset > logStartOffset || found.bases.includes(segment.baseOffset)),
  )
  const lastBase = noted.at(-1)?.baseOffset ?? -1n
  const known = new Set(noted.map((segment) => segment.baseOffset))
  if (found.bases.filter((base) => base <= lastBase).some((base) => !known.has(base))) return false
  if (noted.some((segment) => !found.bases.includes(segment.baseOffset))) return false
  const segments = noted.map((segment) => Segment.restore(disk, folder, segment, segmentOptions(state)))
  for (const segment of segments) {
    const sizeBytes = await segment.fileSize()
    const isWhole = segment.baseOffset === lastBase ? sizeBytes >= segment.sizeBytes : sizeBytes === segment.sizeBytes
    if (!isWhole) return closeAll(segments)
  }
  const producers = await loadProducers(disk, folder, note)
  const aborted: AbortedEntry[] = []
  for (const segment of segments) {
    const entries = await segment.readAborted()
    if (!entries) return closeAll(segments)
    aborted.push(...entries)
  }
  if (!producers) return closeAll(segments)
  state.segments = segments
  state.producers.restore(producers, aborted)
  for (const { leaderEpoch, startOffset } of found.epochs) {
    if (startOffset < note.endOffset) state.epochs.assign(leaderEpoch, startOffset)
  }
  state.noted = { endOffset: note.endOffset, producers, aborted, note }
  return true
}

async function closeAll(segments: readonly Segment[]): Promise<false> {
  for (const segment of segments) await segment.retire('close')
  return false
}

/**
 * Makes the folder, or finds it. A folder of another topic of this name is one whose deletion a crash cut short: it
 * goes. Returns whether it was there already.
 */
async function claimFolder({ disk, folder, id }: LogState): Promise<boolean> {
  const metadataPath = `${folder}/${metadataName}`
  const owner = await loadFile(disk, metadataPath, parsePartitionMetadata)
  if (owner === id.topicId) return true
  if (await disk.exists(folder)) {
    if (owner !== undefined) await removeFolder(disk, folder, owner)
    else if ((await disk.list(folder)).some((entry) => entry.name.endsWith('.log'))) {
      await disk.replaceFile(metadataPath, formatPartitionMetadata(id.topicId))
      return true
    }
  }
  await disk.makeDirectory(folder)
  await disk.replaceFile(metadataPath, formatPartitionMetadata(id.topicId))
  return false
}

/**
 * What the folder of a deleted partition is called until its files are gone: Kafka puts 32 hexadecimal digits there.
 */
export function deletedFolder(folder: string, topicId: string): string {
  return `${folder}.${Buffer.from(topicId, 'base64url').toString('hex')}-delete`
}

/** Renamed first: a crash in the middle must not leave segments under the name of a partition. */
async function removeFolder(disk: Disk, folder: string, topicId: string): Promise<void> {
  const aside = deletedFolder(folder, topicId)
  await disk.remove(aside)
  await disk.rename(folder, aside)
  await disk.syncDirectory(folder.includes('/') ? folder.slice(0, folder.lastIndexOf('/')) : '')
  await disk.remove(aside)
}

/**
 * Opens the segments that are not, or not wholly, noted, up to the first damage; what follows it goes. Returns the
 * bytes given up.
 */
async function loadSegments(state: LogState, bases: readonly bigint[], options: RecoveryOptions): Promise<number> {
  const resumed = state.segments.at(-1)
  const unread = resumed ? bases.filter((baseOffset) => baseOffset >= resumed.baseOffset) : bases
  for (const [index, baseOffset] of unread.entries()) {
    const before = state.segments.at(-1)
    const isResumed = baseOffset === resumed?.baseOffset
    if (!isResumed && before && baseOffset < before.nextOffset) return removeFrom(state, unread.slice(index))
    const segment = isResumed ? resumed : await openSegment(state, baseOffset)
    const sizeBytes = await segment.fileSize()
    await replay(state, segment, { sizeBytes, ...options })
    if (!isResumed) state.segments.push(segment)
    if (segment.sizeBytes === sizeBytes) continue
    const removedBytes = await removeFrom(state, unread.slice(index + 1))
    await segment.dropUnnoted()
    return removedBytes + sizeBytes - segment.sizeBytes
  }
  return 0
}

/**
 * Removes what lies behind damage, the newest first and each durably: whatever a crash leaves is a beginning of the
 * log, and damage.
 */
async function removeFrom(state: LogState, bases: readonly bigint[]): Promise<number> {
  let removedBytes = 0
  for (const baseOffset of bases.toReversed()) {
    const segment = await openSegment(state, baseOffset)
    removedBytes += await segment.fileSize()
    await segment.retire('remove')
    await state.disk.syncDirectory(state.folder)
  }
  return removedBytes
}

/** Notes the batches behind what is noted of a segment, up to the first that does not belong there. */
async function replay(
  state: LogState,
  segment: Segment,
  options: RecoveryOptions & { readonly sizeBytes: number },
): Promise<void> {
  for await (const batches of segment.scanFile(options.sizeBytes)) {
    for (const batch of batches) {
      const { baseOffset } = batch.header
      const lastOffset = lastOffsetOf(batch.header)
      const isInOrder = baseOffset >= segment.nextOffset
      const isInRange = lastOffset - segment.baseOffset <= BigInt(maxRelativeOffset)
      const isTrusted = options.isClean || lastOffset < (options.recoveryPoint ?? 0n)
      if (!isInOrder || !isInRange || !(isTrusted || verifyCrc(batch))) return
      if (!mayNoteHistory(state, batch)) return
      segment.note(batch.position, batch.bytes.length, batch.header)
    }
  }
}

/** As `noteHistory`; false for a marker that cannot be read. */
function mayNoteHistory(state: LogState, batch: ScannedBatch): boolean {
  try {
    noteHistory(state, batch)
    return true
  } catch (error) {
    if (error instanceof RecordsError) return false
    throw error
  }
}

/** Producers, transactions and epochs follow from the batches alone. */
function noteHistory(state: LogState, batch: ScannedBatch): void {
  const staged = state.producers.stage('mirror')
  staged.add(batch, batch.header.baseOffset)
  state.producers.commit(staged)
  state.epochs.assign(batch.header.partitionLeaderEpoch, batch.header.baseOffset)
}

/**
 * Derives producer and transaction state and epochs anew from what is visible, after a cut: from the last note on,
 * where the log still reaches to it.
 */
export async function rebuildHistory(state: LogState): Promise<void> {
  const epochs = state.epochs.entries
  const { noted } = state
  const from = noted && noted.endOffset <= state.highWatermark ? noted.endOffset : 0n
  state.producers.clear()
  state.epochs.clear()
  if (noted && from > 0n) {
    state.producers.restore(noted.producers, noted.aborted)
    for (const { leaderEpoch, startOffset } of epochs) {
      if (startOffset < from) state.epochs.assign(leaderEpoch, startOffset)
    }
  }
  for (const segment of state.segments) {
    if (segment.nextOffset <= from) continue
    const position = segment.baseOffset < from ? await segment.positionOf(from) : 0
    for await (const batches of segment.scan(position)) {
      for (const batch of batches) if (batch.header.baseOffset >= from) noteHistory(state, batch)
    }
  }
  mergeEpochs(state, epochs)
  if (!state.isMirror) state.epochs.assign(state.leaderEpoch, state.highWatermark)
  state.producers.onVisible(state.highWatermark)
  state.producers.onLogStart(state.logStartOffset)
}

/**
 * The batches are the truth where they are; the checkpoint adds epochs that began and got no batch, those whose batches
 * are gone, and where an epoch began whose first batches compaction has removed. Entries at or behind the end were of
 * batches that are lost.
 */
function mergeEpochs(state: LogState, checkpoint: readonly EpochStart[]): void {
  const fromBatches = state.epochs.entries
  const all = new Map(fromBatches.map((entry) => [entry.leaderEpoch, entry]))
  for (const entry of checkpoint) {
    if (entry.startOffset >= state.highWatermark || entry.startOffset <= state.epochs.lastSeenBelow(entry.leaderEpoch))
      continue
    const known = all.get(entry.leaderEpoch)
    const later = fromBatches.find(({ leaderEpoch }) => leaderEpoch > entry.leaderEpoch)
    const isBefore = (other: EpochStart | undefined): boolean => !other || entry.startOffset < other.startOffset
    if (isBefore(known) && isBefore(later)) all.set(entry.leaderEpoch, entry)
  }
  state.epochs.clear()
  for (const { leaderEpoch, startOffset } of [...all.values()].sort((a, b) => a.leaderEpoch - b.leaderEpoch)) {
    state.epochs.assign(leaderEpoch, startOffset)
  }
  state.epochs.truncateFromStart(state.logStartOffset)
}

/** A log never begins before its checkpointed start, and never gives an offset below it again. */
async function beginAtLogStart(state: LogState, checkpoint: bigint | undefined): Promise<void> {
  const first = state.segments[0]?.baseOffset ?? 0n
  state.logStartOffset = checkpoint !== undefined && checkpoint > first ? checkpoint : first
  state.savedLogStart = state.logStartOffset
  if (state.segments.length > 0 && state.highWatermark >= state.logStartOffset) return
  await removeNote(state.disk, state.folder)
  state.noted = undefined
  for (const segment of state.segments) await segment.retire('remove')
  state.producers.clear()
  state.epochs.clear()
  state.segments = [await openSegment(state, state.logStartOffset, true)]
  state.highWatermark = state.logStartOffset
}

export function openSegment(state: LogState, baseOffset: bigint, isNew = false): Promise<Segment> {
  return Segment.open(state.disk, state.folder, { ...segmentOptions(state), baseOffset, isNew })
}

function segmentOptions({ config, files }: LogState): Omit<SegmentOptions, 'baseOffset'> {
  return { indexIntervalBytes: config.indexIntervalBytes, files }
}

/** Makes the history of epochs durable. */
export async function saveEpochs(state: LogState): Promise<void> {
  await state.disk.replaceFile(`${state.folder}/${epochCheckpointName}`, formatEpochs(state.epochs.entries))
}
