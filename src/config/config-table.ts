/**
 * What a table of configs is: one row per config, from which parsing, defaults, checks, DescribeConfigs and
 * `docs/configs.md` follow. The TypeScript type of a parsed table is inferred from its rows.
 *
 * Numbers of type LONG are bigint, so that Kafka's "never" (2^63-1) survives; INT, SHORT and DOUBLE are number.
 */

export type Importance = 'HIGH' | 'MEDIUM' | 'LOW'
/** Whether a broker config can change while the broker runs, and for whom. */
export type UpdateMode = 'read-only' | 'per-broker' | 'cluster-wide'

interface RowFacts {
  /** Default: MEDIUM. */
  readonly importance?: Importance
  /** Broker configs only. Default: read-only. */
  readonly update?: UpdateMode
  /** Broker configs from which a topic config takes its default; the first that is set wins. */
  readonly synonyms?: readonly string[]
  /** Kafka's default as text where ours is another on purpose; `doc` says why. */
  readonly kafkaDefault?: string
  /** The accepted values as Kafka prints them, where they can't be derived from the row. */
  readonly valid?: string
  /** A check beyond type, range and values. Returns what is wrong, as Kafka would say it. */
  readonly check?: (value: ConfigValue) => string | undefined
  /** The config has an effect in this broker. Without it the value is checked, stored and shown, and nothing more. */
  readonly acts?: true
  /** What it does here, with the unit. Required where it acts. */
  readonly doc?: string
  /** The Kafka release that brought it, where that is newer than 4.3. */
  readonly since?: string
}

export type ConfigRow = RowFacts &
  (
    | { readonly type: 'BOOLEAN'; readonly default: boolean | null }
    | {
        readonly type: 'INT' | 'SHORT' | 'DOUBLE'
        readonly default: number | null
        readonly min?: number
        readonly max?: number
      }
    | { readonly type: 'LONG'; readonly default: bigint | null; readonly min?: bigint; readonly max?: bigint }
    | { readonly type: 'STRING'; readonly default: string | null; readonly values?: readonly string[] }
    | { readonly type: 'CLASS' | 'PASSWORD'; readonly default: string | null }
    | { readonly type: 'LIST'; readonly default: readonly string[] | null; readonly values?: readonly string[] }
  )
export type ConfigType = ConfigRow['type']
export type ConfigTable = Readonly<Record<string, ConfigRow>>

/** A parsed value. `null` stands for "not set". */
export type ConfigValue = boolean | number | bigint | string | readonly string[] | null

type Camel<S extends string> = S extends `${infer Head}.${infer Tail}` ? `${Head}${Capitalize<Camel<Tail>>}` : S
/** `log.retention.ms` is `logRetentionMs`, `titorelli.durable` is `durable`. */
export type PropertyName<S extends string> = S extends `titorelli.${infer Own}` ? Camel<Own> : Camel<S>

type BaseValue<R> = R extends { type: 'LONG' }
  ? bigint
  : R extends { type: 'INT' | 'SHORT' | 'DOUBLE' }
    ? number
    : R extends { type: 'BOOLEAN' }
      ? boolean
      : R extends { type: 'LIST' }
        ? readonly string[]
        : R extends { values: readonly (infer V)[] }
          ? V
          : string
type ValueOf<R> = R extends { default: null } ? BaseValue<R> | null : BaseValue<R>
/** The typed object that a table parses to. */
export type ValuesOf<T> = { readonly [K in keyof T & string as PropertyName<K>]: ValueOf<T[K]> }

export function propertyName(name: string): string {
  return name.replace(/^titorelli\./, '').replaceAll(/\.(.)/g, (_, letter: string) => letter.toUpperCase())
}

export type Parsed = { readonly ok: true; readonly value: ConfigValue } | { readonly ok: false; readonly error: string }

/** Parses and checks one value. The error is worded as Kafka words it, so that tools which look for it find it. */
export function parseValue(name: string, row: ConfigRow, text: string): Parsed {
  const value = valueOf(row, text)
  if (value === undefined) return { ok: false, error: invalid(name, shownText(row, text), notOfType[row.type]) }
  const error = breach(name, row, value)
  return error === undefined ? { ok: true, value } : { ok: false, error }
}

function invalid(name: string, shown: string, wrong: string): string {
  return `Invalid value ${shown} for configuration ${name}: ${wrong}`
}

/** What of a value may be shown: all of it, unless it is a secret. */
export function shownText(row: ConfigRow, text: string): string {
  return row.type === 'PASSWORD' ? '[hidden]' : text
}

const notOfType: Record<ConfigType, string> = {
  BOOLEAN: 'Expected value to be either true or false',
  INT: 'Not a number of type INT',
  SHORT: 'Not a number of type SHORT',
  LONG: 'Not a number of type LONG',
  DOUBLE: 'Not a number of type DOUBLE',
  STRING: 'Expected value to be a string',
  CLASS: 'Expected value to be the name of a class',
  PASSWORD: 'Expected value to be a string',
  LIST: 'Expected a comma separated list.',
}

const wholeNumber = /^[+-]?\d{1,19}$/
const decimalNumber = /^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?$/
const bitsOf = { SHORT: 16, INT: 32, LONG: 64 }

/** The typed value, or undefined where the text is not of the type. Follows Kafka's ConfigDef.parseType. */
function valueOf(row: ConfigRow, text: string): ConfigValue | undefined {
  const trimmed = text.trim()
  switch (row.type) {
    case 'BOOLEAN':
      return /^true$/i.test(trimmed) ? true : /^false$/i.test(trimmed) ? false : undefined
    case 'SHORT':
    case 'INT':
    case 'LONG': {
      if (!wholeNumber.test(trimmed)) return undefined
      const value = BigInt(trimmed.replace(/^\+/, ''))
      if (BigInt.asIntN(bitsOf[row.type], value) !== value) return undefined
      return row.type === 'LONG' ? value : Number(value)
    }
    case 'DOUBLE':
      return decimalNumber.test(trimmed) ? Number(trimmed) : undefined
    case 'LIST':
      return trimmed === '' ? [] : [...new Set(trimmed.split(/\s*,\s*/))]
    case 'PASSWORD':
      return text
    default:
      return trimmed
  }
}

/** What a well-formed value breaks, as a whole sentence, or undefined. Shows the value as it was understood. */
function breach(name: string, row: ConfigRow, value: ConfigValue): string | undefined {
  if (row.type === 'LIST' && row.values) return listBreach(name, row.values, value as readonly string[])
  const wrong = rangeBreach(row, value) ?? row.check?.(value)
  if (wrong === undefined) return undefined
  const text = textOf(row.type, value)
  return invalid(name, shownText(row, row.type === 'LIST' ? `[${text.replaceAll(',', ', ')}]` : text), wrong)
}

function rangeBreach(row: ConfigRow, value: ConfigValue): string | undefined {
  if ('min' in row && row.min !== undefined && (value as number | bigint) < row.min)
    return `Value must be at least ${row.min}`
  if ('max' in row && row.max !== undefined && (value as number | bigint) > row.max)
    return `Value must be no more than ${row.max}`
  if (row.type === 'STRING' && row.values && !row.values.includes(value as string))
    return `String must be one of: ${row.values.join(', ')}`
  return undefined
}

function listBreach(name: string, values: readonly string[], list: readonly string[]): string | undefined {
  if (list.includes('')) return `Configuration '${name}' values must not be empty.`
  const stranger = list.find((item) => !values.includes(item))
  return stranger === undefined ? undefined : invalid(name, stranger, `String must be one of: ${values.join(', ')}`)
}

/** A value as Kafka prints it. */
export function textOf(type: ConfigType, value: ConfigValue): string {
  if (value === null) return 'null'
  if (Array.isArray(value)) return value.join(',')
  if (type === 'DOUBLE') return doubleText(value as number)
  return String(value)
}

/** Java's Double.toString: always a fraction; an exponent below 0.001 and from 10,000,000 on. */
function doubleText(value: number): string {
  const size = Math.abs(value)
  if (size === 0 || (size >= 1e-3 && size < 1e7)) return Number.isInteger(value) ? value.toFixed(1) : String(value)
  const [digits, exponent] = value.toExponential().split('e')
  return `${digits!.includes('.') ? digits : `${digits}.0`}E${Number(exponent)}`
}

/** The accepted values as Kafka prints them: `[0,...]`, `[compact, delete]`; empty where everything of the type is. */
export function validText(row: ConfigRow): string {
  if (row.valid !== undefined) return row.valid
  if ('values' in row && row.values) return `[${row.values.join(', ')}]`
  if (!('min' in row) || row.min === undefined) return ''
  return row.max === undefined ? `[${row.min},...]` : `[${row.min},...,${row.max}]`
}

/** What to tell a person who gave a wrong value. */
export function expectation(row: ConfigRow): string {
  const type = row.type.toLowerCase()
  const valid = validText(row)
  return valid === '' ? `a value of type ${type}` : `a value of type ${type} in ${valid}`
}
