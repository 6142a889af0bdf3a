/**
 * The one way to JSON, for logs, HTTP and the command line. Offsets and producer ids are bigints, on which
 * JSON.stringify throws; here they are written as the digits of a JSON number, exact at any size, and read back without
 * loss.
 */

/** What Node 24 has and the `es2024` library types do not declare yet. */
interface RawJson {
  rawJSON(text: string): unknown
  parse(text: string, reviver: (key: string, value: unknown, context: { source?: string }) => unknown): unknown
}
const json = JSON as unknown as RawJson

/**
 * Serializes like JSON.stringify, with bigints as plain number digits: `9007199254740993`, no quotes and no exponent.
 *
 * @throws TypeError for what has no JSON: undefined, a function, a circle.
 */
export function toJson(value: unknown, indent?: number): string {
  const text: string | undefined = JSON.stringify(value, bigintAsDigits, indent)
  if (text === undefined) throw new TypeError(`no JSON for a value of type ${typeof value}`)
  return text
}

/** Parses JSON. Whole numbers beyond 2^53, which a double would round, come back as bigints; all others as numbers. */
export function fromJson(text: string): unknown {
  return json.parse(text, exactWholeNumbers)
}

function bigintAsDigits(_key: string, value: unknown): unknown {
  return typeof value === 'bigint' ? json.rawJSON(value.toString()) : value
}

function exactWholeNumbers(_key: string, value: unknown, context: { source?: string }): unknown {
  if (typeof value !== 'number' || Number.isSafeInteger(value) || context.source === undefined) return value
  return /^-?\d+$/.test(context.source) ? BigInt(context.source) : value
}
