import assert from 'node:assert/strict'
import { test } from 'node:test'
import { zeroUuid } from '../../protocol/schema.ts'
import { KafkaError } from '../../src/errors.ts'
import { parseGroupRecord } from '../../src/groups/group-records.ts'
import { MemoryCoordinatorStore } from '../support/memory-coordinator-store.ts'
import { openTestGroups, stableGroup, answered, type TestGroups } from '../support/groups.ts'

const dayMs = 86_400_000

function isKafkaError(name: string): (error: unknown) => boolean {
  return (error) => error instanceof KafkaError && error.errorName === name
}

/** A second coordinator over the records of the first. */
async function restart(groups: TestGroups): Promise<TestGroups> {
  groups.coordinator.close()
  return openTestGroups({ store: new MemoryCoordinatorStore(groups.store.records), clock: groups.clock, seed: 2 })
}

test('a commit that was answered is there after a restart, and so are the members', async () => {
  const groups = await openTestGroups()
  const [member] = await stableGroup(groups)
  assert.equal(await groups.commit(7n, { member }), 'NONE')
  const again = await restart(groups)
  assert.deepEqual([await again.committed(), again.state()], [7n, 'Stable'])
  assert.equal(await again.heartbeat(member!), 'NONE')
  assert.equal(await again.commit(8n, { member }), 'NONE')
})

test('a commit is seen and answered only when it is written; one that is not leaves the offset before it', async () => {
  const groups = await openTestGroups()
  await groups.commit(1n)
  groups.store.fate = () => 'hold'
  const commit = groups.commit(2n)
  await groups.clock.advance(0)
  assert.equal(await groups.committed(), 1n)
  groups.store.release('STORAGE_FAILED')
  assert.equal(await commit, 'NOT_COORDINATOR')
  assert.equal(await groups.committed(), 1n)
})

test('a stable fetch waits for the commits before it', async () => {
  const groups = await openTestGroups()
  await groups.commit(1n)
  groups.store.fate = () => 'hold'
  const commit = groups.commit(2n)
  const topics = [{ name: 'orders', partitionIndexes: [0] }]
  const fetch = groups.coordinator.fetchOffsets('g', topics, true)
  await groups.clock.advance(0)
  groups.store.release()
  assert.equal(await commit, 'NONE')
  assert.equal((await fetch)[0]?.partitions[0]?.committed?.offset, 2n)
})

test('only a member of the current generation commits, and nobody while the leader assigns', async () => {
  const groups = await openTestGroups()
  const [member] = await stableGroup(groups)
  const { memberId } = member!
  assert.equal(await groups.commit(1n, { member: { memberId, generationId: 0 } }), 'ILLEGAL_GENERATION')
  assert.equal(await groups.commit(1n, { member: { memberId, generationId: 2 } }), 'ILLEGAL_GENERATION')
  assert.equal(await groups.commit(1n, { member: { memberId: 'x', generationId: 1 } }), 'UNKNOWN_MEMBER_ID')
  assert.equal(await groups.commit(1n), 'UNKNOWN_MEMBER_ID')
  assert.equal(await groups.commit(1n, { member }), 'NONE')
  const [joined] = await answered(groups, [groups.join({ memberId })])
  assert.equal(await groups.commit(2n, { member }), 'ILLEGAL_GENERATION')
  assert.equal(await groups.commit(2n, { member: joined }), 'REBALANCE_IN_PROGRESS')
  assert.equal(await groups.committed(), 1n)
})

test('a generation of a group that nobody knows does not commit, and does not bring it into being', async () => {
  const groups = await openTestGroups()
  const member = { memberId: 'x', generationId: 3 }
  assert.equal(await groups.commit(1n, { member }), 'GROUP_ID_NOT_FOUND')
  assert.equal(groups.state(), 'Dead')
  assert.equal(await groups.commit(1n), 'NONE')
  assert.equal(groups.state(), 'Empty')
})

test('offsets of a group expire so long after it became empty, those without members after their commit', async () => {
  const groups = await openTestGroups()
  const [member] = await stableGroup(groups, 1, () => ({ sessionTimeoutMs: 1_800_000 }))
  await groups.commit(1n, { member, topic: 'payments' })
  await groups.commit(1n, { member })
  await groups.commit(1n, { group: 'simple' })
  await groups.clock.advance(3 * dayMs) // the member is silent: the group becomes empty after half an hour
  assert.equal(groups.state(), 'Empty')
  await groups.clock.advance(4 * dayMs + 600_000 - 1)
  assert.deepEqual([groups.state('simple'), await groups.committed()], ['Dead', 1n])
  await groups.clock.advance(1_800_000 + 600_000)
  assert.deepEqual([groups.state(), await groups.committed()], ['Dead', -1n])
  const again = await restart(groups)
  assert.deepEqual([again.state(), again.state('simple')], ['Dead', 'Dead'])
})

test('a consumer group that lives keeps offsets of what it reads, and loses those of what it reads no more', async () => {
  const groups = await openTestGroups({ configs: { 'offsets.retention.minutes': '1' } })
  const [member] = await stableGroup(groups, 1, () => ({ sessionTimeoutMs: 1_800_000 }))
  await groups.commit(1n, { member })
  await groups.commit(1n, { member, topic: 'payments' })
  await groups.clock.advance(600_000)
  const topics = await groups.coordinator.fetchOffsets('g', null, false)
  assert.deepEqual(
    topics.map(({ name }) => name),
    ['orders'],
  )
})

test('an offset with a retention of its own expires by that', async () => {
  const groups = await openTestGroups()
  await groups.commit(1n, { retentionTimeMs: 700_000n })
  await groups.clock.advance(600_000)
  assert.equal(await groups.committed(), 1n)
  await groups.clock.advance(600_000)
  assert.equal(await groups.committed(), -1n)
})

test('an empty group that never committed is forgotten at the next look', async () => {
  const groups = await openTestGroups()
  const [member] = await stableGroup(groups)
  await groups.leave(member!)
  await groups.clock.advance(600_000)
  assert.equal(groups.state(), 'Dead')
})

test('offsets of a deleted topic go with it, and those committed to its successor stay', async () => {
  const groups = await openTestGroups()
  await groups.commit(1n, { partitionCount: 3000 })
  await groups.commit(1n, { topic: 'payments' })
  groups.store.fate = () => 'hold'
  groups.deleteTopics('orders')
  const successor = groups.commit(5n)
  await groups.clock.advance(0)
  groups.store.fate = () => 'write'
  groups.store.release()
  assert.equal(await successor, 'NONE')
  await groups.clock.advance(0)
  const topics = await groups.coordinator.fetchOffsets('g', null, false)
  assert.deepEqual(
    topics.map(({ name, partitions }) => [name, partitions.map(({ committed }) => committed?.offset)]),
    [
      ['orders', [5n]],
      ['payments', [1n]],
    ],
  )
})

test('an offset that is to be kept as long as can be said is kept', async () => {
  const groups = await openTestGroups()
  assert.equal(await groups.commit(1n, { retentionTimeMs: 9_223_372_036_854_775_807n }), 'NONE')
  await groups.clock.advance(30 * dayMs)
  assert.equal(await groups.committed(), 1n)
})

test('offsets of a topic that went while nobody served its groups are forgotten when they are loaded', async () => {
  const groups = await openTestGroups()
  await groups.commit(1n, { topicId: 'AAAAAAAAAAAAAAAAAAAAAQ', partitionCount: 2500 }) // of no topic that is there
  await groups.commit(2n, { topic: 'payments' }) // of one whose id is not known
  const again = await restart(groups)
  await again.clock.advance(0)
  const topics = await again.coordinator.fetchOffsets('g', null, false)
  assert.deepEqual(
    topics.map(({ name }) => name),
    ['payments'],
  )
})

test('offsets belong to the topic that they were committed for, not to a later one of its name', async () => {
  const groups = await openTestGroups()
  const [old, other] = ['AAAAAAAAAAAAAAAAAAAAAQ', 'AAAAAAAAAAAAAAAAAAAAAg']
  await groups.commit(1n, { topicId: old })
  const askedFor = async (topicId: string) => {
    const asked = [{ name: 'orders', topicId, partitionIndexes: [0] }]
    const [topic] = await groups.coordinator.fetchOffsets('g', asked, false)
    return topic?.partitions[0]?.committed?.offset
  }
  assert.deepEqual([await askedFor(old!), await askedFor(other!), await askedFor(zeroUuid)], [1n, undefined, 1n])
  const again = await restart(groups)
  await again.commit(5n, { topicId: other })
  again.deleteTopics('orders') // of a third id: neither of them
  await again.clock.advance(0)
  assert.equal(await again.committed(), 5n)
})

test('a group is deleted with all its offsets, however many, but not while it has members', async () => {
  const groups = await openTestGroups()
  const [member] = await stableGroup(groups)
  await groups.commit(1n, { member, partitionCount: 4500 })
  await assert.rejects(groups.coordinator.deleteGroup('g'), isKafkaError('NON_EMPTY_GROUP'))
  await groups.leave(member!)
  await groups.coordinator.deleteGroup('g')
  assert.equal(groups.state(), 'Dead')
  assert.deepEqual(groups.store.appendSizes.slice(-3), [2000, 2000, 501])
  await assert.rejects(groups.coordinator.deleteGroup('g'), isKafkaError('GROUP_ID_NOT_FOUND'))
  const again = await restart(groups)
  assert.deepEqual([again.state(), await again.committed()], ['Dead', -1n])
})

test('OffsetDelete leaves the offsets of what the group reads', async () => {
  const groups = await openTestGroups()
  const [member] = await stableGroup(groups)
  await groups.commit(1n, { member })
  await groups.commit(1n, { member, topic: 'payments' })
  const topics = ['orders', 'payments'].map((name) => ({ name, partitions: [{ partitionIndex: 0 }] }))
  const answers = await groups.coordinator.deleteOffsets('g', topics)
  assert.deepEqual(
    answers.map(({ partitions }) => partitions[0]?.errorCode),
    [86, 0],
  )
  const left = await groups.coordinator.fetchOffsets('g', null, false)
  assert.deepEqual(
    left.map(({ name }) => name),
    ['orders'],
  )
})

test('after a restart members have a whole session to come back, and are out when they do not', async () => {
  const groups = await openTestGroups()
  const members = await stableGroup(groups, 2)
  await groups.clock.advance(9_000)
  const again = await restart(groups)
  await again.clock.advance(9_000)
  assert.equal(await again.heartbeat({ ...members[0]!, generationId: 2 }), 'NONE')
  await again.clock.advance(1_000)
  assert.equal(again.state(), 'PreparingRebalance')
  assert.equal(await again.heartbeat({ ...members[0]!, generationId: 2 }), 'REBALANCE_IN_PROGRESS')
})

test('a group above the size limit joins again after a restart', async () => {
  const groups = await openTestGroups()
  await stableGroup(groups, 2)
  const again = await openTestGroups({ store: groups.store, configs: { 'group.max.size': '1' } })
  assert.equal(again.state(), 'PreparingRebalance')
})

test('a shard that moved away sends its members away, and is never an empty group', async () => {
  const groups = await openTestGroups()
  const [first] = await stableGroup(groups)
  const pending = await groups.join() // somebody is missed, so that the first has to wait
  const parked = groups.join({ memberId: first!.memberId })
  await groups.clock.advance(0)
  const shard = groups.coordinator.shardOf('g')
  await groups.coordinator.runtime.unload(shard)
  assert.equal((await parked).errorCode, 16)
  await assert.rejects(groups.heartbeat(first!), isKafkaError('NOT_COORDINATOR'))
  await assert.rejects(groups.committed(), isKafkaError('NOT_COORDINATOR'))
  assert.throws(() => groups.state(), isKafkaError('NOT_COORDINATOR'))
  await groups.coordinator.runtime.load(shard)
  assert.equal(groups.state(), 'Stable')
  assert.equal((await groups.join({ memberId: pending.memberId })).errorCode, 25)
})

test('records are those that Kafka writes: int16 type and key, int16 version and value', async () => {
  const groups = await openTestGroups()
  await groups.commit(7n, { topicId: 'AAAAAAAAAAAAAAAAAAAAAQ' })
  const [record] = groups.store.all()
  assert(record?.value)
  const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex')
  // type 1, 'g', 'orders', partition 0; version 4, offset 7, epoch -1, '', the time of the commit, the topic id
  assert.equal(hex(record.key), '0001' + '000167' + '00066f7264657273' + '00000000')
  const timestamp = 1_700_000_000_000n.toString(16).padStart(16, '0')
  const tag = '01' + '0010' + '1'.padStart(32, '0')
  assert.equal(hex(record.value), '0004' + '0000000000000007' + 'ffffffff' + '01' + timestamp + tag)
})

test('a record of a type that this broker does not know is left alone', () => {
  const key = Buffer.from([0, 3, 0, 1, 103])
  assert.deepEqual(parseGroupRecord({ key, value: null }), { kind: 'unknown', type: 3 })
})
