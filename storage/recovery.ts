/**
 * Opens the folder of one partition: finds its segments, walks over their batches, cuts what is no whole batch of this log,
 * and derives everything else that is known of it. After a clean stop the bytes are trusted; otherwise each CRC is checked.
 */
import { lastOffsetOf, verifyCrc } from '../protocol/records/batch.ts'
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
import { recoverSwaps } from './segment-swap.ts'
import { maxRelativeOffset, Segment } from './segment.ts'

export interface RecoveryOptions {
  /** The last stop was clean: no CRC is checked. */
  readonly isClean: boolean
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
  if ((await recoverSwaps(disk, folder, names)).size > 0) names = (await disk.list(folder)).map((entry) => entry.name)
  const bases = names.filter((name) => /^\d{20}\.log$/.test(name)).map((name) => BigInt(name.slice(0, 20)))
  const epochs = isOurs ? ((await loadFile(disk, `${folder}/${epochCheckpointName}`, parseEpochs)) ?? []) : []
  const lostBytes = await loadSegments(state, bases, options.isClean)
  state.highWatermark = state.segments.at(-1)?.nextOffset ?? 0n
  await beginAtLogStart(state, isOurs ? options.logStartOffset : undefined)
  mergeEpochs(state, epochs)
  state.leaderEpoch = Math.max(options.leaderEpoch, state.epochs.latest)
  if (!state.isMirror) state.epochs.assign(state.leaderEpoch, state.highWatermark)
  state.producers.onVisible(state.highWatermark)
  state.producers.onLogStart(state.logStartOffset)
  return lostBytes === 0 ? undefined : { label: state.label, lostBytes, logEndOffset: state.highWatermark }
}

/**
 * Makes the folder, or finds it. A folder of another topic of this name is one whose deletion a crash cut short: it goes.
 * Returns whether it was there already.
 */
async function claimFolder({ disk, folder, id }: LogState): Promise<boolean> {
  const metadataPath = `${folder}/${metadataName}`
  if (await disk.exists(folder)) {
    const owner = await loadFile(disk, metadataPath, parsePartitionMetadata)
    if (owner === id.topicId) return true
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

/** What the folder of a deleted partition is called until its files are gone: Kafka puts 32 hexadecimal digits there. */
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

/** Opens the segments up to the first damage; what follows it is removed. Returns the bytes given up. */
async function loadSegments(state: LogState, bases: readonly bigint[], isClean: boolean): Promise<number> {
  let lostBytes = 0
  let isDamaged = false
  for (const baseOffset of bases) {
    const segment = await openSegment(state, baseOffset)
    const sizeBytes = await segment.fileSize()
    if (isDamaged || baseOffset < (state.segments.at(-1)?.nextOffset ?? 0n)) {
      lostBytes += sizeBytes
      isDamaged = true
      await segment.retire('remove')
      continue
    }
    await replay(state, segment, { sizeBytes, isClean })
    state.segments.push(segment)
    if (segment.sizeBytes === sizeBytes) continue
    isDamaged = true
    lostBytes += sizeBytes - segment.sizeBytes
    await segment.dropUnnoted()
  }
  if (isDamaged) await state.disk.syncDirectory(state.folder)
  return lostBytes
}

/** Notes the batches of a segment up to the first that does not belong there. */
async function replay(
  state: LogState,
  segment: Segment,
  options: { readonly sizeBytes: number; readonly isClean: boolean },
): Promise<void> {
  for await (const batches of segment.scanFile(options.sizeBytes)) {
    for (const batch of batches) {
      const { baseOffset } = batch.header
      const isInOrder = baseOffset >= segment.nextOffset
      const isInRange = lastOffsetOf(batch.header) - segment.baseOffset <= BigInt(maxRelativeOffset)
      if (!isInOrder || !isInRange || (!options.isClean && !verifyCrc(batch))) return
      segment.note(batch.position, batch.bytes.length, batch.header)
      noteHistory(state, batch)
    }
  }
}

/** Producers, transactions and epochs follow from the batches alone. */
function noteHistory(state: LogState, batch: ScannedBatch): void {
  const staged = state.producers.stage('mirror')
  staged.add(batch, batch.header.baseOffset)
  state.producers.commit(staged)
  state.epochs.assign(batch.header.partitionLeaderEpoch, batch.header.baseOffset)
}

/** Derives producer and transaction state and epochs anew from what is visible, after a cut. */
export async function rebuildHistory(state: LogState): Promise<void> {
  const epochs = state.epochs.entries
  state.producers.clear()
  state.epochs.clear()
  for (const segment of state.segments) {
    for await (const batches of segment.scan()) for (const batch of batches) noteHistory(state, batch)
  }
  mergeEpochs(state, epochs)
  if (!state.isMirror) state.epochs.assign(state.leaderEpoch, state.highWatermark)
  state.producers.onVisible(state.highWatermark)
  state.producers.onLogStart(state.logStartOffset)
}

/**
 * The batches are the truth where they are; the checkpoint adds epochs that began and got no batch, and those whose batches
 * are gone. Entries at or behind the end were of batches that are lost.
 */
function mergeEpochs(state: LogState, checkpoint: readonly EpochStart[]): void {
  const fromBatches = state.epochs.entries
  const all = [...fromBatches]
  for (const entry of checkpoint) {
    if (entry.startOffset >= state.highWatermark) continue
    const fits = fromBatches.every(
      ({ leaderEpoch, startOffset }) =>
        leaderEpoch !== entry.leaderEpoch && leaderEpoch < entry.leaderEpoch === startOffset < entry.startOffset,
    )
    if (fits) all.push(entry)
  }
  state.epochs.clear()
  for (const { leaderEpoch, startOffset } of all.sort((a, b) => a.leaderEpoch - b.leaderEpoch)) {
    state.epochs.assign(leaderEpoch, startOffset)
  }
  state.epochs.truncateFromStart(state.logStartOffset)
}

/** A log never begins before its checkpointed start, and never gives an offset below it again. */
async function beginAtLogStart(state: LogState, checkpoint: bigint | undefined): Promise<void> {
  const first = state.segments[0]?.baseOffset ?? 0n
  state.logStartOffset = checkpoint !== undefined && checkpoint > first ? checkpoint : first
  if (state.segments.length > 0 && state.highWatermark >= state.logStartOffset) return
  for (const segment of state.segments) await segment.retire('remove')
  state.producers.clear()
  state.epochs.clear()
  state.segments = [await openSegment(state, state.logStartOffset, true)]
  state.highWatermark = state.logStartOffset
}

export function openSegment(state: LogState, baseOffset: bigint, isNew = false): Promise<Segment> {
  const indexIntervalBytes = state.config.indexIntervalBytes
  return Segment.open(state.disk, state.folder, { baseOffset, indexIntervalBytes, isNew })
}

/** Makes the history of epochs durable. */
export async function saveEpochs(state: LogState): Promise<void> {
  await state.disk.replaceFile(`${state.folder}/${epochCheckpointName}`, formatEpochs(state.epochs.entries))
}
