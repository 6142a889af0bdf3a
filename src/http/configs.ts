/** Configs of topics, of brokers, and of all brokers together, in Confluent's REST v3 shapes. */
import type { FastifyInstance, FastifyRequest } from 'fastify'
import { DescribeConfigs } from '../../protocol/apis/describe-configs.ts'
import { IncrementalAlterConfigs } from '../../protocol/apis/incremental-alter-configs.ts'
import type { ResponseOf } from '../../protocol/schema.ts'
import { resourceTypes } from '../metadata/image.ts'
import { findBroker } from './brokers.ts'
import { HttpError } from './errors.ts'
import { ask, checkAnswer } from './kafka.ts'
import type { HttpParts } from './parts.ts'
import { checkCluster, clusterPath, listOf, metadataOf, urlOf } from './routes.ts'
import { findTopic, sortedTopics } from './topics.ts'

type Config = ResponseOf<typeof DescribeConfigs>['results'][number]['configs'][number]

interface Params {
  readonly clusterId: string
  readonly topic?: string
  readonly broker?: string
  readonly name: string
}
interface Alteration {
  readonly name: string
  readonly value?: string | null
  readonly operation?: 'SET' | 'DELETE'
}
interface AlterBody {
  readonly data: readonly Alteration[]
  readonly validate_only?: boolean
}

/** Kafka's numbers for who set a value, by name. */
const sourceNames: Readonly<Record<number, string>> = {
  1: 'DYNAMIC_TOPIC_CONFIG',
  2: 'DYNAMIC_BROKER_CONFIG',
  3: 'DYNAMIC_DEFAULT_BROKER_CONFIG',
  4: 'STATIC_BROKER_CONFIG',
  5: 'DEFAULT_CONFIG',
  6: 'DYNAMIC_BROKER_LOGGER_CONFIG',
  7: 'DYNAMIC_CLIENT_METRICS_CONFIG',
  8: 'DYNAMIC_GROUP_CONFIG',
}
const defaultSource = 5
const operations = { SET: 0, DELETE: 1 } as const

/** What has configs: where it is found, and how its configs are shown. */
interface Kind {
  /** Below the cluster. */
  readonly path: string
  readonly resourceType: number
  readonly kind: string
  /** Throws for one that is not there. */
  check(parts: HttpParts, resource: string): void
  /** Path segments of one of them. */
  segments(resource: string): readonly string[]
  /** The fields that name it. */
  fields(resource: string): object
}

const kinds: readonly Kind[] = [
  {
    path: '/topics/:topic/configs',
    resourceType: resourceTypes.topic,
    kind: 'KafkaTopicConfig',
    check: (parts, topic) => void findTopic(parts, topic),
    segments: (topic) => ['topics', topic, 'configs'],
    fields: (topic) => ({ topic_name: topic }),
  },
  {
    path: '/brokers/:broker/configs',
    resourceType: resourceTypes.broker,
    kind: 'KafkaBrokerConfig',
    check: (parts, broker) => void findBroker(parts, Number(broker), broker),
    segments: (broker) => ['brokers', broker, 'configs'],
    fields: (broker) => ({ broker_id: Number(broker) }),
  },
  {
    path: '/broker-configs',
    resourceType: resourceTypes.broker,
    kind: 'KafkaClusterConfig',
    check: () => undefined,
    segments: () => ['broker-configs'],
    fields: () => ({ config_type: 'BROKER' }),
  },
]

const valueSchema = {
  body: { type: 'object', required: ['value'], properties: { value: { type: ['string', 'null'] } } },
} as const
const alterSchema = {
  body: {
    type: 'object',
    required: ['data'],
    properties: {
      data: {
        type: 'array',
        items: {
          type: 'object',
          required: ['name'],
          properties: {
            name: { type: 'string', minLength: 1 },
            value: { type: ['string', 'null'] },
            operation: { type: 'string', enum: ['SET', 'DELETE'], default: 'SET' },
          },
        },
      },
      validate_only: { type: 'boolean', default: false },
    },
  },
} as const

export function addConfigRoutes(app: FastifyInstance, parts: HttpParts): void {
  addAllTopicConfigs(app, parts)
  for (const kind of kinds) {
    addReads(app, parts, kind)
    addWrites(app, parts, kind)
  }
}

/** `-` stands for all topics. */
function addAllTopicConfigs(app: FastifyInstance, parts: HttpParts): void {
  const [topicKind] = kinds
  app.get<{ Params: { clusterId: string } }>(`${clusterPath}/topics/-/configs`, async (request) => {
    const { clusterId } = request.params
    checkCluster(parts, clusterId)
    const data: object[] = []
    for (const { name } of sortedTopics(parts)) {
      const configs = await describe(parts, topicKind!, name)
      data.push(
        ...configs.map((config) => configData(request, { clusterId, resource: name, kind: topicKind! }, config)),
      )
    }
    return listOf('KafkaTopicConfigList', urlOf(request, clusterId, 'topics', '-', 'configs'), data)
  })
}

function addReads(app: FastifyInstance, parts: HttpParts, kind: Kind): void {
  app.get<{ Params: Params }>(`${clusterPath}${kind.path}`, async (request) => {
    const at = placeOf(parts, kind, request.params)
    const configs = await describe(parts, kind, at.resource)
    // Of what applies to all brokers only that is shown which somebody set: the rest is each broker's own.
    const shown =
      kind.kind === 'KafkaClusterConfig' ? configs.filter(({ configSource }) => configSource === 3) : configs
    const self = urlOf(request, at.clusterId, ...kind.segments(at.resource))
    return listOf(
      `${kind.kind}List`,
      self,
      shown.map((config) => configData(request, at, config)),
    )
  })

  app.get<{ Params: Params }>(`${clusterPath}${kind.path}/:name`, async (request) => {
    const at = placeOf(parts, kind, request.params)
    return configData(request, at, await find(parts, at, request.params.name))
  })
}

function addWrites(app: FastifyInstance, parts: HttpParts, kind: Kind): void {
  app.put<{ Params: Params; Body: { value: string | null } }>(
    `${clusterPath}${kind.path}/:name`,
    { schema: valueSchema },
    async (request, reply) => {
      const at = placeOf(parts, kind, request.params)
      await alter(parts, at, { data: [{ name: request.params.name, value: request.body.value }] })
      return reply.status(204).send()
    },
  )

  app.delete<{ Params: Params }>(`${clusterPath}${kind.path}/:name`, async (request, reply) => {
    const at = placeOf(parts, kind, request.params)
    await find(parts, at, request.params.name)
    await alter(parts, at, { data: [{ name: request.params.name, operation: 'DELETE' }] })
    return reply.status(204).send()
  })

  app.post<{ Params: Params; Body: AlterBody }>(
    `${clusterPath}${kind.path}::alter`, // a doubled colon is a colon, not a parameter
    { schema: alterSchema },
    async (request, reply) => {
      await alter(parts, placeOf(parts, kind, request.params), request.body)
      return reply.status(204).send()
    },
  )
}

interface Place {
  readonly clusterId: string
  /** Empty for all brokers together. */
  readonly resource: string
  readonly kind: Kind
}

function placeOf(parts: HttpParts, kind: Kind, { clusterId, topic, broker }: Params): Place {
  checkCluster(parts, clusterId)
  const resource = topic ?? broker ?? ''
  kind.check(parts, resource)
  return { clusterId, resource, kind }
}

async function describe(parts: HttpParts, { resourceType }: Kind, resource: string): Promise<readonly Config[]> {
  const { results } = await ask(parts, DescribeConfigs, {
    resources: [{ resourceType, resourceName: resource, configurationKeys: null }],
    includeSynonyms: true,
  })
  const [result] = results
  checkAnswer(result!)
  return result!.configs
}

async function find(parts: HttpParts, { kind, resource }: Place, name: string): Promise<Config> {
  const found = (await describe(parts, kind, resource)).find((config) => config.name === name)
  if (found) return found
  throw new HttpError(404, 404, `there is no config ${name} here`)
}

async function alter(parts: HttpParts, { kind, resource }: Place, body: AlterBody): Promise<void> {
  const configs = body.data.map(({ name, value = null, operation = 'SET' }) => ({
    name,
    configOperation: operations[operation],
    value: operation === 'SET' ? value : null,
  }))
  const { resourceType } = kind
  const { responses } = await ask(parts, IncrementalAlterConfigs, {
    resources: [{ resourceType, resourceName: resource, configs }],
    validateOnly: body.validate_only ?? false,
  })
  checkAnswer(responses[0]!)
}

function configData(request: FastifyRequest, { clusterId, resource, kind }: Place, config: Config): object {
  const { name, value, readOnly, isSensitive, configSource, synonyms } = config
  return {
    kind: kind.kind,
    metadata: metadataOf(urlOf(request, clusterId, ...kind.segments(resource), name), null),
    cluster_id: clusterId,
    ...kind.fields(resource),
    name,
    value,
    is_default: configSource === defaultSource,
    is_read_only: readOnly,
    is_sensitive: isSensitive,
    source: sourceNames[configSource] ?? 'UNKNOWN',
    synonyms: synonyms.map((synonym) => ({
      name: synonym.name,
      value: synonym.value,
      source: sourceNames[synonym.source] ?? 'UNKNOWN',
    })),
  }
}
