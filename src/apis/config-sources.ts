/** Where configs get their values from, as DescribeConfigs and CreateTopics show them. */
import type { BrokerConfig } from '../config/broker-config.ts'
import { brokerConfigRow, brokerConfigs } from '../config/broker-configs.ts'
import { clientMetricsConfigs } from '../config/client-metrics-configs.ts'
import { textOf, type ConfigRow, type ConfigTable, type ConfigType } from '../config/config-table.ts'
import { groupConfigs } from '../config/group-configs.ts'
import { topicConfigText } from '../config/topic-config.ts'
import { topicConfigs } from '../config/topic-configs.ts'

export const configSources = {
  TOPIC: 1,
  BROKER: 2,
  CLUSTER_DEFAULT: 3,
  STATIC_BROKER: 4,
  DEFAULT: 5,
  BROKER_LOGGER: 6,
  CLIENT_METRICS: 7,
  GROUP: 8,
} as const

export const resourceTypes = { TOPIC: 2, BROKER: 4, BROKER_LOGGER: 8, CLIENT_METRICS: 16, GROUP: 32 } as const

const configTypeCodes: Record<ConfigType, number> = {
  BOOLEAN: 1,
  STRING: 2,
  INT: 3,
  SHORT: 4,
  LONG: 5,
  DOUBLE: 6,
  LIST: 7,
  CLASS: 8,
  PASSWORD: 9,
}

const unknownType = 0

export interface Synonym {
  readonly name: string
  readonly value: string | null
  readonly source: number
}

export interface DescribedConfig {
  readonly name: string
  readonly value: string | null
  readonly readOnly: boolean
  readonly configSource: number
  readonly isSensitive: boolean
  /** The strongest first; the first is the value itself. */
  readonly synonyms: readonly Synonym[]
  readonly configType: number
  readonly documentation: string | null
}

/** What a broker config can get its value from, besides its default. */
export interface BrokerLayers {
  /** Set while the broker runs: for it alone, and for all. */
  readonly perBroker: ReadonlyMap<string, string>
  readonly clusterWide: ReadonlyMap<string, string>
  /** Set at the start. */
  readonly explicit: ReadonlyMap<string, string>
}

/** Names that stand for the same broker config; the first that is set wins. */
const sameConfigs: readonly (readonly string[])[] = [
  ['log.roll.ms', 'log.roll.hours'],
  ['log.roll.jitter.ms', 'log.roll.jitter.hours'],
  ['log.retention.ms', 'log.retention.minutes', 'log.retention.hours'],
]
const flushNames = ['log.flush.interval.ms', 'log.flush.scheduler.interval.ms']

function namesOf(name: string): readonly string[] {
  if (name === flushNames[0]) return flushNames
  return sameConfigs.find((names) => names.includes(name)) ?? [name]
}

/** As in Kafka: all layers of all names, from where the name itself first has a value. */
function brokerSynonyms(name: string, { perBroker, clusterWide, explicit }: BrokerLayers): Synonym[] {
  const layers: readonly (readonly [source: number, valueOf: (name: string) => string | undefined])[] = [
    [configSources.BROKER, (one) => perBroker.get(one)],
    [configSources.CLUSTER_DEFAULT, (one) => clusterWide.get(one)],
    [configSources.STATIC_BROKER, (one) => explicit.get(one)],
    [configSources.DEFAULT, defaultText],
  ]
  const synonyms = layers.flatMap(([source, valueOf]) =>
    namesOf(name).flatMap((one) => {
      const value = valueOf(one)
      return value === undefined ? [] : [{ name: one, value: isSecret(one) ? null : value, source }]
    }),
  )
  const first = synonyms.findIndex((synonym) => synonym.name === name)
  return first === -1 ? [] : synonyms.slice(first)
}

function defaultText(name: string): string | undefined {
  const row = brokerConfigRow(name)
  return row && row.default !== null ? textOf(row.type, row.default) : undefined
}

function isSecret(name: string): boolean {
  return brokerConfigRow(name)?.type === 'PASSWORD'
}

/** Every config of a topic, in order of their names. `inForce` has the values that topics inherit. */
export function describeTopicConfigs(
  overrides: ReadonlyMap<string, string>,
  layers: BrokerLayers,
  inForce: BrokerConfig,
): DescribedConfig[] {
  return namesIn(topicConfigs).map((name) => {
    const value = topicConfigText(name, overrides, inForce)
    const row: ConfigRow = topicConfigs[name as keyof typeof topicConfigs]
    const inherited = row.synonyms ? brokerSynonyms(row.synonyms[0]!, layers) : []
    const own = overrides.get(name)
    const synonyms = own === undefined ? inherited : [{ name, value: own, source: configSources.TOPIC }, ...inherited]
    return described(name, row, value, synonyms)
  })
}

/**
 * The source of a topic config as CreateTopics answers it. Unlike DescribeConfigs, Kafka looks at every name of the
 * broker config there.
 */
export function sourceAtCreation(name: string, overrides: ReadonlyMap<string, string>, layers: BrokerLayers): number {
  if (overrides.has(name)) return configSources.TOPIC
  const row: ConfigRow = topicConfigs[name as keyof typeof topicConfigs]
  const isSetIn = (values: ReadonlyMap<string, string>): boolean =>
    row.synonyms?.some((synonym) => values.has(synonym)) ?? false
  if (isSetIn(layers.perBroker)) return configSources.BROKER
  if (isSetIn(layers.clusterWide)) return configSources.CLUSTER_DEFAULT
  return isSetIn(layers.explicit) ? configSources.STATIC_BROKER : configSources.DEFAULT
}

/** Every config of a broker, in order of their names. */
export function describeBrokerConfigs(layers: BrokerLayers): DescribedConfig[] {
  return namesIn(brokerConfigs).map((name) => {
    const row = brokerConfigs[name]!
    const synonyms = brokerSynonyms(name, layers)
    const value = synonyms[0] ? synonyms[0].value : (defaultText(name) ?? null)
    return { ...described(name, row, value, synonyms), readOnly: (row.update ?? 'read-only') === 'read-only' }
  })
}

/** The cluster-wide dynamic configs alone: what the resource '' shows. */
export function describeClusterDefaults(clusterWide: ReadonlyMap<string, string>): DescribedConfig[] {
  return describeOverrides(clusterWide, brokerConfigs, configSources.CLUSTER_DEFAULT)
}

/** Every config of a group. Those that it does not set come from the broker. */
export function describeGroupConfigs(overrides: ReadonlyMap<string, string>, layers: BrokerLayers): DescribedConfig[] {
  return namesIn(groupConfigs).map((name) => {
    const row: ConfigRow = groupConfigs[name as keyof typeof groupConfigs]
    const defaultValue = row.default === null ? null : textOf(row.type, row.default)
    const inherited = Object.hasOwn(brokerConfigs, `group.${name}`)
      ? brokerSynonyms(`group.${name}`, layers)
      : [{ name, value: defaultValue, source: configSources.DEFAULT }]
    const own = overrides.get(name)
    const synonyms = own === undefined ? inherited : [{ name, value: own, source: configSources.GROUP }, ...inherited]
    const value = synonyms[0]?.value ?? defaultValue
    return described(name, row, value, synonyms)
  })
}

/** What a client metrics subscription sets, and the defaults of the rest. */
export function describeClientMetrics(overrides: ReadonlyMap<string, string>): DescribedConfig[] {
  return namesIn(clientMetricsConfigs).map((name) => {
    const row: ConfigRow = clientMetricsConfigs[name as keyof typeof clientMetricsConfigs]
    const own = overrides.get(name)
    if (own === undefined) return described(name, row, textOf(row.type, row.default), [])
    return described(name, row, own, [{ name, value: own, source: configSources.CLIENT_METRICS }])
  })
}

function describeOverrides(
  overrides: ReadonlyMap<string, string>,
  table: ConfigTable,
  source: number,
): DescribedConfig[] {
  return [...overrides.keys()].toSorted().map((name) => {
    const row = table[name]
    const value = row && row.type !== 'PASSWORD' ? overrides.get(name)! : null
    const synonyms = [{ name, value, source }]
    if (row) return described(name, row, value, synonyms)
    // Of a plugin, as far as Kafka knows: perhaps a secret.
    const unknown = described(name, { type: 'PASSWORD', default: null }, value, synonyms)
    return { ...unknown, readOnly: true, configType: unknownType }
  })
}

function namesIn(table: ConfigTable): string[] {
  return Object.keys(table).toSorted()
}

function described(name: string, row: ConfigRow, value: string | null, synonyms: readonly Synonym[]): DescribedConfig {
  const isSensitive = row.type === 'PASSWORD'
  return {
    name,
    value: isSensitive ? null : value,
    readOnly: false,
    configSource: synonyms[0]?.source ?? configSources.DEFAULT,
    isSensitive,
    synonyms,
    configType: configTypeCodes[row.type],
    documentation: row.doc ?? null,
  }
}
