import { ListOffsets } from '../../protocol/apis/list-offsets.ts'
import { errorCodes } from '../../protocol/errors.ts'
import type { RequestOf, ResponseInput } from '../../protocol/schema.ts'
import type { LogStore, OffsetAndEpoch, Result } from '../../storage/log-store.ts'
import { errorCodeOf, errorNameOfStorageCode, KafkaError } from '../errors.ts'
import type { Partition } from '../topics/topics.ts'
import { checkLeaderEpoch, findLedPartition, findTopic } from './find-topic.ts'
import { defineHandler, type Context } from './handler.ts'
import { zeroUuid } from '../../protocol/schema.ts'

type Request = RequestOf<typeof ListOffsets>
type Query = Request['topics'][number]['partitions'][number]
type PartitionResponse = ResponseInput<typeof ListOffsets>['topics'][number]['partitions'][number]
interface Found {
  readonly offset: bigint
  readonly timestamp: bigint
  readonly leaderEpoch: number
}

/** The timestamps that are none, and the version that brought each. */
const latest = -1n
const earliest = -2n
const maxTimestamp = -3n
const earliestLocal = -4n
const latestTiered = -5n
const earliestPendingUpload = -6n
const sinceVersion: ReadonlyMap<bigint, number> = new Map([
  [maxTimestamp, 7],
  [earliestLocal, 8],
  [latestTiered, 9],
  [earliestPendingUpload, 11],
])

const nothing: Found = { offset: -1n, timestamp: -1n, leaderEpoch: -1 }
const readCommitted = 1
const epochsFromVersion = 4

/** Finds offsets by timestamp, and the ends of a log. There is no tiered storage: its offsets are -1. */
export const listOffsets = defineHandler({
  api: ListOffsets,
  versions: '1-11',

  async handle(request, context) {
    const duplicates = duplicatesOf(request)
    const topics = request.topics.map(async ({ name, partitions }) => ({
      name,
      partitions: await Promise.all(
        onceEach(partitions).map((query) => answer(name, query, { request, duplicates }, context)),
      ),
    }))
    return { throttleTimeMs: 0, topics: await Promise.all(topics) }
  },

  fail(request, error) {
    const topics = request.topics.map(({ name, partitions }) => ({
      name,
      partitions: partitions.map((query) => refusal(query, error.errorCode)),
    }))
    return { throttleTimeMs: 0, topics }
  },
})

/** Partitions asked for more than once. */
function duplicatesOf({ topics }: Request): ReadonlySet<string> {
  const seen = new Set<string>()
  const duplicates = new Set<string>()
  for (const { name, partitions } of topics) {
    for (const query of partitions) {
      const key = keyOf(name, query)
      if (seen.has(key)) duplicates.add(key)
      seen.add(key)
    }
  }
  return duplicates
}

function onceEach(partitions: readonly Query[]): Query[] {
  return [...new Map(partitions.map((query) => [query.partitionIndex, query])).values()]
}

function keyOf(name: string, { partitionIndex }: Query): string {
  return `${name}:${partitionIndex}`
}

/** One bad partition never fails the others: its error becomes its own errorCode. */
async function answer(
  name: string,
  query: Query,
  { request, duplicates }: { readonly request: Request; readonly duplicates: ReadonlySet<string> },
  context: Context,
): Promise<PartitionResponse> {
  try {
    if (duplicates.has(keyOf(name, query))) throw new KafkaError('INVALID_REQUEST')
    if (query.timestamp < earliestPendingUpload || context.apiVersion < (sinceVersion.get(query.timestamp) ?? 0))
      throw new KafkaError('UNSUPPORTED_VERSION')
    context.authorize('DESCRIBE', 'TOPIC', name)
    const topic = findTopic(context, { name, topicId: zeroUuid, isById: false })
    const partition = findLedPartition(context, topic, query.partitionIndex)
    checkLeaderEpoch(context, partition, query.currentLeaderEpoch)
    const found = await find(context.broker.logs, partition, query.timestamp, request.isolationLevel === readCommitted)
    const { timestamp, offset } = found
    const leaderEpoch = context.apiVersion >= epochsFromVersion ? found.leaderEpoch : -1
    return { partitionIndex: query.partitionIndex, errorCode: errorCodes.NONE, timestamp, offset, leaderEpoch }
  } catch (error) {
    return refusal(query, errorCodeOf(error))
  }
}

function refusal({ partitionIndex }: Query, errorCode: number): PartitionResponse {
  return { partitionIndex, errorCode, ...nothing }
}

async function find(logs: LogStore, { log }: Partition, timestamp: bigint, isCommitted: boolean): Promise<Found> {
  const view = logs.view(log)
  const end = isCommitted ? view.lastStableOffset : view.highWatermark
  switch (timestamp) {
    case latest:
      return { offset: end, timestamp: -1n, leaderEpoch: view.leaderEpoch }
    case earliest:
    case earliestLocal:
      return { offset: view.logStartOffset, timestamp: -1n, leaderEpoch: logs.epochAt(log, view.logStartOffset) }
    case latestTiered:
    case earliestPendingUpload:
      return nothing
    case maxTimestamp:
      return foundBelow(end, await logs.maxTimestamp(log))
    default:
      return foundBelow(end, await logs.offsetForTime(log, timestamp))
  }
}

/** What the reader may not see yet is not found, which is an answer and no error. */
function foundBelow(end: bigint, result: Result<{ found: OffsetAndEpoch | undefined }>): Found {
  if (!result.ok) throw new KafkaError(errorNameOfStorageCode[result.code], result.message)
  const { found } = result
  if (!found || found.offset >= end) return nothing
  return { offset: found.offset, timestamp: found.timestampMs, leaderEpoch: found.leaderEpoch }
}
