/** One partition of a verification: its range, how far it came, and what of it is told. */
import type { LogView } from '../../storage/log-store.ts'
import type { VerifyDifference, VerifyEvent } from './link-service.ts'
import type { Agreement } from './verify-batches.ts'
import { type Failed, failed, type VerifyJob, type VerifyPartition } from './verify-parts.ts'
import type { SourceBounds, VerifySource } from './verify-source.ts'

export type VerifyProgress = Extract<VerifyEvent, { kind: 'progress' }>

/** One partition of a job. What it holds changes while it is compared. */
export interface PartitionRun extends Agreement {
  readonly partition: VerifyPartition
  fromOffset: bigint
  readonly toOffset: bigint
  /** The ends as of the start, for what lies beyond the range. */
  readonly sourceEndOffset: bigint
  readonly mirrorEndOffset: bigint
  lastProgressMs: number
}

export type PartitionVerdict =
  | { readonly kind: 'identical' }
  | { readonly kind: 'identical-by-record' }
  | { readonly kind: 'different'; readonly difference: VerifyDifference }
  | Failed

export function openRun(partition: VerifyPartition, view: LogView, theirs: SourceBounds): PartitionRun | Failed {
  const { endOffset } = partition
  const mirrorEndOffset = endOffset === undefined ? view.highWatermark : lower(view.highWatermark, endOffset)
  const fromOffset = higher(view.logStartOffset, theirs.logStartOffset)
  const end = lower(mirrorEndOffset, theirs.highWatermark)
  const isMirrorEmpty = view.logStartOffset >= mirrorEndOffset
  if (fromOffset > end && !isMirrorEmpty) {
    const ours = `${view.logStartOffset} to ${mirrorEndOffset}`
    const range = `${theirs.logStartOffset} to ${theirs.highWatermark}`
    return failed(
      'partition',
      `${partition.log.label} and its source have no offset in common: ${ours} here, ${range} there`,
    )
  }
  return {
    partition,
    fromOffset,
    toOffset: higher(fromOffset, end),
    sourceEndOffset: theirs.highWatermark,
    mirrorEndOffset,
    offset: fromOffset,
    resumeOffset: undefined,
    batches: 0,
    bytes: 0,
    lastProgressMs: Number.NEGATIVE_INFINITY,
  }
}

/** Where both logs begin now; a failure when one of them ends below the range by now. */
export async function currentBounds(
  job: VerifyJob,
  source: VerifySource,
  run: PartitionRun,
): Promise<{ readonly logStartOffset: bigint } | Failed> {
  const { partition, toOffset } = run
  const theirs = await source.boundsOf(partition.partitionIndex, job.signal)
  if ('kind' in theirs) return theirs
  const view = findView(job, partition)
  if (!view) return failed('partition', `${partition.log.label} is gone`)
  if (theirs.highWatermark < toOffset) {
    return failed(
      'partition',
      `the source was truncated: it ends at ${theirs.highWatermark}, expected ${toOffset} or more`,
    )
  }
  if (view.highWatermark < toOffset) {
    return failed(
      'partition',
      `${partition.log.label} was cut: it ends at ${view.highWatermark}, expected ${toOffset} or more`,
    )
  }
  return { logStartOffset: higher(view.logStartOffset, theirs.logStartOffset) }
}

/** Retention has shrunk the range. Nothing below the new start counts as compared. */
export function moveStart(run: PartitionRun, logStartOffset: bigint): void {
  run.resumeOffset = undefined
  if (logStartOffset <= run.offset) return
  run.offset = lower(logStartOffset, run.toOffset)
  run.fromOffset = run.offset
}

export function findView(job: VerifyJob, partition: VerifyPartition): LogView | undefined {
  const { logs } = job.parts
  return logs.find(partition.log.id) === partition.log ? logs.view(partition.log) : undefined
}

export function isProgressDue(job: VerifyJob, run: PartitionRun): boolean {
  const nowMs = job.parts.clock.monotonicMs()
  if (nowMs - run.lastProgressMs < job.limits.progressMs) return false
  run.lastProgressMs = nowMs
  return true
}

export function progressOf(run: PartitionRun): VerifyProgress {
  const { fromOffset, toOffset, batches, bytes } = run
  const offset = lower(run.offset, toOffset)
  return {
    kind: 'progress',
    partitionIndex: run.partition.partitionIndex,
    fromOffset,
    offset,
    toOffset,
    batches,
    bytes,
  }
}

export function lower(a: bigint, b: bigint): bigint {
  return a < b ? a : b
}

export function higher(a: bigint, b: bigint): bigint {
  return a > b ? a : b
}
