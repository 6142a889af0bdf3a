/**
 * Power cuts around what is not an append: topics that come and go, log starts, leader epochs, checkpoints, clean
 * stops.
 */
import { strict as assert } from 'node:assert'
import { test } from 'node:test'
import type { LogHandle, LogStore } from '../../storage/log-store.ts'
import type { SegmentLogStore } from '../../storage/segment-log-store.ts'
import { deletedFolder } from '../../storage/recovery.ts'
import { CrashDisk } from '../support/crash-disk.ts'
import {
  append,
  must,
  openTestLog,
  openTestStore,
  readAllValues,
  testBatch,
  testLogConfig,
  testNowMs,
  testTopicId,
} from '../support/logs.ts'
import { cutEverywhere, seedsOf } from '../support/power-cuts.ts'

const config = { segmentBytes: 400, indexIntervalBytes: 150, fileDeleteDelayMs: 0n }

async function put(
  store: LogStore,
  log: LogHandle,
  value: string,
  options: { durable?: boolean; epoch?: number } = {},
) {
  const { durable = false, epoch = 0 } = options
  const mode = { kind: 'assign', leaderEpoch: epoch } as const
  must(await append(store, log, { batches: [testBatch({ values: [value] })], durable, mode }))
}

/** The topic of a name, as the metadata has it, and its records. */
interface Topic {
  readonly topicId: string
  readonly values: string[]
  synced: number
}

interface TopicPromise {
  topic: Topic | undefined
  /** Ids that were there before. */
  readonly former: string[]
}

async function createDeleteCreate(disk: CrashDisk, promised: TopicPromise): Promise<void> {
  const store = await openTestStore({ disk })
  for (let round = 1; round <= 3; round++) {
    const topicId = testTopicId(round)
    const log = await openTestLog(store, { topicId, config, partitionCount: 2, partitionIndex: 1 })
    promised.topic = { topicId, values: [], synced: 0 } // acknowledged
    for (let number = 0; number < 6; number++) {
      const value = `${round}/${number}`
      promised.topic.values.push(value)
      await put(store, log, value, { durable: number === 3 })
      if (number === 3) promised.topic.synced = 4
    }
    if (round === 3) break
    // The metadata log forgets it first: whatever becomes of its files, nobody asks for this topic again.
    promised.former.push(topicId)
    promised.topic = undefined
    must(await store.drop(topicId))
  }
  await store.close()
}

for (const seed of seedsOf(1)) {
  test(`topics that were created and deleted are there or gone after a power cut at any disk call (seed ${seed})`, async (t) => {
    const cuts = await cutEverywhere<TopicPromise>(seed, {
      run: createDeleteCreate,
      promises: () => ({ topic: undefined, former: [] }),
      reopen: async (disk, { topic }) => {
        const store = await openTestStore({ disk })
        if (topic) await openTestLog(store, { topicId: topic.topicId, config, partitionCount: 2 })
      },
      check: async (disk, { topic, former }) => {
        let store = await openTestStore({ disk })
        const spec = { config, partitionCount: 2, partitionIndex: 1 }
        if (topic) {
          const values = await readAllValues(store, await openTestLog(store, { ...spec, topicId: topic.topicId }))
          assert.deepEqual(values, topic.values.slice(0, values.length))
          assert(values.length >= topic.synced, `found ${values.length} records, ${topic.synced} were synced`)
          must(await store.drop(topic.topicId))
        }
        const next = await openTestLog(store, { ...spec, topicId: testTopicId(9) })
        assert.deepEqual(await readAllValues(store, next), [], `records of ${former.join()} are back`)
        await put(store, next, 'next')
        store = await openTestStore({ disk: disk.kill() })
        assert.deepEqual(await readAllValues(store, await openTestLog(store, { ...spec, topicId: testTopicId(9) })), [
          'next',
        ])
      },
    })
    t.diagnostic(`${cuts} cuts`)
  })
}

interface LogPromise {
  readonly values: string[]
  synced: number
  logStart: number
  leaderEpoch: number
}

const logPromise = (): LogPromise => ({ values: [], synced: 0, logStart: 0, leaderEpoch: 0 })

async function moveStartsAndEpochs(disk: CrashDisk, promised: LogPromise): Promise<void> {
  const store = await openTestStore({ disk })
  const log = await openTestLog(store, { config: { ...config, flushMs: 1n } })
  const putSome = async (count: number): Promise<void> => {
    for (let at = 0; at < count; at++) {
      promised.values.push(`${promised.values.length}`)
      await put(store, log, promised.values.at(-1)!, { epoch: promised.leaderEpoch })
    }
  }
  await putSome(8)
  must(await store.deleteBefore(log, 5n))
  promised.logStart = 5
  promised.synced = 5
  must(await store.raiseLeaderEpoch(log, 3))
  promised.leaderEpoch = 3
  await putSome(3)
  must(await store.flush(log))
  promised.synced = 11
  await store.housekeep(testNowMs)
  await putSome(4)
  await store.housekeep(testNowMs + 5n)
  must(await store.flush(log)) // housekeeping has synced all, if it could
  promised.synced = 15
  must(await store.deleteBefore(log, 13n))
  promised.logStart = 13
  await putSome(6)
  store.configure(log.id.topicId, testLogConfig({ ...config, retentionBytes: 250n }))
  await store.housekeep(testNowMs + 6n) // removes old segments
  must(await store.flush(log))
  promised.synced = 21
  promised.logStart = Number(store.view(log).logStartOffset)
  must(await store.raiseLeaderEpoch(log, 4))
  promised.leaderEpoch = 4
  await putSome(2)
  await store.close()
  promised.synced = 23
}

for (const seed of seedsOf(1)) {
  test(`log starts and leader epochs never go back after a power cut at any disk call (seed ${seed})`, async (t) => {
    const cuts = await cutEverywhere<LogPromise>(seed, {
      run: moveStartsAndEpochs,
      promises: logPromise,
      reopen: async (disk) => openTestLog(await openTestStore({ disk }), { config }),
      check: async (disk, promised) => {
        const store = await openTestStore({ disk })
        const log = await openTestLog(store, { config })
        const { logStartOffset, logEndOffset, leaderEpoch } = store.view(log)
        assert(leaderEpoch >= promised.leaderEpoch, `epoch ${leaderEpoch}, ${promised.leaderEpoch} was told`)
        assert(
          logStartOffset >= promised.logStart && logEndOffset >= promised.synced,
          `${logStartOffset}-${logEndOffset}`,
        )
        const values = await readAllValues(store, log)
        assert.deepEqual(values, promised.values.slice(Number(logStartOffset), Number(logEndOffset)))
        const known = [0, 3, 4].filter((epoch) => epoch <= leaderEpoch)
        for (const epoch of known) {
          const end = must(await store.endOffsetForEpoch(log, epoch))
          assert(end.endOffset <= logEndOffset, `epoch ${epoch} ends at ${end.endOffset} of ${logEndOffset}`)
        }
        await put(store, log, 'next', { epoch: leaderEpoch })
      },
    })
    t.diagnostic(`${cuts} cuts`)
  })
}

async function startAndStop(disk: CrashDisk, promised: LogPromise): Promise<void> {
  for (let round = 0; round < 3; round++) {
    const store = await openTestStore({ disk })
    const log = await openTestLog(store, { config })
    for (let number = 0; number < 4; number++) {
      promised.values.push(`${promised.values.length}`)
      await put(store, log, promised.values.at(-1)!)
    }
    await store.close()
    promised.synced = promised.values.length
  }
}

for (const seed of seedsOf(1)) {
  test(`a stop that counts as clean has lost nothing, wherever the power was cut (seed ${seed})`, async (t) => {
    const found = { clean: 0, unclean: 0 }
    const cuts = await cutEverywhere<LogPromise>(seed, {
      run: startAndStop,
      promises: logPromise,
      reopen: async (disk) => openTestLog(await openTestStore({ disk }), { config }),
      check: async (disk, promised) => {
        const losses: unknown[] = []
        const store: SegmentLogStore = await openTestStore({ disk, onLoss: (loss) => losses.push(loss) })
        const log = await openTestLog(store, { config })
        const values = await readAllValues(store, log)
        assert.deepEqual(values, promised.values.slice(0, values.length))
        assert(values.length >= promised.synced, `found ${values.length} records, ${promised.synced} were synced`)
        found[store.wasUnclean ? 'unclean' : 'clean'] += 1
        if (!store.wasUnclean) assert.deepEqual(losses, [])
        if (!store.wasUnclean && values.length > 0) assert(values.length % 4 === 0, `${values.length} records`)
      },
    })
    assert(found.clean > 3 && found.unclean > 10, JSON.stringify(found))
    t.diagnostic(`${cuts} cuts`)
  })
}

test('no file of a deleted topic goes before its folder has lost the name for good', async () => {
  const disk = new CrashDisk(() => 0)
  const calls: string[] = []
  disk.fault = (operation, path) => void calls.push(`${operation} ${path}`)
  const store = await openTestStore({ disk })
  for (const fileDeleteDelayMs of [0n, 60_000n]) {
    const topicId = testTopicId(fileDeleteDelayMs === 0n ? 1 : 2)
    await put(store, await openTestLog(store, { topicId, config: { ...config, fileDeleteDelayMs } }), 'gone')
    must(await store.drop(topicId))
  }
  await openTestStore({ disk }) // removes what waited for its delay
  const ofFolders = calls.filter((call) => /-delete$|^(?:rename orders-0|sync )$/.test(call))
  const [first, second] = [testTopicId(1), testTopicId(2)].map((topicId) => deletedFolder('orders-0', topicId))
  for (const removal of [`remove ${first}`, `remove ${second}`]) {
    assert.equal(ofFolders[ofFolders.indexOf(removal) - 1], 'sync ', removal)
  }
})
