import assert from 'node:assert/strict'
import { test } from 'node:test'
import { groupMoves, moveGroup, type GroupEvent, type GroupState } from '../../src/groups/group.ts'
import { answered, nameOf, openTestGroups, stableGroup, textOf } from '../support/groups.ts'

test('a group moves as its table says, and not otherwise', () => {
  const events: GroupEvent[] = ['rebalance', 'joined', 'emptied', 'assigned', 'deleted']
  const legal: string[] = []
  for (const state of Object.keys(groupMoves) as GroupState[]) {
    for (const event of events) {
      const next = groupMoves[state][event]
      if (next === undefined) assert.throws(() => moveGroup(state, event), /illegal/)
      else legal.push(`${state} ${event} ${moveGroup(state, event)}`)
    }
  }
  assert.deepEqual(legal, [
    'Empty rebalance PreparingRebalance',
    'Empty deleted Dead',
    'PreparingRebalance joined CompletingRebalance',
    'PreparingRebalance emptied Empty',
    'CompletingRebalance rebalance PreparingRebalance',
    'CompletingRebalance assigned Stable',
    'Stable rebalance PreparingRebalance',
  ])
})

test('one member joins, is the leader, assigns itself, and the group is stable', async () => {
  const groups = await openTestGroups()
  const [joined] = await answered(groups, [groups.enter()])
  assert(joined)
  assert.deepEqual([nameOf(joined), joined.generationId, joined.protocolName], ['NONE', 1, 'range'])
  assert.equal(joined.leader, joined.memberId)
  assert.deepEqual(
    joined.members.map(({ memberId }) => memberId),
    [joined.memberId],
  )
  assert.equal(groups.state(), 'CompletingRebalance')
  const synced = await groups.sync(joined, { assignments: { [joined.memberId]: 'all of it' } })
  assert.deepEqual([nameOf(synced), textOf(synced.assignment)], ['NONE', 'all of it'])
  assert.equal(groups.state(), 'Stable')
})

test('a second member makes the first join again; followers wait for the leader, and each gets its own assignment', async () => {
  const groups = await openTestGroups()
  const [first] = await stableGroup(groups)
  const joining = groups.enter()
  await groups.clock.advance(0)
  assert.equal(groups.state(), 'PreparingRebalance')
  assert.equal(await groups.heartbeat(first!), 'REBALANCE_IN_PROGRESS')
  const [leader, follower] = await answered(groups, [groups.join({ memberId: first!.memberId }), joining])
  assert.deepEqual([leader!.generationId, follower!.generationId], [2, 2])
  assert.deepEqual([leader!.members.length, follower!.members.length], [2, 0])
  const waiting = groups.sync(follower!)
  await groups.clock.advance(0)
  const assignments = { [leader!.memberId]: 'left', [follower!.memberId]: 'right' }
  const [own, other] = await answered(groups, [groups.sync(leader!, { assignments }), waiting])
  assert.deepEqual([textOf(own!.assignment), textOf(other!.assignment)], ['left', 'right'])
})

test('the assignment is answered, and the group stable, only when it is committed', async () => {
  const groups = await openTestGroups()
  const [joined] = await answered(groups, [groups.enter()])
  groups.store.fate = () => 'hold'
  let isAnswered = false
  const syncing = groups.sync(joined!, { assignments: { [joined!.memberId]: 'x' } }).then(() => (isAnswered = true))
  await groups.clock.advance(0)
  assert.deepEqual([isAnswered, groups.state()], [false, 'CompletingRebalance'])
  groups.store.release()
  await syncing
  assert.equal(groups.state(), 'Stable')
})

test('an assignment that could not be written is told to all who wait for it, and the group joins again', async () => {
  const groups = await openTestGroups()
  const members = await stableGroup(groups, 2)
  const again = members.map(({ memberId }) => groups.join({ memberId }))
  const [leader, follower] = await answered(groups, again)
  groups.store.fate = () => 'STORAGE_FAILED'
  const waiting = groups.sync(follower!)
  await groups.clock.advance(0)
  const answers = await answered(groups, [groups.sync(leader!), waiting])
  assert.deepEqual(answers.map(nameOf), ['NOT_COORDINATOR', 'NOT_COORDINATOR'])
  assert.equal(groups.state(), 'PreparingRebalance')
  groups.store.fate = () => 'write'
  const joined = await answered(
    groups,
    members.map(({ memberId }) => groups.join({ memberId })),
  )
  assert.deepEqual(
    joined.map(({ generationId }) => generationId),
    [4, 4],
  )
})

test('a group whose first record could not be written does not exist', async () => {
  const groups = await openTestGroups()
  groups.store.fate = () => 'NO_SPACE'
  await assert.rejects(groups.enter(), /NOT_COORDINATOR/)
  assert.equal(groups.state(), 'Dead')
})

test('the first rebalance waits for the configured delay, longer while members come, and at most the rebalance timeout', async () => {
  const groups = await openTestGroups({ configs: { 'group.initial.rebalance.delay.ms': '3000' } })
  const first = groups.enter({ rebalanceTimeoutMs: 8_000 })
  await groups.clock.advance(2_000)
  const second = groups.enter({ rebalanceTimeoutMs: 8_000 })
  await groups.clock.advance(2_000) // the delay of the first is over, and began again
  const third = groups.enter({ rebalanceTimeoutMs: 8_000 })
  await groups.clock.advance(3_999)
  assert.equal(groups.state(), 'PreparingRebalance')
  await groups.clock.advance(1)
  const joined = await answered(groups, [first, second, third])
  assert.deepEqual(
    joined.map(({ generationId }) => generationId),
    [1, 1, 1],
  )
})

test('members that do not join again within the longest rebalance timeout are out, and a new leader is found', async () => {
  const groups = await openTestGroups()
  const members = await stableGroup(groups, 3, () => ({ sessionTimeoutMs: 600_000, rebalanceTimeoutMs: 20_000 }))
  const options = { sessionTimeoutMs: 600_000, rebalanceTimeoutMs: 20_000 }
  const joining = [members[1]!, members[2]!].map(({ memberId }, index) =>
    groups.join({ ...options, memberId, protocols: { range: [`topic ${index}`] } }),
  )
  await groups.clock.advance(19_999)
  assert.equal(groups.state(), 'PreparingRebalance')
  await groups.clock.advance(1)
  const joined = await Promise.all(joining)
  assert.deepEqual(
    joined.map((answer) => [answer.generationId, answer.leader, answer.members.length]),
    [
      [4, members[1]!.memberId, 2],
      [4, members[1]!.memberId, 0],
    ],
  )
  assert.equal(await groups.heartbeat(members[0]!), 'UNKNOWN_MEMBER_ID')
})

test('a member that is silent for its session timeout is out; heartbeats and commits keep it in', async () => {
  const groups = await openTestGroups()
  const [first, second] = await stableGroup(groups, 2)
  for (let round = 0; round < 3; round++) {
    await groups.clock.advance(6_000)
    const member = { ...first!, generationId: 2 }
    if (round % 2 === 0) assert.equal(await groups.commit(BigInt(round), { member }), 'NONE')
    else await groups.heartbeat(member)
  }
  assert.equal(groups.state(), 'PreparingRebalance')
  assert.equal(await groups.heartbeat({ ...second!, generationId: 2 }), 'UNKNOWN_MEMBER_ID')
})

test('a member id that nobody comes back with is given up after the session timeout, and nobody waits for it', async () => {
  const groups = await openTestGroups()
  const [first] = await stableGroup(groups)
  const pending = await groups.join()
  assert.equal(nameOf(pending), 'MEMBER_ID_REQUIRED')
  const joining = groups.join({ memberId: first!.memberId })
  await groups.clock.advance(9_999)
  assert.equal(groups.state(), 'PreparingRebalance')
  await groups.clock.advance(1)
  assert.equal((await joining).generationId, 2)
  assert.equal(nameOf(await groups.join({ memberId: pending.memberId })), 'UNKNOWN_MEMBER_ID')
})

test('members that never ask for their assignment are out after the rebalance timeout', async () => {
  const groups = await openTestGroups()
  const members = await stableGroup(groups, 2)
  const [leader] = await answered(
    groups,
    members.map(({ memberId }) => groups.join({ memberId, sessionTimeoutMs: 100_000 })),
  )
  await groups.sync(leader!)
  await groups.clock.advance(59_999)
  assert.equal(groups.state(), 'Stable')
  await groups.clock.advance(1)
  assert.equal(groups.state(), 'PreparingRebalance')
  assert.equal(await groups.heartbeat({ ...members[1]!, generationId: 3 }), 'UNKNOWN_MEMBER_ID')
  assert.equal(await groups.heartbeat({ ...leader!, generationId: 3 }), 'REBALANCE_IN_PROGRESS')
})

test('when all leave the group is empty, and its generation counts on', async () => {
  const groups = await openTestGroups()
  const [member] = await stableGroup(groups)
  assert.equal(await groups.leave(member!), 'NONE')
  assert.equal(groups.state(), 'Empty')
  const [again] = await stableGroup(groups)
  assert.equal(again!.generationId, 3)
})

test('a leave that empties the group takes its members out also when that can not be written', async () => {
  const groups = await openTestGroups()
  const [member] = await stableGroup(groups)
  groups.store.fate = () => 'STORAGE_FAILED'
  await assert.rejects(groups.leave(member!))
  assert.equal(groups.state(), 'Empty')
})

test('the protocol is the one that most members want of those that all know', async () => {
  const groups = await openTestGroups()
  const wishes = [
    { range: [], sticky: [], only: [] },
    { sticky: [], range: [] },
    { sticky: [], range: [], other: [] },
  ]
  const members = await stableGroup(groups, 3, (index) => ({ protocols: wishes[index]! }))
  assert.deepEqual(
    members.map(({ protocolName }) => protocolName),
    ['sticky', 'sticky', 'sticky'],
  )
  const stranger = await groups.join({ protocols: { only: [] } })
  assert.equal(nameOf(stranger), 'INCONSISTENT_GROUP_PROTOCOL')
})

test('a group of any protocol type works, its bytes unread', async () => {
  const groups = await openTestGroups()
  const options = { protocolType: 'connect', protocols: { sessioned: ['x'] } }
  const [leader] = await answered(groups, [groups.enter(options)])
  assert.deepEqual([nameOf(leader!), leader!.protocolType], ['NONE', 'connect'])
  assert.equal(nameOf(await groups.join({ protocols: { sessioned: ['x'] } })), 'INCONSISTENT_GROUP_PROTOCOL')
})

test('group.max.size refuses newcomers, and those who come last when members join again', async () => {
  const groups = await openTestGroups({ configs: { 'group.max.size': '2' } })
  const members = await stableGroup(groups, 2)
  assert.equal(nameOf(await groups.join()), 'GROUP_MAX_SIZE_REACHED')
  const joined = await answered(
    groups,
    members.map(({ memberId }) => groups.join({ memberId })),
  )
  assert.deepEqual(joined.map(nameOf), ['NONE', 'NONE'])
})

test('session timeouts outside of the limits of the broker are refused', async () => {
  const groups = await openTestGroups({
    configs: { 'group.min.session.timeout.ms': '100', 'group.max.session.timeout.ms': '200' },
  })
  for (const sessionTimeoutMs of [99, 201])
    assert.equal(nameOf(await groups.join({ sessionTimeoutMs })), 'INVALID_SESSION_TIMEOUT')
  for (const sessionTimeoutMs of [100, 200])
    assert.equal(nameOf(await groups.join({ sessionTimeoutMs })), 'MEMBER_ID_REQUIRED')
})

test('before JoinGroup v4 a newcomer joins at once, without a member id', async () => {
  const groups = await openTestGroups()
  const [joined] = await answered(groups, [groups.join({ version: 3 })])
  assert.deepEqual([nameOf(joined!), joined!.generationId], ['NONE', 1])
})

test('of a member that asks twice to join, the later request is answered with the generation', async () => {
  const groups = await openTestGroups()
  const members = await stableGroup(groups, 2)
  const { memberId } = members[0]!
  const early = groups.join({ memberId })
  await groups.clock.advance(0)
  const late = groups.join({ memberId })
  const [old, current] = await answered(groups, [early, late, groups.join({ memberId: members[1]!.memberId })])
  assert.deepEqual([nameOf(old!), nameOf(current!)], ['REBALANCE_IN_PROGRESS', 'NONE'])
})
