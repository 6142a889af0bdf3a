/**
 * Compares the tables of configs with Kafka's own, where they are at hand: KAFKA_FACTS_DIR. The project does not carry
 * them.
 */
import assert from 'node:assert/strict'
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { brokerConfigs, ownConfigs } from '../../src/config/broker-configs.ts'
import { clientMetricsConfigs } from '../../src/config/client-metrics-configs.ts'
import { type ConfigTable, textOf, validText } from '../../src/config/config-table.ts'
import { groupConfigs } from '../../src/config/group-configs.ts'
import { topicConfigs } from '../../src/config/topic-configs.ts'

const folder =
  process.env['KAFKA_FACTS_DIR'] ?? join(import.meta.dirname, '..', '..', '..', 'shared', 'reference', 'kafka-facts')
const isHere = existsSync(folder)
if (!isHere) console.error("SKIPPED: no config is compared, Kafka's tables are not here (KAFKA_FACTS_DIR)")
const options = { skip: isHere ? false : 'KAFKA_FACTS_DIR names no folder' }

interface Fact {
  readonly name: string
  readonly type: string
  readonly default: string
  readonly valid: string
  readonly importance: string
  readonly extra: string
  readonly since: string
}

function factsOf(scope: string): Fact[] {
  const lines = readFileSync(join(folder, 'configs.tsv'), 'utf8').trimEnd().split('\n').slice(1)
  const facts: Fact[] = []
  for (const line of lines) {
    const [rowScope, name, type, defaultText, valid, importance, extra, since] = line.split('\t')
    if (rowScope !== scope) continue
    facts.push({
      name: name!,
      type: type!,
      default: defaultText!,
      valid: valid ?? '',
      importance: importance!,
      extra: extra ?? '',
      since: since ?? '',
    })
  }
  return facts
}

function ourFacts(table: ConfigTable, scope: string): Fact[] {
  return Object.entries(table).map(([name, row]) => ({
    name,
    type: row.type,
    default: row.kafkaDefault ?? textOf(row.type, row.default),
    valid: validText(row),
    importance: row.importance ?? 'MEDIUM',
    extra: scope === 'broker' ? (row.update ?? 'read-only') : (row.synonyms ?? []).join(','),
    since: row.since ?? '',
  }))
}

function byName(facts: readonly Fact[]): Fact[] {
  return [...facts].sort((a, b) => (a.name < b.name ? -1 : 1))
}

const kafkaBrokerConfigs = Object.fromEntries(
  Object.entries(brokerConfigs).filter(([name]) => !Object.hasOwn(ownConfigs, name)),
)
const tables: Readonly<Record<string, ConfigTable>> = {
  topic: topicConfigs,
  broker: kafkaBrokerConfigs,
  group: groupConfigs,
  'client-metrics': clientMetricsConfigs,
}

for (const [scope, table] of Object.entries(tables)) {
  test(
    `every ${scope} config of Kafka is known with its type, default, range and synonyms, and no other`,
    options,
    () => {
      const expected = byName(factsOf(scope))
      assert(expected.length > 0)
      assert.deepEqual(byName(ourFacts(table, scope)), expected)
    },
  )
}

test('defaults that differ from Kafka on purpose are these and no others', () => {
  const differing = Object.entries(tables).flatMap(([, table]) =>
    Object.entries(table)
      .filter(([, row]) => row.kafkaDefault !== undefined && row.default !== null)
      .map(([name]) => name),
  )
  assert.deepEqual(differing.sort(), ['group.initial.rebalance.delay.ms', 'listeners', 'log.dir', 'node.id'])
})
