/** The lines that `titorelli dump` prints for the content of one file, by the kind of file that its name says. */
import { basename } from 'node:path'
import {
  compressionOf,
  isControl,
  isTransactional,
  lastOffsetOf,
  timestampTypeOf,
  verifyCrc,
} from '../../protocol/records/batch.ts'
import { readControlRecord } from '../../protocol/records/control.ts'
import { decodeRecords } from '../../protocol/records/record.ts'
import { batchesIn, type ScannedBatch } from '../../storage/batch-scan.ts'
import {
  abortedEntryBytes,
  decodeAbortedEntries,
  decodeOffsetEntries,
  decodeTimeEntries,
  offsetEntryBytes,
  timeEntryBytes,
} from '../../storage/index-files.ts'
import { decodeSnapshot } from '../../storage/producer-snapshot.ts'

export interface Dump {
  readonly lines: readonly string[]
  /** What does not hold, one sentence each. */
  readonly problems: readonly string[]
}

export interface DumpOptions {
  /** Every record, not only the batches. */
  readonly records: boolean
}

/** Undefined where the name is not one of a file that a log consists of. */
export function dumpFile(path: string, bytes: Uint8Array, options: DumpOptions): Dump | undefined {
  const name = basename(path).replace(/\.(?:cleaned|swap|deleted)$/, '')
  const baseOffset = /^\d{20}\./.test(name) ? BigInt(name.slice(0, 20)) : 0n
  if (name.endsWith('.log')) return dumpLog(bytes, options)
  if (name.endsWith('.index')) return dumpOffsets(bytes, baseOffset)
  if (name.endsWith('.timeindex')) return dumpTimes(bytes, baseOffset)
  if (name.endsWith('.txnindex')) return dumpAborted(bytes)
  if (name.endsWith('.snapshot')) return dumpSnapshot(bytes)
  const isText = /checkpoint$|^partition\.metadata$|^meta\.properties$|^log-note$|^\.kafka_cleanshutdown$|\.replaces$/
  if (!isText.test(name)) return undefined
  return { lines: new TextDecoder().decode(bytes).trimEnd().split('\n'), problems: [] }
}

function dumpLog(bytes: Uint8Array, options: DumpOptions): Dump {
  const lines: string[] = []
  const problems: string[] = []
  const { batches, sizeBytes } = batchesIn(bytes, 0)
  let nextOffset = -1n
  for (const batch of batches) {
    const { header, position } = batch
    lines.push(lineOfBatch(batch))
    if (!verifyCrc(batch)) problems.push(`the batch at position ${position} does not match its CRC`)
    else if (options.records) lines.push(...linesOfRecords(batch, problems))
    if (header.baseOffset < nextOffset) {
      problems.push(`the batch at position ${position} begins at ${header.baseOffset}, expected ${nextOffset} or more`)
    }
    nextOffset = lastOffsetOf(header) + 1n
  }
  if (sizeBytes < bytes.length)
    problems.push(`${bytes.length - sizeBytes} bytes from position ${sizeBytes} on are no batch`)
  return { lines, problems }
}

function lineOfBatch(batch: ScannedBatch): string {
  const { header, position, bytes } = batch
  const fields: Record<string, unknown> = {
    baseOffset: header.baseOffset,
    lastOffset: lastOffsetOf(header),
    count: header.recordCount,
    position,
    sizeBytes: bytes.length,
    leaderEpoch: header.partitionLeaderEpoch,
    [timestampTypeOf(header)]: header.maxTimestamp,
    compression: compressionOf(header),
    producerId: header.producerId,
    producerEpoch: header.producerEpoch,
    baseSequence: header.baseSequence,
    isTransactional: isTransactional(header),
    isControl: isControl(header),
  }
  return lineOf(fields)
}

function linesOfRecords(batch: ScannedBatch, problems: string[]): string[] {
  try {
    if (isControl(batch.header)) {
      const record = readControlRecord(batch)
      return record ? [`  ${lineOf({ marker: record.type, coordinatorEpoch: record.coordinatorEpoch ?? -1 })}`] : []
    }
    return decodeRecords(batch).map(
      ({ offset, timestampMs, key, value }) =>
        `  ${lineOf({ offset, timestampMs, key: textOf(key), value: textOf(value) })}`,
    )
  } catch (error) {
    problems.push(`the batch at position ${batch.position} cannot be read: ${(error as Error).message}`)
    return []
  }
}

function dumpOffsets(bytes: Uint8Array, baseOffset: bigint): Dump {
  const entries = decodeOffsetEntries(bytes)
  const lines = entries.map(({ relativeOffset, position }) =>
    lineOf({ offset: baseOffset + BigInt(relativeOffset), position }),
  )
  const keys = entries.map(({ relativeOffset, position }) => [BigInt(relativeOffset), BigInt(position)])
  return { lines, problems: entryProblems(bytes, offsetEntryBytes, keys) }
}

function dumpTimes(bytes: Uint8Array, baseOffset: bigint): Dump {
  const entries = decodeTimeEntries(bytes)
  const lines = entries.map(({ timestampMs, relativeOffset }) =>
    lineOf({ timestampMs, offset: baseOffset + BigInt(relativeOffset) }),
  )
  const keys = entries.map(({ relativeOffset, timestampMs }) => [timestampMs, BigInt(relativeOffset)])
  return { lines, problems: entryProblems(bytes, timeEntryBytes, keys) }
}

function dumpAborted(bytes: Uint8Array): Dump {
  const entries = decodeAbortedEntries(bytes)
  if (!entries) return { lines: [], problems: ['an entry has another version than 0'] }
  const lines = entries.map((entry) => lineOf({ version: 0, ...entry }))
  const keys = entries.map(({ lastOffset }) => [lastOffset])
  return { lines, problems: entryProblems(bytes, abortedEntryBytes, keys) }
}

function dumpSnapshot(bytes: Uint8Array): Dump {
  const entries = decodeSnapshot(bytes)
  if (!entries) return { lines: [], problems: ['this is no snapshot of version 1 whose CRC holds'] }
  const lines = entries.map(({ batches, ...entry }) => {
    const last = batches.at(-1)
    return lineOf({ ...entry, lastSequence: last?.lastSequence ?? -1, lastOffset: last?.lastOffset ?? -1n })
  })
  return { lines, problems: [] }
}

/** Entries are whole, and each of their keys rises. */
function entryProblems(bytes: Uint8Array, entryBytes: number, keys: readonly (readonly bigint[])[]): string[] {
  const problems: string[] = []
  const rest = bytes.length % entryBytes
  if (rest > 0) problems.push(`${rest} bytes at the end are no entry`)
  const falling = keys.findIndex((key, index) => index > 0 && key.some((value, at) => value <= keys[index - 1]![at]!))
  if (falling > 0) problems.push(`entry ${falling} does not rise above the one before it`)
  return problems
}

function lineOf(fields: Readonly<Record<string, unknown>>): string {
  return Object.entries(fields)
    .map(([name, value]) => `${name}: ${String(value)}`)
    .join(' ')
}

/** Text as it is, other bytes as a count: a terminal is no place for them. */
function textOf(bytes: Uint8Array | null): string {
  if (bytes === null) return 'null'
  try {
    const text = new TextDecoder('utf-8', { fatal: true }).decode(bytes)
    return JSON.stringify(text)
  } catch {
    return `${bytes.length} bytes`
  }
}
