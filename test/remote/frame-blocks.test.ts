import assert from 'node:assert/strict'
import { test } from 'node:test'
import { FrameBlocks } from '../../src/remote/frame-blocks.ts'

const megabyte = 1024 * 1024

test('memory that was given back is used again, and no other', () => {
  const blocks = new FrameBlocks()
  const [first, second, third] = [blocks.lend(), blocks.lend(), blocks.lend()]
  const block = first.take(megabyte)
  assert.notEqual(second.take(megabyte), block)
  first.release()
  assert.equal(third.take(megabyte), block)
  first.release() // it has nothing any more
  assert.notEqual(blocks.lend().take(megabyte), block)
})

test('a frame is always less than half of its memory', () => {
  for (const sizeBytes of [64 * 1024, megabyte - 1, megabyte, megabyte + 1, 10 * megabyte]) {
    const block = new FrameBlocks().lend().take(sizeBytes)
    assert.ok(block && block.buffer.byteLength > 2 * sizeBytes, `${sizeBytes}`)
  }
})

test('two blocks wait for use at most, none that is too small for what comes', () => {
  const blocks = new FrameBlocks()
  const leases = [1, 1, 1].map(() => blocks.lend())
  for (const lease of leases) lease.take(megabyte)
  for (const lease of leases) lease.release()
  assert.equal(blocks.unusedBytes, 2 * 4 * megabyte)
  const larger = blocks.lend()
  larger.take(4 * megabyte)
  assert.equal(blocks.unusedBytes, 0)
})

test('small answers, as of an idle source, and enormous ones let go of what waits', () => {
  for (const sizeBytes of [1_000, 100 * megabyte]) {
    const blocks = new FrameBlocks()
    const lease = blocks.lend()
    lease.take(megabyte)
    lease.release()
    assert.ok(blocks.unusedBytes > 0)
    assert.equal(blocks.lend().take(sizeBytes), undefined)
    assert.equal(blocks.unusedBytes, 0)
  }
})
