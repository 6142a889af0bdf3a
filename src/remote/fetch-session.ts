/**
 * The fetches of one loop to one broker: a connection of their own, and an incremental fetch session (KIP-227) where
 * the broker has them. The session is only a saving: whenever something is odd, the next fetch names everything again.
 */
import { Fetch } from '../../protocol/apis/fetch.ts'
import { errorCodes, errorNameOf } from '../../protocol/errors.ts'
import { zeroUuid, type RequestInput, type ResponseOf } from '../../protocol/schema.ts'
import type { Clock } from '../environment/environment.ts'
import { abortable } from './abortable.ts'
import type { FrameBlocks } from './frame-blocks.ts'
import type { RemoteConnection } from './remote-connection.ts'
import { remoteFailure } from './remote-failure.ts'
import type {
  Fetched,
  FetchedPartition,
  FetchOptions,
  FetchPosition,
  RemoteFailure,
  RemoteFetchSession,
  RemoteResult,
} from './remote.ts'

const sessionsFromVersion = 7
const epochsFromVersion = 12
const idsFromVersion = 13
/** Outside of a session, or to begin one. */
const noSession = 0
const firstEpoch = 0
const sessionless = -1
const lastSessionEpoch = 0x7fffffff
const consumerReplicaId = -1
const readUncommitted = 0
/** A broker may ask to be left alone for so long at most. */
const throttleMaxMs = 30_000

export interface FetchSessionParts {
  readonly clock: Pick<Clock, 'sleep'>
  /** Memory for its answers. */
  readonly blocks: FrameBlocks
  /** Opens a connection for this session alone. */
  open(): Promise<RemoteResult<{ readonly connection: RemoteConnection }>>
}

type Response = ResponseOf<typeof Fetch>
type TopicRequest = RequestInput<typeof Fetch>['topics'][number]
type ForgottenRequest = RequestInput<typeof Fetch>['forgottenTopicsData'][number]

export class FetchSession implements RemoteFetchSession {
  readonly #parts: FetchSessionParts
  #connection: RemoteConnection | undefined
  #sessionId = noSession
  #sessionEpoch = firstEpoch
  /** The version that the session was begun with: from 13 on it knows topics by their ids. */
  #version = -1
  /** What the broker remembers of each partition. */
  #known = new Map<string, FetchPosition>()
  #throttleMs = 0
  #isClosed = false

  constructor(parts: FetchSessionParts) {
    this.#parts = parts
  }

  async fetch(positions: readonly FetchPosition[], options: FetchOptions): Promise<RemoteResult<Fetched>> {
    const { signal } = options
    if (this.#throttleMs > 0) await this.#parts.clock.sleep(this.#throttleMs, signal)
    this.#throttleMs = 0
    if (signal.aborted || this.#isClosed) return aborted()
    const opened = (await abortable(this.#connect(), signal)) ?? aborted()
    if (!opened.ok) return opened
    const first = await this.#exchange(opened.connection, positions, options)
    if (first.ok || first.code !== 'SESSION') return first as RemoteResult<Fetched>
    const second = await this.#exchange(opened.connection, positions, options)
    if (second.ok || second.code !== 'SESSION') return second as RemoteResult<Fetched>
    return remoteFailure('PROTOCOL', second.message)
  }

  restart(): void {
    this.#sessionEpoch = firstEpoch
    this.#known = new Map()
  }

  close(): void {
    this.#isClosed = true
    this.#connection?.close()
    this.#forget()
  }

  async #connect(): Promise<RemoteResult<{ readonly connection: RemoteConnection }>> {
    const known = this.#connection
    if (known && !known.isClosed) return { ok: true, connection: known }
    this.#forget()
    const opened = await this.#parts.open()
    if (!opened.ok) return opened
    if (this.#isClosed) {
      opened.connection.close()
      return aborted()
    }
    this.#connection = opened.connection
    return opened
  }

  #forget(): void {
    this.#sessionId = noSession
    this.#sessionEpoch = firstEpoch
    this.#version = -1
    this.#known = new Map()
  }

  async #exchange(
    connection: RemoteConnection,
    positions: readonly FetchPosition[],
    options: FetchOptions,
  ): Promise<RemoteResult<Fetched> | { readonly ok: false; readonly code: 'SESSION'; readonly message: string }> {
    const hasIds = positions.every(({ topicId }) => topicId !== zeroUuid)
    const version = connection.versionOf(Fetch, hasIds ? Infinity : idsFromVersion - 1)
    if (version === undefined)
      return remoteFailure('UNSUPPORTED_VERSION', `${connection.name} has no version of Fetch that we know`)
    if (version !== this.#version) this.#forget()
    this.#version = version
    const request = this.#request(positions, options, version)
    const memory = this.#parts.blocks.lend()
    const answer = await connection.send(Fetch, version, request, {
      timeoutMs: options.maxWaitMs + connection.requestTimeoutMs,
      signal: options.signal,
      memory,
    })
    if (!answer.ok) return this.#lost(answer)
    const { value } = answer
    this.#throttleMs = Math.min(throttleMaxMs, Math.max(0, value.throttleTimeMs))
    if (value.errorCode !== errorCodes.NONE) return this.#refused(connection, value.errorCode)
    const partitions = fetchedOf(value, positions, version)
    this.#advance(value.sessionId, positions)
    if (partitions.some(({ errorCode }) => errorCode !== errorCodes.NONE)) this.restart()
    return { ok: true, partitions, version, release: () => memory.release() }
  }

  /**
   * The answer is unknown, and with it what the broker thinks of the session. An answer still to come would be in the
   * way.
   */
  #lost(failure: RemoteFailure): RemoteFailure {
    this.#connection?.close()
    this.#connection = undefined
    this.#forget()
    return failure
  }

  #refused(
    connection: RemoteConnection,
    errorCode: number,
  ): RemoteFailure | { readonly ok: false; readonly code: 'SESSION'; readonly message: string } {
    this.#forget()
    const name = errorNameOf(errorCode)
    const message = `${connection.name} answers ${name} to Fetch`
    switch (name) {
      case 'FETCH_SESSION_ID_NOT_FOUND':
      case 'INVALID_FETCH_SESSION_EPOCH':
      case 'FETCH_SESSION_TOPIC_ID_ERROR':
        return { ok: false, code: 'SESSION', message }
      default:
        return remoteFailure('PROTOCOL', message)
    }
  }

  #request(positions: readonly FetchPosition[], options: FetchOptions, version: number): RequestInput<typeof Fetch> {
    // The first epoch ends the session that is named with it, and begins another.
    const isIncremental = this.#sessionEpoch !== firstEpoch
    const changed = isIncremental
      ? positions.filter((position) => !isSame(this.#known.get(keyOf(position)), position))
      : positions
    const current = new Set(positions.map(keyOf))
    const gone = [...this.#known].filter(([key]) => isIncremental && !current.has(key)).map(([, position]) => position)
    return {
      ...(version < 15 && { replicaId: consumerReplicaId }),
      maxWaitMs: options.maxWaitMs,
      minBytes: options.minBytes,
      maxBytes: options.maxBytes,
      isolationLevel: readUncommitted,
      sessionId: this.#sessionId,
      sessionEpoch: version < sessionsFromVersion ? sessionless : this.#sessionEpoch,
      topics: topicsOf(changed, version),
      forgottenTopicsData: forgottenOf(gone),
    }
  }

  /** After an answer both sides agree on what the session holds. */
  #advance(sessionId: number, positions: readonly FetchPosition[]): void {
    if (this.#version < sessionsFromVersion || sessionId === noSession) {
      this.#sessionId = noSession
      this.#sessionEpoch = firstEpoch
      this.#known = new Map()
      return
    }
    this.#sessionId = sessionId
    this.#sessionEpoch = this.#sessionEpoch === lastSessionEpoch ? 1 : this.#sessionEpoch + 1
    this.#known = new Map(positions.map((position) => [keyOf(position), position]))
  }
}

function aborted(): RemoteFailure {
  return remoteFailure('ABORTED', 'the fetch was given up')
}

/** A topic that was created anew has another id, and so is another partition to the session. */
function keyOf({ topicName, topicId, partitionIndex }: FetchPosition): string {
  return `${topicId}/${topicName}/${partitionIndex}`
}

function isSame(known: FetchPosition | undefined, position: FetchPosition): boolean {
  return (
    known !== undefined &&
    known.fetchOffset === position.fetchOffset &&
    known.lastFetchedEpoch === position.lastFetchedEpoch &&
    known.currentLeaderEpoch === position.currentLeaderEpoch &&
    known.maxBytes === position.maxBytes
  )
}

function topicsOf(positions: readonly FetchPosition[], version: number): TopicRequest[] {
  return grouped(positions).map(([{ topicName, topicId }, ofTopic]) => ({
    topic: topicName,
    topicId,
    partitions: ofTopic.map((position) => ({
      partition: position.partitionIndex,
      currentLeaderEpoch: position.currentLeaderEpoch,
      fetchOffset: position.fetchOffset,
      lastFetchedEpoch: version < epochsFromVersion ? -1 : position.lastFetchedEpoch,
      partitionMaxBytes: position.maxBytes,
    })),
  }))
}

function forgottenOf(positions: readonly FetchPosition[]): ForgottenRequest[] {
  return grouped(positions).map(([{ topicName, topicId }, ofTopic]) => ({
    topic: topicName,
    topicId,
    partitions: ofTopic.map(({ partitionIndex }) => partitionIndex),
  }))
}

/** By topic, each with one of its positions. */
function grouped(positions: readonly FetchPosition[]): (readonly [FetchPosition, FetchPosition[]])[] {
  const topics = new Map<string, [FetchPosition, FetchPosition[]]>()
  for (const position of positions) {
    const key = `${position.topicId}/${position.topicName}`
    const topic = topics.get(key)
    if (topic) topic[1].push(position)
    else topics.set(key, [position, [position]])
  }
  return [...topics.values()]
}

/** What was asked for, of the answer; anything else in it is left out. */
function fetchedOf({ responses }: Response, positions: readonly FetchPosition[], version: number): FetchedPartition[] {
  const isById = version >= idsFromVersion
  const names = new Map(
    positions.map(({ topicName, topicId }) => [isById ? topicId : topicName, { topicName, topicId }]),
  )
  return responses.flatMap(({ topic, topicId, partitions }) => {
    const found = names.get(isById ? topicId : topic)
    if (!found) return []
    return partitions.map((partition) => ({
      ...found,
      partitionIndex: partition.partitionIndex,
      errorCode: partition.errorCode,
      highWatermark: partition.highWatermark,
      lastStableOffset: partition.lastStableOffset,
      logStartOffset: partition.logStartOffset,
      diverging:
        partition.divergingEpoch.epoch < 0 && partition.divergingEpoch.endOffset < 0n
          ? undefined
          : { leaderEpoch: partition.divergingEpoch.epoch, endOffset: partition.divergingEpoch.endOffset },
      currentLeader: partition.currentLeader.leaderId < 0 ? undefined : partition.currentLeader,
      records: partition.records?.[0] ?? noBytes,
    }))
  })
}

const noBytes = new Uint8Array(0)
