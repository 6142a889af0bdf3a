/** The broker's configuration as the code reads it. */
import { brokerConfigRow, brokerConfigs, typedBrokerConfigs } from './broker-configs.ts'
import { expectation, parseValue, propertyName, shownText, textOf } from './config-table.ts'
import type { ConfigRow, ConfigValue, ValuesOf } from './config-table.ts'
import { topicDefaultsOf } from './topic-config.ts'
import type { TopicConfig } from './topic-config.ts'

/**
 * Every config of `typedBrokerConfigs` by its camelCase name, our own without their prefix, and what follows from them.
 */
export interface BrokerConfig extends ValuesOf<typeof typedBrokerConfigs> {
  /** What was set at the start, as text: the rest are defaults. */
  readonly explicit: ReadonlyMap<string, string>
  /** `explicit`, and over it what was set while the broker runs. */
  readonly inForce: ReadonlyMap<string, string>
  /** The configs of a topic that sets none. */
  readonly topicDefaults: TopicConfig
}

/** A wrong value. `expected` completes "expected ...". */
export interface ConfigError {
  readonly key: string
  readonly value: string
  readonly expected: string
  /** Where it was set: `--port`, `KAFKA_NUM_PARTITIONS`, `server.properties`. */
  readonly source?: string
}

export type BrokerConfigResult =
  { readonly ok: true; readonly config: BrokerConfig } | { readonly ok: false; readonly errors: readonly ConfigError[] }

/**
 * Types and checks the values. Names that no table has are ignored; the caller decides whether that is worth a word.
 */
export function brokerConfigOf(values: ReadonlyMap<string, string>): BrokerConfigResult {
  const errors: ConfigError[] = []
  const explicit = new Map<string, string>()
  const typed: Record<string, ConfigValue> = {}
  for (const [name, row] of Object.entries<ConfigRow>(typedBrokerConfigs)) typed[propertyName(name)] = row.default
  for (const [name, text] of values) {
    const row = brokerConfigRow(name)
    if (!row) continue
    const parsed = parseValue(name, row, text)
    if (!parsed.ok) errors.push({ key: name, value: shownText(row, text), expected: expectation(row) })
    else if (Object.hasOwn(typedBrokerConfigs, name)) typed[propertyName(name)] = parsed.value
    explicit.set(name, text.trim())
  }
  errors.push(...conflicts(explicit))
  if (errors.length > 0) return { ok: false, errors }
  if (!explicit.has('node.id') && explicit.has('broker.id')) typed['nodeId'] = Number(explicit.get('broker.id'))
  const topicDefaults = topicDefaultsOf(explicit, typed['memoryBudgetBytes'] as bigint)
  const config = { ...typed, explicit, inForce: explicit, topicDefaults }
  return { ok: true, config: config as unknown as BrokerConfig }
}

/**
 * The configuration with values that were set while the broker runs, the strongest last. They were checked when they
 * were set; one that no longer parses (a log written by a newer version) counts as not set.
 */
export function withDynamicConfigs(
  config: BrokerConfig,
  dynamic: readonly (ReadonlyMap<string, string> | undefined)[],
): BrokerConfig {
  const values = new Map(config.explicit)
  for (const [name, text] of dynamic.flatMap((layer) => [...(layer ?? [])])) {
    const row = brokerConfigRow(name)
    if (row && parseValue(name, row, text).ok) values.set(name, text)
  }
  const result = brokerConfigOf(values)
  return result.ok ? { ...result.config, explicit: config.explicit } : config
}

/** The configuration of a broker that sets nothing, for tests and embedded brokers. */
export function defaultBrokerConfig(): BrokerConfig {
  const result = brokerConfigOf(new Map())
  if (!result.ok) throw new Error('the default configuration is not valid')
  return result.config
}

/** Rules of Kafka that a range can't say. */
function conflicts(explicit: ReadonlyMap<string, string>): ConfigError[] {
  const errors: ConfigError[] = []
  for (const key of ['log.retention.ms', 'log.retention.minutes', 'log.retention.hours']) {
    const value = explicit.get(key)
    if (value !== undefined && /^[+-]?0+$/.test(value))
      errors.push({ key, value, expected: '-1 (unlimited), or 1 or more' })
  }
  const brokerId = explicit.get('broker.id')
  const nodeId = explicit.get('node.id')
  if (brokerId !== undefined && nodeId !== undefined && brokerId !== nodeId)
    errors.push({ key: 'broker.id', value: brokerId, expected: `the value of node.id (${nodeId}), or nothing` })
  return errors
}

/** The sentence a person reads. */
export function configErrorText(error: ConfigError): string {
  const from = error.source === undefined || error.source === error.key ? '' : ` (from ${error.source})`
  return `${error.key}=${error.value}${from}: expected ${error.expected}`
}

/** The value of a broker config as Kafka prints it; null where it is not set and has no default, or is a secret. */
export function brokerConfigText(name: string, config: BrokerConfig): string | null {
  const row = brokerConfigs[name]
  if (!row || row.type === 'PASSWORD') return null
  const text = config.explicit.get(name)
  if (text !== undefined) return text
  return row.default === null ? null : textOf(row.type, row.default)
}
