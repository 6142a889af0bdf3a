/** Changes of topic configs, as IncrementalAlterConfigs and AlterConfigs make them. */
import type { ConfigRow } from '../config/config-table.ts'
import { topicConfigRow, topicConfigText, validateTopicConfigs } from '../config/topic-config.ts'
import { KafkaError } from '../errors.ts'
import { isAlwaysSynced } from '../links/mirrored-configs.ts'
import type { Topic } from '../topics/topics.ts'
import { resourceTypes } from './config-sources.ts'
import { findTopic } from './find-topic.ts'
import type { Context } from './handler.ts'
import { zeroUuid } from '../../protocol/schema.ts'

export interface Resource {
  readonly resourceType: number
  readonly resourceName: string
}

/** The whole answer for one resource. */
export interface AlterResult extends Resource {
  readonly errorCode: number
  readonly errorMessage: string | null
}

/** Computes the overrides that a topic is to have. Throws a KafkaError for a change that can't be made. */
export type NextOverrides = (topic: Topic) => ReadonlyMap<string, string>

/** Changes the configs of one topic, durably, or only checks the change. */
export async function alterTopic(
  resource: Resource,
  next: NextOverrides,
  validateOnly: boolean,
  context: Context,
): Promise<AlterResult> {
  try {
    const { broker } = context
    if (resource.resourceType !== resourceTypes.TOPIC)
      throw new KafkaError('INVALID_REQUEST', 'only the configs of topics can be changed while this broker runs')
    const { resourceName: name } = resource
    const topic = findTopic(context, { name, topicId: zeroUuid, isById: false })
    context.authorize('ALTER_CONFIGS', 'TOPIC', name)
    const overrides = next(topic)
    const wrong = validateTopicConfigs(overrides, broker.config)
    if (wrong !== undefined) throw new KafkaError('INVALID_CONFIG', wrong)
    checkMirror(topic, overrides)
    if (!validateOnly) await broker.topics.setConfigs(topic.image.topicId, overrides)
    return { errorCode: 0, errorMessage: null, ...pick(resource) }
  } catch (error) {
    if (!(error instanceof KafkaError)) throw error
    return refusal(resource, error)
  }
}

export function refusal(resource: Resource, { errorCode, message }: KafkaError): AlterResult {
  return { errorCode, errorMessage: message, ...pick(resource) }
}

function pick({ resourceType, resourceName }: Resource): Resource {
  return { resourceType, resourceName }
}

/** Some configs of a mirror always equal its source's. */
function checkMirror({ image, isReadOnly }: Topic, overrides: ReadonlyMap<string, string>): void {
  if (!isReadOnly) return
  const names = new Set([...image.configs.keys(), ...overrides.keys()])
  const synced = [...names].filter((name) => isAlwaysSynced(name) && image.configs.get(name) !== overrides.get(name))
  if (synced.length > 0)
    throw new KafkaError(
      'INVALID_REQUEST',
      `Cannot modify mirror topic ${image.name} because '${synced.join(',')}' are set to always sync`,
    )
}

const operations = ['SET', 'DELETE', 'APPEND', 'SUBTRACT'] as const

/** The overrides after one incremental change. */
export function applyChange(
  overrides: Map<string, string>,
  change: { readonly name: string; readonly configOperation: number; readonly value: string | null },
  context: Context,
): void {
  const { name, value } = change
  const row = topicConfigRow(name)
  if (!row) throw new KafkaError('INVALID_CONFIG', `Unknown topic config name: ${name}`)
  const operation = operations[change.configOperation]
  if (operation === undefined)
    throw new KafkaError('INVALID_REQUEST', `got operation ${change.configOperation} for ${name}, expected 0 to 3`)
  if (operation === 'DELETE') {
    overrides.delete(name)
    return
  }
  if (value === null) throw new KafkaError('INVALID_REQUEST', `Null value not supported for : ${name}`)
  if (operation === 'SET') overrides.set(name, value)
  else overrides.set(name, listAfter(row, { operation, name, value }, overrides, context))
}

function listAfter(
  row: ConfigRow,
  {
    operation,
    name,
    value,
  }: { readonly operation: 'APPEND' | 'SUBTRACT'; readonly name: string; readonly value: string },
  overrides: ReadonlyMap<string, string>,
  { broker }: Context,
): string {
  if (row.type !== 'LIST')
    throw new KafkaError('INVALID_CONFIG', `Can't ${operation} to key ${name} because its type is not LIST.`)
  const before = itemsOf(topicConfigText(name, overrides, broker.config) ?? '')
  const items = itemsOf(value)
  if (operation === 'SUBTRACT') return before.filter((item) => !items.includes(item)).join(',')
  return [...before, ...items.filter((item) => !before.includes(item))].join(',')
}

function itemsOf(text: string): string[] {
  return text === '' ? [] : text.split(',').map((item) => item.trim())
}
