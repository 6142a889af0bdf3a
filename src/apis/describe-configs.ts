import { DescribeConfigs } from '../../protocol/apis/describe-configs.ts'
import { errorCodes } from '../../protocol/errors.ts'
import type { RequestOf, ResponseInput } from '../../protocol/schema.ts'
import { KafkaError } from '../errors.ts'
import { findNameError } from '../topics/topic-names.ts'
import { describeLoggers } from './broker-loggers.ts'
import { layersOf } from './config-layers.ts'
import {
  describeBrokerConfigs,
  describeClientMetrics,
  describeClusterDefaults,
  describeGroupConfigs,
  describeTopicConfigs,
  resourceTypes,
  type DescribedConfig,
} from './config-sources.ts'
import { defineHandler, type BrokerParts, type Context } from './handler.ts'

type Request = RequestOf<typeof DescribeConfigs>
type Resource = Request['resources'][number]
type Result = ResponseInput<typeof DescribeConfigs>['results'][number]

/** Describes configs with their sources. */
export const describeConfigs = defineHandler({
  api: DescribeConfigs,
  versions: '1-4',

  handle(request, context) {
    return { throttleTimeMs: 0, results: request.resources.map((resource) => answer(resource, request, context)) }
  },

  fail(request, error) {
    return { throttleTimeMs: 0, results: request.resources.map((resource) => refusal(resource, error)) }
  },
})

function answer(resource: Resource, request: Request, context: Context): Result {
  try {
    const { resourceType, resourceName, configurationKeys } = resource
    const keys = configurationKeys && configurationKeys.length > 0 ? new Set(configurationKeys) : undefined
    const configs = describe(resource, context).filter(({ name }) => keys === undefined || keys.has(name))
    return {
      errorCode: errorCodes.NONE,
      errorMessage: null,
      resourceType,
      resourceName,
      configs: configs.map((config) => ({
        ...config,
        synonyms: request.includeSynonyms ? config.synonyms : [],
        documentation: request.includeDocumentation ? config.documentation : null,
      })),
    }
  } catch (error) {
    if (!(error instanceof KafkaError)) throw error
    return refusal(resource, error)
  }
}

function describe({ resourceType, resourceName }: Resource, context: Context): DescribedConfig[] {
  const { broker } = context
  if (resourceType === resourceTypes.TOPIC) {
    context.authorize('DESCRIBE_CONFIGS', 'TOPIC', resourceName)
    const wrong = findNameError(resourceName)
    if (wrong !== undefined) throw new KafkaError('INVALID_TOPIC_EXCEPTION', wrong)
    const topic = broker.topics.find(resourceName)
    if (!topic) throw new KafkaError('UNKNOWN_TOPIC_OR_PARTITION')
    return describeTopicConfigs(topic.image.configs, layersOf(broker), broker.topics.brokerConfig)
  }
  if (resourceType === resourceTypes.GROUP) {
    context.authorize('DESCRIBE_CONFIGS', 'GROUP', resourceName)
    if (resourceName === '') throw new KafkaError('INVALID_REQUEST', 'got an empty group id')
    return describeGroupConfigs(broker.metadata.image.groupConfigs.get(resourceName) ?? new Map(), layersOf(broker))
  }
  context.authorize('DESCRIBE_CONFIGS', 'CLUSTER', 'kafka-cluster')
  if (resourceType === resourceTypes.BROKER) {
    if (resourceName === '') return describeClusterDefaults(layersOf(broker).clusterWide)
    checkBrokerId(resourceName, broker)
    return describeBrokerConfigs(layersOf(broker, resourceName))
  }
  if (resourceType === resourceTypes.CLIENT_METRICS) {
    if (resourceName === '')
      throw new KafkaError('INVALID_REQUEST', 'got an empty name of a client metrics subscription')
    return describeClientMetrics(broker.metadata.image.clientMetricsConfigs.get(resourceName) ?? new Map())
  }
  if (resourceType === resourceTypes.BROKER_LOGGER) return describeLoggers(resourceName, broker)
  throw new KafkaError('INVALID_REQUEST', `configs of resource type ${resourceType} are not described here`)
}

function checkBrokerId(text: string, broker: BrokerParts): void {
  if (broker.endpoints().some(({ nodeId }) => String(nodeId) === text)) return
  throw new KafkaError(
    'INVALID_REQUEST',
    `Unexpected broker id, expected ${broker.nodeId} or empty string, but received ${text}`,
  )
}

function refusal({ resourceType, resourceName }: Resource, { errorCode, message }: KafkaError): Result {
  return { errorCode, errorMessage: message, resourceType, resourceName, configs: [] }
}
