/** What has configs that can be changed: topics, brokers, groups and client metrics subscriptions. */
import { ConfigRecord } from '../../protocol/state/metadata-records.ts'
import { zeroUuid } from '../../protocol/schema.ts'
import { brokerConfigText, type BrokerConfig } from '../config/broker-config.ts'
import { brokerConfigRow } from '../config/broker-configs.ts'
import { clientMetricsConfigs } from '../config/client-metrics-configs.ts'
import { parseValue, textOf, type ConfigRow, type ConfigTable } from '../config/config-table.ts'
import { groupConfigs } from '../config/group-configs.ts'
import { topicConfigRow, topicConfigText, validateTopicConfigs } from '../config/topic-config.ts'
import { KafkaError } from '../errors.ts'
import { isAlwaysSynced } from '../links/mirrored-configs.ts'
import { record, type MetadataImage, type MetadataRecord } from '../metadata/metadata-store.ts'
import { findNameError } from '../topics/topic-names.ts'
import type { Topic } from '../topics/topics.ts'
import { resourceTypes } from './config-sources.ts'
import { findTopic } from './find-topic.ts'
import type { Context } from './handler.ts'

export interface Resource {
  readonly resourceType: number
  readonly resourceName: string
}

export type Overrides = ReadonlyMap<string, string>
const noOverrides: Overrides = new Map()

/** One resource as it is now. */
export interface ConfigResource {
  readonly overrides: Overrides
  /** The row of a config, or undefined for a name that nothing here knows. */
  rowOf(name: string): ConfigRow | undefined
  /** What a config is when it is not set, as text. */
  inheritedText(name: string): string | null
  /** @throws KafkaError for overrides that it can't have. */
  check(after: Overrides): void
  /** Changes the overrides, durably. `next` gets those of the moment, so that none of two changes at a time is lost. */
  change(next: (now: Overrides) => Overrides): Promise<void>
}

/** @throws KafkaError for what is not there, and for what has no configs that can be changed. */
export function findConfigResource(resource: Resource, context: Context): ConfigResource {
  switch (resource.resourceType) {
    case resourceTypes.TOPIC:
      return topicResource(resource, context)
    case resourceTypes.BROKER:
      return brokerResource(resource, context)
    case resourceTypes.GROUP:
      return groupResource(resource, context)
    case resourceTypes.CLIENT_METRICS:
      return clientMetricsResource(resource, context)
    default:
      throw new KafkaError('INVALID_REQUEST', `got resource type ${resource.resourceType}, which has no configs`)
  }
}

function topicResource({ resourceName: name }: Resource, context: Context): ConfigResource {
  const { topics } = context.broker
  if (name === '') throw new KafkaError('INVALID_REQUEST', 'got an empty topic name')
  const wrong = findNameError(name)
  if (wrong !== undefined) throw new KafkaError('INVALID_TOPIC_EXCEPTION', wrong)
  const topic = findTopic(context, { name, topicId: zeroUuid, isById: false })
  context.authorize('ALTER_CONFIGS', 'TOPIC', name)
  return {
    overrides: topic.image.configs,
    rowOf: topicConfigRow,
    inheritedText: (config) => topicConfigText(config, new Map(), topics.brokerConfig),
    check(after) {
      const wrong = validateTopicConfigs(after, topics.brokerConfig)
      if (wrong !== undefined) throw new KafkaError('INVALID_CONFIG', wrong)
      checkMirror(topic, after)
    },
    change: (next) => topics.changeConfigs(topic.image.topicId, next),
  }
}

/** Some configs of a mirror always equal its source's. */
function checkMirror({ image, isReadOnly }: Topic, after: Overrides): void {
  if (!isReadOnly) return
  const names = new Set([...image.configs.keys(), ...after.keys()])
  const synced = [...names].filter((name) => isAlwaysSynced(name) && image.configs.get(name) !== after.get(name))
  if (synced.length > 0)
    throw new KafkaError(
      'INVALID_REQUEST',
      `Cannot modify mirror topic ${image.name} because '${synced.join(',')}' are set to always sync`,
    )
}

/** One broker, or '' for all. */
function brokerResource(resource: Resource, context: Context): ConfigResource {
  const { broker } = context
  const { resourceName: name } = resource
  context.authorize('ALTER_CONFIGS', 'CLUSTER', 'kafka-cluster')
  if (name !== '' && !broker.endpoints().some(({ nodeId }) => String(nodeId) === name))
    throw new KafkaError('INVALID_REQUEST', `got broker '${name}', expected the id of a broker or nothing for all`)
  const configsIn = (image: MetadataImage): Overrides => image.brokerConfigs.get(name) ?? noOverrides
  return {
    overrides: configsIn(broker.metadata.image),
    rowOf: brokerConfigRow,
    inheritedText: (config) => brokerConfigText(config, broker.topics.brokerConfig),
    check(after) {
      for (const [config, value] of after) {
        const row = brokerConfigRow(config)
        if (!row) continue // of a plugin, as far as Kafka knows
        checkUpdate(config, row, name)
        checkValue(config, row, value)
      }
    },
    change: (next) => change(resource, { configsIn, next }, context),
  }
}

function checkUpdate(config: string, { update = 'read-only' }: ConfigRow, brokerId: string): void {
  if (update === 'read-only')
    throw new KafkaError('INVALID_REQUEST', `Cannot update these configs dynamically: Set(${config})`)
  if (update === 'per-broker' && brokerId === '')
    throw new KafkaError(
      'INVALID_REQUEST',
      `Cannot update these configs at default cluster level, broker id must be specified: Set(${config})`,
    )
}

function checkValue(config: string, row: ConfigRow, value: string): void {
  const parsed = parseValue(config, row, value)
  if (!parsed.ok) throw new KafkaError('INVALID_REQUEST', parsed.error)
}

function groupResource(resource: Resource, context: Context): ConfigResource {
  const { broker } = context
  const { resourceName: groupId } = resource
  context.authorize('ALTER_CONFIGS', 'GROUP', groupId)
  if (groupId === '') throw new KafkaError('INVALID_REQUEST', 'the default group can have no configs of its own')
  const configsIn = (image: MetadataImage): Overrides => image.groupConfigs.get(groupId) ?? noOverrides
  return {
    overrides: configsIn(broker.metadata.image),
    rowOf: (name) => rowIn(groupConfigs, name),
    inheritedText: (name) => defaultTextIn(groupConfigs, name),
    check(after) {
      for (const [name, value] of after) {
        const row = rowIn(groupConfigs, name)
        if (!row) throw new KafkaError('INVALID_CONFIG', `Unknown group config name: ${name}`)
        const parsed = parseValue(name, row, value)
        if (!parsed.ok) throw new KafkaError('INVALID_CONFIG', parsed.error)
        checkGroupLimits(name, Number(value), broker.topics.brokerConfig)
      }
    },
    change: (next) => change(resource, { configsIn, next }, context),
  }
}

function clientMetricsResource(resource: Resource, context: Context): ConfigResource {
  const { broker } = context
  const { resourceName: name } = resource
  context.authorize('ALTER_CONFIGS', 'CLUSTER', 'kafka-cluster')
  if (name === '') throw new KafkaError('INVALID_REQUEST', 'a client metrics subscription needs a name')
  const configsIn = (image: MetadataImage): Overrides => image.clientMetricsConfigs.get(name) ?? noOverrides
  return {
    overrides: configsIn(broker.metadata.image),
    rowOf: () => undefined, // its lists are set as a whole, as in Kafka
    inheritedText: () => null,
    check: checkClientMetrics,
    change: (next) => change(resource, { configsIn, next }, context),
  }
}

/**
 * The broker bounds what a group may set: `group.consumer.min.session.timeout.ms` bounds `consumer.session.timeout.ms`.
 */
function checkGroupLimits(name: string, value: number, config: BrokerConfig): void {
  const [kind, ...rest] = name.split('.')
  const limitOf = (bound: string): number => {
    const text = brokerConfigText([`group.${kind}.${bound}`, ...rest].join('.'), config)
    return text === null ? Number.NaN : Number(text)
  }
  if (value < limitOf('min'))
    throw new KafkaError('INVALID_CONFIG', `${name} is ${value}, expected ${limitOf('min')} or more`)
  if (value > limitOf('max'))
    throw new KafkaError('INVALID_CONFIG', `${name} is ${value}, expected up to ${limitOf('max')}`)
}

const pushIntervalMinMs = 100
const pushIntervalMaxMs = 3_600_000
/** What a client can be matched by (KIP-714). */
const clientMatch =
  /^(?:client_id|client_instance_id|client_software_name|client_software_version|client_source_address|client_source_port)=.+$/

function checkClientMetrics(after: Overrides): void {
  for (const [name, value] of after) {
    const row = rowIn(clientMetricsConfigs, name)
    if (!row) throw new KafkaError('INVALID_REQUEST', `Unknown client metrics configuration: ${name}`)
    checkValue(name, row, value)
    const intervalMs = Number(value)
    if (name === 'interval.ms' && (intervalMs < pushIntervalMinMs || intervalMs > pushIntervalMaxMs))
      throw new KafkaError(
        'INVALID_REQUEST',
        `interval.ms is ${value}, expected ${pushIntervalMinMs} to ${pushIntervalMaxMs}`,
      )
    const stranger = name === 'match' && value.split(',').find((item) => item !== '' && !clientMatch.test(item.trim()))
    if (stranger) throw new KafkaError('INVALID_CONFIG', `Illegal client matching pattern: ${stranger}`)
  }
}

function rowIn(table: ConfigTable, name: string): ConfigRow | undefined {
  return Object.hasOwn(table, name) ? table[name] : undefined
}

function defaultTextIn(table: ConfigTable, name: string): string | null {
  const row = rowIn(table, name)
  return row && row.default !== null ? textOf(row.type, row.default) : null
}

/** How often a change is tried again because another one came in between. */
const attemptMaxCount = 100

async function change(
  resource: Resource,
  {
    configsIn,
    next,
  }: {
    readonly configsIn: (image: MetadataImage) => Overrides
    readonly next: (now: Overrides) => Overrides
  },
  { broker }: Context,
): Promise<void> {
  const { metadata } = broker
  for (let attempt = 1; ; attempt++) {
    const { image } = metadata
    const before = configsIn(image)
    const records = recordsOf(resource, before, next(before))
    if (records.length === 0) return
    const result = await metadata.append(records, { expectedOffset: image.offset })
    if (result.ok) return
    if (result.code !== 'CONFLICT' || attempt === attemptMaxCount)
      throw new KafkaError('KAFKA_STORAGE_ERROR', result.message)
  }
}

function recordsOf({ resourceType, resourceName }: Resource, before: Overrides, after: Overrides): MetadataRecord[] {
  return [...new Set([...before.keys(), ...after.keys()])].flatMap((name) => {
    const value = after.get(name) ?? null
    const isSame = value === (before.get(name) ?? null)
    return isSame ? [] : [record(ConfigRecord, { resourceType, resourceName, name, value })]
  })
}
