import { strict as assert } from 'node:assert'
import { test } from 'node:test'
import { lastOffsetOf } from '../../protocol/records/batch.ts'
import { cleanableOf, mustClean } from '../../storage/cleaner.ts'
import type { PartitionLog } from '../../storage/log.ts'
import type { LogConfig, LogHandle, LogStore } from '../../storage/log-store.ts'
import { TailBudget } from '../../storage/tail-cache.ts'
import { clean, CompactedModel, readWholeLog, testCleaner } from '../support/cleaning.ts'
import { CrashDisk, seededNumbers } from '../support/crash-disk.ts'
import {
  append,
  mirror,
  openTestLog,
  openTestStore,
  readAllValues,
  testBatch,
  testDisk,
  testLogConfig,
  testNowMs,
  type OpenTestStoreOptions,
} from '../support/logs.ts'
import { cutEverywhere, seedsOf } from '../support/power-cuts.ts'

const compact: Partial<LogConfig> = {
  cleanupPolicy: { compact: true, delete: false },
  minCleanableDirtyRatio: 0,
  segmentBytes: 300,
  deleteRetentionMs: 1_000n,
}

async function openLog(
  config: Partial<LogConfig> = {},
  options: OpenTestStoreOptions = {},
): Promise<{ store: LogStore; log: PartitionLog }> {
  const store = await openTestStore({ cleaner: testCleaner, ...options })
  const log = (await openTestLog(store, { config: { ...compact, ...config } })) as PartitionLog
  return { store, log }
}

/** A batch for each value, all with the same key unless it is named (`key=value`). */
async function write(store: LogStore, log: PartitionLog, values: readonly string[], ageMs = 0n): Promise<void> {
  for (const text of values) {
    const [key = '', value = ''] = text.includes('=') ? text.split('=') : ['key', text]
    const batch = testBatch({ records: [{ key, value }], baseTimestampMs: testNowMs - ageMs })
    assert((await append(store, log, { batches: [batch] })).ok)
  }
}

const numbered = (count: number): string[] => Array.from({ length: count }, (_, index) => `v${index}`)

test('a cleaning leaves the newest value of a key in what is sealed, and all of the active segment', async () => {
  const { store, log } = await openLog()
  await write(store, log, numbered(12))
  const { segments } = log.state
  const active = segments.at(-1)!.baseOffset
  store.configure(log.id.topicId, testLogConfig({ ...compact, segmentBytes: 1_000 }))
  const { cleaned } = await clean(store)
  assert(cleaned && cleaned.bytesAfter < cleaned.bytesBefore)
  const expected = numbered(12).slice(Number(active) - 1)
  assert.deepEqual(await readAllValues(store, log), expected)
  assert.equal(log.state.segments[0]!.baseOffset, 0n)
  assert(log.state.segments.length < segments.length, 'small segments became one')
  assert.deepEqual((await clean(store)).cleaned, undefined, 'nothing is dirty any more')
})

test('bytes that were cleaned away are not in the tail either', async () => {
  const { store, log } = await openLog({}, { tailBudget: new TailBudget(10_000_000) })
  await write(store, log, numbered(12))
  await clean(store)
  const [first] = await readWholeLog(store, log)
  assert(first!.header.baseOffset > 0n)
})

test('a log is cleaned when more of it is dirty than min.cleanable.dirty.ratio, the dirtiest first', async () => {
  const { store, log } = await openLog({ minCleanableDirtyRatio: 0.6 })
  const other = (await openTestLog(store, {
    name: 'other',
    topicId: 'AAAAAAAAAAAAAAAAA0002A',
    config: { ...compact, minCleanableDirtyRatio: 0.6 },
  })) as PartitionLog
  const unique = (from: number, count: number): string[] =>
    Array.from({ length: count }, (_, index) => `${from + index}=value`)
  await write(store, log, unique(0, 24))
  assert.equal((await clean(store)).cleaned?.label, 'orders-0')
  await write(store, log, unique(24, 8))
  assert.equal((await clean(store)).cleaned, undefined)
  await write(store, log, unique(32, 60))
  await write(store, other, unique(0, 12))
  assert.equal((await clean(store)).cleaned?.label, 'other-0', 'all of it is dirty')
  assert.equal((await clean(store)).cleaned?.label, 'orders-0')
})

test('what is younger than min.compaction.lag.ms is not cleaned, nor what follows it', async () => {
  const { store, log } = await openLog({ minCompactionLagMs: 1_000n })
  await write(store, log, numbered(6), 2_000n)
  await write(store, log, numbered(6), 500n)
  await write(store, log, numbered(6), 2_000n)
  const young = log.state.segments.find((segment) => segment.maxTimestampMs > testNowMs - 1_000n)!
  assert.equal(cleanableOf(log.state, 0n, testNowMs).firstUncleanableOffset, young.baseOffset)
  await clean(store)
  const [first] = await readWholeLog(store, log)
  assert.equal(lastOffsetOf(first!.header), young.baseOffset - 1n)
})

test('a log with records older than max.compaction.lag.ms is cleaned, however little of it is dirty', async () => {
  const { store, log } = await openLog({ minCleanableDirtyRatio: 1, maxCompactionLagMs: 1_000n })
  await write(store, log, numbered(8), 900n)
  assert(!mustClean(log.state, cleanableOf(log.state, 0n, testNowMs)))
  assert(mustClean(log.state, cleanableOf(log.state, 0n, testNowMs + 101n)))
  assert((await clean(store, { nowMs: testNowMs + 101n })).cleaned)
})

test('a compacted log rolls in time for its max.compaction.lag.ms', async () => {
  for (const isCompact of [true, false]) {
    const { store, log } = await openLog({
      segmentBytes: 1_000_000,
      maxCompactionLagMs: 1_000n,
      cleanupPolicy: { compact: isCompact, delete: false },
    })
    await write(store, log, ['first'], 2_000n)
    await write(store, log, ['second'])
    assert.equal(log.state.segments.length, isCompact ? 2 : 1)
  }
})

test('only compacted logs are cleaned', async () => {
  const { store, log } = await openLog({ cleanupPolicy: { compact: false, delete: true } })
  await write(store, log, numbered(12))
  assert.deepEqual(await clean(store), { failures: [] })
})

test("where a cleaning ended is kept in a file of Kafka's format, which goes before the log is cut below it", async () => {
  const disk = testDisk()
  const { store, log } = await openLog({}, { disk })
  await write(store, log, numbered(12))
  const end = log.state.activeSegment.baseOffset
  await clean(store)
  const lines = async (): Promise<string> => new TextDecoder().decode(await disk.readFile('cleaner-offset-checkpoint'))
  assert.equal(await lines(), `0\n1\norders 0 ${end}\n`)

  const again = await openLog({}, { disk })
  assert.equal((await clean(again.store)).cleaned, undefined, 'it is known to be clean')
  const fence = { lease: 'link', fenceEpoch: 1n }
  assert((await again.store.truncateTo(again.log, end, fence)).ok)
  assert.equal(await lines(), `0\n1\norders 0 ${end}\n`)
  assert((await again.store.truncateTo(again.log, end - 1n, fence)).ok)
  assert.equal(await lines(), '0\n0\n')
})

test('a line that could not be taken away for lack of room goes before the log is cut after all', async () => {
  const disk = new CrashDisk(seededNumbers(1))
  const { store, log } = await openLog({}, { disk })
  await write(store, log, numbered(12))
  await clean(store)
  const lines = async (): Promise<string> => Buffer.from(await disk.readFile('cleaner-offset-checkpoint')).toString()
  const before = await lines()
  disk.capacityBytes = 0
  const fence = { lease: 'link', fenceEpoch: 1n }
  const refused = await store.truncateTo(log, 5n, fence)
  assert(!refused.ok && refused.code === 'NO_SPACE')
  assert.equal(await lines(), before)
  disk.capacityBytes = Infinity
  assert((await store.truncateTo(log, 5n, fence)).ok)
  assert.equal(await lines(), '0\n0\n')
})

test('a topic that is created again under its name begins dirty', async () => {
  const disk = testDisk()
  const { store, log } = await openLog({}, { disk })
  await write(store, log, numbered(12))
  await clean(store)
  assert((await store.drop(log.id.topicId)).ok)
  assert.equal(new TextDecoder().decode(await disk.readFile('cleaner-offset-checkpoint')), '0\n0\n')
})

test('a batch whose CRC does not hold ends the cleaning for good and stays as it is', async () => {
  const disk = testDisk()
  const { store, log } = await openLog({}, { disk, tailBudget: new TailBudget(1) })
  await write(store, log, numbered(12))
  const path = 'orders-0/00000000000000000000.log'
  const bytes = await disk.readFile(path)
  const file = await disk.open(path)
  await file.write(70, [Uint8Array.of(bytes[70]! ^ 1)])
  const { cleaned, failures } = await clean(store)
  assert.equal(cleaned, undefined)
  assert.deepEqual(
    failures.map(({ label, code, isFinal }) => ({ label, code, isFinal })),
    [{ label: 'orders-0', code: 'CORRUPT_BATCH', isFinal: true }],
  )
  assert.deepEqual(await clean(store), { failures: [] })
  assert.equal((await disk.readFile(path))[70], bytes[70]! ^ 1)
  assert.deepEqual(
    (await disk.list('orders-0')).filter((entry) => entry.name.includes('.cleaned')),
    [],
  )
})

test('with compact,delete a log is compacted, and its old segments go', async () => {
  const { store, log } = await openLog({ cleanupPolicy: { compact: true, delete: true }, retentionMs: 5_000n })
  await write(
    store,
    log,
    numbered(12).map((value, index) => `${index}=${value}`),
    10_000n,
  )
  await write(store, log, numbered(6))
  assert((await clean(store)).cleaned)
  assert((await store.housekeep(testNowMs)).deletedSegments > 0)
  assert(store.view(log).logStartOffset > 0n)
  assert.equal((await readAllValues(store, log)).at(-1), 'v5')
})

for (const what of ['truncation', 'deletion', 'stop', 'new log start'] as const) {
  test(`a cleaning that a ${what} overtakes ends, and the log is as that left it`, async () => {
    for (let turns = 0; turns < 48; turns += 2) {
      const { store, log } = await openLog()
      await write(
        store,
        log,
        numbered(16).map((value, index) => `${index % 10}=${value}`),
      )
      const stop = new AbortController()
      const cleaning = clean(store, { signal: stop.signal })
      for (let turn = 0; turn < turns; turn++) await new Promise((resolve) => setImmediate(resolve))
      if (what === 'truncation') assert((await store.truncateTo(log, 6n, { lease: 'link', fenceEpoch: 1n })).ok)
      if (what === 'deletion') assert((await store.drop(log.id.topicId)).ok)
      if (what === 'new log start') assert((await store.deleteBefore(log, 9n)).ok)
      if (what === 'stop') stop.abort()
      const { segments } = log.state
      const { failures } = await cleaning
      assert(failures.every(({ isFinal }) => !isFinal))
      if (what !== 'stop') assert.equal(log.state.segments, segments, 'nothing is replaced any more')
      if (what === 'deletion') continue
      // Offsets 0 and 1 are superseded: the cleaning had come far enough or not.
      const all = numbered(16).slice(...(what === 'truncation' ? [0, 6] : what === 'new log start' ? [9] : []))
      const kept = (await readAllValues(store, log)).filter((value) => !['v0', 'v1'].includes(value))
      assert.deepEqual(
        kept,
        all.filter((value) => !['v0', 'v1'].includes(value)),
        `after ${turns} turns`,
      )
      assert.equal(log.state.status, 'online', log.state.offlineReason)
      await write(store, log, ['later'])
      assert.deepEqual((await clean(store)).failures, [])
    }
  })
}

test('what supersedes a record is durable before the record goes', async () => {
  const disk = new CrashDisk(() => 0) // a power cut leaves nothing that was not synced
  const options = { tailBudget: new TailBudget(1) }
  const { store, log } = await openLog({}, { disk, ...options })
  await write(store, log, ['key=old', '1=x', '2=x', '3=x'])
  assert((await store.flush()).ok)
  // In a segment of its own, that loses nothing and is not written anew.
  await write(store, log, ['key=new', '4=x', '5=x', '6=x', '7=x'])
  assert((await clean(store)).cleaned)
  const after = await openLog({}, { disk: disk.crash(), ...options })
  const values = await readAllValues(after.store, after.log)
  assert(values.includes('new') || values.includes('old'), values.join())
})

test('a full disk ends a cleaning; the log goes on, and is cleaned once there is room', async () => {
  const disk = new CrashDisk(seededNumbers(1))
  const { store, log } = await openLog({}, { disk })
  await write(store, log, numbered(12))
  disk.fault = (operation, path) => (operation === 'write' && path.endsWith('.cleaned') ? 'NO_SPACE' : undefined)
  const { failures } = await clean(store)
  assert.deepEqual(
    failures.map(({ code, isFinal }) => ({ code, isFinal })),
    [{ code: 'NO_SPACE', isFinal: false }],
  )
  await write(store, log, ['later'])
  disk.fault = () => undefined
  assert((await clean(store)).cleaned)
  assert.equal((await readAllValues(store, log)).at(-1), 'later')
})

interface CleaningPromise {
  readonly model: CompactedModel
  store?: LogStore
  log?: PartitionLog
  syncedEnd: bigint
}

for (const seed of seedsOf(1)) {
  test(`a power cut at any disk call of a cleaning loses nothing that was synced, and leaves no file behind (seed ${seed})`, async (t) => {
    let [before, after] = [0, 0]
    const options = { cleaner: testCleaner, tailBudget: new TailBudget(1) }
    const topic = { config: { ...compact, segmentBytes: 500 } }
    const open = async (disk: CrashDisk) => {
      const store = await openTestStore({ disk, ...options })
      return { store, log: (await openTestLog(store, topic)) as PartitionLog }
    }
    const cuts = await cutEverywhere<CleaningPromise>(seed, {
      promises: () => ({ model: new CompactedModel(seededNumbers(seed), { isMirror: false }), syncedEnd: 0n }),
      prepare: async (disk, promised) => {
        const { store, log } = Object.assign(promised, await open(disk))
        for (let step = 0; step < 12; step++) await promised.model.write(store, log)
        await promised.model.endAll(store, log)
        if (seed % 2 === 0) await log.checkpoint.run()
        assert((await store.flush()).ok)
        promised.syncedEnd = store.view(log).logEndOffset
        // Not synced: what supersedes synced records may be lost, and these must be there then.
        for (let step = 0; step < 4; step++) await promised.model.write(store, log)
      },
      run: async (_, { model, store, log }) => {
        for (let round = 0; round < (seed === 1 ? 1 : 2); round++) {
          assert((await clean(store!, { nowMs: model.nowMs })).cleaned)
          const { length } = log!.state.segments
          while (log!.state.segments.length === length) await model.write(store!, log!)
          await model.endAll(store!, log!)
        }
        await log!.checkpoint.run()
      },
      reopen: open,
      check: async (disk, { model, syncedEnd }) => {
        const { store, log } = await open(disk)
        assert(store.view(log).logEndOffset >= syncedEnd)
        model.cutAt(store.view(log).logEndOffset)
        await model.check(store, log)
        const names = (await disk.list('orders-0')).map((entry) => entry.name)
        assert.deepEqual(
          names.filter((name) => /\.(?:cleaned|swap|deleted|replaces)$/.test(name)),
          [],
        )
        if ((await clean(store, { nowMs: model.nowMs })).cleaned) before += 1
        else after += 1
        await model.check(store, log)
      },
    })
    assert(before > 10, `${before} cuts left something to clean, ${after} nothing`)
    t.diagnostic(`${cuts} cuts`)
  })
}

test('the history of leader epochs stays what it was, also after a restart, when their first records are gone', async () => {
  const disk = testDisk()
  const options = { disk, cleaner: testCleaner, tailBudget: new TailBudget(1) }
  const store = await openTestStore(options)
  const log = await openTestLog(store, { isMirror: true, config: compact })
  for (let offset = 0; offset < 16; offset++) {
    const place = { baseOffset: BigInt(offset), leaderEpoch: Math.floor(offset / 3) }
    assert((await mirror(store, log, [testBatch({ ...place, records: [{ key: 'key', value: `v${offset}` }] })])).ok)
  }
  const endsOf = async (of: LogStore, its: LogHandle): Promise<unknown[]> =>
    Promise.all([0, 1, 2, 3, 4].map((leaderEpoch) => of.endOffsetForEpoch(its, leaderEpoch)))
  const before = await endsOf(store, log)
  assert((await clean(store)).cleaned)
  assert.deepEqual(await endsOf(store, log), before)
  assert((await store.flush()).ok)
  const again = await openTestStore(options)
  assert.deepEqual(await endsOf(again, await openTestLog(again, { isMirror: true, config: compact })), before)
  await again.close()
  const clean2 = await openTestStore(options)
  assert.deepEqual(await endsOf(clean2, await openTestLog(clean2, { isMirror: true, config: compact })), before)
})

test('the memory of the offset map is told while a log is cleaned, and given back also where the cleaning fails', async () => {
  const grown: number[] = []
  const used = () => grown.reduce((sum, bytes) => sum + bytes, 0)
  const cleaner = { ...testCleaner, bufferBytes: 24 * 1000, onMemory: (bytes: number) => void grown.push(bytes) }
  const { store, log } = await openLog({}, { cleaner })
  await write(store, log, numbered(12))
  assert((await clean(store)).cleaned)
  const [taken, back] = grown
  assert(taken && taken > 0 && taken < 24 * 100, 'no more than the log can need')
  assert.deepEqual([back, used()], [-taken, 0])
  await write(store, log, numbered(12))
  const stopping = new AbortController()
  const pace = () => Promise.resolve()
  const report = clean(store, { signal: stopping.signal, pace })
  stopping.abort()
  assert.equal((await report).cleaned, undefined)
  assert.equal(used(), 0)
})
