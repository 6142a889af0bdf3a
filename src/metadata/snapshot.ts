/**
 * Snapshots of the metadata, in the format of Kafka's KRaft snapshots: a control batch with the header, batches of
 * records, a control batch with the footer. Offsets count from 0 within the file; the file's name says which offset of
 * the log it reaches. A file without its footer, or with anything wrong before it, is not whole.
 */
import { buildBatch } from '../../protocol/records/build.ts'
import { buildControlBatch, readControlRecords, type ControlType } from '../../protocol/records/control.ts'
import { isControl, lastOffsetOf, RecordsError } from '../../protocol/records/batch.ts'
import { decodeRecord, encodeRecord } from '../../protocol/compile.ts'
import { ProtocolError } from '../../protocol/protocol-error.ts'
import { Reader } from '../../protocol/reader.ts'
import type { RecordInput, RecordType } from '../../protocol/schema.ts'
import { SnapshotFooterRecord, SnapshotHeaderRecord } from '../../protocol/state/control-records.ts'
import { Writer } from '../../protocol/writer.ts'
import type { Disk, DiskFile } from '../../storage/disk.ts'
import { emptyImage, ImageBuilder } from './image.ts'
import { metadataDirectory, metadataLeaderEpoch, snapshotPath, unfinishedPath } from './log-files.ts'
import { batchesOf, replayBatch } from './log-scan.ts'
import { MetadataError } from './metadata-error.ts'
import type { MetadataImage } from './metadata-store.ts'

/** A batch of records is closed at this size. */
const batchBytes = 524_288

export interface SnapshotContent {
  /** Records below this offset of the log are in it. */
  readonly endOffset: bigint
  /** Of the last of them, in milliseconds. */
  readonly lastTimestampMs: bigint
  /** Framed, in order. */
  readonly values: Iterable<Uint8Array>
}

/** Writes a snapshot aside, then gives it its name. It is whole and durable when this resolves. @throws DiskError */
export async function writeSnapshot(disk: Disk, content: SnapshotContent, nowMs: bigint): Promise<void> {
  const aside = unfinishedPath(content.endOffset)
  try {
    await writeAside(disk, aside, batchesOfSnapshot(content, nowMs))
    await disk.rename(aside, snapshotPath(content.endOffset))
  } catch (error) {
    await disk.remove(aside).catch(() => undefined) // of a full disk it would hold a part; the next start removes it too
    throw error
  }
  await disk.syncDirectory(metadataDirectory)
}

async function writeAside(disk: Disk, path: string, batches: Iterable<Uint8Array>): Promise<void> {
  const file = await disk.open(path, { create: true })
  try {
    await file.truncate(0)
    let position = 0
    for (const batch of batches) {
      await file.write(position, [batch])
      position += batch.length
    }
    await file.sync()
  } finally {
    await file.close()
  }
}

function* batchesOfSnapshot({ lastTimestampMs, values }: SnapshotContent, nowMs: bigint): Generator<Uint8Array> {
  const header = { version: 0, lastContainedLogTimestamp: lastTimestampMs }
  yield controlBatch('SNAPSHOT_HEADER', bodyOf(SnapshotHeaderRecord, header), { baseOffset: 0n, nowMs })
  let baseOffset = 1n
  for (const group of groupsOf(values)) {
    yield buildBatch({
      baseOffset,
      leaderEpoch: metadataLeaderEpoch,
      baseTimestampMs: nowMs,
      records: group.map((value) => ({ key: null, value })),
    })
    baseOffset += BigInt(group.length)
  }
  yield controlBatch('SNAPSHOT_FOOTER', bodyOf(SnapshotFooterRecord, { version: 0 }), { baseOffset, nowMs })
}

function* groupsOf(values: Iterable<Uint8Array>): Generator<Uint8Array[]> {
  let group: Uint8Array[] = []
  let sizeBytes = 0
  for (const value of values) {
    group.push(value)
    sizeBytes += value.length
    if (sizeBytes < batchBytes) continue
    yield group
    group = []
    sizeBytes = 0
  }
  if (group.length > 0) yield group
}

function controlBatch(
  type: ControlType,
  value: Uint8Array,
  { baseOffset, nowMs }: { readonly baseOffset: bigint; readonly nowMs: bigint },
): Uint8Array {
  return buildControlBatch({
    records: [{ type, value }],
    timestampMs: nowMs,
    baseOffset,
    leaderEpoch: metadataLeaderEpoch,
  })
}

function bodyOf<T extends RecordType>(type: T, value: RecordInput<T>): Uint8Array {
  const writer = new Writer(16)
  encodeRecord(type, 0, value, writer)
  return writer.toBytes()
}

export interface LoadedSnapshot {
  readonly image: MetadataImage
  readonly lastTimestampMs: bigint
}

/** Reads a snapshot. Undefined where the file is not whole. @throws MetadataError UNSUPPORTED, DiskError. */
export async function loadSnapshot(disk: Disk, endOffset: bigint): Promise<LoadedSnapshot | undefined> {
  const file = await disk.open(snapshotPath(endOffset), { readOnly: true })
  try {
    return await readSnapshot(file, endOffset)
  } catch (error) {
    if (error instanceof MetadataError && error.code === 'CORRUPT') return undefined
    throw error
  } finally {
    await file.close()
  }
}

async function readSnapshot(file: DiskFile, endOffset: bigint): Promise<LoadedSnapshot | undefined> {
  const fileBytes = await file.size()
  const builder = new ImageBuilder(emptyImage)
  let lastTimestampMs: bigint | undefined
  let hasFooter = false
  let nextOffset = 0n
  let position = 0
  for await (const batch of batchesOf(file, fileBytes)) {
    const { baseOffset, partitionLeaderEpoch } = batch.header // both outside the checksum
    if (hasFooter || baseOffset !== nextOffset || partitionLeaderEpoch !== metadataLeaderEpoch) return undefined
    if (isControl(batch.header)) {
      for (const { type, value } of controlRecordsOf(batch)) {
        if (type === 'SNAPSHOT_HEADER' && nextOffset === 0n) lastTimestampMs = timestampOf(value)
        if (type === 'SNAPSHOT_FOOTER') hasFooter = true
      }
    } else {
      replayBatch(builder, batch, file.path)
    }
    if (lastTimestampMs === undefined) return undefined
    nextOffset = lastOffsetOf(batch.header) + 1n
    position += batch.bytes.length
  }
  if (!hasFooter || position !== fileBytes || lastTimestampMs === undefined) return undefined
  return { image: builder.finish(endOffset - 1n), lastTimestampMs }
}

function controlRecordsOf(batch: Parameters<typeof readControlRecords>[0]): ReturnType<typeof readControlRecords> {
  try {
    return readControlRecords(batch)
  } catch (error) {
    if (error instanceof RecordsError) return []
    throw error
  }
}

function timestampOf(value: Uint8Array | null): bigint | undefined {
  try {
    if (value === null) return undefined
    return decodeRecord(SnapshotHeaderRecord, 0, new Reader(value)).lastContainedLogTimestamp
  } catch (error) {
    if (error instanceof ProtocolError) return undefined
    throw error
  }
}
