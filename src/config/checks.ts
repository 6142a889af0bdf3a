/** Checks of config values beyond type, range and list of values. Each returns what is wrong, as Kafka would say it. */
import type { ConfigValue } from './config-table.ts'

/** `compression.gzip.level`: zlib's default is -1, and 0 (stored) is not allowed. */
export function gzipLevel(value: ConfigValue): string | undefined {
  const level = value as number
  return level === -1 || (level >= 1 && level <= 9) ? undefined : 'Value must be between 1 and 9 or equal to -1'
}

/** `leader.replication.throttled.replicas` and its follower twin: nothing, `*`, or pairs of partition and broker. */
export function throttledReplicas(name: string): (value: ConfigValue) => string | undefined {
  return (value) => {
    const list = value as readonly string[]
    if ((list.length === 1 && list[0] === '*') || list.every((item) => /^\d+:\d+$/.test(item))) return undefined
    return (
      `${name} must be the literal '*' or a list of replicas in the following format: ` +
      '[partitionId]:[brokerId],[partitionId]:[brokerId],...'
    )
  }
}

/** `share.auto.offset.reset`. */
export function shareOffsetReset(value: ConfigValue): string | undefined {
  const text = value as string
  if (text === 'latest' || text === 'earliest') return undefined
  if (/^by_duration:P(?=.)(\d+D)?(T(?=.)(\d+H)?(\d+M)?(\d+(\.\d{1,9})?S)?)?$/i.test(text)) return undefined
  return 'expected latest, earliest or by_duration:PnDTnHnMn.nS'
}

/** A STRING whose values are compared without regard to case. */
export function oneOfIgnoringCase(values: readonly string[]): (value: ConfigValue) => string | undefined {
  return (value) =>
    values.some((known) => known.toLowerCase() === String(value).toLowerCase())
      ? undefined
      : `String must be one of (case insensitive): ${values.join(', ')}`
}
