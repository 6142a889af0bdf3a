/** Changes of configs, as IncrementalAlterConfigs and AlterConfigs make them. */
import type { ConfigRow } from '../config/config-table.ts'
import { KafkaError } from '../errors.ts'
import { findConfigResource, type ConfigResource, type Overrides, type Resource } from './config-resources.ts'
import type { Context } from './handler.ts'

/** The whole answer for one resource. */
export interface AlterResult extends Resource {
  readonly errorCode: number
  readonly errorMessage: string | null
}

/**
 * Changes the configs of one resource, durably, or only checks the change. `next` throws KafkaError for what can't be.
 */
export async function alterResource(
  resource: Resource,
  next: (now: Overrides, found: ConfigResource) => Overrides,
  validateOnly: boolean,
  context: Context,
): Promise<AlterResult> {
  try {
    const found = findConfigResource(resource, context)
    const checked = (now: Overrides): Overrides => {
      const after = next(now, found)
      found.check(after)
      return after
    }
    if (validateOnly) checked(found.overrides)
    else await found.change(checked)
    return { errorCode: 0, errorMessage: null, ...resourceOf(resource) }
  } catch (error) {
    if (!(error instanceof KafkaError)) throw error
    return refusal(resource, error)
  }
}

export function refusal(resource: Resource, { errorCode, message }: KafkaError): AlterResult {
  return { errorCode, errorMessage: message, ...resourceOf(resource) }
}

/** The fields that name a resource, alone. */
export function resourceOf({ resourceType, resourceName }: Resource): Resource {
  return { resourceType, resourceName }
}

/** An answer per resource; one that is named twice is refused each time. */
export function alterEach<R extends Resource>(
  resources: readonly R[],
  alter: (resource: R) => Promise<AlterResult>,
): Promise<AlterResult[]> {
  const keyOf = ({ resourceType, resourceName }: Resource): string => `${resourceType} ${resourceName}`
  const byKey = Map.groupBy(resources, keyOf)
  const repeated = new KafkaError('INVALID_REQUEST', 'each resource may be named once')
  return Promise.all(
    resources.map((resource) =>
      byKey.get(keyOf(resource))!.length > 1 ? Promise.resolve(refusal(resource, repeated)) : alter(resource),
    ),
  )
}

const operations = ['SET', 'DELETE', 'APPEND', 'SUBTRACT'] as const

export interface Change {
  readonly name: string
  readonly configOperation: number
  readonly value: string | null
}

/** The overrides after the incremental changes to those of `now`. */
export function overridesAfter(now: Overrides, changes: readonly Change[], found: ConfigResource): Overrides {
  if (new Set(changes.map(({ name }) => name)).size < changes.length)
    throw new KafkaError('INVALID_REQUEST', 'Error due to duplicate config keys')
  const after = new Map(now)
  for (const change of changes) applyChange(after, change, found)
  return after
}

function applyChange(after: Map<string, string>, change: Change, found: ConfigResource): void {
  const { name, value } = change
  const operation = operations[change.configOperation]
  if (operation === undefined)
    throw new KafkaError('INVALID_REQUEST', `got operation ${change.configOperation} for ${name}, expected 0 to 3`)
  if (operation === 'DELETE') {
    after.delete(name)
    return
  }
  if (value === null) throw new KafkaError('INVALID_REQUEST', `Null value not supported for : ${name}`)
  if (operation === 'SET') after.set(name, value)
  else after.set(name, listAfter(operation, { name, value }, after, found))
}

function listAfter(
  operation: 'APPEND' | 'SUBTRACT',
  { name, value }: { readonly name: string; readonly value: string },
  after: Overrides,
  found: ConfigResource,
): string {
  checkList(found.rowOf(name), operation, name)
  const before = itemsOf(after.get(name) ?? found.inheritedText(name) ?? '')
  const items = itemsOf(value)
  if (operation === 'SUBTRACT') return before.filter((item) => !items.includes(item)).join(',')
  return [...before, ...items.filter((item) => !before.includes(item))].join(',')
}

function checkList(row: ConfigRow | undefined, operation: string, name: string): void {
  if (row?.type !== 'LIST')
    throw new KafkaError('INVALID_CONFIG', `Can't ${operation} to key ${name} because its type is not LIST.`)
}

function itemsOf(text: string): string[] {
  return text === '' ? [] : text.split(',').map((item) => item.trim())
}
