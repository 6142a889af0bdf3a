/**
 * `LogStore.read` over 12 partitions of 16 KiB batches: from the files (in the page cache, and the tails hold nothing
 * of what is asked for), and from the tails in memory; beside bare `fs.read`s of the same bytes into memory that is
 * used again. Interleaved in one run on the real disk.
 *
 * Run it: `UV_THREADPOOL_SIZE=16 node bench/storage/reads.bench.ts [reads] [directory]`.
 */
import { strict as assert } from 'node:assert'
import * as fs from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { LogHandle, LogStore } from '../../storage/log-store.ts'
import { NodeDisk } from '../../storage/node-disk.ts'
import { BlockPool } from '../../storage/block-pool.ts'
import { TailBudget } from '../../storage/tail-cache.ts'
import { append, must, openTestLog, openTestStore, read, testBatch } from '../../test/support/logs.ts'
import { describeLane, runLanes, type Lane, type LaneResult } from '../support/lanes.ts'

const partitionCount = 12
const batchBytes = 16 * 1024
const readsPerRound = 250
const tailLimitBytes = 128 * 1024 * 1024

export interface ReadsOptions {
  readonly root: string
  readonly reads: number
  readonly readers: number
  /** What one read asks for: whole batches. */
  readonly readBytes: number
  /** Of each partition. */
  readonly batches: number
}

/** Every lane's sum is the bytes that it has read: as many as it asked for, or the run is void. */
export async function benchmarkReads(options: ReadsOptions): Promise<readonly LaneResult[]> {
  const { root, reads, readers, readBytes, batches } = options
  const perRead = readBytes / batchBytes
  const perLog = Math.floor(batches / perRead)
  /**
   * The partition of a read, and the first batch it asks for: one partition after the other, each from its start to its
   * end.
   */
  const placeOf = (number: number) => ({
    partition: number % partitionCount,
    batch: (Math.floor(number / partitionCount) % perLog) * perRead,
  })
  const cold = await openFilled(root, 'cold', { batches, tailBytes: 1 })
  const tail = await openFilled(root, 'tail', { batches, tailBytes: tailLimitBytes })
  const laneOf = (name: string, { store, logs }: typeof cold, weight = 1): Lane => ({
    name,
    weight,
    work: async (number) => {
      const { partition, batch } = placeOf(number)
      const request = {
        log: logs[partition]!,
        offset: BigInt(batch),
        maxBytes: readBytes,
        isolation: 'uncommitted' as const,
      }
      const [result] = await store.read([request], { maxBytes: readBytes, minOneBatch: true })
      assert(result?.ok)
      const sizeBytes = result.chunks.reduce((sum, chunk) => sum + chunk.length, 0)
      result.release?.()
      return sizeBytes
    },
  })
  const bare = bareLane(root, { readBytes, placeOf })
  const operationsPerRound = Math.min(reads, readsPerRound)
  const rounds = Math.ceil(reads / operationsPerRound) - 1
  const lanes = [bare.lane, laneOf('from the files', cold), laneOf('from the tails', tail, 20)]
  const results = await runLanes(lanes, { concurrency: readers, rounds, operationsPerRound })
  for (const { sum, operations } of results) assert.equal(sum, readBytes * operations)
  bare.close()
  await cold.store.close()
  await tail.store.close()
  return results
}

async function openFilled(
  root: string,
  directory: string,
  { batches, tailBytes }: { readonly batches: number; readonly tailBytes: number },
): Promise<{ store: LogStore; logs: readonly LogHandle[] }> {
  const disk = new NodeDisk(root, { threadPoolSize: Number(process.env['UV_THREADPOOL_SIZE'] ?? 4) })
  const store = await openTestStore({
    disk,
    directory,
    tailBudget: new TailBudget(tailBytes),
    tailBytesPerLog: Math.ceil(tailBytes / partitionCount),
    blocks: new BlockPool({ limitBytes: 64 * 1024 * 1024 }),
  })
  const first = await openTestLog(store, { partitionCount })
  const logs = Array.from({ length: partitionCount }, (_, index) => store.find({ ...first.id, partitionIndex: index })!)
  const { bytes, header } = testBatch({ valueBytes: batchBytes - 75 })
  assert.equal(bytes.length, batchBytes)
  // And so much more that the newest chunk of a tail, which always stays, has nothing of what is asked for.
  for (let batch = 0; batch < batches + (tailBytes === 1 ? 32 : 0); batch++) {
    await Promise.all(logs.map((log) => append(store, log, { batches: [{ bytes: bytes.slice(), header }] })))
    // A tail keeps little while nobody reads.
    if (batch === 0) for (const log of logs) must(await read(store, log, { maxBytes: 1 })).release?.()
  }
  return { store, logs }
}

function bareLane(
  root: string,
  options: {
    readonly readBytes: number
    readonly placeOf: (number: number) => { readonly partition: number; readonly batch: number }
  },
): { lane: Lane; close: () => void } {
  const { readBytes, placeOf } = options
  const files = Array.from({ length: partitionCount }, (_, index) =>
    fs.openSync(join(root, 'cold', `orders-${index}`, '00000000000000000000.log'), 'r'),
  )
  const unused: Uint8Array[] = []
  const work = (number: number) =>
    new Promise<number>((resolve, reject) => {
      const { partition, batch } = placeOf(number)
      const target = unused.pop() ?? new Uint8Array(readBytes)
      fs.read(files[partition]!, target, 0, readBytes, batch * batchBytes, (error, count) => {
        unused.push(target)
        if (error) reject(error)
        else resolve(count)
      })
    })
  return {
    lane: { name: 'bare', work },
    close() {
      for (const file of files) fs.closeSync(file)
    },
  }
}

if (import.meta.main) {
  const [reads = '5000', directory = tmpdir()] = process.argv.slice(2)
  for (const readBytes of [64 * 1024, 1024 * 1024]) {
    for (const readers of [1, 16]) {
      const root = await mkdtemp(join(directory, 'titorelli-bench-'))
      try {
        const run = await benchmarkReads({ root, reads: Number(reads), readers, readBytes, batches: 512 })
        console.log(`${readers} readers of ${readBytes / 1024} KiB, checksum ${run[0]!.sum}`)
        for (const lane of run) console.log(describeLane(lane, run[0]!, readBytes))
      } finally {
        await rm(root, { recursive: true })
      }
    }
  }
}
