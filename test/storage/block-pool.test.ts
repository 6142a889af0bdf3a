import assert from 'node:assert/strict'
import { test } from 'node:test'
import { BlockPool } from '../../storage/block-pool.ts'

const mebibyte = 1024 * 1024

test('a block that was given back is lent again for about the same size, the last one first', () => {
  const pool = new BlockPool({ limitBytes: 8 * mebibyte })
  const [first, second] = [pool.take(mebibyte), pool.take(mebibyte - 1000)]
  assert.notEqual(first.bytes.buffer, second.bytes.buffer)
  first.release()
  second.release()
  assert.equal(pool.usedBytes, 2 * mebibyte)
  assert.equal(pool.take(mebibyte - 7).bytes, second.bytes)
  assert.notEqual(pool.take(2 * mebibyte).bytes, first.bytes)
  assert.equal(pool.take(mebibyte).bytes, first.bytes)
  assert.equal(pool.usedBytes, 0)
})

test('a block has room for what was asked for', () => {
  const pool = new BlockPool({ limitBytes: 0 })
  for (const sizeBytes of [0, 1, 256 * 1024, 256 * 1024 + 1, 64 * mebibyte]) {
    assert(pool.take(sizeBytes).bytes.length >= sizeBytes)
  }
})

test('no more than the limit lies unused, and what does is reported', () => {
  const changes: number[] = []
  const pool = new BlockPool({ limitBytes: mebibyte, onChange: (grownBytes) => changes.push(grownBytes) })
  const lent = [pool.take(mebibyte / 2), pool.take(mebibyte / 2), pool.take(mebibyte / 2)]
  for (const block of lent) block.release()
  const reportedBytes = () => changes.reduce((sum, change) => sum + change, 0)
  assert.equal(pool.usedBytes, mebibyte)
  assert.equal(reportedBytes(), mebibyte)
  pool.evictTo(mebibyte / 2)
  assert.equal(pool.usedBytes, mebibyte / 2)
  pool.evictTo(0)
  assert.equal(pool.usedBytes, 0)
  assert.equal(reportedBytes(), 0)
})

test('a size that nobody asks for any more does not keep others out', () => {
  const pool = new BlockPool({ limitBytes: 2 * mebibyte })
  const large = [pool.take(mebibyte), pool.take(mebibyte)]
  for (const block of large) block.release()
  const small = pool.take(mebibyte / 2)
  small.release()
  assert.equal(pool.usedBytes, 1.5 * mebibyte)
  assert.equal(pool.take(mebibyte / 2).bytes, small.bytes)
  pool.take(mebibyte).release()
  const another = pool.take(mebibyte / 4)
  another.release()
  pool.take(2 * mebibyte).release()
  assert.equal(pool.usedBytes, 2 * mebibyte)
})

test('a trim lets go of what was not needed since the one before', () => {
  const pool = new BlockPool({ limitBytes: 8 * mebibyte })
  const lent = [pool.take(mebibyte), pool.take(mebibyte), pool.take(mebibyte)]
  for (const block of lent) block.release()
  pool.trim()
  assert.equal(pool.usedBytes, 3 * mebibyte)
  pool.take(mebibyte).release()
  pool.trim()
  assert.equal(pool.usedBytes, mebibyte)
  pool.trim()
  assert.equal(pool.usedBytes, 0)
})

test('a block given back twice is a defect, not shared memory', () => {
  const pool = new BlockPool({ limitBytes: mebibyte })
  const block = pool.take(1)
  block.release()
  assert.throws(() => block.release(), /given back once/)
})
