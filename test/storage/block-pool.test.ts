import assert from 'node:assert/strict'
import { test } from 'node:test'
import { BlockPool } from '../../storage/block-pool.ts'

const mebibyte = 1024 * 1024

test('a block that was given back is lent again for about the same size, the last one first', () => {
  const buffers = new BlockPool({ limitBytes: 8 * mebibyte })
  const [first, second] = [buffers.take(mebibyte), buffers.take(mebibyte - 1000)]
  assert.notEqual(first.bytes.buffer, second.bytes.buffer)
  first.release()
  second.release()
  assert.equal(buffers.usedBytes, 2 * mebibyte)
  assert.equal(buffers.take(mebibyte - 7).bytes, second.bytes)
  assert.notEqual(buffers.take(2 * mebibyte).bytes, first.bytes)
  assert.equal(buffers.take(mebibyte).bytes, first.bytes)
  assert.equal(buffers.usedBytes, 0)
})

test('a block has room for what was asked for', () => {
  const buffers = new BlockPool({ limitBytes: 0 })
  for (const sizeBytes of [0, 1, 256 * 1024, 256 * 1024 + 1, 64 * mebibyte]) {
    assert(buffers.take(sizeBytes).bytes.length >= sizeBytes)
  }
})

test('no more than the limit lies unused, and what does is reported', () => {
  const changes: number[] = []
  const buffers = new BlockPool({ limitBytes: mebibyte, onChange: (grownBytes) => changes.push(grownBytes) })
  const lent = [buffers.take(mebibyte / 2), buffers.take(mebibyte / 2), buffers.take(mebibyte / 2)]
  for (const buffer of lent) buffer.release()
  assert.deepEqual(changes, [mebibyte / 2, mebibyte / 2])
  buffers.evictTo(mebibyte / 2)
  assert.equal(buffers.usedBytes, mebibyte / 2)
  buffers.evictTo(0)
  assert.equal(buffers.usedBytes, 0)
  assert.equal(
    changes.reduce((sum, change) => sum + change, 0),
    0,
  )
})

test('a trim lets go of what was not needed since the one before', () => {
  const buffers = new BlockPool({ limitBytes: 8 * mebibyte })
  const lent = [buffers.take(mebibyte), buffers.take(mebibyte), buffers.take(mebibyte)]
  for (const buffer of lent) buffer.release()
  buffers.trim()
  assert.equal(buffers.usedBytes, 3 * mebibyte)
  buffers.take(mebibyte).release()
  buffers.trim()
  assert.equal(buffers.usedBytes, mebibyte)
  buffers.trim()
  assert.equal(buffers.usedBytes, 0)
})

test('a block given back twice is a defect, not shared memory', () => {
  const buffers = new BlockPool({ limitBytes: mebibyte })
  const buffer = buffers.take(1)
  buffer.release()
  assert.throws(() => buffer.release(), /given back once/)
})
