/** JoinGroup, SyncGroup, Heartbeat and LeaveGroup of classic groups, in every version. */
import { DescribeGroups } from '../../../protocol/apis/describe-groups.ts'
import { Heartbeat } from '../../../protocol/apis/heartbeat.ts'
import { JoinGroup } from '../../../protocol/apis/join-group.ts'
import { LeaveGroup } from '../../../protocol/apis/leave-group.ts'
import { SyncGroup } from '../../../protocol/apis/sync-group.ts'
import type { Scenario } from '../peer.ts'
import { commonVersionsOf } from '../versions.ts'
import { Member, protocolsOf, stableGroup, type MemberOptions } from './group-members.ts'
import { groupRecordScenario } from './group-records.ts'
import { describe, ensureCoordinator } from './group-requests.ts'

const joins: Scenario = {
  name: 'JoinGroup: what is refused',
  async run(peer) {
    await ensureCoordinator(peer)
    for (const version of commonVersionsOf(JoinGroup)) {
      const groupId = `join-refused-${version}`
      const newcomer = (options: MemberOptions = {}) => new Member(peer, groupId, { version, ...options })
      const refuse = (label: string, options: Parameters<Member['join']>[1]) => newcomer().join(label, options)
      await refuse('an empty group id', { groupId: '' })
      await refuse('a session timeout that is too short', { sessionTimeoutMs: 5_999 })
      await refuse('a session timeout that is too long', { sessionTimeoutMs: 1_800_001 })
      await refuse('a negative session timeout', { sessionTimeoutMs: -1 })
      await refuse('no protocols', { protocols: [] })
      await refuse('no protocol type', { protocolType: '' })
      await refuse('neither', { protocols: [], protocolType: '' })
      await refuse('a member id of no group', { memberId: 'nobody' })
      await refuse('a member id of no group, static', {
        memberId: 'nobody',
        ...(version >= 5 && { groupInstanceId: 'i' }),
      })
      await describe(peer, 'the group of those refused', groupId)
      const member = newcomer()
      await member.enter('the first member')
      await refuse('an unknown member id', { memberId: 'nobody' })
      await refuse('another protocol type', { protocolType: 'connect' })
      await refuse('no protocol type in a group with members', { protocolType: '' })
      await refuse('no protocols in a group with members', { protocols: [] })
      await refuse('protocols that nobody knows', { protocols: protocolsOf({ other: [] }) })
      await refuse('an unknown member id with protocols that nobody knows', {
        memberId: 'nobody',
        protocols: protocolsOf({ other: [] }),
      })
      if (version >= 5) {
        await refuse('an unknown static member with an id', { memberId: 'nobody', groupInstanceId: 'i' })
        await refuse('a dynamic member as a static one', { memberId: member.memberId, groupInstanceId: 'i' })
      }
      await member.leave('leaves')
      await member.leave('leaves again')
      await describe(peer, 'the group after it', groupId)
      await refuse('its id after it', { memberId: member.memberId })
    }
  },
}

const life: Scenario = {
  name: 'classic groups: the life of a group, in every version',
  async run(peer) {
    await ensureCoordinator(peer)
    for (const version of commonVersionsOf(JoinGroup)) {
      const groupId = `life-${version}`
      const [leader, follower] = (await stableGroup(peer, groupId, [
        { version, protocols: { range: ['orders'] } },
        { version, protocols: { range: ['jobs'] } },
      ])) as [Member, Member]
      const third = new Member(peer, groupId, { version })
      await describe(third.peer, 'a stable group', groupId)
      await leader.heartbeat('a heartbeat')
      await leader.heartbeat('an old generation', { generationId: 1 })
      await leader.heartbeat('generation -1', { generationId: -1 })
      await leader.heartbeat('a stranger', { memberId: 'nobody' })
      await leader.heartbeat('no member id', { memberId: '' })
      await follower.sync('syncs again')
      await follower.sync('an old generation', {}, { generationId: 1 })
      await follower.sync('a stranger', {}, { memberId: 'nobody' })
      if (version >= 7) {
        await follower.sync('another protocol type', {}, { protocolType: 'connect' })
        await follower.sync('another protocol', {}, { protocolName: 'sticky' })
        await follower.sync('no protocol type', {}, { protocolType: null })
        await follower.sync('no protocol', {}, { protocolName: null })
      }
      await follower.join('a follower joins again, unchanged')
      const joining = leader.join('the leader joins again')
      await follower.untilRebalance()
      await describe(third.peer, 'a group that joins', groupId)
      await follower.sync('syncs while the group joins')
      await follower.heartbeat('a heartbeat while the group joins')
      await follower.join('a follower joins too')
      await joining
      await describe(third.peer, 'a group that waits for its leader', groupId)
      await follower.heartbeat('a heartbeat while the leader assigns')
      await follower.join('an unchanged member joins again while the leader assigns')
      const syncing = follower.sync('waits for the leader')
      await leader.sync('assigns to nobody')
      await syncing
      await leader.leave('the leader leaves')
      await follower.untilRebalance()
      await follower.join('the last member joins')
      await follower.sync('assigns to itself', { [follower.memberId]: 'all' })
      await follower.leave('the last member leaves')
      await describe(third.peer, 'an empty group', groupId)
      await follower.heartbeat('a heartbeat to an empty group')
      await follower.sync('syncs with an empty group')
      await third.enter('someone enters the empty group')
      await third.leave('and leaves')
    }
  },
}

const rebalances: Scenario = {
  name: 'classic groups: changes of members',
  async run(peer) {
    await ensureCoordinator(peer)
    const groupId = 'changes'
    // Each reads a topic of its own, so that they can be told apart.
    const wants = (topic: string) => ({ range: [topic], sticky: [topic] })
    const options = ['orders', 'jobs', 'bills'].map((topic) => ({ protocols: wants(topic) }))
    const [a, b, c] = (await stableGroup(peer, groupId, options)) as [Member, Member, Member]
    const changed = a.join('a member changes what it wants', { protocols: protocolsOf({ sticky: ['orders'] }) })
    await b.untilRebalance()
    await Promise.all([changed, b.join('b joins too'), c.join('c joins too')])
    const assignments = Object.fromEntries([a, b, c].map(({ memberId }, index) => [memberId, `again ${index}`]))
    const protocolName = 'sticky'
    await Promise.all([
      a.sync('the leader', assignments, { protocolName }),
      b.sync('a follower', {}, { protocolName }),
      c.sync('another', {}, { protocolName }),
    ])
    await describe(peer, 'the protocol changed', groupId)
    await b.leave('a follower leaves')
    await a.untilRebalance()
    await Promise.all([a.join('a stays'), c.join('c stays')])
    await describe(peer, 'two are left, and wait for the leader', groupId)
    const joining = c.join('one joins while the leader assigns, changed', {
      protocols: protocolsOf({ sticky: ['bills'] }),
    })
    await a.untilRebalance()
    await a.sync('the leader is too late', {}, { protocolName })
    await Promise.all([joining, a.join('a joins again')])
    await a.leave('both leave at once', [
      { memberId: a.memberId, groupInstanceId: null },
      { memberId: c.memberId, groupInstanceId: null },
      { memberId: c.memberId, groupInstanceId: null },
      { memberId: 'nobody', groupInstanceId: null },
      { memberId: '', groupInstanceId: null },
      { memberId: '', groupInstanceId: 'i' },
    ])
    await describe(peer, 'all left', groupId)
    const other = new Member(peer, groupId, { protocolType: 'connect', protocols: { sessioned: [] } })
    await other.enter('a member of another protocol type takes the empty group')
    await other.sync('syncs', { [other.memberId]: 'tasks' }, { protocolType: 'connect', protocolName: 'sessioned' })
    await describe(peer, 'a group of Connect', groupId)
    await other.leave('leaves')
  },
}

const statics: Scenario = {
  name: 'classic groups: static members, in every version',
  async run(peer) {
    await ensureCoordinator(peer)
    for (const version of commonVersionsOf(JoinGroup).filter((each) => each >= 5)) {
      const groupId = `static-${version}`
      const options = ['i0', 'i1'].map((instance) => ({ version, instance }))
      const [leader, follower] = (await stableGroup(peer, groupId, options)) as [Member, Member]
      const again = async (instance: string, label: string) => {
        const member = new Member(peer, groupId, { version, instance })
        await member.join(label)
        return member
      }
      const back = await again('i1', 'a static member comes back')
      await back.sync('and asks for its assignment')
      await describe(peer, 'its id is another', groupId)
      await follower.heartbeat('the old id is fenced')
      await follower.sync('the old id does not sync')
      await follower.join('the old id does not join')
      await follower.leave('the old id does not leave')
      await follower.heartbeat('the old id without its instance', { groupInstanceId: null })
      await back.heartbeat('an instance that is none', { groupInstanceId: 'i9' })
      await back.heartbeat('the instance of another', { groupInstanceId: 'i0' })
      await back.heartbeat('no instance', { groupInstanceId: null })
      const second = await again('i0', 'the static leader comes back')
      await second.sync('the leader asks for its assignment')
      await leader.heartbeat('the old leader is fenced')
      await second.heartbeat('the new one lives')
      const named = (memberId: string, groupInstanceId: string | null) => ({ memberId, groupInstanceId })
      await back.leave('one leaves by its instance, others are wrong', [
        named('', 'i9'),
        named(follower.memberId, 'i1'),
        named(back.memberId, 'i9'),
        named('', 'i1'),
        named('', 'i1'),
      ])
      await second.untilRebalance()
      await second.join('the other joins again')
      await second.sync('and syncs', { [second.memberId]: 'all' })
      await second.leave('and leaves without its instance', [named(second.memberId, null)])
      await describe(peer, 'all are gone', groupId)
    }
  },
}

const strangers: Scenario = {
  name: 'classic groups: requests to groups that are not there, in every version',
  async run(peer) {
    await ensureCoordinator(peer)
    const member = { generationId: 1, memberId: 'nobody', groupInstanceId: null }
    for (const groupId of ['', 'nowhere']) {
      const label = groupId === '' ? 'an empty group id' : 'an unknown group'
      for (const version of commonVersionsOf(SyncGroup)) {
        const protocols = version >= 5 ? { protocolType: 'consumer', protocolName: 'range' } : {}
        await peer.ask(label, SyncGroup, version, { groupId, ...member, ...protocols, assignments: [] })
      }
      await peer.ask(`${label}, no protocol`, SyncGroup, 5, { groupId, ...member, assignments: [] })
      for (const version of commonVersionsOf(Heartbeat))
        await peer.ask(label, Heartbeat, version, { groupId, ...member })
      for (const version of commonVersionsOf(LeaveGroup)) {
        const leaving = [{ memberId: 'nobody' }, { memberId: '', groupInstanceId: 'i' }]
        const who = version >= 3 ? { memberId: '', members: leaving } : { memberId: 'nobody', members: [] }
        await peer.ask(label, LeaveGroup, version, { groupId, ...who })
        if (version >= 3)
          await peer.ask(`${label}, nobody`, LeaveGroup, version, { groupId, memberId: '', members: [] })
      }
    }
  },
}

const pending: Scenario = {
  name: 'classic groups: member ids that were given and not used yet',
  async run(peer) {
    await ensureCoordinator(peer)
    const groupId = 'pending'
    const first = new Member(peer, groupId)
    await first.join('a newcomer')
    // Kafka answers a moment before the group can be seen.
    await peer.askUntil('a group with a promised id', DescribeGroups, 5, {
      request: { groups: [groupId], includeAuthorizedOperations: false },
      isGood: ({ groups }) => groups[0]?.groupState !== 'Dead',
    })
    await first.heartbeat('a heartbeat of a promised id')
    await first.sync('a sync of a promised id')
    await first.join('a static member with a promised id', { groupInstanceId: 'i' })
    await first.leave('a promised id leaves')
    await first.join('joins after that')
    const second = new Member(peer, groupId)
    await second.join('another newcomer')
    await second.enter('enters with its id')
    await second.sync('syncs', { [second.memberId]: 'x' })
    await new Member(peer, groupId).join('a newcomer to a group with members')
    await second.heartbeat('nobody has to join again for it')
    await new Member(peer, groupId, { version: 9 }).join('other protocols', { protocols: protocolsOf({ other: [] }) })
    await second.leave('leaves')
  },
}

export const groupScenarios: readonly Scenario[] = [
  strangers,
  joins,
  life,
  rebalances,
  statics,
  pending,
  groupRecordScenario,
]
