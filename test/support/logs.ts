/** Logs for tests: every option has a default, so that what a test names is what matters to it. */
import { strict as assert } from 'node:assert'
import { lastOffsetOf, splitBatches, type BatchRef } from '../../protocol/records/batch.ts'
import { buildBatchRef, type BatchInput } from '../../protocol/records/build.ts'
import { decodeRecords, type DecodedRecord } from '../../protocol/records/record.ts'
import type { Uuid } from '../../protocol/schema.ts'
import type { Disk } from '../../storage/disk.ts'
import type {
  AppendEntry,
  AppendResult,
  LogConfig,
  LogHandle,
  LogStore,
  ReadRequest,
  ReadResult,
  TopicSpec,
} from '../../storage/log-store.ts'
import { MemoryDisk } from '../../storage/memory-disk.ts'
import { BlockPool } from '../../storage/block-pool.ts'
import { SegmentLogStore, type SegmentLogStoreOptions } from '../../storage/segment-log-store.ts'
import { TailBudget } from '../../storage/tail-cache.ts'

/** The wall clock of these tests, in milliseconds. */
export const testNowMs = 1_700_000_000_000n

export function testLogConfig(overrides: Partial<LogConfig> = {}): LogConfig {
  return {
    cleanupPolicy: { compact: false, delete: true },
    compressionType: 'producer',
    compressionLevels: { gzip: 6, lz4: 9, zstd: 3 },
    deleteRetentionMs: 86_400_000n,
    fileDeleteDelayMs: 60_000n,
    flushMessages: 9_223_372_036_854_775_807n,
    flushMs: 9_223_372_036_854_775_807n,
    indexIntervalBytes: 4096,
    maxCompactionLagMs: 9_223_372_036_854_775_807n,
    maxMessageBytes: 1_048_588,
    maxDecompressedMessageBytes: 67_108_864,
    messageTimestampAfterMaxMs: 3_600_000n,
    messageTimestampBeforeMaxMs: 9_223_372_036_854_775_807n,
    messageTimestampType: 'CreateTime',
    minCleanableDirtyRatio: 0.5,
    minCompactionLagMs: 0n,
    preallocate: false,
    retentionBytes: -1n,
    retentionMs: 604_800_000n,
    segmentBytes: 1_073_741_824,
    segmentIndexBytes: 10_485_760,
    segmentJitterMs: 0n,
    segmentMs: 604_800_000n,
    ...overrides,
  }
}

/** A topic id that differs by `number`. */
export function testTopicId(number = 1): Uuid {
  return `AAAAAAAAAAAAAAAAA${number.toString().padStart(4, '0')}A`
}

export interface TestTopic {
  readonly name?: string
  readonly topicId?: Uuid
  readonly partitionCount?: number
  readonly leaderEpoch?: number
  readonly config?: Partial<LogConfig>
  readonly isMirror?: boolean
}

export function testTopic(topic: TestTopic = {}): TopicSpec {
  return {
    topicId: topic.topicId ?? testTopicId(),
    name: topic.name ?? 'orders',
    partitions: Array.from({ length: topic.partitionCount ?? 1 }, (_, partitionIndex) => ({
      partitionIndex,
      leaderEpoch: topic.leaderEpoch ?? 0,
    })),
    config: testLogConfig(topic.config),
    isMirror: topic.isMirror ?? false,
  }
}

export type OpenTestStoreOptions = Partial<SegmentLogStoreOptions>

/** The real engine, on a memory disk unless another is named. */
export function openTestStore(options: OpenTestStoreOptions = {}): Promise<SegmentLogStore> {
  const blocks = new BlockPool({ limitBytes: 16 * 1024 * 1024, poisons: true })
  const tailBudget = new TailBudget(64 * 1024 * 1024, undefined, true)
  return SegmentLogStore.open({ disk: testDisk(), blocks, tailBudget, ...options })
}

export function testDisk(): Disk {
  return new MemoryDisk((run) => setImmediate(run))
}

/** Creates a topic, or opens it after a restart, and gives the handle of a partition. */
export async function openTestLog(
  store: LogStore,
  topic: TestTopic & { partitionIndex?: number } = {},
): Promise<LogHandle> {
  const spec = testTopic(topic)
  const created = await store.create(spec)
  assert(created.ok)
  const log = store.find({ topicId: spec.topicId, partitionIndex: topic.partitionIndex ?? 0 })
  assert(log)
  return log
}

/** What succeeded. What did not is an error with all that is known of it. */
export function must<R extends { readonly ok: boolean }>(result: R): Extract<R, { readonly ok: true }> {
  if (result.ok) return result as Extract<R, { readonly ok: true }>
  throw new Error(JSON.stringify(result, (_, value: unknown) => (typeof value === 'bigint' ? `${value}` : value)))
}

export interface TestBatch extends Partial<Omit<BatchInput, 'records'>> {
  readonly values?: readonly string[]
  readonly records?: BatchInput['records']
  /** One record with a value of so many bytes. */
  readonly valueBytes?: number
}

export function testBatch(batch: TestBatch = {}): BatchRef {
  const { values = ['value'], valueBytes, records, ...rest } = batch
  const value = valueBytes === undefined ? undefined : new Uint8Array(valueBytes).fill(97)
  return buildBatchRef({
    records: records ?? (value ? [{ key: 'key', value }] : values.map((text) => ({ key: 'key', value: text }))),
    baseTimestampMs: testNowMs,
    ...rest,
  })
}

export interface TestAppend {
  readonly batches?: readonly BatchRef[]
  readonly origin?: AppendEntry['origin']
  readonly mode?: AppendEntry['mode']
  readonly fence?: AppendEntry['fence']
  readonly nowMs?: bigint
  readonly durable?: boolean
}

/** Appends one batch (or those given) as a client of leader epoch 0 would. */
export async function append(store: LogStore, log: LogHandle, options: TestAppend = {}): Promise<AppendResult> {
  const { batches = [testBatch()], origin = 'client', mode = { kind: 'assign', leaderEpoch: 0 }, fence } = options
  const entry: AppendEntry = { log, batches, origin, mode, ...(fence === undefined ? {} : { fence }) }
  const { nowMs = testNowMs, durable } = options
  const [result] = await store.append([entry], { nowMs, ...(durable === undefined ? {} : { durable }) })
  assert(result)
  return result
}

/** Appends batches as a link does: with their own offsets. */
export function mirror(
  store: LogStore,
  log: LogHandle,
  batches: readonly BatchRef[],
  expectedLogEndOffset = store.view(log).logEndOffset,
): Promise<AppendResult> {
  return append(store, log, { batches, origin: 'mirror', mode: { kind: 'preserve', expectedLogEndOffset } })
}

export async function read(
  store: LogStore,
  log: LogHandle,
  request: Partial<ReadRequest> & { minOneBatch?: boolean } = {},
): Promise<ReadResult> {
  const { minOneBatch = true, maxBytes = 1_048_576, ...rest } = request
  const [result] = await store.read(
    [{ log, offset: store.view(log).logStartOffset, maxBytes, isolation: 'uncommitted', ...rest }],
    { maxBytes, minOneBatch },
  )
  assert(result)
  return result
}

/** All batches from an offset on, read in as many steps as it takes. */
export async function readAllBatches(
  store: LogStore,
  log: LogHandle,
  from = store.view(log).logStartOffset,
): Promise<BatchRef[]> {
  const batches: BatchRef[] = []
  let offset = from
  while (offset < store.view(log).highWatermark) {
    const result = await read(store, log, { offset })
    assert(
      result.ok,
      JSON.stringify(result, (_, value: unknown) => (typeof value === 'bigint' ? `${value}` : value)),
    )
    const got = result.chunks.flatMap((chunk) => splitBatches(chunk))
    if (got.length === 0) break
    batches.push(...got)
    offset = lastOffsetOf(got.at(-1)!.header) + 1n
  }
  return batches
}

export async function readAllRecords(store: LogStore, log: LogHandle): Promise<DecodedRecord[]> {
  return (await readAllBatches(store, log)).flatMap((batch) => decodeRecords(batch))
}

export async function readAllValues(store: LogStore, log: LogHandle): Promise<string[]> {
  return (await readAllRecords(store, log)).map((record) => new TextDecoder().decode(record.value ?? new Uint8Array()))
}
