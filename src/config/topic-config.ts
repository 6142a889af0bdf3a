/** The configs of one topic as the code reads them, from its overrides and the broker's defaults. */
import type { LogConfig } from '../../storage/log-store.ts'
import type { BrokerConfig } from './broker-config.ts'
import { brokerConfigRow } from './broker-configs.ts'
import { parseValue, propertyName, textOf } from './config-table.ts'
import type { ConfigRow, ConfigValue, ValuesOf } from './config-table.ts'
import { topicConfigs } from './topic-configs.ts'

type TopicValues = Omit<ValuesOf<typeof topicConfigs>, 'cleanupPolicy'>

/** Every topic config by its camelCase name; what the log acts on has the form of `LogConfig`. */
export interface TopicConfig extends TopicValues, LogConfig {}

export function topicConfigRow(name: string): ConfigRow | undefined {
  return Object.hasOwn(topicConfigs, name) ? topicConfigs[name as keyof typeof topicConfigs] : undefined
}

/**
 * The typed configs of a topic. Overrides are text that was validated when it was stored; one that no longer parses, or
 * whose name is unknown (a log written by a newer version), counts as not set, so that its topic still opens.
 */
export function topicConfigOf(overrides: ReadonlyMap<string, string>, broker: BrokerConfig): TopicConfig {
  if (overrides.size === 0) return broker.topicDefaults
  const values: Record<string, ConfigValue> = {}
  for (const [name, row] of Object.entries<ConfigRow>(topicConfigs)) {
    const text = overrides.get(name)
    if (text === undefined) continue
    const parsed = parseValue(name, row, text)
    if (parsed.ok) values[propertyName(name)] = parsed.value
  }
  const cleanupPolicy = values['cleanupPolicy'] as readonly string[] | undefined
  return withLogForms({ ...broker.topicDefaults, ...values }, cleanupPolicy, broker.memoryBudgetBytes)
}

/** The configs of a topic without overrides, for a broker whose explicit configs and memory budget these are. */
export function topicDefaultsOf(explicit: ReadonlyMap<string, string>, memoryBudgetBytes: bigint): TopicConfig {
  const values: Record<string, ConfigValue> = {}
  for (const name of Object.keys(topicConfigs)) values[propertyName(name)] = inheritedValue(name, explicit).value
  return withLogForms(values, values['cleanupPolicy'] as readonly string[], memoryBudgetBytes)
}

/**
 * The part of the memory budget that one decompressed batch may take, whatever its topic allows: Kafka's default is 2
 * GiB.
 */
const decompressedShare = 2n

/** Brings the configs that the log wants in another form into it. */
function withLogForms(
  values: object,
  cleanupPolicy: readonly string[] | undefined,
  memoryBudgetBytes: bigint,
): TopicConfig {
  const config = values as TopicConfig
  const decompressedMaxBytes = Number(memoryBudgetBytes / decompressedShare)
  return {
    ...config,
    maxDecompressedMessageBytes: Math.min(config.maxDecompressedMessageBytes, decompressedMaxBytes),
    cleanupPolicy: cleanupPolicy
      ? { compact: cleanupPolicy.includes('compact'), delete: cleanupPolicy.includes('delete') }
      : config.cleanupPolicy,
    compressionLevels: {
      gzip: config.compressionGzipLevel,
      lz4: config.compressionLz4Level,
      zstd: config.compressionZstdLevel,
    },
  }
}

/** What a topic config is when the topic does not set it, and the broker config that it came from, if any. */
export interface Inherited {
  readonly value: ConfigValue
  readonly from: string | undefined
}

export function inheritedValue(name: string, explicit: ReadonlyMap<string, string>): Inherited {
  const row: ConfigRow = topicConfigs[name as keyof typeof topicConfigs]
  for (const synonym of row.synonyms ?? []) {
    const text = explicit.get(synonym)
    const synonymRow = brokerConfigRow(synonym)
    if (text === undefined || synonymRow === undefined) continue
    const parsed = parseValue(synonym, synonymRow, text)
    if (parsed.ok) return { value: inUnitOf(row, synonym, parsed.value), from: synonym }
  }
  return { value: row.default, from: undefined }
}

const unitMs: Readonly<Record<string, bigint>> = { minutes: 60_000n, hours: 3_600_000n }

/**
 * Turns minutes and hours of a broker config into the milliseconds of the topic config. Less than nothing is "for
 * ever".
 */
function inUnitOf(row: ConfigRow, synonym: string, value: ConfigValue): ConfigValue {
  if (row.type !== 'LONG') return value
  const factor = unitMs[synonym.slice(synonym.lastIndexOf('.') + 1)] ?? 1n
  const scaled = BigInt(value as number | bigint) * factor
  return scaled < 0n && factor > 1n ? -1n : scaled
}

/** What is wrong with one override, in Kafka's words, or undefined. */
export function validateTopicConfig(name: string, value: string): string | undefined {
  const row = topicConfigRow(name)
  if (!row) return `Unknown topic config name: ${name}`
  const parsed = parseValue(name, row, value)
  return parsed.ok ? undefined : parsed.error
}

/** What is wrong with a topic's overrides, each and together, in Kafka's words, or undefined. */
export function validateTopicConfigs(overrides: ReadonlyMap<string, string>, broker: BrokerConfig): string | undefined {
  for (const [name, value] of overrides) {
    const wrong = validateTopicConfig(name, value)
    if (wrong !== undefined) return wrong
  }
  const { minCompactionLagMs, maxCompactionLagMs } = topicConfigOf(overrides, broker)
  if (minCompactionLagMs > maxCompactionLagMs)
    return (
      `conflict topic config setting min.compaction.lag.ms (${minCompactionLagMs}) > ` +
      `max.compaction.lag.ms (${maxCompactionLagMs})`
    )
  if (overrides.get('remote.storage.enable')?.trim().toLowerCase() === 'true')
    return 'Tiered Storage functionality is disabled in the broker. Topic cannot be configured with remote log storage.'
  return undefined
}

/** The value of a topic config as Kafka prints it: the override, or what the topic inherits. */
export function topicConfigText(
  name: string,
  overrides: ReadonlyMap<string, string>,
  broker: BrokerConfig,
): string | null {
  const override = overrides.get(name)
  if (override !== undefined) return override
  const { value } = inheritedValue(name, broker.inForce)
  return value === null ? null : textOf(topicConfigRow(name)!.type, value)
}
