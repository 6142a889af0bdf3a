/**
 * `log-note`, a file of our own in the folder of a partition: how far the log was durable when the note was written,
 * and what belongs to that. Opening the log believes it and reads on behind it. Text, in the manner of Kafka's
 * checkpoints:
 *
 *   0                                     the version
 *   <count>                               of the lines that follow
 *   log <endOffset> <producers>           everything below `endOffset` is in the segments below; `producers` are in
 *                                         its snapshot
 *   segment <baseOffset> <nextOffset> <sizeBytes> <maxTimestampMs> <firstTimestampMs or -> then, for each of `.index`,
 *           `.timeindex` and `.txnindex`, <entries> <CRC-32C of them>
 *   batch <producerId> <lastSequence> <lastOffset> <offsetDelta> <timestampMs>
 *                                         batches before a producer's last one, for duplicates; oldest first
 *
 * It is written last: indexes, leader epochs and the snapshot are durable before it is. It is removed, durably, before
 * anything below `endOffset` changes, so that it never speaks of other bytes than it was written for.
 */
import { formatLines, loadFile, parseLines } from './checkpoint-files.ts'
import type { Disk } from './disk.ts'
import type { AbortedEntry, ProducerEntry, WrittenBatch } from './producer-state.ts'
import { decodeSnapshot } from './producer-snapshot.ts'
import { segmentFileName, type SegmentNote } from './segment.ts'

export const noteName = 'log-note'

export interface LogNote {
  readonly endOffset: bigint
  /** In the snapshot at `endOffset`. Without any there is no such file. */
  readonly producerCount: number
  readonly segments: readonly SegmentNote[]
  readonly batches: readonly { readonly producerId: bigint; readonly batch: WrittenBatch }[]
}

/** What producers and transactions were at an offset. Appends behind it can be replayed onto it. */
export interface NotedHistory {
  readonly endOffset: bigint
  readonly producers: readonly ProducerEntry[]
  readonly aborted: readonly AbortedEntry[]
  /** The note that is on the disk. */
  readonly note: LogNote
}

export function formatNote(note: LogNote): Uint8Array {
  const lines = [`log ${note.endOffset} ${note.producerCount}`]
  for (const segment of note.segments) {
    const { baseOffset, nextOffset, sizeBytes, maxTimestampMs, firstTimestampMs } = segment
    const parts = [segment.offsets, segment.times, segment.aborted].flatMap(({ entries, crc }) => [entries, crc])
    const fields = [baseOffset, nextOffset, sizeBytes, maxTimestampMs, firstTimestampMs ?? '-', ...parts]
    lines.push(`segment ${fields.join(' ')}`)
  }
  for (const { producerId, batch } of note.batches) {
    const { lastSequence, lastOffset, offsetDelta, timestampMs } = batch
    lines.push(`batch ${producerId} ${lastSequence} ${lastOffset} ${offsetDelta} ${timestampMs}`)
  }
  return formatLines(lines)
}

/** Undefined where the bytes are not exactly such a note. */
export function parseNote(bytes: Uint8Array): LogNote | undefined {
  const lines = parseLines(bytes, /^(log|segment|batch)((?: (?:-?\d+|-))+)$/, (match) => ({
    kind: match[1]!,
    fields: match[2]!.trim().split(' '),
  }))
  const [head] = lines ?? []
  if (!lines || head?.kind !== 'log' || head.fields.length !== 2) return undefined
  const segments: SegmentNote[] = []
  const batches: { producerId: bigint; batch: WrittenBatch }[] = []
  const mayBeMissing = (kind: string, index: number) => kind === 'segment' && index === 4
  for (const { kind, fields } of lines) {
    if (fields.some((field, index) => field === '-' && !mayBeMissing(kind, index))) return undefined
  }
  for (const { kind, fields } of lines.slice(1)) {
    const [a, b, c, d, e] = fields as [string, string, string, string, string]
    if (kind === 'segment' && fields.length === 11) {
      const part = (at: number) => ({ entries: Number(fields[at]), crc: Number(fields[at + 1]) })
      segments.push({
        baseOffset: BigInt(a),
        nextOffset: BigInt(b),
        sizeBytes: Number(c),
        maxTimestampMs: BigInt(d),
        firstTimestampMs: e === '-' ? undefined : BigInt(e),
        offsets: part(5),
        times: part(7),
        aborted: part(9),
      })
    } else if (kind === 'batch' && fields.length === 5) {
      const batch = { lastSequence: Number(b), lastOffset: BigInt(c), offsetDelta: Number(d), timestampMs: BigInt(e) }
      batches.push({ producerId: BigInt(a), batch })
    } else return undefined
  }
  return { endOffset: BigInt(head.fields[0]!), producerCount: Number(head.fields[1]), segments, batches }
}

/** The batches that a snapshot leaves out. */
export function olderBatchesOf(producers: readonly ProducerEntry[]): LogNote['batches'] {
  return producers.flatMap(({ producerId, batches }) => batches.slice(0, -1).map((batch) => ({ producerId, batch })))
}

export function loadNote(disk: Disk, folder: string): Promise<LogNote | undefined> {
  return loadFile(disk, `${folder}/${noteName}`, parseNote)
}

/** Durable when it resolves. */
export async function saveNote(disk: Disk, folder: string, note: LogNote): Promise<void> {
  await disk.replaceFile(`${folder}/${noteName}`, formatNote(note))
}

/** Durable when it resolves: to be awaited before anything below the end of the note changes. */
export async function removeNote(disk: Disk, folder: string): Promise<void> {
  await disk.remove(`${folder}/${noteName}`)
  await disk.syncDirectory(folder)
}

/** The producers of a note, or undefined where its snapshot is not the one that it was written with. */
export async function loadProducers(disk: Disk, folder: string, note: LogNote): Promise<ProducerEntry[] | undefined> {
  if (note.producerCount === 0) return []
  const path = `${folder}/${segmentFileName(note.endOffset, 'snapshot')}`
  const entries = await loadFile(disk, path, decodeSnapshot)
  if (entries?.length !== note.producerCount) return undefined
  const older = Map.groupBy(note.batches, ({ producerId }) => producerId)
  return entries.map((entry) => {
    const before = older.get(entry.producerId)?.map(({ batch }) => batch) ?? []
    return before.length === 0 ? entry : { ...entry, batches: [...before, ...entry.batches] }
  })
}
