import assert from 'node:assert/strict'
import { test } from 'node:test'
import { nodeRandom } from '../../src/environment/node-random.ts'
import { randomUuid } from '../../src/environment/random-uuid.ts'
import { seededRandom } from '../../src/environment/seeded-random.ts'
import { randomContract } from '../contracts/random.ts'

randomContract('node', nodeRandom)
randomContract('seeded', seededRandom(7))

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
