/** What happens to a log besides appends. Each of these runs alone on its log: see `PartitionLog.exclusive`. */
import { readBatchHeader } from '../protocol/records/batch.ts'
import { buildEndTransactionMarker } from '../protocol/records/control.ts'
import { lastOffsetOf } from '../protocol/records/batch.ts'
import type { PartitionLog } from './log.ts'
import type { LogState } from './log-state.ts'
import type { AppendResult, LogView, OpenTransaction, Promoted } from './log-store.ts'
import { StorageError, wholly } from './outcome.ts'
import type { ProducerEntry } from './producer-state.ts'
import { openSegment, rebuildHistory } from './recovery.ts'
import type { Segment } from './segment.ts'

/** Makes the log starts of the data directory durable. */
export type SaveLogStarts = () => Promise<void>

/** What the checkpoints of the data directory say of a log. */
export interface LogPromises {
  saveLogStarts(): Promise<void>
  /** See `DirectoryCheckpoints`. */
  lowerRecoveryPoint(label: string, offset: bigint): Promise<void>
}

export async function deleteBefore(log: PartitionLog, offset: bigint, saveLogStarts: SaveLogStarts): Promise<LogView> {
  const { state } = log
  if (offset > state.highWatermark || offset < 0n) {
    throw new StorageError(
      'OFFSET_OUT_OF_RANGE',
      `${state.label} has offsets ${state.logStartOffset} to ${state.highWatermark}, got ${offset}`,
    )
  }
  if (offset > state.logStartOffset) moveLogStart(log, offset)
  await saveLogStart(log, saveLogStarts)
  await removeBefore(log)
  return state.view()
}

/** Makes the log start durable if it is not: also one whose saving failed before. */
async function saveLogStart({ state }: PartitionLog, saveLogStarts: SaveLogStarts): Promise<void> {
  const { logStartOffset } = state
  if (state.savedLogStart === logStartOffset) return
  await saveLogStarts()
  state.savedLogStart = logStartOffset
}

/** Moves the start and tells the watchers. The segments below it stay until `removeBefore`. */
export function moveLogStart(log: PartitionLog, offset: bigint): void {
  const { state } = log
  state.logStartOffset = offset
  state.epochs.truncateFromStart(offset)
  state.producers.onLogStart(offset)
  log.notify('logStart')
}

/** Removes the segments that lie wholly below the log start, but the active one. Returns what they held. */
export async function removeBefore(log: PartitionLog): Promise<{ segments: number; bytes: number }> {
  const { state } = log
  let count = 0
  while (count + 1 < state.segments.length && state.segments[count + 1]!.baseOffset <= state.logStartOffset) count += 1
  const removed = state.segments.slice(0, count)
  state.segments = state.segments.slice(count)
  const bytes = removed.reduce((sum, segment) => sum + segment.sizeBytes, 0)
  await removeAll(log, removed)
  return { segments: count, bytes }
}

async function removeAll(log: PartitionLog, segments: readonly Segment[]): Promise<void> {
  if (segments.length === 0) return
  await log.checkpoint.settled()
  log.state.generation += 1
  log.sync.noteDirectory()
  for (const segment of segments) log.sync.forget(segment)
  for (const segment of segments) await segment.retire('remove')
}

/** Removes the last segments, the newest first and each durably: whatever a crash leaves is a beginning of the log. */
async function removeFromEnd(log: PartitionLog, segments: readonly Segment[]): Promise<void> {
  const { disk, folder } = log.state
  for (const segment of segments.toReversed()) {
    await removeAll(log, [segment])
    await disk.syncDirectory(folder)
  }
}

export async function startAt(log: PartitionLog, offset: bigint, promises: LogPromises): Promise<LogView> {
  const { state } = log
  await log.checkpoint.forget()
  await promiseLess(log, offset, promises)
  const before = state.logStartOffset
  state.logStartOffset = offset
  try {
    await saveLogStart(log, () => promises.saveLogStarts())
  } catch (error) {
    state.logStartOffset = before // nothing has begun
    throw error
  }
  await wholly(async () => {
    await emptyAt(log, offset)
    await promises.lowerRecoveryPoint(log.label, offset)
  })
  log.restart()
  log.notify('truncated')
  await log.saveEpochs()
  return state.view()
}

async function emptyAt(log: PartitionLog, offset: bigint): Promise<void> {
  const { state } = log
  state.generation += 1
  await removeFromEnd(log, state.segments)
  state.segments = [await openSegment(state, offset, true)]
  state.highWatermark = offset
  state.producers.clear()
  state.epochs.clear()
  if (!state.isMirror) state.epochs.assign(state.leaderEpoch, offset)
  await state.disk.syncDirectory(state.folder)
  log.sync.noteEmpty(offset)
}

export async function truncateTo(log: PartitionLog, offset: bigint, promises: LogPromises): Promise<LogView> {
  const { state } = log
  if (offset >= state.highWatermark) return state.view()
  if (offset < state.logStartOffset) {
    throw new StorageError('OFFSET_OUT_OF_RANGE', `${state.label} begins at ${state.logStartOffset}, got ${offset}`)
  }
  await cutAt(log, offset, promises)
  log.restart()
  log.notify('truncated')
  await log.saveEpochs()
  return state.view()
}

/**
 * Before a log loses its end the checkpoint must not vouch for it any more; where that fails nothing has begun. A sync
 * that ends meanwhile may have it written again: `lowerRecoveryPoint` follows, when the end is gone.
 */
async function promiseLess(log: PartitionLog, offset: bigint, promises: LogPromises): Promise<void> {
  log.sync.noteCut(offset)
  await promises.lowerRecoveryPoint(log.label, offset)
}

async function cutAt(log: PartitionLog, offset: bigint, promises: LogPromises): Promise<void> {
  const { state } = log
  const index = state.segmentIndexOf(offset)
  const cut = state.segments[index]!
  const { sizeBytes, logEndOffset } = await cutOf(cut, offset)
  await promiseLess(log, logEndOffset, promises)
  await wholly(async () => {
    await dropFrom(log, index, { sizeBytes, logEndOffset })
    await promises.lowerRecoveryPoint(log.label, state.highWatermark)
  })
}

/** Removes everything behind a place in the segment at `index`. */
async function dropFrom(
  log: PartitionLog,
  index: number,
  { sizeBytes, logEndOffset }: { readonly sizeBytes: number; readonly logEndOffset: bigint },
): Promise<void> {
  const { state } = log
  state.generation += 1
  const cut = state.segments[index]!
  const removed = state.segments.slice(index + 1)
  await log.checkpoint.settled() // what it is writing may be a note that reaches beyond the cut
  if (state.noted && state.noted.endOffset > logEndOffset) await log.checkpoint.forget()
  await removeFromEnd(log, removed)
  // Out of use first: whoever still walks over its bytes must not take what goes for damage.
  cut.acquire()
  await cut.retire('close')
  log.sync.forget(cut)
  try {
    await cut.truncateFile(sizeBytes)
  } finally {
    cut.release()
  }
  await cut.retire('close')
  state.segments = [...state.segments.slice(0, index), await reopen(state, cut.baseOffset)]
  state.highWatermark = logEndOffset > state.logStartOffset ? logEndOffset : state.logStartOffset
  log.sync.noteCut(state.highWatermark)
  await rebuildHistory(state)
}

/**
 * Where a segment ends when everything from `offset` on goes. A batch goes whole, so the end may lie before `offset`.
 */
async function cutOf(segment: Segment, offset: bigint): Promise<{ sizeBytes: number; logEndOffset: bigint }> {
  for await (const batches of segment.scan(await segment.positionOf(offset))) {
    for (const batch of batches) {
      if (lastOffsetOf(batch.header) < offset) continue
      const { baseOffset } = batch.header
      return { sizeBytes: batch.position, logEndOffset: baseOffset < offset ? baseOffset : offset }
    }
  }
  return { sizeBytes: segment.sizeBytes, logEndOffset: offset }
}

async function reopen(state: LogState, baseOffset: bigint): Promise<Segment> {
  const segment = await openSegment(state, baseOffset)
  for await (const batches of segment.scanFile(await segment.fileSize())) {
    for (const batch of batches) segment.note(batch.position, batch.bytes.length, batch.header)
  }
  return segment
}

export async function raiseLeaderEpoch(log: PartitionLog, atLeast: number): Promise<LogView> {
  const { state } = log
  const isHigher = atLeast > state.leaderEpoch
  if (isHigher) {
    state.leaderEpoch = atLeast
    // The history of a mirror is its source's: an epoch of our own would stand in the way of the source's next.
    if (!state.isMirror) state.epochs.assign(atLeast, state.highWatermark)
  }
  await log.saveEpochs() // also one whose saving failed before
  if (isHigher) log.notify('leaderEpoch')
  return state.view()
}

export interface PromoteDecision {
  readonly id: string
  readonly leaderEpoch: number
  readonly nowMs: bigint
}

/**
 * The first step of a promote: the new epoch begins, durably, at the end of what was mirrored. When a crash came
 * between the steps, the epoch is there already or begins at the same place again, because nobody else writes to a
 * mirror.
 */
export async function beginPromotion(log: PartitionLog, decision: PromoteDecision): Promise<Promoted> {
  const { state } = log
  if (state.epochs.latest > decision.leaderEpoch) {
    throw new StorageError(
      'LEADER_EPOCH_STALE',
      `${state.label} has mirrored leader epoch ${state.epochs.latest}, a promote needs a higher one than ${decision.leaderEpoch}`,
    )
  }
  state.epochs.assign(decision.leaderEpoch, state.highWatermark)
  state.leaderEpoch = Math.max(state.leaderEpoch, decision.leaderEpoch)
  await log.sync.run()
  await log.saveEpochs()
  log.notify('leaderEpoch')
  const endOffset = state.epochs.startOf(decision.leaderEpoch) ?? state.highWatermark
  const marked = state.producers.aborted.filter((entry) => entry.lastOffset >= endOffset)
  return {
    logEndOffset: state.highWatermark,
    leaderEpoch: decision.leaderEpoch,
    lastMirrored: { leaderEpoch: state.epochs.below(decision.leaderEpoch), endOffset },
    aborted: [
      ...marked.map(({ producerId, firstOffset }) => {
        const entry = state.producers.find(producerId)
        const { producerEpoch = -1, coordinatorEpoch = -1 } = entry ?? {}
        return { producerId, producerEpoch, coordinatorEpoch, firstOffset }
      }),
      ...openTransactionsOf(state),
    ],
  }
}

/** The second step: a marker for each transaction that is still open, behind each other. */
export function abortMarkers(log: PartitionLog, decision: PromoteDecision): Promise<AppendResult>[] {
  const { state } = log
  let offset = state.highWatermark
  return state.producers.openTransactions().map((entry) => {
    const bytes = buildEndTransactionMarker({
      producerId: entry.producerId,
      producerEpoch: entry.producerEpoch,
      coordinatorEpoch: entry.coordinatorEpoch + 1,
      commit: false,
      timestampMs: decision.nowMs,
      leaderEpoch: decision.leaderEpoch,
      baseOffset: offset,
    })
    const expectedLogEndOffset = offset
    offset += 1n
    const batches = [{ bytes, header: readBatchHeader(bytes) }]
    const mode = { kind: 'preserve', expectedLogEndOffset } as const
    return log.append({ log, batches, mode, origin: 'mirror' }, { nowMs: decision.nowMs, durable: true })
  })
}

export function openTransactionsOf(state: LogState): OpenTransaction[] {
  return state.producers.openTransactions().map((entry: ProducerEntry) => ({
    producerId: entry.producerId,
    producerEpoch: entry.producerEpoch,
    coordinatorEpoch: entry.coordinatorEpoch,
    firstOffset: entry.currentTransactionStartOffset,
  }))
}

export interface RetentionReport {
  segments: number
  bytes: number
  rolled: number
}

/** Kafka's rules: segments go from the oldest on, while they are too old or the rest is still large enough. */
export async function applyRetention(
  log: PartitionLog,
  nowMs: bigint,
  saveLogStarts: SaveLogStarts,
): Promise<RetentionReport> {
  const { state } = log
  const count = expiredSegments(state, nowMs)
  if (count === 0) return { segments: 0, bytes: 0, rolled: 0 }
  let rolled = 0
  const start = count < state.segments.length ? state.segments[count]!.baseOffset : state.highWatermark
  if (count === state.segments.length) {
    state.segments = [...state.segments, await openSegment(state, state.highWatermark, true)]
    log.sync.noteDirectory()
    log.restart()
    rolled = 1
  }
  if (start > state.logStartOffset) moveLogStart(log, start)
  await saveLogStart(log, saveLogStarts)
  return { ...(await removeBefore(log)), rolled }
}

/** How many of the oldest segments have to go. */
export function expiredSegments(state: LogState, nowMs: bigint): number {
  const { segments, config } = state
  let count = 0
  while (count + 1 < segments.length && segments[count + 1]!.baseOffset <= state.logStartOffset) count += 1
  if (state.isMirror || !config.cleanupPolicy.delete) return count
  let spareBytes = config.retentionBytes < 0n ? -1n : BigInt(state.sizeBytes) - config.retentionBytes
  for (const [index, segment] of segments.entries()) {
    const isEmptyEnd = segment.isEmpty && index === segments.length - 1
    if (isEmptyEnd) break
    const isOld =
      config.retentionMs >= 0n && segment.maxTimestampMs >= 0n && nowMs - segment.maxTimestampMs > config.retentionMs
    const isSpare = spareBytes >= BigInt(segment.sizeBytes)
    // What lies below the log start goes in any case, and its bytes count for nothing.
    if (!isOld && !isSpare && index >= count) break
    spareBytes -= BigInt(segment.sizeBytes)
    count = Math.max(count, index + 1)
  }
  return count
}
