import { strict as assert } from 'node:assert'
import { test } from 'node:test'
import type { Disk, DiskFile } from '../../storage/disk.ts'
import type { LogHandle, LogStore } from '../../storage/log-store.ts'
import type { PartitionLog } from '../../storage/log.ts'
import { StorageError } from '../../storage/outcome.ts'
import {
  append,
  openTestLog,
  openTestStore,
  readAllBatches,
  readAllValues,
  testBatch,
  testDisk,
  testNowMs,
} from '../support/logs.ts'
import { CrashDisk, seededNumbers } from '../support/crash-disk.ts'
import { Gate, withMethods } from '../support/gate.ts'

const sequenced = (baseSequence: number) =>
  testBatch({ values: [`${baseSequence}`], producerId: 7n, producerEpoch: 0, baseSequence })

async function openOn(disk: CrashDisk, config = {}): Promise<{ store: LogStore; log: LogHandle }> {
  const store = await openTestStore({ disk })
  return { store, log: await openTestLog(store, { config }) }
}

for (const tornShare of [0, 0.5, 1]) {
  test(`a failed write fails all that is queued behind it, and the next append goes on (torn at ${tornShare})`, async () => {
    const disk = new CrashDisk(seededNumbers(1))
    const { store, log } = await openOn(disk)
    assert((await append(store, log, { batches: [sequenced(0)] })).ok)
    let writes = 0
    disk.tornShare = tornShare
    disk.fault = (operation) => (operation === 'write' && ++writes === 1 ? 'NO_SPACE' : undefined)
    const queued = [1, 2, 3, 2].map((sequence) => append(store, log, { batches: [sequenced(sequence)] }))
    for (const result of await Promise.all(queued)) {
      assert(!result.ok)
      assert.equal(result.code, 'NO_SPACE')
      assert(result.retriable)
    }
    assert.equal(store.view(log).highWatermark, 1n)
    for (const sequence of [1, 2]) {
      const result = await append(store, log, { batches: [sequenced(sequence)] })
      assert(result.ok && !result.duplicate && result.baseOffset === BigInt(sequence))
    }
    assert.deepEqual(await readAllValues(store, log), ['0', '1', '2'])
    const again = await openOn(disk.crash())
    assert((await readAllValues(again.store, again.log)).length <= 3)
  })
}

test('whatever call fails, acknowledged records stay in order and the rest can be sent again', async () => {
  let runs = 0
  for (let failing = 1; failing < 60; failing++) {
    const disk = new CrashDisk(seededNumbers(failing))
    const { store, log } = await openOn(disk, { segmentBytes: 250, flushMessages: 4n })
    const from = disk.callCount
    let hasFailed = false
    disk.tornShare = 0.7
    disk.fault = (_operation, _path, callNumber) => {
      if (callNumber !== from + failing) return undefined
      hasFailed = true
      return 'IO'
    }
    const acknowledged: string[] = []
    for (let sequence = 0; sequence < 9; sequence += 3) {
      const queued = [0, 1, 2].map((more) => append(store, log, { batches: [sequenced(sequence + more)] }))
      const results = await Promise.all(queued)
      const failed = results.findIndex((result) => !result.ok)
      for (const [more, result] of results.entries()) if (result.ok) acknowledged.push(`${sequence + more}`)
      if (failed < 0) continue
      assert(
        results.slice(failed).every((result) => !result.ok),
        'all behind a failed append fail',
      )
      for (let more = failed; more < 3; more++) {
        const result = await append(store, log, { batches: [sequenced(sequence + more)] })
        if (result.ok) acknowledged.push(`${sequence + more}`)
        else assert.equal(result.code, 'LOG_OFFLINE')
      }
    }
    disk.fault = () => undefined
    const killed = await openTestStore({ disk })
    const values = await readAllValues(killed, await openTestLog(killed))
    // A write may be whole although its sync failed: records beyond the acknowledged ones may be there, none may be
    // missing.
    assert.deepEqual(values.slice(0, acknowledged.length), acknowledged, `call ${failing}`)
    assert.deepEqual(values, values.toSorted(), `call ${failing}`)
    if (!hasFailed) break
    runs += 1
  }
  assert(runs > 10, `${runs} calls were failed`)
})

for (const code of ['NO_SPACE', 'IO'] as const) {
  for (const tornShare of [0, 0.2, 0.5, 0.9, 1]) {
    test(`${code} in the middle of one write for three requests fails each of them and nothing else (torn at ${tornShare})`, async () => {
      const disk = new CrashDisk(seededNumbers(2))
      const { store, log } = await openOn(disk)
      let writes = 0
      disk.tornShare = tornShare
      disk.fault = (operation, path) =>
        operation === 'write' && path.endsWith('.log') && ++writes === 2 ? code : undefined
      const send = (sequence: number) => append(store, log, { batches: [sequenced(sequence)] })
      const alone = send(0)
      await disk.nextTurn() // it is being written; the three that come meanwhile go out together
      const [first, ...three] = await Promise.all([alone, send(1), send(2), send(3)])
      assert(first.ok && first.baseOffset === 0n)
      assert.equal(writes, 2)
      for (const result of three) {
        assert(!result.ok)
        assert.equal(result.code, code === 'IO' ? 'STORAGE_FAILED' : 'NO_SPACE')
        assert(result.retriable)
      }
      assert.equal(store.view(log).logEndOffset, 1n)
      const again = await append(store, log, { batches: [sequenced(1)] })
      assert(again.ok && !again.duplicate && again.baseOffset === 1n)
      assert.deepEqual(await readAllValues(store, log), ['0', '1'])
      const killed = await openOn(disk.kill())
      assert.deepEqual(await readAllValues(killed.store, killed.log), ['0', '1'])
    })
  }
}

/** A disk whose syncs of logs wait while the gate is closed. */
function gatedSyncs(disk: CrashDisk, gate: Gate): { readonly disk: Disk; readonly syncs: () => number } {
  let syncs = 0
  const gated = withMethods<Disk>(disk, {
    open: async (path, options) => {
      const file = await disk.open(path, options)
      if (!path.endsWith('.log')) return file
      return withMethods<DiskFile>(file, {
        sync: async () => {
          syncs += 1
          await gate.pass()
          await file.sync()
        },
      })
    },
  })
  return { disk: gated, syncs: () => syncs }
}

test('a write that completes while a sync runs is not counted as synced', async () => {
  const gate = new Gate()
  const inner = new CrashDisk(seededNumbers(1))
  let writes = 0
  inner.fault = (operation, path) => {
    if (operation === 'write' && path.endsWith('.log')) writes += 1
    return undefined
  }
  const { disk, syncs } = gatedSyncs(inner, gate)
  const store = await openTestStore({ disk })
  const log = await openTestLog(store)
  const turn = () => new Promise((resolve) => setImmediate(resolve))
  const beginFlush = async () => {
    gate.close()
    const flushed = store.flush(log)
    while (gate.waiting === 0) await turn()
    return flushed.then((result) => assert(result.ok))
  }

  assert((await append(store, log)).ok)
  const before = syncs()
  const flushed = beginFlush()
  while (gate.waiting === 0) await turn()
  assert((await append(store, log)).ok) // not durable, so it does not wait for the sync
  gate.open()
  await flushed
  assert((await store.flush(log)).ok)
  assert.equal(syncs(), before + 2, 'what was written meanwhile is synced by the next flush')
  assert((await store.flush(log)).ok)
  assert.equal(syncs(), before + 2, 'what is durable is not synced again')

  assert((await append(store, log)).ok)
  const second = beginFlush()
  while (gate.waiting === 0) await turn()
  const writesThen = writes
  const durable = append(store, log, { durable: true })
  while (writes === writesThen) await turn()
  for (let turns = 0; turns < 5; turns++) await turn() // the write is complete, and its append waits for a sync
  gate.open()
  await second
  assert((await durable).ok)
  assert.equal(syncs(), before + 4, 'the durable append was answered by a sync of its own')
})

test('after a failed sync the log is offline, and the sync is not tried again', async () => {
  const disk = new CrashDisk(seededNumbers(1))
  const { store, log } = await openOn(disk)
  assert((await append(store, log)).ok)
  let syncs = 0
  disk.fault = (operation) => (operation === 'sync' && ++syncs === 1 ? 'IO' : undefined)
  const results = await Promise.all([append(store, log, { durable: true }), append(store, log)])
  for (const result of results) assert(!result.ok && result.code === 'LOG_OFFLINE')
  const syncsThen = syncs
  assert.equal((await append(store, log)).ok, false)
  const flushed = await store.flush(log)
  assert(!flushed.ok && flushed.code === 'LOG_OFFLINE')
  assert.equal(syncs, syncsThen)
  const read = await store.read([{ log, offset: 0n, maxBytes: 100, isolation: 'uncommitted' }], {
    maxBytes: 100,
    minOneBatch: true,
  })
  assert(!read[0]!.ok && read[0]!.code === 'LOG_OFFLINE')
})

const syncers: Record<string, (store: LogStore, log: LogHandle) => Promise<unknown>> = {
  'a durable append': (store, log) => append(store, log, { durable: true }),
  'a flush': (store, log) => store.flush(log),
  'the end of a segment': (store, log) => append(store, log, { batches: [testBatch({ valueBytes: 900 })] }),
  'the background': (_, log) => (log as PartitionLog).checkpoint.run(),
  housekeeping: (store) => store.housekeep(testNowMs + 10n),
  'a promote': (store, log) =>
    store.promote(log, { id: 'd', leaderEpoch: 9, nowMs: 5n }, { lease: 'link', fenceEpoch: 1n }),
}

for (const [what, cause] of Object.entries(syncers)) {
  for (const code of ['IO', 'NO_SPACE'] as const) {
    test(`a sync for ${what} that fails with ${code} takes the log offline, and nobody syncs it again`, async () => {
      const disk = new CrashDisk(seededNumbers(1))
      const { store, log } = await openOn(disk, { segmentBytes: 1000, flushMs: 5n })
      await store.housekeep(testNowMs)
      assert((await append(store, log)).ok)
      let syncs = 0
      disk.fault = (operation, path) =>
        operation === 'sync' && path.endsWith('.log') && ++syncs === 1 ? code : undefined
      await cause(store, log)
      assert.equal(syncs, 1)
      const refused = await append(store, log, { durable: true })
      assert(!refused.ok && refused.code === 'LOG_OFFLINE', refused.ok ? '' : refused.message)
      await store.flush(log)
      await store.housekeep(testNowMs + 1_000n)
      await store.close()
      assert.equal(syncs, 1)
    })
  }
}

test('a store that cannot sync a log when it closes says which and why, closes all the same, and did not stop cleanly', async () => {
  const disk = new CrashDisk(seededNumbers(1))
  const offline: string[] = []
  const store = await openTestStore({ disk, onOffline: ({ label }) => offline.push(label) })
  const log = await openTestLog(store, { partitionCount: 2 })
  assert((await append(store, log)).ok)
  let syncs = 0
  disk.fault = (operation, path) =>
    operation === 'sync' && path.startsWith('orders-0/') && path.endsWith('.log') && ++syncs ? 'NO_SPACE' : undefined
  await assert.rejects(store.close(), (error: unknown) => {
    assert(error instanceof StorageError)
    assert.match(error.message, /^the logs did not stop cleanly: orders-0 could not be synced.*fails on request$/)
    return true
  })
  assert.equal(syncs, 1)
  assert.deepEqual(offline, ['orders-0'])
  assert.equal((await append(store, log)).ok, false)
  disk.fault = () => undefined
  assert((await openTestStore({ disk: disk.kill() })).wasUnclean)
})

test('a store that has no room for the marks of a clean stop says so, and has everything', async () => {
  const disk = new CrashDisk(seededNumbers(1))
  const { store, log } = await openOn(disk)
  assert((await append(store, log)).ok)
  disk.fault = (operation, path) => (operation === 'write' && path.endsWith('.tmp') ? 'NO_SPACE' : undefined)
  await assert.rejects(store.close(), /did not stop cleanly: no room to note where orders-0 ends/)
  const again = await openOn(disk.crash())
  assert.deepEqual(await readAllValues(again.store, again.log), ['value'])
})

test('a log that cannot be put right after a failed write is offline, and others go on', async () => {
  const disk = new CrashDisk(seededNumbers(1))
  const store = await openTestStore({ disk })
  const log = await openTestLog(store, { partitionCount: 2 })
  const other = store.find({ ...log.id, partitionIndex: 1 })!
  disk.fault = (operation, path) => (path.startsWith('orders-0/') && operation !== 'read' ? 'IO' : undefined)
  assert.equal((await append(store, log)).ok, false)
  const next = await append(store, log)
  assert(!next.ok && next.code === 'LOG_OFFLINE')
  assert((await append(store, other)).ok)
})

for (let seed = 0; seed < 25; seed++) {
  test(`after a power cut every durably acknowledged record is there, and nothing behind a hole (seed ${seed})`, async () => {
    const random = seededNumbers(seed)
    const disk = new CrashDisk(random)
    const config = { segmentBytes: 600 }
    const { store, log } = await openOn(disk, config)
    const sent: string[] = []
    let durable = 0
    for (let step = 0; step < 12; step++) {
      const isDurable = random() < 0.3
      const values = Array.from({ length: 1 + Math.floor(random() * 3) }, (_, index) => `${seed}/${step}/${index}`)
      assert((await append(store, log, { batches: [testBatch({ values })], durable: isDurable })).ok)
      sent.push(...values)
      if (isDurable) durable = sent.length
    }
    const after = await openOn(disk.crash(), config)
    const survived = await readAllValues(after.store, after.log)
    assert.deepEqual(survived, sent.slice(0, survived.length))
    assert(survived.length >= durable, `${survived.length} of ${durable} durable records`)
    const next = await append(after.store, after.log, { batches: [testBatch({ values: ['next'] })] })
    assert(next.ok && next.baseOffset === BigInt(survived.length))
    assert.deepEqual(await readAllValues(after.store, after.log), [...survived, 'next'])
  })
}

test('a log that was cut at any byte of its last batch opens without that batch', async () => {
  const disk = testDisk()
  const store = await openTestStore({ disk })
  const log = await openTestLog(store)
  for (const values of [['a'], ['b', 'c'], ['last', 'batch']])
    await append(store, log, { batches: [testBatch({ values })] })
  const path = 'orders-0/00000000000000000000.log'
  const whole = await disk.readFile(path)
  const last = (await readAllBatches(store, log)).at(-1)!.bytes.length
  for (let sizeBytes = whole.length - last; sizeBytes < whole.length; sizeBytes++) {
    for (const rest of [new Uint8Array(0), new Uint8Array(whole.length - sizeBytes)]) {
      if (rest.length > 0 && whole.subarray(sizeBytes).every((byte) => byte === 0)) continue
      await disk.replaceFile(path, Buffer.concat([whole.subarray(0, sizeBytes), rest]))
      const losses: bigint[] = []
      const killed = await openTestStore({ disk, onLoss: (loss) => losses.push(loss.logEndOffset) })
      const its = await openTestLog(killed)
      assert.deepEqual(await readAllValues(killed, its), ['a', 'b', 'c'], `cut at ${sizeBytes}`)
      assert.equal(losses.length, sizeBytes === whole.length - last && rest.length === 0 ? 0 : 1)
      assert.equal((await disk.readFile(path)).length, whole.length - last)
    }
  }
})

test('a store knows whether its last stop was clean', async () => {
  const disk = testDisk()
  await disk.makeDirectory('__cluster_metadata-0')
  const first = await openTestStore({ disk })
  assert.equal(first.wasUnclean, false)
  await openTestLog(first)
  await first.close()
  const second = await openTestStore({ disk })
  assert.equal(second.wasUnclean, false)
  assert.equal((await openTestStore({ disk })).wasUnclean, true)
})
