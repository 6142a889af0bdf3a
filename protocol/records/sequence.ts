/** Sequence numbers of idempotent producers: int32, and after 2,147,483,647 comes 0. */
import type { BatchHeader } from './batch.ts'

const sequenceCount = 2_147_483_648

/** The sequence `count` records after this one. */
export function sequenceAfter(sequence: number, count: number): number {
  return (sequence + count) % sequenceCount
}

/**
 * The sequence of the last record of a batch, by its offsets: compaction does not change it. -1 for a batch without
 * one.
 */
export function lastSequenceOf(header: BatchHeader): number {
  return header.baseSequence < 0 ? -1 : sequenceAfter(header.baseSequence, header.lastOffsetDelta)
}
