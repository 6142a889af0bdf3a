/** Disks that are full, broken, read-only or changed by others: one partition suffers, says why, and harms no other. */
import { strict as assert } from 'node:assert'
import { mkdtemp, rm, truncate } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { test, type TestContext } from 'node:test'
import type { DiskErrorCode } from '../../storage/disk.ts'
import type { AppendResult, LogHandle, LogStore, Result } from '../../storage/log-store.ts'
import { NodeDisk } from '../../storage/node-disk.ts'
import { CrashDisk, seededNumbers } from '../support/crash-disk.ts'
import {
  append,
  mirror,
  openTestLog,
  openTestStore,
  readAllValues,
  testBatch,
  testNowMs,
  testTopic,
  testTopicId,
} from '../support/logs.ts'

interface Opened {
  readonly store: LogStore
  /** Two partitions of one topic. */
  readonly log: LogHandle
  readonly other: LogHandle
  /** What the store said of logs that went offline. */
  readonly offline: { readonly label: string; readonly reason: string }[]
}

const config = { segmentBytes: 400 }
const file = (baseOffset: number) => `orders-0/${String(baseOffset).padStart(20, '0')}.log`

/** Tails are small, so that reads of what is old go to the disk. */
async function openOn(disk: CrashDisk | NodeDisk): Promise<Opened> {
  const offline: Opened['offline'] = []
  const store = await openTestStore({ disk, tailBytesPerLog: 200, onOffline: (what) => offline.push(what) })
  const log = await openTestLog(store, { partitionCount: 2, config })
  const other = store.find({ ...log.id, partitionIndex: 1 })!
  return { store, log, other, offline }
}

async function appendValues(store: LogStore, log: LogHandle, values: readonly string[]): Promise<void> {
  for (const value of values) {
    const result = await append(store, log, { batches: [testBatch({ values: [value.padEnd(150, '.')] })] })
    assert(result.ok, result.ok ? '' : result.message)
  }
}

async function valuesOf(store: LogStore, log: LogHandle): Promise<string[]> {
  return (await readAllValues(store, log)).map((value) => value.replace(/\.*$/, ''))
}

async function assertOffline(store: LogStore, log: LogHandle, reason: RegExp): Promise<void> {
  const appended = await append(store, log)
  assert(!appended.ok && appended.code === 'LOG_OFFLINE')
  assert.match(appended.message, reason)
  const [read] = await store.read([{ log, offset: 0n, maxBytes: 100, isolation: 'uncommitted' }], {
    maxBytes: 100,
    minOneBatch: true,
  })
  assert(!read!.ok && read!.code === 'LOG_OFFLINE')
}

for (const [code, appended] of [
  ['NO_SPACE', 'NO_SPACE'],
  ['IO', 'STORAGE_FAILED'],
  ['READ_ONLY', 'STORAGE_FAILED'],
  ['DENIED', 'STORAGE_FAILED'],
] as const) {
  test(`while writes of one partition fail with ${code} it refuses appends and is read, others take appends, and it goes on by itself afterwards`, async () => {
    const disk = new CrashDisk(seededNumbers(1))
    const { store, log, other, offline } = await openOn(disk)
    await appendValues(store, log, ['a', 'b'])
    disk.tornShare = 0.5
    disk.fault = (operation, path) => (path.startsWith('orders-0/') && operation === 'write' ? code : undefined)
    for (let attempt = 0; attempt < 3; attempt++) {
      const result = await append(store, log)
      assert(!result.ok && result.retriable)
      assert.equal(result.code, appended)
    }
    await appendValues(store, other, ['x'])
    assert.deepEqual(await valuesOf(store, log), ['a', 'b'])
    disk.fault = () => undefined
    await appendValues(store, log, ['c', 'd', 'e'])
    assert.deepEqual(await valuesOf(store, log), ['a', 'b', 'c', 'd', 'e'])
    assert.deepEqual(offline, [])
  })
}

for (const code of ['NO_SPACE', 'IO', 'READ_ONLY', 'DENIED'] as const satisfies readonly DiskErrorCode[]) {
  test(`while nothing at all can be written (${code}) every partition refuses, and after a restart all is there`, async () => {
    const disk = new CrashDisk(seededNumbers(1))
    const { store, log, other } = await openOn(disk)
    for (const each of [log, other]) await appendValues(store, each, ['a', 'b'])
    disk.fault = (operation) => (operation === 'read' || operation === 'list' ? undefined : code)
    for (const each of [log, other]) assert.equal((await append(store, each)).ok, false)
    await store.housekeep(testNowMs)
    assert.equal((await store.create(testTopic({ name: 'new', topicId: testTopicId(9) }))).ok, false)
    disk.fault = () => undefined
    const again = await openOn(disk.kill())
    for (const each of [again.log, again.other]) {
      assert.deepEqual(await valuesOf(again.store, each), ['a', 'b'])
      await appendValues(again.store, each, ['c'])
    }
  })
}

test('a read that fails with IO is that read’s failure: the next one finds everything, and the log stays', async () => {
  const disk = new CrashDisk(seededNumbers(1))
  const { store, log, other, offline } = await openOn(disk)
  for (const each of [log, other]) await appendValues(store, each, ['a', 'b', 'c', 'd', 'e', 'f'])
  disk.fault = (operation, path) => (path === file(0) && operation === 'read' ? 'IO' : undefined)
  const requests = [log, other].map((each) => ({
    log: each,
    offset: 0n,
    maxBytes: 1e6,
    isolation: 'uncommitted' as const,
  }))
  const [failed, fine] = await store.read(requests, { maxBytes: 1e6, minOneBatch: true })
  assert(!failed!.ok && failed!.code === 'STORAGE_FAILED' && failed!.retriable)
  assert(fine!.ok && fine!.chunks.length > 0)
  disk.fault = () => undefined
  assert.deepEqual(await valuesOf(store, log), ['a', 'b', 'c', 'd', 'e', 'f'])
  assert.deepEqual(offline, [])
})

async function folderOf(t: TestContext): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'titorelli-broken-'))
  t.after(() => rm(folder, { recursive: true, force: true }))
  return folder
}

const damages: readonly (readonly [string, RegExp, (folder: string) => Promise<void>])[] = [
  [
    'whose folder is removed',
    /its folder orders-0 was removed/,
    (folder) => rm(join(folder, 'orders-0'), { recursive: true }),
  ],
  ['whose active segment is removed', /file orders-0\/0+4\.log was removed/, (folder) => rm(join(folder, file(4)))],
  ['whose oldest segment is removed', /file orders-0\/0+\.log was removed/, (folder) => rm(join(folder, file(0)))],
  [
    'whose active segment is cut',
    /file orders-0\/0+4\.log was cut .* got 10 bytes/,
    (folder) => truncate(join(folder, file(4)), 10),
  ],
]

for (const [what, reason, damage] of damages) {
  test(`a log ${what} under the running broker goes offline at the next housekeeping, and others go on`, async (t) => {
    const folder = await folderOf(t)
    const { store, log, other, offline } = await openOn(new NodeDisk(folder))
    for (const each of [log, other]) await appendValues(store, each, ['a', 'b', 'c', 'd', 'e'])
    await damage(folder)
    await store.housekeep(testNowMs)
    assert.deepEqual(
      offline.map(({ label }) => label),
      ['orders-0'],
    )
    assert.match(offline[0]!.reason, reason)
    await assertOffline(store, log, reason)
    await appendValues(store, other, ['f'])
    assert.deepEqual(await valuesOf(store, other), ['a', 'b', 'c', 'd', 'e', 'f'])
    await store.close()
    const again = await openOn(new NodeDisk(folder))
    assert.deepEqual(await valuesOf(again.store, again.other), ['a', 'b', 'c', 'd', 'e', 'f'])
    await appendValues(again.store, again.log, ['new'])
    await again.store.close()
  })
}

const active = 'orders-0/00000000000000000004.log'

const lookers: Record<string, (store: LogStore, log: LogHandle) => Promise<Result | AppendResult>> = {
  'an append a second later': (store, log) => append(store, log, { nowMs: testNowMs + 1_000n }),
  'a durable append': (store, log) => append(store, log, { durable: true }),
  'a flush': (store, log) => store.flush(log),
}

for (const [what, reason, damage] of [
  ['was removed', /its file orders-0\/0+4\.log was removed under the running broker/, (path: string) => rm(path)],
  [
    'was removed with its folder',
    /its file orders-0\/0+4\.log was removed under the running broker/,
    (path: string) => rm(dirname(path), { recursive: true }),
  ],
  [
    'was cut',
    /its file orders-0\/0+4\.log was cut under the running broker: got 10 bytes/,
    (path: string) => truncate(path, 10),
  ],
] as const) {
  for (const [looker, look] of Object.entries(lookers)) {
    if (what === 'was cut' && looker === 'a durable append') continue // what it writes hides the cut from its sync
    test(`${looker} finds that the file ${what} under the running broker: the log is offline, and others go on`, async (t) => {
      const folder = await folderOf(t)
      const { store, log, other, offline } = await openOn(new NodeDisk(folder))
      for (const each of [log, other]) await appendValues(store, each, ['a', 'b', 'c', 'd', 'e'])
      await damage(join(folder, active))
      const result = await look(store, log)
      assert(!result.ok)
      assert.deepEqual(
        offline.map(({ label }) => label),
        ['orders-0'],
      )
      assert.match(offline[0]!.reason, reason)
      await assertOffline(store, log, reason)
      await appendValues(store, other, ['f'])
      assert.deepEqual(await valuesOf(store, other), ['a', 'b', 'c', 'd', 'e', 'f'])
      await store.close()
    })
  }
}

test('a log that removes and cuts its own files while they are synced is not taken for a damaged one', async () => {
  for (let turns = 0; turns < 12; turns++) {
    const store = await openTestStore({ disk: new CrashDisk(seededNumbers(turns)) })
    const log = await openTestLog(store, { isMirror: true, config })
    for (let offset = 0n; offset < 8n; offset++) {
      assert((await mirror(store, log, [testBatch({ baseOffset: offset, leaderEpoch: 0, valueBytes: 100 })])).ok)
    }
    const flushing = store.flush(log)
    for (let turn = 0; turn < turns; turn++) await new Promise((resolve) => setImmediate(resolve))
    assert((await store.truncateTo(log, 1n, { lease: 'link', fenceEpoch: 1n })).ok)
    assert((await flushing).ok)
    assert((await mirror(store, log, [testBatch({ baseOffset: 1n, leaderEpoch: 0 })])).ok)
  }
})

test('a log whose old segment is cut goes offline when a reader meets the cut', async (t) => {
  const folder = await folderOf(t)
  const { store, log, offline } = await openOn(new NodeDisk(folder))
  await appendValues(store, log, ['a', 'b', 'c', 'd', 'e', 'f'])
  await truncate(join(folder, file(0)), 100)
  const [read] = await store.read([{ log, offset: 0n, maxBytes: 1e6, isolation: 'uncommitted' }], {
    maxBytes: 1e6,
    minOneBatch: true,
  })
  assert.equal(read!.ok, false)
  assert.match(offline[0]!.reason, /was cut under the running broker: got 100 bytes/)
  await assertOffline(store, log, /was cut/)
  await store.close()
})

test('a damaged batch of an old segment is an error of its readers, and the log goes on', async () => {
  const disk = new CrashDisk(seededNumbers(1))
  const { store, log, offline } = await openOn(disk)
  await appendValues(store, log, ['a', 'b', 'c', 'd', 'e', 'f'])
  const old = await disk.open(file(0))
  await old.write(8, [new Uint8Array(9)])
  const [read] = await store.read([{ log, offset: 0n, maxBytes: 1e6, isolation: 'uncommitted' }], {
    maxBytes: 1e6,
    minOneBatch: true,
  })
  assert(!read!.ok && read!.code === 'CORRUPT_BATCH')
  assert.deepEqual(offline, [])
  await appendValues(store, log, ['g'])
})

test('a batch whose size leads beyond the end of its segment is an error of its readers, who wait for nothing', async () => {
  const disk = new CrashDisk(seededNumbers(1))
  const { store, log, offline } = await openOn(disk)
  await appendValues(store, log, ['a', 'b', 'c', 'd', 'e', 'f'])
  const old = await disk.open(file(0))
  await old.write(8, [Uint8Array.of(0, 0, 0x10, 0)])
  const [read] = await store.read([{ log, offset: 0n, maxBytes: 1e6, isolation: 'uncommitted' }], {
    maxBytes: 1e6,
    minOneBatch: true,
  })
  assert(!read!.ok && read!.code === 'CORRUPT_BATCH')
  assert.deepEqual(offline, [])
})
