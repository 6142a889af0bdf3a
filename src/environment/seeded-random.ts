import assert from 'node:assert/strict'
import type { Random } from './environment.ts'
import { randomUuid } from './random-uuid.ts'

/** The same numbers for the same seed, for tests and simulations: sfc32. Not for secrets. */
export function seededRandom(seed: number): Random {
  const next = sfc32(seed)

  function bytes(count: number): Uint8Array {
    const result = new Uint8Array(count)
    for (let position = 0; position < count; position++) result[position] = next() & 0xff
    return result
  }

  function below(limit: number): number {
    assert(Number.isSafeInteger(limit) && limit > 0, `got ${limit}, expected a whole number above 0`)
    if (limit <= 2 ** 32) return Math.floor((next() / 2 ** 32) * limit)
    return Math.floor(((next() >>> 11) * 2 ** 32 + next()) % limit)
  }

  return { bytes, below, uuid: () => randomUuid(bytes) }
}

/** Chris Doty-Humphrey's small fast counting generator, 32 bits per call. */
function sfc32(seed: number): () => number {
  let a = seed | 0
  let b = Math.floor(seed / 2 ** 32) | 0
  let c = 0x9e3779b9 | 0
  let counter = 1
  const next = (): number => {
    const result = (((a + b) | 0) + counter) | 0
    counter = (counter + 1) | 0
    a = b ^ (b >>> 9)
    b = (c + (c << 3)) | 0
    c = ((c << 21) | (c >>> 11)) + result
    c |= 0
    return result >>> 0
  }
  for (let round = 0; round < 12; round++) next() // until the seed has reached every bit
  return next
}
