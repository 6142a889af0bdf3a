/**
 * The promise of the log under the worst disk there is: a power cut at every disk call of a run loses at most what was
 * not synced, always a suffix, never a hole.
 */
import { strict as assert } from 'node:assert'
import { test } from 'node:test'
import type { PartitionLog } from '../../storage/log.ts'
import { append, must, openTestLog, openTestStore, readAllValues, testBatch } from '../support/logs.ts'
import { CrashDisk, seededNumbers } from '../support/crash-disk.ts'
import { cutEverywhere, seedsOf } from '../support/power-cuts.ts'

const config = { segmentBytes: 900, indexIntervalBytes: 150 }
const padding = '.'.repeat(100)

/** What must be true of the log after the power is back. */
interface Promised {
  /** So many of the first values are durable. */
  synced: number
  /** What the log may hold a beginning of: one history, or two while a truncation is under way. */
  histories: string[][]
}

/** Appends over several segments, syncs now and then, truncates once, over two of them, and stops. */
async function run(disk: CrashDisk, promised: Promised): Promise<void> {
  const store = await openTestStore({ disk, unsyncedLimitBytes: 2_000 })
  const log = await openTestLog(store, { config })
  for (let round = 0; round < 22; round++) {
    const values = promised.histories.at(-1)!
    const value = `round ${round}`
    values.push(value)
    const batches = [testBatch({ records: [{ key: 'k', value: `${value}${padding}` }] })]
    must(await append(store, log, { batches, durable: round === 6 }))
    if (round === 6) promised.synced = values.length
    if (round % 5 === 3) {
      must(await store.flush(log))
      promised.synced = values.length
    }
    if (round !== 14) continue
    const kept = values.slice(0, 3)
    promised.synced = Math.min(promised.synced, kept.length)
    promised.histories.push(kept)
    must(await store.truncateTo(log, BigInt(kept.length), { lease: 'test', fenceEpoch: 1n }))
    promised.histories = [kept]
  }
  await store.close()
}

async function reopen(disk: CrashDisk) {
  const store = await openTestStore({ disk })
  return { store, log: await openTestLog(store, { config }) }
}

async function check(disk: CrashDisk, { synced, histories }: Promised): Promise<void> {
  const { store, log } = await reopen(disk)
  const found = (await readAllValues(store, log)).map((value) => value.replace(padding, ''))
  const beginnings = histories.map((values) => values.slice(0, found.length))
  assert(
    beginnings.some((values) => values.join() === found.join()),
    `found ${found.join()}, expected a beginning of ${histories.map((values) => values.join()).join(' or ')}`,
  )
  assert(found.length >= synced, `found ${found.length} records, ${synced} were synced`)
  assert((await append(store, log)).ok, 'it goes on')
  await store.close()
}

const promises = (): Promised => ({ synced: 0, histories: [[]] })

for (const seed of seedsOf(2)) {
  test(`a power cut at any disk call leaves a beginning of the log with all that was synced (seed ${seed})`, async (t) => {
    const cuts = await cutEverywhere(seed, { run, promises, reopen, check })
    t.diagnostic(`${cuts} cuts`)
  })
}

/** A store that was started with --durable. */
async function runDurably(disk: CrashDisk, promised: Promised): Promise<void> {
  const store = await openTestStore({ disk, durable: true })
  const log = await openTestLog(store, { config })
  for (let round = 0; round < 12; round += 3) {
    const sending = [0, 1, 2].map((more) => {
      const value = `round ${round + more}`
      promised.histories[0]!.push(value)
      return append(store, log, { batches: [testBatch({ records: [{ key: 'k', value: `${value}${padding}` }] })] })
    })
    for (const result of await Promise.all(sending)) if (result.ok) promised.synced = Number(result.lastOffset) + 1
  }
}

for (const seed of seedsOf(1)) {
  test(`with --durable a power cut at any disk call loses nothing that was acknowledged (seed ${seed})`, async (t) => {
    const cuts = await cutEverywhere(seed, { run: runDurably, promises, reopen, check })
    t.diagnostic(`${cuts} cuts`)
  })
}

for (const seed of seedsOf(1)) {
  test(`after kill -9 at any disk call all that was found is durable with what is synced next (seed ${seed})`, async () => {
    for (let call = 1; ; call++) {
      const disk = new CrashDisk(seededNumbers(seed * 1_000 + call))
      disk.failAt(call)
      const isOver = await run(disk, promises()).then(
        () => disk.callCount < call,
        () => false,
      )
      const next = disk.kill()
      const { store, log } = await reopen(next)
      const values = await readAllValues(store, log)
      must(await append(store, log, { durable: true }))
      const last = await reopen(next.crash())
      assert.deepEqual(await readAllValues(last.store, last.log), [...values, 'value'], `call ${call}`)
      if (isOver) break
    }
  })
}

test('the name of a segment that was begun before kill -9 is durable with what is synced to it', async () => {
  const disk = new CrashDisk(() => 0)
  const one = { config: { segmentBytes: 150 } }
  const store = await openTestStore({ disk })
  const log = (await openTestLog(store, one)) as PartitionLog
  must(await append(store, log))
  await log.checkpoint.run()
  disk.fault = (operation, path) => (operation === 'write' && path.endsWith('1.log') ? 'IO' : undefined)
  const failing = append(store, log, { batches: [testBatch({ valueBytes: 100 })] })
  while (!disk.paths.includes('orders-0/00000000000000000001.log'))
    await new Promise((resolve) => setImmediate(resolve))
  const next = disk.kill()
  await failing
  const again = await openTestStore({ disk: next })
  must(await append(again, await openTestLog(again, one), { durable: true }))
  const last = await openTestStore({ disk: next.crash() })
  assert.deepEqual(await readAllValues(last, await openTestLog(last, one)), ['value', 'value'])
})

test('the end of a segment is never lost from under the next one', async () => {
  for (let seed = 1; seed <= 100; seed++) {
    const disk = new CrashDisk(seededNumbers(seed))
    const store = await openTestStore({ disk })
    const log = await openTestLog(store, { config: { segmentBytes: 250 } })
    const values: string[] = []
    const produce = async (count: number): Promise<void> => {
      for (let at = 0; at < count; at++) {
        values.push(`${values.length}`)
        const batches = [testBatch({ records: [{ key: null, value: values.at(-1)! }] })]
        must(await append(store, log, { batches }))
      }
    }
    await produce(2)
    must(await store.flush(log))
    await produce(2 + (seed % 4)) // one of these is the first of the next segment
    disk.failAt(1)
    await check(disk.crash(), { synced: 2, histories: [values] })
  }
})
