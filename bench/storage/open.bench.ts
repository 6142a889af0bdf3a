/**
 * How long a store takes to open: many small partitions, and few large ones, after a clean stop and after kill -9. Run
 * it: `UV_THREADPOOL_SIZE=16 node bench/storage/open.bench.ts partitions [count] [directory]` and `... bytes [GiB]
 * [directory]`. The pool size is the one that the command line starts with.
 */
import { strict as assert } from 'node:assert'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { NodeDisk } from '../../storage/node-disk.ts'
import type { SegmentLogStore } from '../../storage/segment-log-store.ts'
import { append, openTestLog, openTestStore, testBatch, testTopic } from '../../test/support/logs.ts'

export interface OpenRun {
  readonly cleanMs: number
  readonly killedMs: number
  readonly closeMs: number
  readonly sizeBytes: number
  /** The records of all partitions, as many after each opening. */
  readonly checksum: number
}

export interface OpenOptions {
  readonly root: string
  readonly partitionCount: number
  /** Batches of this size, so many per partition. */
  readonly batchBytes: number
  readonly batches: number
}

/** Fills a store, leaves it as kill -9 would, opens it; stops it, and opens it again. */
export async function benchmarkOpen(options: OpenOptions): Promise<OpenRun> {
  const { root, partitionCount, batchBytes, batches } = options
  const disk = new NodeDisk(root, { threadPoolSize: Number(process.env['UV_THREADPOOL_SIZE'] ?? 4) })
  const first = await openTestStore({ disk })
  await openTestLog(first, { partitionCount })
  const batch = testBatch({ valueBytes: batchBytes - 78 })
  for (let round = 0; round < batches; round++) {
    await eachLog(first, partitionCount, async (log) => {
      const result = await append(first, log, { batches: [{ bytes: batch.bytes.slice(), header: batch.header }] })
      assert(result.ok)
    })
  }
  // The process that wrote goes on living here, but touches its files no more than a dead one.
  const killed = await timed(disk, partitionCount)
  const expected = recordsOf(killed.store, partitionCount)
  const closeStart = performance.now()
  await killed.store.close()
  const closeMs = performance.now() - closeStart
  const clean = await timed(disk, partitionCount)
  const checksum = recordsOf(clean.store, partitionCount)
  assert.equal(checksum, expected)
  const sizeBytes = batches * batch.bytes.length * partitionCount
  await clean.store.close()
  return { cleanMs: clean.ms, killedMs: killed.ms, closeMs, sizeBytes, checksum }
}

async function timed(disk: NodeDisk, partitionCount: number): Promise<{ store: SegmentLogStore; ms: number }> {
  const start = performance.now()
  const store = await openTestStore({ disk })
  assert((await store.create(testTopic({ partitionCount }))).ok)
  return { store, ms: Math.round(performance.now() - start) }
}

async function eachLog(
  store: SegmentLogStore,
  partitionCount: number,
  work: (log: NonNullable<ReturnType<SegmentLogStore['find']>>) => Promise<void>,
): Promise<void> {
  for (let from = 0; from < partitionCount; from += 64) {
    const count = Math.min(64, partitionCount - from)
    await Promise.all(Array.from({ length: count }, (_, index) => work(logAt(store, from + index))))
  }
}

function recordsOf(store: SegmentLogStore, partitionCount: number): number {
  let count = 0
  for (let index = 0; index < partitionCount; index++) count += Number(store.view(logAt(store, index)).highWatermark)
  return count
}

function logAt(store: SegmentLogStore, partitionIndex: number) {
  const log = store.find({ topicId: testTopic().topicId, partitionIndex })
  assert(log)
  return log
}

if (import.meta.main) {
  const [what = 'partitions', amount, directory = tmpdir()] = process.argv.slice(2)
  const root = await mkdtemp(join(directory, 'titorelli-bench-'))
  const isMany = what === 'partitions'
  const partitionCount = isMany ? Number(amount ?? 10_000) : 12
  const batchBytes = isMany ? 1000 : 1_000_000
  const batches = isMany ? 3 : Math.round((Number(amount ?? 20) * 2 ** 30) / partitionCount / batchBytes)
  try {
    const run = await benchmarkOpen({ root, partitionCount, batchBytes, batches })
    const mebibytes = Math.round(run.sizeBytes / 2 ** 20)
    console.log(
      `${partitionCount} partitions, ${mebibytes} MiB: opened in ${run.cleanMs} ms after a clean stop, ${run.killedMs} ms after a kill; stop ${Math.round(run.closeMs)} ms, checksum ${run.checksum}`,
    )
  } finally {
    await rm(root, { recursive: true })
  }
}
