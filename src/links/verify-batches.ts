/**
 * Compares two logs batch by batch: each header byte and each record byte. Batches are found by their offsets, so that
 * a missing one is told once, and not as a difference of everything behind it.
 */
import { Buffer } from 'node:buffer'
import {
  batchHeaderSizeBytes,
  type BatchHeader,
  type BatchRef,
  lastOffsetOf,
  verifyCrc,
} from '../../protocol/records/batch.ts'
import type { VerifyDifference } from './link-service.ts'
import type { BatchCursor } from './verify-cursor.ts'
import { type Different, type Failed, failed, type Moved } from './verify-parts.ts'

/** How far a comparison came. Changed in place. */
export interface Agreement {
  /** Everything below is equal. */
  offset: bigint
  /**
   * The base offset of the last equal batch: a second look begins there, and sees what stands behind that batch.
   * Undefined before the first, and after retention has moved the range.
   */
  resumeOffset: bigint | undefined
  batches: number
  bytes: number
}

export type CompareOutcome = Different | Failed | Moved | { readonly kind: 'more' } | { readonly kind: 'end' }

export interface CompareSides {
  readonly partitionIndex: number
  readonly source: BatchCursor
  readonly mirror: BatchCursor
}

const headerFields = [
  'baseOffset',
  'batchLength',
  'partitionLeaderEpoch',
  'magic',
  'crc',
  'attributes',
  'lastOffsetDelta',
  'baseTimestamp',
  'maxTimestamp',
  'producerId',
  'producerEpoch',
  'baseSequence',
  'recordCount',
] as const satisfies readonly (keyof BatchHeader)[]
/** From here on a batch is the same wherever it stands: base offset, length, epoch, magic and CRC lie in front. */
const contentAt = 21

/** Compares what is at hand, a chunk or so, and tells whether there is more. */
export async function compareSome(sides: CompareSides, agreement: Agreement): Promise<CompareOutcome> {
  const { source, mirror } = sides
  const stop = (await source.fill(1)) ?? (await mirror.fill(1))
  if (stop) return stop
  let theirs = source.peek()
  let ours = mirror.peek()
  if (!theirs && !ours && source.damage === undefined && mirror.damage === undefined) return { kind: 'end' }
  while (theirs && ours && areEqual(theirs.bytes, ours.bytes)) {
    agree(agreement, theirs)
    source.take()
    mirror.take()
    theirs = source.peek()
    ours = mirror.peek()
    if (!theirs || !ours) return { kind: 'more' }
  }
  const short = (await source.fill(3)) ?? (await mirror.fill(3)) // so that what stands out of its place is seen
  return short ?? tellApart(sides, agreement)
}

export function areEqual(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && Buffer.compare(a, b) === 0
}

function agree(agreement: Agreement, batch: BatchRef): void {
  const nextOffset = lastOffsetOf(batch.header) + 1n
  agreement.resumeOffset = batch.header.baseOffset
  if (nextOffset <= agreement.offset) return // seen before: a second look begins with the last equal batch
  agreement.offset = nextOffset
  agreement.batches += 1
  agreement.bytes += batch.bytes.length
}

function tellApart(sides: CompareSides, agreement: Agreement): CompareOutcome {
  const { partitionIndex, source, mirror } = sides
  const theirs = source.peek()
  const ours = mirror.peek()
  if (!theirs && source.damage !== undefined) {
    return failed('partition', `the source serves bytes that are no batch: ${source.damage}`)
  }
  const offset = theirs?.header.baseOffset ?? agreement.offset
  if (!ours && mirror.damage !== undefined) {
    return different({
      partitionIndex,
      offset,
      kind: 'header',
      message: `the mirror has no batch there: ${mirror.damage}`,
    })
  }
  if (theirs && ours && theirs.header.baseOffset === ours.header.baseOffset) {
    return different({ partitionIndex, offset, ...contentDifference(theirs, ours) })
  }
  return different({ partitionIndex, ...placeDifference(sides, agreement) })
}

function different(difference: VerifyDifference): Different {
  return { kind: 'different', difference }
}

/** What differs of two batches with the same base offset. */
function contentDifference(theirs: BatchRef, ours: BatchRef): Pick<VerifyDifference, 'kind' | 'message'> {
  const fields = headerFields.filter((field) => theirs.header[field] !== ours.header[field])
  if (fields.length > 0) {
    const values = fields.map((field) => `${field} is ${ours.header[field]}, at the source ${theirs.header[field]}`)
    return { kind: 'header', message: values.join('; ') }
  }
  const position = firstDifferentByte(theirs.bytes, ours.bytes)
  const damaged = [verifyCrc(ours) ? '' : 'the mirror', verifyCrc(theirs) ? '' : 'the source'].filter(
    (side) => side !== '',
  )
  const blame = damaged.length === 0 ? 'both checksums hold' : `the checksum does not hold at ${damaged.join(' and ')}`
  const values = `is ${ours.bytes[position]}, at the source ${theirs.bytes[position]}`
  return { kind: 'bytes', message: `byte ${position} of the batch ${values}; ${blame}` }
}

function firstDifferentByte(a: Uint8Array, b: Uint8Array): number {
  let position = batchHeaderSizeBytes
  while (position < a.length && a[position] === b[position]) position += 1
  return position
}

/** One side has a batch where the other has none, or another one. */
function placeDifference(sides: CompareSides, agreement: Agreement): Omit<VerifyDifference, 'partitionIndex'> {
  const theirs = sides.source.peek()
  const ours = sides.mirror.peek()
  if (ours && ours.header.baseOffset < agreement.offset && agreement.resumeOffset !== undefined)
    return outOfOrder(ours, agreement)
  if (!ours && theirs) return missing(theirs)
  if (!theirs && ours) return extra(ours)
  if (!theirs || !ours) throw new Error('there is no difference to tell')
  const isOursLater = findAt(sides.source.held(), ours.header.baseOffset) !== undefined
  const isTheirsLater = findAt(sides.mirror.held(), theirs.header.baseOffset) !== undefined
  if (isOursLater && isTheirsLater) {
    const where = `the batch at ${ours.header.baseOffset} stands in front of the one at ${theirs.header.baseOffset}`
    return { offset: lower(theirs, ours), kind: 'order', message: `${where} in the mirror` }
  }
  if (isTheirsLater) return extra(ours)
  if (isOursLater) return missing(theirs)
  if (areEqual(theirs.bytes.subarray(contentAt), ours.bytes.subarray(contentAt))) {
    const { message } = contentDifference(theirs, ours)
    return { offset: theirs.header.baseOffset, kind: 'header', message }
  }
  return theirs.header.baseOffset < ours.header.baseOffset ? missing(theirs) : extra(ours)
}

function outOfOrder(ours: BatchRef, agreement: Agreement): Omit<VerifyDifference, 'partitionIndex'> {
  const { baseOffset } = ours.header
  if (baseOffset === agreement.resumeOffset) {
    return { offset: baseOffset, kind: 'extra', message: `the mirror has the batch ${rangeOf(ours)} twice` }
  }
  const message = `the mirror has the batch ${rangeOf(ours)} behind offset ${agreement.offset - 1n}`
  return { offset: baseOffset, kind: 'order', message }
}

function missing(theirs: BatchRef): Omit<VerifyDifference, 'partitionIndex'> {
  const message = `the mirror lacks the batch ${rangeOf(theirs)} of the source`
  return { offset: theirs.header.baseOffset, kind: 'missing', message }
}

function extra(ours: BatchRef): Omit<VerifyDifference, 'partitionIndex'> {
  const message = `the mirror has a batch ${rangeOf(ours)} that the source does not have`
  return { offset: ours.header.baseOffset, kind: 'extra', message }
}

function rangeOf(batch: BatchRef): string {
  return `${batch.header.baseOffset} to ${lastOffsetOf(batch.header)}`
}

function findAt(batches: readonly BatchRef[], baseOffset: bigint): BatchRef | undefined {
  return batches.find((batch) => batch.header.baseOffset === baseOffset)
}

function lower(a: BatchRef, b: BatchRef): bigint {
  return a.header.baseOffset < b.header.baseOffset ? a.header.baseOffset : b.header.baseOffset
}
