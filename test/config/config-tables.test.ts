import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { brokerConfigs } from '../../src/config/broker-configs.ts'
import { clientMetricsConfigs } from '../../src/config/client-metrics-configs.ts'
import { type ConfigRow, type ConfigTable, parseValue, propertyName, textOf } from '../../src/config/config-table.ts'
import { groupConfigs } from '../../src/config/group-configs.ts'
import { topicConfigs } from '../../src/config/topic-configs.ts'

const tables: Readonly<Record<string, ConfigTable>> = {
  topicConfigs,
  brokerConfigs,
  groupConfigs,
  clientMetricsConfigs,
}
const allRows = Object.entries(tables).flatMap(([table, rows]) =>
  Object.entries(rows).map(([name, row]) => ({ table, name, row })),
)

function errorOf(row: ConfigRow, text: string): string | undefined {
  const parsed = parseValue('some.config', row, text)
  return parsed.ok ? undefined : parsed.error
}

test('every default is a value that its own row accepts, and reads back as itself', () => {
  for (const { table, name, row } of allRows) {
    if (row.default === null || (name === 'controller.quorum.voters' && textOf(row.type, row.default) === '')) continue
    if (row.valid === 'non-empty list') continue // Kafka's own default is empty: it stands for "not given"
    const parsed = parseValue(name, row, textOf(row.type, row.default))
    assert(parsed.ok, `${table} ${name}: ${parsed.ok || parsed.error}`)
    assert.deepEqual(parsed.value, row.default, `${table} ${name}`)
  }
})

test('every config that acts says in a sentence what it does', () => {
  for (const { table, name, row } of allRows)
    if (row.acts) assert.match(row.doc ?? '', /^[A-Z].*\.$/s, `${table} ${name}`)
})

test('every config that acts is read by the code', () => {
  const root = join(import.meta.dirname, '..', '..')
  const isTable = /src\/config\/(.*-configs|broker-configs-without-effect|docs)\.ts$/
  const sources = ['src', 'storage'].flatMap((folder) =>
    readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' })
      .map((file) => join(folder, file))
      .filter((file) => file.endsWith('.ts') && !isTable.test(file) && file !== join('storage', 'log-store.ts')),
  )
  const text = sources.map((file) => readFileSync(join(root, file), 'utf8')).join('\n')
  const topicSynonyms = new Set<string>(
    Object.values<ConfigRow>(topicConfigs).flatMap((row) => (row.acts ? (row.synonyms ?? []) : [])),
  )
  const unread = allRows
    .filter(({ row, name }) => row.acts && !topicSynonyms.has(name))
    .filter(({ name }) => !new RegExp(`\\b${propertyName(name)}\\b`).test(text) && !text.includes(`'${name}'`))
    .map(({ name }) => name)
  assert.deepEqual(unread, [])
})

test('a broker config that is the default of a topic config acts where that one does', () => {
  for (const [name, row] of Object.entries<ConfigRow>(topicConfigs))
    for (const synonym of row.synonyms ?? [])
      assert.equal(brokerConfigs[synonym]!.acts, row.acts, `${name}: ${synonym}`)
})

test('every synonym of a topic config is a broker config', () => {
  for (const [name, row] of Object.entries<ConfigRow>(topicConfigs))
    for (const synonym of row.synonyms ?? []) assert(brokerConfigs[synonym], `${name}: ${synonym}`)
})

test('a wrong value is refused in the words of Kafka', () => {
  const long: ConfigRow = { type: 'LONG', default: 0n, min: 0n }
  const int: ConfigRow = { type: 'INT', default: 1, min: 1, max: 9 }
  const flag: ConfigRow = { type: 'BOOLEAN', default: false }
  const ratio: ConfigRow = { type: 'DOUBLE', default: 0.5, min: 0, max: 1 }
  const choice: ConfigRow = { type: 'STRING', default: 'a', values: ['a', 'b'] }
  const list: ConfigRow = { type: 'LIST', default: [], values: ['a', 'b'] }
  const of = 'Invalid value'
  assert.equal(errorOf(long, 'abc'), `${of} abc for configuration some.config: Not a number of type LONG`)
  assert.equal(
    errorOf(long, '9223372036854775808'),
    `${of} 9223372036854775808 for configuration some.config: Not a number of type LONG`,
  )
  assert.equal(errorOf(long, '-1'), `${of} -1 for configuration some.config: Value must be at least 0`)
  assert.equal(errorOf(int, '2147483648'), `${of} 2147483648 for configuration some.config: Not a number of type INT`)
  assert.equal(errorOf(int, '1.5'), `${of} 1.5 for configuration some.config: Not a number of type INT`)
  assert.equal(errorOf(int, ''), `${of}  for configuration some.config: Not a number of type INT`)
  assert.equal(errorOf(int, '10'), `${of} 10 for configuration some.config: Value must be no more than 9`)
  assert.equal(
    errorOf(flag, 'yes'),
    `${of} yes for configuration some.config: Expected value to be either true or false`,
  )
  assert.equal(errorOf(ratio, '1.1'), `${of} 1.1 for configuration some.config: Value must be no more than 1`)
  assert.equal(errorOf(choice, 'c'), `${of} c for configuration some.config: String must be one of: a, b`)
  assert.equal(errorOf(list, 'a,c'), `${of} c for configuration some.config: String must be one of: a, b`)
  assert.equal(errorOf(list, 'a,'), "Configuration 'some.config' values must not be empty.")
  const twice = `${of} 1.5 for configuration some.config: Value must be no more than 1`
  assert.equal(errorOf(ratio, '15e-1'), twice, 'the value is shown as it was understood')
})

test('values are read as Kafka reads them', () => {
  const value = (row: ConfigRow, text: string): unknown => {
    const parsed = parseValue('some.config', row, text)
    return parsed.ok ? parsed.value : parsed.error
  }
  assert.equal(value({ type: 'LONG', default: 0n }, ' 9223372036854775807 '), 9_223_372_036_854_775_807n)
  assert.equal(value({ type: 'LONG', default: 0n }, '-9223372036854775808'), -9_223_372_036_854_775_808n)
  assert.equal(value({ type: 'INT', default: 0 }, '+5'), 5)
  assert.equal(value({ type: 'BOOLEAN', default: false }, ' TRUE '), true)
  assert.equal(value({ type: 'DOUBLE', default: 0 }, '1.5e2'), 150)
  assert.deepEqual(value({ type: 'LIST', default: [] }, ' a , b '), ['a', 'b'])
  assert.deepEqual(value({ type: 'LIST', default: [] }, 'a,b,a'), ['a', 'b'])
  assert.deepEqual(value({ type: 'LIST', default: [] }, ''), [])
  assert.equal(value({ type: 'STRING', default: '' }, ' a b '), 'a b')
  assert.equal(value({ type: 'PASSWORD', default: null }, ' secret '), ' secret ')
})

test('a secret never appears in an error', () => {
  const secret: ConfigRow = { type: 'PASSWORD', default: null, check: () => 'too short' }
  assert.equal(errorOf(secret, 'hunter2'), 'Invalid value [hidden] for configuration some.config: too short')
})

test('numbers print as Java prints them', () => {
  assert.equal(textOf('DOUBLE', 0.5), '0.5')
  assert.equal(textOf('DOUBLE', 1), '1.0')
  assert.equal(textOf('DOUBLE', 1e7), '1.0E7')
  assert.equal(textOf('DOUBLE', 2_147_483_647), '2.147483647E9')
  assert.equal(textOf('DOUBLE', 1.7976931348623157e308), '1.7976931348623157E308')
  assert.equal(textOf('LONG', 9_223_372_036_854_775_807n), '9223372036854775807')
})

test('a share group starts at an end of the log, or a duration back', () => {
  const errorFor = (text: string): string | undefined => errorOf(groupConfigs['share.auto.offset.reset'], text)
  for (const text of ['latest', 'earliest', 'by_duration:PT1H', 'by_duration:P1DT2H3M4.5S'])
    assert.equal(errorFor(text), undefined, text)
  for (const text of ['', 'soon', 'by_duration:', 'by_duration:P', 'by_duration:PT', 'by_duration:1h'])
    assert.notEqual(errorFor(text), undefined, text)
})
