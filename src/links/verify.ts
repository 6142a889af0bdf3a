/**
 * `mirror verify`: compares a mirror topic with its source while mirroring goes on. Only what both logs hold when it
 * starts is compared; whatever can't be read or is in doubt ends in 'unknown', never in 'identical'.
 */
import type { VerifyDifference, VerifyEvent } from './link-service.ts'
import { type CompareOutcome, compareSome } from './verify-batches.ts'
import { BatchCursor } from './verify-cursor.ts'
import { MirrorLogReader } from './verify-mirror-log.ts'
import {
  defaultVerifyLimits,
  type Failed,
  failed,
  type VerifyJob,
  type VerifyLimits,
  type VerifyParts,
  type VerifyTask,
} from './verify-parts.ts'
import { settleByRecord } from './verify-records.ts'
import {
  currentBounds,
  findView,
  isProgressDue,
  moveStart,
  openRun,
  type PartitionRun,
  type PartitionVerdict,
  progressOf,
  type VerifyProgress,
} from './verify-run.ts'
import { VerifySource } from './verify-source.ts'

export type { VerifyPartition, VerifyParts, VerifyTask } from './verify-parts.ts'

/** A suspicion that does not come up again is no difference; so many of them are too many to tell. */
const maxSuspicions = 10

type VerifyResult = Extract<VerifyEvent, { kind: 'result' }>

/**
 * Compares partition after partition, each from the higher of both log starts to the lower of both ends as of now (or
 * the recorded stop offset). Progress comes for every partition at least at its start and its end; the last event is
 * the result, also after an abort of the signal. Holds a few chunks of memory, counted as the links'.
 */
export async function* verifyMirror(
  parts: VerifyParts,
  task: VerifyTask,
  signal: AbortSignal,
  limits: VerifyLimits = defaultVerifyLimits,
): AsyncGenerator<VerifyEvent, void, undefined> {
  const job: VerifyJob = { parts, task, limits, signal }
  const startedMs = parts.clock.monotonicMs()
  const source = new VerifySource(job)
  const summary = new Summary(task)
  try {
    const runs = await openRuns(job, source)
    if ('kind' in runs) {
      summary.note(runs)
    } else {
      for (const run of runs) {
        const verdict = 'kind' in run ? run : yield* verifyPartition(job, source, run)
        summary.note(verdict, 'kind' in run ? undefined : run)
        if (summary.isDecided) break
      }
      if (!summary.isDecided) summary.noteEnd(await source.refresh(signal))
    }
  } finally {
    source.close()
  }
  const result = summary.result(parts.clock.monotonicMs() - startedMs)
  if (parts.metrics) parts.metrics.verifications[result.verdict]++
  parts.logger.info(
    { topic: task.sourceTopicName, verdict: result.verdict, batches: result.batches, bytes: result.bytes },
    'mirror verified',
  )
  yield result
}

/** What was found so far. */
class Summary {
  readonly #task: VerifyTask
  readonly #runs: PartitionRun[] = []
  #difference: VerifyDifference | undefined
  #failure: Failed | undefined
  #isByRecord = false

  constructor(task: VerifyTask) {
    this.#task = task
  }

  /** No other partition can change the verdict. */
  get isDecided(): boolean {
    return this.#difference !== undefined || this.#failure?.scope === 'source'
  }

  note(verdict: PartitionVerdict, run?: PartitionRun): void {
    if (run) this.#runs.push(run)
    if (verdict.kind === 'different') this.#difference = verdict.difference
    if (verdict.kind === 'identical-by-record') this.#isByRecord = true
    if (verdict.kind === 'failed' && (this.#failure === undefined || verdict.scope === 'source'))
      this.#failure = verdict
  }

  /** Takes the last look at the source: only what is still the mirrored topic counts. */
  noteEnd(topic: object): void {
    if ('kind' in topic) this.note(topic as Failed)
  }

  result(durationMs: number): VerifyResult {
    return {
      kind: 'result',
      verdict: this.#verdict(),
      partitions: this.#task.partitions.length,
      batches: this.#runs.reduce((sum, run) => sum + run.batches, 0),
      bytes: this.#runs.reduce((sum, run) => sum + run.bytes, 0),
      durationMs,
      ranges: this.#runs.map((run) => ({
        partitionIndex: run.partition.partitionIndex,
        fromOffset: run.fromOffset,
        toOffset: run.offset < run.toOffset ? run.offset : run.toOffset,
      })),
      firstDifference: this.#difference ?? null,
      message: this.#failure?.message ?? null,
    }
  }

  #verdict(): VerifyResult['verdict'] {
    if (this.#difference) return 'different'
    if (this.#failure) return 'unknown'
    return this.#isByRecord ? 'identical-by-record' : 'identical'
  }
}

/**
 * The range of each partition. The mirror is looked at first: what it holds then lies below the high watermark that the
 * source tells afterwards.
 */
async function openRuns(job: VerifyJob, source: VerifySource): Promise<(PartitionRun | Failed)[] | Failed> {
  const views = job.task.partitions.map((partition) => findView(job, partition))
  const bounds = await source.bounds(job.signal)
  if ('kind' in bounds) return bounds
  return job.task.partitions.map((partition, at) => {
    const view = views[at]
    const theirs = bounds.get(partition.partitionIndex)
    if (!view) return failed('partition', `${partition.log.label} is gone`)
    if (!theirs) return failed('partition', 'the source does not tell its offsets')
    return 'kind' in theirs ? theirs : openRun(partition, view, theirs)
  })
}

async function* verifyPartition(
  job: VerifyJob,
  source: VerifySource,
  run: PartitionRun,
): AsyncGenerator<VerifyProgress, PartitionVerdict, undefined> {
  yield progressOf(run)
  let suspected: VerifyDifference | undefined
  for (let suspicions = 0; suspicions < maxSuspicions;) {
    const outcome = yield* compareOnce(job, source, run)
    if (outcome.kind === 'failed') return outcome
    if (outcome.kind === 'moved') {
      moveStart(run, outcome.logStartOffset)
    } else if (outcome.kind === 'different') {
      const current = await currentBounds(job, source, run)
      if ('kind' in current) return current
      if (outcome.difference.offset < current.logStartOffset && run.offset < current.logStartOffset) {
        moveStart(run, current.logStartOffset)
        continue
      }
      if (job.task.isCompacted) {
        const settled = yield* settleByRecord(job, source, run)
        yield progressOf(run)
        return settled.kind === 'identical-by-record' ? (beyond(job, source, run) ?? settled) : settled
      }
      if (isSame(suspected, outcome.difference)) return outcome
      suspected = outcome.difference
      suspicions += 1
    } else {
      yield progressOf(run)
      return beyond(job, source, run) ?? { kind: 'identical' }
    }
  }
  return failed('partition', `${run.partition.log.label} kept changing while it was compared`)
}

/** Compares from where both agree on, up to the end of the range or to whatever stops it. */
async function* compareOnce(
  job: VerifyJob,
  source: VerifySource,
  run: PartitionRun,
): AsyncGenerator<VerifyProgress, Exclude<CompareOutcome, { kind: 'more' }>, undefined> {
  const { partitionIndex, log } = run.partition
  const { memory } = job.parts
  const range = {
    fromOffset: run.resumeOffset ?? run.offset,
    toOffset: run.offset < run.toOffset ? run.toOffset : run.offset,
  }
  const theirs = new BatchCursor(source.reader(partitionIndex), range, memory)
  const ours = new BatchCursor(new MirrorLogReader(job, log), { ...range, readsBeyond: true }, memory)
  try {
    for (;;) {
      if (job.signal.aborted) return failed('source', 'the verification was stopped')
      const outcome = await compareSome({ partitionIndex, source: theirs, mirror: ours }, run)
      if (outcome.kind !== 'more') return outcome
      if (isProgressDue(job, run)) yield progressOf(run)
    }
  } finally {
    await Promise.all([theirs.close(), ours.close()])
  }
}

/**
 * The range is equal: what of the ends beyond it? A mirror that is behind is no difference. One that is ahead of its
 * source has records of its own, or the source has lost some.
 */
function beyond(job: VerifyJob, source: VerifySource, run: PartitionRun): PartitionVerdict | undefined {
  const { partition, sourceEndOffset, mirrorEndOffset } = run
  const { partitionIndex, endOffset, log } = partition
  if (mirrorEndOffset > sourceEndOffset) {
    const ours = job.parts.logs.epochAt(log, mirrorEndOffset - 1n)
    const theirs = source.leaderEpochOf(partitionIndex)
    const ends = `the mirror ends at ${mirrorEndOffset}, the source at ${sourceEndOffset}`
    if (theirs < 0 || theirs > ours) {
      return failed('partition', `${ends} (leader epochs ${ours} and ${theirs}): the source may have been truncated`)
    }
    const message = `${ends}: the mirror has records that the source does not have`
    return { kind: 'different', difference: { partitionIndex, offset: sourceEndOffset, kind: 'extra', message } }
  }
  if (endOffset !== undefined && mirrorEndOffset < endOffset) {
    const message = `the mirror ends at ${mirrorEndOffset}, and was stopped with ${endOffset}`
    return { kind: 'different', difference: { partitionIndex, offset: mirrorEndOffset, kind: 'missing', message } }
  }
  return undefined
}

function isSame(a: VerifyDifference | undefined, b: VerifyDifference): boolean {
  return a !== undefined && a.offset === b.offset && a.kind === b.kind
}
