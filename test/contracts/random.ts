/** What every Random must do. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Random } from '../../src/environment/environment.ts'

export function randomContract(name: string, random: Random): void {
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
