import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Random } from '../../src/environment/environment.ts'
import { nodeRandom } from '../../src/environment/node-random.ts'
import { randomUuid } from '../../src/environment/random-uuid.ts'
import { seededRandom } from '../../src/environment/seeded-random.ts'

const kinds: readonly [string, Random][] = [
  ['node', nodeRandom],
  ['seeded', seededRandom(7)],
]

for (const [name, random] of kinds) {
  test(`${name}: ids are 22 characters, differ, and never begin with '-'`, () => {
    const ids = new Set(Array.from({ length: 500 }, () => random.uuid()))
    assert.equal(ids.size, 500)
    for (const id of ids) assert.match(id, /^[A-Za-z0-9_][A-Za-z0-9_-]{21}$/)
  })

  test(`${name}: numbers are whole, below the limit, and reach all of it`, () => {
    const seen = new Set(Array.from({ length: 500 }, () => random.below(8)))
    assert.deepEqual(seen, new Set([0, 1, 2, 3, 4, 5, 6, 7]))
    assert.equal(random.below(1), 0)
    const large = random.below(2 ** 47)
    assert.ok(Number.isSafeInteger(large) && large < 2 ** 47)
  })

  test(`${name}: bytes come in the length asked for`, () => {
    assert.equal(random.bytes(33).byteLength, 33)
    assert.notDeepEqual(random.bytes(16), random.bytes(16))
  })
}

test('a seed gives the same numbers again, and another seed gives others', () => {
  const drawn = (seed: number): readonly unknown[] => {
    const random = seededRandom(seed)
    return [random.below(1_000_000), random.uuid(), [...random.bytes(4)]]
  }
  assert.deepEqual(drawn(1), drawn(1))
  assert.notDeepEqual(drawn(1), drawn(2))
  assert.notDeepEqual(drawn(1), drawn(1 + 2 ** 32))
})

test("an id that would begin with '-' is drawn again", () => {
  const draws = [new Uint8Array(16).fill(0xfb), new Uint8Array(16).fill(0x11)]
  const id = randomUuid(() => draws.shift() as Uint8Array)
  assert.equal(Buffer.from(id, 'base64url').toString('hex'), '11111111111141119111111111111111')
})
