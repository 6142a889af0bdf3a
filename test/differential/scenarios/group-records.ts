/** What brokers write into `__consumer_offsets`, record by record. */
import { decodeRecord } from '../../../protocol/compile.ts'
import { Fetch } from '../../../protocol/apis/fetch.ts'
import { splitWholeBatches } from '../../../protocol/records/batch.ts'
import { decodeRecords } from '../../../protocol/records/record.ts'
import { Reader } from '../../../protocol/reader.ts'
import { zeroUuid, type RecordType } from '../../../protocol/schema.ts'
import {
  GroupMetadataKey,
  GroupMetadataValue,
  OffsetCommitKey,
  OffsetCommitValue,
} from '../../../protocol/state/group-records.ts'
import { DeleteGroups } from '../../../protocol/apis/delete-groups.ts'
import { OffsetDelete } from '../../../protocol/apis/offset-delete.ts'
import { shardOf } from '../../../src/coordinators/shard-key.ts'
import type { Peer, Scenario } from '../peer.ts'
import { commit, ensureCoordinator } from './group-requests.ts'
import { Member, stableGroup } from './group-members.ts'
import { createTopic } from './topic.ts'

/** Of both brokers. */
const partitionCount = 4
const typesByKey: Readonly<Record<number, { key: RecordType; value: RecordType }>> = {
  1: { key: OffsetCommitKey, value: OffsetCommitValue },
  2: { key: GroupMetadataKey, value: GroupMetadataValue },
}

/** Keeps all records of the group for the comparison: the numbers before key and value, and their fields. */
async function noteRecords(peer: Peer, groupId: string): Promise<void> {
  const topic = '__consumer_offsets'
  const partition = shardOf(groupId, partitionCount)
  const seen: unknown[] = []
  for (let fetchOffset = 0n; ;) {
    const asked = { partition, fetchOffset, logStartOffset: -1n, partitionMaxBytes: 1_048_576 }
    const { responses } = await peer.prepare(Fetch, 11, {
      maxWaitMs: 0,
      minBytes: 0,
      topics: [{ topic, topicId: zeroUuid, partitions: [asked] }],
      forgottenTopicsData: [],
    })
    const batches = splitWholeBatches(Buffer.concat(responses[0]!.partitions[0]!.records ?? []))
    if (batches.length === 0) break
    for (const batch of batches) {
      for (const { key, value } of decodeRecords(batch)) {
        const record = shown(key!, value)
        if (record.key['group'] === groupId) seen.push(record)
      }
      fetchOffset = batch.header.baseOffset + BigInt(batch.header.lastOffsetDelta) + 1n
    }
  }
  peer.note(`the records of ${groupId}`, topic, { list: seen })
}

function shown(key: Uint8Array, value: Uint8Array | null) {
  const keyReader = new Reader(key)
  const number = keyReader.int16()
  const types = typesByKey[number]
  if (!types) return { number, key: {} as Record<string, unknown> }
  const keyFields = decodeRecord(types.key, 0, keyReader) as Record<string, unknown>
  if (value === null) return { number, key: keyFields, value: null }
  const valueReader = new Reader(value)
  const version = valueReader.int16()
  return { number, key: keyFields, version, value: decodeRecord(types.value, version, valueReader) }
}

export const groupRecordScenario: Scenario = {
  name: 'the records in __consumer_offsets',
  async run(peer) {
    await ensureCoordinator(peer)
    const topic = 'group-records'
    await createTopic(peer, topic, { partitions: 2 })
    const groupId = 'records'
    const members = [{ instance: 'i0' }, { protocols: { range: ['jobs'] } }]
    const [a, b] = (await stableGroup(peer, groupId, members)) as [Member, Member]
    const member = { memberId: b.memberId, generationIdOrMemberEpoch: b.generationId }
    await commit(peer, { groupId, topic, ...member, partitions: [{ committedLeaderEpoch: 3 }, { partitionIndex: 1 }] })
    const back = new Member(peer, groupId, { instance: 'i0' })
    await back.join('the static member comes back')
    await noteRecords(peer, groupId)
    await b.leave('a member leaves')
    await back.untilRebalance()
    await back.join('the other joins again')
    await back.sync('and syncs', { [back.memberId]: 'x' })
    await back.leave('and leaves')
    await a.heartbeat('nobody is left')
    const partitions = [{ partitionIndex: 1 }]
    await peer.ask('one offset is deleted', OffsetDelete, 0, { groupId, topics: [{ name: topic, partitions }] })
    await noteRecords(peer, groupId)
    await peer.ask('the group is deleted', DeleteGroups, 2, { groupsNames: [groupId] })
    await noteRecords(peer, groupId)
    const simple = 'records-simple'
    await commit(peer, { groupId: simple, topic, partitions: [{ committedMetadata: null }] })
    await noteRecords(peer, simple)
    await peer.ask('the simple group is deleted', DeleteGroups, 2, { groupsNames: [simple] })
    await noteRecords(peer, simple)
    const entering = new Member(peer, 'records-entering', { protocolType: 'connect', protocols: { sessioned: [] } })
    await entering.enter('a member that is not assigned yet')
    await noteRecords(peer, 'records-entering')
    await entering.leave('leaves')
    await noteRecords(peer, 'records-entering')
  },
}
