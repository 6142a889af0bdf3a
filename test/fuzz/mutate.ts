/**
 * Changes to bytes and values that decoders get wrong: sizes that lie, cuts, repeats, extremes. All from a seeded
 * source.
 */
import type { Random } from '../../src/environment/environment.ts'

export function pick<T>(random: Random, from: readonly T[]): T {
  return from[random.below(from.length)]!
}

export function chance(random: Random, oneIn: number): boolean {
  return random.below(oneIn) === 0
}

/** What decoders read as sizes, counts and nulls: fixed and variable widths, at their borders. */
const sizes: readonly (readonly number[])[] = [
  [0x7f, 0xff, 0xff, 0xff],
  [0xff, 0xff, 0xff, 0xff],
  [0x80, 0, 0, 0],
  [0, 0, 0, 0],
  [0, 0x10, 0, 0],
  [0x7f, 0xff],
  [0xff, 0xff],
  [0x80, 0],
  [0xff, 0xff, 0xff, 0xff, 0x0f],
  [0xff, 0xff, 0xff, 0xff, 0x07],
  [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01],
  [0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80],
  [0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff],
  [0x80, 0, 0, 0, 0, 0, 0, 0],
]

/** One to four changes. The bytes given stay as they are; bytes before `from` are kept. */
export function mutated(random: Random, bytes: Uint8Array, from = 0): Uint8Array {
  let changed: Uint8Array = Uint8Array.from(bytes)
  for (let count = 1 + random.below(4); count > 0 && changed.length > from; count--) {
    changed = changeOnce(random, changed, from)
  }
  return changed
}

function changeOnce(random: Random, bytes: Uint8Array, from: number): Uint8Array {
  const at = from + random.below(bytes.length - from)
  const length = 1 + random.below(Math.min(64, bytes.length - at))
  switch (random.below(8)) {
    case 0:
      bytes[at] = random.below(256)
      return bytes
    case 1:
      bytes[at]! ^= 1 << random.below(8)
      return bytes
    case 2:
    case 3: {
      const size = pick(random, sizes)
      bytes.set(size.slice(0, bytes.length - at), at)
      return bytes
    }
    case 4:
      return bytes.slice(0, at)
    case 5:
      return joined(bytes.subarray(0, at), bytes.subarray(at + length))
    case 6:
      return joined(bytes.subarray(0, at), bytes.subarray(at, at + length), bytes.subarray(at))
    default:
      return joined(bytes.subarray(0, at), random.bytes(length), bytes.subarray(at))
  }
}

export function joined(...parts: readonly Uint8Array[]): Uint8Array {
  return new Uint8Array(Buffer.concat(parts))
}

const odd = ['', '\0', '\uffff', '\ud800', 'ä', '../..', '__consumer_offsets', '%', '\\', '\n', ' ', '-1', 'null', '{}']

/** Text of people, of attackers and of nobody. */
export function oddText(random: Random): string {
  const parts = Array.from({ length: random.below(4) }, () =>
    chance(random, 2) ? pick(random, odd) : String.fromCharCode(32 + random.below(95)).repeat(random.below(12)),
  )
  return chance(random, 50) ? 'x'.repeat(random.below(70_000)) : parts.join('')
}

export const oddIntegers = [0, 1, -1, 2, 0x7f, 0x7fff, -0x8000, 0x7fffffff, -0x80000000, 65_536, 255]
export const oddBigints = [0n, 1n, -1n, -2n, 2n ** 63n - 1n, -(2n ** 63n), 2n ** 53n + 1n, 2n ** 31n]

/** A value as JSON could be where another was: of another type, another shape, too much. */
export function oddJson(random: Random, depth = 0): unknown {
  switch (random.below(depth > 3 ? 7 : 10)) {
    case 0:
      return null
    case 1:
      return chance(random, 2)
    case 2:
      return pick(random, oddIntegers)
    case 3:
      return pick(random, [1e308, 0.5, 2 ** 53, -0])
    case 4:
    case 5:
    case 6:
      return oddText(random)
    case 7:
      return Array.from({ length: random.below(4) }, () => oddJson(random, depth + 1))
    case 8:
      return Array.from({ length: random.below(4) }, (_, at) => at)
    default: {
      const entries = Array.from({ length: random.below(4) }, () => [oddText(random), oddJson(random, depth + 1)])
      return Object.fromEntries(entries) as unknown
    }
  }
}

/** The value with one of its parts, at any depth, replaced, left out or doubled. */
export function mutatedJson(random: Random, value: unknown): unknown {
  if (value === null || typeof value !== 'object' || chance(random, 8)) return oddJson(random)
  if (Array.isArray(value)) {
    const list = [...(value as unknown[])]
    if (list.length === 0 || chance(random, 4)) return [...list, oddJson(random)]
    const at = random.below(list.length)
    list[at] = mutatedJson(random, list[at])
    return list
  }
  const entries = Object.entries(value)
  if (entries.length === 0 || chance(random, 6)) return { ...value, [oddText(random)]: oddJson(random) }
  const [name, part] = pick(random, entries)
  if (!chance(random, 6)) return { ...value, [name]: mutatedJson(random, part) }
  return Object.fromEntries(entries.filter(([other]) => other !== name))
}
