import { DescribeTopicPartitions } from '../../protocol/apis/describe-topic-partitions.ts'
import { errorCodes } from '../../protocol/errors.ts'
import { zeroUuid, type RequestOf, type ResponseInput } from '../../protocol/schema.ts'
import { KafkaError } from '../errors.ts'
import { isInternalTopic } from '../metadata/image.ts'
import { findNameError } from '../topics/topic-names.ts'
import type { Topic } from '../topics/topics.ts'
import { allTopicOperations, operationsNotAsked } from './authorized-operations.ts'
import { placementOf } from './find-topic.ts'
import { defineHandler, type BrokerParts, type Context } from './handler.ts'

type Cursor = RequestOf<typeof DescribeTopicPartitions>['cursor']
type Response = ResponseInput<typeof DescribeTopicPartitions>
type TopicResponse = Response['topics'][number]

/** Describes topics in order of their names, page by page: at most so many partitions at a time. */
export const describeTopicPartitions = defineHandler({
  api: DescribeTopicPartitions,
  versions: '0-0',
  isCurrent: true,

  handle(request, context) {
    const { broker } = context
    const { cursor } = request
    if (cursor && cursor.partitionIndex < 0)
      throw new KafkaError('INVALID_REQUEST', `the cursor has partition ${cursor.partitionIndex}, expected 0 or more`)
    if (cursor && request.topics.length > 0 && !request.topics.some(({ name }) => name === cursor.topicName))
      throw new KafkaError('INVALID_REQUEST', `the cursor is at topic ${cursor.topicName}, which was not asked for`)
    let room = Math.max(Math.min(broker.config.maxRequestPartitionSizeLimit, request.responsePartitionLimit), 1)
    const topics: TopicResponse[] = []
    for (const name of namesOf(request, broker)) {
      const from = cursor?.topicName === name ? cursor.partitionIndex : 0
      if (room === 0) return page(topics, { topicName: name, partitionIndex: 0 })
      const topic = broker.topics.find(name)
      if (!topic) {
        topics.push(unknown(name))
        continue
      }
      const described = describe(topic, from, room, context)
      topics.push(described)
      room -= described.partitions.length
      const next = from + described.partitions.length
      if (next < topic.partitions.length) return page(topics, { topicName: name, partitionIndex: next })
    }
    return page(topics, null)
  },

  fail(request, { errorCode }) {
    return page(
      request.topics.map(({ name }) => ({
        ...unknown(name),
        errorCode,
        topicAuthorizedOperations: operationsNotAsked,
      })),
      null,
    )
  },
})

function namesOf(
  { topics, cursor }: RequestOf<typeof DescribeTopicPartitions>,
  broker: BrokerParts,
): readonly string[] {
  const asked = topics.map((topic) => topic.name)
  const all = topics.length === 0 ? Array.from(broker.topics.list(), (topic) => topic.image.name) : asked
  const names = [...new Set(all)].toSorted()
  return cursor ? names.filter((name) => name >= cursor.topicName) : names
}

function page(topics: TopicResponse[], nextCursor: Cursor): Response {
  return { throttleTimeMs: 0, topics, nextCursor }
}

function describe({ image, partitions }: Topic, from: number, maxCount: number, context: Context): TopicResponse {
  return {
    errorCode: errorCodes.NONE,
    name: image.name,
    topicId: image.topicId,
    isInternal: image.isInternal,
    partitions: partitions.slice(from, from + maxCount).map((partition) => ({
      ...placementOf(context, partition),
      eligibleLeaderReplicas: [], // not null: Java's admin client fails on null
      lastKnownElr: [],
    })),
    topicAuthorizedOperations: allTopicOperations,
  }
}

function unknown(name: string): TopicResponse {
  const errorName = findNameError(name) === undefined ? 'UNKNOWN_TOPIC_OR_PARTITION' : 'INVALID_TOPIC_EXCEPTION'
  const errorCode = errorCodes[errorName]
  return {
    errorCode,
    name,
    topicId: zeroUuid,
    isInternal: isInternalTopic(name),
    partitions: [],
    topicAuthorizedOperations: allTopicOperations,
  }
}
