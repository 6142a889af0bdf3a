/**
 * The embedded metadata store: one log of record batches, `__cluster_metadata-0/00000000000000000000.log`, in the format of
 * Kafka's KRaft log, so that Kafka's dump tool reads it. `docs/storage-format.md` has the table of records.
 *
 * One change is one batch, written and synced before the next begins. A crash between any two disk calls leaves either the old
 * or the new image: a torn batch was never acknowledged and is cut off when the log is opened.
 */
import assert from 'node:assert/strict'
import { buildBatch } from '../../protocol/records/build.ts'
import type { RecordOf, Uuid } from '../../protocol/schema.ts'
import { FeatureLevelRecord, PartitionRecord } from '../../protocol/state/metadata-records.ts'
import { metadataVersionFeature, metadataVersionLevel } from '../../protocol/state/metadata-version.ts'
import { ClusterIdentity, ProducerIdSpace } from '../../protocol/state/mirror-records.ts'
import { DiskError, type DiskFile } from '../../storage/disk.ts'
import type { Environment } from '../environment/environment.ts'
import { emptyImage, ImageBuilder } from './image.ts'
import { scanLog, type ScannedLog } from './log-scan.ts'
import { loadMetaProperties, metaPropertiesPath, storeMetaProperties } from './meta-properties.ts'
import { MetadataError } from './metadata-error.ts'
import {
  record,
  type MetadataImage,
  type MetadataRecord,
  type MetadataResult,
  type MetadataStore,
} from './metadata-store.ts'
import { decodeMetadataRecord, encodeMetadataRecord } from './records.ts'

export const metadataDirectory = '__cluster_metadata-0'
export const metadataLogPath = `${metadataDirectory}/00000000000000000000.log`

/** There are no elections here: every batch is of this leader epoch. */
const metadataLeaderEpoch = 1

export type MetadataEnvironment = Pick<Environment, 'disk' | 'clock' | 'random' | 'logger'>

export interface MetadataLogOptions {
  readonly nodeId: number
  /** The id to format a new directory with, and to find in an old one. Default: random, or the one that is there. */
  readonly clusterId?: string | undefined
}

export class LogMetadataStore implements MetadataStore {
  readonly #environment: MetadataEnvironment
  readonly #file: DiskFile
  /** The id of this data directory, in every partition record. */
  readonly directoryId: Uuid
  #image: MetadataImage
  #sizeBytes: number
  /** Appends run one after the other, in the order of their calls. Never rejects. */
  #lastAppend: Promise<unknown> = Promise.resolve()
  readonly #listeners = new Set<(image: MetadataImage, previous: MetadataImage) => void>()
  #failure: string | undefined
  #isClosed = false

  private constructor(environment: MetadataEnvironment, file: DiskFile, opened: Opened) {
    this.#environment = environment
    this.#file = file
    this.directoryId = opened.directoryId
    this.#image = opened.image
    this.#sizeBytes = opened.sizeBytes
  }

  /**
   * Opens the log of the data directory, or formats an empty directory. What is in the image is durable when this resolves.
   *
   * @throws MetadataError when the directory is not this node's or not intact; DiskError.
   */
  static async open(environment: MetadataEnvironment, options: MetadataLogOptions): Promise<LogMetadataStore> {
    const { disk } = environment
    const stored = await loadMetaProperties(disk)
    if (stored) checkOwner(disk.root, stored, options)
    await disk.makeDirectory(metadataDirectory)
    const file = await disk.open(metadataLogPath, { create: true })
    try {
      const scanned = await scanLog(file)
      const opened = stored
        ? { ...(await recover(environment, file, scanned, stored.clusterId)), directoryId: stored.directoryId }
        : await format(environment, file, scanned, options)
      return new LogMetadataStore(environment, file, opened)
    } catch (error) {
      await file.close()
      throw error
    }
  }

  get image(): MetadataImage {
    return this.#image
  }

  append(
    records: readonly MetadataRecord[],
    options: { readonly expectedOffset?: bigint } = {},
  ): Promise<MetadataResult> {
    const result = this.#lastAppend.then(() => this.#append(records, options.expectedOffset))
    this.#lastAppend = result.catch(() => undefined)
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
    const batch = batchOf(values, { baseOffset: previous.offset + 1n, nowMs: this.#environment.clock.nowMs() })
    try {
      await this.#file.write(this.#sizeBytes, [batch])
      await this.#file.sync()
    } catch (error) {
      const failed = this.#fail(error)
      if (!(error instanceof DiskError)) throw error
      return failed
    }
    this.#sizeBytes += batch.length
    this.#image = image
    for (const listener of this.#listeners) listener(image, previous)
    return { ok: true, offset: image.offset }
  }

  /**
   * Whether the batch is on the disk is unknown now, and a sync that failed once must not be tried again: nothing more is
   * written until the log has been opened anew.
   */
  #fail(error: unknown): MetadataResult {
    const reason = error instanceof Error ? error.message : String(error)
    const code = error instanceof DiskError ? error.code : undefined
    this.#failure = `the metadata log failed and takes no changes until a restart: ${reason}`
    this.#environment.logger.error({ path: this.#file.path, code, reason }, 'metadata log failed')
    return { ok: false, code: 'FAILED', message: this.#failure }
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

interface Opened {
  readonly image: MetadataImage
  readonly sizeBytes: number
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

/** Cuts a torn end off, and makes the rest durable before anybody acts on it. */
async function recover(
  { disk, logger }: MetadataEnvironment,
  file: DiskFile,
  { image, sizeBytes, tornBytes }: ScannedLog,
  clusterId: string,
): Promise<Omit<Opened, 'directoryId'>> {
  if (sizeBytes === 0)
    throw new MetadataError(
      'INCOMPLETE',
      `${disk.root} has ${metaPropertiesPath}, but ${metadataLogPath} is empty or missing`,
    )
  if (image.clusterId !== clusterId)
    throw new MetadataError(
      'CLUSTER_ID_MISMATCH',
      `${disk.root}/${metaPropertiesPath} names cluster ${clusterId}, but its metadata log is of cluster ${image.clusterId}`,
    )
  if (tornBytes > 0) {
    logger.warn({ sizeBytes, tornBytes }, 'cut off the torn end of the metadata log')
    await file.truncate(sizeBytes)
  }
  await file.sync()
  return { image, sizeBytes }
}

/**
 * Writes the first batch and then `meta.properties`, which says that the directory is formatted: after a crash in between, the
 * next start formats again.
 */
async function format(
  { disk, clock, random }: MetadataEnvironment,
  file: DiskFile,
  found: ScannedLog,
  { nodeId, clusterId = random.uuid() }: MetadataLogOptions,
): Promise<Opened> {
  if (found.image.topics.size > 0 || found.image.links.size > 0)
    throw new MetadataError('INCOMPLETE', `${disk.root} has a metadata log with topics, but no ${metaPropertiesPath}`)
  const records = [
    record(FeatureLevelRecord, { name: metadataVersionFeature, featureLevel: metadataVersionLevel }),
    record(ClusterIdentity, { clusterId }),
    record(ProducerIdSpace, { high: 1 + random.below(0x7fff_ffff) }),
  ]
  const values = records.map(encodeMetadataRecord)
  const batch = batchOf(values, { baseOffset: 0n, nowMs: clock.nowMs() })
  await file.truncate(0)
  await file.write(0, [batch])
  await file.sync()
  await disk.syncDirectory(metadataDirectory)
  await disk.syncDirectory('.')
  const directoryId = random.uuid()
  await storeMetaProperties(disk, { clusterId, nodeId, directoryId })
  return { image: imageAfter(emptyImage, values), sizeBytes: batch.length, directoryId }
}

/** Replays what a restart would read, so that the image is the same before and after it: defaults are filled in by decoding. */
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
