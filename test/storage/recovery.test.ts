import { strict as assert } from 'node:assert'
import { test } from 'node:test'
import { crc32c } from '../../protocol/crc32c.ts'
import { lastOffsetOf, readBatchHeader } from '../../protocol/records/batch.ts'
import { buildEndTransactionMarker } from '../../protocol/records/control.ts'
import { decodeRecords } from '../../protocol/records/record.ts'
import { parseOffsets } from '../../storage/checkpoint-files.ts'
import type { Disk } from '../../storage/disk.ts'
import { decodeOffsetEntries } from '../../storage/index-files.ts'
import type { PartitionLog } from '../../storage/log.ts'
import type { LogHandle, LogStore } from '../../storage/log-store.ts'
import { TailBudget } from '../../storage/tail-cache.ts'
import { CrashDisk, seededNumbers } from '../support/crash-disk.ts'
import { cutEverywhere, seedsOf } from '../support/power-cuts.ts'
import {
  append,
  must,
  openTestLog,
  openTestStore,
  read,
  readAllBatches,
  readAllValues,
  testBatch,
  testDisk,
  testNowMs,
  testTopicId,
} from '../support/logs.ts'

/** In a batch. */
const crcAt = 17
const attributesAt = 21
const config = { segmentBytes: 900, indexIntervalBytes: 150 }
const link = { lease: 'link', fenceEpoch: 1n }

async function open(
  disk: Disk,
  topic: Parameters<typeof openTestLog>[1] = {},
): Promise<{ store: LogStore; log: LogHandle }> {
  const store = await openTestStore({ disk, tailBudget: new TailBudget(1), tailBytesPerLog: 1 })
  return { store, log: await openTestLog(store, { config, ...topic }) }
}

async function fill(store: LogStore, log: LogHandle, count: number): Promise<string[]> {
  const values: string[] = []
  const { logEndOffset } = store.view(log)
  for (let index = 0; index < count; index++) {
    const value = `${logEndOffset + BigInt(index)}`
    const timestampMs = testNowMs + BigInt((index * 37) % 50)
    const records = [{ key: 'key', value, timestampMs }]
    assert((await append(store, log, { batches: [testBatch({ records })] })).ok)
    values.push(value)
  }
  return values
}

/** Every offset and timestamp is found where a full scan finds it. */
async function checkLookUps(store: LogStore, log: LogHandle): Promise<void> {
  const batches = await readAllBatches(store, log)
  for (const batch of batches) {
    const result = await read(store, log, { offset: lastOffsetOf(batch.header), maxBytes: 1 })
    assert(result.ok)
    assert.equal(readBatchHeader(result.chunks[0]!).baseOffset, batch.header.baseOffset)
  }
  const records = batches.flatMap((batch) =>
    decodeRecords(batch).map(({ offset, timestampMs }) => ({ offset, timestampMs })),
  )
  for (let timestampMs = testNowMs - 1n; timestampMs <= testNowMs + 51n; timestampMs += 4n) {
    const found = await store.offsetForTime(log, timestampMs)
    assert(found.ok)
    assert.equal(found.found?.offset, records.find((record) => record.timestampMs >= timestampMs)?.offset)
  }
}

/** Counts what is read of the `.log` files. */
class CountingDisk extends CrashDisk {
  readBytes = 0

  override async open(path: string, options?: Parameters<Disk['open']>[1]) {
    const file = await super.open(path, options)
    if (!path.endsWith('.log')) return file
    const read = file.read.bind(file)
    file.read = async (position, length) => {
      const bytes = await read(position, length)
      this.readBytes += bytes.length
      return bytes
    }
    return file
  }
}

test('after a clean stop a log opens without reading its records, and knows all of it', async () => {
  const disk = new CountingDisk(seededNumbers(1))
  const first = await open(disk)
  const values = await fill(first.store, first.log, 40)
  const batches = [testBatch({ producerId: 7n, producerEpoch: 1, baseSequence: 0 })]
  for (const baseSequence of [0, 1, 2]) {
    batches[0] = testBatch({ producerId: 7n, producerEpoch: 1, baseSequence, values: ['sequenced'] })
    assert((await append(first.store, first.log, { batches })).ok)
  }
  const view = first.store.view(first.log)
  await first.store.close()
  disk.readBytes = 0
  const { store, log } = await open(disk)
  assert.equal(disk.readBytes, 0)
  assert.deepEqual(store.view(log), view)
  for (const baseSequence of [0, 2]) {
    const again = testBatch({ producerId: 7n, producerEpoch: 1, baseSequence, values: ['sequenced'] })
    const result = await append(store, log, { batches: [again] })
    assert(result.ok && result.duplicate, `sequence ${baseSequence} is known`)
  }
  assert.deepEqual(await readAllValues(store, log), [...values, 'sequenced', 'sequenced', 'sequenced'])
  await checkLookUps(store, log)
})

test('after a kill a log is read from its last note on, and not before', async () => {
  const disk = new CountingDisk(seededNumbers(1))
  const { store, log } = await open(disk, { config: { ...config, segmentBytes: 100_000 } })
  await fill(store, log, 300)
  await (log as PartitionLog).checkpoint.run()
  const notedBytes = store.sizeBytes(log)
  await fill(store, log, 5)
  const sizeBytes = store.sizeBytes(log)
  disk.readBytes = 0
  const again = await open(disk, { config: { ...config, segmentBytes: 100_000 } })
  assert.equal(disk.readBytes, sizeBytes - notedBytes)
  assert.equal(again.store.view(again.log).logEndOffset, 305n)
  await checkLookUps(again.store, again.log)
})

test('so many bytes are synced and noted in the background, however long nobody asks for it', async () => {
  const disk = testDisk()
  const store = await openTestStore({ disk, unsyncedLimitBytes: 20_000 })
  const log = (await openTestLog(store)) as PartitionLog
  for (let index = 0; index < 100; index++) {
    assert((await append(store, log, { batches: [testBatch({ valueBytes: 900 })] })).ok)
    const unnoted = log.state.highWatermark - (log.state.noted?.endOffset ?? 0n)
    assert(unnoted <= 22n, `${unnoted} batches of 1 kB are not noted`)
  }
  assert(log.state.noted!.endOffset > 70n)
})

const damages: Record<string, (bytes: Uint8Array, older: Uint8Array) => Uint8Array | undefined> = {
  'with zeros at the end': (bytes) => Buffer.concat([bytes, new Uint8Array(240)]),
  'whose last half is zeros': (bytes) =>
    Buffer.concat([bytes.subarray(0, bytes.length / 2), new Uint8Array(bytes.length / 2)]),
  'cut between entries': (bytes) => bytes.subarray(0, bytes.length - 24),
  'cut within an entry': (bytes) => bytes.subarray(0, bytes.length - 5),
  'that is empty': () => new Uint8Array(0),
  'of an earlier time': (_, older) => older,
  'that is there twice': (bytes) => Buffer.concat([bytes, bytes]),
  'with one wrong byte': (bytes) => bytes.map((byte, index) => (index === 13 ? byte ^ 1 : byte)),
  'that is missing': () => undefined,
}
for (const [what, damage] of Object.entries(damages)) {
  for (const how of ['clean', 'killed'] as const) {
    test(`an index ${what} is found out and made again from the log (${how})`, async () => {
      const disk = testDisk()
      const wide = { config: { ...config, segmentBytes: 4_000 } }
      const first = await open(disk, wide)
      await fill(first.store, first.log, 20)
      await (first.log as PartitionLog).checkpoint.run()
      const kinds = ['index', 'timeindex']
      const olders = new Map<string, Uint8Array>()
      for (const kind of kinds) olders.set(kind, await disk.readFile(`orders-0/${'0'.repeat(20)}.${kind}`))
      const values = await fill(first.store, first.log, 80)
      if (how === 'clean') await first.store.close()
      else await (first.log as PartitionLog).checkpoint.run()
      for (const { name } of await disk.list('orders-0')) {
        const kind = name.slice(21)
        if (!kinds.includes(kind)) continue
        const damaged = damage(await disk.readFile(`orders-0/${name}`), olders.get(kind)!)
        if (damaged) await disk.replaceFile(`orders-0/${name}`, damaged)
        else await disk.remove(`orders-0/${name}`)
      }
      const { store, log } = await open(disk, wide)
      assert.equal((await readAllValues(store, log)).length, 20 + values.length)
      await checkLookUps(store, log)
      await fill(store, log, 30)
      await store.close()
      const again = await open(disk, wide)
      await checkLookUps(again.store, again.log)
    })
  }
}

test('a segment that was cut while nobody looked is noticed when the log opens, and said', async () => {
  const disk = testDisk()
  const first = await open(disk)
  await fill(first.store, first.log, 40)
  await first.store.close()
  const [name] = (await disk.list('orders-0'))
    .map((entry) => entry.name)
    .filter((each) => each.endsWith('.log'))
    .slice(1)
  const bytes = await disk.readFile(`orders-0/${name}`)
  await disk.replaceFile(`orders-0/${name}`, bytes.subarray(0, bytes.length - 1))
  const losses: string[] = []
  const store = await openTestStore({ disk, onLoss: (loss) => losses.push(loss.label) })
  const log = await openTestLog(store, { config })
  assert.deepEqual(losses, ['orders-0'])
  const values = await readAllValues(store, log)
  assert.deepEqual(
    values,
    Array.from({ length: values.length }, (_, index) => `${index}`),
  )
  assert(values.length < 40)
})

test('a marker that cannot be read ends a log as a batch with a wrong checksum does', async () => {
  const disk = testDisk()
  const { store } = await open(disk, { isMirror: true })
  await store.close()
  const data = testBatch({ values: ['before'] }).bytes
  const marker = Buffer.from(
    buildEndTransactionMarker({
      producerId: 5n,
      producerEpoch: 0,
      coordinatorEpoch: 0,
      commit: true,
      timestampMs: testNowMs,
      leaderEpoch: 0,
      baseOffset: 1n,
    }),
  )
  marker[attributesAt + 1]! |= 7 // no compression has this number
  marker.writeUInt32BE(crc32c(marker.subarray(attributesAt)), crcAt)
  const damaged = await withoutNotes(disk)
  await damaged.replaceFile('orders-0/00000000000000000000.log', Buffer.concat([data, marker]))
  const losses: string[] = []
  const again = await openTestStore({ disk: damaged, onLoss: (loss) => losses.push(loss.label) })
  const log = await openTestLog(again, { config, isMirror: true })
  assert.deepEqual(losses, ['orders-0'])
  assert.deepEqual(await readAllValues(again, log), ['before'])
})

interface HistoryPromise {
  /** So many of the batches that were sent are durable. */
  durable: number
  readonly sent: string[]
  /** A truncation has begun. */
  isCut: boolean
}

/**
 * Appends over rolls, some of them synced, an aborted transaction, a truncation, a stop. Tells what it was promised.
 */
async function workload(disk: CrashDisk, promised: HistoryPromise): Promise<void> {
  const { store, log } = await open(disk, { isMirror: true })
  const put = async (batch: ReturnType<typeof testBatch>, value: string, durable: boolean) => {
    promised.sent.push(value)
    const mode = { kind: 'preserve', expectedLogEndOffset: batch.header.baseOffset } as const
    const result = await append(store, log, { batches: [batch], origin: 'mirror', mode, durable })
    assert(result.ok)
    if (durable) promised.durable = promised.sent.length
  }
  const data = (offset: number, durable: boolean, epoch = 0) =>
    put(
      testBatch({
        values: [`${offset}`],
        baseOffset: BigInt(offset),
        leaderEpoch: epoch,
        ...(offset % 3 === 0
          ? { producerId: 5n, producerEpoch: 0, baseSequence: offset / 3, isTransactional: true }
          : {}),
      }),
      `${epoch}/${offset}`,
      durable,
    )
  for (let offset = 0; offset < 14; offset++) await data(offset, offset % 5 === 4)
  const marker = buildEndTransactionMarker({
    producerId: 5n,
    producerEpoch: 0,
    coordinatorEpoch: 0,
    commit: false,
    timestampMs: testNowMs,
    leaderEpoch: 0,
    baseOffset: 14n,
  })
  await put({ bytes: marker, header: readBatchHeader(marker) }, '0/14', true)
  assert((await store.flush(log)).ok)
  for (let offset = 15; offset < 22; offset++) await data(offset, false)
  promised.isCut = true
  promised.durable = Math.min(promised.durable, 12)
  assert((await store.truncateTo(log, 12n, link)).ok)
  promised.sent.splice(12)
  for (let offset = 12; offset < 20; offset++) await data(offset, offset === 18, 1)
  await store.close()
}

/** What is known of the producers and transactions of a log, and where its epochs begin. */
function knownOf(store: LogStore, log: LogHandle): unknown {
  const { producers, epochs } = (log as PartitionLog).state
  return [store.activeProducers(log), store.openTransactions(log), producers.aborted, epochs.entries]
}

for (const seed of seedsOf(1)) {
  test(`after a power cut at any disk call producers, transactions and epochs are those of a full replay (seed ${seed})`, async (t) => {
    const cuts = await cutEverywhere<HistoryPromise>(seed, {
      run: workload,
      promises: () => ({ durable: 0, sent: [], isCut: false }),
      reopen: (disk) => open(disk, { isMirror: true }),
      check: async (disk, promised) => {
        const { store, log } = await open(disk, { isMirror: true })
        const batches = await readAllBatches(store, log)
        const survived = batches.map(({ header }) => `${header.partitionLeaderEpoch}/${header.baseOffset}`)
        const isBefore = survived.some((value, index) => value !== promised.sent[index])
        if (isBefore) {
          // The truncation was under way: what it had not cut yet is of the first history.
          assert(promised.isCut && promised.sent.length <= 22, survived.join())
          assert.deepEqual(
            survived,
            Array.from({ length: survived.length }, (_, offset) => `0/${offset}`),
          )
        }
        assert(survived.length >= promised.durable, `${survived.length} of ${promised.durable}`)
        const replayed = await open(await withoutNotes(disk), { isMirror: true })
        assert.deepEqual(knownOf(store, log), knownOf(replayed.store, replayed.log))
        await checkLookUps(store, log)
      },
    })
    t.diagnostic(`${cuts} cuts`)
  })
}

/** A copy of the folder that has nothing but the logs. */
async function withoutNotes(disk: Disk): Promise<Disk> {
  const copy = testDisk()
  await copy.makeDirectory('orders-0')
  for (const { name } of await disk.list('orders-0')) {
    if (/\.log$|partition|epoch/.test(name)) {
      await copy.replaceFile(`orders-0/${name}`, await disk.readFile(`orders-0/${name}`))
    }
  }
  return copy
}

test('segments that are not used are closed over the limit of open files, and opened again to be read', async () => {
  const disk = testDisk()
  const store = await openTestStore({ disk, maxOpenFiles: 3, tailBudget: new TailBudget(1), tailBytesPerLog: 1 })
  const log = (await openTestLog(store, { config })) as PartitionLog
  const values = await fill(store, log, 60)
  assert(log.state.segments.length > 3)
  assert.deepEqual(await readAllValues(store, log), values)
  await log.checkpoint.run()
  assert(log.state.files.openCount <= 3, `${log.state.files.openCount} are open`)
  await checkLookUps(store, log)
  await store.close()
})

test('an index that was damaged is made again with each entry once, also where its newest are not written yet', async () => {
  const disk = testDisk()
  const topic = { partitionCount: 2, config: { indexIntervalBytes: 150 } }
  const index = `orders-0/${'0'.repeat(20)}.index`
  const before = await openTestStore({ disk })
  await fill(before, await openTestLog(before, topic), 30)
  await before.close()
  const store = await openTestStore({ disk, maxOpenFiles: 1, tailBytesPerLog: 1 })
  const log = await openTestLog(store, topic)
  await fill(store, log, 10)
  // Another segment takes the place among the open files; the entries of these ten are in memory alone.
  await fill(store, await openTestLog(store, { ...topic, partitionIndex: 1 }), 1)
  await disk.replaceFile(index, new Uint8Array(8))
  await checkLookUps(store, log)
  await store.close()
  const entries = decodeOffsetEntries(await disk.readFile(index))
  assert(entries.length > 10)
  for (const [at, { relativeOffset, position }] of entries.entries()) {
    const previous = entries[at - 1] ?? { relativeOffset: -1, position: -1 }
    assert(relativeOffset > previous.relativeOffset && position > previous.position, JSON.stringify(entries))
  }
})

test('what a log notes while it is cut does not outlive the cut: a kill right after it loses nothing', async () => {
  const disk = new CrashDisk(seededNumbers(1))
  const { store, log } = await open(disk, { config: {} })
  const values = await fill(store, log, 20)
  const noting = (log as PartitionLog).checkpoint.run()
  await disk.nextTurn() // it has seen all twenty, and has not written what it will say of them
  must(await store.truncateTo(log, 5n, link))
  await noting
  values.splice(5)
  for (let index = 0; index < 30; index++) {
    const records = [{ key: 'another length', value: `other ${index}` }]
    must(await append(store, log, { batches: [testBatch({ records })] }))
    values.push(`other ${index}`)
  }
  const killed = await open(disk.kill(), { config: {} })
  assert.deepEqual(await readAllValues(killed.store, killed.log), values)
  await checkLookUps(killed.store, killed.log)
})

test('a recovery point on the disk never lies behind the end of a log that was cut, begun anew or created again', async () => {
  const disk = testDisk()
  const { store, log } = await open(disk)
  const onDisk = async () => {
    const all = parseOffsets(await disk.readFile('recovery-point-offset-checkpoint'))
    return all?.find(({ topicName }) => topicName === 'orders')?.offset ?? 0n
  }
  const fillDurably = async (its: LogHandle) => {
    await fill(store, its, 20)
    must(await store.flush(its))
    await store.housekeep(testNowMs)
    assert.equal(await onDisk(), store.view(its).logEndOffset)
  }
  await fillDurably(log)
  must(await store.truncateTo(log, 5n, link))
  assert.equal(await onDisk(), 5n)
  await fillDurably(log)
  must(await store.startAt(log, 3n, link))
  assert((await onDisk()) <= 3n)
  await fillDurably(log)
  must(await store.drop(log.id.topicId))
  await openTestLog(store, { topicId: testTopicId(2), config })
  assert.equal(await onDisk(), 0n)
})

test('a recovery point on the disk never lies behind the end that a damaged log is left with', async () => {
  const disk = new CrashDisk(seededNumbers(1))
  const first = await open(disk, { config: {} })
  await fill(first.store, first.log, 20)
  must(await first.store.flush(first.log))
  await first.store.housekeep(testNowMs)
  const killed = disk.kill()
  const path = `orders-0/${'0'.repeat(20)}.log`
  const bytes = await killed.readFile(path)
  await killed.replaceFile(path, bytes.subarray(0, bytes.length >> 1))
  const { store, log } = await open(killed, { config: {} })
  const { logEndOffset } = store.view(log)
  assert(logEndOffset > 5n && logEndOffset < 15n)
  const [entry] = parseOffsets(await killed.readFile('recovery-point-offset-checkpoint')) ?? []
  assert((entry?.offset ?? 0n) <= logEndOffset)
})

test('a deleted topic gives up its name at once, and its files after file.delete.delay.ms', async () => {
  const disk = testDisk()
  const { store, log } = await open(disk, { config: { ...config, fileDeleteDelayMs: 60_000n } })
  await fill(store, log, 3)
  assert((await store.drop(log.id.topicId)).ok)
  const deleted = async () => (await disk.list('')).filter((entry) => entry.name.endsWith('-delete')).length
  assert.deepEqual([await disk.exists('orders-0'), await deleted()], [false, 1])
  await store.housekeep(testNowMs)
  await store.housekeep(testNowMs + 59_999n)
  assert.equal(await deleted(), 1)
  await store.housekeep(testNowMs + 60_000n)
  assert.equal(await deleted(), 0)
})

test('the leader epoch that is told never goes back, also when the records of an epoch are lost', async () => {
  const disk = testDisk()
  const first = await open(disk, { isMirror: true })
  const epochs = [3, 7].map((leaderEpoch, offset) => testBatch({ baseOffset: BigInt(offset), leaderEpoch }))
  const mode = { kind: 'preserve', expectedLogEndOffset: 0n } as const
  assert((await append(first.store, first.log, { batches: epochs, origin: 'mirror', mode })).ok)
  assert((await first.store.flush(first.log)).ok)
  const path = `orders-0/${'0'.repeat(20)}.log`
  await disk.replaceFile(path, (await disk.readFile(path)).subarray(0, epochs[0]!.bytes.length + 5))
  const { store, log } = await open(disk, { isMirror: true })
  assert.deepEqual([store.view(log).logEndOffset, store.view(log).leaderEpoch], [1n, 7])
  assert.equal(store.epochAt(log, 0n), 3)
  const end = await store.endOffsetForEpoch(log, 7)
  assert(end.ok && end.leaderEpoch === -1, 'nothing is known of where the lost epoch began')
})
