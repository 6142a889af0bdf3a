import { strict as assert } from 'node:assert'
import { test } from 'node:test'
import { lastOffsetOf, type BatchRef } from '../../protocol/records/batch.ts'
import { decodeRecords } from '../../protocol/records/record.ts'
import { splitBatches } from '../../protocol/records/batch.ts'
import { TailBudget } from '../../storage/tail-cache.ts'
import { mirror, openTestLog, openTestStore, read, readAllBatches, testBatch, testDisk } from '../support/logs.ts'
import { seededNumbers } from '../support/crash-disk.ts'

const config = { segmentBytes: 1500, indexIntervalBytes: 300 }

/** Random batches with gaps, several records and times in any order. */
function randomBatches(random: () => number, count: number): BatchRef[] {
  const batches: BatchRef[] = []
  let baseOffset = 0n
  let leaderEpoch = 0
  for (let index = 0; index < count; index++) {
    if (random() < 0.2) baseOffset += BigInt(Math.floor(random() * 20))
    if (random() < 0.1) leaderEpoch += 1 + Math.floor(random() * 3)
    const records = Array.from({ length: 1 + Math.floor(random() * 4) }, () => ({
      key: 'k',
      value: new Uint8Array(Math.floor(random() * 120)),
      timestampMs: BigInt(Math.floor(random() * 40)),
    }))
    const batch = testBatch({ records, baseOffset, leaderEpoch, compression: random() < 0.3 ? 'gzip' : 'none' })
    batches.push(batch)
    baseOffset = lastOffsetOf(batch.header) + 1n
  }
  return batches
}

for (let seed = 0; seed < 12; seed++) {
  test(`every read and look-up of a random log equals a full scan (seed ${seed})`, async () => {
    const random = seededNumbers(seed)
    const batches = randomBatches(random, 40)
    const disk = testDisk()
    const options = { disk, tailBudget: new TailBudget(seed % 3 === 0 ? 1 : 1_000_000) }
    let store = await openTestStore(options)
    let log = await openTestLog(store, { isMirror: true, config })
    for (let from = 0; from < batches.length; from += 8) {
      assert((await mirror(store, log, batches.slice(from, from + 8))).ok)
    }
    if (seed % 2 === 0) {
      store = await openTestStore(options)
      log = await openTestLog(store, { isMirror: true, config })
    }
    const end = store.view(log).highWatermark
    const start = BigInt(Math.floor(random() * Number(end)))
    assert((await store.deleteBefore(log, start)).ok)
    const records = batches.flatMap((batch) => decodeRecords(batch)).filter((record) => record.offset >= start)

    for (let offset = start; offset <= end; offset++) {
      const maxBytes = 1 + Math.floor(random() * 900)
      const result = await read(store, log, { offset, maxBytes })
      assert(result.ok)
      const got = result.chunks.flatMap((chunk) => splitBatches(chunk))
      const first = batches.findIndex((batch) => lastOffsetOf(batch.header) >= offset)
      if (first < 0) {
        assert.deepEqual(got, [])
        continue
      }
      let sizeBytes = batches[first]!.bytes.length
      let until = first + 1
      while (until < batches.length && sizeBytes + batches[until]!.bytes.length <= maxBytes) {
        sizeBytes += batches[until]!.bytes.length
        until += 1
      }
      const expected = batches.slice(first, until).map((batch) => Buffer.from(batch.bytes).toString('hex'))
      assert.deepEqual(
        got.map((batch) => Buffer.from(batch.bytes).toString('hex')),
        expected,
        `offset ${offset} with ${maxBytes} bytes`,
      )
    }

    for (let time = -1n; time <= 41n; time++) {
      const found = await store.offsetForTime(log, time)
      assert(found.ok)
      assert.equal(found.found?.offset, records.find((record) => record.timestampMs >= time)?.offset, `time ${time}`)
    }
    const largest = records.reduce((max, record) => (record.timestampMs > max ? record.timestampMs : max), -1n)
    const found = await store.maxTimestamp(log)
    assert(found.ok)
    assert.equal(found.found?.offset, records.find((record) => record.timestampMs === largest)?.offset)
    await store.close()
  })
}

test('offsets more than 2^31 from the base of a segment begin a new one, and are found again', async () => {
  const disk = testDisk()
  const store = await openTestStore({ disk })
  const log = await openTestLog(store, { isMirror: true })
  const offsets = [0n, 2n ** 31n - 1n, 2n ** 31n, 2n ** 33n, 2n ** 62n]
  const batches = offsets.map((baseOffset) => testBatch({ baseOffset, leaderEpoch: 0 }))
  assert((await mirror(store, log, batches)).ok)
  const names = (await disk.list('orders-0')).map((entry) => entry.name).filter((name) => name.endsWith('.log'))
  assert.deepEqual(
    names.map((name) => BigInt(name.slice(0, 20))),
    [0n, 2n ** 31n, 2n ** 33n, 2n ** 62n],
  )
  const killed = await openTestStore({ disk })
  const again = await openTestLog(killed, { isMirror: true })
  for (const offset of offsets) {
    assert.equal((await readAllBatches(killed, again, offset))[0]!.header.baseOffset, offset)
  }
})

test('a cold read that a truncation overtakes never shows bytes of two histories', async () => {
  for (let turns = 0; turns < 6; turns++) {
    const store = await openTestStore({ tailBudget: new TailBudget(1), tailBytesPerLog: 1 })
    const log = await openTestLog(store, { isMirror: true })
    const old = Array.from({ length: 6 }, (_, index) =>
      testBatch({ baseOffset: BigInt(index), leaderEpoch: 1, values: ['old'] }),
    )
    assert((await mirror(store, log, old)).ok)
    const reading = read(store, log, { offset: 0n })
    for (let turn = 0; turn < turns; turn++) await new Promise((resolve) => setImmediate(resolve))
    assert((await store.truncateTo(log, 2n, { lease: 'link', fenceEpoch: 1n })).ok)
    const next = Array.from({ length: 4 }, (_, index) =>
      testBatch({ baseOffset: BigInt(index + 2), leaderEpoch: 2, values: ['new'] }),
    )
    assert((await mirror(store, log, next)).ok)
    const result = await reading
    assert(result.ok)
    const epochs = result.chunks
      .flatMap((chunk) => splitBatches(chunk))
      .map((batch) => batch.header.partitionLeaderEpoch)
    assert(epochs.length <= 2 || new Set(epochs.slice(2)).size === 1, `epochs ${epochs.join()} after ${turns} turns`)
  }
})

test('a read that is under way when its topic is deleted ends with what it has or with UNKNOWN_LOG', async () => {
  const store = await openTestStore({ tailBudget: new TailBudget(1), tailBytesPerLog: 1 })
  const log = await openTestLog(store, { isMirror: true, config })
  assert((await mirror(store, log, randomBatches(seededNumbers(3), 30))).ok)
  const reading = Array.from({ length: 5 }, (_, index) => read(store, log, { offset: BigInt(index * 10) }))
  assert((await store.drop(log.id.topicId)).ok)
  for (const result of await Promise.all(reading)) assert(result.ok || result.code === 'UNKNOWN_LOG')
})
