import { Metadata } from '../../protocol/apis/metadata.ts'
import { errorCodes } from '../../protocol/errors.ts'
import { zeroUuid, type RequestOf, type ResponseInput } from '../../protocol/schema.ts'
import { KafkaError } from '../errors.ts'
import { isInternalTopic } from '../metadata/image.ts'
import { findNameError } from '../topics/topic-names.ts'
import type { Topic } from '../topics/topics.ts'
import { allClusterOperations, allTopicOperations, operationsNotAsked } from './authorized-operations.ts'
import { placementOf } from './find-topic.ts'
import { defineHandler, type Context } from './handler.ts'

type Request = RequestOf<typeof Metadata>
type Asked = NonNullable<Request['topics']>[number]
type Response = ResponseInput<typeof Metadata>
type TopicResponse = Response['topics'][number]

const idsFromVersion = 12

/**
 * Describes brokers and topics, and creates missing topics where client and broker allow it. A created topic is in the
 * answer already, with its leader; Kafka answers an error first, which clients retry on.
 */
export const metadata = defineHandler({
  api: Metadata,
  versions: '0-13',
  isCurrent: true,

  async handle(request, context) {
    const topics = await describeTopics(request, context)
    const brokers = context.broker.endpoints()
    return {
      throttleTimeMs: 0,
      brokers: [...brokers],
      clusterId: context.broker.metadata.image.clusterId,
      controllerId: brokers[0]!.nodeId,
      topics,
      clusterAuthorizedOperations: request.includeClusterAuthorizedOperations
        ? allClusterOperations
        : operationsNotAsked,
      errorCode: errorCodes.NONE,
    }
  },

  fail(request, error) {
    const topics = (request.topics ?? []).map(({ name, topicId }) => refusal(name ?? '', topicId, error.errorCode))
    return { throttleTimeMs: 0, brokers: [], clusterId: null, controllerId: -1, topics, errorCode: error.errorCode }
  },
})

async function describeTopics(request: Request, context: Context): Promise<TopicResponse[]> {
  const { topics } = request
  const isForAll = topics === null || (topics.length === 0 && context.apiVersion === 0)
  if (isForAll) return [...context.broker.topics.list()].map((topic) => description(topic, request, context))
  checkNames(topics, context.apiVersion)
  const answers: TopicResponse[] = []
  for (const asked of asksOf(topics)) answers.push(await describeTopic(asked, request, context))
  return answers
}

function checkNames(topics: readonly Asked[], apiVersion: number): void {
  if (apiVersion >= idsFromVersion) return
  for (const { name, topicId } of topics) {
    if (name === null) throw new KafkaError('INVALID_REQUEST', `Topic name can not be null for version ${apiVersion}`)
    if (topicId !== zeroUuid)
      throw new KafkaError('INVALID_REQUEST', `Topic IDs are not supported in requests for version ${apiVersion}`)
  }
}

/** Each topic once. As in Kafka, names do not count beside ids. */
function asksOf(topics: readonly Asked[]): Iterable<Asked> {
  const withId = topics.filter(({ topicId }) => topicId !== zeroUuid)
  return uniqueOf(withId.length > 0 ? withId : topics)
}

function uniqueOf(topics: readonly Asked[]): Iterable<Asked> {
  return new Map(topics.map((asked) => [asked.topicId === zeroUuid ? asked.name : asked.topicId, asked])).values()
}

async function describeTopic({ name, topicId }: Asked, request: Request, context: Context): Promise<TopicResponse> {
  const { topics } = context.broker
  if (topicId !== zeroUuid) {
    const topic = topics.findById(topicId)
    return topic ? description(topic, request, context) : refusal(null, topicId, errorCodes.UNKNOWN_TOPIC_ID)
  }
  if (name === null) return refusal(null, topicId, errorCodes.UNKNOWN_TOPIC_OR_PARTITION)
  try {
    const topic = topics.find(name) ?? (await createTopic(name, request, context))
    return description(topic, request, context)
  } catch (error) {
    if (!(error instanceof KafkaError)) throw error
    const refused = refusal(name, zeroUuid, error.errorCode)
    return request.includeTopicAuthorizedOperations
      ? { ...refused, topicAuthorizedOperations: allTopicOperations }
      : refused
  }
}

async function createTopic(name: string, request: Request, { broker }: Context): Promise<Topic> {
  const wrong = findNameError(name)
  if (wrong !== undefined) throw new KafkaError('INVALID_TOPIC_EXCEPTION', wrong)
  if (!request.allowAutoTopicCreation || !broker.config.autoCreateTopicsEnable || isInternalTopic(name))
    throw new KafkaError('UNKNOWN_TOPIC_OR_PARTITION')
  try {
    await broker.topics.create({ name, partitionCount: broker.config.numPartitions })
  } catch (error) {
    const isThere = error instanceof KafkaError && error.errorName === 'TOPIC_ALREADY_EXISTS'
    if (!isThere) throw error
  }
  const topic = broker.topics.find(name)
  if (!topic) throw new KafkaError('LEADER_NOT_AVAILABLE')
  return topic
}

function description({ image, partitions }: Topic, request: Request, context: Context): TopicResponse {
  return {
    errorCode: errorCodes.NONE,
    name: image.name,
    topicId: image.topicId,
    isInternal: image.isInternal,
    partitions: partitions.map((partition) => placementOf(context, partition)),
    topicAuthorizedOperations: request.includeTopicAuthorizedOperations ? allTopicOperations : operationsNotAsked,
  }
}

function refusal(name: string | null, topicId: string, errorCode: number): TopicResponse {
  const isInternal = name !== null && isInternalTopic(name)
  return { errorCode, name, topicId, isInternal, partitions: [], topicAuthorizedOperations: operationsNotAsked }
}
