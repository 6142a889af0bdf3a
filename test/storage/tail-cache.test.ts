import assert from 'node:assert/strict'
import { test } from 'node:test'
import { TailBudget, TailCache } from '../../storage/tail-cache.ts'

const everything = { maxBytes: Infinity, minOneBatch: true }

function placeAt(offset: number) {
  return { segmentBaseOffset: 0n, baseOffset: BigInt(offset), lastOffset: BigInt(offset) }
}

test('small batches do not pin the frames they came in: two thousand of them cost little more than their bytes', () => {
  const changes: number[] = []
  const budget = new TailBudget(Infinity, (grownBytes) => changes.push(grownBytes))
  const tail = new TailCache(budget, Infinity)
  for (let offset = 0; offset < 2_000; offset++) {
    const frame = new Uint8Array(65_536) // as read from a socket
    tail.place(frame.subarray(0, 100), placeAt(offset))
  }
  const { chunks, sizeBytes } = tail.read(0n, 2_000n, everything)!
  assert.equal(sizeBytes, 200_000)
  const heldBytes = new Set(chunks.map((chunk) => chunk.buffer))
    .values()
    .reduce((sum, { byteLength }) => sum + byteLength, 0)
  assert(heldBytes < 600_000, `${heldBytes} bytes are held for ${sizeBytes}`)
  assert.equal(budget.usedBytes, heldBytes)
  assert.equal(
    changes.reduce((sum, change) => sum + change, 0),
    heldBytes,
  )
})

for (const [what, batchBytes, frameBytes, isShared] of [
  ['more than half of its frame is kept as it is', 40_000, 79_000, true],
  ['less than half of its frame is copied', 40_000, 81_000, false],
  ['small is copied, whatever its frame', 10_000, 10_000, false],
] as const) {
  test(`a batch that is ${what}, and what it holds is counted whole`, () => {
    const budget = new TailBudget(Infinity)
    const tail = new TailCache(budget, Infinity)
    const frame = new Uint8Array(frameBytes)
    const placed = tail.place(frame.subarray(0, batchBytes), placeAt(0))
    assert.equal(placed.buffer === frame.buffer, isShared)
    assert.equal(placed.length, batchBytes)
    assert.equal(budget.usedBytes, placed.buffer.byteLength)
    tail.clear()
    assert.equal(budget.usedBytes, 0)
  })
}
