/** The requests that most tests send, with only what matters to a test left to say. */
import type { CreateTopics } from '../../protocol/apis/create-topics.ts'
import type { Fetch } from '../../protocol/apis/fetch.ts'
import type { ListOffsets } from '../../protocol/apis/list-offsets.ts'
import type { Metadata } from '../../protocol/apis/metadata.ts'
import type { Produce } from '../../protocol/apis/produce.ts'
import { zeroUuid, type RequestInput, type Uuid } from '../../protocol/schema.ts'
import { batchOf } from './records.ts'

export interface ProduceOptions {
  readonly topic?: string
  readonly topicId?: Uuid
  readonly partition?: number
  readonly acks?: number
  readonly transactionalId?: string | null
  /** Default: one batch of the values. */
  readonly records?: readonly Uint8Array[] | null
  readonly values?: readonly string[]
}

export function produceRequest(options: ProduceOptions = {}): RequestInput<typeof Produce> {
  const { topic = 'orders', topicId = zeroUuid, partition = 0, acks = -1, transactionalId = null } = options
  const records = options.records === undefined ? [batchOf(options.values ?? ['a'])] : options.records
  const topicData = [{ name: topic, topicId, partitionData: [{ index: partition, records }] }]
  return { transactionalId, acks, timeoutMs: 1_000, topicData }
}

export interface FetchOptions {
  readonly topic?: string
  readonly topicId?: Uuid
  readonly partitions?: readonly {
    readonly partition: number
    readonly fetchOffset?: bigint
    readonly partitionMaxBytes?: number
    readonly currentLeaderEpoch?: number
    readonly lastFetchedEpoch?: number
  }[]
  readonly maxWaitMs?: number
  readonly minBytes?: number
  readonly maxBytes?: number
  readonly isolationLevel?: number
  readonly sessionId?: number
  readonly sessionEpoch?: number
  readonly forgotten?: readonly number[]
}

export function fetchRequest(options: FetchOptions = {}): RequestInput<typeof Fetch> {
  const { topic = 'orders', topicId = zeroUuid, partitions = [{ partition: 0 }] } = options
  const topics = partitions.length === 0 ? [] : [{ topic, topicId, partitions: partitions.map(withDefaults) }]
  const forgottenTopicsData = options.forgotten ? [{ topic, topicId, partitions: options.forgotten }] : []
  const { maxWaitMs = 0, minBytes = 1, maxBytes = 1_000_000, isolationLevel = 0 } = options
  const { sessionId = 0, sessionEpoch = -1 } = options
  return { maxWaitMs, minBytes, maxBytes, isolationLevel, sessionId, sessionEpoch, topics, forgottenTopicsData }
}

function withDefaults(partition: NonNullable<FetchOptions['partitions']>[number]) {
  return { fetchOffset: 0n, partitionMaxBytes: 1_000_000, ...partition }
}

export function listOffsetsRequest(
  timestamp: bigint,
  options: { readonly topic?: string; readonly partition?: number; readonly currentLeaderEpoch?: number } = {},
): RequestInput<typeof ListOffsets> {
  const { topic = 'orders', partition = 0, currentLeaderEpoch = -1 } = options
  const partitions = [{ partitionIndex: partition, currentLeaderEpoch, timestamp }]
  return { replicaId: -1, isolationLevel: 0, topics: [{ name: topic, partitions }], timeoutMs: 0 }
}

export function createTopicsRequest(
  name: string,
  options: {
    readonly numPartitions?: number
    readonly replicationFactor?: number
    readonly configs?: Readonly<Record<string, string | null>>
    readonly assignments?: readonly (readonly number[])[]
    readonly validateOnly?: boolean
  } = {},
): RequestInput<typeof CreateTopics> {
  const { numPartitions = 1, replicationFactor = 1, configs = {}, assignments = [], validateOnly = false } = options
  const topic = {
    name,
    numPartitions,
    replicationFactor,
    assignments: assignments.map((brokerIds, partitionIndex) => ({ partitionIndex, brokerIds })),
    configs: Object.entries(configs).map(([key, value]) => ({ name: key, value })),
  }
  return { topics: [topic], timeoutMs: 1_000, validateOnly }
}

/** Topics by name or by id (an object), or null for all. */
export function metadataRequest(
  topics: readonly (string | { readonly topicId: Uuid })[] | null,
  options: { readonly allowAutoTopicCreation?: boolean } = {},
): RequestInput<typeof Metadata> {
  return {
    topics:
      topics &&
      topics.map((topic) =>
        typeof topic === 'string' ? { topicId: zeroUuid, name: topic } : { topicId: topic.topicId, name: null },
      ),
    ...options,
    includeClusterAuthorizedOperations: false,
    includeTopicAuthorizedOperations: false,
  }
}
