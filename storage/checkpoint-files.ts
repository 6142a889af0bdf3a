/**
 * Kafka's small text files: a version line, mostly a count line, then one line per entry. A file that does not parse is
 * reported as undefined: what these files say can always be derived again, at worst more slowly.
 */
import { DiskError, type Disk } from './disk.ts'

export interface EpochStart {
  readonly leaderEpoch: number
  readonly startOffset: bigint
}

/** An offset of one partition, in the checkpoints that cover a whole data directory. */
export interface PartitionOffset {
  readonly topicName: string
  readonly partitionIndex: number
  readonly offset: bigint
}

const checkpointVersion = '0'
const encoder = new TextEncoder()
const decoder = new TextDecoder()

/** `leader-epoch-checkpoint`: `0`, the count, then `epoch startOffset` per line. */
export function formatEpochs(entries: readonly EpochStart[]): Uint8Array {
  return formatLines(entries.map(({ leaderEpoch, startOffset }) => `${leaderEpoch} ${startOffset}`))
}

export function parseEpochs(bytes: Uint8Array): EpochStart[] | undefined {
  return parseLines(bytes, /^(\d+) (\d+)$/, (match) => ({
    leaderEpoch: Number(match[1]),
    startOffset: BigInt(match[2]!),
  }))
}

/**
 * `log-start-offset-checkpoint` and `recovery-point-offset-checkpoint`: `0`, the count, then `topic partition offset`.
 */
export function formatOffsets(entries: readonly PartitionOffset[]): Uint8Array {
  return formatLines(entries.map(({ topicName, partitionIndex, offset }) => `${topicName} ${partitionIndex} ${offset}`))
}

export function parseOffsets(bytes: Uint8Array): PartitionOffset[] | undefined {
  return parseLines(bytes, /^(\S+) (\d+) (\d+)$/, (match) => ({
    topicName: match[1]!,
    partitionIndex: Number(match[2]),
    offset: BigInt(match[3]!),
  }))
}

/** `<base>.replaces`, a file of our own: `0`, the count, then a base offset per line. */
export function formatBaseOffsets(offsets: readonly bigint[]): Uint8Array {
  return formatLines(offsets.map(String))
}

export function parseBaseOffsets(bytes: Uint8Array): bigint[] | undefined {
  return parseLines(bytes, /^\d+$/, (match) => BigInt(match[0]))
}

/** `partition.metadata`: the id of the topic that the folder belongs to. As in Kafka, the last line has no end. */
export function formatPartitionMetadata(topicId: string): Uint8Array {
  return encoder.encode(`version: 0\ntopic_id: ${topicId}`)
}

export function parsePartitionMetadata(bytes: Uint8Array): string | undefined {
  return /^version: 0\ntopic_id: ([A-Za-z0-9_-]{22})\n?$/.exec(decoder.decode(bytes))?.[1]
}

/** The parsed content of a small file, or undefined where it is missing or damaged. */
export async function loadFile<T>(
  disk: Disk,
  path: string,
  parse: (bytes: Uint8Array) => T | undefined,
): Promise<T | undefined> {
  try {
    return parse(await disk.readFile(path))
  } catch (error) {
    if (error instanceof DiskError && error.code === 'NOT_FOUND') return undefined
    throw error
  }
}

/** A version line, a count line, and the lines. */
export function formatLines(lines: readonly string[]): Uint8Array {
  return encoder.encode([checkpointVersion, String(lines.length), ...lines].join('\n') + '\n')
}

/**
 * What `entryOf` makes of the lines; undefined where one does not match, or their number is not the one that stands
 * there.
 */
export function parseLines<T>(
  bytes: Uint8Array,
  pattern: RegExp,
  entryOf: (match: RegExpExecArray) => T,
): T[] | undefined {
  const [version, count, ...lines] = decoder.decode(bytes).trimEnd().split('\n')
  if (version !== checkpointVersion || Number(count) !== lines.length) return undefined
  const entries: T[] = []
  for (const line of lines) {
    const match = pattern.exec(line)
    if (!match) return undefined
    entries.push(entryOf(match))
  }
  return entries
}
