/** Rows written as the columns of Kafka's documentation, for configs that no code reads: one line each. */
import { gzipLevel, oneOfIgnoringCase } from './checks.ts'
import type { ConfigRow, ConfigTable, ConfigType, ConfigValue, Importance, UpdateMode } from './config-table.ts'

/** Name, type, default as text (`(none)` where a value is required), valid values, importance, update mode, since. */
export type CompactRow = readonly [
  name: string,
  type: ConfigType,
  defaultText: string,
  valid: string,
  importance: Importance,
  update: UpdateMode,
  since?: string,
]

export function tableOf(rows: readonly CompactRow[]): ConfigTable {
  return Object.fromEntries(rows.map((row) => [row[0], rowOf(row)]))
}

function rowOf([name, type, defaultText, valid, importance, update, since]: CompactRow): ConfigRow {
  const row = {
    type,
    default: defaultOf(type, defaultText),
    importance,
    update,
    ...(defaultText === '(none)' ? { kafkaDefault: defaultText } : {}),
    ...(since === undefined ? {} : { since }),
    ...limitsOf(name, type, valid),
  }
  return row as ConfigRow
}

function defaultOf(type: ConfigType, text: string): ConfigValue {
  if (text === 'null' || text === '(none)') return null
  if (type === 'BOOLEAN') return text === 'true'
  if (type === 'LONG') return BigInt(text)
  if (type === 'INT' || type === 'SHORT' || type === 'DOUBLE') return Number(text)
  if (type === 'LIST') return text === '' ? [] : text.split(',')
  return text
}

/** Reads `[1,...]`, `[0,...,500]`, `[a, b]` and the few descriptions in words. */
function limitsOf(name: string, type: ConfigType, valid: string): object {
  if (valid === '') return {}
  const range = /^\[([-\d.]+),\.\.\.(?:,([-\d.]+))?\]$/.exec(valid)
  if (range) {
    const limit = (text: string) => (type === 'LONG' ? BigInt(text) : Number(text))
    return { min: limit(range[1]!), ...(range[2] === undefined ? {} : { max: limit(range[2]) }) }
  }
  const values = /^\[([^\]]*)\]$/.exec(valid)
  if (values) return { values: values[1]!.split(', ') }
  return { valid, ...checkOf(name, valid) }
}

function checkOf(name: string, valid: string): Pick<ConfigRow, 'check'> {
  const ignoringCase = /^\(case insensitive\) \[(.*)\]$/.exec(valid)
  if (ignoringCase) return { check: oneOfIgnoringCase(ignoringCase[1]!.split(', ')) }
  if (valid === 'non-empty string') return { check: (value) => (value === '' ? 'String must be non-empty' : undefined) }
  if (valid === 'non-empty list') return { check: notEmpty }
  if (name.endsWith('.gzip.level')) return { check: gzipLevel }
  return {}
}

function notEmpty(value: ConfigValue): string | undefined {
  return (value as readonly string[]).length === 0 ? 'List must not be empty' : undefined
}
