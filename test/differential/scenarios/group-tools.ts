/** What tools ask of groups: FindCoordinator, DescribeGroups, ListGroups, DeleteGroups. */
import { DeleteGroups } from '../../../protocol/apis/delete-groups.ts'
import { DescribeGroups } from '../../../protocol/apis/describe-groups.ts'
import { DescribeConfigs } from '../../../protocol/apis/describe-configs.ts'
import { FindCoordinator } from '../../../protocol/apis/find-coordinator.ts'
import { ListGroups } from '../../../protocol/apis/list-groups.ts'
import { Metadata } from '../../../protocol/apis/metadata.ts'
import { metadataRequest } from '../../support/requests.ts'
import type { Peer, Scenario } from '../peer.ts'
import { commonVersionsOf } from '../versions.ts'
import { Member, stableGroup } from './group-members.ts'
import { commit, describe, ensureCoordinator } from './group-requests.ts'
import { createTopic } from './topic.ts'

const coordinators: Scenario = {
  name: 'FindCoordinator, in every version',
  async run(peer) {
    await ensureCoordinator(peer)
    for (const version of commonVersionsOf(FindCoordinator)) {
      const ask = async (label: string, keyType: number, keys: readonly string[]) =>
        await peer.ask(label, FindCoordinator, version, {
          key: version >= 4 ? '' : (keys[0] ?? ''),
          keyType,
          coordinatorKeys: version >= 4 ? [...keys] : [],
        })
      await ask('a group', 0, ['g'])
      await ask('an empty group id', 0, [''])
      if (version >= 4) {
        await ask('three groups', 0, ['g', 'h', 'g'])
        await ask('no groups', 0, [])
      }
      if (version >= 1) await ask('a type that is none', 7, ['g'])
    }
  },
}

const described: Scenario = {
  name: 'DescribeGroups, ListGroups and DeleteGroups, in every version',
  async run(peer) {
    await ensureCoordinator(peer)
    await createTopic(peer, 'group-tools')
    const [member] = (await stableGroup(peer, 'tools-stable', [{ instance: 'i0' }])) as [Member]
    await commit(peer, { groupId: 'tools-simple', topic: 'group-tools' })
    const connect = new Member(peer, 'tools-connect', { protocolType: 'connect', protocols: { sessioned: [] } })
    await connect.enter('a member of Connect')
    const gone = new Member(peer, 'tools-empty')
    await gone.enter('a member')
    await gone.leave('leaves')
    const groups = ['tools-stable', 'tools-simple', 'tools-connect', 'tools-empty', 'tools-unknown', '', 'tools-empty']
    for (const version of commonVersionsOf(DescribeGroups)) {
      await peer.ask('groups', DescribeGroups, version, { groups, includeAuthorizedOperations: false })
      await peer.ask('no groups', DescribeGroups, version, { groups: [], includeAuthorizedOperations: false })
      if (version >= 3)
        await peer.ask('operations', DescribeGroups, version, { groups, includeAuthorizedOperations: true })
    }
    for (const version of commonVersionsOf(ListGroups)) {
      const list = (label: string, statesFilter: string[], typesFilter: string[] = []) =>
        peer.ask(label, ListGroups, version, { statesFilter, typesFilter })
      await list('all', [])
      if (version < 4) continue
      for (const state of [
        'Stable',
        'stable',
        'Empty',
        'CompletingRebalance',
        'PreparingRebalance',
        'Dead',
        'Assigning',
      ])
        await list(`state ${state}`, [state])
      await list('two states', ['Empty', 'Stable'])
      await list('states with blanks, and none', [' Stable', ''])
      if (version < 5) continue
      for (const type of ['classic', 'Classic', 'consumer', 'share', 'streams', 'none'])
        await list(`type ${type}`, [], [type])
      await list('two types', [], ['consumer', 'classic'])
      await list('state and type', ['Empty'], ['classic'])
    }
    await deleteGroups(peer)
    await member.heartbeat('the stable group is still there')
    await connect.leave('leaves')
  },
}

async function deleteGroups(peer: Peer): Promise<void> {
  for (const version of commonVersionsOf(DeleteGroups)) {
    const groupId = `tools-doomed-${version}`
    await commit(peer, { groupId, topic: 'group-tools' })
    const ask = (label: string, ...groupsNames: string[]) => peer.ask(label, DeleteGroups, version, { groupsNames })
    await ask('a group with members', 'tools-stable')
    await ask('no groups')
    await ask('an empty id', '')
    await ask('some', groupId, 'tools-stable', 'tools-unknown')
    await ask('it is gone', groupId)
    await commit(peer, { groupId, topic: 'group-tools' })
    await ask('one twice', groupId, groupId)
    await describe(peer, 'a deleted group', groupId)
  }
}

const offsetsTopic: Scenario = {
  name: '__consumer_offsets as a topic',
  async run(peer) {
    await ensureCoordinator(peer)
    await commit(peer, { groupId: 'tools-simple', topic: 'group-tools' })
    const configurationKeys = [
      'cleanup.policy',
      'compression.type',
      'segment.bytes',
      'retention.ms',
      'max.message.bytes',
    ]
    await peer.ask('its configs', DescribeConfigs, 4, {
      resources: [{ resourceType: 2, resourceName: '__consumer_offsets', configurationKeys }],
      includeSynonyms: false,
      includeDocumentation: false,
    })
    const { topics } = await peer.prepare(Metadata, 9, metadataRequest(['__consumer_offsets']))
    peer.note('in metadata', '__consumer_offsets', {
      isInternal: topics[0]!.isInternal,
      count: topics[0]!.partitions.length,
    })
  },
}

export const groupToolScenarios: readonly Scenario[] = [coordinators, described, offsetsTopic]
