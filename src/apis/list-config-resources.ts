import { ListConfigResources } from '../../protocol/apis/list-config-resources.ts'
import { errorCodes } from '../../protocol/errors.ts'
import { KafkaError } from '../errors.ts'
import { resourceTypes } from './config-sources.ts'
import { defineHandler, type Context } from './handler.ts'

/** The order in which Kafka lists them. */
const listed: readonly number[] = [
  resourceTypes.TOPIC,
  resourceTypes.BROKER,
  resourceTypes.BROKER_LOGGER,
  resourceTypes.CLIENT_METRICS,
  resourceTypes.GROUP,
]

/** Lists what has configs: all topics and brokers, and the groups and client metrics for which some were set. */
export const listConfigResources = defineHandler({
  api: ListConfigResources,
  versions: '0-1',

  handle(request, context) {
    context.authorize('DESCRIBE_CONFIGS', 'CLUSTER', 'kafka-cluster')
    const types = context.apiVersion === 0 ? [resourceTypes.CLIENT_METRICS] : request.resourceTypes
    const stranger = types.find((type) => !listed.includes(type))
    if (stranger !== undefined)
      throw new KafkaError('UNSUPPORTED_VERSION', `got resource type ${stranger}, expected ${listed.join(', ')}`)
    const wanted = types.length === 0 ? listed : listed.filter((type) => types.includes(type))
    const configResources = wanted.flatMap((resourceType) =>
      namesOf(resourceType, context).map((resourceName) => ({ resourceName, resourceType })),
    )
    return { throttleTimeMs: 0, errorCode: errorCodes.NONE, configResources }
  },
})

function namesOf(resourceType: number, { broker }: Context): string[] {
  const { image } = broker.metadata
  switch (resourceType) {
    case resourceTypes.TOPIC:
      return [...image.topics.keys()]
    case resourceTypes.BROKER:
    case resourceTypes.BROKER_LOGGER:
      return broker.endpoints().map(({ nodeId }) => String(nodeId))
    case resourceTypes.CLIENT_METRICS:
      return [...image.clientMetricsConfigs.keys()]
    default:
      return [...image.groupConfigs.keys()]
  }
}
