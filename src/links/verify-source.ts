import { errorCodes, errorNameOf, isRetriable } from '../../protocol/errors.ts'
import { lastOffsetOf } from '../../protocol/records/batch.ts'
import { zeroUuid } from '../../protocol/schema.ts'
import type {
  FetchedPartition,
  RemoteFailure,
  RemoteFetchSession,
  RemotePartition,
  RemoteResult,
  RemoteTopic,
} from '../remote/remote.ts'
import {
  type ChunkReader,
  type ChunkResult,
  type Failed,
  failed,
  reserveForVerify,
  type VerifyJob,
} from './verify-parts.ts'
import { readBatches } from './received-batches.ts'
import { nextOffsetOf } from './verify-mirror-log.ts'

export interface SourceBounds {
  readonly logStartOffset: bigint
  readonly highWatermark: bigint
}

const retryDelayMs = { first: 100, most: 2_000 }
/** A batch that did not come whole is asked for with room for twice as much, up to this. */
const largestChunkBytes = 1_073_741_824
const earliestTimestamp = -2n
const latestTimestamp = -1n

/** How often and since when the same thing was tried without progress. */
class Attempts {
  readonly #job: VerifyJob
  readonly #sinceMs: number
  count = 0

  constructor(job: VerifyJob) {
    this.#job = job
    this.#sinceMs = job.parts.clock.monotonicMs()
  }

  get elapsedMs(): number {
    return this.#job.parts.clock.monotonicMs() - this.#sinceMs
  }

  get isStalled(): boolean {
    return this.elapsedMs >= this.#job.limits.stalledMs
  }

  /** Waits longer each time. */
  async wait(signal: AbortSignal): Promise<void> {
    const delayMs = Math.min(retryDelayMs.first * 2 ** this.count, retryDelayMs.most)
    this.count += 1
    await this.#job.parts.clock.sleep(delayMs, signal)
  }
}

/** The source topic of a verification: is it still the one that was mirrored, and what does it hold? */
export class VerifySource {
  readonly #job: VerifyJob
  readonly #sessions = new Map<number, RemoteFetchSession>()
  #topic: RemoteTopic | undefined

  constructor(job: VerifyJob) {
    this.#job = job
  }

  /** Asks the source for the topic afresh, until it is there and has the pinned id, or until that is hopeless. */
  async refresh(signal: AbortSignal): Promise<RemoteTopic | Failed> {
    const { remote } = this.#job.parts
    const { sourceTopicName } = this.#job.task
    const attempts = new Attempts(this.#job)
    for (;;) {
      if (signal.aborted) return stopped()
      const result = await remote.refresh([sourceTopicName], signal)
      let problem: string
      if (result.ok) {
        const topic = result.metadata.topics.get(sourceTopicName)
        if (topic && topic.errorCode === 0) {
          this.#topic = topic
          return this.#identityFailure(topic) ?? topic
        }
        const code = topic?.errorCode ?? errorCodes.UNKNOWN_TOPIC_OR_PARTITION
        problem = topicProblem(sourceTopicName, code)
        const isDenied = code === errorCodes.UNKNOWN_TOPIC_OR_PARTITION
        if (!isRetriable(code) || (isDenied && attempts.elapsedMs >= this.#job.limits.believedMs)) {
          return failed('source', problem)
        }
      } else {
        problem = `the source can't be asked: ${result.message}`
        if (!result.retriable) return failed('source', problem)
      }
      if (attempts.isStalled) return failed('source', problem)
      await attempts.wait(signal)
    }
  }

  /** The log start and the high watermark of every partition of the topic. */
  async bounds(signal: AbortSignal): Promise<ReadonlyMap<number, SourceBounds | Failed> | Failed> {
    const topic = await this.refresh(signal)
    if ('kind' in topic) return topic
    const bounds = new Map<number, SourceBounds | Failed>()
    for (const { partitionIndex } of this.#job.task.partitions) {
      if (!topic.partitions.some((partition) => partition.partitionIndex === partitionIndex)) {
        const message = `the source topic has ${topic.partitions.length} partitions, expected one with index ${partitionIndex}`
        bounds.set(partitionIndex, failed('partition', message))
      }
    }
    const starts = await this.#offsets(earliestTimestamp, signal)
    if ('kind' in starts) return starts
    const ends = await this.#offsets(latestTimestamp, signal)
    if ('kind' in ends) return ends
    for (const { partitionIndex } of this.#job.task.partitions) {
      if (bounds.has(partitionIndex)) continue
      const logStartOffset = starts.get(partitionIndex)
      const highWatermark = ends.get(partitionIndex)
      bounds.set(
        partitionIndex,
        typeof logStartOffset === 'bigint' && typeof highWatermark === 'bigint'
          ? { logStartOffset, highWatermark }
          : failed('partition', `the source does not tell its offsets: ${String(logStartOffset ?? highWatermark)}`),
      )
    }
    return bounds
  }

  /** The log start of one partition as of now. */
  async boundsOf(partitionIndex: number, signal: AbortSignal): Promise<SourceBounds | Failed> {
    const bounds = await this.bounds(signal)
    if ('kind' in bounds) return bounds
    return bounds.get(partitionIndex) ?? failed('partition', 'the source does not tell its offsets')
  }

  leaderEpochOf(partitionIndex: number): number {
    return this.#partition(partitionIndex)?.leaderEpoch ?? -1
  }

  reader(partitionIndex: number): ChunkReader {
    return new SourceReader(this.#job, this, partitionIndex)
  }

  /** One fetch of one partition, at its leader. Undefined: the source had no news. */
  async fetch(
    position: { partitionIndex: number; fetchOffset: bigint; lastFetchedEpoch: number; maxBytes: number },
    signal: AbortSignal,
  ): Promise<RemoteResult<{ partition: FetchedPartition | undefined }>> {
    const { remote } = this.#job.parts
    const { sourceTopicName, sourceTopicId } = this.#job.task
    const known = this.#partition(position.partitionIndex)
    if (!known || known.leader < 0) return noLeader(sourceTopicName, position.partitionIndex)
    let session = this.#sessions.get(known.leader)
    if (!session) this.#sessions.set(known.leader, (session = remote.openFetchSession(known.leader)))
    const topicId = sourceTopicId === zeroUuid ? (this.#topic?.topicId ?? zeroUuid) : sourceTopicId
    const asked = { topicName: sourceTopicName, topicId, currentLeaderEpoch: known.leaderEpoch, ...position }
    const options = { maxWaitMs: 500, minBytes: 1, maxBytes: position.maxBytes, signal }
    const result = await session.fetch([asked], options)
    if (!result.ok) return result
    const partition = result.partitions.find(
      (one) => one.partitionIndex === position.partitionIndex && one.topicName === sourceTopicName,
    )
    return { ok: true, partition }
  }

  close(): void {
    for (const session of this.#sessions.values()) session.close()
    this.#sessions.clear()
  }

  #partition(partitionIndex: number): RemotePartition | undefined {
    return this.#topic?.partitions.find((one) => one.partitionIndex === partitionIndex)
  }

  #identityFailure(topic: RemoteTopic): Failed | undefined {
    const { sourceTopicId, sourceTopicName } = this.#job.task
    if (sourceTopicId === zeroUuid || topic.topicId === zeroUuid || topic.topicId === sourceTopicId) return undefined
    const ids = `got topic id ${topic.topicId}, expected ${sourceTopicId}`
    return failed('source', `the source topic ${sourceTopicName} was recreated: ${ids}`)
  }

  /** Per partition its offset, or what is wrong with it. Asked again as long as an error may pass. */
  async #offsets(timestampMs: bigint, signal: AbortSignal): Promise<ReadonlyMap<number, bigint | string> | Failed> {
    const attempts = new Attempts(this.#job)
    for (;;) {
      const topic = attempts.count === 0 && this.#topic ? this.#topic : await this.refresh(signal)
      if ('kind' in topic) return topic
      const result = await this.#job.parts.remote.listOffsets(topic, timestampMs, signal)
      if (signal.aborted) return stopped()
      if (!result.ok && (!result.retriable || attempts.isStalled)) {
        return failed('source', `the source can't be asked: ${result.message}`)
      }
      if (result.ok) {
        const answers = [...result.offsets].map(([index, { offset, errorCode }]) => ({ index, offset, errorCode }))
        if (attempts.isStalled || !answers.some(({ errorCode }) => errorCode !== 0 && isRetriable(errorCode))) {
          return new Map(
            answers.map((one) => [one.index, one.errorCode === 0 ? one.offset : errorNameOf(one.errorCode)]),
          )
        }
      }
      await attempts.wait(signal)
    }
  }
}

/** Reads one partition of the source, read_uncommitted, up to its high watermark. */
class SourceReader implements ChunkReader {
  readonly #job: VerifyJob
  readonly #source: VerifySource
  readonly #partitionIndex: number
  #chunkBytes: number
  #last: { readonly nextOffset: bigint; readonly leaderEpoch: number } | undefined

  constructor(job: VerifyJob, source: VerifySource, partitionIndex: number) {
    this.#job = job
    this.#source = source
    this.#partitionIndex = partitionIndex
    this.#chunkBytes = job.limits.chunkBytes
  }

  async read(offset: bigint, signal: AbortSignal): Promise<ChunkResult> {
    const attempts = new Attempts(this.#job)
    for (;;) {
      if (signal.aborted) return stopped()
      const result = await this.#attempt(offset, signal)
      if (result.kind !== 'again') return result
      if (result.isNothing && attempts.elapsedMs >= this.#job.limits.believedMs && attempts.count >= 3) {
        return { kind: 'end' }
      }
      if (attempts.isStalled) return failed(result.scope, result.message)
      if (!result.isHasty) await attempts.wait(signal)
      if (result.isNothing || result.isHasty) continue
      const topic = await this.#source.refresh(signal)
      if ('kind' in topic) return topic
    }
  }

  async #attempt(offset: bigint, signal: AbortSignal): Promise<ChunkResult | Again> {
    const { memory } = this.#job.parts
    const maxBytes = this.#chunkBytes
    const refused = await reserveForVerify(this.#job, maxBytes, signal)
    if (refused) return refused
    let heldBytes = maxBytes
    try {
      const lastFetchedEpoch = this.#last?.nextOffset === offset ? this.#last.leaderEpoch : -1
      const position = { partitionIndex: this.#partitionIndex, fetchOffset: offset, lastFetchedEpoch, maxBytes }
      const result = await this.#source.fetch(position, signal)
      if (!result.ok) {
        const message = `the source can't be read: ${result.message}`
        return result.retriable ? again(message) : failed('source', message)
      }
      const { partition } = result
      if (!partition) return { ...again('the source has nothing to read'), isNothing: true }
      if (partition.errorCode !== 0 || partition.diverging) return await this.#refused(partition, offset, signal)
      if (partition.records.length === 0) return this.#nothing(partition, offset)
      memory.change('link', partition.records.length - heldBytes)
      heldBytes = partition.records.length
      const chunk = this.#chunkOf(partition, offset)
      if (chunk.kind === 'chunk') heldBytes = 0 // counted for the taker from here on
      return chunk
    } finally {
      memory.release('link', heldBytes)
    }
  }

  #chunkOf(partition: FetchedPartition, offset: bigint): ChunkResult | Again {
    const { batches, damage } = readBatches(partition.records)
    const first = batches.findIndex(({ header }) => lastOffsetOf(header) >= offset)
    if (first < 0 && damage === undefined) {
      if (batches.length > 0) return failed('partition', `the source does not get beyond offset ${offset}`)
      if (this.#chunkBytes >= largestChunkBytes)
        return failed('partition', `the batch at ${offset} does not come whole`)
      this.#chunkBytes = Math.min(this.#chunkBytes * 2, largestChunkBytes)
      return { ...again(`the batch at offset ${offset} is larger than ${this.#chunkBytes} bytes`), isHasty: true }
    }
    const wanted = first < 0 ? [] : batches.slice(first)
    const nextOffset = nextOffsetOf(wanted, offset)
    const last = wanted.at(-1)
    this.#last = last && { nextOffset, leaderEpoch: last.header.partitionLeaderEpoch }
    return { kind: 'chunk', batches: wanted, reservedBytes: partition.records.length, nextOffset, damage }
  }

  /** No error and no records: the source holds them back (a quota), or has none from here on. */
  #nothing(partition: FetchedPartition, offset: bigint): Again {
    const isBelow = partition.highWatermark <= offset
    const message = `the source has nothing from offset ${offset} on, its high watermark is ${partition.highWatermark}`
    return { ...again(message), isNothing: !isBelow, scope: 'partition' }
  }

  async #refused(partition: FetchedPartition, offset: bigint, signal: AbortSignal): Promise<ChunkResult | Again> {
    const { errorCode, diverging } = partition
    if (diverging) {
      const { leaderEpoch, endOffset } = diverging
      const where = `its history parts from what was read at offset ${endOffset} of leader epoch ${leaderEpoch}`
      return failed('partition', `the source was truncated while it was compared: ${where}`)
    }
    if (errorCode === errorCodes.OFFSET_OUT_OF_RANGE) {
      const bounds = await this.#source.boundsOf(this.#partitionIndex, signal)
      if ('kind' in bounds) return bounds
      if (offset < bounds.logStartOffset) return { kind: 'moved', logStartOffset: bounds.logStartOffset }
      const end = `it ends at ${bounds.highWatermark}, got ${offset}`
      if (offset > bounds.highWatermark) return failed('partition', `the source was truncated: ${end}`)
      return again(`the source refuses offset ${offset}`)
    }
    const message = `the source can't be read: it answers ${errorNameOf(errorCode)}`
    return isRetriable(errorCode) ? again(message) : failed('partition', message)
  }
}

/** Worth another attempt, after a fresh look at the topic. */
interface Again {
  readonly kind: 'again'
  readonly scope: Failed['scope']
  readonly message: string
  /** It was an answer without error and without records. */
  readonly isNothing: boolean
  /** Without waiting and without asking for the topic. */
  readonly isHasty: boolean
}

function again(message: string): Again {
  return { kind: 'again', scope: 'source', message, isNothing: false, isHasty: false }
}

function stopped(): Failed {
  return failed('source', 'the verification was stopped')
}

function topicProblem(topicName: string, errorCode: number): string {
  if (errorCode === errorCodes.UNKNOWN_TOPIC_OR_PARTITION) {
    return `the source does not have the topic ${topicName}: it may have been deleted`
  }
  return `the source answers ${errorNameOf(errorCode)} for the topic ${topicName}`
}

function noLeader(topicName: string, partitionIndex: number): RemoteFailure {
  const message = `partition ${partitionIndex} of ${topicName} has no leader`
  return { ok: false, code: 'UNKNOWN_BROKER', retriable: true, message }
}
