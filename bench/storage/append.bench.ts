/**
 * `LogStore.append` of 16 KiB batches over 12 partitions, checks included, beside bare vectored writes of the same bytes to
 * 12 files, interleaved in one run on the real disk. Run it: `node bench/storage/append.bench.ts [batches] [directory]`.
 */
import { strict as assert } from 'node:assert'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { DiskFile } from '../../storage/disk.ts'
import { NodeDisk } from '../../storage/node-disk.ts'
import { append, openTestLog, openTestStore, testBatch } from '../../test/support/logs.ts'

const partitionCount = 12
const batchBytes = 16 * 1024

export interface AppendRun {
  readonly writers: number
  readonly enginePerSecond: number
  readonly barePerSecond: number
  /** The batches that the engine holds at the end: what was asked for, or the run is void. */
  readonly checksum: number
}

/** `writers` loops, each with one batch under way. */
export async function benchmarkAppend(options: { root: string; batches: number; writers: number }): Promise<AppendRun> {
  const { root, batches, writers } = options
  const disk = new NodeDisk(root, { threadPoolSize: Number(process.env['UV_THREADPOOL_SIZE'] ?? 4) })
  const store = await openTestStore({ disk, directory: `engine-${writers}` })
  const first = await openTestLog(store, { partitionCount })
  const logs = Array.from({ length: partitionCount }, (_, index) => store.find({ ...first.id, partitionIndex: index })!)
  const files: DiskFile[] = []
  const positions: number[] = Array.from({ length: partitionCount }, () => 0)
  await disk.makeDirectory(`bare-${writers}`)
  for (let index = 0; index < partitionCount; index++) {
    files.push(await disk.open(`bare-${writers}/${index}`, { create: true }))
  }
  const { bytes, header } = testBatch({ valueBytes: batchBytes - 78 })
  const rounds = 4
  const perRound = Math.ceil(batches / rounds)
  let [engineMs, bareMs] = [0, 0]
  for (let round = 0; round < rounds; round++) {
    engineMs += await timed(writers, perRound, async (number) => {
      // A frame of its own, as the network would bring it.
      const result = await append(store, logs[number % partitionCount]!, {
        batches: [{ bytes: bytes.slice(), header }],
      })
      assert(result.ok)
    })
    bareMs += await timed(writers, perRound, async (number) => {
      const index = number % partitionCount
      const position = positions[index]!
      positions[index] = position + bytes.length
      await files[index]!.write(position, [bytes.slice()])
    })
  }
  const checksum = logs.reduce((sum, log) => sum + Number(store.view(log).highWatermark), 0)
  await store.close()
  for (const file of files) await file.close()
  const perSecond = (ms: number) => Math.round((perRound * rounds * 1000) / ms)
  return { writers, enginePerSecond: perSecond(engineMs), barePerSecond: perSecond(bareMs), checksum }
}

async function timed(writers: number, count: number, work: (number: number) => Promise<void>): Promise<number> {
  const start = performance.now()
  let next = 0
  const loop = async () => {
    while (next < count) await work(next++)
  }
  await Promise.all(Array.from({ length: writers }, loop))
  return performance.now() - start
}

if (import.meta.main) {
  const root = await mkdtemp(join(process.argv[3] ?? tmpdir(), 'titorelli-bench-'))
  for (const writers of [1, 16, 64]) {
    const run = await benchmarkAppend({ root, batches: Number(process.argv[2] ?? 20_000), writers })
    const share = Math.round((100 * run.enginePerSecond) / run.barePerSecond)
    const mebibytes = Math.round((run.enginePerSecond * batchBytes) / 2 ** 20)
    console.log(
      `${writers} writers: ${run.enginePerSecond} appends/s (${mebibytes} MiB/s), bare ${run.barePerSecond}/s, ${share} % of bare, checksum ${run.checksum}`,
    )
  }
  await rm(root, { recursive: true })
}
