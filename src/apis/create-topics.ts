import { CreateTopics } from '../../protocol/apis/create-topics.ts'
import { errorCodes } from '../../protocol/errors.ts'
import { zeroUuid, type RequestOf, type ResponseInput } from '../../protocol/schema.ts'
import { topicConfigRow, validateTopicConfigs } from '../config/topic-config.ts'
import { KafkaError } from '../errors.ts'
import type { TopicImage } from '../metadata/metadata-store.ts'
import type { NewTopic } from '../topics/topics.ts'
import { layersOf } from './config-layers.ts'
import { describeTopicConfigs, sourceAtCreation } from './config-sources.ts'
import { defineHandler, type Context } from './handler.ts'

type Request = RequestOf<typeof CreateTopics>
type Asked = Request['topics'][number]
type TopicResponse = ResponseInput<typeof CreateTopics>['topics'][number]

const metadataTopicName = '__cluster_metadata'

/** Creates topics. An answered topic is in Metadata, and can be produced to. */
export const createTopics = defineHandler({
  api: CreateTopics,
  versions: '2-7',

  async handle(request, context) {
    const names = request.topics.map((topic) => topic.name)
    const unique = [...new Map(request.topics.map((topic) => [topic.name, topic])).values()]
    const topics = unique.map((asked) => {
      const isRepeated = names.indexOf(asked.name) !== names.lastIndexOf(asked.name)
      return create(asked, { isRepeated, validateOnly: request.validateOnly }, context)
    })
    return { throttleTimeMs: 0, topics: await Promise.all(topics) }
  },

  fail(request, error) {
    return { throttleTimeMs: 0, topics: request.topics.map((asked) => refusal(asked, error)) }
  },
})

async function create(
  asked: Asked,
  options: { readonly isRepeated: boolean; readonly validateOnly: boolean },
  context: Context,
): Promise<TopicResponse> {
  try {
    if (options.isRepeated) throw new KafkaError('INVALID_REQUEST', 'Duplicate topic name.')
    if (asked.name === metadataTopicName)
      throw new KafkaError('INVALID_REQUEST', `Creation of internal topic ${metadataTopicName} is prohibited.`)
    context.authorize('CREATE', 'TOPIC', asked.name)
    const topic = { ...newTopicOf(asked, context), validateOnly: options.validateOnly }
    return success(await context.broker.topics.create(topic), context)
  } catch (error) {
    if (!(error instanceof KafkaError)) throw error
    return refusal(asked, error)
  }
}

function newTopicOf(asked: Asked, { broker }: Context): NewTopic {
  const configs = configsOf(asked)
  const wrong = validateTopicConfigs(configs, broker.topics.brokerConfig)
  if (wrong !== undefined) throw new KafkaError('INVALID_CONFIG', wrong)
  const { name, numPartitions, replicationFactor } = asked
  if (asked.assignments.length > 0) {
    const assignments = assignmentsOf(asked)
    return { name, partitionCount: assignments.length, assignments, configs }
  }
  if (replicationFactor < -1 || replicationFactor === 0)
    throw new KafkaError(
      'INVALID_REPLICATION_FACTOR',
      'Replication factor must be larger than 0, or -1 to use the default value.',
    )
  const partitionCount = numPartitions === -1 ? broker.config.numPartitions : numPartitions
  if (partitionCount < 1)
    throw new KafkaError('INVALID_PARTITIONS', 'Number of partitions was set to an invalid non-positive value.')
  return { name, partitionCount, replicationFactor, configs }
}

function configsOf({ configs }: Asked): Map<string, string> {
  const overrides = new Map<string, string>()
  for (const { name, value } of configs) {
    if (!topicConfigRow(name)) throw new KafkaError('INVALID_CONFIG', `Unknown topic config name: ${name}`)
    if (value === null) throw new KafkaError('INVALID_CONFIG', `Null value not supported for topic configs: ${name}`)
    overrides.set(name, value)
  }
  return overrides
}

function assignmentsOf({ numPartitions, replicationFactor, assignments }: Asked): readonly (readonly number[])[] {
  if (replicationFactor !== -1)
    throw new KafkaError(
      'INVALID_REQUEST',
      'A manual partition assignment was specified, but replication factor was not set to -1.',
    )
  if (numPartitions !== -1)
    throw new KafkaError(
      'INVALID_REQUEST',
      'A manual partition assignment was specified, but numPartitions was not set to -1.',
    )
  const byIndex = assignments.toSorted((a, b) => a.partitionIndex - b.partitionIndex)
  if (byIndex.some(({ partitionIndex }, index) => partitionIndex !== index))
    throw new KafkaError('INVALID_REPLICA_ASSIGNMENT', 'partitions should be a consecutive 0-based integer sequence')
  return byIndex.map(({ brokerIds }) => brokerIds)
}

function success(image: TopicImage, { broker }: Context): TopicResponse {
  const layers = layersOf(broker)
  const configs = describeTopicConfigs(image.configs, layers, broker.topics.brokerConfig).filter(
    ({ value }) => value !== null,
  )
  return {
    name: image.name,
    topicId: image.topicId,
    errorCode: errorCodes.NONE,
    errorMessage: null,
    topicConfigErrorCode: errorCodes.NONE,
    numPartitions: image.partitions.length,
    replicationFactor: image.partitions[0]!.replicas.length,
    configs: configs.map(({ name, value, readOnly, isSensitive }) => ({
      name,
      value,
      readOnly,
      configSource: sourceAtCreation(name, image.configs, layers),
      isSensitive,
    })),
  }
}

/** `configs` is a list here too: Java's admin client fails on null where `topicConfigErrorCode` is 0. */
function refusal({ name }: Asked, { errorCode, message }: KafkaError): TopicResponse {
  return {
    name,
    topicId: zeroUuid,
    errorCode,
    errorMessage: message,
    topicConfigErrorCode: errorCodes.NONE,
    numPartitions: -1,
    replicationFactor: -1,
    configs: [],
  }
}
