import { strict as assert } from 'node:assert'
import { test } from 'node:test'
import { hasDeleteHorizon, isControl } from '../../protocol/records/batch.ts'
import { decodeRecords } from '../../protocol/records/record.ts'
import type { PartitionLog } from '../../storage/log.ts'
import { TailBudget } from '../../storage/tail-cache.ts'
import { clean, CompactedModel, readWholeLog, testCleaner } from '../support/cleaning.ts'
import { CrashDisk, seededNumbers } from '../support/crash-disk.ts'
import { openTestLog, openTestStore } from '../support/logs.ts'

const config = {
  cleanupPolicy: { compact: true, delete: false },
  minCleanableDirtyRatio: 0,
  segmentBytes: 900,
  indexIntervalBytes: 200,
  deleteRetentionMs: 1_000n,
}

for (let seed = 0; seed < 24; seed++) {
  const isMirror = seed % 3 === 2
  test(`a compacted log has the newest value of every key, whatever crashes (seed ${seed}${isMirror ? ', a mirror' : ''})`, async () => {
    const random = seededNumbers(seed)
    const model = new CompactedModel(random, { isMirror })
    // A map for some keys only, pieces of a few KiB, and no tail, in some of the runs.
    const bufferBytes = seed % 4 === 1 ? 24 * 8 : testCleaner.bufferBytes
    const cleaner = { ...testCleaner, bufferBytes, ioBufferBytes: seed % 3 === 0 ? 0 : 524_288 }
    const options = { cleaner, tailBudget: new TailBudget(seed % 2 === 0 ? 1 : 1_000_000) }
    let disk = new CrashDisk(random)
    let store = await openTestStore({ disk, ...options })
    let log = await openTestLog(store, { config, isMirror })
    let cleanings = 0
    for (let step = 0; step < 150; step++) {
      const what = random()
      model.nowMs += BigInt(Math.floor(random() * 300))
      if (what < 0.82) {
        await model.write(store, log)
      } else if (what < 0.95) {
        const report = await clean(store, { nowMs: model.nowMs })
        assert.deepEqual(report.failures, [])
        if (report.cleaned) cleanings += 1
        await model.check(store, log)
      } else {
        const isPowerCut = what > 0.98
        if (isPowerCut) assert((await store.flush()).ok)
        disk = isPowerCut ? disk.crash() : disk.kill()
        store = await openTestStore({ disk, ...options })
        log = await openTestLog(store, { config, isMirror })
        model.cutAt(store.view(log).logEndOffset)
        await model.check(store, log)
      }
    }
    assert(cleanings > 0, `${cleanings} cleanings`)
    await store.close()
  })
}

test('when all is decided and old, each key is there once, and nothing of what was deleted or aborted', async () => {
  const model = new CompactedModel(seededNumbers(99), { isMirror: false })
  const store = await openTestStore({ cleaner: testCleaner, tailBudget: new TailBudget(1) })
  const log = (await openTestLog(store, { config })) as PartitionLog
  for (let step = 0; step < 200; step++) await model.write(store, log)
  await model.endAll(store, log)
  for (let round = 0; round < 4; round++) {
    model.nowMs += 10_000n
    // Each round needs something dirty; the end of the log is never cleaned.
    const before = log.state.segments.length
    while (log.state.segments.length === before) await model.write(store, log)
    await model.endAll(store, log)
    assert.deepEqual((await clean(store, { nowMs: model.nowMs })).failures, [])
    await model.check(store, log)
  }
  const cleanedEnd = log.state.segments.at(-2)!.baseOffset
  const keys: string[] = []
  const [first] = log.state.segments
  for (const batch of await readWholeLog(store, log)) {
    if (batch.header.baseOffset >= cleanedEnd || batch.header.baseOffset >= first!.nextOffset) break
    if (isControl(batch.header)) assert(hasDeleteHorizon(batch.header) || batch.header.recordCount > 0)
    else for (const record of decodeRecords(batch)) keys.push(new TextDecoder().decode(record.key!))
  }
  assert(keys.length > 0)
  assert.equal(new Set(keys).size, keys.length, 'no key is there twice')
})
