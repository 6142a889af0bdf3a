/**
 * `LogStore.append` of 16 KiB batches over 12 partitions, checks included, beside writes of the same bytes to 12 files,
 * interleaved in one run on the real disk: bare ones (`fs.writev`, what Node offers to a program that must not block),
 * and those of the engine's own disk, which does small writes without a thread.
 *
 * Rounds last some tens of milliseconds. In shorter ones the change from one lane to the next (threads that wake, caches
 * that fill) is a good part of what is measured.
 *
 * Run it: `UV_THREADPOOL_SIZE=16 node bench/storage/append.bench.ts [batches] [directory]`.
 */
import { strict as assert } from 'node:assert'
import * as fs from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { NodeDisk } from '../../storage/node-disk.ts'
import { splitBatches } from '../../protocol/records/batch.ts'
import type { AppendEntry, LogHandle, LogStore } from '../../storage/log-store.ts'
import { TailBudget } from '../../storage/tail-cache.ts'
import { must, openTestLog, openTestStore, read, testBatch, testNowMs } from '../../test/support/logs.ts'
import { describeLane, runLanes, type Lane, type LaneResult } from '../support/lanes.ts'

const partitionCount = 12
const batchBytes = 16 * 1024
const batchesPerRound = 2_000
const mode = { kind: 'assign', leaderEpoch: 0 } as const

export interface AppendRun {
  readonly lanes: readonly LaneResult[]
  /** The batches that the engine holds at the end: what was asked for, or the run is void. */
  readonly checksum: number
}

/** `writers` loops, each with one batch under way. */
export async function benchmarkAppend(options: { root: string; batches: number; writers: number }): Promise<AppendRun> {
  const { root, batches, writers } = options
  const disk = new NodeDisk(root, { threadPoolSize: Number(process.env['UV_THREADPOOL_SIZE'] ?? 4) })
  const { bytes, header } = testBatch({ valueBytes: batchBytes - 75 })
  const frames = framesOf(bytes, writers)
  const bare = await bareLane(join(root, `bare-${writers}`), frames)
  const disks = await diskLane(disk, `disk-${writers}`, frames)
  const tailBudget = new TailBudget(64 * 1024 * 1024)
  const store = await openTestStore({ disk, directory: `engine-${writers}`, tailBudget })
  const first = await openTestLog(store, { partitionCount })
  const logs = Array.from({ length: partitionCount }, (_, index) => store.find({ ...first.id, partitionIndex: index })!)
  const engine: Lane = {
    name: 'engine',
    work: async (number) => {
      const log = logs[number % partitionCount]!
      const frame = frames.take()
      const entry: AppendEntry = { log, batches: [{ bytes: frame, header }], origin: 'client', mode }
      const [result] = await store.append([entry], { nowMs: testNowMs })
      assert(result!.ok)
      frames.giveBack(frame)
      return 1
    },
  }
  const operationsPerRound = Math.min(batches, batchesPerRound)
  const rounds = Math.ceil(batches / operationsPerRound) - 1
  const lanes = await runLanes([bare.lane, disks.lane, engine], { concurrency: writers, rounds, operationsPerRound })
  const checksum = recordsOf(store, logs)
  assert.equal(checksum, lanes[2]!.sum)
  for (const log of logs) await checkOffsets(store, log)
  await store.close()
  await disks.close()
  bare.close()
  return { lanes, checksum }
}

interface Frames {
  take(): Uint8Array
  /** Nothing looks at the frame any more. */
  giveBack(frame: Uint8Array): void
}

/** Frames as connections have them: in memory that is used again once its request is answered. */
function framesOf(bytes: Uint8Array, writers: number): Frames {
  const frames: Uint8Array[] = Array.from({ length: writers }, () => bytes.slice())
  return { take: () => frames.pop()!, giveBack: (frame) => void frames.push(frame) }
}

function recordsOf(store: LogStore, logs: readonly Parameters<LogStore['view']>[0][]): number {
  return logs.reduce((sum, log) => sum + Number(store.view(log).highWatermark), 0)
}

/** The batches are there as they were appended, one record each, in order. */
async function checkOffsets(store: LogStore, log: LogHandle): Promise<void> {
  const { highWatermark } = store.view(log)
  for (let offset = 0n; offset < highWatermark;) {
    const { chunks, release } = must(await read(store, log, { offset }))
    for (const { header } of chunks.flatMap((chunk) => splitBatches(chunk))) {
      assert.equal(header.baseOffset, offset)
      offset += 1n
    }
    release?.()
  }
}

/** Where the next write to each file goes. */
function positions(): (number: number, sizeBytes: number) => number {
  const ends = Array.from({ length: partitionCount }, () => 0)
  return (number, sizeBytes) => {
    const index = number % partitionCount
    const position = ends[index]!
    ends[index] = position + sizeBytes
    return position
  }
}

async function bareLane(directory: string, frames: Frames): Promise<{ lane: Lane; close: () => void }> {
  await fs.promises.mkdir(directory)
  const files = Array.from({ length: partitionCount }, (_, index) => fs.openSync(join(directory, `${index}`), 'w+'))
  const next = positions()
  const work = (number: number) =>
    new Promise<number>((resolve, reject) => {
      const frame = frames.take()
      fs.writev(files[number % partitionCount]!, [frame], next(number, frame.length), (error, written) => {
        frames.giveBack(frame)
        if (error) reject(error)
        else resolve(written)
      })
    })
  return {
    lane: { name: 'bare', work },
    close() {
      for (const file of files) fs.closeSync(file)
    },
  }
}

async function diskLane(
  disk: NodeDisk,
  directory: string,
  frames: Frames,
): Promise<{ lane: Lane; close: () => Promise<void> }> {
  await disk.makeDirectory(directory)
  const files = await Promise.all(
    Array.from({ length: partitionCount }, (_, index) => disk.open(`${directory}/${index}`, { create: true })),
  )
  const next = positions()
  const work = async (number: number) => {
    const frame = frames.take()
    await files[number % partitionCount]!.write(next(number, frame.length), [frame])
    frames.giveBack(frame)
    return frame.length
  }
  const close = async () => {
    for (const file of files) await file.close()
  }
  return { lane: { name: "engine's disk", work }, close }
}

if (import.meta.main) {
  const root = await mkdtemp(join(process.argv[3] ?? tmpdir(), 'titorelli-bench-'))
  try {
    for (const writers of [1, 16, 64]) {
      const run = await benchmarkAppend({ root, batches: Number(process.argv[2] ?? 40_000), writers })
      console.log(`${writers} writers, checksum ${run.checksum}`)
      for (const lane of run.lanes) console.log(describeLane(lane, run.lanes[0]!, batchBytes))
    }
  } finally {
    await rm(root, { recursive: true })
  }
}
