/** OffsetCommit, OffsetFetch and OffsetDelete, in every version. */
import { CreateTopics } from '../../../protocol/apis/create-topics.ts'
import { DeleteTopics } from '../../../protocol/apis/delete-topics.ts'
import { OffsetCommit } from '../../../protocol/apis/offset-commit.ts'
import { OffsetDelete } from '../../../protocol/apis/offset-delete.ts'
import { OffsetFetch } from '../../../protocol/apis/offset-fetch.ts'
import { zeroUuid, type RequestInput, type Uuid } from '../../../protocol/schema.ts'
import type { Scenario } from '../peer.ts'
import { commonVersionsOf } from '../versions.ts'
import { Member, stableGroup } from './group-members.ts'
import { commit, commitRequest, describe, ensureCoordinator, type CommitOptions } from './group-requests.ts'
import { createTopic, unknownId } from './topic.ts'

/** A request for the offsets of one group, in the words of the version. */
function fetchRequest(
  version: number,
  groupId: string,
  topics: readonly { name?: string; topicId?: Uuid; partitionIndexes: number[] }[] | null,
): RequestInput<typeof OffsetFetch> {
  const named = topics?.map(({ name = '', topicId = zeroUuid, partitionIndexes }) => ({
    name,
    topicId,
    partitionIndexes,
  }))
  if (version >= 8) return { groupId: '', topics: [], groups: [{ groupId, topics: named ?? null }] }
  return { groupId, topics: named ?? null, groups: [] }
}

const commits: Scenario = {
  name: 'OffsetCommit: from outside of groups, in every version',
  async run(peer) {
    await ensureCoordinator(peer)
    const topic = 'offset-commits'
    const topicId = await createTopic(peer, topic, { partitions: 2 })
    for (const version of commonVersionsOf(OffsetCommit)) {
      const groupId = `commits-${version}`
      const ask = (label: string, options: Partial<CommitOptions> = {}) =>
        peer.ask(label, OffsetCommit, version, commitRequest({ groupId, topic, topicId, ...options }))
      await ask('one offset')
      await ask('two partitions and one that is none', {
        partitions: [{ partitionIndex: 9 }, {}, { partitionIndex: 1 }],
      })
      await ask('a negative partition', { partitions: [{ partitionIndex: -1 }] })
      await ask('the same partition twice', { partitions: [{}, { committedOffset: 8n }] })
      await ask('no metadata', { partitions: [{ committedMetadata: null }] })
      await ask('the longest metadata', { partitions: [{ committedMetadata: 'x'.repeat(4096) }] })
      await ask('metadata that is too long', {
        partitions: [{ committedMetadata: 'x'.repeat(4097) }, { partitionIndex: 1 }],
      })
      await ask('metadata of many bytes and few letters', { partitions: [{ committedMetadata: 'ü'.repeat(4096) }] })
      await ask('a negative offset', { partitions: [{ partitionIndex: 1, committedOffset: -5n }] })
      await ask('an unknown topic', { topic: 'offset-nowhere', topicId: unknownId })
      await ask('an invalid topic', { topic: 'a b', topicId: zeroUuid })
      await ask('no partitions', { partitions: [] })
      await peer.ask('no topics', OffsetCommit, version, { groupId, memberId: '', topics: [] })
      await ask('an empty group id', { groupId: '' })
      await ask('a generation of no group', { groupId: 'commits-nowhere', generationIdOrMemberEpoch: 3, memberId: 'm' })
      await ask('a generation without a member', { groupId: 'commits-nowhere', generationIdOrMemberEpoch: 3 })
      await ask('a member without a generation', { groupId: 'commits-nowhere2', memberId: 'm' })
      await ask('a generation of an empty group', { generationIdOrMemberEpoch: 0, memberId: 'm' })
      await ask('a member of an empty group', { memberId: 'm' })
      if (version <= 4) await ask('with a retention', { retentionTimeMs: 3_600_000n })
      if (version >= 7) await ask('an instance of an empty group', { groupInstanceId: 'i' })
      await peer.ask('what is committed', OffsetFetch, 7, fetchRequest(7, groupId, null))
    }
  },
}

const memberCommits: Scenario = {
  name: 'OffsetCommit: from members, in every version',
  async run(peer) {
    await ensureCoordinator(peer)
    const topic = 'offset-members'
    const topicId = await createTopic(peer, topic)
    for (const version of commonVersionsOf(OffsetCommit)) {
      const groupId = `member-commits-${version}`
      const instance = version >= 7 ? 'i0' : null
      const [a, b] = (await stableGroup(peer, groupId, [{ instance }, { protocols: { range: ['jobs'] } }])) as [
        Member,
        Member,
      ]
      const ask = (label: string, member: Member | undefined, options: Partial<CommitOptions> = {}) =>
        peer.ask(label, OffsetCommit, version, {
          ...commitRequest({ groupId, topic, topicId, ...options }),
          ...(member && { memberId: member.memberId, generationIdOrMemberEpoch: member.generationId }),
          ...(member && version >= 7 && { groupInstanceId: member.instance }),
          ...options,
        })
      await ask('a member', b)
      await ask('a static member', a)
      await ask('an old generation', b, { generationIdOrMemberEpoch: 1 })
      await ask('a generation to come', b, { generationIdOrMemberEpoch: 9 })
      await ask('generation -1', b, { generationIdOrMemberEpoch: -1 })
      await ask('a stranger', undefined, { memberId: 'nobody', generationIdOrMemberEpoch: 2 })
      await ask('from outside', undefined)
      if (version >= 7) {
        await ask('an instance that is none', b, { groupInstanceId: 'i9' })
        await ask('the instance of another', b, { groupInstanceId: 'i0' })
        await ask('an instance without a generation', undefined, { groupInstanceId: 'i0' })
      }
      const joining = a.join('the leader joins again')
      await b.untilRebalance()
      await ask('while the group joins', b)
      await b.join('the other joins too')
      await joining
      await ask('while the leader assigns', b)
      await ask('of the generation before', b, { generationIdOrMemberEpoch: b.generationId - 1 })
      await ask('from outside while the leader assigns', undefined)
      await peer.ask('what is committed', OffsetFetch, 7, fetchRequest(7, groupId, null))
      await a.leave('both leave', [
        { memberId: a.memberId, groupInstanceId: instance },
        { memberId: b.memberId, groupInstanceId: null },
      ])
      await ask('after it left', b)
      await ask('from outside when all are gone', undefined)
    }
  },
}

const fetches: Scenario = {
  name: 'OffsetFetch, in every version',
  async run(peer) {
    await ensureCoordinator(peer)
    const name = 'offset-fetches'
    const topicId = await createTopic(peer, name, { partitions: 3 })
    const groupId = 'fetches'
    await commit(peer, { groupId, topic: name, partitions: [{ committedLeaderEpoch: 0 }] })
    await commit(peer, { groupId, topic: name, partitions: [{ partitionIndex: 2, committedMetadata: null }] })
    await commit(peer, { groupId: '', topic: name, partitions: [{ committedOffset: 3n }] })
    const known = { name, topicId }
    for (const version of commonVersionsOf(OffsetFetch)) {
      const ask = (label: string, group: string, topics: Parameters<typeof fetchRequest>[2]) =>
        peer.ask(label, OffsetFetch, version, fetchRequest(version, group, topics))
      await ask('three partitions', groupId, [{ ...known, partitionIndexes: [0, 1, 2] }])
      await ask('partitions that are none', groupId, [{ ...known, partitionIndexes: [9, -1] }])
      await ask('the same partition twice', groupId, [{ ...known, partitionIndexes: [0, 0] }])
      await ask('no partitions', groupId, [{ ...known, partitionIndexes: [] }])
      await ask('no topics', groupId, [])
      await ask('an unknown topic', groupId, [{ name: 'offset-nowhere', topicId: unknownId, partitionIndexes: [0] }])
      await ask('no topic', groupId, [{ name: '', topicId: zeroUuid, partitionIndexes: [0] }])
      await ask('an unknown group', 'fetches-nowhere', [{ ...known, partitionIndexes: [0, 1] }])
      await ask('the empty group id', '', [{ ...known, partitionIndexes: [0, 1] }])
      if (version < 2) continue
      await ask('all', groupId, null)
      await ask('all of an unknown group', 'fetches-nowhere', null)
      await ask('all of the empty group id', '', null)
      if (version < 7) continue
      const stable = { ...fetchRequest(version, groupId, null), requireStable: true }
      await peer.ask('what is stable', OffsetFetch, version, stable)
      if (version < 8) continue
      const topics = [{ name, topicId, partitionIndexes: [0] }]
      const groups = [groupId, 'fetches-nowhere', '', groupId].map((id) => ({ groupId: id, topics }))
      await peer.ask('many groups', OffsetFetch, version, { groupId: '', topics: [], groups })
      await peer.ask('no groups', OffsetFetch, version, { groupId: '', topics: [], groups: [] })
      if (version < 9) continue
      for (const memberEpoch of [-1, 0, 5])
        await peer.ask(`member epoch ${memberEpoch} in a classic group`, OffsetFetch, version, {
          groupId: '',
          topics: [],
          groups: [{ groupId, memberId: 'nobody', memberEpoch, topics }],
        })
    }
  },
}

const deletions: Scenario = {
  name: 'OffsetDelete',
  async run(peer) {
    await ensureCoordinator(peer)
    const topic = 'offset-deletes'
    await createTopic(peer, topic, { partitions: 2 })
    await createTopic(peer, 'offset-deletes-2')
    const groupId = 'deletes'
    const all = (partitions: readonly number[], name = topic) => ({
      name,
      partitions: partitions.map((partitionIndex) => ({ partitionIndex })),
    })
    const ask = (label: string, topics: ReturnType<typeof all>[], group = groupId) =>
      peer.ask(label, OffsetDelete, 0, { groupId: group, topics })
    const left = (label: string) => peer.ask(label, OffsetFetch, 7, fetchRequest(7, groupId, null))
    await ask('an unknown group', [all([0])])
    await ask('an empty group id', [all([0])], '')
    await commit(peer, { groupId, topic, partitions: [{}, { partitionIndex: 1 }] })
    await ask('a partition that is none', [all([0, 5, -1])])
    await left('one is left')
    await ask('what is not committed', [all([0])])
    await ask('an unknown topic', [all([0], 'offset-nowhere')])
    await ask('no topics', [])
    await ask('no partitions', [all([])])
    await ask('the last offset', [all([1])])
    await left('nothing is left')
    await describe(peer, 'the group', groupId)
    await commit(peer, { groupId, topic })
    await commit(peer, { groupId, topic: 'offset-deletes-2' })
    const [reader] = (await stableGroup(peer, groupId, [{ protocols: { range: [topic] } }])) as [Member]
    await ask('of a topic that is read, and one that is not', [all([0]), all([0], 'offset-deletes-2')])
    await left('those of the topic that is read')
    await reader.leave('leaves')
    await ask('of a topic that nobody reads any more', [all([0])])
    const connect = new Member(peer, 'deletes-connect', { protocolType: 'connect', protocols: { sessioned: [] } })
    await connect.enter('a member of Connect')
    await ask('a group of another type', [all([0])], 'deletes-connect')
    await connect.leave('leaves')
  },
}

const deletedTopics: Scenario = {
  name: 'committed offsets of a topic that is deleted',
  async run(peer) {
    await ensureCoordinator(peer)
    const topic = 'offset-deleted'
    const topicId = await createTopic(peer, topic)
    const groupId = 'deleted-topics'
    await commit(peer, { groupId, topic })
    await peer.prepare(DeleteTopics, 6, {
      topics: [{ name: topic, topicId: zeroUuid }],
      topicNames: [],
      timeoutMs: 5_000,
    })
    await peer.askUntil('its offsets are gone', OffsetFetch, 7, {
      request: fetchRequest(7, groupId, [{ name: topic, partitionIndexes: [0] }]),
      isGood: ({ topics }) => topics[0]?.partitions[0]?.committedOffset === -1n,
    })
    await peer.ask('all offsets', OffsetFetch, 7, fetchRequest(7, groupId, null))
    await peer.ask('by the old id', OffsetFetch, 10, fetchRequest(10, groupId, [{ topicId, partitionIndexes: [0] }]))
    await peer.ask('a commit by the old id', OffsetCommit, 10, commitRequest({ groupId, topicId }))
    await peer.ask('a commit by the name', OffsetCommit, 9, commitRequest({ groupId, topic }))
    await describe(peer, 'the group', groupId)
    await peer.ask('internal topics are not created by clients', CreateTopics, 7, {
      topics: [{ name: '__consumer_offsets', numPartitions: 1, replicationFactor: 1, assignments: [], configs: [] }],
      timeoutMs: 5_000,
      validateOnly: false,
    })
  },
}

export const groupOffsetScenarios: readonly Scenario[] = [commits, memberCommits, fetches, deletions, deletedTopics]
