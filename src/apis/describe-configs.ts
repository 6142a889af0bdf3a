import { DescribeConfigs } from '../../protocol/apis/describe-configs.ts'
import { errorCodes } from '../../protocol/errors.ts'
import type { RequestOf, ResponseInput } from '../../protocol/schema.ts'
import { KafkaError } from '../errors.ts'
import { findNameError } from '../topics/topic-names.ts'
import {
  describeBrokerConfigs,
  describeClusterDefaults,
  describeTopicConfigs,
  resourceTypes,
  type DescribedConfig,
} from './config-sources.ts'
import { defineHandler, type Context } from './handler.ts'

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
    return describeTopicConfigs(topic.image.configs, broker.config)
  }
  context.authorize('DESCRIBE_CONFIGS', 'CLUSTER', 'kafka-cluster')
  if (resourceType === resourceTypes.BROKER) {
    const { brokerConfigs } = broker.metadata.image
    const clusterWide = brokerConfigs.get('') ?? new Map<string, string>()
    if (resourceName === '') return describeClusterDefaults(clusterWide)
    if (!broker.endpoints().some(({ nodeId }) => String(nodeId) === resourceName))
      throw new KafkaError(
        'INVALID_REQUEST',
        `Unexpected broker id, expected ${broker.nodeId} or empty string, but received ${resourceName}`,
      )
    return describeBrokerConfigs(broker.config, {
      perBroker: brokerConfigs.get(resourceName) ?? new Map(),
      clusterWide,
    })
  }
  if (resourceType === resourceTypes.CLIENT_METRICS || resourceType === resourceTypes.GROUP) return []
  throw new KafkaError('INVALID_REQUEST', `configs of resource type ${resourceType} are not described here`)
}

function refusal({ resourceType, resourceName }: Resource, { errorCode, message }: KafkaError): Result {
  return { errorCode, errorMessage: message, resourceType, resourceName, configs: [] }
}
