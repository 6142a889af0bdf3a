import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { LentMemory } from '../../storage/log-store.ts'
import type { PartitionLog } from '../../storage/log.ts'
import { TailBudget, TailCache, type TailBatch } from '../../storage/tail-cache.ts'
import { append, must, openTestLog, openTestStore, testBatch, testDisk, testNowMs } from '../support/logs.ts'

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

const blockBytes = 256 * 1024

/**
 * A tail whose next batches of 32 KiB fill blocks of the largest size, eight each, and that may hold one of these.
 * Somebody waits at its end.
 */
function openFullTail() {
  const changes: number[] = []
  const budget = new TailBudget(1, (grownBytes) => changes.push(grownBytes))
  const tail = new TailCache(budget, Infinity)
  let offset = 0
  const place = () => {
    const batch = batchAt(offset, new Uint8Array(32 * 1024))
    tail.read(BigInt(offset), BigInt(offset), everything)
    offset += 1
    tail.place(batch)
    return batch
  }
  for (let chunkBytes = 32 * 1024; chunkBytes < blockBytes; chunkBytes *= 2) {
    for (let used = 0; used < chunkBytes; used += 32 * 1024) tail.settle(place())
  }
  const placeBlock = () => Array.from({ length: 8 }, place)
  const countedBytes = () => changes.reduce((sum, change) => sum + change, 0)
  return { budget, tail, placeBlock, countedBytes, nextOffset: () => BigInt(offset) }
}

test('the memory of a chunk is used again, but not before its batches are written', () => {
  const { budget, tail, placeBlock, countedBytes } = openFullTail()
  const first = placeBlock()
  const memory = first[0]!.bytes.buffer
  const second = placeBlock() // the first block has to go, and its batches are under way to the disk
  assert.notEqual(second[0]!.bytes.buffer, memory)
  assert.equal(countedBytes(), 2 * blockBytes, 'what waits for its write is counted')
  for (const batch of first.slice(1)) tail.settle(batch)
  assert.equal(countedBytes(), 2 * blockBytes)
  tail.settle(first[0]!)
  assert.equal(budget.usedBytes, countedBytes())
  const third = placeBlock()
  assert.equal(third[0]!.bytes.buffer, memory)
})

test('the memory of a chunk is not used again while a reader looks at it', () => {
  const { budget, tail, placeBlock, countedBytes, nextOffset } = openFullTail()
  const from = nextOffset()
  for (const batch of placeBlock()) tail.settle(batch)
  const some = tail.read(from, from + 2n, everything)!
  const all = tail.read(from, nextOffset(), everything)!
  const memory = all.chunks[0]!.buffer
  for (let block = 0; block < 3; block++) {
    for (const batch of placeBlock()) {
      assert.notEqual(batch.bytes.buffer, memory)
      tail.settle(batch)
    }
  }
  all.release()
  assert.throws(() => all.release(), /given back once/)
  assert.equal(countedBytes(), budget.usedBytes)
  assert.equal(some.chunks[0]!.buffer, memory)
})

test('a tail that is short of memory keeps none for the next chunks', () => {
  const { budget, tail, placeBlock, countedBytes } = openFullTail()
  for (let block = 0; block < 3; block++) for (const batch of placeBlock()) tail.settle(batch)
  assert.equal(countedBytes(), 2 * blockBytes, 'the newest chunk, and a block for the next')
  budget.evictTo(0)
  assert.equal(countedBytes(), blockBytes)
  tail.clear()
  budget.evictTo(0)
  assert.equal(countedBytes(), 0)
})

/** A tail, and what places batches of 64 KiB in it and says whether they were kept. */
function openReadable(limitBytes: number) {
  const budget = new TailBudget(Infinity)
  const tail = new TailCache(budget, limitBytes)
  let offset = 0
  const place = () => {
    const bytes = new Uint8Array(65_536)
    const batch = batchAt(offset++, bytes)
    tail.place(batch)
    const isKept = batch.chunk !== undefined
    assert(isKept || batch.bytes === bytes, 'a batch that is not kept is written from where it lies')
    tail.settle(batch)
    return isKept
  }
  return { budget, tail, place, readLast: () => tail.read(BigInt(offset - 1), BigInt(offset), everything) }
}

test('a tail that nobody reads keeps a mebibyte for the first reader, and then nothing', () => {
  const { budget, place, tail } = openReadable(Infinity)
  let kept = 0
  while (place()) kept += 1
  assert.equal(kept, 17, 'a mebibyte, and what would have been too much')
  assert.equal(budget.usedBytes, 0)
  assert.equal(tail.firstOffset, undefined)
  assert.equal(place(), false)
})

test('a tail keeps what comes once somebody has read, up to its limit, and nothing once that went unread', () => {
  const { place, readLast } = openReadable(4 * 1024 * 1024)
  while (place());
  assert.equal(readLast(), undefined)
  for (let batch = 0; batch < 64; batch++) assert(place(), `batch ${batch} is kept for the reader`)
  assert(place(), 'it shows that the oldest has to go unread')
  assert.equal(place(), false)
})

test('a tail goes on keeping what comes while somebody reads it, however much that is', () => {
  const { place, readLast } = openReadable(1024 * 1024)
  for (let batch = 0; batch < 100; batch++) {
    assert(place())
    assert.equal(readLast()?.sizeBytes, 65_536)
  }
})

test('what the log itself lets go of says nothing about readers', () => {
  const { tail, place } = openReadable(Infinity)
  for (let batch = 0; batch < 8; batch++) assert(place())
  tail.evictBelow(4n)
  assert(place())
  tail.clear()
  assert(place())
})

test('what waits at the end of a log is known to the byte, or nearly, also when neither tail nor index have it', async () => {
  const disk = testDisk()
  const value = { valueBytes: 1_000 }
  const before = await openTestStore({ disk })
  const log = await openTestLog(before)
  for (let offset = 0; offset < 100; offset++) must(await append(before, log, { batches: [testBatch(value)] }))
  await before.close()
  const store = await openTestStore({ disk, tailBytesPerLog: 1 })
  const again = await openTestLog(store)
  for (let offset = 0; offset < 20; offset++) must(await append(store, again, { batches: [testBatch(value)] }))
  const available = (offset: bigint) => store.availableBytes(again, offset, 'uncommitted')
  for (const [offset, leastBytes, mostBytes] of [
    [119n, 1_000, 7_000],
    [110n, 10_000, 16_000],
    [100n, 20_000, 26_000],
    [99n, 21_000, 130_000],
  ] as const) {
    assert(available(offset) >= leastBytes && available(offset) <= mostBytes, `${available(offset)} from ${offset} on`)
  }
})

test('for who waits at the end of a log the next batch is kept in memory', async () => {
  const store = await openTestStore({ tailBytesPerLog: 1 })
  const log = await openTestLog(store)
  const { tail } = (log as PartitionLog).state
  for (let offset = 0; offset < 4; offset++) {
    must(await append(store, log, { batches: [testBatch({ valueBytes: 3_000 })] }))
  }
  assert.equal(tail.firstOffset, undefined)
  const request = { log, offset: 4n, maxBytes: 1, isolation: 'uncommitted' as const }
  assert.deepEqual(must((await store.read([request], { maxBytes: 1, minOneBatch: true }))[0]!).chunks, [])
  must(await append(store, log))
  assert.equal(tail.firstOffset, 4n)
})

/** Memory that is lent, and by how many it is retained. */
function openLent(): LentMemory & { userCount: number } {
  return {
    userCount: 1,
    retain() {
      this.userCount++
    },
    release() {
      this.userCount--
    },
  }
}

test('a batch that is kept where it was lent retains that until it is let go, written, and looked at by nobody', () => {
  const tail = new TailCache(new TailBudget(Infinity), Infinity)
  const lent = openLent()
  const batch = batchAt(0, new Uint8Array(80_000))
  tail.place(batch, lent)
  lent.release() // by who lent it
  const read = tail.read(0n, 1n, everything)!
  tail.clear()
  assert.equal(lent.userCount, 1)
  tail.settle(batch)
  assert.equal(lent.userCount, 1)
  read.release()
  assert.equal(lent.userCount, 0)
})

test('a batch that is copied out of lent memory does not retain it', () => {
  const lent = openLent()
  new TailCache(new TailBudget(Infinity), Infinity).place(batchAt(0, new Uint8Array(1_000)), lent)
  assert.equal(lent.userCount, 1)
})

for (const [compression, userCount, meaning] of [
  ['none', 2, 'a batch that is appended as it came retains the memory that it came in'],
  ['gzip', 1, 'a batch that is appended in another compression does not retain the memory that it came in'],
] as const) {
  test(meaning, async () => {
    const store = await openTestStore()
    const log = await openTestLog(store, { config: { compressionType: 'uncompressed' } })
    const lent = openLent()
    const batches = [testBatch({ valueBytes: 100_000, compression })]
    const mode = { kind: 'assign', leaderEpoch: 0 } as const
    const [result] = await store.append([{ log, batches, mode, origin: 'client', memory: lent }], { nowMs: testNowMs })
    must(result!)
    assert.equal(lent.userCount, userCount)
  })
}
