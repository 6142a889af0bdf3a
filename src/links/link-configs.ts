/**
 * The configs of a link: Cluster Linking's names and defaults. A row without `acts` has no effect yet; setting it to
 * anything but its default is refused by name, so that nobody relies on what does not happen.
 */
import {
  parseValue,
  propertyName,
  shownText,
  textOf,
  type ConfigTable,
  type ConfigValue,
  type ValuesOf,
} from '../config/config-table.ts'
import { LinkServiceError, type LinkConfigEntry } from './link-service.ts'

/** Taken and sealed, so that a link's properties can be brought over whole. */
const secret = {
  type: 'PASSWORD',
  default: null,
  acts: true,
  doc: 'Kept sealed, and never shown. PLAINTEXT, the one security.protocol so far, needs none.',
} as const

export const linkConfigs = {
  'bootstrap.servers': {
    type: 'LIST',
    default: [],
    acts: true,
    doc: 'Where to find the source: `host:port`, several with commas.',
  },
  'client.id': {
    type: 'STRING',
    default: 'titorelli-link',
    acts: true,
    doc: 'How the link names itself to the source.',
  },
  'security.protocol': {
    type: 'STRING',
    default: 'PLAINTEXT',
    values: ['PLAINTEXT'],
    acts: true,
    doc: 'How to speak to the source.',
  },
  'sasl.jaas.config': secret,
  'ssl.key.password': secret,
  'ssl.keystore.key': secret,
  'ssl.keystore.password': secret,
  'ssl.truststore.password': secret,
  'link.mode': { type: 'STRING', default: 'DESTINATION', values: ['DESTINATION'] },
  'connection.mode': { type: 'STRING', default: 'OUTBOUND', values: ['OUTBOUND'] },
  'cluster.link.prefix': {
    type: 'STRING',
    default: '',
    acts: true,
    doc: 'Stands before the names of mirror topics. Fixed when the link is created.',
  },
  'cluster.link.paused': { type: 'BOOLEAN', default: false },
  'cluster.link.retry.timeout.ms': {
    type: 'LONG',
    default: 300_000n,
    min: 0n,
    acts: true,
    doc: 'A mirror whose source topic is gone or forbidden for this long (ms) becomes FAILED. 9223372036854775807 is never.',
  },
  'consumer.offset.sync.enable': { type: 'BOOLEAN', default: false },
  'consumer.offset.sync.ms': { type: 'INT', default: 30_000, min: 1_000 },
  'consumer.offset.group.filters': { type: 'STRING', default: '' },
  'consumer.group.prefix.enable': { type: 'BOOLEAN', default: false },
  'acl.sync.enable': { type: 'BOOLEAN', default: false },
  'acl.sync.ms': { type: 'INT', default: 5_000, min: 1_000 },
  'acl.filters': { type: 'STRING', default: '' },
  'auto.create.mirror.topics.enable': { type: 'BOOLEAN', default: false },
  'auto.create.mirror.topics.filters': { type: 'STRING', default: '' },
  'topic.config.sync.ms': {
    type: 'INT',
    default: 5_000,
    min: 1_000,
    acts: true,
    doc: 'How often the configs of source topics are compared with those of their mirrors, in ms.',
  },
  'mirror.start.offset.spec': {
    type: 'STRING',
    default: 'earliest',
    acts: true,
    doc: 'Where new mirrors begin: `earliest`, `latest`, or a time as ISO 8601 text.',
  },
  'metadata.max.age.ms': {
    type: 'LONG',
    default: 300_000n,
    min: 1_000n,
    acts: true,
    doc: 'How often the source is asked for its topics and leaders, in ms; every 3 s at the latest.',
  },
  'request.timeout.ms': {
    type: 'INT',
    default: 30_000,
    min: 100,
    acts: true,
    doc: 'How long an answer may take, in ms.',
  },
  'replica.fetch.max.bytes': {
    type: 'INT',
    default: 1_048_576,
    min: 1,
    acts: true,
    doc: 'How much one fetch asks of a partition, in bytes; a larger batch still comes whole.',
  },
  'replica.fetch.response.max.bytes': {
    type: 'INT',
    default: 10_485_760,
    min: 1,
    acts: true,
    doc: 'How much one fetch asks of a source broker, in bytes.',
  },
  'replica.fetch.wait.max.ms': {
    type: 'INT',
    default: 500,
    min: 0,
    max: 10_000,
    acts: true,
    doc: 'How long the source holds a fetch back while it has nothing, in ms.',
  },
  'replica.fetch.min.bytes': { type: 'INT', default: 1, min: 1, acts: true, doc: 'How much the source waits for.' },
  'reconnect.backoff.ms': {
    type: 'LONG',
    default: 50n,
    min: 0n,
    acts: true,
    doc: 'The first pause before a retry, in ms.',
  },
  'reconnect.backoff.max.ms': {
    type: 'LONG',
    default: 2_000n,
    min: 0n,
    acts: true,
    doc: 'The longest pause before a retry, in ms.',
  },
  'titorelli.gap.policy': {
    type: 'STRING',
    default: 'fail',
    values: ['fail', 'skip'],
    acts: true,
    doc: 'When the source deleted records before they were mirrored: FAILED with the range, or go on behind it and log the range.',
  },
} as const satisfies ConfigTable

export type LinkConfigs = ValuesOf<typeof linkConfigs>

const aliases: Readonly<Record<string, string>> = { 'link.prefix': 'cluster.link.prefix' }
const rows: ConfigTable = linkConfigs

/** The value is sealed when it is kept, and hidden when it is shown. */
export function isSecret(name: string): boolean {
  return rows[name]?.type === 'PASSWORD'
}

/** The config by its proper name. */
export function canonicalName(name: string): string {
  return aliases[name] ?? name
}

/**
 * Checks what a user set and types it, defaults filled in.
 * @throws LinkServiceError INVALID_CONFIG that names the config, its value and what was expected.
 */
export function parseLinkConfigs(texts: ReadonlyMap<string, string>): LinkConfigs {
  const values: Record<string, ConfigValue> = {}
  for (const [name, row] of Object.entries(rows)) values[propertyName(name)] = row.default
  for (const [name, text] of texts) {
    const row = rows[name]
    if (!row) throw refused(`unknown link config ${name}`)
    const parsed = parseValue(name, row, text)
    if (!parsed.ok) throw refused(parsed.error)
    if (!row.acts && textOf(row.type, parsed.value) !== textOf(row.type, row.default))
      throw refused(`Invalid value ${shownText(row, text)} for configuration ${name}: not supported by this version`)
    values[propertyName(name)] = parsed.value
  }
  const configs = values as unknown as LinkConfigs
  startTimeOf(configs)
  return configs
}

/**
 * Where new mirrors begin, as ListOffsets asks for it: -2 earliest, -1 latest, else a time in ms.
 * @throws LinkServiceError INVALID_CONFIG for what is neither.
 */
export function startTimeOf({ mirrorStartOffsetSpec: spec }: LinkConfigs): bigint {
  if (spec === 'earliest') return -2n
  if (spec === 'latest') return -1n
  const timeMs = /^\d{4}-\d\d-\d\dT/.test(spec) ? timeOf(spec) : NaN
  if (Number.isNaN(timeMs))
    throw refused(
      `Invalid value ${spec} for configuration mirror.start.offset.spec: expected earliest, latest or a time such as 2026-01-31T12:00:00.000Z`,
    )
  return BigInt(timeMs)
}

/** ISO 8601 without a zone is UTC. */
function timeOf(text: string): number {
  const [, year, month, day, hour, minute, second, fraction, zone] =
    /^(\d{4})-(\d\d)-(\d\d)T(\d\d):(\d\d)(?::(\d\d)(?:\.(\d{1,3}))?)?(Z|[+-]\d\d:?\d\d)?$/.exec(text) ?? []
  if (year === undefined) return NaN
  const numbers = [year, month, day, hour, minute, second ?? '0'].map(Number) as [
    number,
    number,
    number,
    number,
    number,
    number,
  ]
  const [years, months, days, hours, minutes, seconds] = numbers
  if (months < 1 || months > 12 || days < 1 || days > 31 || hours > 23 || minutes > 59 || seconds > 59) return NaN
  const milliseconds = Number((fraction ?? '0').padEnd(3, '0'))
  // Days since 1970 by the civil calendar (proleptic Gregorian), without a Date object.
  const shifted = months > 2 ? years : years - 1
  const era = Math.floor(shifted / 400)
  const yearOfEra = shifted - era * 400
  const dayOfYear = Math.floor((153 * (months + (months > 2 ? -3 : 9)) + 2) / 5) + days - 1
  const dayOfEra = yearOfEra * 365 + Math.floor(yearOfEra / 4) - Math.floor(yearOfEra / 100) + dayOfYear
  const dayNumber = era * 146_097 + dayOfEra - 719_468
  const offsetMinutes = zone === undefined || zone === 'Z' ? 0 : zoneMinutes(zone)
  return ((dayNumber * 24 + hours) * 60 + minutes - offsetMinutes) * 60_000 + seconds * 1000 + milliseconds
}

function zoneMinutes(zone: string): number {
  const digits = zone.slice(1).replace(':', '')
  const minutes = Number(digits.slice(0, 2)) * 60 + Number(digits.slice(2))
  return zone.startsWith('-') ? -minutes : minutes
}

/** Every config of a link for people: what is set, and defaults. */
export function describeLinkConfigs(texts: ReadonlyMap<string, string>): LinkConfigEntry[] {
  return Object.entries(rows).map(([name, row]) => {
    const text = texts.get(name)
    const isSensitive = row.type === 'PASSWORD'
    return {
      name,
      value: text === undefined ? (row.default === null ? '' : textOf(row.type, row.default)) : shownText(row, text),
      isDefault: text === undefined,
      isReadOnly: name === 'cluster.link.prefix' || name === 'link.mode' || name === 'connection.mode',
      isSensitive,
    }
  })
}

function refused(message: string): LinkServiceError {
  return new LinkServiceError('INVALID_CONFIG', message)
}
