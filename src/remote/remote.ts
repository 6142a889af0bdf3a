/**
 * Another Kafka cluster as links see it: what can be asked of it, and how it fails. `RemoteCluster` implements it over
 * sockets.
 */
import type { Api, RequestInput, ResponseOf, Uuid } from '../../protocol/schema.ts'

export type RemoteCode =
  | 'UNRESOLVABLE' // no bootstrap address could be looked up
  | 'UNREACHABLE' // nobody accepts a connection
  | 'TIMED_OUT'
  | 'DISCONNECTED'
  | 'WRONG_CLUSTER' // another cluster id than the pinned one answers
  | 'UNSUPPORTED_VERSION' // no version in common, or the API is not there
  | 'PROTOCOL' // bytes that are no answer
  | 'UNKNOWN_BROKER' // the node id is not in the metadata
  | 'ABORTED' // the caller's signal, or close

export interface RemoteFailure {
  readonly ok: false
  readonly code: RemoteCode
  readonly retriable: boolean
  /** Names the address and what was expected. */
  readonly message: string
}
export type RemoteResult<T = unknown> = ({ readonly ok: true } & T) | RemoteFailure

export interface RemotePartition {
  readonly partitionIndex: number
  /** A Kafka error code, 0 when there is a leader. */
  readonly errorCode: number
  /** -1 while there is none. */
  readonly leader: number
  /** -1 where the source is too old to say. */
  readonly leaderEpoch: number
}

export interface RemoteTopic {
  readonly name: string
  /** The zero uuid where the source has no topic ids. */
  readonly topicId: Uuid
  readonly errorCode: number
  readonly isInternal: boolean
  /** Ordered by partition index. */
  readonly partitions: readonly RemotePartition[]
}

export interface RemoteMetadata {
  readonly clusterId: string
  readonly brokers: ReadonlyMap<number, { readonly host: string; readonly port: number; readonly rack: string | null }>
  readonly topics: ReadonlyMap<string, RemoteTopic>
}

export interface SendOptions {
  readonly signal?: AbortSignal
  /** Default: `request.timeout.ms`. */
  readonly timeoutMs?: number
  /** Caps the negotiated version. */
  readonly maxVersion?: number
}

/** One partition as a fetch asks for it. */
export interface FetchPosition {
  readonly topicName: string
  /** The zero uuid where the source has no topic ids. */
  readonly topicId: Uuid
  readonly partitionIndex: number
  readonly fetchOffset: bigint
  /** The epoch of the last record held, -1 when none is held. Sent from Fetch v12 on. */
  readonly lastFetchedEpoch: number
  /** The leader epoch known from metadata, -1 when unknown. */
  readonly currentLeaderEpoch: number
  readonly maxBytes: number
}

export interface FetchedPartition {
  readonly topicName: string
  readonly topicId: Uuid
  readonly partitionIndex: number
  /** A Kafka error code. */
  readonly errorCode: number
  readonly highWatermark: bigint
  readonly lastStableOffset: bigint
  /** -1 where the source is too old to say. */
  readonly logStartOffset: bigint
  readonly diverging: { readonly leaderEpoch: number; readonly endOffset: bigint } | undefined
  readonly currentLeader: { readonly leaderId: number; readonly leaderEpoch: number } | undefined
  /** As received: may end in a cut batch, and may begin with one that contains the asked offset. */
  readonly records: Uint8Array
}

export interface FetchOptions {
  readonly maxWaitMs: number
  readonly minBytes: number
  readonly maxBytes: number
  readonly signal: AbortSignal
}

export interface Fetched {
  readonly partitions: readonly FetchedPartition[]
  readonly version: number
  /**
   * Offers the memory of the records back for later answers: to be called at most once, when nobody looks at them any
   * more. They are views of memory of which they are less than half.
   */
  readonly release?: () => void
}

/** The fetches to one broker, over a connection of their own, with an incremental fetch session where it has them. */
export interface RemoteFetchSession {
  /**
   * Asks for all of `positions`, naming to the broker only what changed. Partitions without news are left out of the
   * result. A failure, or an error of the session, makes the next call a full one.
   */
  fetch(positions: readonly FetchPosition[], options: FetchOptions): Promise<RemoteResult<Fetched>>
  /** An answer was not used: the next call is a full one, so that what it told is told again. */
  restart(): void
  close(): void
}

export interface Remote {
  /** The cluster id that answered last, or undefined before the first answer. */
  readonly clusterId: string | undefined
  /** As last refreshed. */
  readonly metadata: RemoteMetadata | undefined
  /**
   * Asks afresh, any broker. Topics that the source does not know are in the result with their error code. `'all'`
   * lists all topics. Never creates a topic at the source.
   */
  refresh(topics: readonly string[] | 'all', signal?: AbortSignal): Promise<RemoteResult<{ metadata: RemoteMetadata }>>
  /** Sends one request to a broker by node id, or to any, at the highest version that both know. */
  send<A extends Api>(
    target: number | 'any',
    api: A,
    request: RequestInput<A> | ((version: number) => RequestInput<A>),
    options?: SendOptions,
  ): Promise<RemoteResult<{ readonly value: ResponseOf<A>; readonly version: number }>>
  openFetchSession(brokerId: number): RemoteFetchSession
  /**
   * ListOffsets of one topic, each partition asked at its leader: -1 latest, -2 earliest, else a time in ms. Offset -1:
   * none.
   */
  listOffsets(
    topic: RemoteTopic,
    timestampMs: bigint,
    signal?: AbortSignal,
  ): Promise<RemoteResult<{ offsets: ReadonlyMap<number, { readonly offset: bigint; readonly errorCode: number }> }>>
  /** Kafka's OffsetForLeaderEpoch at the partition's leader. Epoch and offset -1: the source does not know. */
  endOffsetForEpoch(
    topic: RemoteTopic,
    partitionIndex: number,
    leaderEpoch: number,
    signal?: AbortSignal,
  ): Promise<RemoteResult<{ readonly errorCode: number; readonly leaderEpoch: number; readonly endOffset: bigint }>>
  /** The effective configs of a topic, all of them as text (null where the source hides the value). */
  topicConfigs(
    topicName: string,
    signal?: AbortSignal,
  ): Promise<
    RemoteResult<{
      readonly errorCode: number
      readonly errorMessage: string | null
      readonly configs: ReadonlyMap<string, string | null>
    }>
  >
  close(): void
}
