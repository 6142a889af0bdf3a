/**
 * The promise of the log under the worst disk there is: a power cut at every disk call of a run, after which unsynced bytes are
 * there, torn or gone sector by sector, and unsynced names one by one.
 */
import { strict as assert } from 'node:assert'
import { test } from 'node:test'
import { seededRandom } from '../../src/environment/seeded-random.ts'
import { append, openTestLog, openTestStore, readAllValues, testBatch } from '../support/logs.ts'
import { PowerCutDisk } from '../support/power-cut-disk.ts'

const config = { segmentBytes: 900, indexIntervalBytes: 150 }
const padding = '.'.repeat(100)

/** What must be true of the log after the power is back. */
interface Promised {
  /** So many of the first values are durable. */
  synced: number
  /** What the log may hold a beginning of: one history, or two while a truncation is under way. */
  histories: string[][]
}

function must<R extends { readonly ok: boolean }>(result: R): R {
  if (result.ok) return result
  throw new Error(JSON.stringify(result))
}

/** Appends over several segments, syncs now and then, truncates once, and stops. */
async function run(disk: PowerCutDisk, promised: Promised): Promise<void> {
  const store = await openTestStore({ disk, unsyncedLimitBytes: 2_000 })
  const log = await openTestLog(store, { config })
  for (let round = 0; round < 18; round++) {
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
    if (round !== 10) continue
    const kept = values.slice(0, 7)
    promised.synced = Math.min(promised.synced, kept.length)
    promised.histories.push(kept)
    must(await store.truncateTo(log, BigInt(kept.length), { lease: 'test', fenceEpoch: 1n }))
    promised.histories = [kept]
  }
  await store.close()
}

async function check(disk: PowerCutDisk, { synced, histories }: Promised): Promise<void> {
  const store = await openTestStore({ disk })
  const log = await openTestLog(store, { config })
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

for (let seed = 1; seed <= Number(process.env['POWER_CUT_SEEDS'] ?? 8); seed++) {
  test(`a power cut at any disk call leaves a beginning of the log with all that was synced (seed ${seed})`, async () => {
    const whole = new PowerCutDisk(seededRandom(seed))
    await run(whole, { synced: 0, histories: [[]] })
    for (let call = 1; call <= whole.calls; call++) {
      const disk = new PowerCutDisk(seededRandom(seed * 1000 + call))
      disk.failAt(call)
      const promised: Promised = { synced: 0, histories: [[]] }
      await run(disk, promised).catch(() => undefined)
      try {
        await check(disk.afterPowerCut(), promised)
      } catch (error) {
        throw new Error(`seed ${seed}, power cut at call ${call} of ${whole.calls}`, { cause: error })
      }
    }
  })
}

test('the end of a segment is never lost from under the next one', async () => {
  for (let seed = 1; seed <= 400; seed++) {
    const disk = new PowerCutDisk(seededRandom(seed))
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
    await check(disk.afterPowerCut(), { synced: 2, histories: [values] })
  }
})
