/** Where configs get their values from, as DescribeConfigs and CreateTopics show them. */
import { brokerConfigText, type BrokerConfig } from '../config/broker-config.ts'
import { brokerConfigs } from '../config/broker-configs.ts'
import { textOf, type ConfigRow, type ConfigType } from '../config/config-table.ts'
import { inheritedValue, topicConfigText } from '../config/topic-config.ts'
import { topicConfigs } from '../config/topic-configs.ts'

export const configSources = {
  TOPIC: 1,
  BROKER: 2,
  CLUSTER_DEFAULT: 3,
  STATIC_BROKER: 4,
  DEFAULT: 5,
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

/** Every config of a topic, in order of their names. */
export function describeTopicConfigs(overrides: ReadonlyMap<string, string>, broker: BrokerConfig): DescribedConfig[] {
  return Object.keys(topicConfigs)
    .toSorted()
    .filter((name) => topicConfigText(name, overrides, broker) !== null)
    .map((name) => describeTopicConfig(name, overrides, broker))
}

function describeTopicConfig(
  name: string,
  overrides: ReadonlyMap<string, string>,
  broker: BrokerConfig,
): DescribedConfig {
  const row: ConfigRow = topicConfigs[name as keyof typeof topicConfigs]
  const synonyms: Synonym[] = []
  const override = overrides.get(name)
  if (override !== undefined) synonyms.push({ name, value: override, source: configSources.TOPIC })
  const inherited = inheritedValue(name, broker.explicit)
  if (inherited.from !== undefined)
    synonyms.push({
      name: inherited.from,
      value: broker.explicit.get(inherited.from)!,
      source: configSources.STATIC_BROKER,
    })
  const defaultValue = row.default === null ? null : textOf(row.type, row.default)
  synonyms.push({ name: row.synonyms?.[0] ?? name, value: defaultValue, source: configSources.DEFAULT })
  return described(name, row, topicConfigText(name, overrides, broker), synonyms)
}

/** Every config of a broker, in order of their names. Dynamic ones are `perBroker` and `clusterWide`. */
export function describeBrokerConfigs(
  broker: BrokerConfig,
  dynamic: { readonly perBroker: ReadonlyMap<string, string>; readonly clusterWide: ReadonlyMap<string, string> },
): DescribedConfig[] {
  return Object.keys(brokerConfigs)
    .toSorted()
    .map((name) => {
      const row: ConfigRow = brokerConfigs[name]!
      const isSensitive = row.type === 'PASSWORD'
      const layers = [
        { source: configSources.BROKER, value: dynamic.perBroker.get(name) },
        { source: configSources.CLUSTER_DEFAULT, value: dynamic.clusterWide.get(name) },
        { source: configSources.STATIC_BROKER, value: broker.explicit.get(name) },
        { source: configSources.DEFAULT, value: row.default === null ? undefined : textOf(row.type, row.default) },
      ]
      const synonyms = layers
        .filter((layer) => layer.value !== undefined)
        .map(({ source, value }) => ({ name, value: isSensitive ? null : value!, source }))
      const value = synonyms[0] ? synonyms[0].value : brokerConfigText(name, broker)
      return described(name, row, value, synonyms)
    })
}

/** The cluster-wide dynamic configs alone: what the resource '' shows. */
export function describeClusterDefaults(clusterWide: ReadonlyMap<string, string>): DescribedConfig[] {
  return [...clusterWide]
    .toSorted(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, text]) => {
      const row: ConfigRow = brokerConfigs[name] ?? { type: 'STRING', default: null }
      const value = row.type === 'PASSWORD' ? null : text
      return described(name, row, value, [{ name, value, source: configSources.CLUSTER_DEFAULT }])
    })
}

function described(name: string, row: ConfigRow, value: string | null, synonyms: readonly Synonym[]): DescribedConfig {
  const isSensitive = row.type === 'PASSWORD'
  return {
    name,
    value: isSensitive ? null : value,
    readOnly: isBrokerRow(name, row) && (row.update ?? 'read-only') === 'read-only',
    configSource: synonyms[0]?.source ?? configSources.DEFAULT,
    isSensitive,
    synonyms,
    configType: configTypeCodes[row.type],
    documentation: row.doc ?? null,
  }
}

/** Topic configs can always be changed; rows of brokers say whether they can. */
function isBrokerRow(name: string, row: ConfigRow): boolean {
  return brokerConfigs[name] === row
}
