import { strict as assert } from 'node:assert'
import { test } from 'node:test'
import { append, openTestLog, openTestStore, testBatch, testLogConfig, testNowMs } from '../support/logs.ts'

test('bytes below the log start do not count for retention.bytes', async () => {
  const store = await openTestStore()
  const log = await openTestLog(store, { config: { segmentBytes: 1 } })
  const sizes: number[] = []
  for (const valueBytes of [200, 50, 50, 50]) {
    const batch = testBatch({ valueBytes })
    sizes.push(batch.bytes.length)
    assert((await append(store, log, { batches: [batch] })).ok)
  }
  // The first segment is below the start, but still there: as when a crash came before it was removed.
  const state = (log as unknown as { state: { logStartOffset: bigint } }).state
  state.logStartOffset = 1n
  const rest = sizes[1]! + sizes[2]! + sizes[3]!
  store.configure(log.id.topicId, testLogConfig({ segmentBytes: 1, retentionBytes: BigInt(rest + 60) }))
  assert.equal((await store.housekeep(testNowMs)).deletedSegments, 1)
  assert.equal(store.view(log).logStartOffset, 1n)
  assert.equal(store.sizeBytes(log), rest)
})

test('segments go when their largest timestamp is too old, none behind one of the future', async () => {
  const store = await openTestStore()
  const log = await openTestLog(store, { config: { segmentBytes: 1, retentionMs: 1_000n } })
  for (const ageMs of [5_000n, 3_000n, -60_000n, 4_000n, 0n]) {
    assert((await append(store, log, { batches: [testBatch({ baseTimestampMs: testNowMs - ageMs })] })).ok)
  }
  assert.equal((await store.housekeep(testNowMs)).deletedSegments, 2)
  assert.equal(store.view(log).logStartOffset, 2n)
  await store.housekeep(testNowMs + 61_001n)
  assert.equal(store.view(log).logStartOffset, 5n)
})
