/**
 * How long the logs take to open after kill -9, per GB that is read for it. A process of its own appends to 12
 * partitions and is killed while it does. Three openings:
 *
 *   all        nothing was noted: every byte is read from the recovery point (0) on, and all indexes are made anew
 *   as usual   the background sync has noted most of it: only what came after is read
 *   indexes    after a clean stop and the loss of all index files: the first look-up by time makes them again
 *
 * Run it: `UV_THREADPOOL_SIZE=16 node bench/storage/recovery.bench.ts [GiB] [directory]`.
 */
import { strict as assert } from 'node:assert'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { NodeDisk } from '../../storage/node-disk.ts'
import type { SegmentLogStore } from '../../storage/segment-log-store.ts'
import { append, openTestLog, openTestStore, testBatch, testNowMs, testTopic } from '../../test/support/logs.ts'

const partitionCount = 12
const batchBytes = 16 * 1024

export interface RecoveryOptions {
  readonly root: string
  /** At least so many bytes are acknowledged when the process is killed. */
  readonly sizeBytes: number
  /** What a partition may have unsynced. */
  readonly unsyncedLimitBytes?: number
}

export interface RecoveryRun {
  readonly ms: number
  readonly cpuMs: number
  /** Of all logs. */
  readonly sizeBytes: number
  /** Batches of all logs: at least those that were acknowledged. */
  readonly batches: number
}

/** Kills a process that appends, and opens what it leaves. */
export async function benchmarkRecovery(options: RecoveryOptions): Promise<RecoveryRun> {
  const acknowledged = await writeAndKill(options)
  const { store, ...run } = await timedOpen(options.root)
  assert(run.batches >= acknowledged, `${run.batches} batches are left of ${acknowledged} that were acknowledged`)
  await store.close()
  return run
}

/** Takes the index files of a store that was stopped, and has them made again. */
export async function benchmarkIndexes(root: string): Promise<RecoveryRun> {
  for (const name of await readdir(root, { recursive: true })) {
    if (/\.(index|timeindex)$/.test(name)) await rm(join(root, name))
  }
  const { store, ...opened } = await timedOpen(root)
  const [start, cpu] = [performance.now(), process.cpuUsage()]
  const looked = await Promise.all(logsOf(store).map((log) => store.offsetForTime(log, testNowMs)))
  const ms = performance.now() - start
  const spent = process.cpuUsage(cpu)
  for (const result of looked) assert(result.ok && result.found?.offset === 0n)
  await store.close()
  return { ...opened, ms, cpuMs: (spent.user + spent.system) / 1000 }
}

async function writeAndKill({ root, sizeBytes, unsyncedLimitBytes }: RecoveryOptions): Promise<number> {
  const parameters = [root, `${sizeBytes}`, `${unsyncedLimitBytes ?? ''}`]
  const child = spawn(process.execPath, [fileURLToPath(import.meta.url), 'write', ...parameters], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const exited = once(child, 'exit')
  const [line] = (await Promise.race([once(child.stdout, 'data'), exited.then(() => [''])])) as [unknown]
  child.kill('SIGKILL')
  await exited
  const acknowledged = Number(String(line))
  assert(acknowledged > 0, 'the process that appends has failed')
  return acknowledged
}

/** Appends until it is killed, and says when enough is acknowledged. Where nobody kills it, it ends by itself. */
async function writeUntilKilled(
  root: string,
  sizeBytes: number,
  unsyncedLimitBytes: number | undefined,
): Promise<void> {
  const disk = new NodeDisk(root, { threadPoolSize: Number(process.env['UV_THREADPOOL_SIZE'] ?? 4) })
  const store = await openTestStore({ disk, ...(unsyncedLimitBytes === undefined ? {} : { unsyncedLimitBytes }) })
  await openTestLog(store, { partitionCount })
  const { bytes, header } = testBatch({ valueBytes: batchBytes - 75 })
  const logs = logsOf(store)
  let acknowledged = 0
  while (acknowledged * batchBytes < 4 * sizeBytes) {
    const results = await Promise.all(
      logs.map((log) => append(store, log, { batches: [{ bytes: bytes.slice(), header }] })),
    )
    for (const result of results) assert(result.ok)
    const before = acknowledged * batchBytes
    acknowledged += results.length
    if (before < sizeBytes && acknowledged * batchBytes >= sizeBytes) process.stdout.write(`${acknowledged}`)
  }
}

async function timedOpen(root: string): Promise<RecoveryRun & { readonly store: SegmentLogStore }> {
  const disk = new NodeDisk(root, { threadPoolSize: Number(process.env['UV_THREADPOOL_SIZE'] ?? 4) })
  const [start, cpu] = [performance.now(), process.cpuUsage()]
  const store = await openTestStore({ disk })
  assert((await store.create(testTopic({ partitionCount }))).ok)
  const ms = performance.now() - start
  const spent = process.cpuUsage(cpu)
  const logs = logsOf(store)
  const sizeBytes = logs.reduce((sum, log) => sum + store.sizeBytes(log), 0)
  const batches = logs.reduce((sum, log) => sum + Number(store.view(log).highWatermark), 0)
  return { store, ms, cpuMs: (spent.user + spent.system) / 1000, sizeBytes, batches }
}

function logsOf(store: SegmentLogStore) {
  return Array.from({ length: partitionCount }, (_, partitionIndex) => {
    const log = store.find({ topicId: testTopic().topicId, partitionIndex })
    assert(log)
    return log
  })
}

function describe(name: string, { ms, cpuMs, sizeBytes, batches }: RecoveryRun): string {
  const gigabytes = sizeBytes / 1e9
  const each = `${(ms / 1000 / gigabytes).toFixed(2)} s and ${(cpuMs / 1000 / gigabytes).toFixed(2)} s of CPU per GB`
  return `${name}: ${Math.round(ms)} ms for ${gigabytes.toFixed(2)} GB, ${each}, checksum ${batches}`
}

const [role = '2', ...rest] = process.argv.slice(2)
if (import.meta.main && role === 'write') {
  await writeUntilKilled(rest[0]!, Number(rest[1]), rest[2] === '' ? undefined : Number(rest[2]))
} else if (import.meta.main) {
  const root = await mkdtemp(join(rest[0] ?? tmpdir(), 'titorelli-bench-'))
  const sizeBytes = Number(role) * 2 ** 30
  try {
    const all = { root: join(root, 'all'), sizeBytes, unsyncedLimitBytes: 2 ** 50 }
    console.log(describe('all', await benchmarkRecovery(all)))
    console.log(describe('indexes', await benchmarkIndexes(all.root)))
    await rm(all.root, { recursive: true })
    console.log(describe('as usual', await benchmarkRecovery({ root: join(root, 'usual'), sizeBytes })))
  } finally {
    await rm(root, { recursive: true })
  }
}
