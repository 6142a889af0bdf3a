/** Compares what two brokers answered, field by field. */
import { splitWholeBatches, timestampTypeOf } from '../../protocol/records/batch.ts'
import { zeroUuid } from '../../protocol/schema.ts'
import type { Answer } from './peer.ts'

/** A field whose values are not the same in both answers. */
export interface Difference {
  readonly label: string
  readonly api: string
  readonly version: number
  /** For example `responses[0].partitionResponses[0].errorMessage`; '' for the answer as a whole. */
  readonly path: string
  readonly kafka: unknown
  readonly ours: unknown
}

/**
 * A difference that is there on purpose, or can't be avoided. Each must be met, so that the list never outlives its
 * reasons.
 */
export interface Accepted {
  readonly api: string | RegExp
  readonly path: RegExp
  readonly why: string
  /** Narrows it further. */
  readonly when?: (difference: Difference) => boolean
}

/**
 * Values that each broker chooses for itself. They need not be equal, but what is one thing at one broker has to be one
 * thing at the other: the first pair met is remembered, and holds from then on.
 */
const identities: ReadonlySet<string> = new Set([
  'topicId',
  'clusterId',
  'producerId',
  'host',
  'port',
  'sessionId',
  'logDir',
  'memberId',
  'leader',
])
/** Such values that mean "none", which is the same everywhere. */
const nones: ReadonlySet<unknown> = new Set<unknown>([zeroUuid, null, 0, -1, -1n, ''])
/** The time of day at the broker: it has to be known at both, or at neither. */
const times: ReadonlySet<string> = new Set([
  'logAppendTimeMs',
  'lastFetchTimestamp',
  'lastCaughtUpTimestamp',
  'commitTimestamp',
  'expireTimestamp',
  'currentStateTimestamp',
])
/**
 * Lists that Kafka fills from hash maps, and what their items are known by. Ids differ between the brokers: they are
 * none.
 */
const unordered: Readonly<Record<string, (item: Fields) => unknown>> = {
  responses: (item) => `${String(item['name'] ?? item['topic'])} ${errorsOf(item)}`,
  partitionResponses: (item) => item['index'],
  partitions: (item) => item['partitionIndex'] ?? item['partition'],
  topics: (item) => item['name'] ?? item['topicName'] ?? item['topic'] ?? `id ${errorsOf(item)}`,
  configs: (item) => item['name'],
  apiKeys: (item) => item['apiKey'],
  configResources: (item) => `${String(item['resourceType'])} ${String(item['resourceName'])}`,
  groups: (item) => item['groupId'],
  members: (item) => `${String(item['groupInstanceId'])} ${String(item['errorCode'])} ${subscriptionOf(item)}`,
  results: (item) => item['groupId'],
  coordinators: (item) => item['key'],
  replicaElectionResults: (item) => item['topic'],
  partitionResult: (item) => item['partitionId'],
  supportedFeatures: (item) => item['name'],
  finalizedFeatures: (item) => item['name'],
}

/** Lists whose items may have no name in the answer: a single one is compared whatever it is. */
const areAnonymous: ReadonlySet<string> = new Set(['responses', 'topics'])

type Fields = Readonly<Record<string, unknown>>

export class Comparison {
  readonly #toOurs = new Map<string, unknown>()
  readonly #toKafka = new Map<string, unknown>()

  /** All differences between two runs of one scenario. */
  compare(kafka: readonly Answer[], ours: readonly Answer[]): Difference[] {
    if (kafka.length !== ours.length) throw new Error(`got ${ours.length} answers, Kafka gave ${kafka.length}`)
    return kafka.flatMap((theirs, index) => {
      const answer = ours[index]!
      const { label, api, version } = theirs
      if (label !== answer.label) throw new Error(`got an answer to ${answer.label}, expected one to ${label}`)
      const found: Difference[] = []
      const pair = { kafka: theirs.response, ours: answer.response }
      this.#walk(pair, { path: '', name: '' }, (path, values) => {
        found.push({ label, api, version, path, ...values })
      })
      return found
    })
  }

  #walk({ kafka, ours }: Pair, { path, name }: Place, report: Report): void {
    const below = (pair: Pair, key: string, itemName: string) =>
      this.#walk(pair, { path: `${path}${key}`, name: itemName }, report)
    if (name === 'records') return below({ kafka: batchesOf(kafka), ours: batchesOf(ours) }, '', 'batches')
    if (kafka instanceof Uint8Array && ours instanceof Uint8Array) {
      if (Buffer.compare(kafka, ours) !== 0) report(path, { kafka: hex(kafka), ours: hex(ours) })
      return
    }
    if (Array.isArray(kafka) && Array.isArray(ours)) {
      const [theirs, mine] = [byKey(name, kafka), byKey(name, ours)]
      if (theirs && mine) {
        for (const key of new Set([...theirs.keys(), ...mine.keys()]).values())
          below({ kafka: theirs.get(key), ours: mine.get(key) }, `[${key}]`, '')
        return
      }
      if (kafka.length !== ours.length) return report(path, { kafka, ours })
      for (const [index, item] of kafka.entries())
        below({ kafka: item, ours: ours[index] as unknown }, `[${index}]`, '')
      return
    }
    if (isFields(kafka) && isFields(ours)) {
      for (const key of new Set([...Object.keys(kafka), ...Object.keys(ours)]))
        below({ kafka: kafka[key], ours: ours[key] }, path === '' ? key : `.${key}`, key)
      return
    }
    if (!this.#isSame(name, kafka, ours)) report(path, { kafka, ours })
  }

  #isSame(name: string, kafka: unknown, ours: unknown): boolean {
    if (times.has(name)) return (kafka === -1n) === (ours === -1n)
    if (!identities.has(name) || nones.has(kafka) || nones.has(ours)) return kafka === ours
    const [theirKey, ourKey] = [`${name} ${String(kafka)}`, `${name} ${String(ours)}`]
    if (!this.#toOurs.has(theirKey) && !this.#toKafka.has(ourKey)) {
      this.#toOurs.set(theirKey, ours)
      this.#toKafka.set(ourKey, kafka)
    }
    return this.#toOurs.get(theirKey) === ours && this.#toKafka.get(ourKey) === kafka
  }
}

interface Pair {
  readonly kafka: unknown
  readonly ours: unknown
}
interface Place {
  readonly path: string
  /** Of the field, '' for an item of a list. */
  readonly name: string
}
type Report = (path: string, values: Pair) => void

function isFields(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value) && !(value instanceof Uint8Array)
}

/**
 * The items of a list whose order means nothing, or undefined. Items with the same key are told apart by their order.
 */
function byKey(name: string, items: readonly unknown[]): Map<string, unknown> | undefined {
  const keyOf = unordered[name]
  if (!keyOf || !items.every(isFields)) return undefined
  const found = new Map<string, unknown>()
  for (const item of items) {
    const key = items.length === 1 && areAnonymous.has(name) ? '' : String(keyOf(item))
    const repeats = [...found.keys()].filter((known) => known === key || known.startsWith(`${key} again`)).length
    found.set(repeats === 0 ? key : `${key} again ${repeats}`, item)
  }
  return found
}

/** Tells topics apart whose names are not in the answer. */
function errorsOf({ errorCode, partitionResponses }: Fields): string {
  const partitions = Array.isArray(partitionResponses) ? (partitionResponses as Fields[]) : []
  return [errorCode ?? '', ...partitions.map((partition) => partition['errorCode'])].join(' ')
}

/**
 * Fetched bytes as batches: their headers, then their records. A cut batch at the end, which Kafka sends and clients
 * throw away, is left out. So are the checksum where it covers values that each broker chooses for itself, and the time
 * of an append.
 */
function batchesOf(value: unknown): unknown {
  if (!Array.isArray(value)) return value
  const bytes = Buffer.concat(value as Uint8Array[])
  return splitWholeBatches(bytes).map(({ header, bytes: batch }) => {
    const { crc, maxTimestamp, ...fields } = header
    const isCreateTime = timestampTypeOf(header) === 'CreateTime'
    const hasCrc = header.producerId === -1n && isCreateTime
    return { ...fields, ...(isCreateTime && { maxTimestamp }), ...(hasCrc && { crc }), body: hex(batch.subarray(61)) }
  })
}

/** Tells members apart whose ids each broker chose for itself. */
function subscriptionOf({ metadata, memberMetadata, memberAssignment, subscription }: Fields): string {
  const parts = [metadata, memberMetadata, memberAssignment, subscription]
  return parts.map((bytes) => (bytes instanceof Uint8Array ? hex(bytes) : '')).join(' ')
}

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('hex')
}

/** The differences that nothing accepts; which rows were used is noted in `used`. */
export function refused(
  differences: readonly Difference[],
  accepted: readonly Accepted[],
  used: Set<Accepted>,
): Difference[] {
  return differences.filter((difference) => {
    const reason = accepted.find(
      ({ api, path, when }) =>
        (typeof api === 'string' ? api === difference.api : api.test(difference.api)) &&
        path.test(difference.path) &&
        (!when || when(difference)),
    )
    if (reason) used.add(reason)
    return !reason
  })
}

export function differenceText({ label, api, version, path, kafka, ours }: Difference): string {
  return `${api} v${version}, ${label}: ${path || 'the answer'} is ${shown(ours)}, Kafka has ${shown(kafka)}`
}

function shown(value: unknown): string {
  if (value === undefined) return 'nothing (a closed connection, or no such field)'
  const text = JSON.stringify(value, (_, item: unknown) => (typeof item === 'bigint' ? `${item}n` : item))
  return text.length > 300 ? `${text.slice(0, 300)}...` : text
}
