/**
 * The embedded metadata store: a log of record batches and its snapshots in `__cluster_metadata-0/`, in the formats of
 * Kafka's KRaft log, so that Kafka's dump tool reads them. `docs/storage-format.md` has the table of records.
 *
 * One change is one batch, written and synced before the next begins. A crash between any two disk calls leaves either
 * the old or the new image: a torn batch was never acknowledged and is cut off when the log is opened.
 *
 * After so many bytes of changes a new segment is begun, a snapshot of all before it is written, and what neither of
 * the newest two snapshots needs is deleted. Appends wait meanwhile. A snapshot that fails is tried again after as many
 * bytes more.
 */
import assert from 'node:assert/strict'
import { buildBatch } from '../../protocol/records/build.ts'
import type { RecordOf, Uuid } from '../../protocol/schema.ts'
import { PartitionRecord } from '../../protocol/state/metadata-records.ts'
import { ClusterIdentity, ProducerIdSpace } from '../../protocol/state/mirror-records.ts'
import { DiskError, type Disk, type DiskFile } from '../../storage/disk.ts'
import type { Environment } from '../environment/environment.ts'
import { emptyImage, ImageBuilder } from './image.ts'
import { metadataVersionRecord, recordsOfImage } from './image-records.ts'
import {
  listMetadataFiles,
  metadataDirectory,
  metadataLeaderEpoch,
  metadataLogPath,
  segmentPath,
  snapshotPath,
  superfluousFiles,
  type MetadataFiles,
} from './log-files.ts'
import { scanLog, type ScannedLog, type ScanStart } from './log-scan.ts'
import { loadMetaProperties, metaPropertiesPath, storeMetaProperties, type MetaProperties } from './meta-properties.ts'
import { MetadataError } from './metadata-error.ts'
import {
  record,
  type MetadataImage,
  type MetadataRecord,
  type MetadataResult,
  type MetadataStore,
} from './metadata-store.ts'
import { decodeMetadataRecord, encodeMetadataRecord } from './records.ts'
import { loadSnapshot, writeSnapshot } from './snapshot.ts'

export { metadataLogPath }

/** Kafka's default of `metadata.log.max.record.bytes.between.snapshots`. */
const snapshotBytesDefault = 20_971_520

export type MetadataEnvironment = Pick<Environment, 'disk' | 'clock' | 'random' | 'logger'>

export interface MetadataLogOptions {
  readonly nodeId: number
  /** The id to format a new directory with, and to find in an old one. Default: random, or the one that is there. */
  readonly clusterId?: string | undefined
  /** A snapshot is taken when so many bytes of records came since the last. Default: Kafka's, 20 MiB. */
  readonly bytesBetweenSnapshots?: number
}

export class LogMetadataStore implements MetadataStore {
  readonly #environment: MetadataEnvironment
  readonly #options: MetadataLogOptions
  /** The id of this data directory, in every partition record. */
  readonly directoryId: Uuid
  #image: MetadataImage
  /** The segment that is written to, and its size. */
  #file: DiskFile
  #sizeBytes: number
  /** The time of the last record, in milliseconds. */
  #lastTimestampMs: bigint
  /** Of batches that no snapshot holds. */
  #bytesSinceSnapshot: number
  /** Appends run one after the other, in the order of their calls. Never rejects. */
  #lastAppend: Promise<unknown> = Promise.resolve()
  readonly #listeners = new Set<(image: MetadataImage, previous: MetadataImage) => void>()
  #failure: string | undefined
  #isClosed = false

  private constructor(environment: MetadataEnvironment, options: MetadataLogOptions, opened: Opened) {
    this.#environment = environment
    this.#options = options
    this.directoryId = opened.directoryId
    this.#image = opened.image
    this.#file = opened.file
    this.#sizeBytes = opened.sizeBytes
    this.#lastTimestampMs = opened.lastTimestampMs
    this.#bytesSinceSnapshot = opened.replayedBytes
  }

  /**
   * Opens the log of the data directory, or formats an empty directory. What is in the image is durable when this
   * resolves.
   *
   * @throws MetadataError when the directory is not this node's or not intact; DiskError.
   */
  static async open(environment: MetadataEnvironment, options: MetadataLogOptions): Promise<LogMetadataStore> {
    const { disk } = environment
    const stored = await loadMetaProperties(disk)
    if (stored) checkOwner(disk.root, stored, options)
    await disk.makeDirectory(metadataDirectory)
    const opened = stored ? await recover(environment, stored) : await format(environment, options)
    return new LogMetadataStore(environment, options, opened)
  }

  get image(): MetadataImage {
    return this.#image
  }

  append(
    records: readonly MetadataRecord[],
    options: { readonly expectedOffset?: bigint } = {},
  ): Promise<MetadataResult> {
    const result = this.#lastAppend.then(() => this.#append(records, options.expectedOffset))
    this.#lastAppend = result.then(
      () => this.#snapshotWhenDue(),
      () => undefined,
    )
    return result
  }

  async #append(records: readonly MetadataRecord[], expectedOffset: bigint | undefined): Promise<MetadataResult> {
    const previous = this.#image
    if (this.#isClosed) return { ok: false, code: 'CLOSED', message: 'the metadata log is closed' }
    if (this.#failure !== undefined) return { ok: false, code: 'FAILED', message: this.#failure }
    if (expectedOffset !== undefined && expectedOffset !== previous.offset)
      return { ok: false, code: 'CONFLICT', message: `got offset ${expectedOffset}, expected ${previous.offset}` }
    if (records.length === 0) return { ok: true, offset: previous.offset }

    const values = records.map((item) => encodeMetadataRecord(withDirectories(item, this.directoryId)))
    const image = imageAfter(previous, values)
    const nowMs = this.#environment.clock.nowMs()
    const batch = batchOf(values, { baseOffset: previous.offset + 1n, nowMs })
    const failed = await this.#write(batch)
    if (failed) return failed
    this.#sizeBytes += batch.length
    this.#bytesSinceSnapshot += batch.length
    this.#lastTimestampMs = BigInt(nowMs)
    this.#image = image
    for (const listener of this.#listeners) listener(image, previous)
    return { ok: true, offset: image.offset }
  }

  async #write(batch: Uint8Array): Promise<MetadataResult | undefined> {
    let isWritten = false
    try {
      await this.#file.write(this.#sizeBytes, [batch])
      isWritten = true
      await this.#file.sync()
      return undefined
    } catch (error) {
      if (!isWritten && error instanceof DiskError && error.code === 'NO_SPACE') return this.#takeBack(error)
      const failed = this.#fail(error)
      if (!(error instanceof DiskError)) throw error
      return failed
    }
  }

  /**
   * The disk is full: takes back what was written of the batch, durably, so that the next append finds the log as it
   * was.
   */
  async #takeBack(full: DiskError): Promise<MetadataResult> {
    try {
      await this.#file.truncate(this.#sizeBytes)
      await this.#file.sync()
    } catch (error) {
      return this.#fail(error)
    }
    this.#environment.logger.error({ path: this.#file.path, reason: full.message }, 'no space for the metadata log')
    return { ok: false, code: 'NO_SPACE', message: `no space for the metadata log: ${full.message}` }
  }

  /**
   * Whether the batch is on the disk is unknown now, and a sync that failed once must not be tried again: nothing more
   * is written until the log has been opened anew.
   */
  #fail(error: unknown): MetadataResult {
    const reason = error instanceof Error ? error.message : String(error)
    const code = error instanceof DiskError ? error.code : undefined
    this.#failure = `the metadata log failed and takes no changes until a restart: ${reason}`
    this.#environment.logger.error({ path: this.#file.path, code, reason }, 'metadata log failed')
    return { ok: false, code: 'FAILED', message: this.#failure }
  }

  async #snapshotWhenDue(): Promise<void> {
    const { bytesBetweenSnapshots = snapshotBytesDefault } = this.#options
    if (this.#failure !== undefined || this.#bytesSinceSnapshot < bytesBetweenSnapshots) return
    this.#bytesSinceSnapshot = 0
    const { disk, logger } = this.#environment
    const endOffset = this.#image.offset + 1n
    try {
      await this.#roll(endOffset)
      await this.#writeSnapshot(endOffset)
      await removeFiles(disk, superfluousFiles(await listMetadataFiles(disk)))
      logger.info({ endOffset }, 'metadata snapshot written')
    } catch (error) {
      logger.error(
        { err: error, endOffset },
        'metadata snapshot not written; the log is kept, and the next is tried later',
      )
    }
  }

  /** Goes on in a new segment. Its name is durable before anything is written to it. */
  async #roll(baseOffset: bigint): Promise<void> {
    if (this.#sizeBytes === 0) return // nothing came since the last roll
    const { disk } = this.#environment
    const file = await disk.open(segmentPath(baseOffset), { create: true })
    try {
      assert.equal(await file.size(), 0)
      await disk.syncDirectory(metadataDirectory)
    } catch (error) {
      await file.close() // an empty segment that stays is removed by the next start
      throw error
    }
    const previous = this.#file
    this.#file = file
    this.#sizeBytes = 0
    await previous.close()
  }

  async #writeSnapshot(endOffset: bigint): Promise<void> {
    const { disk, clock } = this.#environment
    const image = this.#image
    const { directoryId } = this
    const { nodeId } = this.#options
    function* values(): Generator<Uint8Array> {
      for (const item of recordsOfImage(image, nodeId)) yield encodeMetadataRecord(withDirectories(item, directoryId))
    }
    const content = { endOffset, lastTimestampMs: this.#lastTimestampMs, values: values() }
    await writeSnapshot(disk, content, BigInt(clock.nowMs()))
  }

  onImage(listener: (image: MetadataImage, previous: MetadataImage) => void): Disposable {
    // A function of its own per call, so that one listener registered twice is two registrations.
    const registration = (image: MetadataImage, previous: MetadataImage): void => listener(image, previous)
    this.#listeners.add(registration)
    return {
      [Symbol.dispose]: () => {
        this.#listeners.delete(registration)
      },
    }
  }

  /** Ends after the appends that were called before; later ones are CLOSED. */
  async close(): Promise<void> {
    if (this.#isClosed) return
    await this.#lastAppend
    if (this.#isClosed) return
    this.#isClosed = true
    await this.#file.close()
  }
}

interface Opened extends Pick<ScannedLog, 'image' | 'sizeBytes' | 'lastTimestampMs' | 'replayedBytes'> {
  readonly file: DiskFile
  readonly directoryId: Uuid
}

function checkOwner(
  root: string,
  stored: { readonly clusterId: string; readonly nodeId: number },
  wanted: MetadataLogOptions,
): void {
  if (wanted.clusterId !== undefined && wanted.clusterId !== stored.clusterId)
    throw new MetadataError(
      'CLUSTER_ID_MISMATCH',
      `${root} belongs to cluster ${stored.clusterId}, but the cluster id ${wanted.clusterId} was asked for`,
    )
  if (wanted.nodeId !== stored.nodeId)
    throw new MetadataError(
      'NODE_ID_MISMATCH',
      `${root} belongs to node ${stored.nodeId}, but node.id is ${wanted.nodeId}`,
    )
}

/**
 * Loads the newest whole snapshot and the log behind it, cuts a torn end off, and makes the rest durable before anybody
 * acts on it.
 */
async function recover(environment: MetadataEnvironment, stored: MetaProperties): Promise<Opened> {
  const { disk, logger } = environment
  const files = await listMetadataFiles(disk)
  const start = await newestSnapshot(environment, files)
  if (files.segments.length === 0) throw logMissing(disk)
  const scanned = await scanLog(disk, files.segments, start)
  const { image, activeSegment, sizeBytes, tornBytes, unusedSegments } = scanned
  if (image.offset < 0n) throw logMissing(disk)
  if (image.clusterId !== stored.clusterId)
    throw new MetadataError(
      'CLUSTER_ID_MISMATCH',
      `${disk.root}/${metaPropertiesPath} names cluster ${stored.clusterId}, but its metadata log is of cluster ${image.clusterId}`,
    )
  const file = await disk.open(segmentPath(activeSegment))
  try {
    if (tornBytes > 0) {
      logger.warn({ path: file.path, sizeBytes, tornBytes }, 'cut off the torn end of the metadata log')
      await file.truncate(sizeBytes)
    }
    await file.sync()
    const kept = { ...files, snapshots: files.snapshots.filter((endOffset) => endOffset <= start.image.offset + 1n) }
    const broken = files.snapshots.filter((endOffset) => !kept.snapshots.includes(endOffset))
    await removeFiles(disk, [...files.unfinished, ...broken.map(snapshotPath), ...unusedSegments.map(segmentPath)])
    await removeFiles(disk, superfluousFiles(kept))
  } catch (error) {
    await file.close()
    throw error
  }
  return { ...scanned, file, directoryId: stored.directoryId }
}

/** The newest snapshot that is whole, or the beginning. */
async function newestSnapshot({ disk, logger }: MetadataEnvironment, { snapshots }: MetadataFiles): Promise<ScanStart> {
  for (const endOffset of snapshots.toReversed()) {
    const loaded = await loadSnapshot(disk, endOffset)
    if (loaded) return loaded
    logger.warn({ path: snapshotPath(endOffset) }, 'a metadata snapshot is damaged; going back to an older one')
  }
  return { image: emptyImage, lastTimestampMs: -1n }
}

async function removeFiles(disk: Disk, paths: readonly string[]): Promise<void> {
  for (const path of paths) await disk.remove(path)
}

function logMissing(disk: Disk): MetadataError {
  return new MetadataError(
    'INCOMPLETE',
    `${disk.root} has ${metaPropertiesPath}, but its log in ${metadataDirectory} is empty or missing`,
  )
}

/**
 * Writes the first batch and then `meta.properties`, which says that the directory is formatted: after a crash in
 * between, the next start formats again.
 */
async function format(environment: MetadataEnvironment, options: MetadataLogOptions): Promise<Opened> {
  const { disk, clock } = environment
  const { nodeId, clusterId = environment.random.uuid() } = options
  await refuseIfInUse(disk)
  const records = [
    metadataVersionRecord(),
    record(ClusterIdentity, { clusterId }),
    record(ProducerIdSpace, { high: 1 + environment.random.below(0x7fff_ffff) }),
  ]
  const values = records.map(encodeMetadataRecord)
  const nowMs = clock.nowMs()
  const batch = batchOf(values, { baseOffset: 0n, nowMs })
  const file = await disk.open(metadataLogPath, { create: true })
  try {
    await file.truncate(0)
    await file.write(0, [batch])
    await file.sync()
    await disk.syncDirectory(metadataDirectory)
    await disk.syncDirectory('.')
    const directoryId = environment.random.uuid()
    await storeMetaProperties(disk, { clusterId, nodeId, directoryId })
    const sizeBytes = batch.length
    const image = imageAfter(emptyImage, values)
    return { image, file, sizeBytes, replayedBytes: sizeBytes, lastTimestampMs: BigInt(nowMs), directoryId }
  } catch (error) {
    await file.close()
    throw error
  }
}

/** A directory without meta.properties may hold what a first start left, and no more. */
async function refuseIfInUse(disk: Disk): Promise<void> {
  const { segments, snapshots } = await listMetadataFiles(disk)
  let isInUse = snapshots.length > 0 || segments.some((baseOffset) => baseOffset > 0n)
  if (!isInUse && segments.length > 0) {
    const { image } = await scanLog(disk, segments, { image: emptyImage, lastTimestampMs: -1n })
    isInUse = image.topics.size > 0 || image.links.size > 0
  }
  if (isInUse)
    throw new MetadataError('INCOMPLETE', `${disk.root} has a metadata log with topics, but no ${metaPropertiesPath}`)
}

/**
 * Replays what a restart would read, so that the image is the same before and after it: defaults are filled in by
 * decoding.
 */
function imageAfter(previous: MetadataImage, values: readonly Uint8Array[]): MetadataImage {
  const builder = new ImageBuilder(previous)
  for (const value of values) builder.replay(decodeMetadataRecord(value))
  return builder.finish(previous.offset + BigInt(values.length))
}

function batchOf(
  values: readonly Uint8Array[],
  { baseOffset, nowMs }: { readonly baseOffset: bigint; readonly nowMs: number },
): Uint8Array {
  assert(values.length > 0)
  return buildBatch({
    baseOffset,
    leaderEpoch: metadataLeaderEpoch,
    baseTimestampMs: BigInt(nowMs),
    records: values.map((value) => ({ key: null, value })),
  })
}

/** Every replica of a partition lies in this data directory; callers need not know its id. */
function withDirectories(item: MetadataRecord, directoryId: Uuid): MetadataRecord {
  if (item.type !== PartitionRecord) return item
  const value = item.value as RecordOf<typeof PartitionRecord>
  if (value.directories?.length === value.replicas.length) return item
  return { type: item.type, value: { ...value, directories: value.replicas.map(() => directoryId) } }
}
