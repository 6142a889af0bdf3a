import assert from 'node:assert/strict'
import test from 'node:test'
import fc from 'fast-check'
import { foldableFromBytes, openFolding, windows } from '../../../protocol/crc32c-folding.ts'
import { crc32c, crc32cOfTables } from '../../../protocol/crc32c.ts'

/** The Castagnoli polynomial with all its terms, the highest first. */
const castagnoli = 0x11edc6f41n
const pieceMaxBytes = 64_000
const toFoldAtAll = 2_048 // below, `crc32c` does without
const noise = noiseOf(1 << 20)

const fold = openFolding(crc32cOfTables)
for (let bytes = 0; bytes <= 65_536; bytes += 4_096) crc32c(noise.subarray(0, 4_096)) // from here on it folds too

test('the distances are a multiple of the Castagnoli polynomial', () => {
  const distances = [0, ...windows.flatMap(distancesOf)]
  const terms = distances.map((distance) => 646 - distance).toSorted((a, b) => b - a)
  assert.deepEqual(terms, [646, 203, 155, 123, 96, 48, 16, 0])
  assert.equal(remainderOf(terms), 0n)
  for (const term of terms) assert.notEqual(remainderOf(terms.filter((other) => other !== term)), 0n)
  assert.equal(remainderOf(terms.map((term) => 8 * term)), 0n, 'and so they are in bytes')
})

test('no other two windows with seven distances lie between 256 and 1,400 bytes', () => {
  // A multiple is a sum of powers of 1/x that is 0: that of one window has to be that of the other, plus 1.
  const powers = powersOfInverse(1_400)
  const sumOf = (distances: number[]): number => distances.reduce((sum, distance) => sum ^ powers[distance]!, 0)
  const found: number[][] = []
  for (const [few, many] of [
    [2, 3],
    [1, 4],
    [0, 5],
  ] as const) {
    const candidates = [...windowsOf(few)]
    const bySum = new Map(candidates.map((distances) => [sumOf(distances), distances]))
    assert.equal(bySum.size, candidates.length, 'none hides another')
    for (const distances of windowsOf(many)) {
      const others = bySum.get(sumOf(distances) ^ 1)
      if (others) found.push([...others, ...distances])
    }
  }
  assert.deepEqual(found, [windows.flatMap(distancesOf)])

  function* windowsOf(laterCount: number): Iterable<number[]> {
    for (const laterSteps of subsetsOf([1, 2, 3, 4, 5, 6, 7], laterCount)) {
      for (let fromBytes = 256; fromBytes + 16 * (laterSteps.at(-1) ?? 0) <= 1_400; fromBytes++) {
        yield distancesOf({ fromBytes, laterSteps })
      }
    }
  }
})

test('folding and tables agree on every length of a pass, and around the borders of pieces', () => {
  const lengths = Array.from({ length: 300 }, (_, index) => foldableFromBytes + index)
  for (const border of [toFoldAtAll, 4_096, pieceMaxBytes, 2 * pieceMaxBytes, 3 * pieceMaxBytes]) {
    for (let length = border - 3; length <= border + 3; length++) lengths.push(length)
  }
  for (const length of lengths) {
    const bytes = noise.subarray(length % 19, (length % 19) + length)
    assert.equal(fold(bytes, 0), crc32cOfTables(bytes), `${length} bytes`)
    assert.equal(crc32c(bytes, 0x80000001), crc32cOfTables(bytes, 0x80000001), `${length} bytes`)
  }
})

test('folding and tables agree on any bytes at any place, from any start', () => {
  const length = fc.oneof(fc.integer({ min: foldableFromBytes, max: 8_192 }), fc.integer({ min: 8_193, max: 200_000 }))
  const initial = fc.oneof(fc.constantFrom(0, 1, 0x7fffffff, 0x80000000, 0xffffffff), fc.nat({ max: 0xffffffff }))
  fc.assert(
    fc.property(length, fc.nat({ max: 500_000 }), initial, (sizeBytes, at, start) => {
      const bytes = noise.subarray(at, at + sizeBytes)
      const expected = crc32cOfTables(bytes, start)
      assert.equal(fold(bytes, start), expected)
      assert.equal(crc32c(bytes, start), expected)
    }),
    { numRuns: 150 },
  )
})

test('a short message after a long one finds nothing of it', () => {
  for (const length of [100_000, foldableFromBytes, 5_000, 1_025, 60_001, 2_047]) {
    const bytes = noise.subarray(1, 1 + length)
    assert.equal(fold(bytes, 5), crc32cOfTables(bytes, 5))
  }
})

test('bytes in shared memory are summed like others, and are not changed', () => {
  const shared = new Uint8Array(new SharedArrayBuffer(20_011), 11)
  shared.set(noise.subarray(0, 20_000))
  assert.equal(crc32c(shared), crc32cOfTables(noise.subarray(0, 20_000)))
  assert.deepEqual(Buffer.from(shared), Buffer.from(noise.subarray(0, 20_000)))
})

test('a message with its checksum behind it has the remainder that all such messages have', () => {
  for (const length of [3_000, 16_384, 70_001, 500_000]) {
    const message = Buffer.alloc(length + 4)
    message.set(noise.subarray(0, length))
    message.writeUInt32LE(crc32c(message.subarray(0, length)), length)
    assert.equal(crc32c(message), 0x48674bc7)
  }
})

test('a single changed bit changes the checksum of a long message', () => {
  const bytes = noise.slice(0, 4_000)
  const before = crc32c(bytes)
  for (let bit = 0; bit < bytes.length * 8; bit += 7) {
    bytes[bit >> 3]! ^= 1 << (bit & 7)
    assert.notEqual(crc32c(bytes), before)
    bytes[bit >> 3]! ^= 1 << (bit & 7)
  }
})

test('without WebAssembly the checksums are the same', async () => {
  let attempts = 0
  const refusing = {
    Module: class {
      constructor() {
        attempts++
        throw new Error('no compiler here')
      }
    },
  }
  await checkChecksumsWith('none', undefined)
  await checkChecksumsWith('refusing', refusing)
  assert.equal(attempts, 1, 'it asks once')
})

test('what is 2 KiB or longer is folded, after 64 KiB without', async () => {
  const counting = folding((fold, from, to) => fold(from, to))
  await checkChecksumsWith('counting', counting.host)
  assert.equal(counting.calls(), 1 + 1 + 1 + 4) // to see that it is right, then for 2,048, 16,384 and 200,000 bytes
})

test('folding that sums wrong is not used', async () => {
  const idle = folding(() => {})
  await checkChecksumsWith('idle', idle.host)
  assert.equal(idle.calls(), 1)
})

type Fold = (from: number, to: number) => void

/** WebAssembly whose instances do this in place of folding, and how often they did. */
function folding(inPlace: (fold: Fold, from: number, to: number) => void): { host: object; calls: () => number } {
  const { Module, Instance } = (globalThis as unknown as { WebAssembly: WebAssemblyHost }).WebAssembly
  let calls = 0
  class Counting {
    readonly exports: object
    constructor(module: object) {
      const { memory, fold } = new Instance(module).exports
      const counted = (from: number, to: number): void => {
        calls++
        inPlace(fold, from, to)
      }
      this.exports = { memory, fold: counted }
    }
  }
  return { host: { Module, Instance: Counting }, calls: () => calls }
}

interface WebAssemblyHost {
  readonly Module: new (bytes: Uint8Array) => object
  readonly Instance: new (module: object) => { readonly exports: { readonly memory: object; readonly fold: Fold } }
}

/** Loads the code once more, under a name of its own, and has it sum with this in place of WebAssembly. */
async function checkChecksumsWith(name: string, host: object | undefined): Promise<void> {
  const fresh = (await import(`../../../protocol/crc32c.ts?${name}`)) as { crc32c: typeof crc32c }
  const descriptor = Object.getOwnPropertyDescriptor(globalThis, 'WebAssembly')!
  Object.defineProperty(globalThis, 'WebAssembly', { ...descriptor, value: host })
  try {
    for (const length of [65_537, 10, 1_000, 2_048, 16_384, 200_000]) {
      const bytes = noise.subarray(3, 3 + length)
      assert.equal(fresh.crc32c(bytes, 9), crc32cOfTables(bytes, 9))
    }
  } finally {
    Object.defineProperty(globalThis, 'WebAssembly', descriptor)
  }
}

function distancesOf(window: { fromBytes: number; laterSteps: readonly number[] }): number[] {
  return [0, ...window.laterSteps].map((steps) => window.fromBytes + 16 * steps)
}

/** What is left of the sum of these powers of x, modulo the Castagnoli polynomial, by long division. */
function remainderOf(exponents: readonly number[]): bigint {
  let left = exponents.reduce((sum, exponent) => sum ^ (1n << BigInt(exponent)), 0n)
  for (let exponent = Math.max(...exponents); exponent >= 32; exponent--) {
    if (left & (1n << BigInt(exponent))) left ^= castagnoli << BigInt(exponent - 32)
  }
  return left
}

/** The powers of 1/x up to this one, modulo the Castagnoli polynomial, as 32 bits. */
function powersOfInverse(exponentMax: number): Int32Array {
  const powers = new Int32Array(exponentMax + 1)
  let power = 1n
  for (let exponent = 0; exponent <= exponentMax; exponent++) {
    powers[exponent] = Number(BigInt.asIntN(32, power))
    power = (power & 1n ? power ^ castagnoli : power) >> 1n
  }
  return powers
}

function* subsetsOf(items: readonly number[], size: number): Iterable<number[]> {
  if (size === 0) yield []
  for (let i = 0; size > 0 && i < items.length; i++) {
    for (const others of subsetsOf(items.slice(i + 1), size - 1)) yield [items[i]!, ...others]
  }
}

/** Bytes without a pattern, always the same (xorshift). */
function noiseOf(sizeBytes: number): Uint8Array {
  let state = 0x2545f491
  return Uint8Array.from({ length: sizeBytes }, () => {
    state ^= state << 13
    state ^= state >>> 17
    state ^= state << 5
    return state
  })
}
