/**
 * Another Kafka cluster over sockets: which brokers it has, and a connection to each that is asked. Every new
 * connection is asked for its versions and for its cluster id before anything else: no byte is fetched from a cluster
 * that is not the pinned one, whatever a name or an address leads to today.
 */
import { Metadata } from '../../protocol/apis/metadata.ts'
import { errorCodes, errorNameOf } from '../../protocol/errors.ts'
import { zeroUuid, type Api, type RequestInput, type ResponseOf } from '../../protocol/schema.ts'
import type { Environment } from '../environment/environment.ts'
import { abortable } from './abortable.ts'
import { addressText, type BrokerAddress } from './broker-address.ts'
import { FetchSession } from './fetch-session.ts'
import { FrameBlocks } from './frame-blocks.ts'
import { RemoteConnection } from './remote-connection.ts'
import { remoteFailure } from './remote-failure.ts'
import { askEndOffset, askOffsets, askTopicConfigs } from './remote-queries.ts'
import type {
  Remote,
  RemoteFailure,
  RemoteFetchSession,
  RemoteMetadata,
  RemoteResult,
  RemoteTopic,
  SendOptions,
} from './remote.ts'

export { parseBootstrapServers } from './broker-address.ts'

/** The first Metadata version that carries a cluster id and lets a client forbid the creation of topics. */
const metadataMinVersion = 4
/** Every broker answers Metadata from memory: one that takes longer is taken for gone. */
const metadataTimeoutMaxMs = 5_000
const connectTimeoutDefaultMs = 10_000
const frameMaxDefaultBytes = 256 * 1024 * 1024

export interface RemoteClusterOptions {
  readonly bootstrapServers: readonly BrokerAddress[]
  readonly clientId: string
  /** Left out: the first cluster that answers is pinned. */
  readonly expectedClusterId?: string
  readonly requestTimeoutMs: number
  readonly connectTimeoutMs?: number
  /** The first and the longest pause before an address that failed is tried again, in ms. */
  readonly reconnectBackoffMs: number
  readonly reconnectBackoffMaxMs: number
  /** The largest answer that is read, in bytes. */
  readonly frameMaxBytes?: number
}

/** How an address behaved: after failures it is left alone for a while. */
interface AddressHealth {
  readonly failures: number
  /** On the monotonic clock. */
  readonly notBeforeMs: number
}

type Opened = RemoteResult<{ readonly connection: RemoteConnection }>

export class RemoteCluster implements Remote {
  readonly #environment: Pick<Environment, 'clock' | 'network' | 'random'>
  readonly #options: RemoteClusterOptions
  readonly #connections = new Map<string, RemoteConnection>()
  readonly #opening = new Map<string, Promise<Opened>>()
  readonly #sessions = new Set<RemoteConnection>()
  readonly #health = new Map<string, AddressHealth>()
  /** Of all fetch sessions together. */
  readonly #blocks = new FrameBlocks()
  readonly #abort = new AbortController()
  #pinnedClusterId: string | undefined
  #answeredClusterId: string | undefined
  #metadata: RemoteMetadata | undefined

  constructor(environment: Pick<Environment, 'clock' | 'network' | 'random'>, options: RemoteClusterOptions) {
    this.#environment = environment
    this.#options = options
    this.#pinnedClusterId = options.expectedClusterId
  }

  get clusterId(): string | undefined {
    return this.#answeredClusterId
  }

  get metadata(): RemoteMetadata | undefined {
    return this.#metadata
  }

  async refresh(
    topics: readonly string[] | 'all',
    signal?: AbortSignal,
  ): Promise<RemoteResult<{ metadata: RemoteMetadata }>> {
    const request = metadataRequest(topics === 'all' ? null : topics.map((name) => ({ topicId: zeroUuid, name })))
    const timeoutMs = Math.min(this.#options.requestTimeoutMs, metadataTimeoutMaxMs)
    const options = { timeoutMs, ...(signal && { signal }) }
    const first = await this.send('any', Metadata, request, options)
    // A broker that went away with its connection says nothing about the others.
    const isLost = !first.ok && (first.code === 'DISCONNECTED' || first.code === 'TIMED_OUT')
    const answer = isLost ? await this.send('any', Metadata, request, options) : first
    if (!answer.ok) return answer
    if (answer.version < metadataMinVersion) return tooOld(answer.version)
    const metadata = metadataOf(answer.value)
    const wrong = this.#checkCluster(metadata.clusterId, 'the source')
    if (wrong) return wrong
    this.#metadata = metadata
    this.#dropStale(metadata)
    return { ok: true, metadata }
  }

  async send<A extends Api>(
    target: number | 'any',
    api: A,
    request: RequestInput<A> | ((version: number) => RequestInput<A>),
    options: SendOptions = {},
  ): Promise<RemoteResult<{ readonly value: ResponseOf<A>; readonly version: number }>> {
    const { signal, timeoutMs, maxVersion } = options
    const work = target === 'any' ? this.#anyConnection(signal) : this.#connectionTo(target)
    const opened = (await abortable(work, signal)) ?? remoteFailure('ABORTED', `${api.name} was given up`)
    if (!opened.ok) return opened
    const { connection } = opened
    const version = connection.versionOf(api, maxVersion)
    if (version === undefined)
      return remoteFailure('UNSUPPORTED_VERSION', `${connection.name} has no version of ${api.name} that we know`)
    const value = typeof request === 'function' ? request(version) : request
    const answer = await connection.send(api, version, value, {
      ...(timeoutMs !== undefined && { timeoutMs }),
      ...(signal && { signal }),
    })
    return answer.ok ? { ok: true, value: answer.value, version } : answer
  }

  openFetchSession(brokerId: number): RemoteFetchSession {
    const { clock } = this.#environment
    return new FetchSession({ clock, blocks: this.#blocks, open: () => this.#openOwn(brokerId) })
  }

  listOffsets(...query: Parameters<Remote['listOffsets']>): ReturnType<Remote['listOffsets']> {
    return askOffsets(this, ...query)
  }

  endOffsetForEpoch(...query: Parameters<Remote['endOffsetForEpoch']>): ReturnType<Remote['endOffsetForEpoch']> {
    return askEndOffset(this, ...query)
  }

  topicConfigs(...query: Parameters<Remote['topicConfigs']>): ReturnType<Remote['topicConfigs']> {
    return askTopicConfigs(this, ...query)
  }

  close(): void {
    this.#abort.abort()
    for (const connection of [...this.#connections.values(), ...this.#sessions]) connection.close()
    this.#connections.clear()
    this.#sessions.clear()
  }

  /** The connection of a broker, opened where there is none. */
  #connectionTo(brokerId: number): Promise<Opened> {
    const broker = this.#metadata?.brokers.get(brokerId)
    if (!broker) return Promise.resolve(unknownBroker(brokerId))
    return this.#connectionAt(broker)
  }

  #connectionAt(address: BrokerAddress): Promise<Opened> {
    const key = addressText(address)
    const known = this.#connections.get(key)
    if (known && !known.isClosed) return Promise.resolve({ ok: true, connection: known })
    const before = this.#opening.get(key)
    if (before) return before
    const opening = this.#open(address)
      .then((opened) => {
        if (opened.ok) this.#connections.set(key, opened.connection)
        return opened
      })
      .finally(() => this.#opening.delete(key))
    this.#opening.set(key, opening)
    return opening
  }

  /**
   * A connection to whichever broker takes one: known ones first, then the bootstrap list and all brokers, at random.
   */
  async #anyConnection(signal: AbortSignal | undefined): Promise<Opened> {
    for (const connection of this.#connections.values()) if (!connection.isClosed) return { ok: true, connection }
    let failure: RemoteFailure = remoteFailure('UNRESOLVABLE', 'there is no address of the source')
    for (const address of this.#candidates()) {
      if (signal?.aborted) break
      const opened = await this.#connectionAt(address)
      // Another cluster is not to be passed over in silence, even if the next address would be right.
      if (opened.ok || opened.code === 'WRONG_CLUSTER' || opened.code === 'ABORTED') return opened
      failure = opened
    }
    return failure
  }

  /** Each address once; those that failed least recently are due first. */
  #candidates(): BrokerAddress[] {
    const { random } = this.#environment
    const all = [...this.#options.bootstrapServers, ...(this.#metadata?.brokers.values() ?? [])]
    const unique = [...new Map(all.map(({ host, port }) => [addressText({ host, port }), { host, port }])).values()]
    const ranked = unique.map((address) => ({
      address,
      dueMs: this.#health.get(addressText(address))?.notBeforeMs ?? 0,
      rank: random.below(0x7fffffff),
    }))
    return ranked.sort((a, b) => a.dueMs - b.dueMs || a.rank - b.rank).map(({ address }) => address)
  }

  /** A connection that only one fetch session uses, so that its long polls hold nothing else back. */
  async #openOwn(brokerId: number): Promise<Opened> {
    const broker = this.#metadata?.brokers.get(brokerId)
    if (!broker) return unknownBroker(brokerId)
    const opened = await this.#open(broker)
    if (!opened.ok) return opened
    for (const connection of this.#sessions) if (connection.isClosed) this.#sessions.delete(connection)
    this.#sessions.add(opened.connection)
    return opened
  }

  async #open(address: BrokerAddress): Promise<Opened> {
    const { clock } = this.#environment
    const { signal } = this.#abort
    const key = addressText(address)
    const waitMs = (this.#health.get(key)?.notBeforeMs ?? 0) - clock.monotonicMs()
    if (waitMs > 0) await clock.sleep(waitMs, signal)
    if (signal.aborted) return remoteFailure('ABORTED', 'the link was stopped')
    const opened = await this.#handshake({ host: address.host, port: address.port })
    if (!opened.ok) this.#noteFailure(key)
    else this.#health.delete(key)
    if (opened.ok && signal.aborted) {
      opened.connection.close()
      return remoteFailure('ABORTED', 'the link was stopped')
    }
    return opened
  }

  async #handshake(address: BrokerAddress): Promise<Opened> {
    const { clientId, requestTimeoutMs, connectTimeoutMs = connectTimeoutDefaultMs } = this.#options
    const { signal } = this.#abort
    const options = {
      clientId,
      requestTimeoutMs,
      connectTimeoutMs: Math.min(connectTimeoutMs, requestTimeoutMs),
      frameMaxBytes: this.#options.frameMaxBytes ?? frameMaxDefaultBytes,
    }
    const opened = await RemoteConnection.open(this.#environment, address, options, signal)
    if (!opened.ok) return opened
    const { connection } = opened
    const wrong = await this.#identify(connection)
    if (!wrong) return opened
    connection.close(wrong)
    return wrong
  }

  /** Asks who answers there. */
  async #identify(connection: RemoteConnection): Promise<RemoteFailure | undefined> {
    const version = connection.versionOf(Metadata)
    if (version === undefined || version < metadataMinVersion) return tooOld(version)
    const answer = await connection.send(Metadata, version, metadataRequest([]), { signal: this.#abort.signal })
    if (!answer.ok) return answer
    const { errorCode } = answer.value
    if (errorCode !== errorCodes.NONE)
      return remoteFailure('PROTOCOL', `${connection.name} answers ${errorNameOf(errorCode)} to Metadata`)
    return this.#checkCluster(answer.value.clusterId ?? '', connection.name)
  }

  /** The first cluster that answers is the one from then on. */
  #checkCluster(clusterId: string, name: string): RemoteFailure | undefined {
    this.#pinnedClusterId ??= clusterId
    if (clusterId !== this.#pinnedClusterId)
      return remoteFailure(
        'WRONG_CLUSTER',
        `${name} belongs to cluster ${clusterId}, expected cluster ${this.#pinnedClusterId}`,
      )
    this.#answeredClusterId = clusterId
    return undefined
  }

  #noteFailure(key: string): void {
    const { clock, random } = this.#environment
    const { reconnectBackoffMs, reconnectBackoffMaxMs } = this.#options
    const failures = (this.#health.get(key)?.failures ?? 0) + 1
    const delayMs = Math.min(reconnectBackoffMaxMs, reconnectBackoffMs * 2 ** Math.min(failures - 1, 30))
    const jittered = delayMs * (0.8 + random.below(400) / 1000)
    this.#health.set(key, { failures, notBeforeMs: clock.monotonicMs() + jittered })
  }

  /** Lets go of connections to brokers that are gone or have moved; bootstrap addresses are asked again when needed. */
  #dropStale(metadata: RemoteMetadata): void {
    const current = new Set([...metadata.brokers.values(), ...this.#options.bootstrapServers].map(addressText))
    for (const [key, connection] of this.#connections) {
      if (current.has(key) && !connection.isClosed) continue
      this.#connections.delete(key)
      connection.close()
    }
    for (const key of this.#health.keys()) if (!current.has(key)) this.#health.delete(key)
  }
}

function metadataRequest(topics: readonly { topicId: string; name: string }[] | null): RequestInput<typeof Metadata> {
  return {
    topics,
    allowAutoTopicCreation: false,
    includeClusterAuthorizedOperations: false,
    includeTopicAuthorizedOperations: false,
  }
}

function metadataOf(answer: ResponseOf<typeof Metadata>): RemoteMetadata {
  const topics = new Map<string, RemoteTopic>()
  for (const { name, topicId, errorCode, isInternal, partitions } of answer.topics) {
    if (name === null) continue
    const all = partitions.map((partition) => ({
      partitionIndex: partition.partitionIndex,
      errorCode: partition.errorCode,
      leader: partition.leaderId,
      leaderEpoch: partition.leaderEpoch,
    }))
    const ordered = all.sort((a, b) => a.partitionIndex - b.partitionIndex)
    const isWhole = ordered.every(({ partitionIndex }, index) => partitionIndex === index)
    const shown = isWhole
      ? { errorCode, partitions: ordered }
      : { errorCode: errorCodes.UNKNOWN_SERVER_ERROR, partitions: [] } // partitions missing or twice: asked again later
    topics.set(name, { name, topicId, isInternal, ...shown })
  }
  const brokers = answer.brokers.map(({ nodeId, host, port, rack }) => [nodeId, { host, port, rack }] as const)
  return { clusterId: answer.clusterId ?? '', brokers: new Map(brokers), topics }
}

function unknownBroker(brokerId: number): RemoteFailure {
  return remoteFailure('UNKNOWN_BROKER', `the source has no broker ${brokerId}`)
}

function tooOld(version: number | undefined): RemoteFailure {
  const found = version === undefined ? 'none' : `version ${version}`
  return remoteFailure(
    'UNSUPPORTED_VERSION',
    `the source is too old: got ${found} of Metadata, expected ${metadataMinVersion} or later`,
  )
}
