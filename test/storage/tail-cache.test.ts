import assert from 'node:assert/strict'
import { test } from 'node:test'
import { TailBudget, TailCache, type TailBatch } from '../../storage/tail-cache.ts'

const everything = { maxBytes: Infinity, minOneBatch: true }

function batchAt(offset: number, bytes: Uint8Array): TailBatch {
  return { segmentBaseOffset: 0n, baseOffset: BigInt(offset), lastOffset: BigInt(offset), bytes, chunk: undefined }
}

test('small batches do not pin the frames they came in: two thousand of them cost little more than their bytes', () => {
  const changes: number[] = []
  const budget = new TailBudget(Infinity, (grownBytes) => changes.push(grownBytes))
  const tail = new TailCache(budget, Infinity)
  for (let offset = 0; offset < 2_000; offset++) {
    const frame = new Uint8Array(65_536) // as read from a socket
    tail.place(batchAt(offset, frame.subarray(0, 100)))
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
  ['more than half of its frame is kept as it is', 80_000, 159_000, true],
  ['less than half of its frame is copied', 80_000, 161_000, false],
  ['small is copied, whatever its frame', 40_000, 40_000, false],
] as const) {
  test(`a batch that is ${what}, and what it holds is counted whole`, () => {
    const budget = new TailBudget(Infinity)
    const tail = new TailCache(budget, Infinity)
    const frame = new Uint8Array(frameBytes)
    const batch = batchAt(0, frame.subarray(0, batchBytes))
    tail.place(batch)
    assert.equal(batch.bytes.buffer === frame.buffer, isShared)
    assert.equal(batch.bytes.length, batchBytes)
    assert.equal(budget.usedBytes, batch.bytes.buffer.byteLength)
    tail.settle(batch)
    tail.clear()
    assert.equal(budget.usedBytes, 0)
  })
}
