import assert from 'node:assert/strict'
import { test } from 'node:test'
import { answered, nameOf, openTestGroups, stableGroup, textOf } from '../support/groups.ts'

const ofInstance = (index: number) => ({ instance: `i${index}` })

test('a static member that comes back with a new id keeps its assignment, and nobody joins again', async () => {
  const groups = await openTestGroups()
  const [leader, follower] = await stableGroup(groups, 2, ofInstance)
  const back = await groups.join({ instance: 'i1' })
  assert.deepEqual([nameOf(back), back.generationId, back.members.length], ['NONE', 2, 0])
  assert.notEqual(back.memberId, follower!.memberId)
  assert.equal(groups.state(), 'Stable')
  const synced = await groups.sync(back, { instance: 'i1' })
  assert.equal(textOf(synced.assignment), 'assignment 1')
  assert.equal(await groups.heartbeat({ ...leader!, generationId: 2 }, { instance: 'i0' }), 'NONE')
})

test('the id that a static member had is fenced everywhere from then on', async () => {
  const groups = await openTestGroups()
  const [old] = await stableGroup(groups, 1, ofInstance)
  await groups.join({ instance: 'i0' })
  assert.equal(await groups.heartbeat(old!, { instance: 'i0' }), 'FENCED_INSTANCE_ID')
  assert.equal(await groups.heartbeat(old!), 'UNKNOWN_MEMBER_ID')
  assert.equal(nameOf(await groups.sync(old!, { instance: 'i0' })), 'FENCED_INSTANCE_ID')
  assert.equal(nameOf(await groups.join({ memberId: old!.memberId, instance: 'i0' })), 'FENCED_INSTANCE_ID')
  assert.equal(await groups.commit(9n, { member: old!, instance: 'i0' }), 'FENCED_INSTANCE_ID')
  assert.equal(await groups.commit(9n, { member: old! }), 'UNKNOWN_MEMBER_ID')
  assert.equal(await groups.leave(old!, { instance: 'i0' }), 'FENCED_INSTANCE_ID')
  assert.equal(await groups.committed(), -1n)
})

test('requests of the old id that are still parked are fenced when the member comes back', async () => {
  const groups = await openTestGroups()
  const [first, second] = await stableGroup(groups, 2, ofInstance)
  const parked = groups.join({ memberId: first!.memberId, instance: 'i0' })
  await groups.clock.advance(0)
  const back = groups.join({ instance: 'i0' })
  const others = groups.join({ memberId: second!.memberId, instance: 'i1' })
  const [fenced, joined] = await answered(groups, [parked, back, others])
  assert.deepEqual([nameOf(fenced!), nameOf(joined!)], ['FENCED_INSTANCE_ID', 'NONE'])
})

test('a static leader that comes back is told to skip the assignment from v9 on, and before to be a follower', async () => {
  const groups = await openTestGroups()
  const [leader] = await stableGroup(groups, 2, ofInstance)
  const modern = await groups.join({ instance: 'i0', version: 9 })
  assert.deepEqual([modern.skipAssignment, modern.leader, modern.members.length], [true, modern.memberId, 2])
  const older = await groups.join({ instance: 'i0', version: 8 })
  assert.deepEqual([older.skipAssignment, older.leader, older.members.length], [undefined, modern.memberId, 0])
  assert.notEqual(leader!.memberId, older.leader)
})

test('a new id of a static member that could not be written is not given: the old one goes on', async () => {
  const groups = await openTestGroups()
  const [old] = await stableGroup(groups, 1, ofInstance)
  groups.store.fate = () => 'STORAGE_FAILED'
  const refused = await groups.join({ instance: 'i0' })
  assert.deepEqual([nameOf(refused), refused.memberId], ['NOT_COORDINATOR', ''])
  assert.equal(await groups.heartbeat(old!, { instance: 'i0' }), 'NONE')
})

test('a static member whose wishes change the protocol makes the group join again', async () => {
  const groups = await openTestGroups()
  const both = { range: ['orders'], sticky: ['orders'] }
  await stableGroup(groups, 1, (index) => ({ ...ofInstance(index), protocols: both }))
  const [back] = await answered(groups, [groups.join({ instance: 'i0', protocols: { sticky: ['orders'] } })])
  assert.deepEqual([back!.generationId, back!.protocolName], [2, 'sticky'])
})

test('a static member that comes back while the leader assigns makes the group join again', async () => {
  const groups = await openTestGroups()
  const members = await stableGroup(groups, 2, ofInstance)
  const again = members.map(({ memberId }, index) => groups.join({ memberId, ...ofInstance(index) }))
  const [leader] = await answered(groups, again)
  const waiting = groups.join({ instance: 'i1' })
  await groups.clock.advance(0)
  assert.equal(nameOf(await groups.sync(leader!, { instance: 'i0' })), 'REBALANCE_IN_PROGRESS')
  const [joined] = await answered(groups, [waiting, groups.join({ memberId: leader!.memberId, instance: 'i0' })])
  assert.equal(joined!.generationId, 4)
})

test('a rebalance does not take out static members before their session timeout', async () => {
  const groups = await openTestGroups()
  const options = (index: number) => ({
    ...ofInstance(index),
    sessionTimeoutMs: 200_000,
    rebalanceTimeoutMs: 5_000,
  })
  const [, second] = await stableGroup(groups, 2, options)
  const joining = groups.join({ ...options(1), memberId: second!.memberId, protocols: { range: ['other'] } })
  await groups.clock.advance(5_000)
  const joined = await joining
  assert.deepEqual([joined.generationId, joined.leader, joined.members.length], [3, joined.memberId, 2])
})

test('tools take static members out by their static id alone', async () => {
  const groups = await openTestGroups()
  await stableGroup(groups, 1, ofInstance)
  assert.equal(await groups.leave({ memberId: '' }, { instance: 'i9' }), 'UNKNOWN_MEMBER_ID')
  assert.equal(await groups.leave({ memberId: '' }, { instance: 'i0' }), 'NONE')
  assert.equal(groups.state(), 'Empty')
})
