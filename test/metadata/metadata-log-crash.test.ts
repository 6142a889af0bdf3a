import assert from 'node:assert/strict'
import { test } from 'node:test'
import { RemoveTopicRecord } from '../../protocol/state/metadata-records.ts'
import { Link, LinkConfig, Mirror } from '../../protocol/state/mirror-records.ts'
import { nodeClock } from '../../src/environment/node-clock.ts'
import { seededRandom } from '../../src/environment/seeded-random.ts'
import { silentLogger } from '../../src/environment/logger.ts'
import { LogMetadataStore, metadataLogPath } from '../../src/metadata/metadata-log.ts'
import { record, type MetadataImage, type MetadataRecord } from '../../src/metadata/metadata-store.ts'
import { DiskError } from '../../storage/disk.ts'
import { append, configOf, idOf, topicOf } from '../contracts/metadata-store.ts'
import { CrashDisk, seededNumbers } from '../support/crash-disk.ts'
import { seedsOf } from '../support/power-cuts.ts'

/**
 * Each is acknowledged before the next; some are larger than a few sectors, one removes. The log takes several
 * snapshots.
 */
const changes: readonly (readonly MetadataRecord[])[] = [
  topicOf('a'),
  [...topicOf('b', 12), configOf('b', 'retention.ms', '1')],
  [configOf('a', 'retention.ms', '2')],
  [record(RemoveTopicRecord, { topicId: idOf('a') })],
  topicOf('c', 3),
  [
    record(Link, { linkId: idOf('link'), name: 'west', sourceClusterId: 'source' }),
    record(LinkConfig, { linkId: idOf('link'), name: 'client.id', value: 'mine' }),
  ],
  [
    ...topicOf('m'),
    record(Mirror, { topicId: idOf('m'), linkId: idOf('link'), sourceTopicName: 's', sourceTopicId: idOf('s') }),
  ],
  [...topicOf('d', 8), configOf('d', 'retention.ms', '3')],
  [configOf('d', 'retention.ms', null)],
]

type Seen = Pick<MetadataImage, 'topics' | 'links'>

function seenIn({ topics, links }: MetadataImage): Seen {
  return { topics, links }
}

function openLog(disk: CrashDisk, bytesBetweenSnapshots = 600): Promise<LogMetadataStore> {
  const environment = { disk, clock: nodeClock, random: seededRandom(7), logger: silentLogger }
  return LogMetadataStore.open(environment, { nodeId: 1, bytesBetweenSnapshots })
}

/** Makes the changes until the disk fails; how many were acknowledged, and what was seen after each. */
async function run(disk: CrashDisk): Promise<{ acknowledged: number; seen: Seen[] }> {
  const seen: Seen[] = []
  try {
    const store = await openLog(disk)
    seen.push(seenIn(store.image))
    for (const change of changes) {
      const result = await store.append(change)
      if (!result.ok) break
      seen.push(seenIn(store.image))
    }
    await store.close()
  } catch (error) {
    if (!(error instanceof DiskError)) throw error
  }
  return { acknowledged: seen.length - 1, seen }
}

const clean = await (async () => {
  const disk = new CrashDisk(seededNumbers(0))
  const { acknowledged, seen } = await run(disk)
  assert.equal(acknowledged, changes.length)
  assert(disk.paths.filter((path) => path.endsWith('.checkpoint')).length === 2, 'the run takes snapshots')
  assert(!disk.paths.includes(metadataLogPath), 'the run deletes a segment')
  return { calls: disk.callCount, seen }
})()

/** The image after a power cut is the one of the last acknowledged change, or of the one that was under way. */
function assertSurvived(image: MetadataImage, acknowledged: number): void {
  const allowed = [Math.max(acknowledged, 0), Math.min(acknowledged + 1, changes.length)]
  const found = allowed.some((count) => {
    try {
      assert.deepEqual(seenIn(image), clean.seen[count])
      return true
    } catch {
      return false
    }
  })
  assert(
    found,
    `${acknowledged} acknowledged, found topics ${[...image.topics.keys()].join(', ')} at offset ${image.offset}`,
  )
}

for (const seed of seedsOf(8)) {
  test(`a power cut at any disk call loses nothing acknowledged and halves no change (seed ${seed})`, async (t) => {
    const random = seededNumbers(seed)
    for (let call = 1; call <= clean.calls; call++) {
      const disk = new CrashDisk(random)
      disk.failAt(call)
      const { acknowledged } = await run(disk)

      const second = disk.crash()
      second.failAt(1 + Math.floor(random() * 20)) // the power fails again, during recovery or soon after
      await openLog(second).catch((error: unknown) => assert(error instanceof DiskError))

      const store = await openLog(second.crash())
      assertSurvived(store.image, acknowledged)
      await append(store, topicOf('after'))
      assert(store.image.topics.has('after'))
      await store.close()
    }
    t.diagnostic(`${2 * clean.calls} cuts`)
  })
}

test('a failed write or sync closes the log for writes, and the image stays what was acknowledged', async () => {
  for (const call of [1, 2]) {
    const disk = new CrashDisk(seededNumbers(call))
    const store = await openLog(disk)
    await append(store, topicOf('a'))
    const { image } = store
    disk.failAt(call, { once: true })
    const [failed, queued] = await Promise.all([store.append(topicOf('b')), store.append(topicOf('c'))])
    for (const result of [failed, queued, await store.append(topicOf('d'))]) {
      assert(!result.ok)
      assert.equal(result.code, 'FAILED')
      assert.match(result.message, /until a restart/)
    }
    assert.equal(store.image, image)
    await store.close()
    const again = await openLog(disk)
    assert(again.image.topics.has('a'))
    assert(!again.image.topics.has('c'))
    await append(again, topicOf('d'))
  }
})

test('what was read at the start is synced before anybody acts on it', async () => {
  const disk = new CrashDisk(seededNumbers(3))
  const store = await openLog(disk)
  disk.failAt(2, { once: true, withoutEffect: true }) // the sync of the append: its bytes are written and not durable
  const result = await store.append(topicOf('a'))
  assert.equal(result.ok, false)
  const again = await openLog(disk)
  const { image } = again
  assert(image.topics.has('a'))
  for (let round = 0; round < 20; round++) {
    const later = await openLog(disk.crash())
    assert.deepEqual(seenIn(later.image), seenIn(image))
  }
})

test('a log whose disk is full takes the change back, and works again once there is room', async () => {
  for (let seed = 1; seed <= 20; seed++) {
    const disk = new CrashDisk(seededNumbers(seed))
    const store = await openLog(disk)
    await append(store, topicOf('a'))
    const { image } = store
    disk.failAt(1, { once: true, code: 'NO_SPACE' }) // with or without its bytes
    const [failed, queued] = await Promise.all([store.append(topicOf('b')), store.append(topicOf('c'))])
    assert(!failed.ok && failed.code === 'NO_SPACE')
    assert(queued.ok)
    assert.equal(queued.offset, image.offset + 2n)
    assert.deepEqual([...store.image.topics.keys()], ['a', 'c'])
    const again = await openLog(disk.crash())
    assert.deepEqual([...again.image.topics.keys()], ['a', 'c'])
  }
})

test('a log that cannot take a change back from a full disk takes no more changes', async () => {
  for (const call of [2, 3]) {
    const disk = new CrashDisk(seededNumbers(call))
    const store = await openLog(disk)
    const inner = store.append(topicOf('a'))
    disk.failAt(1, { code: 'NO_SPACE', withoutEffect: true }) // the write, and the cut behind it
    const failed = await inner
    assert(!failed.ok && failed.code === 'FAILED')
    disk.failAt(Infinity)
    const next = await store.append(topicOf('b'))
    assert(!next.ok && next.code === 'FAILED')
  }
})

test('a snapshot that fails at any disk call costs nothing, and later ones are whole', async () => {
  let snapshots = 0
  for (let call = 1; call <= 60; call++) {
    for (const code of ['IO', 'NO_SPACE'] as const) {
      const disk = new CrashDisk(seededNumbers(call))
      const store = await openLog(disk, 1)
      disk.failAt(call, { once: true, code })
      const results = [
        await store.append(topicOf('a')),
        await store.append(topicOf('b')),
        await store.append(topicOf('c')),
      ]
      if (!results.every((result) => result.ok)) continue // the call was one of an append
      snapshots++
      const seen = seenIn(store.image)
      await store.close()
      disk.failAt(Infinity)
      assert.deepEqual(seenIn((await openLog(disk.crash())).image), seen, `call ${call}`)
      assert.deepEqual(seenIn((await openLog(disk)).image), seen, `call ${call}`)
      assert.deepEqual(
        disk.paths.filter((path) => path.endsWith('.part')),
        [],
      )
    }
  }
  assert(snapshots > 50, `${snapshots} calls of snapshots failed`)
})
