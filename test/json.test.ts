import assert from 'node:assert/strict'
import { test } from 'node:test'
import { fromJson, toJson } from '../src/json.ts'

test('bigints are written as the digits of a number, exact beyond 2^53', () => {
  const value = { offset: 9_007_199_254_740_993n, nested: [{ producerId: -1n }] }
  assert.equal(toJson(value), '{"offset":9007199254740993,"nested":[{"producerId":-1}]}')
})

test('all else is written as JSON.stringify does', () => {
  const value = { text: 'a"b', number: 1.5, none: null, missing: undefined, list: [undefined, true] }
  assert.equal(toJson(value), JSON.stringify(value))
  assert.equal(toJson(value, 2), JSON.stringify(value, undefined, 2))
})

test('what has no JSON throws instead of answering undefined', () => {
  assert.throws(() => toJson(undefined), /no JSON for a value of type undefined/)
})

test('whole numbers beyond 2^53 come back as bigints, without loss, and others as numbers', () => {
  const read = fromJson(
    '{"producerId":9007199254740993,"low":-9223372036854775808,"offset":12,"rate":0.5,"huge":1e300}',
  )
  const expected = {
    producerId: 9_007_199_254_740_993n,
    low: -9_223_372_036_854_775_808n,
    offset: 12,
    rate: 0.5,
    huge: 1e300,
  }
  assert.deepEqual(read, expected)
})
