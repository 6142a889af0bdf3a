/** Both sides of a verification as arrays of batches that a test can damage at will, also while they are read. */
import assert from 'node:assert/strict'
import { errorCodes } from '../../protocol/errors.ts'
import { lastOffsetOf, type BatchRef } from '../../protocol/records/batch.ts'
import { zeroUuid } from '../../protocol/schema.ts'
import type { LogHandle, LogStore, LogView, ReadRequest, ReadResult } from '../../storage/log-store.ts'
import type { Clock } from '../../src/environment/environment.ts'
import { silentLogger } from '../../src/environment/logger.ts'
import { SimulatedClock } from '../../src/environment/simulated-clock.ts'
import type { VerifyEvent } from '../../src/links/link-service.ts'
import { defaultVerifyLimits, type VerifyLimits, type VerifyTask } from '../../src/links/verify-parts.ts'
import { verifyMirror } from '../../src/links/verify.ts'
import { MemoryBudget } from '../../src/network/memory-budget.ts'
import type {
  FetchedPartition,
  FetchPosition,
  Remote,
  RemoteFailure,
  RemoteMetadata,
  RemoteResult,
} from '../../src/remote/remote.ts'
import { testBatch, type TestBatch, testTopicId } from './logs.ts'

export const sourceTopicName = 'orders'

/** A log as it lies there: in this order, whatever the offsets say. */
export class ScriptedLog {
  batches: BatchRef[]
  logStartOffset: bigint
  /** Undefined: behind the last batch. */
  endOffset: bigint | undefined

  constructor(batches: readonly BatchRef[] = [], logStartOffset?: bigint) {
    this.batches = [...batches]
    this.logStartOffset = logStartOffset ?? batches[0]?.header.baseOffset ?? 0n
  }

  get highWatermark(): bigint {
    if (this.endOffset !== undefined) return this.endOffset
    let end = this.logStartOffset
    for (const { header } of this.batches) {
      if (lastOffsetOf(header) >= end) end = lastOffsetOf(header) + 1n
    }
    return end
  }

  append(...batches: BatchRef[]): void {
    this.batches.push(...batches)
  }

  /** Removes batches as retention does. */
  startAt(offset: bigint): void {
    this.batches = this.batches.filter(({ header }) => lastOffsetOf(header) >= offset)
    this.logStartOffset = offset
  }

  read(offset: bigint, maxBytes: number): Uint8Array[] {
    const found: Uint8Array[] = []
    let sizeBytes = 0
    const first = this.batches.findIndex(({ header }) => lastOffsetOf(header) >= offset)
    for (const { bytes } of first < 0 ? [] : this.batches.slice(first)) {
      if (found.length > 0 && sizeBytes + bytes.length > maxBytes) break
      found.push(bytes)
      sizeBytes += bytes.length
    }
    return found
  }
}

export interface VerifyWorldOptions {
  readonly source?: readonly ScriptedLog[]
  readonly mirror?: readonly ScriptedLog[]
  readonly isCompacted?: boolean
  readonly endOffsets?: readonly (bigint | undefined)[]
  readonly limits?: Partial<VerifyLimits>
  readonly memory?: MemoryBudget
  readonly clock?: Clock
}

/** A mirror and its source. Tests change its fields, also from the hooks. */
export class VerifyWorld {
  readonly source: readonly ScriptedLog[]
  readonly mirror: readonly ScriptedLog[]
  readonly memory: MemoryBudget
  readonly clock: Clock
  readonly limits: VerifyLimits
  readonly #options: VerifyWorldOptions
  topicId = testTopicId()
  pinnedTopicId = testTopicId()
  sourceLeaderEpoch = 0
  mirrorLeaderEpoch = 0
  /** Every call fails so. */
  sourceFailure: RemoteFailure | undefined
  /** Error code of the topic in the metadata. */
  topicErrorCode = 0
  /** Answers of the next fetches: an error code, or undefined for a true answer. */
  fetchErrors: (number | undefined)[] = []
  onFetch: (fetches: number) => void = () => {}
  onRead: (reads: number) => void = () => {}
  /** Before each answer of the source. */
  onCall: () => void = () => {}
  /** Its logs were dropped. */
  isMirrorGone = false
  fetches = 0
  reads = 0

  constructor(options: VerifyWorldOptions = {}) {
    this.#options = options
    this.source = options.source ?? [new ScriptedLog()]
    this.mirror = options.mirror ?? this.source.map((log) => new ScriptedLog(log.batches, log.logStartOffset))
    this.memory = options.memory ?? new MemoryBudget()
    this.clock = options.clock ?? new SimulatedClock({ defer: (run) => void setImmediate(run) })
    this.limits = { ...defaultVerifyLimits, ...options.limits }
  }

  /** Runs the job to its end while simulated time passes, and checks what every job keeps. */
  async verify(signal = new AbortController().signal): Promise<{ result: VerifyResult; events: VerifyEvent[] }> {
    const events: VerifyEvent[] = []
    let isDone = false
    const run = (async (): Promise<void> => {
      const parts = {
        remote: this.#remote(),
        logs: this.#logs(),
        clock: this.clock,
        logger: silentLogger,
        memory: this.memory,
      }
      for await (const event of verifyMirror(parts, this.task, signal, this.limits)) events.push(event)
    })().finally(() => {
      isDone = true
    })
    if (this.clock instanceof SimulatedClock) while (!isDone) await this.clock.advance(10)
    await run
    const result = events.at(-1)
    assert(result?.kind === 'result', 'the last event is the result')
    assert.equal(events.filter(({ kind }) => kind === 'result').length, 1)
    assert.equal(this.memory.usedBytesOf('link'), 0, 'all memory is given back')
    return { result, events }
  }

  get task(): VerifyTask {
    return {
      sourceTopicName,
      sourceTopicId: this.pinnedTopicId,
      isCompacted: this.#options.isCompacted ?? false,
      partitions: this.mirror.map((_, partitionIndex) => ({
        partitionIndex,
        log: this.#handles[partitionIndex]!,
        endOffset: this.#options.endOffsets?.[partitionIndex],
      })),
    }
  }

  get #handles(): readonly LogHandle[] {
    this.handles ??= this.mirror.map((_, partitionIndex) => ({
      id: { topicId: testTopicId(2), partitionIndex },
      label: `${sourceTopicName}-${partitionIndex}`,
    }))
    return this.handles
  }
  private handles: readonly LogHandle[] | undefined

  #logs(): LogStore {
    const viewOf = (log: LogHandle): LogView => {
      const { logStartOffset, highWatermark } = this.mirror[log.id.partitionIndex]!
      const leaderEpoch = this.mirrorLeaderEpoch
      return {
        logStartOffset,
        highWatermark,
        logEndOffset: highWatermark,
        lastStableOffset: highWatermark,
        leaderEpoch,
      }
    }
    const read = (request: ReadRequest): ReadResult => {
      if (this.isMirrorGone) return { ok: false, code: 'UNKNOWN_LOG', retriable: true, message: 'it was dropped' }
      const view = viewOf(request.log)
      if (request.offset < view.logStartOffset || request.offset > view.highWatermark) {
        return { ok: false, code: 'OFFSET_OUT_OF_RANGE', retriable: false, message: 'out of range', view }
      }
      const chunks = this.mirror[request.log.id.partitionIndex]!.read(request.offset, request.maxBytes)
      return { ok: true, view, chunks, aborted: [] }
    }
    const fake: Partial<LogStore> = {
      find: ({ partitionIndex }) => (this.isMirrorGone ? undefined : this.#handles[partitionIndex]),
      view: viewOf,
      epochAt: (log, offset) =>
        this.mirror[log.id.partitionIndex]!.batches.find(({ header }) => lastOffsetOf(header) >= offset)?.header
          .partitionLeaderEpoch ?? -1,
      read: async (requests) => {
        await this.#turn()
        this.onRead(++this.reads)
        return requests.map(read)
      },
    }
    return fake as LogStore
  }

  #remote(): Remote {
    const guard = async <T extends object>(answer: () => T): Promise<RemoteResult<T>> => {
      await this.#turn()
      this.onCall()
      return this.sourceFailure ?? { ok: true, ...answer() }
    }
    const offsets = (timestampMs: bigint) =>
      new Map(
        this.source.map((log, index) => [
          index,
          { offset: timestampMs === -2n ? log.logStartOffset : log.highWatermark, errorCode: 0 },
        ]),
      )
    const fake: Partial<Remote> = {
      clusterId: 'source',
      refresh: () => guard(() => ({ metadata: this.#metadata() })),
      listOffsets: (_, timestampMs) => guard(() => ({ offsets: offsets(timestampMs) })),
      openFetchSession: () => ({
        fetch: ([position]) => {
          assert(position)
          this.onFetch(++this.fetches)
          return guard(() => ({ partitions: [this.#fetch(position)], version: 12 }))
        },
        restart() {},
        close() {},
      }),
    }
    return fake as Remote
  }

  #metadata(): RemoteMetadata {
    const topic = {
      name: sourceTopicName,
      topicId: this.topicId,
      errorCode: this.topicErrorCode,
      isInternal: false,
      partitions: this.source.map((_, partitionIndex) => ({
        partitionIndex,
        errorCode: 0,
        leader: 1,
        leaderEpoch: this.sourceLeaderEpoch,
      })),
    }
    return { clusterId: 'source', brokers: new Map(), topics: new Map([[sourceTopicName, topic]]) }
  }

  #fetch(position: FetchPosition): FetchedPartition {
    const log = this.source[position.partitionIndex]!
    const { topicName, topicId, partitionIndex, fetchOffset } = position
    const isOutside = fetchOffset < log.logStartOffset || fetchOffset > log.highWatermark
    const isOther = topicId !== zeroUuid && topicId !== this.topicId
    const errorCode =
      this.fetchErrors.shift() ??
      (isOther ? errorCodes.UNKNOWN_TOPIC_ID : isOutside ? errorCodes.OFFSET_OUT_OF_RANGE : 0)
    return {
      topicName,
      topicId,
      partitionIndex,
      errorCode,
      highWatermark: errorCode === 0 ? log.highWatermark : -1n,
      lastStableOffset: -1n,
      logStartOffset: errorCode === 0 ? log.logStartOffset : -1n,
      diverging: undefined,
      currentLeader: undefined,
      records: errorCode === 0 ? Buffer.concat(log.read(fetchOffset, position.maxBytes)) : new Uint8Array(),
    }
  }

  #turn(): Promise<void> {
    return new Promise((resolve) => this.clock.defer(resolve))
  }
}

export type VerifyResult = Extract<VerifyEvent, { kind: 'result' }>

/** Batches in a row, of ten records each, with leader epoch 3. */
export function batchesInARow(count: number, options: TestBatch & { readonly from?: bigint } = {}): BatchRef[] {
  const { from = 0n, ...batch } = options
  return Array.from({ length: count }, (_, index) => {
    const values = Array.from({ length: 10 }, (_unused, record) => `value ${index}/${record}`)
    return testBatch({ baseOffset: from + BigInt(index) * 10n, leaderEpoch: 3, values, ...batch })
  })
}
