/** Version ranges as Kafka's message definitions write them: `'3'`, `'3-5'`, `'3+'`, `'none'`. */

export interface VersionRange {
  readonly min: number
  /** Infinity for an open range. */
  readonly max: number
}

const none: VersionRange = { min: Infinity, max: -Infinity }

/** Parses a range. Throws on anything else: ranges are constants of ours. */
export function parseVersions(text: string): VersionRange {
  if (text === 'none') return none
  const match = /^(\d+)(?:(\+)|-(\d+))?$/.exec(text)
  if (!match) throw new TypeError(`got versions '${text}', expected '3', '3-5', '3+' or 'none'`)
  const min = Number(match[1])
  if (match[2]) return { min, max: Infinity }
  return { min, max: match[3] === undefined ? min : Number(match[3]) }
}

/** Whether the range contains the version; without a range, always. */
export function inVersions(range: string | undefined, version: number): boolean {
  if (range === undefined) return true
  const { min, max } = parseVersions(range)
  return version >= min && version <= max
}
