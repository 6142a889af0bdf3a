/** The files of a metadata log: segments and snapshots, named as Kafka names them. */
import { DiskError, type Disk } from '../../storage/disk.ts'

export const metadataDirectory = '__cluster_metadata-0'
/** There are no elections here: every batch and every snapshot is of this leader epoch. */
export const metadataLeaderEpoch = 1

const unfinishedEnding = '.part'

/** Offsets; each list in ascending order. */
export interface MetadataFiles {
  /** Base offsets of segments. */
  readonly segments: readonly bigint[]
  /** End offsets of snapshots. */
  readonly snapshots: readonly bigint[]
  /** Paths of snapshots that a crash left unfinished. */
  readonly unfinished: readonly string[]
}

export function segmentPath(baseOffset: bigint): string {
  return `${metadataDirectory}/${String(baseOffset).padStart(20, '0')}.log`
}

/** The first segment, which a new log begins with. */
export const metadataLogPath = segmentPath(0n)

/** A snapshot of all records below `endOffset`. */
export function snapshotPath(endOffset: bigint): string {
  const leaderEpoch = String(metadataLeaderEpoch).padStart(10, '0')
  return `${metadataDirectory}/${String(endOffset).padStart(20, '0')}-${leaderEpoch}.checkpoint`
}

/** Where a snapshot is written before it gets its name. */
export function unfinishedPath(endOffset: bigint): string {
  return snapshotPath(endOffset) + unfinishedEnding
}

export async function listMetadataFiles(disk: Disk): Promise<MetadataFiles> {
  const segments: bigint[] = []
  const snapshots: bigint[] = []
  const unfinished: string[] = []
  for (const { name, isDirectory } of await entriesOf(disk)) {
    const [, offset, kind] = /^(\d{20})(\.log|-\d{10}\.checkpoint(?:\.part)?)$/.exec(name) ?? []
    if (isDirectory || offset === undefined || kind === undefined) continue
    if (kind === '.log') segments.push(BigInt(offset))
    else if (kind.endsWith(unfinishedEnding)) unfinished.push(`${metadataDirectory}/${name}`)
    else if (`${metadataDirectory}/${name}` === snapshotPath(BigInt(offset))) snapshots.push(BigInt(offset))
  }
  return { segments: segments.sort(ascending), snapshots: snapshots.sort(ascending), unfinished }
}

async function entriesOf(disk: Disk) {
  try {
    return await disk.list(metadataDirectory)
  } catch (error) {
    if (error instanceof DiskError && error.code === 'NOT_FOUND') return []
    throw error
  }
}

function ascending(a: bigint, b: bigint): number {
  return a < b ? -1 : a > b ? 1 : 0
}

/**
 * What a log with these files does not need any more. The newest two snapshots stay, and the log from the older of them
 * on: should the newest turn out to be damaged, nothing is lost.
 */
export function superfluousFiles({ segments, snapshots }: MetadataFiles): string[] {
  const oldestKept = snapshots.at(-2)
  if (oldestKept === undefined) return []
  const neededFrom = segments.findLastIndex((baseOffset) => baseOffset <= oldestKept)
  return [...snapshots.slice(0, -2).map(snapshotPath), ...segments.slice(0, Math.max(neededFrom, 0)).map(segmentPath)]
}
