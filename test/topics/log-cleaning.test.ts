import assert from 'node:assert/strict'
import { test } from 'node:test'
import { OffsetCommit } from '../../protocol/apis/offset-commit.ts'
import { OffsetFetch } from '../../protocol/apis/offset-fetch.ts'
import { zeroUuid } from '../../protocol/schema.ts'
import { splitBatches } from '../../protocol/records/batch.ts'
import type { CleaningReport, CleanOptions, LogHandle, LogStore } from '../../storage/log-store.ts'
import { MemoryDisk } from '../../storage/memory-disk.ts'
import { brokerConfigOf, defaultBrokerConfig } from '../../src/config/broker-config.ts'
import type { Logger } from '../../src/environment/environment.ts'
import { nodeClock } from '../../src/environment/node-clock.ts'
import { SimulatedClock } from '../../src/environment/simulated-clock.ts'
import { emptyImage } from '../../src/metadata/image.ts'
import type { MetadataImage } from '../../src/metadata/metadata-store.ts'
import { MemoryBudget } from '../../src/network/memory-budget.ts'
import { CurrentConfig } from '../../src/topics/current-config.ts'
import { cleanerPartsOf, keepClean } from '../../src/topics/log-cleaning.ts'
import { startTestBroker } from '../support/broker.ts'

const cleaned = { label: 'orders-0', bytesBefore: 10, bytesAfter: 5 }

function start(configs: Record<string, string>, clean: (options: CleanOptions) => Promise<CleaningReport>) {
  const parsed = brokerConfigOf(new Map(Object.entries(configs)))
  assert(parsed.ok)
  const lines: string[] = []
  const note = (_: object, message: string): void => void lines.push(message)
  const logger: Logger = { debug: () => {}, info: note, warn: note, error: note, child: () => logger }
  const clock = new SimulatedClock(nodeClock)
  const metadata = new ScriptedConfigs()
  const cleaning = keepClean({ environment: { clock, logger }, config: parsed.config, metadata, logs: { clean } })
  return { clock, lines, cleaning, metadata }
}

/** Broker configs as the metadata log has them. */
class ScriptedConfigs {
  image: MetadataImage = emptyImage
  readonly #listeners = new Set<(image: MetadataImage, previous: MetadataImage) => void>()

  onImage(listener: (image: MetadataImage, previous: MetadataImage) => void): Disposable {
    this.#listeners.add(listener)
    return { [Symbol.dispose]: () => void this.#listeners.delete(listener) }
  }

  set(configs: Record<string, string>): void {
    const previous = this.image
    this.image = { ...previous, brokerConfigs: new Map([['', new Map(Object.entries(configs))]]) }
    for (const listener of this.#listeners) listener(this.image, previous)
  }
}

function turn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve))
}

test('logs are cleaned one after the other, and looked at again after log.cleaner.backoff.ms', async () => {
  const reports: CleaningReport[] = [
    { cleaned, failures: [] },
    { cleaned, failures: [] },
  ]
  let calls = 0
  const { clock, cleaning } = start({ 'log.cleaner.backoff.ms': '500' }, () => {
    calls += 1
    return Promise.resolve(reports.shift() ?? { failures: [] })
  })
  await turn()
  assert.equal(calls, 3)
  await clock.advance(499)
  assert.equal(calls, 3)
  await clock.advance(1)
  await turn()
  assert.equal(calls, 4)
  await cleaning.stop()
})

test('a log that cannot be cleaned, and a round that breaks off, are logged, and cleaning goes on', async () => {
  let calls = 0
  const { clock, lines, cleaning } = start({ 'log.cleaner.backoff.ms': '500' }, () => {
    calls += 1
    if (calls === 1) return Promise.reject(new Error('broken'))
    const failure = { ok: false, code: 'CORRUPT_BATCH', retriable: true, message: 'the CRC', isFinal: true } as const
    return Promise.resolve({ failures: [{ ...failure, label: 'orders-0' }] })
  })
  await turn()
  await clock.advance(500)
  await turn()
  assert.deepEqual(lines, ['compaction failed', 'a log could not be compacted'])
  await cleaning.stop()
})

test('with log.cleaner.enable=false nothing is cleaned', async () => {
  let calls = 0
  const { cleaning } = start({ 'log.cleaner.enable': 'false' }, () => {
    calls += 1
    return Promise.resolve({ failures: [] })
  })
  await turn()
  await cleaning.stop()
  assert.equal(calls, 0)
})

test('a cleaning goes no faster than log.cleaner.io.max.bytes.per.second, and a stop ends it at once', async () => {
  let pacedBytes = 0
  const { clock, cleaning } = start({ 'log.cleaner.io.max.bytes.per.second': '1000' }, async ({ pace, signal }) => {
    while (!signal!.aborted) {
      await pace(100)
      pacedBytes += 100
    }
    return { failures: [] }
  })
  for (let tick = 0; tick < 10; tick++) await clock.advance(100)
  await turn()
  assert.equal(pacedBytes, 1_000)
  await cleaning.stop()
})

test('log.cleaner.backoff.ms and log.cleaner.io.max.bytes.per.second act as soon as they are set', async () => {
  let pacedBytes = 0
  let calls = 0
  const { clock, cleaning, metadata } = start(
    { 'log.cleaner.backoff.ms': '500', 'log.cleaner.io.max.bytes.per.second': '1000' },
    async ({ pace }) => {
      calls += 1
      if (calls === 2) for (; pacedBytes < 4_000; pacedBytes += 1_000) await pace(1_000)
      return { failures: [] }
    },
  )
  await turn()
  assert.equal(calls, 1)
  metadata.set({ 'log.cleaner.io.max.bytes.per.second': '2000', 'log.cleaner.backoff.ms': '50' })
  await turn()
  assert.equal(calls, 2, 'a change ends the pause')
  await clock.advance(1_000)
  assert.equal(pacedBytes, 2_000)
  await clock.advance(1_000)
  await turn()
  assert.equal(pacedBytes, 4_000)
  await clock.advance(50)
  await turn()
  assert.equal(calls, 3)
  await cleaning.stop()
})

test('what a cleaning works with follows the configs, within a quarter of the memory budget', () => {
  const metadata = new ScriptedConfigs()
  const memory = new MemoryBudget({ limitBytes: 400_000 })
  const parts = cleanerPartsOf(new CurrentConfig(metadata, defaultBrokerConfig()), memory)
  assert(parts)
  assert.deepEqual([parts.bufferBytes, parts.loadFactor, parts.ioBufferBytes], [100_000, 0.9, 524_288])
  metadata.set({
    'log.cleaner.dedupe.buffer.size': '50000',
    'log.cleaner.io.buffer.load.factor': '0.5',
    'log.cleaner.io.buffer.size': '8192',
  })
  assert.deepEqual([parts.bufferBytes, parts.loadFactor, parts.ioBufferBytes], [50_000, 0.5, 8_192])
  parts.onMemory?.(24)
  assert.equal(memory.usedBytesOf('cleaner'), 24)
  parts.onMemory?.(-24)
  assert.equal(memory.usedBytes, 0)
})

test('the committed offsets of groups are compacted, and there after a restart', async (t) => {
  const disk = new MemoryDisk((run) => nodeClock.defer(run))
  const configs = {
    'log.cleaner.backoff.ms': '2',
    'offsets.topic.num.partitions': '1',
    'log.roll.ms': '1',
  }
  const started = await startTestBroker(t, { disk, configs, topics: { orders: 1 } })
  const topicId = zeroUuid // not in these versions
  const commitCount = 60
  for (let committedOffset = 1; committedOffset <= commitCount; committedOffset++) {
    const partitions = [{ partitionIndex: 0, committedOffset: BigInt(committedOffset), committedMetadata: '' }]
    const request = { groupId: 'g', memberId: '', topics: [{ name: 'orders', topicId, partitions }] }
    const answer = await started.send(OffsetCommit, 8, request)
    assert.equal(answer.topics[0]!.partitions[0]!.errorCode, 0)
  }
  const { logs, topics } = started.broker.parts
  const { log } = topics.find('__consumer_offsets')!.partitions[0]!
  assert.equal(logs.view(log).logEndOffset, BigInt(commitCount))
  while ((await recordCountOf(logs, log)) > commitCount / 3) await nodeClock.sleep(2)
  await started.broker.stop()

  const restarted = await startTestBroker(t, { disk, configs })
  const asked = {
    groupId: '',
    topics: [],
    groups: [{ groupId: 'g', topics: [{ name: 'orders', topicId, partitionIndexes: [0] }] }],
    requireStable: false,
  }
  const answer = await restarted.send(OffsetFetch, 8, asked)
  assert.equal(answer.groups[0]!.topics[0]!.partitions[0]!.committedOffset, BigInt(commitCount))
})

async function recordCountOf(logs: LogStore, log: LogHandle): Promise<number> {
  const request = { log, offset: 0n, maxBytes: 1_000_000, isolation: 'uncommitted' } as const
  const [result] = await logs.read([request], { maxBytes: 1_000_000, minOneBatch: true })
  assert(result?.ok)
  return result.chunks.flatMap((chunk) => splitBatches(chunk)).reduce((sum, batch) => sum + batch.header.recordCount, 0)
}
