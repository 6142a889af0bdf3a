/**
 * Reads and look-ups over one log: across segments, sparse index and tail. They see only what is written completely.
 */
import { lastOffsetOf, RecordsError } from '../protocol/records/batch.ts'
import { offsetOf, readRecords, timestampMsOf } from '../protocol/records/record.ts'
import type { ScannedBatch } from './batch-scan.ts'
import type { LogState } from './log-state.ts'
import type { Failure, OffsetAndEpoch, ReadRequest, ReadResult } from './log-store.ts'
import { failure, failureOf, StorageError } from './outcome.ts'
import type { ReadLimit, Segment } from './segment.ts'
import { noTimestamp } from './sparse-index.ts'

/**
 * So often is a read started again when the log was cut or emptied meanwhile; then the caller is asked to come again.
 */
const maxRestarts = 5

/** Why a log can't be used, or undefined. */
export function unusable(state: LogState): Failure | undefined {
  if (state.status === 'dropped') return failure('UNKNOWN_LOG', `${state.label} was deleted`)
  if (state.status === 'offline') return failure('LOG_OFFLINE', `${state.label} is offline: ${state.offlineReason}`)
  return undefined
}

export interface LogReadLimit extends ReadLimit {
  /** What is not in memory stays where it is. */
  readonly isFromMemory: boolean
  /** What is in memory is read from its file. */
  readonly isFromFiles: boolean
}

export async function readLog(state: LogState, request: ReadRequest, limit: LogReadLimit): Promise<ReadResult> {
  for (let attempt = 0; attempt < maxRestarts; attempt++) {
    const refused = unusable(state) ?? refusalOf(state, request)
    if (refused) return refused
    const diverging = divergenceOf(state, request)
    if (diverging) return diverging
    const { generation } = state
    const endOffset = state.visibleEnd(request.isolation)
    let found: Found
    try {
      found = await collect(state, { offset: request.offset, endOffset }, limit)
    } catch (error) {
      if (state.generation !== generation) continue
      return failureOf(error)
    }
    if (state.generation !== generation || request.offset < state.logStartOffset) {
      found.release?.()
      continue
    }
    const aborted =
      request.isolation === 'committed' && found.chunks.length > 0
        ? state.producers.abortedIn(request.offset, found.upperBound)
        : []
    const { chunks, release } = found
    return { ok: true, view: state.view(), chunks, aborted, ...(release && { release }) }
  }
  return failure('STORAGE_FAILED', `${state.label} kept changing while it was read`)
}

interface Found {
  readonly chunks: Uint8Array[]
  readonly upperBound: bigint
  readonly release?: () => void
}

async function collect(
  state: LogState,
  range: { readonly offset: bigint; readonly endOffset: bigint },
  limit: LogReadLimit,
): Promise<Found> {
  const chunks: Uint8Array[] = []
  const releases: (() => void)[] = []
  const found = (upperBound: bigint): Found => {
    if (releases.length === 0) return { chunks, upperBound }
    const [only] = releases
    if (only && releases.length === 1) return { chunks, upperBound, release: only }
    return { chunks, upperBound, release: () => releases.forEach((release) => release()) }
  }
  let { offset } = range
  let { maxBytes, minOneBatch } = limit
  if (offset >= range.endOffset) state.tail.noteReader()
  while (offset < range.endOffset && (maxBytes > 0 || minOneBatch)) {
    const tail = limit.isFromFiles ? undefined : state.tail.read(offset, range.endOffset, { maxBytes, minOneBatch })
    if (tail) {
      chunks.push(...tail.chunks)
      if (tail.chunks.length > 0) releases.push(tail.release)
      return found(tail.upperBound)
    }
    if (limit.isFromMemory) break
    const index = state.segmentIndexOf(offset)
    const segment = state.segments[index]!
    const next = state.segments[index + 1]
    const got = await withSegment(segment, () =>
      segment.read({ offset, endOffset: range.endOffset, maxBytes, minOneBatch }, state.blocks),
    )
    if (got) {
      chunks.push(got.bytes)
      const { buffer } = got
      if (buffer) releases.push(() => buffer.release())
      offset = got.upperBound
      maxBytes -= got.bytes.length
      minOneBatch = false
      if (offset < segment.nextOffset) break
    } else if (offset < segment.nextOffset || !next) {
      break
    }
    if (next && offset < next.baseOffset) offset = next.baseOffset
    else if (!got) break
  }
  return found(offset)
}

export async function withSegment<T>(segment: Segment, work: () => Promise<T>): Promise<T> {
  segment.acquire()
  try {
    return await work()
  } finally {
    segment.release()
  }
}

function refusalOf(state: LogState, request: ReadRequest): ReadResult | undefined {
  const { currentLeaderEpoch = -1 } = request
  if (currentLeaderEpoch >= 0 && currentLeaderEpoch !== state.leaderEpoch) {
    const code = currentLeaderEpoch < state.leaderEpoch ? 'LEADER_EPOCH_STALE' : 'LEADER_EPOCH_UNKNOWN'
    return {
      ...failure(code, `${state.label} has leader epoch ${state.leaderEpoch}, got ${currentLeaderEpoch}`),
      view: state.view(),
    }
  }
  if (request.offset < state.logStartOffset) return outOfRange(state, request)
  // A reader that is ahead of the log may still learn where its history parted from this one.
  const asksForDivergence = (request.lastFetchedEpoch ?? -1) >= 0
  return request.offset > state.highWatermark && !asksForDivergence ? outOfRange(state, request) : undefined
}

function outOfRange(state: LogState, request: ReadRequest): ReadResult {
  const range = `${state.logStartOffset} to ${state.highWatermark}`
  return {
    ...failure('OFFSET_OUT_OF_RANGE', `${state.label} has offsets ${range}, got ${request.offset}`),
    view: state.view(),
  }
}

/** Kafka's check of KIP-595: the epoch of the last record that the reader has must reach to the offset it asks for. */
function divergenceOf(state: LogState, request: ReadRequest): ReadResult | undefined {
  const { lastFetchedEpoch = -1, offset } = request
  if (lastFetchedEpoch < 0) return undefined
  const end = state.epochs.endOf(lastFetchedEpoch, state.highWatermark)
  if (end.leaderEpoch < 0) return outOfRange(state, request)
  if (end.leaderEpoch < lastFetchedEpoch || end.endOffset < offset) {
    return { ok: true, view: state.view(), chunks: [], aborted: [], diverging: end }
  }
  return offset > state.highWatermark ? outOfRange(state, request) : undefined
}

export function availableBytes(state: LogState, offset: bigint, isolation: ReadRequest['isolation']): number {
  if (state.status !== 'online') return 0
  const endOffset = state.visibleEnd(isolation)
  if (offset >= endOffset) return 0
  const from = offset < state.logStartOffset ? state.logStartOffset : offset
  const inTail = state.tail.sizeBetween(from, endOffset)
  if (inTail !== undefined) return inTail
  let sizeBytes = 0
  for (let index = state.segmentIndexOf(from); index < state.segments.length; index++) {
    const segment = state.segments[index]!
    if (segment.baseOffset >= endOffset) break
    sizeBytes += segment.sizeBetween(from > segment.baseOffset ? from : segment.baseOffset, endOffset)
  }
  return sizeBytes
}

/** The first record at or after `timestampMs` by offset, however timestamps are ordered. */
export async function findByTime(state: LogState, timestampMs: bigint): Promise<OffsetAndEpoch | undefined> {
  return stable(state, async () => {
    for (const segment of state.segments) {
      if (segment.maxTimestampMs < timestampMs || segment.nextOffset <= state.logStartOffset) continue
      const found = await withSegment(segment, async () =>
        firstRecord(state, segment, {
          from: await segment.positionOfTime(timestampMs),
          isCandidate: (batch) => batch.header.maxTimestamp >= timestampMs,
          accepts: (recordTimestampMs) => recordTimestampMs >= timestampMs,
        }),
      )
      if (found) return found
    }
    return undefined
  })
}

/** The record with the largest timestamp; of several, the earliest. */
export async function findMaxTimestamp(state: LogState): Promise<OffsetAndEpoch | undefined> {
  return stable(state, async () => {
    let largest: OffsetAndEpoch | undefined
    const segments = state.segments.filter((segment) => !segment.isEmpty && segment.nextOffset > state.logStartOffset)
    for (const segment of segments) {
      if (largest && segment.maxTimestampMs <= largest.timestampMs) continue
      const found = await withSegment(segment, () => largestIn(state, segment, largest?.timestampMs ?? noTimestamp))
      if (found) largest = found
    }
    return largest
  })
}

/**
 * The largest of one segment, if it is above `floorMs`. The header of a batch only bounds its records (clients write
 * it), and the log may start within the segment, so that the maximum of the segment is a bound as well.
 */
async function largestIn(state: LogState, segment: Segment, floorMs: bigint): Promise<OffsetAndEpoch | undefined> {
  const quick = await firstRecord(state, segment, {
    from: await segment.positionOfTime(segment.maxTimestampMs),
    isCandidate: (batch) => batch.header.maxTimestamp >= segment.maxTimestampMs,
    accepts: (timestampMs) => timestampMs >= segment.maxTimestampMs,
  })
  if (quick) return quick
  let largest: OffsetAndEpoch | undefined
  for await (const batches of segment.scan()) {
    for (const batch of batches) {
      if (batch.header.maxTimestamp <= (largest?.timestampMs ?? floorMs)) continue
      for (const record of recordsOf(state, batch)) {
        if (record.timestampMs > (largest?.timestampMs ?? floorMs)) largest = record
      }
    }
  }
  return largest
}

interface RecordQuery {
  readonly from: number
  readonly isCandidate: (batch: ScannedBatch) => boolean
  readonly accepts: (timestampMs: bigint) => boolean
}

async function firstRecord(state: LogState, segment: Segment, query: RecordQuery): Promise<OffsetAndEpoch | undefined> {
  for await (const batches of segment.scan(query.from)) {
    for (const batch of batches) {
      if (!query.isCandidate(batch) || lastOffsetOf(batch.header) < state.logStartOffset) continue
      for (const record of recordsOf(state, batch)) if (query.accepts(record.timestampMs)) return record
    }
  }
  return undefined
}

/** @throws StorageError CORRUPT_BATCH: nobody looked into the records when they came, so that they may be anything. */
function* recordsOf(state: LogState, batch: ScannedBatch): Generator<OffsetAndEpoch, void, undefined> {
  const limits = { maxDecompressedBytes: state.config.maxDecompressedMessageBytes }
  try {
    for (const record of readRecords(batch, limits)) {
      const offset = offsetOf(batch.header, record)
      if (offset < state.logStartOffset) continue
      const timestampMs = timestampMsOf(batch.header, record)
      yield { offset, timestampMs, leaderEpoch: batch.header.partitionLeaderEpoch }
    }
  } catch (error) {
    if (!(error instanceof RecordsError)) throw error
    const place = `${state.label}: batch at offset ${batch.header.baseOffset}`
    throw new StorageError('CORRUPT_BATCH', `${place}: ${error.message}`, { cause: error })
  }
}

/** Runs a look-up again when the log was cut or emptied meanwhile. */
async function stable<T>(state: LogState, work: () => Promise<T>): Promise<T> {
  for (let attempt = 0; attempt < maxRestarts; attempt++) {
    const { generation } = state
    try {
      const found = await work()
      if (state.generation === generation) return found
    } catch (error) {
      if (state.generation === generation) throw error
    }
  }
  throw new StorageError('STORAGE_FAILED', `${state.label} kept changing while it was read`)
}
