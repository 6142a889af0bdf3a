import { Fetch } from '../../protocol/apis/fetch.ts'
import { errorCodes } from '../../protocol/errors.ts'
import type { RequestOf, ResponseInput, Uuid } from '../../protocol/schema.ts'
import type { ReadFound, ReadRequest, ReadResult } from '../../storage/log-store.ts'
import { errorNameOfStorageCode, KafkaError } from '../errors.ts'
import { poll, releaseReads, sizeBytesOf } from '../topics/read.ts'
import type { Partition, Topic } from '../topics/topics.ts'
import { keyOf, type FetchPartition, type FetchSessionRequest, type PartitionNews } from './fetch-sessions.ts'
import { findLedPartition, findTopic, leaderHintOf, leaderOf } from './find-topic.ts'
import { defineHandler, type Context } from './handler.ts'

type Request = RequestOf<typeof Fetch>
type Response = ResponseInput<typeof Fetch>
type TopicResponse = Response['responses'][number]
type PartitionResponse = TopicResponse['partitions'][number]
/** A partition of the round: refused at once, or read, at this place of the read. */
type Planned = { readonly error: KafkaError } | { readonly readIndex: number; readonly partition: Partition }

const readCommitted = 1
const idsFromVersion = 13
const leaderHintsFromVersion = 16

/** Reads record batches, waiting for them where asked to. */
export const fetch = defineHandler({
  api: Fetch,
  versions: '4-18',

  async handle(request, context) {
    const { broker, signal } = context
    const round = broker.fetchSessions.begin(sessionRequestOf(request, context.apiVersion))
    const reads: ReadRequest[] = []
    const plans = round.partitions.map((wanted) =>
      plan(wanted, { request, topicNames: round.topicNames }, context, reads),
    )
    const isRefused = plans.some((item) => 'error' in item)
    const maxBytes = Math.min(Math.max(request.maxBytes, 0), broker.config.fetchMaxBytes)
    const { logs, deadlines, memory } = broker
    const results = await poll({ logs, deadlines, memory, clock: broker.environment.clock }, reads, {
      minBytes: Math.min(request.minBytes, maxBytes),
      maxBytes,
      maxWaitMs: isRefused ? 0 : request.maxWaitMs,
      signal,
      onWait: () => context.admitNext(),
    })
    context.afterAnswer(() => releaseReads(results))
    const partitions = plans.map((item, index) => {
      const wanted = round.partitions[index]!
      const response = answerTo(wanted, item, { results, request }, context)
      note(item, response, context)
      return withLeaderHint(response, wanted, context)
    })
    const { sessionId, isNamed } = round.finish(partitions.map(newsOf))
    const named = partitions.map((response, index) => ({ wanted: round.partitions[index]!, response }))
    const responses = grouped(named.filter((_, index) => isNamed[index]))
    return { throttleTimeMs: 0, errorCode: 0, sessionId, responses, ...endpointsFor(partitions, context) }
  },

  fail(request, error, { apiVersion }) {
    const sessionless = { throttleTimeMs: 0, errorCode: error.errorCode, sessionId: 0 }
    if (apiVersion >= 7) return { ...sessionless, responses: [] }
    const { partitions } = sessionRequestOf(request, apiVersion)
    const responses = grouped(partitions.map((wanted) => ({ wanted, response: refusal(wanted.partitionIndex, error) })))
    return { ...sessionless, responses }
  },
})

function sessionRequestOf(request: Request, apiVersion: number): FetchSessionRequest {
  const asked = request.topics.flatMap(({ topic, topicId, partitions: wanted }) =>
    wanted.map(({ partition, currentLeaderEpoch, fetchOffset, lastFetchedEpoch, partitionMaxBytes }) => ({
      name: topic,
      topicId,
      partitionIndex: partition,
      currentLeaderEpoch,
      fetchOffset,
      lastFetchedEpoch,
      maxBytes: Math.max(partitionMaxBytes, 0),
    })),
  )
  // As in Kafka the last request for a partition counts, in the place of the first.
  const partitions = [...new Map(asked.map((wanted) => [keyOf(wanted), wanted])).values()]
  const forgotten = request.forgottenTopicsData.flatMap(({ topic, topicId, partitions: indexes }) =>
    indexes.map((partitionIndex) => ({ name: topic, topicId, partitionIndex })),
  )
  const { sessionId, sessionEpoch } = request
  return { sessionId, sessionEpoch, isById: apiVersion >= idsFromVersion, partitions, forgotten }
}

interface Round {
  readonly request: Request
  readonly topicNames: Map<Uuid, string>
}

function plan(wanted: FetchPartition, { request, topicNames }: Round, context: Context, reads: ReadRequest[]): Planned {
  try {
    const { partitionIndex, fetchOffset, currentLeaderEpoch, lastFetchedEpoch, maxBytes } = wanted
    const topic = findWanted(wanted, topicNames, context)
    context.authorize('READ', 'TOPIC', topic.image.name)
    const partition = findLedPartition(context, topic, partitionIndex)
    const { log } = partition
    if (replicaIdOf(request) >= 0) return { error: notAReplica }
    const read: ReadRequest = {
      log,
      offset: fetchOffset,
      maxBytes,
      isolation: request.isolationLevel === readCommitted ? 'committed' : 'uncommitted',
      ...(currentLeaderEpoch >= 0 && { currentLeaderEpoch }),
      ...(lastFetchedEpoch >= 0 && { lastFetchedEpoch }),
    }
    return { readIndex: reads.push(read) - 1, partition }
  } catch (error) {
    if (!(error instanceof KafkaError)) throw error
    return { error }
  }
}

/** As in Kafka, a session by ids tells a topic that is gone from one that was created again under its name. */
function findWanted({ name, topicId }: FetchPartition, topicNames: Map<Uuid, string>, context: Context): Topic {
  const isById = context.apiVersion >= idsFromVersion
  const knownName = topicNames.get(topicId)
  const { topics } = context.broker
  if (isById && knownName !== undefined && !topics.findById(topicId))
    throw topics.find(knownName) ? inconsistentId : new KafkaError('UNKNOWN_TOPIC_OR_PARTITION')
  const topic = findTopic(context, { name, topicId, isById })
  if (isById) topicNames.set(topicId, topic.image.name)
  return topic
}

/** Counts what became of a partition. */
function note(item: Planned, { errorCode, records }: PartitionResponse, { broker: { metrics } }: Context): void {
  const topicId = 'error' in item ? undefined : item.partition.topic.image.topicId
  if (topicId !== undefined && errorCode === errorCodes.NONE) metrics.noteFetched(topicId, sizeBytesOf(records ?? []))
  else metrics.noteFetchFailed(topicId)
}

/** What the followers hear of other clusters that take us for one of theirs: no other broker has replicas. */
const notAReplica = new KafkaError('NOT_LEADER_OR_FOLLOWER')
const inconsistentId = new KafkaError('INCONSISTENT_TOPIC_ID')
/** Kafka finds these while it reads; their list of aborted transactions is null. */
const readFailures: ReadonlySet<unknown> = new Set([notAReplica, inconsistentId])

function replicaIdOf({ replicaId, replicaState }: Request): number {
  return Math.max(replicaId, replicaState.replicaId)
}

/** No records is an empty list of bytes, never null: librdkafka takes null for a broken answer. */
function refusal(partitionIndex: number, error: { readonly errorCode: number }): PartitionResponse {
  return {
    partitionIndex,
    errorCode: error.errorCode,
    highWatermark: -1n,
    lastStableOffset: -1n,
    logStartOffset: -1n,
    abortedTransactions: readFailures.has(error) ? null : [],
    preferredReadReplica: -1,
    records: [],
  }
}

function answerTo(
  { partitionIndex }: FetchPartition,
  item: Planned,
  { results, request }: { readonly results: readonly ReadResult[]; readonly request: Request },
  { broker }: Context,
): PartitionResponse {
  if ('error' in item) return refusal(partitionIndex, item.error)
  // While it waited, another broker may have become the leader.
  const { topic } = item.partition
  const partition = broker.topics.findById(topic.image.topicId)?.partitions[partitionIndex]
  if (partition && leaderOf(partition) !== broker.nodeId)
    return refusal(partitionIndex, new KafkaError('NOT_LEADER_OR_FOLLOWER'))
  return answer(partitionIndex, results[item.readIndex]!, request)
}

function answer(partitionIndex: number, result: ReadResult, request: Request): PartitionResponse {
  if (!result.ok) {
    const error = new KafkaError(errorNameOfStorageCode[result.code])
    return { ...refusal(partitionIndex, error), abortedTransactions: null }
  }
  const { view, chunks, diverging } = result
  return {
    partitionIndex,
    errorCode: 0,
    highWatermark: view.highWatermark,
    lastStableOffset: view.lastStableOffset,
    logStartOffset: view.logStartOffset,
    abortedTransactions: request.isolationLevel === readCommitted ? abortedOf(result) : null,
    preferredReadReplica: -1,
    records: chunks,
    ...(diverging && { divergingEpoch: { epoch: diverging.leaderEpoch, endOffset: diverging.endOffset } }),
  }
}

function abortedOf({ aborted }: ReadFound): readonly { producerId: bigint; firstOffset: bigint }[] {
  return aborted.map(({ producerId, firstOffset }) => ({ producerId, firstOffset }))
}

function newsOf(response: PartitionResponse): PartitionNews {
  return {
    highWatermark: response.highWatermark,
    logStartOffset: response.logStartOffset ?? -1n,
    sizeBytes: sizeBytesOf(response.records ?? []),
    isRemarkable: response.errorCode !== errorCodes.NONE || response.divergingEpoch !== undefined,
  }
}

/** One entry per run of partitions of the same topic. */
function grouped(named: readonly { wanted: FetchPartition; response: PartitionResponse }[]): TopicResponse[] {
  const topics: { topic: string; topicId: string; partitions: PartitionResponse[] }[] = []
  for (const { wanted, response } of named) {
    const last = topics.at(-1)
    if (last && last.topic === wanted.name && last.topicId === wanted.topicId) last.partitions.push(response)
    else topics.push({ topic: wanted.name, topicId: wanted.topicId, partitions: [response] })
  }
  return topics
}

/** Tells a client that asked with stale metadata who leads now (KIP-951). */
function withLeaderHint(response: PartitionResponse, { topicId }: FetchPartition, context: Context): PartitionResponse {
  if (context.apiVersion < leaderHintsFromVersion) return response
  const { partitionIndex: index, errorCode } = response
  const currentLeader = leaderHintOf(context, context.broker.topics.findById(topicId), { index, errorCode })
  return currentLeader ? { ...response, currentLeader } : response
}

/** Where the leaders are that the answer names. */
function endpointsFor(partitions: readonly PartitionResponse[], { broker }: Context): Pick<Response, 'nodeEndpoints'> {
  return partitions.some((response) => response.currentLeader) ? { nodeEndpoints: [...broker.endpoints()] } : {}
}
