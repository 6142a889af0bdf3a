/**
 * The embedded engine behind `LogStore`: one folder of segment files per partition, in Kafka's own format, on a Disk.
 *
 * In the data directory: `<topic>-<partition>/` per partition, Kafka's checkpoints of log starts and recovery points,
 * and `.kafka_cleanshutdown` while the store is closed. A deleted partition is `<topic>-<partition>.<id>-delete` until
 * its files are gone.
 */
import { strict as assert } from 'node:assert'
import { CleanerRounds } from './cleaner-rounds.ts'
import type { CleanerParts } from './cleaner.ts'
import { DeletedFolders } from './deleted-folders.ts'
import { DirectoryCheckpoints, joined } from './directory-checkpoints.ts'
import { DiskError, type Disk } from './disk.ts'
import { PartitionLog } from './log.ts'
import {
  abortMarkers,
  beginPromotion,
  deleteBefore,
  openTransactionsOf,
  raiseLeaderEpoch,
  startAt,
  truncateTo,
  type PromoteDecision,
} from './log-operations.ts'
import { availableBytes, findByTime, findMaxTimestamp, readLog, unusable, type LogReadLimit } from './log-reader.ts'
import { LogState } from './log-state.ts'
import type {
  ActiveProducer,
  AppendEntry,
  AppendOptions,
  AppendResult,
  CleaningReport,
  CleanOptions,
  EpochEnd,
  Fence,
  HousekeepingReport,
  LogConfig,
  LogHandle,
  LogId,
  LogStore,
  LogView,
  OffsetAndEpoch,
  OpenTransaction,
  Promoted,
  ReadOptions,
  ReadRequest,
  ReadResult,
  Result,
  StorageCode,
  Subscription,
  TopicSpec,
  WakeCause,
} from './log-store.ts'
import { checkFiles, flushDueLogs, flushLog, housekeepLogs } from './housekeeping.ts'
import { EarlySyncs } from './early-syncs.ts'
import { OpenFiles } from './open-files.ts'
import { failure, failureOf, StorageError } from './outcome.ts'
import { BlockPool } from './block-pool.ts'
import { deletedFolder, recover, type Loss } from './recovery.ts'
import { TailBudget, TailCache } from './tail-cache.ts'

const cleanShutdownName = '.kafka_cleanshutdown'
/** The metadata log lies in the same directory and looks after itself. */
const metadataLogName = '__cluster_metadata-0'
const cleanedName = 'cleaner-offset-checkpoint'
const defaultMaxOpenFiles = 4096
const defaultTailBytes = 64 * 1024 * 1024
const defaultTailBytesPerLog = 8 * 1024 * 1024
const defaultUnsyncedLimitBytes = 64 * 1024 * 1024
const defaultUnusedReadBytes = 64 * 1024 * 1024
const defaultProducerExpirationMs = 86_400_000n
/** So many partitions are opened at the same time. */
const openingAtOnce = 64

/** What is left of a limit below this share is not worth to read files that may have no batch so small. */
const restShare = 1 / 16

/** A read that fails with one of these may have met a file that somebody removed or cut. */
const mayHaveLostFiles: ReadonlySet<string> = new Set<StorageCode>(['CORRUPT_BATCH', 'STORAGE_FAILED'])

export interface SegmentLogStoreOptions {
  readonly disk: Disk
  /** The data directory within the disk. Default: its root. */
  readonly directory?: string
  /** What the tails of all logs may hold in memory, and each of them. */
  readonly tailBudget?: TailBudget
  readonly tailBytesPerLog?: number
  /** The memory that reads of files go into. */
  readonly blocks?: BlockPool
  /** Sync before every answer, whatever the topics say. */
  readonly durable?: boolean
  /** So many files of segments may be open at the same time. Default: 4096. */
  readonly maxOpenFiles?: number
  /** So many bytes of a partition may be written before they are synced in the background. Default: 64 MiB. */
  readonly unsyncedLimitBytes?: number
  /** `producer.id.expiration.ms` */
  readonly producerExpirationMs?: bigint
  /** What compaction works with. Without it no log is compacted. */
  readonly cleaner?: CleanerParts
  /** Told once per log that lost something when it was opened. */
  readonly onLoss?: (loss: Loss) => void
  /** Told once per log that goes offline until a restart, and why. */
  readonly onOffline?: (offline: { readonly label: string; readonly reason: string }) => void
}

/** By topic id and partition. */
type Logs = Map<string, Map<number, PartitionLog>>

export class SegmentLogStore implements LogStore {
  /** The last stop was not clean: leader epochs must rise before logs of our own are written again. */
  readonly wasUnclean: boolean
  readonly #disk: Disk
  readonly #directory: string
  readonly #options: SegmentLogStoreOptions
  readonly #tailBudget: TailBudget
  readonly #blocks: BlockPool
  readonly #checkpoints: DirectoryCheckpoints
  readonly #files: OpenFiles
  readonly #deleted: DeletedFolders
  readonly #logs: Logs
  readonly #cleaner: CleanerRounds
  readonly #earlySyncs = new EarlySyncs()
  readonly #promoted = new Map<PartitionLog, { readonly id: string; readonly result: Promoted }>()
  #creating: Promise<unknown> = Promise.resolve()
  #isClosed = false

  private constructor(
    options: SegmentLogStoreOptions,
    found: {
      readonly wasUnclean: boolean
      readonly checkpoints: DirectoryCheckpoints
      readonly logs: Logs
      readonly cleaner: CleanerRounds
    },
  ) {
    this.#options = options
    this.#disk = options.disk
    this.#deleted = new DeletedFolders(options.disk)
    this.#directory = options.directory ?? ''
    this.#tailBudget = options.tailBudget ?? new TailBudget(defaultTailBytes)
    this.#blocks = options.blocks ?? new BlockPool({ limitBytes: defaultUnusedReadBytes })
    this.wasUnclean = found.wasUnclean
    this.#checkpoints = found.checkpoints
    this.#logs = found.logs
    this.#files = new OpenFiles(options.maxOpenFiles ?? defaultMaxOpenFiles)
    this.#cleaner = found.cleaner
  }

  /** Opens the directory. Logs open with `create`. The caller holds the disk's lock. */
  static async open(options: SegmentLogStoreOptions): Promise<SegmentLogStore> {
    const { disk, directory = '' } = options
    await disk.makeDirectory(directory)
    const entries = await disk.list(directory)
    const names = entries.filter((entry) => entry.isDirectory).map((entry) => entry.name)
    const deleted = names.filter((name) => name.endsWith('-delete'))
    if (deleted.length > 0) await disk.syncDirectory(directory) // a power cut must not bring a part of one back
    for (const name of deleted) await disk.remove(joined(directory, name))
    const isClean = entries.some((entry) => entry.name === cleanShutdownName)
    const hasLogs = names.some((name) => /-\d+$/.test(name) && name !== metadataLogName)
    if (isClean) {
      await disk.remove(joined(directory, cleanShutdownName))
      await disk.syncDirectory(directory)
    }
    const logs: Logs = new Map()
    const checkpoints = await DirectoryCheckpoints.load(disk, directory, () => allOf(logs))
    const cleaner = await CleanerRounds.open(disk, joined(directory, cleanedName))
    return new SegmentLogStore(options, { wasUnclean: hasLogs && !isClean, checkpoints, logs, cleaner })
  }

  find(id: LogId): LogHandle | undefined {
    return this.#logs.get(id.topicId)?.get(id.partitionIndex)
  }

  append(entries: readonly AppendEntry[], options: AppendOptions): Promise<readonly AppendResult[]> {
    if (this.#isClosed) return Promise.resolve(entries.map(() => closed))
    const durable = options.durable ?? this.#options.durable ?? false
    const all = { nowMs: options.nowMs, durable }
    return new Promise((resolve) => {
      const results: AppendResult[] = []
      let waiting = entries.length
      if (waiting === 0) resolve(results)
      entries.forEach((entry, index) =>
        logOf(entry.log).enqueue(entry, all, (result) => {
          results[index] = result
          waiting -= 1
          if (waiting === 0) resolve(results)
        }),
      )
    })
  }

  async read(requests: readonly ReadRequest[], options: ReadOptions): Promise<readonly ReadResult[]> {
    const results: ReadResult[] = []
    let { maxBytes, minOneBatch } = options
    while (results.length < requests.length) {
      const run = minOneBatch ? [requests[results.length]!] : nextRun(requests, results.length, maxBytes)
      const isFromMemory = !minOneBatch && maxBytes < options.maxBytes * restShare
      const limit = { maxBytes, minOneBatch, isFromMemory, isFromFiles: options.isFromFiles === true }
      for (const result of await Promise.all(run.map((request) => this.#readOne(request, limit)))) {
        results.push(result)
        if (!result.ok || result.chunks.length === 0) continue
        for (const chunk of result.chunks) maxBytes -= chunk.length
        minOneBatch = false
      }
    }
    return results
  }

  async #readOne(request: ReadRequest, limit: LogReadLimit): Promise<ReadResult> {
    const own = { ...limit, maxBytes: Math.min(limit.maxBytes, request.maxBytes) }
    const result = await readLog(logOf(request.log).state, request, own)
    if (!result.ok && mayHaveLostFiles.has(result.code)) await checkFiles(logOf(request.log), { all: true })
    return result
  }

  subscribe(logs: readonly LogHandle[], listener: (log: LogHandle, cause: WakeCause) => void): Subscription {
    // A function of its own, so that two subscriptions of one listener don't end together.
    const mine = (log: LogHandle, cause: WakeCause) => listener(log, cause)
    for (const log of logs) logOf(log).listeners.add(mine)
    return {
      close() {
        for (const log of logs) logOf(log).listeners.delete(mine)
      },
    }
  }

  view(log: LogHandle): LogView {
    const { state } = logOf(log)
    assert(state.status !== 'dropped', `${state.label} was deleted`)
    return state.view()
  }

  availableBytes(log: LogHandle, offset: bigint, isolation: ReadRequest['isolation']): number {
    return availableBytes(logOf(log).state, offset, isolation)
  }

  sizeBytes(log: LogHandle): number {
    return logOf(log).state.sizeBytes
  }

  offsetForTime(log: LogHandle, timestampMs: bigint): Promise<Result<{ found: OffsetAndEpoch | undefined }>> {
    return this.#lookUp(log, (state) => findByTime(state, timestampMs))
  }

  maxTimestamp(log: LogHandle): Promise<Result<{ found: OffsetAndEpoch | undefined }>> {
    return this.#lookUp(log, findMaxTimestamp)
  }

  endOffsetForEpoch(log: LogHandle, leaderEpoch: number): Promise<Result<EpochEnd>> {
    const { state } = logOf(log)
    const refused = unusable(state)
    return Promise.resolve(refused ?? { ok: true, ...state.epochs.endOf(leaderEpoch, state.highWatermark) })
  }

  epochAt(log: LogHandle, offset: bigint): number {
    return logOf(log).state.epochs.at(offset)
  }

  deleteBefore(log: LogHandle, offset: bigint, fence?: Fence): Promise<Result<LogView>> {
    const mine = logOf(log)
    return mine.exclusive(() => deleteBefore(mine, offset, () => this.#checkpoints.saveLogStarts()), fence)
  }

  startAt(log: LogHandle, offset: bigint, fence: Fence): Promise<Result<LogView>> {
    const mine = logOf(log)
    return mine.exclusive(async () => {
      await this.#cleaner.forget([mine])
      return startAt(mine, offset, this.#checkpoints)
    }, fence)
  }

  truncateTo(log: LogHandle, offset: bigint, fence: Fence): Promise<Result<LogView>> {
    const mine = logOf(log)
    return mine.exclusive(async () => {
      await this.#cleaner.cut(mine, offset)
      const view = await truncateTo(mine, offset, this.#checkpoints)
      await this.#cleaner.cut(mine, view.logEndOffset)
      return view
    }, fence)
  }

  raiseLeaderEpoch(log: LogHandle, atLeast: number, fence?: Fence): Promise<Result<LogView>> {
    const mine = logOf(log)
    return mine.exclusive(() => raiseLeaderEpoch(mine, atLeast), fence)
  }

  openTransactions(log: LogHandle): readonly OpenTransaction[] {
    return openTransactionsOf(logOf(log).state)
  }

  activeProducers(log: LogHandle): readonly ActiveProducer[] {
    return Array.from(logOf(log).state.producers.producers, (entry) => ({
      producerId: entry.producerId,
      producerEpoch: entry.producerEpoch,
      coordinatorEpoch: entry.coordinatorEpoch,
      lastSequence: entry.batches.at(-1)?.lastSequence ?? -1,
      lastTimestampMs: entry.lastTimestampMs,
      currentTransactionStartOffset: entry.currentTransactionStartOffset,
    }))
  }

  fence(log: LogHandle, fence: Fence): void {
    logOf(log).fence(fence)
  }

  async promote(log: LogHandle, decision: PromoteDecision, fence: Fence): Promise<Result<Promoted>> {
    const mine = logOf(log)
    const before = this.#promoted.get(mine)
    if (before?.id === decision.id) return { ok: true, ...before.result }
    const begun = await mine.exclusive(() => beginPromotion(mine, decision), fence)
    if (!begun.ok) return begun
    for (const marker of await Promise.all(abortMarkers(mine, decision))) if (!marker.ok) return marker
    const { ok: _, ...promoted } = begun
    return mine.exclusive(async () => {
      await mine.sync.run()
      await mine.saveEpochs()
      mine.state.isMirror = false
      const result: Promoted = { ...promoted, logEndOffset: mine.state.highWatermark }
      this.#promoted.set(mine, { id: decision.id, result })
      return result
    }, fence)
  }

  /** Creations and deletions follow each other, so that a name that is taken again never meets its old folder. */
  create(topic: TopicSpec): Promise<Result> {
    return this.#isClosed ? Promise.resolve(closed) : this.#inTurn(() => this.#create(topic))
  }

  configure(topicId: string, config: LogConfig): void {
    for (const log of this.#logs.get(topicId)?.values() ?? []) log.state.config = config
  }

  async housekeep(nowMs: bigint): Promise<HousekeepingReport> {
    this.#blocks.trim()
    const report = await housekeepLogs(this.#allLogs(), {
      nowMs,
      producerExpirationMs: this.#options.producerExpirationMs ?? defaultProducerExpirationMs,
      saveLogStarts: () => this.#checkpoints.saveLogStarts(),
    })
    await this.#deleted.removeDue(nowMs)
    await this.#saveRecoveryPoints()
    return report
  }

  flushDue(nowMs: bigint): Promise<void> {
    return flushDueLogs(this.#allLogs(), nowMs)
  }

  async clean(options: CleanOptions): Promise<CleaningReport> {
    const { cleaner } = this.#options
    if (!cleaner) return { failures: [] }
    return this.#cleaner.clean(this.#allLogs(), { ...options, ...cleaner })
  }

  async flush(log?: LogHandle): Promise<Result> {
    const results = await Promise.all((log ? [logOf(log)] : this.#allLogs()).map((each) => flushLog(each)))
    return results.find((result) => !result.ok) ?? { ok: true }
  }

  drop(topicId: string): Promise<Result> {
    return this.#inTurn(() => this.#drop(topicId))
  }

  async close(): Promise<void> {
    this.#isClosed = true // what comes from here on would be behind the point that is noted
    await this.#creating
    await this.#cleaner.idle()
    const logs = this.#allLogs()
    await Promise.all(logs.map((log) => log.drain()))
    const online = logs.filter((log) => log.state.status === 'online')
    await Promise.all(online.map((log) => log.checkpoint.run()))
    const problems = online.flatMap(problemOfStop)
    const isClean = problems.length === 0 && online.length === logs.length
    if (isClean) problems.push(...(await problemOf(() => this.#saveCheckpoints())))
    for (const log of logs) {
      log.state.status = 'offline'
      log.state.offlineReason = 'the store is closed'
      log.state.tail.clear()
      for (const segment of log.state.segments) problems.push(...(await problemOf(() => segment.retire('close'))))
    }
    await this.#files.settled()
    if (isClean && problems.length === 0) problems.push(...(await problemOf(() => this.#markClean())))
    if (problems.length === 0) return
    const others = problems.length > 1 ? ` (and ${problems.length - 1} more)` : ''
    throw new StorageError('STORAGE_FAILED', `the logs did not stop cleanly: ${problems[0]}${others}`)
  }

  async #saveCheckpoints(): Promise<void> {
    await this.#checkpoints.saveRecoveryPoints()
    await this.#checkpoints.saveLogStarts()
  }

  async #markClean(): Promise<void> {
    const content = new TextEncoder().encode('{"version":0,"brokerEpoch":-1}')
    await this.#disk.replaceFile(joined(this.#directory, cleanShutdownName), content)
  }

  #reportOffline(log: PartitionLog): void {
    log.listeners.add((_, cause) => {
      if (cause === 'offline') this.#options.onOffline?.({ label: log.label, reason: log.state.offlineReason })
    })
  }

  #allLogs(): PartitionLog[] {
    return allOf(this.#logs)
  }

  async #lookUp(
    log: LogHandle,
    work: (state: LogState) => Promise<OffsetAndEpoch | undefined>,
  ): Promise<Result<{ found: OffsetAndEpoch | undefined }>> {
    const { state } = logOf(log)
    const refused = unusable(state)
    if (refused) return refused
    try {
      return { ok: true, found: await work(state) }
    } catch (error) {
      return unusable(state) ?? failureOf(error)
    }
  }

  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const mine = this.#creating.then(work)
    this.#creating = mine.catch(() => undefined)
    return mine
  }

  async #create(topic: TopicSpec): Promise<Result> {
    const open = this.#logs.get(topic.topicId) ?? new Map<number, PartitionLog>()
    try {
      for (let from = 0; from < topic.partitions.length; from += openingAtOnce) {
        const some = topic.partitions.slice(from, from + openingAtOnce)
        const logs = await Promise.all(some.map((partition) => this.#openLog(topic, partition, open)))
        for (const log of logs) {
          if (open.get(log.id.partitionIndex) !== log) this.#reportOffline(log)
          open.set(log.id.partitionIndex, log)
        }
      }
      await this.#disk.syncDirectory(this.#directory)
    } catch (error) {
      return failureOf(error)
    }
    this.#logs.set(topic.topicId, open)
    for (const log of open.values()) this.#checkpoints.forget(log.label)
    return { ok: true }
  }

  async #openLog(
    topic: TopicSpec,
    partition: { readonly partitionIndex: number; readonly leaderEpoch: number },
    open: ReadonlyMap<number, PartitionLog>,
  ): Promise<PartitionLog> {
    const { partitionIndex, leaderEpoch } = partition
    const known = open.get(partitionIndex)
    if (known) {
      if (leaderEpoch <= known.state.leaderEpoch) return known
      const raised = await known.exclusive(() => raiseLeaderEpoch(known, leaderEpoch))
      if (!raised.ok) throw new StorageError(raised.code, raised.message)
      return known
    }
    const state = new LogState({
      id: { topicId: topic.topicId, partitionIndex },
      topicName: topic.name,
      disk: this.#disk,
      folder: joined(this.#directory, `${topic.name}-${partitionIndex}`),
      config: topic.config,
      isMirror: topic.isMirror,
      tail: new TailCache(this.#tailBudget, this.#options.tailBytesPerLog ?? defaultTailBytesPerLog),
      files: this.#files,
      blocks: this.#blocks,
    })
    const loss = await recover(state, {
      isClean: !this.wasUnclean,
      logStartOffset: this.#checkpoints.logStartOf(state.label),
      recoveryPoint: this.#checkpoints.recoveryPointOf(state.label),
      leaderEpoch,
    })
    if (loss) this.#options.onLoss?.(loss)
    // That of a deleted topic of this name, or of an end that was damaged.
    await this.#checkpoints.lowerRecoveryPoint(state.label, state.highWatermark)
    const limitBytes = this.#options.unsyncedLimitBytes ?? defaultUnsyncedLimitBytes
    const log = new PartitionLog(state, { limitBytes, earlySyncs: this.#earlySyncs })
    await this.#cleaner.check(log)
    return log
  }

  async #drop(topicId: string): Promise<Result> {
    const logs = [...(this.#logs.get(topicId)?.values() ?? [])]
    this.#logs.delete(topicId)
    for (const log of logs) {
      log.state.status = 'dropped'
      log.state.generation += 1
      log.notify('dropped')
    }
    try {
      await this.#cleaner.forget(logs)
      for (const log of logs) await this.#putAside(log)
      // Before a file goes: what a power cut brings back under the old name must not be a part of the log.
      if (logs.length > 0) await this.#disk.syncDirectory(this.#directory)
      for (const { state } of logs) await this.#deleted.add(folderAside(state), state.config.fileDeleteDelayMs)
      await this.#checkpoints.saveLogStarts()
      return { ok: true }
    } catch (error) {
      return failureOf(error)
    }
  }

  /** The folder loses its name at once, and its files after `file.delete.delay.ms`. */
  async #putAside(log: PartitionLog): Promise<void> {
    const { state } = log
    await log.drain()
    await log.checkpoint.settled()
    state.tail.clear()
    this.#promoted.delete(log)
    await this.#disk.rename(state.folder, folderAside(state))
    for (const segment of state.segments) await segment.retire('close')
  }

  /**
   * Without room for it, or on a disk that fails, the checkpoint stays as it is: opening the store then takes longer.
   */
  async #saveRecoveryPoints(): Promise<void> {
    try {
      await this.#checkpoints.saveRecoveryPoints()
    } catch (error) {
      if (!(error instanceof DiskError)) throw error
    }
  }
}

function folderAside({ folder, id }: LogState): string {
  return deletedFolder(folder, id.topicId)
}

const closed = failure('LOG_OFFLINE', 'the store is closed')

/** Why a log that was online does not count as stopped cleanly, in words; nothing where it does. */
function problemOfStop({ label, state, checkpoint }: PartitionLog): string[] {
  if (state.status !== 'online') {
    return [
      `${label} could not be synced, so that a power cut may take what came since its last sync: ${state.offlineReason}`,
    ]
  }
  return checkpoint.isDue ? [`no room to note where ${label} ends, so that the next start reads its end again`] : []
}

async function problemOf(work: () => Promise<void>): Promise<string[]> {
  try {
    await work()
    return []
  } catch (error) {
    return [failureOf(error).message]
  }
}

/**
 * The requests from `from` on that together stay within the limit, however much they find, and so can be read at once.
 */
function nextRun(requests: readonly ReadRequest[], from: number, limitBytes: number): readonly ReadRequest[] {
  let until = from + 1
  let mostBytes = requests[from]!.maxBytes
  while (until < requests.length && mostBytes + requests[until]!.maxBytes <= limitBytes) {
    mostBytes += requests[until]!.maxBytes
    until += 1
  }
  return requests.slice(from, until)
}

function allOf(logs: Logs): PartitionLog[] {
  return [...logs.values()].flatMap((partitions) => [...partitions.values()])
}

function logOf(handle: LogHandle): PartitionLog {
  assert(handle instanceof PartitionLog, 'a handle of this engine')
  return handle
}
