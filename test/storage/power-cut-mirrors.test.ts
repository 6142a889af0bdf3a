/** Power cuts around what only mirrors go through: new starts, and the promotion that makes them writable. */
import { strict as assert } from 'node:assert'
import { test } from 'node:test'
import type { PartitionLog } from '../../storage/log.ts'
import type { LogStore, Promoted } from '../../storage/log-store.ts'
import type { CrashDisk } from '../support/crash-disk.ts'
import { append, mirror, must, openTestLog, openTestStore, readAllRecords, testBatch } from '../support/logs.ts'
import { cutEverywhere, seedsOf } from '../support/power-cuts.ts'

const config = { segmentBytes: 300, indexIntervalBytes: 100 }
const link = { lease: 'link', fenceEpoch: 1n }
const decision = { id: 'd', leaderEpoch: 9, nowMs: 5n }

async function openOn(disk: CrashDisk, isMirror = true) {
  const store = await openTestStore({ disk })
  return { store, log: (await openTestLog(store, { isMirror, config })) as PartitionLog }
}

interface PromotePromise {
  opened?: { store: LogStore; log: PartitionLog }
  /** What was answered, and what was appended after that, durably. */
  promoted?: Promoted
  appended: number
}

/** Records of two open transactions and others, over several segments. */
async function mirrored(disk: CrashDisk) {
  const { store, log } = await openOn(disk)
  for (let offset = 0; offset < 8; offset++) {
    const place = { baseOffset: BigInt(offset), leaderEpoch: 3, values: [`${offset}`] }
    const producerId = offset % 4 === 1 ? 7n : 8n
    const transaction = { producerId, producerEpoch: 0, baseSequence: offset >> 2, isTransactional: true }
    must(await mirror(store, log, [testBatch({ ...place, ...(offset % 2 === 0 ? {} : transaction) })]))
    if (offset === 4) must(await store.flush(log))
  }
  return { store, log }
}

for (const seed of seedsOf(1)) {
  test(`a promote that was cut off comes to the same end when it is repeated, and one that was answered stays (seed ${seed})`, async (t) => {
    const cuts = await cutEverywhere<PromotePromise>(seed, {
      prepare: async (disk, promised) => (promised.opened = await mirrored(disk)),
      run: async (_, promised) => {
        const { store, log } = promised.opened!
        promised.promoted = must(await store.promote(log, decision, link))
        for (let count = 1; count <= 3; count++) {
          const mode = { kind: 'assign', leaderEpoch: 9 } as const
          must(await append(store, log, { batches: [testBatch({ values: ['mine'] })], mode, durable: true }))
          promised.appended = count
        }
        await store.close()
      },
      promises: () => ({ appended: 0 }),
      reopen: (disk, { promoted }) => openOn(disk, !promoted),
      check: async (disk, { promoted, appended }) => {
        const { store, log } = await openOn(disk, !promoted)
        const mirroredEnd = Math.min(8, Number(store.view(log).logEndOffset))
        assert(mirroredEnd >= (promoted ? 8 : 5), `the mirror ends at ${mirroredEnd}`)
        if (!promoted) {
          const again = must(await store.promote(log, decision, link))
          assert.deepEqual(again.lastMirrored, { leaderEpoch: 3, endOffset: BigInt(mirroredEnd) })
          assert.deepEqual(
            again.aborted.map(({ producerId, firstOffset }) => [producerId, firstOffset]),
            [
              [7n, 1n],
              [8n, 3n],
            ],
          )
        }
        const end = mirroredEnd + 2 // a marker each
        const { logEndOffset, lastStableOffset, leaderEpoch } = store.view(log)
        assert(logEndOffset >= BigInt(end + appended) && logEndOffset <= BigInt(end + 3))
        assert.equal(lastStableOffset, logEndOffset)
        assert.equal(leaderEpoch, 9)
        assert.equal(must(await store.endOffsetForEpoch(log, 3)).endOffset, BigInt(mirroredEnd))
        assert.deepEqual(store.openTransactions(log), [])
      },
    })
    t.diagnostic(`${cuts} cuts`)
  })
}

/** Records from one start on. */
interface History {
  readonly name: string
  readonly start: number
  end: number
  synced: number
}

interface StartPromise {
  /** The last is the newest; the one before it may be there while a new start is under way. */
  readonly histories: History[]
  isSettled: boolean
}

async function startAnew(disk: CrashDisk, promised: StartPromise): Promise<void> {
  const { store, log } = await openOn(disk)
  for (const [name, start] of [
    ['first', 0],
    ['ahead', 30],
    ['within', 33],
    ['back', 5],
  ] as const) {
    if (name !== 'first') {
      const history = { name, start, end: start, synced: start }
      promised.histories.push(history)
      promised.isSettled = false
      must(await store.startAt(log, BigInt(start), link))
      promised.isSettled = true
    }
    const history = promised.histories.at(-1)!
    for (let count = 0; count < 6; count++) {
      const batch = testBatch({ baseOffset: BigInt(history.end), leaderEpoch: 0, values: [`${name}/${history.end}`] })
      history.end += 1
      must(await mirror(store, log, [batch]))
      if (count !== 3) continue
      must(await store.flush(log))
      history.synced = history.end
    }
  }
  await store.close()
}

for (const seed of seedsOf(1)) {
  test(`a mirror that begins anew has one history or the other after a power cut at any disk call (seed ${seed})`, async (t) => {
    const cuts = await cutEverywhere<StartPromise>(seed, {
      run: startAnew,
      promises: () => ({ histories: [{ name: 'first', start: 0, end: 0, synced: 0 }], isSettled: true }),
      reopen: (disk) => openOn(disk),
      check: async (disk, { histories, isSettled }) => {
        const { store, log } = await openOn(disk)
        const { logStartOffset, logEndOffset } = store.view(log)
        const records = await readAllRecords(store, log)
        const found = records.map(({ value }) => new TextDecoder().decode(value!))
        const allowed = isSettled ? histories.slice(-1) : histories.slice(-2)
        const name = found[0]?.split('/')[0] ?? allowed.at(-1)!.name
        const history = allowed.find((each) => each.name === name)
        assert(history, `found ${found.join()}, expected ${allowed.map((each) => each.name).join(' or ')}`)
        const [start, end] = [Number(logStartOffset), Number(logEndOffset)]
        assert.deepEqual(
          found,
          Array.from({ length: found.length }, (_, index) => `${name}/${start + index}`),
        )
        assert.equal(end, start + found.length)
        assert(end <= history.end)
        if (isSettled) assert(start === history.start && end >= history.synced, `${start} to ${end}`)
        must(await mirror(store, log, [testBatch({ baseOffset: logEndOffset, leaderEpoch: 0 })]))
      },
    })
    t.diagnostic(`${cuts} cuts`)
  })
}
