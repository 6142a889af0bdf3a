/** The APIs of groups through the real codecs, in every version: what their handlers add to the coordinator. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { DeleteGroups } from '../../protocol/apis/delete-groups.ts'
import { DescribeGroups } from '../../protocol/apis/describe-groups.ts'
import { FindCoordinator } from '../../protocol/apis/find-coordinator.ts'
import { Heartbeat } from '../../protocol/apis/heartbeat.ts'
import { JoinGroup } from '../../protocol/apis/join-group.ts'
import { LeaveGroup } from '../../protocol/apis/leave-group.ts'
import { ListGroups } from '../../protocol/apis/list-groups.ts'
import { OffsetCommit } from '../../protocol/apis/offset-commit.ts'
import { OffsetDelete } from '../../protocol/apis/offset-delete.ts'
import { OffsetFetch } from '../../protocol/apis/offset-fetch.ts'
import { SyncGroup } from '../../protocol/apis/sync-group.ts'
import { errorNameOf } from '../../protocol/errors.ts'
import { zeroUuid, type RequestInput } from '../../protocol/schema.ts'
import { startTestBroker, versionsOf, type Cleanup, type TestBroker } from '../support/broker.ts'
import { subscriptionOf } from '../support/groups.ts'
import { CrashDisk } from '../support/crash-disk.ts'

const groupId = 'g'
const unknownId = 'AAAAAAAAAAAAAAAAAAAAAQ'

function joinRequest(options: Partial<RequestInput<typeof JoinGroup>> = {}): RequestInput<typeof JoinGroup> {
  const protocols = [{ name: 'range', metadata: subscriptionOf(['orders']) }]
  return { groupId, sessionTimeoutMs: 10_000, memberId: '', protocolType: 'consumer', protocols, ...options }
}

interface Member {
  readonly memberId: string
  readonly generationId: number
}

/** A member of a stable group. */
async function enter(broker: TestBroker, version = 9): Promise<Member> {
  const first = await broker.send(JoinGroup, version, joinRequest())
  if (version >= 4) assert.equal(errorNameOf(first.errorCode), 'MEMBER_ID_REQUIRED')
  const joined = version >= 4 ? await broker.send(JoinGroup, version, joinRequest({ memberId: first.memberId })) : first
  const { memberId, generationId, errorCode, protocolName, leader } = joined
  assert.deepEqual([errorNameOf(errorCode), generationId, protocolName, leader], ['NONE', 1, 'range', memberId])
  const assignments = [{ memberId, assignment: Buffer.from('all') }]
  const protocol = { protocolType: 'consumer', protocolName: 'range' }
  const synced = await broker.send(SyncGroup, 5, { groupId, generationId, memberId, ...protocol, assignments })
  assert.equal(Buffer.from(synced.assignment).toString(), 'all')
  return { memberId, generationId }
}

function commitRequest(
  broker: TestBroker,
  options: Partial<RequestInput<typeof OffsetCommit>> & { readonly metadata?: string; readonly offset?: bigint } = {},
): RequestInput<typeof OffsetCommit> {
  const { metadata = 'm', offset = 7n, ...others } = options
  const { topicId } = broker.broker.parts.topics.find('orders')!.image
  const partitions = [{ partitionIndex: 0, committedOffset: offset, committedMetadata: metadata }]
  return { groupId, memberId: '', topics: [{ name: 'orders', topicId, partitions }], ...others }
}

async function commit(broker: TestBroker, options: Parameters<typeof commitRequest>[1] = {}) {
  const { topics } = await broker.send(OffsetCommit, 9, commitRequest(broker, options))
  return errorNameOf(topics[0]!.partitions[0]!.errorCode)
}

/** What is committed for orders-0, in the words of the version: offset, metadata and error. */
async function fetchOffset(broker: TestBroker, version: number, group = groupId) {
  const { topicId } = broker.broker.parts.topics.find('orders')!.image
  const topics = [{ name: 'orders', topicId, partitionIndexes: [0] }]
  const request =
    version >= 8
      ? { groupId: '', topics: [], groups: [{ groupId: group, topics }] }
      : { groupId: group, topics, groups: [] }
  const answer = await broker.send(OffsetFetch, version, request)
  const [topic] = version >= 8 ? answer.groups[0]!.topics : answer.topics
  const { committedOffset, metadata, errorCode } = topic!.partitions[0]!
  return [committedOffset, metadata, errorNameOf(errorCode)]
}

for (const version of versionsOf(JoinGroup)) {
  test(`T5: JoinGroup v${version}: a member joins, lives and leaves`, async (t) => {
    const broker = await startTestBroker(t)
    const { memberId, generationId } = await enter(broker, version)
    const heartbeatVersion = Math.min(version, 4)
    const alive = await broker.send(Heartbeat, heartbeatVersion, { groupId, generationId, memberId })
    assert.equal(alive.errorCode, 0)
    const leaveVersion = Math.min(version, 5)
    const who = leaveVersion >= 3 ? { memberId: '', members: [{ memberId }] } : { memberId, members: [] }
    const left = await broker.send(LeaveGroup, leaveVersion, { groupId, ...who })
    assert.equal(left.errorCode, 0)
    assert.deepEqual(
      left.members.map((member) => [member.memberId, member.errorCode]),
      leaveVersion >= 3 ? [[memberId, 0]] : [],
    )
    const after = await broker.send(Heartbeat, heartbeatVersion, { groupId, generationId, memberId })
    assert.equal(errorNameOf(after.errorCode), 'UNKNOWN_MEMBER_ID')
  })
}

test('T23: an empty group id is refused where members are meant, in every version', async (t) => {
  const broker = await startTestBroker(t)
  const member = { groupId: '', memberId: 'm', generationId: 1 }
  const codes: number[] = []
  for (const version of versionsOf(JoinGroup))
    codes.push((await broker.send(JoinGroup, version, joinRequest({ groupId: '' }))).errorCode)
  for (const version of versionsOf(SyncGroup)) {
    const protocol = version >= 5 ? { protocolType: 'consumer', protocolName: 'range' } : {}
    codes.push((await broker.send(SyncGroup, version, { ...member, ...protocol, assignments: [] })).errorCode)
  }
  for (const version of versionsOf(Heartbeat)) codes.push((await broker.send(Heartbeat, version, member)).errorCode)
  for (const version of versionsOf(LeaveGroup)) {
    const who = version >= 3 ? { memberId: '', members: [{ memberId: 'm' }] } : { memberId: 'm', members: [] }
    codes.push((await broker.send(LeaveGroup, version, { groupId: '', ...who })).errorCode)
  }
  codes.push((await broker.send(OffsetDelete, 0, { groupId: '', topics: [] })).errorCode)
  assert.deepEqual([...new Set(codes.map(errorNameOf))], ['INVALID_GROUP_ID'])
})

for (const version of versionsOf(OffsetCommit)) {
  test(`T23: OffsetCommit v${version} commits from outside of groups, also for the empty group id`, async (t) => {
    const broker = await startTestBroker(t, { topics: { orders: 1 } })
    for (const group of [groupId, '']) {
      const { topics } = await broker.send(OffsetCommit, version, commitRequest(broker, { groupId: group }))
      assert.equal(topics[0]!.partitions[0]!.errorCode, 0)
      assert.deepEqual(await fetchOffset(broker, 9, group), [7n, 'm', 'NONE'])
    }
  })

  test(`OffsetCommit v${version} refuses each partition with an error of its own`, async (t) => {
    const broker = await startTestBroker(t, { topics: { orders: 1 } })
    const { topicId } = broker.broker.parts.topics.find('orders')!.image
    const partition = (partitionIndex: number, committedMetadata = '') => ({
      partitionIndex,
      committedOffset: 1n,
      committedMetadata,
    })
    const partitions = [partition(9), partition(0, 'x'.repeat(4097)), partition(0)]
    const known = { name: 'orders', topicId, partitions }
    const unknown = { name: 'nowhere', topicId: unknownId, partitions: [partition(0)] }
    const answer = await broker.send(OffsetCommit, version, { groupId, memberId: '', topics: [known, unknown] })
    assert.deepEqual(
      answer.topics.map((topic) => topic.partitions.map(({ errorCode }) => errorNameOf(errorCode))),
      [
        ['UNKNOWN_TOPIC_OR_PARTITION', 'OFFSET_METADATA_TOO_LARGE', 'NONE'],
        [version >= 10 ? 'UNKNOWN_TOPIC_ID' : 'UNKNOWN_TOPIC_OR_PARTITION'],
      ],
    )
  })
}

for (const version of versionsOf(OffsetFetch)) {
  test(`T12: OffsetFetch v${version} reads what is committed, many groups at once where the version can`, async (t) => {
    const broker = await startTestBroker(t, { topics: { orders: 1 } })
    assert.equal(await commit(broker), 'NONE')
    assert.deepEqual(await fetchOffset(broker, version), [7n, 'm', 'NONE'])
    if (version < 8) return
    const groups = [groupId, 'nobody'].map((id) => ({ groupId: id, topics: null }))
    const answer = await broker.send(OffsetFetch, version, { groupId: '', topics: [], groups })
    assert.deepEqual(
      answer.groups.map((group) => [group.groupId, group.errorCode, group.topics.length]),
      [
        [groupId, 0, 1],
        ['nobody', 0, 0],
      ],
    )
  })
}

for (const version of versionsOf(FindCoordinator)) {
  test(`T12: FindCoordinator v${version} names the broker for each group`, async (t) => {
    const broker = await startTestBroker(t)
    const keys = ['a', '', 'b']
    const request = version >= 4 ? { key: '', coordinatorKeys: keys } : { key: 'a', coordinatorKeys: [] }
    const answer = await broker.send(FindCoordinator, version, request)
    const found = version >= 4 ? answer.coordinators : [{ ...answer, key: 'a' }]
    const { nodeId, host, port } = broker.broker.parts.endpoints()[0]!
    assert.deepEqual(
      found.map((each) => [each.key, each.errorCode, each.nodeId, each.host, each.port]),
      (version >= 4 ? keys : ['a']).map((key) => [key, 0, nodeId, host, port]),
    )
  })
}

for (const version of versionsOf(DescribeGroups)) {
  test(`DescribeGroups v${version} shows members; a group that nobody knows is dead, an error from v6 on`, async (t) => {
    const broker = await startTestBroker(t)
    const { memberId } = await enter(broker)
    const request = { groups: [groupId, 'nobody'], includeAuthorizedOperations: false }
    const { groups } = await broker.send(DescribeGroups, version, request)
    const [known, unknown] = groups
    assert.deepEqual([known!.groupState, known!.protocolType, known!.protocolData], ['Stable', 'consumer', 'range'])
    assert.deepEqual(
      known!.members.map((member) => [member.memberId, Buffer.from(member.memberAssignment).toString()]),
      [[memberId, 'all']],
    )
    assert.equal(unknown!.groupState, 'Dead')
    assert.equal(errorNameOf(unknown!.errorCode), version >= 6 ? 'GROUP_ID_NOT_FOUND' : 'NONE')
  })
}

for (const version of versionsOf(ListGroups)) {
  test(`ListGroups v${version} lists groups, by state and type where the version can`, async (t) => {
    const broker = await startTestBroker(t, { topics: { orders: 1 } })
    await enter(broker)
    await commit(broker, { groupId: 'offsets-only' })
    const list = async (statesFilter: string[] = [], typesFilter: string[] = []) => {
      const { groups } = await broker.send(ListGroups, version, { statesFilter, typesFilter })
      return groups.map((group) => group.groupId).toSorted()
    }
    assert.deepEqual(await list(), [groupId, 'offsets-only'])
    if (version >= 4) assert.deepEqual([await list(['stable']), await list(['Empty'])], [[groupId], ['offsets-only']])
    if (version < 5) return
    assert.deepEqual(await list([], ['Classic']), [groupId, 'offsets-only'])
    assert.deepEqual([await list([], ['consumer']), await list(['Stable'], ['classic'])], [[], [groupId]])
  })
}

for (const version of versionsOf(DeleteGroups)) {
  test(`DeleteGroups v${version} deletes a group with its offsets, not one with members`, async (t) => {
    const broker = await startTestBroker(t, { topics: { orders: 1 } })
    await enter(broker)
    await commit(broker, { groupId: 'offsets-only' })
    const groupsNames = ['offsets-only', groupId, 'nobody']
    const { results } = await broker.send(DeleteGroups, version, { groupsNames })
    assert.deepEqual(
      results.map((result) => [result.groupId, errorNameOf(result.errorCode)]),
      [
        ['offsets-only', 'NONE'],
        [groupId, 'NON_EMPTY_GROUP'],
        ['nobody', 'GROUP_ID_NOT_FOUND'],
      ],
    )
    assert.deepEqual(await fetchOffset(broker, 9, 'offsets-only'), [-1n, '', 'NONE'])
  })
}

for (const end of ['a stop', 'kill -9'] as const) {
  test(`T24: the first request after ${end} finds members and offsets as they were answered`, async (t) => {
    const disk = new CrashDisk(() => 0)
    // Whose process is gone can't stop cleanly later.
    const stopQuietly = async (stop: () => Promise<void> | void) => stop()
    const cleanup: Cleanup = { after: (stop) => t.after(() => stopQuietly(stop).catch(() => undefined)) }
    const before = await startTestBroker(cleanup, { disk, topics: { orders: 1 } })
    const member = await enter(before)
    const identity = { memberId: member.memberId, generationIdOrMemberEpoch: member.generationId }
    assert.equal(await commit(before, { ...identity, offset: 41n }), 'NONE')
    if (end === 'a stop') await before.broker.stop()

    const after = await startTestBroker(t, { disk: disk.kill() })
    const alive = await after.send(Heartbeat, 4, { groupId, ...member })
    assert.equal(errorNameOf(alive.errorCode), 'NONE')
    assert.deepEqual(await fetchOffset(after, 9), [41n, 'm', 'NONE'])
    assert.equal(await commit(after, { ...identity, offset: 42n }), 'NONE')
    assert.equal(await commit(after, { ...identity, generationIdOrMemberEpoch: 0 }), 'ILLEGAL_GENERATION')
  })
}

test('committed offsets can be asked for by name where no id is known', async (t) => {
  const broker = await startTestBroker(t, { topics: { orders: 1 } })
  await commit(broker)
  const topics = [{ name: 'orders', topicId: zeroUuid, partitionIndexes: [0, 1] }]
  const answer = await broker.send(OffsetFetch, 7, { groupId, topics, groups: [], requireStable: true })
  assert.deepEqual(
    answer.topics[0]!.partitions.map(({ committedOffset }) => committedOffset),
    [7n, -1n],
  )
})
