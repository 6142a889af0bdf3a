/**
 * A source cluster that does as a test says: of any Kafka version, with any history, and able to lie. It answers from
 * batches that the test puts into it; `lies` replaces the answer to an API.
 */
import assert from 'node:assert/strict'
import { ApiVersions } from '../../protocol/apis/api-versions.ts'
import { DescribeConfigs } from '../../protocol/apis/describe-configs.ts'
import { Fetch } from '../../protocol/apis/fetch.ts'
import { ListOffsets } from '../../protocol/apis/list-offsets.ts'
import { Metadata } from '../../protocol/apis/metadata.ts'
import { OffsetForLeaderEpoch } from '../../protocol/apis/offset-for-leader-epoch.ts'
import { decodeRequest } from '../../protocol/compile.ts'
import { errorCodes } from '../../protocol/errors.ts'
import { frameResponse, readRequestHeader } from '../../protocol/frame.ts'
import { Reader } from '../../protocol/reader.ts'
import { lastOffsetOf, splitBatches } from '../../protocol/records/batch.ts'
import { zeroUuid, type Api, type RequestOf, type ResponseInput, type Uuid } from '../../protocol/schema.ts'
import { FetchSessions, type FetchPartition } from '../../src/apis/fetch-sessions.ts'
import type { MemoryNetwork } from '../../src/environment/memory-network.ts'
import { nodeClock } from '../../src/environment/node-clock.ts'
import { seededRandom } from '../../src/environment/seeded-random.ts'
import type { Listener, Socket } from '../../src/environment/environment.ts'
import { FrameReader } from '../../src/network/frame-reader.ts'
import { KafkaError } from '../../src/errors.ts'
import type { Cleanup } from './broker.ts'

const apis = [Fetch, ListOffsets, Metadata, OffsetForLeaderEpoch, DescribeConfigs, ApiVersions] as readonly Api[]
type Versions = Readonly<Record<string, readonly [min: number, max: number]>>

/** What the brokers of a release serve, of the APIs that links use. */
export const releases = {
  '2.1': {
    Fetch: [0, 10],
    ListOffsets: [0, 4],
    Metadata: [0, 7],
    OffsetForLeaderEpoch: [0, 2],
    DescribeConfigs: [0, 2],
    ApiVersions: [0, 2],
  },
  '2.3': {
    Fetch: [0, 11],
    ListOffsets: [0, 5],
    Metadata: [0, 8],
    OffsetForLeaderEpoch: [0, 3],
    DescribeConfigs: [0, 2],
    ApiVersions: [0, 2],
  },
  '2.7': {
    Fetch: [0, 12],
    ListOffsets: [0, 5],
    Metadata: [0, 9],
    OffsetForLeaderEpoch: [0, 4],
    DescribeConfigs: [0, 4],
    ApiVersions: [0, 3],
  },
  '4.0': {
    Fetch: [4, 17],
    ListOffsets: [1, 10],
    Metadata: [0, 13],
    OffsetForLeaderEpoch: [2, 4],
    DescribeConfigs: [1, 4],
    ApiVersions: [0, 4],
  },
} as const satisfies Record<string, Versions>

export interface ScriptedPartition {
  leader: number
  leaderEpoch: number
  logStartOffset: bigint
  /** Default: behind the last batch. */
  highWatermark?: bigint
  /** Where each leader epoch began. Default: with its first batch. */
  epochStarts?: { readonly leaderEpoch: number; readonly startOffset: bigint }[]
  batches: Uint8Array[]
}

export interface ScriptedTopic {
  topicId: Uuid
  partitions: ScriptedPartition[]
  configs: Record<string, string>
}

/** One request as it came. */
export interface Seen {
  readonly api: string
  readonly version: number
  readonly port: number
  readonly connection: number
  readonly request: unknown
}

/** Instead of an answer: nothing ever, the end of the connection, or these bytes as the frame. */
export type Lie = { readonly hang: true } | { readonly close: true } | { readonly frame: Uint8Array }
type Lies = {
  [name: string]: (request: never, answer: () => unknown, version: number) => unknown
}

export interface ScriptedSourceOptions {
  readonly network: MemoryNetwork
  readonly release?: keyof typeof releases
  readonly clusterId?: string
  readonly host?: string
  /** One broker per port, with the node ids 1, 2 ... */
  readonly ports?: readonly number[]
}

export class ScriptedSource {
  readonly host: string
  readonly ports: readonly number[]
  readonly topics = new Map<string, ScriptedTopic>()
  readonly seen: Seen[] = []
  /** Requests in versions that the release does not have. */
  readonly unserved: string[] = []
  /** By the name of the API; each may call `answer` for the honest one. */
  readonly lies: Lies = {}
  clusterId: string
  release: keyof typeof releases
  readonly #network: MemoryNetwork
  #listeners: readonly Listener[] = []
  #sessions = newSessions()
  readonly #waiting = new Set<() => void>()
  readonly #sockets = new Set<Socket>()
  #connectionCount = 0

  static async start(t: Cleanup, options: ScriptedSourceOptions): Promise<ScriptedSource> {
    const source = new ScriptedSource(options)
    await source.revive()
    t.after(() => source.kill())
    return source
  }

  /** Accepts connections, again after `kill`. */
  async revive(): Promise<void> {
    this.#sessions = newSessions()
    const listen = (port: number): Promise<Listener> =>
      this.#network.listen({ host: this.host, port }, (socket) => this.#accept(socket, port))
    this.#listeners = await Promise.all(this.ports.map(listen))
  }

  /** Ends all connections and takes no more. */
  async kill(): Promise<void> {
    for (const listener of this.#listeners) await listener.close()
    this.#listeners = []
    this.disconnect()
  }

  private constructor({ host = 'scripted.test', ports = [9_192], ...options }: ScriptedSourceOptions) {
    this.#network = options.network
    this.host = host
    this.ports = ports
    this.clusterId = options.clusterId ?? 'scripted-cluster'
    this.release = options.release ?? '4.0'
  }

  get bootstrapServers(): string {
    return this.ports.map((port) => `${this.host}:${port}`).join(',')
  }

  addTopic(name: string, partitionCount = 1, topicId: Uuid = 'c2NyaXB0ZWQtdG9waWMtMQ'): ScriptedTopic {
    const partitions = Array.from({ length: partitionCount }, () => ({
      leader: 1,
      leaderEpoch: 0,
      logStartOffset: 0n,
      batches: [],
    }))
    const topic: ScriptedTopic = { topicId, partitions, configs: { 'cleanup.policy': 'delete' } }
    this.topics.set(name, topic)
    return topic
  }

  /** Wakes fetches that wait for data. */
  wake(): void {
    const waiting = [...this.#waiting]
    for (const wake of waiting) wake()
  }

  append(name: string, partitionIndex: number, ...batches: Uint8Array[]): void {
    this.topics.get(name)!.partitions[partitionIndex]!.batches.push(...batches)
    this.wake()
  }

  seenOf<A extends Api>(api: A): { version: number; port: number; connection: number; request: RequestOf<A> }[] {
    return this.seen.filter((one) => one.api === api.name) as never
  }

  /** Ends all connections. */
  disconnect(): void {
    for (const socket of this.#sockets) socket.destroy()
  }

  #accept(socket: Socket, port: number): void {
    const connection = ++this.#connectionCount
    this.#sockets.add(socket)
    let last: Promise<void> = Promise.resolve()
    const onFrame = (frame: Uint8Array): void => {
      last = last.then(() => this.#serve(socket, frame, { port, connection }))
    }
    const frames = new FrameReader({ frameMaxBytes: 1 << 26, onFrame })
    socket.start({
      onData: (bytes) => frames.push(bytes),
      onDrain: () => undefined,
      onClose: () => void this.#sockets.delete(socket),
    })
  }

  async #serve(socket: Socket, frame: Uint8Array, at: { port: number; connection: number }): Promise<void> {
    const reader = new Reader(frame)
    const header = readRequestHeader(reader, (key) => apis.find((api) => api.key === key))
    const api = apis.find((one) => one.key === header.apiKey)
    assert(api, `an API that no link needs: ${header.apiKey}`)
    const { apiVersion, correlationId } = header
    const versions: Versions = releases[this.release]
    const [min, max] = versions[api.name]!
    if (apiVersion < min || apiVersion > max) {
      this.unserved.push(`${api.name} v${apiVersion}`)
      if (api !== ApiVersions) return socket.destroy() // as Kafka does
      const refusal = { errorCode: errorCodes.UNSUPPORTED_VERSION, apiKeys: [], throttleTimeMs: 0 }
      socket.write(frameResponse(ApiVersions, { apiVersion: 0, correlationId }, refusal))
      return
    }
    const request = decodeRequest(api, apiVersion, reader)
    this.seen.push({ api: api.name, version: apiVersion, request, ...at })
    const honest = (): unknown => this.#answer(api, request, apiVersion)
    const lie = this.lies[api.name] as ((...args: unknown[]) => unknown) | undefined
    const answer = (await (lie ? lie(request, honest, apiVersion) : honest())) as object
    if ('hang' in answer) return
    if ('close' in answer) return socket.destroy()
    if ('frame' in answer) return void socket.write([answer.frame as Uint8Array])
    socket.write(frameResponse(api, { apiVersion, correlationId }, answer as ResponseInput<Api>))
  }

  #answer(api: Api, request: unknown, version: number): unknown {
    switch (api.name) {
      case 'ApiVersions':
        return this.#versions()
      case 'Metadata':
        return this.#describe(request as RequestOf<typeof Metadata>, version)
      case 'ListOffsets':
        return this.#listOffsets(request as RequestOf<typeof ListOffsets>)
      case 'OffsetForLeaderEpoch':
        return this.#endOffsets(request as RequestOf<typeof OffsetForLeaderEpoch>)
      case 'DescribeConfigs':
        return this.#configs(request as RequestOf<typeof DescribeConfigs>)
      default:
        return this.#fetch(request as RequestOf<typeof Fetch>, version)
    }
  }

  #versions(): ResponseInput<typeof ApiVersions> {
    const apiKeys = Object.entries(releases[this.release]).map(([name, [minVersion, maxVersion]]) => ({
      apiKey: apis.find((api) => api.name === name)!.key,
      minVersion,
      maxVersion,
    }))
    return { errorCode: 0, apiKeys, throttleTimeMs: 0 }
  }

  #describe({ topics }: RequestOf<typeof Metadata>, version: number): ResponseInput<typeof Metadata> {
    const names = topics?.map(({ name }) => name!) ?? [...this.topics.keys()]
    return {
      throttleTimeMs: 0,
      brokers: this.ports.map((port, index) => ({ nodeId: index + 1, host: this.host, port, rack: null })),
      clusterId: this.clusterId,
      controllerId: 1,
      errorCode: 0,
      topics: names.map((name) => {
        const topic = this.topics.get(name)
        return {
          errorCode: topic ? 0 : errorCodes.UNKNOWN_TOPIC_OR_PARTITION,
          name,
          topicId: version >= 10 && topic ? topic.topicId : zeroUuid,
          isInternal: false,
          partitions: (topic?.partitions ?? []).map(({ leader, leaderEpoch }, partitionIndex) => ({
            errorCode: 0,
            partitionIndex,
            leaderId: leader,
            leaderEpoch,
            replicaNodes: [1],
            isrNodes: [1],
            offlineReplicas: [],
          })),
        }
      }),
    }
  }

  #listOffsets({ topics }: RequestOf<typeof ListOffsets>): ResponseInput<typeof ListOffsets> {
    return {
      throttleTimeMs: 0,
      topics: topics.map(({ name, partitions }) => ({
        name,
        partitions: partitions.map(({ partitionIndex, timestamp }) => {
          const partition = this.topics.get(name)?.partitions[partitionIndex]
          if (!partition) return { partitionIndex, errorCode: errorCodes.UNKNOWN_TOPIC_OR_PARTITION }
          const late = splitBatches(Buffer.concat(partition.batches)).find(
            ({ header }) => header.maxTimestamp >= timestamp,
          )
          const found = late?.header.baseOffset ?? -1n
          const offset = timestamp === -1n ? endOf(partition) : timestamp === -2n ? partition.logStartOffset : found
          return { partitionIndex, errorCode: 0, offset, timestamp: -1n, leaderEpoch: -1 }
        }),
      })),
    }
  }

  #endOffsets({ topics }: RequestOf<typeof OffsetForLeaderEpoch>): ResponseInput<typeof OffsetForLeaderEpoch> {
    return {
      throttleTimeMs: 0,
      topics: topics.map(({ topic, partitions }) => ({
        topic,
        partitions: partitions.map(({ partition: partitionIndex, leaderEpoch }) => {
          const partition = this.topics.get(topic)?.partitions[partitionIndex]
          if (!partition) return { partition: partitionIndex, errorCode: errorCodes.UNKNOWN_TOPIC_OR_PARTITION }
          return { errorCode: 0, partition: partitionIndex, ...epochEndOf(partition, leaderEpoch) }
        }),
      })),
    }
  }

  #configs({ resources }: RequestOf<typeof DescribeConfigs>): ResponseInput<typeof DescribeConfigs> {
    return {
      throttleTimeMs: 0,
      results: resources.map(({ resourceType, resourceName }) => ({
        errorCode: 0,
        errorMessage: null,
        resourceType,
        resourceName,
        configs: Object.entries(this.topics.get(resourceName)?.configs ?? {}).map(([name, value]) => ({
          name,
          value,
          readOnly: false,
          isSensitive: false,
          synonyms: [],
          documentation: null,
        })),
      })),
    }
  }

  async #fetch(request: RequestOf<typeof Fetch>, version: number): Promise<ResponseInput<typeof Fetch>> {
    let round
    try {
      round = this.#sessions.begin(sessionRequestOf(request, version))
    } catch (error) {
      assert(error instanceof KafkaError)
      return { throttleTimeMs: 0, errorCode: error.errorCode, sessionId: 0, responses: [] }
    }
    const read = () => round.partitions.map((wanted) => this.#read(wanted, version))
    let found = read()
    if (found.every(({ errorCode, records }) => errorCode === 0 && records.length === 0)) {
      await this.#untilWoken(request.maxWaitMs)
      found = read()
    }
    const { sessionId, isNamed } = round.finish(
      found.map(({ highWatermark, logStartOffset, errorCode, records, divergingEpoch }) => ({
        highWatermark,
        logStartOffset,
        sizeBytes: records.length,
        isRemarkable: errorCode !== 0 || divergingEpoch !== undefined,
      })),
    )
    const responses = round.partitions.flatMap(({ name, topicId }, index) => {
      const { records, ...answer } = found[index]!
      const partition = { ...answer, abortedTransactions: null, records: records.length > 0 ? [records] : [] }
      return isNamed[index] ? [{ topic: name, topicId, partitions: [partition] }] : []
    })
    return { throttleTimeMs: 0, errorCode: 0, sessionId, responses }
  }

  #read(wanted: FetchPartition, version: number) {
    const topic = wanted.name
      ? this.topics.get(wanted.name)
      : [...this.topics.values()].find(({ topicId }) => topicId === wanted.topicId)
    const partition = topic?.partitions[wanted.partitionIndex]
    const { partitionIndex } = wanted
    const nothing = {
      partitionIndex,
      highWatermark: -1n,
      lastStableOffset: -1n,
      logStartOffset: -1n,
      records: new Uint8Array(0),
      divergingEpoch: undefined,
    }
    if (!partition) {
      const errorCode = wanted.name ? errorCodes.UNKNOWN_TOPIC_OR_PARTITION : errorCodes.UNKNOWN_TOPIC_ID
      return { ...nothing, errorCode }
    }
    const highWatermark = endOf(partition)
    const { logStartOffset } = partition
    if (wanted.currentLeaderEpoch > partition.leaderEpoch)
      return { ...nothing, errorCode: errorCodes.UNKNOWN_LEADER_EPOCH }
    if (wanted.currentLeaderEpoch >= 0 && wanted.currentLeaderEpoch < partition.leaderEpoch)
      return { ...nothing, errorCode: errorCodes.FENCED_LEADER_EPOCH }
    const offsets = { highWatermark, lastStableOffset: highWatermark, logStartOffset }
    if (version >= 12 && wanted.lastFetchedEpoch >= 0) {
      const { leaderEpoch: epoch, endOffset } = epochEndOf(partition, wanted.lastFetchedEpoch)
      if (epoch < 0) return { ...nothing, errorCode: errorCodes.OFFSET_OUT_OF_RANGE }
      if (epoch < wanted.lastFetchedEpoch || endOffset < wanted.fetchOffset)
        return { ...nothing, ...offsets, errorCode: 0, divergingEpoch: { epoch, endOffset } }
    }
    if (wanted.fetchOffset < logStartOffset || wanted.fetchOffset > highWatermark)
      return { ...nothing, errorCode: errorCodes.OFFSET_OUT_OF_RANGE }
    const from = splitBatches(Buffer.concat(partition.batches)).filter(
      ({ header }) => lastOffsetOf(header) >= wanted.fetchOffset && lastOffsetOf(header) < highWatermark,
    )
    return { ...nothing, ...offsets, errorCode: 0, records: Buffer.concat(from.map(({ bytes }) => bytes)) }
  }

  #untilWoken(waitMs: number): Promise<void> {
    return new Promise((resolve) => {
      const wake = (): void => {
        timer.cancel()
        this.#waiting.delete(wake)
        resolve()
      }
      const timer = nodeClock.setTimer(waitMs, wake)
      this.#waiting.add(wake)
    })
  }
}

function newSessions(): FetchSessions {
  return new FetchSessions(100, { clock: nodeClock, random: seededRandom(5) })
}

function endOf({ batches, highWatermark, logStartOffset }: ScriptedPartition): bigint {
  const last = splitBatches(Buffer.concat(batches)).at(-1)
  return highWatermark ?? (last ? lastOffsetOf(last.header) + 1n : logStartOffset)
}

/** As Kafka's leader epoch cache tells it. */
function epochEndOf(partition: ScriptedPartition, asked: number): { leaderEpoch: number; endOffset: bigint } {
  if (asked > partition.leaderEpoch) return { leaderEpoch: -1, endOffset: -1n }
  if (asked === partition.leaderEpoch) return { leaderEpoch: partition.leaderEpoch, endOffset: endOf(partition) }
  const starts = partition.epochStarts ?? epochStartsOf(partition)
  const above = starts.find(({ leaderEpoch }) => leaderEpoch > asked)
  const below = starts.findLast(({ leaderEpoch }) => leaderEpoch <= asked)
  if (!below) return { leaderEpoch: -1, endOffset: -1n }
  return { leaderEpoch: below.leaderEpoch, endOffset: above?.startOffset ?? endOf(partition) }
}

function epochStartsOf({ batches }: ScriptedPartition): NonNullable<ScriptedPartition['epochStarts']> {
  return splitBatches(Buffer.concat(batches)).map(({ header }) => ({
    leaderEpoch: header.partitionLeaderEpoch,
    startOffset: header.baseOffset,
  }))
}

function sessionRequestOf(request: RequestOf<typeof Fetch>, version: number) {
  const partitions = request.topics.flatMap(({ topic, topicId, partitions: wanted }) =>
    wanted.map(({ partition, currentLeaderEpoch, fetchOffset, lastFetchedEpoch, partitionMaxBytes }) => ({
      name: topic,
      topicId,
      partitionIndex: partition,
      currentLeaderEpoch,
      fetchOffset,
      lastFetchedEpoch,
      maxBytes: partitionMaxBytes,
    })),
  )
  const forgotten = request.forgottenTopicsData.flatMap(({ topic, topicId, partitions: indexes }) =>
    indexes.map((partitionIndex) => ({ name: topic, topicId, partitionIndex })),
  )
  const { sessionId, sessionEpoch } = request
  return { sessionId, sessionEpoch, isById: version >= 13, partitions, forgotten }
}
