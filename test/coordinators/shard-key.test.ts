import assert from 'node:assert/strict'
import { test } from 'node:test'
import { javaHashCode, shardOf } from '../../src/coordinators/shard-key.ts'

test('keys hash as strings of Java do', () => {
  assert.equal(javaHashCode(''), 0)
  assert.equal(javaHashCode('g'), 103)
  assert.equal(javaHashCode('hello'), 99_162_322)
  assert.equal(javaHashCode('The quick brown fox'), -1_739_336_029)
  assert.equal(javaHashCode('polygenelubricants'), -2_147_483_648)
  assert.equal(javaHashCode('\u{1f600}'), 0xd83d * 31 + 0xde00) // two UTF-16 units
})

test('the shard of a key is that of Kafka, also for hashes below zero', () => {
  assert.equal(shardOf('', 50), 0)
  assert.equal(shardOf('g', 50), 3)
  assert.equal(shardOf('hello', 50), 22)
  assert.equal(shardOf('The quick brown fox', 50), 29)
  assert.equal(shardOf('polygenelubricants', 50), 0)
})
