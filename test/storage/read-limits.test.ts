import assert from 'node:assert/strict'
import { test, type TestContext } from 'node:test'
import { splitBatches } from '../../protocol/records/batch.ts'
import type { LogHandle, ReadResult } from '../../storage/log-store.ts'
import { BlockPool } from '../../storage/block-pool.ts'
import { TailBudget } from '../../storage/tail-cache.ts'
import { append, must, openTestLog, openTestStore, testBatch, testDisk } from '../support/logs.ts'

const logCount = 6
const batchesPerLog = 4
const batchBytes = testBatch({ valueBytes: 100_000 }).bytes.length

/** Reads of logs that lie on the disk only: what each found, in batches, and what was read from the disk for it. */
async function reader(t: TestContext): Promise<{
  readonly read: (maxBytes: number, ownMaxBytes: number) => Promise<number[]>
  readonly takeReadBytes: () => number
}> {
  const blocks = new BlockPool({ limitBytes: 0 })
  let readBytes = 0
  const take = blocks.take.bind(blocks)
  t.mock.method(blocks, 'take', (sizeBytes: number) => {
    readBytes += sizeBytes
    return take(sizeBytes)
  })
  const store = await openTestStore({ tailBudget: new TailBudget(1), tailBytesPerLog: 1, blocks })
  t.after(() => store.close())
  const first = await openTestLog(store, { partitionCount: logCount + 1 })
  const logOf = (partitionIndex: number): LogHandle => store.find({ ...first.id, partitionIndex })!
  for (let round = 0; round < batchesPerLog; round++) {
    for (let index = 0; index < logCount; index++)
      must(await append(store, logOf(index), { batches: [testBatch({ valueBytes: 100_000 })] }))
  }
  // A budget keeps the last chunk of all: that of the log that nobody reads.
  must(await append(store, logOf(logCount), { batches: [testBatch()] }))
  const isolation = 'uncommitted' as const
  const requestOf = (index: number, maxBytes: number) => ({ log: logOf(index), offset: 0n, maxBytes, isolation })
  return {
    read: async (maxBytes, ownMaxBytes) => {
      const requests = Array.from({ length: logCount }, (_, index) => requestOf(index, ownMaxBytes))
      return (await store.read(requests, { maxBytes, minOneBatch: true })).map(countOf)
    },
    takeReadBytes: () => {
      const bytes = readBytes
      readBytes = 0
      return bytes
    },
  }
}

function countOf(result: ReadResult): number {
  return must(result).chunks.flatMap((chunk) => splitBatches(chunk)).length
}

test('reads at the same time stay within the limit together, and begin with the first log', async (t) => {
  const { read } = await reader(t)
  assert.deepEqual(await read(9 * batchBytes, 2 * batchBytes), [2, 2, 2, 2, 1, 0])
  assert.deepEqual(await read(100 * batchBytes, 3 * batchBytes), [3, 3, 3, 3, 3, 3])
  assert.deepEqual(await read(1, 1), [1, 0, 0, 0, 0, 0])
  assert.deepEqual(await read(2 * batchBytes, 10 * batchBytes), [2, 0, 0, 0, 0, 0])
})

test('what is left of a limit brings in no batch that does not fit', async (t) => {
  const { read, takeReadBytes } = await reader(t)
  const roomBytes = 16 * 1024 // what is read beyond a limit, to see what follows
  assert.deepEqual(await read(2.5 * batchBytes, 2 * batchBytes), [2, 0, 0, 0, 0, 0])
  assert(takeReadBytes() <= 2 * batchBytes + roomBytes + 5 * (0.5 * batchBytes + roomBytes))
  assert.deepEqual(await read(2.1 * batchBytes, 2 * batchBytes), [2, 0, 0, 0, 0, 0])
  const readBytes = takeReadBytes()
  assert(readBytes > 2 * batchBytes, 'it comes from the disk')
  assert(readBytes <= 2 * batchBytes + roomBytes, 'the rest is below a sixteenth')
})

test('a read of files gets what they have, also where the tail has it in memory', async (t) => {
  const disk = testDisk()
  const store = await openTestStore({ disk })
  t.after(() => store.close())
  const log = await openTestLog(store)
  const { bytes } = testBatch({ valueBytes: 1_000 })
  must(await append(store, log, { batches: [testBatch({ valueBytes: 1_000 })] }))
  const file = await disk.open('orders-0/00000000000000000000.log')
  await file.write(500, [Uint8Array.of(bytes[500]! ^ 1)])
  const request = { log, offset: 0n, maxBytes: 10_000, isolation: 'uncommitted' as const }
  const byteOf = async (isFromFiles: boolean): Promise<number> => {
    const [result] = await store.read([request], { maxBytes: 10_000, minOneBatch: true, isFromFiles })
    return must(result!).chunks[0]![500]!
  }
  assert.equal(await byteOf(false), bytes[500])
  assert.equal(await byteOf(true), bytes[500]! ^ 1)
})
