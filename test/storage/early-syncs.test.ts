import { strict as assert } from 'node:assert'
import { test } from 'node:test'
import { EarlySyncs } from '../../storage/early-syncs.ts'
import type { PartitionLog } from '../../storage/log.ts'
import { append, openTestLog, openTestStore, testBatch, testNowMs } from '../support/logs.ts'

test('one log is synced early at a time, twenty times in a second at most', async () => {
  const syncs = new EarlySyncs()
  const begun: number[] = []
  const { promise, resolve } = Promise.withResolvers<void>()
  const offer = (nowMs: number, sync = Promise.resolve()): void =>
    syncs.offer(BigInt(nowMs), () => {
      begun.push(nowMs)
      return sync
    })
  offer(1_000, promise)
  offer(1_100)
  assert.deepEqual(begun, [1_000])
  resolve()
  await new Promise((after) => setImmediate(after))
  for (const nowMs of [1_049, 1_050, 1_051]) {
    offer(nowMs)
    await new Promise((after) => setImmediate(after))
  }
  assert.deepEqual(begun, [1_000, 1_050])
  offer(10) // the clock was set back
  assert.deepEqual(begun, [1_000, 1_050, 10])
})

test('what was appended is synced long before it has to be, and noted only then', async () => {
  const store = await openTestStore({ unsyncedLimitBytes: 160_000 })
  const log = (await openTestLog(store)) as PartitionLog
  const noted = log.state.noted?.endOffset
  for (let index = 0; index < 60; index++) {
    const options = { batches: [testBatch({ valueBytes: 900 })], nowMs: testNowMs + BigInt(index * 10) }
    assert((await append(store, log, options)).ok)
  }
  assert(log.sync.recoveryPoint > 30n, `synced up to ${log.sync.recoveryPoint}`)
  assert.equal(log.state.noted?.endOffset, noted)
})

test('logs that fill alike take their checkpoints one after the other', async () => {
  const store = await openTestStore({ unsyncedLimitBytes: 200_000 })
  const first = await openTestLog(store, { partitionCount: 4 })
  const dueAt = new Map<number, number>()
  for (let count = 1; count <= 110; count++) {
    for (let partitionIndex = 0; partitionIndex < 4; partitionIndex++) {
      const log = store.find({ ...first.id, partitionIndex }) as PartitionLog
      assert((await append(store, log, { batches: [testBatch({ valueBytes: 900 })] })).ok)
      if (log.state.noted && !dueAt.has(partitionIndex)) dueAt.set(partitionIndex, count)
    }
  }
  const places = [...dueAt.values()]
  assert.equal(new Set(places).size, 4, `${places.join()}`)
  assert(Math.min(...places) > 70 && Math.max(...places) > 95, `${places.join()}`)
})
