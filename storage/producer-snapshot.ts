/**
 * `<offset>.snapshot`: what the log knows of its producers at an offset, in Kafka's format (version 1), big-endian:
 *
 *   0  version                int16   1
 *   2  crc                    uint32  CRC-32C of everything behind it
 *   6  count                  int32   then, for each producer:
 *   0  producerId             int64      26  timestampMs            int64   of the last batch or marker
 *   8  producerEpoch          int16      34  coordinatorEpoch       int32   -1 before the first marker
 *  10  lastSequence           int32      38  currentTransactionStartOffset  int64   -1 where none is open
 *  14  lastOffset             int64
 *  22  offsetDelta            int32
 *
 * Of the batches of a producer it holds the last one only: the others are in the log's own note.
 * Spec: Kafka `ProducerSnapshot.json`.
 */
import { s16be, s32be, struct, u32be } from '@solana/buffer-layout'
import { crc32c } from '../protocol/crc32c.ts'
import { int64 } from '../protocol/records/int64.ts'
import type { ProducerEntry } from './producer-state.ts'

const version = 1
const headerLayout = struct<{ version: number; crc: number; count: number }>([
  s16be('version'),
  u32be('crc'),
  s32be('count'),
])
const crcEnd = headerLayout.offsetOf('count')!
const entryLayout = struct<{
  producerId: bigint
  producerEpoch: number
  lastSequence: number
  lastOffset: bigint
  offsetDelta: number
  timestampMs: bigint
  coordinatorEpoch: number
  currentTransactionStartOffset: bigint
}>([
  int64('producerId'),
  s16be('producerEpoch'),
  s32be('lastSequence'),
  int64('lastOffset'),
  s32be('offsetDelta'),
  int64('timestampMs'),
  s32be('coordinatorEpoch'),
  int64('currentTransactionStartOffset'),
])

export function encodeSnapshot(entries: readonly ProducerEntry[]): Uint8Array {
  const bytes = new Uint8Array(headerLayout.span + entries.length * entryLayout.span)
  for (const [index, entry] of entries.entries()) {
    const last = entry.batches.at(-1)
    const fields = {
      producerId: entry.producerId,
      producerEpoch: entry.producerEpoch,
      lastSequence: last?.lastSequence ?? -1,
      lastOffset: last?.lastOffset ?? -1n,
      offsetDelta: last?.offsetDelta ?? 0,
      timestampMs: entry.lastTimestampMs,
      coordinatorEpoch: entry.coordinatorEpoch,
      currentTransactionStartOffset: entry.currentTransactionStartOffset,
    }
    entryLayout.encode(fields, bytes, headerLayout.span + index * entryLayout.span)
  }
  headerLayout.encode({ version, crc: 0, count: entries.length }, bytes)
  headerLayout.encode({ version, crc: crc32c(bytes.subarray(crcEnd)), count: entries.length }, bytes)
  return bytes
}

/** Undefined where the bytes are no snapshot of version 1, or their checksum does not hold. */
export function decodeSnapshot(bytes: Uint8Array): ProducerEntry[] | undefined {
  if (bytes.length < headerLayout.span) return undefined
  const header = headerLayout.decode(bytes)
  if (header.version !== version || header.crc !== crc32c(bytes.subarray(crcEnd))) return undefined
  if (bytes.length !== headerLayout.span + header.count * entryLayout.span) return undefined
  return Array.from({ length: header.count }, (_, index) => {
    const fields = entryLayout.decode(bytes, headerLayout.span + index * entryLayout.span)
    const { lastSequence, lastOffset, offsetDelta, timestampMs } = fields
    return {
      producerId: fields.producerId,
      producerEpoch: fields.producerEpoch,
      coordinatorEpoch: fields.coordinatorEpoch,
      lastTimestampMs: timestampMs,
      currentTransactionStartOffset: fields.currentTransactionStartOffset,
      batches: lastOffset < 0n ? [] : [{ lastSequence, lastOffset, offsetDelta, timestampMs }],
    }
  })
}
