/**
 * Settles by records what of a compacted partition is not equal by batches. Each side may have cleaned what the other
 * has not yet, so a record that only one side has is accounted for by
 *
 *   - a later record with the same key, on either side, also beyond the compared range
 *   - the abort of its transaction
 *   - its being a marker, or a record without a key, which cleaning drops
 *   - its being a tombstone, when the other side has no older record of its key either
 *
 * and what both sides have must be the same: key, value, headers, timestamp, leader epoch, producer. Keys that wait for
 * a later record are kept in memory up to a limit; beyond it the logs are read several times, each time for a share of
 * the keys.
 */
import { Buffer } from 'node:buffer'
import { createHash } from 'node:crypto'
import { isTransactional, timestampTypeOf } from '../../protocol/records/batch.ts'
import { readControlRecord } from '../../protocol/records/control.ts'
import { crc32c } from '../../protocol/crc32c.ts'
import type { VerifyDifference } from './link-service.ts'
import { BatchCursor } from './verify-cursor.ts'
import { MirrorLogReader } from './verify-mirror-log.ts'
import { failed, type Failed, type Moved, type VerifyJob } from './verify-parts.ts'
import { isControlRecord, RecordCursor } from './verify-record-cursor.ts'
import {
  currentBounds,
  findView,
  higher,
  isProgressDue,
  moveStart,
  type PartitionRun,
  type PartitionVerdict,
  progressOf,
  type VerifyProgress,
} from './verify-run.ts'
import { SettledKeys, type Lonely, type PlacedRecord, type Side } from './verify-settled-keys.ts'
import type { VerifySource } from './verify-source.ts'

/** A difference counts when it is seen twice in a row: cleaning may go on meanwhile. */
const maxAttempts = 10

type Difference = Omit<VerifyDifference, 'partitionIndex'>
type Found = Difference | Failed | Moved | { readonly kind: 'too many' }

/** Which keys a pass looks at. */
interface Share {
  readonly index: number
  readonly of: number
}

/** Where records begin to be compared, and what was equal in front of it. */
interface Start {
  readonly offset: bigint
  readonly resumeOffset: bigint | undefined
  readonly batches: number
  readonly bytes: number
}

interface Pass {
  readonly job: VerifyJob
  readonly run: PartitionRun
  readonly share: Share
  readonly source: RecordCursor
  readonly mirror: RecordCursor
  readonly keys: SettledKeys
}

export async function* settleByRecord(
  job: VerifyJob,
  source: VerifySource,
  run: PartitionRun,
): AsyncGenerator<VerifyProgress, PartitionVerdict, undefined> {
  const { partitionIndex, log } = run.partition
  let suspected: Difference | undefined
  const start = { offset: run.offset, resumeOffset: run.resumeOffset, batches: run.batches, bytes: run.bytes }
  for (let attempt = 0; attempt < maxAttempts; attempt++) {
    if (run.fromOffset > start.offset) Object.assign(start, { offset: run.fromOffset, resumeOffset: undefined })
    const found = yield* settleOnce(job, source, { run, start })
    if (!found) {
      run.offset = run.toOffset
      return { kind: 'identical-by-record' }
    }
    if (found.kind === 'failed') return found
    if (found.kind === 'too many') return failed('partition', `${log.label} has too many keys that only one side has`)
    if (found.kind === 'moved') {
      Object.assign(run, start)
      moveStart(run, found.logStartOffset)
    } else {
      const current = await currentBounds(job, source, run)
      if ('kind' in current) return current
      if (suspected?.offset === found.offset) return { kind: 'different', difference: { partitionIndex, ...found } }
      suspected = found
      Object.assign(run, start)
      moveStart(run, current.logStartOffset)
    }
  }
  return failed('partition', `${log.label} kept changing while it was compared`)
}

/** Reads both logs as often as the number of keys asks for. Undefined: all is accounted for. */
async function* settleOnce(
  job: VerifyJob,
  source: VerifySource,
  { run, start }: { readonly run: PartitionRun; readonly start: Start },
): AsyncGenerator<VerifyProgress, Found | undefined, undefined> {
  for (let of = 1; of <= job.limits.maxPasses; of *= 2) {
    let found: Found | undefined
    for (let index = 0; index < of && !found; index++) {
      Object.assign(run, start)
      found = yield* readAll(job, source, { run, share: { index, of } })
    }
    if (!found || !('kind' in found) || found.kind !== 'too many') return found
  }
  return { kind: 'too many' }
}

async function* readAll(
  job: VerifyJob,
  source: VerifySource,
  { run, share }: { run: PartitionRun; share: Share },
): AsyncGenerator<VerifyProgress, Found | undefined, undefined> {
  const keys = new SettledKeys()
  const before = { batches: run.batches, bytes: run.bytes }
  const opened = await openCursors(job, source, run, { from: run.offset, resume: run.resumeOffset ?? run.offset })
  if ('kind' in opened) return opened
  const pass: Pass = { job, run, share, keys, ...opened }
  try {
    for (;;) {
      const stop = (await fill(pass.source, 'source')) ?? (await fill(pass.mirror, 'mirror'))
      if (stop) return stop
      const theirs = pass.source.peek()
      const ours = pass.mirror.peek()
      const offset =
        theirs && ours ? (theirs.offset < ours.offset ? theirs.offset : ours.offset) : (theirs ?? ours)?.offset
      if (offset === undefined || (offset >= run.toOffset && keys.isEmpty)) break
      const found = noteNext(
        pass,
        theirs?.offset === offset ? theirs : undefined,
        ours?.offset === offset ? ours : undefined,
      )
      if (found) return found
      if (keys.count > job.limits.keysPerPass) return { kind: 'too many' }
      if (isProgressDue(job, run)) yield progressOf(run)
    }
  } finally {
    await Promise.all([pass.source.close(), pass.mirror.close()])
  }
  run.batches = before.batches + pass.mirror.batches
  run.bytes = before.bytes + pass.mirror.bytes
  return yield* judge(job, source, { run, rest: keys.rest })
}

/**
 * Both logs from an offset up to their ends as of now. The reading begins with the last equal batch, in front of
 * `from`: one that stands there twice would be passed by otherwise.
 */
async function openCursors(
  job: VerifyJob,
  source: VerifySource,
  run: PartitionRun,
  { from, resume }: { readonly from: bigint; readonly resume: bigint },
): Promise<{ source: RecordCursor; mirror: RecordCursor } | Failed> {
  const { partitionIndex, log } = run.partition
  const theirs = await source.boundsOf(partitionIndex, job.signal)
  if ('kind' in theirs) return theirs
  const view = findView(job, run.partition)
  if (!view) return failed('partition', `${log.label} is gone`)
  const { memory } = job.parts
  // What was written here after a failover supersedes nothing.
  const ourEnd = higher(run.partition.endOffset ?? view.highWatermark, from)
  const theirRange = { fromOffset: resume, toOffset: higher(theirs.highWatermark, from) }
  const ourRange = { fromOffset: resume, toOffset: ourEnd, readsBeyond: true }
  return {
    source: new RecordCursor(new BatchCursor(source.reader(partitionIndex), theirRange, memory), from),
    mirror: new RecordCursor(new BatchCursor(new MirrorLogReader(job, log), ourRange, memory), from),
  }
}

async function fill(cursor: RecordCursor, side: Side): Promise<Found | undefined> {
  const stop = await cursor.fill()
  if (stop?.kind !== 'unreadable') return stop
  if (side === 'source') return failed('partition', `the source: ${stop.message}`)
  return { offset: stop.offset, kind: 'bytes', message: `in the mirror ${stop.message}` }
}

/** Takes what stands at the next offset, on one side or on both. */
function noteNext(
  { keys, share, run, source, mirror }: Pass,
  theirs: PlacedRecord | undefined,
  ours: PlacedRecord | undefined,
): Difference | undefined {
  const record = (theirs ?? ours)!
  if (theirs) source.take()
  if (ours) mirror.take()
  const isInRange = record.offset < run.toOffset
  const different = isInRange && theirs && ours ? difference(theirs, ours) : undefined
  if (different !== undefined) return { offset: record.offset, kind: 'record', message: different }
  if (isInRange) run.offset = higher(run.offset, record.offset)
  const { header } = record.batch
  if (isControlRecord(record)) {
    const marker = readControlRecord(record.batch)
    if (marker?.type === 'COMMIT' || marker?.type === 'ABORT') keys.end(header.producerId, marker.type)
    return undefined
  }
  if (record.key === null || crc32c(record.key) % share.of !== share.index) return undefined
  const side = theirs && ours ? undefined : theirs ? 'source' : 'mirror'
  const producerId = isTransactional(header) ? header.producerId : undefined
  const key = nameOf(record.key)
  const noted = { key, offset: record.offset, isTombstone: record.value === null, producerId }
  keys.note(noted, isInRange ? side : undefined)
  return undefined
}

/** Long keys are remembered by their digest. */
function nameOf(key: Uint8Array): string {
  if (key.length > 64) return createHash('sha256').update(key).digest('base64')
  return Buffer.from(key.buffer, key.byteOffset, key.length).toString('latin1')
}

/** What differs of a record that both sides have. */
function difference(theirs: PlacedRecord, ours: PlacedRecord): string | undefined {
  const [a, b] = [theirs.batch.header, ours.batch.header]
  const fields: [name: string, ours: unknown, theirs: unknown][] = [
    ['timestamp', ours.timestampMs, theirs.timestampMs],
    ['timestamp type', timestampTypeOf(b), timestampTypeOf(a)],
    ['partitionLeaderEpoch', b.partitionLeaderEpoch, a.partitionLeaderEpoch],
    ['producerId', b.producerId, a.producerId],
    ['producerEpoch', b.producerEpoch, a.producerEpoch],
    ['being transactional', isTransactional(b), isTransactional(a)],
    ['being a control record', isControlRecord(ours), isControlRecord(theirs)],
  ]
  if (a.baseOffset === b.baseOffset) fields.push(['baseSequence', b.baseSequence, a.baseSequence])
  const different = fields.filter(([, mine, other]) => mine !== other)
  const told = different.map(([name, mine, other]) => `its ${name} is ${String(mine)}, at the source ${String(other)}`)
  if (!areSame(theirs.key, ours.key)) told.push('its key differs')
  if (!areSame(theirs.value, ours.value)) told.push('its value differs')
  if (!haveSameHeaders(theirs, ours)) told.push('its headers differ')
  return told.length > 0 ? `the record at ${ours.offset}: ${told.join('; ')}` : undefined
}

function areSame(a: Uint8Array | null, b: Uint8Array | null): boolean {
  return a === null || b === null ? a === b : Buffer.compare(a, b) === 0
}

function haveSameHeaders({ headers: a }: PlacedRecord, { headers: b }: PlacedRecord): boolean {
  return a.length === b.length && a.every(({ key, value }, at) => key === b[at]!.key && areSame(value, b[at]!.value))
}

/** What nothing accounts for: a lost record, one too many, or a tombstone whose key lives on at the other side. */
async function* judge(
  job: VerifyJob,
  source: VerifySource,
  { run, rest }: { readonly run: PartitionRun; readonly rest: readonly Lonely[] },
): AsyncGenerator<VerifyProgress, Found | undefined, undefined> {
  const [first] = rest.filter(({ isTombstone }) => !isTombstone)
  if (first) return lonelyDifference(first)
  if (rest.length === 0) return undefined
  const tombstones = new Map(rest.map((one) => [one.key, one]))
  const opened = await openCursors(job, source, run, { from: run.fromOffset, resume: run.fromOffset })
  if ('kind' in opened) return opened
  try {
    for (const side of ['source', 'mirror'] as const) {
      const cursor = opened[side]
      for (;;) {
        const stop = await fill(cursor, side)
        if (stop) return stop
        const record = cursor.peek()
        if (!record || record.offset >= run.toOffset) break
        cursor.take()
        const tombstone = record.key && tombstones.get(nameOf(record.key))
        if (!tombstone || tombstone.side === side || record.offset >= tombstone.offset || isControlRecord(record))
          continue
        const has = side === 'mirror' ? 'the mirror' : 'the source'
        const message = `${has} has a record at ${record.offset} whose key was deleted at ${tombstone.offset}, but not there`
        return { offset: record.offset, kind: 'record', message }
      }
      if (isProgressDue(job, run)) yield progressOf(run)
    }
  } finally {
    await Promise.all([opened.source.close(), opened.mirror.close()])
  }
  return undefined
}

function lonelyDifference({ offset, side }: Lonely): Difference {
  const explained = 'and no later record of its key accounts for that'
  if (side === 'source')
    return { offset, kind: 'missing', message: `the mirror lacks the record at ${offset}, ${explained}` }
  return { offset, kind: 'extra', message: `only the mirror has the record at ${offset}, ${explained}` }
}
