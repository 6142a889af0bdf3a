/**
 * Operations that meet a full disk: each is done, or not and can be asked for again, or the log is offline until a
 * restart.
 */
import { strict as assert } from 'node:assert'
import { test } from 'node:test'
import type { LogHandle, LogStore, Result } from '../../storage/log-store.ts'
import { CrashDisk, seededNumbers, type DiskOperation } from '../support/crash-disk.ts'
import { append, mirror, must, openTestLog, openTestStore, readAllValues, testBatch } from '../support/logs.ts'

const config = { segmentBytes: 300, indexIntervalBytes: 100 }
const link = { lease: 'link', fenceEpoch: 1n }
const decision = { id: 'd', leaderEpoch: 9, nowMs: 5n }

interface Opened {
  readonly store: LogStore
  readonly log: LogHandle
}

async function openOn(disk: CrashDisk, { isMirror = true }: Operation): Promise<Opened> {
  const store = await openTestStore({ disk })
  return { store, log: await openTestLog(store, { isMirror, config }) }
}

/** Ten records of epoch 2, in several segments, the last of them not synced. */
async function filled(disk: CrashDisk, operation: Operation): Promise<Opened> {
  const { store, log } = await openOn(disk, operation)
  for (let offset = 0; offset < 10; offset++) {
    must(await put({ store, log }, operation, { offset, leaderEpoch: 2 }))
    if (offset === 6) must(await store.flush(log))
  }
  return { store, log }
}

/** A record at the end, which is at this offset. */
function put({ store, log }: Opened, { isMirror = true }: Operation, at: { offset: number; leaderEpoch: number }) {
  const values = [`${at.offset}`]
  const mode = { kind: 'assign', leaderEpoch: at.leaderEpoch } as const
  if (!isMirror) return append(store, log, { batches: [testBatch({ values })], mode })
  return mirror(store, log, [testBatch({ values, leaderEpoch: at.leaderEpoch, baseOffset: BigInt(at.offset) })])
}

interface Operation {
  readonly run: (store: LogStore, log: LogHandle) => Promise<Result<object>>
  /** The offsets of the records afterwards. */
  readonly from: number
  readonly to: number
  readonly leaderEpoch?: number
  /** Default: true. */
  readonly isMirror?: boolean
}

const operations: Record<string, Operation> = {
  'a truncation': { run: (store, log) => store.truncateTo(log, 3n, link), from: 0, to: 3 },
  'a new start behind the end': { run: (store, log) => store.startAt(log, 40n, link), from: 40, to: 40 },
  'a new start before the end': { run: (store, log) => store.startAt(log, 5n, link), from: 5, to: 5 },
  'a new log start': { run: (store, log) => store.deleteBefore(log, 5n), from: 5, to: 10 },
  'a higher leader epoch': {
    run: (store, log) => store.raiseLeaderEpoch(log, 7),
    from: 0,
    to: 10,
    leaderEpoch: 7,
    isMirror: false,
  },
  'a promote': { run: (store, log) => store.promote(log, decision, link), from: 0, to: 10, leaderEpoch: 9 },
  'a flush': { run: (store, log) => store.flush(log), from: 0, to: 10 },
}

const isWriting = (kind: DiskOperation) => kind !== 'read' && kind !== 'list' && kind !== 'other'

const rangeOf = (from: number, to: number) => Array.from({ length: to - from }, (_, index) => `${from + index}`)

async function assertDone(opened: Opened, operation: Operation): Promise<void> {
  const { store, log } = opened
  assert.deepEqual(await readAllValues(store, log), rangeOf(operation.from, operation.to))
  const { logStartOffset, logEndOffset, leaderEpoch } = store.view(log)
  assert.deepEqual([logStartOffset, logEndOffset], [BigInt(operation.from), BigInt(operation.to)])
  assert(leaderEpoch >= (operation.leaderEpoch ?? 0))
}

for (const [what, operation] of Object.entries(operations)) {
  test(`${what} for which there is no room at one of its disk calls is done when it is asked for again, or after a restart`, async () => {
    let [retried, restarted] = [0, 0]
    for (let call = 1; ; call++) {
      assert(call < 200)
      const disk = new CrashDisk(seededNumbers(call))
      const { store, log } = await filled(disk, operation)
      let calls = 0
      disk.tornShare = 0.5
      disk.fault = (kind) => (isWriting(kind) && ++calls === call ? 'NO_SPACE' : undefined)
      const result = await operation.run(store, log)
      disk.fault = () => undefined
      const isOver = calls < call
      let opened = { store, log }
      const again = await operation.run(store, log)
      if (again.ok) {
        await assertDone(opened, operation)
        if (!result.ok) retried += 1
      } else {
        assert.equal(again.code, 'LOG_OFFLINE', `call ${call}: ${again.message}`)
        opened = await openOn(disk.kill(), operation)
        must(await operation.run(opened.store, opened.log))
        await assertDone(opened, operation)
        restarted += 1
      }
      // What comes afterwards goes where it belongs, also on the disk.
      if (what !== 'a promote') must(await put(opened, operation, { offset: operation.to, leaderEpoch: 8 }))
      must(await opened.store.flush(opened.log))
      const last = await openOn((again.ok ? disk.kill() : disk).crash(), operation)
      const to = what === 'a promote' ? operation.to : operation.to + 1
      await assertDone(last, { ...operation, to })
      if (isOver) break
    }
    assert(retried + restarted > 0, 'a call was of the operation')
  })
}

test('while the disk has no room at all, nothing takes a log offline but a failed sync, and all goes on once there is room', async () => {
  for (const [what, operation] of Object.entries(operations)) {
    const disk = new CrashDisk(seededNumbers(1))
    const { store, log } = await filled(disk, operation)
    disk.capacityBytes = 0
    const refused = await put({ store, log }, operation, { offset: 10, leaderEpoch: 2 })
    assert(!refused.ok && refused.code === 'NO_SPACE')
    await operation.run(store, log)
    disk.capacityBytes = Infinity
    must(await operation.run(store, log))
    await assertDone({ store, log }, operation)
    if (what !== 'a promote') must(await put({ store, log }, operation, { offset: operation.to, leaderEpoch: 8 }))
  }
})
