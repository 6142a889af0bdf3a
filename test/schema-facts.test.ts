/**
 * Compares every declaration with Kafka's own message definitions, where their folder is at hand: KAFKA_MESSAGES_DIR,
 * with KAFKA_FACTS_DIR for the tables of errors and APIs. The project carries none of these files.
 */
import assert from 'node:assert/strict'
import { existsSync, readFileSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { Fetch } from '../protocol/apis/fetch.ts'
import { apiByKey, apis } from '../protocol/apis/index.ts'
import { errorCodes, errorNames, isRetriable } from '../protocol/errors.ts'
import type { Field, FieldOptions, Fields, RecordType } from '../protocol/schema.ts'
import { zeroUuid } from '../protocol/schema.ts'
import * as consumerProtocol from '../protocol/state/consumer-protocol.ts'
import * as controlRecords from '../protocol/state/control-records.ts'
import * as groupRecords from '../protocol/state/group-records.ts'
import * as metadataRecords from '../protocol/state/metadata-records.ts'
import * as mirrorRecords from '../protocol/state/mirror-records.ts'
import * as transactionRecords from '../protocol/state/transaction-records.ts'
import { metadataRecordType, metadataRecordTypes } from '../protocol/state/record-types.ts'
import { parseVersions } from '../protocol/versions.ts'
import { handlers } from '../src/apis/index.ts'

const repository = join(import.meta.dirname, '..')
const kafkaRecordTypes: readonly RecordType[] = [
  metadataRecords,
  controlRecords,
  groupRecords,
  transactionRecords,
  consumerProtocol,
].flatMap((module) => Object.values<RecordType>(module))
const mirrorRecordTypes = Object.values<RecordType>(mirrorRecords)

function folderOf(variable: string, name: string): string | undefined {
  const folder = process.env[variable] ?? join(repository, '..', 'shared', 'reference', name)
  return existsSync(folder) ? folder : undefined
}
const messagesFolder = folderOf('KAFKA_MESSAGES_DIR', 'kafka-messages')
const factsFolder = folderOf('KAFKA_FACTS_DIR', 'kafka-facts')
if (!messagesFolder)
  console.error("SKIPPED: no declaration is compared, Kafka's definitions are not here (KAFKA_MESSAGES_DIR)")
if (!factsFolder) console.error("SKIPPED: no table is compared, Kafka's tables are not here (KAFKA_FACTS_DIR)")
const needsMessages = { skip: messagesFolder ? false : 'KAFKA_MESSAGES_DIR names no folder' }
const needsFacts = { skip: factsFolder ? false : 'KAFKA_FACTS_DIR names no folder' }

// --- Facts: what both sides say about a field, in one shape ---

/**
 * All that decides how a field looks on the wire. Version ranges are cut to those in which the field can occur at all.
 */
interface Facts {
  readonly name: string
  readonly type: string
  readonly versions: string
  readonly nullable: string
  readonly default: string
  readonly ignorable: boolean
  readonly tag: number | undefined
  readonly taggedVersions: string
  readonly mapKey: boolean
  readonly fields: readonly Facts[]
}

interface Range {
  readonly min: number
  readonly max: number
}
const cut = (range: Range, to: Range): Range => ({
  min: Math.max(range.min, to.min),
  max: Math.min(range.max, to.max),
})
const isEmpty = ({ min, max }: Range): boolean => min > max
const textOf = (range: Range): string => (isEmpty(range) ? 'none' : `${range.min}-${range.max}`)

const literal = (value: unknown): string => (typeof value === 'string' ? `'${value}'` : String(value))

function zeroOf(type: string): string {
  if (type.startsWith('[]')) return '[]'
  const zeros: Record<string, string> = {
    bool: 'false',
    string: "''",
    uuid: `'${zeroUuid}'`,
    bytes: '[]',
    records: '[]',
  }
  return zeros[type] ?? (type === 'struct' ? '{}' : '0')
}

function declaredDefault(options: FieldOptions, type: string): string {
  const value = options.default
  if (value === undefined) return zeroOf(type)
  if (type === 'int64') assert.ok(typeof value === 'bigint' || value === null, 'the default of an int64 is a bigint')
  return Array.isArray(value) && value.length === 0 ? '[]' : literal(value)
}

/** The facts of a declaration. Fields that no version carries have none. */
function declaredFacts(fields: Fields, parent: Range): Facts[] {
  return Object.entries(fields).flatMap(([name, field]) => {
    const { options } = field
    const versions = cut(parseVersions(options.versions ?? '0+'), parent)
    const type = typeOf(field)
    const facts = {
      name,
      type,
      versions: textOf(versions),
      nullable: textOf(cut(parseVersions(options.nullable ?? 'none'), versions)),
      default: declaredDefault(options, type),
      ignorable: options.ignorable === true,
      tag: options.tag,
      taggedVersions:
        options.tag === undefined ? 'none' : textOf(cut(parseVersions(options.taggedVersions ?? '0+'), versions)),
      mapKey: options.mapKey === true,
      fields: field.fields ? declaredFacts(field.fields, versions) : [],
    }
    return [facts]
  })
}

function typeOf(field: Field): string {
  if (field.kind !== 'array') return field.kind
  return `[]${field.element ?? 'struct'}`
}

interface KafkaField {
  readonly name: string
  readonly type: string
  readonly versions?: string
  readonly nullableVersions?: string
  readonly default?: string | number
  readonly ignorable?: boolean | string
  readonly tag?: number
  readonly taggedVersions?: string
  readonly mapKey?: boolean
  readonly flexibleVersions?: string
  readonly fields?: readonly KafkaField[]
}
interface KafkaMessage {
  readonly name: string
  readonly type: string
  readonly apiKey?: number
  readonly validVersions: string
  readonly flexibleVersions: string
  readonly fields: readonly KafkaField[]
  readonly commonStructs?: readonly KafkaField[]
}

const primitives = /^(bool|int8|int16|uint16|int32|uint32|int64|float64|uuid|string|bytes|records)$/

function kafkaType(type: string): string {
  const isArray = type.startsWith('[]')
  const element = isArray ? type.slice(2) : type
  return `${isArray ? '[]' : ''}${primitives.test(element) ? element : 'struct'}`
}

function kafkaDefault(field: KafkaField, type: string): string {
  const value = field.default
  if (value === undefined) return zeroOf(type)
  if (value === 'null') return 'null'
  if (type === 'string') return `'${value}'`
  if (type === 'bool') return String(value)
  if (type === 'int64') return String(BigInt(value))
  return String(Number(value))
}

/** The facts of a definition of Kafka's. Fields that end before the first valid version have none. */
function kafkaFacts(fields: readonly KafkaField[], parent: Range, common: ReadonlyMap<string, KafkaField>): Facts[] {
  return fields.flatMap((field) => {
    const versions = cut(parseVersions(field.versions ?? field.taggedVersions ?? '0+'), parent)
    if (isEmpty(versions)) return []
    assert.equal(field.flexibleVersions, undefined, `${field.name} has flexible versions of its own`)
    const type = kafkaType(field.type)
    const inner = field.fields ?? common.get(field.type.replace('[]', ''))?.fields ?? []
    assert.ok(inner.length > 0 || !type.endsWith('struct'), `the fields of ${field.name} are unknown`)
    const facts = {
      name: field.name[0]!.toLowerCase() + field.name.slice(1),
      type,
      versions: textOf(versions),
      nullable: textOf(cut(parseVersions(field.nullableVersions ?? 'none'), versions)),
      default: kafkaDefault(field, type),
      ignorable: field.ignorable === true || field.ignorable === 'true',
      tag: field.tag,
      taggedVersions: textOf(cut(parseVersions(field.taggedVersions ?? 'none'), versions)),
      mapKey: field.mapKey === true,
      fields: kafkaFacts(inner, versions, common),
    }
    return [facts]
  })
}

/** Every difference as a line: order, missing and surplus fields, and each fact of those on both sides. */
function differences(path: string, ours: readonly Facts[], kafkas: readonly Facts[]): string[] {
  const lines: string[] = []
  const names = (list: readonly Facts[]): string => list.map((facts) => facts.name).join(', ')
  if (names(ours) !== names(kafkas)) lines.push(`${path}: declared [${names(ours)}], Kafka has [${names(kafkas)}]`)
  for (const kafka of kafkas) {
    const our = ours.find((facts) => facts.name === kafka.name)
    if (!our) continue
    for (const key of Object.keys(kafka) as (keyof Facts)[]) {
      if (key === 'fields' || our[key] === kafka[key]) continue
      lines.push(`${path}.${kafka.name}: ${key} is ${literal(our[key])}, Kafka has ${literal(kafka[key])}`)
    }
    lines.push(...differences(`${path}.${kafka.name}`, our.fields, kafka.fields))
  }
  return lines
}

// --- Kafka's files ---

const kafkaFiles = new Map(
  messagesFolder
    ? readdirSync(messagesFolder, { recursive: true, encoding: 'utf8' })
        .filter((path) => path.endsWith('.json'))
        .map((path) => [path.replace(/^.*[/\\]|\.json$/g, ''), join(messagesFolder, path)])
    : [],
)

function kafkaMessage(name: string): KafkaMessage | undefined {
  const file = kafkaFiles.get(name)
  return file === undefined ? undefined : JSON.parse(readFileSync(file, 'utf8').replace(/^\s*\/\/.*$/gm, ''))
}

/** The lines of a table without its head, as cells. */
function rowsOf(name: string): string[][] {
  const [, ...lines] = readFileSync(join(factsFolder!, name), 'utf8').trimEnd().split('\n')
  return lines.map((line) => line.split('\t'))
}

interface Declared {
  readonly key: number
  readonly versions: string
  readonly flexible: string
}

function messageDifferences(name: string, declared: Declared, fields: Fields): string[] {
  const kafka = kafkaMessage(name)
  if (!kafka) return [`${name}: Kafka has no such message`]
  const lines: string[] = []
  const valid = parseVersions(kafka.validVersions)
  const ours = parseVersions(declared.versions)
  const kafkaKey = kafka.apiKey ?? -1
  if (declared.key !== kafkaKey) lines.push(`${name}: key is ${declared.key}, Kafka has ${kafkaKey}`)
  if (textOf(ours) !== textOf(valid)) lines.push(`${name}: versions are ${textOf(ours)}, Kafka has ${textOf(valid)}`)
  if (declared.flexible !== kafka.flexibleVersions)
    lines.push(`${name}: flexible is ${declared.flexible}, Kafka has ${kafka.flexibleVersions}`)
  const common = new Map((kafka.commonStructs ?? []).map((struct) => [struct.name, struct]))
  lines.push(...differences(name, declaredFacts(fields, ours), kafkaFacts(kafka.fields, valid, common)))
  return lines
}

// --- The comparison ---

for (const api of apis) {
  test(`${api.name} is declared as Kafka defines it`, needsMessages, () => {
    const found = [
      ...messageDifferences(`${api.name}Request`, api, api.request),
      ...messageDifferences(`${api.name}Response`, api, api.response),
    ]
    assert.deepEqual(found, [], found.join('\n'))
  })
}

for (const type of kafkaRecordTypes) {
  test(`the record ${type.name} is declared as Kafka defines it`, needsMessages, () => {
    const found = messageDifferences(type.name, type, type.fields)
    assert.deepEqual(found, [], found.join('\n'))
  })
}

test('records of our own share neither key nor name with one of Kafka', needsMessages, () => {
  for (const { name, key } of mirrorRecordTypes) {
    assert.ok(key >= 30000 && key < 30100, `${name} has key ${key}`)
    assert.equal(kafkaFiles.get(name), undefined, `${name} is a name of Kafka's`)
  }
})

test('each declared API has the key, versions and flexible versions of the table of APIs', needsFacts, () => {
  const rows = new Map(rowsOf('apis.tsv').map((cells) => [cells[1], cells]))
  const found = apis.flatMap((api) => {
    const ours = [String(api.key), api.name, api.versions, api.flexible]
    const row = rows.get(api.name)
    const kafkas = row ? [row[0], row[1], row[2], row[6]] : []
    return ours.join() === kafkas.join() ? [] : [`declared ${ours.join()}, Kafka has ${kafkas.join()}`]
  })
  assert.deepEqual(found, [], found.join('\n'))
})

test('what is served is advertised in the versions of a Kafka 4.4.0 broker', needsFacts, () => {
  const rows = new Map(rowsOf('apis.tsv').map((cells) => [Number(cells[0]), cells]))
  for (const { api, versions, advertised } of handlers)
    assert.equal(advertised ?? versions, rows.get(api.key)?.[4], api.name)
})

test('the table of errors is the one of Kafka', needsFacts, () => {
  const ours = errorNames.map((name) => `${errorCodes[name]} ${name} ${isRetriable(errorCodes[name])}`)
  const kafkas = rowsOf('errors.tsv').map(([code, name, retriable]) => `${code} ${name} ${retriable === 'retriable'}`)
  assert.ok(kafkas.length > 130)
  assert.deepEqual(ours, kafkas)
})

// --- The comparison itself, and what holds without Kafka's files ---

function factsOf(fields: Fields): Facts[] {
  return declaredFacts(fields, parseVersions(Fetch.versions))
}

/** Fetch's request with other options for one field. */
function changed(name: string, options: FieldOptions): Fields {
  const fields: Fields = Fetch.request
  const field = fields[name]!
  return { ...fields, [name]: { ...field, options: { ...field.options, ...options } } }
}

test('the comparison reports a field that is wrong in anything', () => {
  const { maxWaitMs, minBytes, ...others } = Fetch.request
  const wrong: Record<string, Fields> = {
    order: { ...others, minBytes, maxWaitMs },
    'missing field': { ...others, maxWaitMs },
    'surplus field': { ...Fetch.request, extra: minBytes },
    type: { ...Fetch.request, maxWaitMs: { ...maxWaitMs, kind: 'int64' } },
    'element type': { ...Fetch.request, topics: { kind: 'array', doc: '', options: {}, element: 'int32' } },
    versions: changed('rackId', { versions: '10+' }),
    nullability: changed('rackId', { nullable: '11+' }),
    default: changed('sessionEpoch', { default: 0 }),
    'null default': changed('clusterId', { default: '' }),
    ignorable: changed('maxBytes', { ignorable: false }),
    tag: changed('clusterId', { tag: 2 }),
    taggedVersions: changed('clusterId', { taggedVersions: '13+' }),
    mapKey: changed('minBytes', { mapKey: true }),
  }
  for (const [what, fields] of Object.entries(wrong)) {
    const found = differences('Fetch', factsOf(fields), factsOf(Fetch.request))
    assert.ok(found.length > 0, `${what}: no difference`)
  }
  assert.deepEqual(differences('Fetch', factsOf(Fetch.request), factsOf(Fetch.request)), [])
})

test('the comparison looks inside nested structs', () => {
  const inner: Fields = Fetch.request.topics.fields!
  const topics = {
    ...Fetch.request.topics,
    fields: { ...inner, topic: { ...inner['topic']!, kind: 'bytes' as const } },
  }
  const found = differences('Fetch', factsOf({ ...Fetch.request, topics }), factsOf(Fetch.request))
  assert.equal(found.length, 2) // the type, and with it the zero that is the default
})

const declarations: readonly (readonly [string, Declared, Fields])[] = [
  ...apis.flatMap((api): [string, Declared, Fields][] => [
    [`${api.name} request`, api, api.request],
    [`${api.name} response`, api, api.response],
  ]),
  ...[...kafkaRecordTypes, ...mirrorRecordTypes].map((type): [string, Declared, Fields] => [
    type.name,
    type,
    type.fields,
  ]),
]

function* fieldsWithin(path: string, fields: Fields): Generator<[string, Field]> {
  for (const [name, field] of Object.entries(fields)) {
    yield [`${path}.${name}`, field]
    if (field.fields) yield* fieldsWithin(`${path}.${name}`, field.fields)
  }
}

test('every field says in a sentence what it is', () => {
  for (const [name, , fields] of declarations)
    for (const [path, field] of fieldsWithin(name, fields))
      assert.match(field.doc, /^(?:[A-Z0-9-]|').*[.]$/, `${path}: '${field.doc}'`)
})

test('tagged fields occur in flexible versions only, with the tags 0, 1, 2 ... of their struct', () => {
  for (const [name, declared, root] of declarations) {
    const flexible = parseVersions(declared.flexible)
    for (const fields of structsWithin(root)) {
      const tagged = Object.values(fields).filter((field) => field.options.tag !== undefined)
      const tags = tagged.map((field) => field.options.tag!).sort((a, b) => a - b)
      assert.deepEqual(tags, [...tags.keys()], `${name} has the tags ${tags.join()}`)
      for (const { options } of tagged)
        assert.ok(
          parseVersions(options.taggedVersions ?? options.versions ?? declared.versions).min >= flexible.min,
          name,
        )
    }
  }
})

function* structsWithin(fields: Fields): Generator<Fields> {
  yield fields
  for (const field of Object.values(fields)) if (field.fields) yield* structsWithin(field.fields)
}

test('the index has every declared API once, in the order of the keys, and finds it by its key', () => {
  const folder = join(repository, 'protocol', 'apis')
  const files = readdirSync(folder).filter((file) => file.endsWith('.ts') && file !== 'index.ts')
  assert.equal(apis.length, files.length)
  const kebab = (name: string): string => name.replace(/(?<=[a-z0-9])(?=[A-Z])/g, '-').toLowerCase()
  assert.deepEqual(apis.map((api) => `${kebab(api.name)}.ts`).sort(), files.sort())
  const keys = apis.map((api) => api.key)
  assert.deepEqual(
    keys,
    [...new Set(keys)].sort((a, b) => a - b),
  )
  for (const api of apis) assert.equal(apiByKey(api.key), api)
  assert.equal(apiByKey(1000), undefined)
})

test('the record types of the metadata log have different keys, and are found by them', () => {
  assert.equal(new Set(metadataRecordTypes.map((type) => type.key)).size, metadataRecordTypes.length)
  for (const type of metadataRecordTypes) assert.equal(metadataRecordType(type.key), type)
  assert.equal(metadataRecordType(29999), undefined)
})

test('docs/storage-format.md lists every record of our own with its key, version and fields', () => {
  const lines = readFileSync(join(repository, 'docs', 'storage-format.md'), 'utf8').split('\n')
  const rows = lines.map((line) => line.split('|').map((cell) => cell.trim()))
  for (const { key, name, versions, fields } of mirrorRecordTypes) {
    const expected = ['', `${key}`, name, `${parseVersions(versions).max}`, describe(fields), '']
    assert.deepEqual(rows.find((cells) => cells[1] === `${key}`) ?? [], expected)
  }
  const listed = rows.filter((cells) => /^300\d\d$/.test(cells[1] ?? ''))
  assert.equal(listed.length, mirrorRecordTypes.length)
})

function describe(fields: Fields): string {
  const parts = Object.entries(fields).map(([name, field]) => {
    const type = field.kind === 'array' ? `[${field.element ?? describe(field.fields!)}]` : field.kind
    return `${name} ${type}${field.options.nullable ? ' or null' : ''}`
  })
  return parts.join(', ')
}
