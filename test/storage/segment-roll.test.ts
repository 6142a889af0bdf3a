import { strict as assert } from 'node:assert'
import { test } from 'node:test'
import { readBatchHeader, sealInPlace } from '../../protocol/records/batch.ts'
import type { Disk } from '../../storage/disk.ts'
import type { LogConfig } from '../../storage/log-store.ts'
import { CrashDisk, seededNumbers } from '../support/crash-disk.ts'
import { append, openTestLog, openTestStore, testBatch, testDisk, testNowMs } from '../support/logs.ts'

async function segmentsOf(disk: Disk, folder = 'orders-0'): Promise<number[]> {
  const names = (await disk.list(folder)).map((entry) => entry.name).filter((name) => name.endsWith('.log'))
  return names.map((name) => Number(name.slice(0, 20)))
}

/** Batches at these times, of 200 bytes; -1 has no timestamp. Returns where segments begin. */
async function rollsAt(timesMs: readonly number[], config: Partial<LogConfig>, name = 'orders'): Promise<number[]> {
  const disk = testDisk()
  const store = await openTestStore({ disk })
  const log = await openTestLog(store, { config, name })
  for (const [index, timeMs] of timesMs.entries()) {
    const timestampMs = timeMs < 0 ? -1n : testNowMs + BigInt(timeMs)
    const batch = testBatch({
      records: [{ key: 'k', value: 'v'.repeat(120), timestampMs }],
      baseTimestampMs: timestampMs,
    })
    const nowMs = testNowMs + BigInt(timeMs < 0 ? index * 1000 : 0)
    assert((await append(store, log, { batches: [batch], nowMs })).ok)
  }
  await store.close()
  return segmentsOf(disk, `${name}-0`)
}

test('a segment ends when a batch is more than segment.ms younger than its first', async () => {
  const config = { segmentMs: 1000n }
  assert.deepEqual(await rollsAt([0, 500, 1000, 1001, 1900, 2001, 2002], config), [0, 3, 6])
  assert.deepEqual(await rollsAt([1000, 0, 500, 1900, 2001], config), [0, 4])
})

test('without timestamps the clock of the caller counts', async () => {
  assert.deepEqual(await rollsAt([-1, -1, -1, -1, -1, -1], { segmentMs: 2000n }), [0, 3])
})

test('segment.jitter.ms ends segments earlier, by a share that differs between logs and stays the same', async () => {
  const config = { segmentMs: 1000n, segmentJitterMs: 900n }
  const times = Array.from({ length: 120 }, (_, index) => index * 10)
  const firsts = new Set<number>()
  for (const name of ['a', 'b', 'c', 'd']) {
    const [, first] = await rollsAt(times, config, name)
    assert(first! > 10 && first! <= 101, `${first}`)
    assert.equal((await rollsAt(times, config, name))[1], first)
    firsts.add(first!)
  }
  assert(firsts.size > 1)
})

test('a segment ends when an index is full', async () => {
  const rising = Array.from({ length: 12 }, (_, index) => index)
  const still = rising.map(() => 5)
  // Every batch but the first has an entry, of 8 bytes by offset, and of 12 by time where that has risen; one of these
  // is kept.
  const config = { segmentIndexBytes: 24, indexIntervalBytes: 150 }
  assert.deepEqual(await rollsAt(rising, config), [0, 2, 4, 6, 8, 10])
  assert.deepEqual(await rollsAt(still, { ...config, segmentIndexBytes: 36 }), [0, 5, 10])
})

test('a batch that is larger than a segment gets one of its own', async () => {
  const disk = testDisk()
  const store = await openTestStore({ disk })
  const log = await openTestLog(store, { config: { segmentBytes: 500 } })
  for (const valueBytes of [10, 5000, 10, 10]) {
    assert((await append(store, log, { batches: [testBatch({ valueBytes })] })).ok)
  }
  assert.deepEqual(await segmentsOf(disk), [0, 1, 2])
})

test('what is older than flush.ms is synced, once', async () => {
  const disk = new CrashDisk(seededNumbers(1))
  const store = await openTestStore({ disk })
  const log = await openTestLog(store, { config: { flushMs: 1000n } })
  await store.flush(log)
  await store.flushDue(testNowMs)
  assert((await append(store, log)).ok)
  let syncs = 0
  disk.fault = (operation, path) => {
    if (operation === 'sync' && path.endsWith('.log')) syncs += 1
    return undefined
  }
  await store.flushDue(testNowMs + 999n)
  assert.equal(syncs, 0)
  await store.flushDue(testNowMs + 1000n)
  assert.equal(syncs, 1)
  await store.flushDue(testNowMs + 9000n)
  assert.equal(syncs, 1)
})

test('a batch whose records do not hold is refused before it is compressed anew', async () => {
  const store = await openTestStore()
  const log = await openTestLog(store, { config: { compressionType: 'gzip' } })
  const bytes = testBatch({ values: ['one', 'two'] }).bytes.slice()
  bytes[61] = 0x7e // the length of the first record
  const batch = { bytes: sealInPlace(bytes), header: readBatchHeader(bytes) }
  const result = await append(store, log, { batches: [batch] })
  assert(!result.ok)
  assert.equal(result.code, 'INVALID_RECORD')
  assert.equal(store.view(log).logEndOffset, 0n)
})
