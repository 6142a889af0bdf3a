/**
 * The entries of Kafka's index files, big-endian, behind each other without a header:
 *
 *   .index      0  relativeOffset   int32   the last offset of a batch, less the base offset of the segment
 *               4  position         int32   of that batch in the .log file, in bytes
 *   .timeindex  0  timestampMs      int64   the largest timestamp up to here
 *               8  relativeOffset   int32   the last offset of the first batch that has it
 *   .txnindex   0  version          int16   0
 *               2  producerId       int64
 *              10  firstOffset      int64   of the aborted transaction
 *              18  lastOffset       int64   of its marker
 *              26  lastStableOffset int64   of the log, right after the marker
 *
 * Offsets, positions and timestamps rise from entry to entry.
 */
import { s16be, s32be, struct } from '@solana/buffer-layout'
import { int64 } from '../protocol/records/int64.ts'
import type { AbortedEntry } from './producer-state.ts'

const offsetLayout = struct<{ relativeOffset: number; position: number }>([s32be('relativeOffset'), s32be('position')])
const timeLayout = struct<{ timestampMs: bigint; relativeOffset: number }>([
  int64('timestampMs'),
  s32be('relativeOffset'),
])
const abortedLayout = struct<AbortedEntry & { version: number }>([
  s16be('version'),
  int64('producerId'),
  int64('firstOffset'),
  int64('lastOffset'),
  int64('lastStableOffset'),
])

export const offsetEntryBytes = offsetLayout.span
export const timeEntryBytes = timeLayout.span
export const abortedEntryBytes = abortedLayout.span

export interface OffsetEntry {
  readonly relativeOffset: number
  readonly position: number
}
export interface TimeEntry {
  readonly timestampMs: bigint
  readonly relativeOffset: number
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
}

export function encodeOffsetEntries(entries: readonly OffsetEntry[]): Uint8Array {
  const bytes = new Uint8Array(entries.length * offsetEntryBytes)
  const view = viewOf(bytes)
  for (const [index, { relativeOffset, position }] of entries.entries()) {
    view.setInt32(index * offsetEntryBytes, relativeOffset)
    view.setInt32(index * offsetEntryBytes + 4, position)
  }
  return bytes
}

/** The whole entries in the bytes; a rest that is no entry is left out. */
export function decodeOffsetEntries(bytes: Uint8Array): OffsetEntry[] {
  const view = viewOf(bytes)
  return Array.from({ length: Math.floor(bytes.length / offsetEntryBytes) }, (_, index) => ({
    relativeOffset: view.getInt32(index * offsetEntryBytes),
    position: view.getInt32(index * offsetEntryBytes + 4),
  }))
}

export function encodeTimeEntries(entries: readonly TimeEntry[]): Uint8Array {
  const bytes = new Uint8Array(entries.length * timeEntryBytes)
  for (const [index, entry] of entries.entries()) timeLayout.encode({ ...entry }, bytes, index * timeEntryBytes)
  return bytes
}

/** As `decodeOffsetEntries`. */
export function decodeTimeEntries(bytes: Uint8Array): TimeEntry[] {
  const count = Math.floor(bytes.length / timeEntryBytes)
  return Array.from({ length: count }, (_, index) => timeLayout.decode(bytes, index * timeEntryBytes))
}

export function encodeAbortedEntries(entries: readonly AbortedEntry[]): Uint8Array {
  const bytes = new Uint8Array(entries.length * abortedEntryBytes)
  for (const [index, entry] of entries.entries()) {
    abortedLayout.encode({ version: 0, ...entry }, bytes, index * abortedEntryBytes)
  }
  return bytes
}

/** As `decodeOffsetEntries`. Undefined where an entry has another version than 0. */
export function decodeAbortedEntries(bytes: Uint8Array): AbortedEntry[] | undefined {
  const entries: AbortedEntry[] = []
  for (let at = 0; at + abortedEntryBytes <= bytes.length; at += abortedEntryBytes) {
    const { version, ...entry } = abortedLayout.decode(bytes, at)
    if (version !== 0) return undefined
    entries.push(entry)
  }
  return entries
}
