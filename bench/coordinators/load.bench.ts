/**
 * Loading committed offsets at start: reads `__consumer_offsets` from a real disk and rebuilds the groups, as a broker
 * does before it lets clients in. Run it: `node bench/coordinators/load.bench.ts [commits] [directory]`.
 */
import { strict as assert } from 'node:assert'
import { mkdtemp, rm } from 'node:fs/promises'
import { cpus, tmpdir } from 'node:os'
import { join } from 'node:path'
import { buildBatchRef } from '../../protocol/records/build.ts'
import { zeroUuid } from '../../protocol/schema.ts'
import { shardOf } from '../../src/coordinators/shard-key.ts'
import type { Broker } from '../../src/broker.ts'
import { offsetRecord } from '../../src/groups/group-records.ts'
import { NodeDisk } from '../../storage/node-disk.ts'
import { startTestBroker } from '../../test/support/broker.ts'

export interface LoadRun {
  /** Of each of three loads: on the wall, and of the processors, which a busy machine bends less. */
  readonly times: readonly { readonly wallMs: number; readonly processorMs: number }[]
  /** The sum of all offsets that are there then: what was written last to each place, or the run is void. */
  readonly checksum: bigint
}

export interface LoadSizes {
  readonly root: string
  readonly commits: number
  /** How many partitions one request commits; each request is a batch of its own. */
  readonly partitionsPerCommit: number
  /** How many groups commit, again and again. */
  readonly groups: number
}

/** Writes so many committed offsets and lets the broker load them, again and again. */
export async function benchmarkLoad(sizes: LoadSizes): Promise<LoadRun> {
  const disk = new NodeDisk(sizes.root, { threadPoolSize: Number(process.env['UV_THREADPOOL_SIZE'] ?? 4) })
  const cleanups: (() => Promise<void> | void)[] = []
  try {
    const { broker } = await startTestBroker({ after: (run) => void cleanups.push(run) }, { disk })
    await writeCommits(broker, sizes)
    const times: { wallMs: number; processorMs: number }[] = []
    for (let run = 0; run < 3; run++) {
      const [startMs, start] = [performance.now(), process.cpuUsage()]
      await broker.parts.groups.load()
      const wallMs = Math.round(performance.now() - startMs)
      const { user, system } = process.cpuUsage(start)
      times.push({ wallMs, processorMs: Math.round((user + system) / 1000) })
    }
    return { times, checksum: await checksumOf(broker, sizes) }
  } finally {
    for (const run of cleanups.toReversed()) await run()
  }
}

async function writeCommits(broker: Broker, { commits, partitionsPerCommit, groups }: LoadSizes): Promise<void> {
  const { logs, topics, config } = broker.parts
  const partitionCount = config.offsetsTopicNumPartitions
  await topics.create({ name: '__consumer_offsets', partitionCount })
  const partitions = topics.find('__consumer_offsets')!.partitions
  const writing: Promise<unknown>[] = []
  for (let from = 0; from < commits; from += partitionsPerCommit) {
    const groupId = `group-${(from / partitionsPerCommit) % groups}`
    const records = Array.from({ length: Math.min(partitionsPerCommit, commits - from) }, (_, partitionIndex) => ({
      ...offsetRecord({ groupId, topicName: 'orders', partitionIndex }, committed(from + partitionIndex)),
      timestampMs: 1_700_000_000_000n,
    }))
    const { log } = partitions[shardOf(groupId, partitionCount)]!
    const mode = { kind: 'assign', leaderEpoch: logs.view(log).leaderEpoch } as const
    const entry = { log, batches: [buildBatchRef({ records })], mode, origin: 'coordinator' } as const
    writing.push(logs.append([entry], { nowMs: 1_700_000_000_000n }))
    if (writing.length === 500) await Promise.all(writing.splice(0))
  }
  await Promise.all(writing)
}

function committed(offset: number) {
  return {
    offset: BigInt(offset),
    leaderEpoch: 0,
    topicId: zeroUuid,
    metadata: '',
    commitTimestampMs: 1_700_000_000_000n,
    expireTimestampMs: -1n,
  }
}

async function checksumOf(broker: Broker, { groups }: LoadSizes): Promise<bigint> {
  let sum = 0n
  for (let group = 0; group < groups; group++) {
    for (const { partitions } of await broker.parts.groups.fetchOffsets(`group-${group}`, null, false))
      for (const partition of partitions) sum += partition.committed?.offset ?? 0n
  }
  return sum
}

if (import.meta.main) {
  const commits = Number(process.argv[2] ?? 1_000_000)
  console.log(`${cpus()[0]?.model}, ${cpus().length} cores, Node ${process.version}`)
  for (const [partitionsPerCommit, groups] of [
    [10, 1_000],
    [1, 1_000],
    [100, 10_000],
  ] as const) {
    const root = await mkdtemp(join(process.argv[3] ?? tmpdir(), 'titorelli-bench-'))
    const { times, checksum } = await benchmarkLoad({ root, commits, partitionsPerCommit, groups })
    assert(checksum > 0n)
    const text = times.map(({ wallMs, processorMs }) => `${wallMs} (${processorMs})`).join(', ')
    const what = `${commits} commits of ${groups} groups, ${partitionsPerCommit} in a batch`
    console.log(`${what}: loaded in ${text} ms, checksum ${checksum}`)
    await rm(root, { recursive: true })
  }
}
