/** What one shard of groups knows: groups and committed offsets, as their records say. */
import type { CoordinatorRecord } from '../coordinators/coordinator-store.ts'
import { emptyGroup, type Group } from './group.ts'
import { parseGroupRecord, type CommittedOffset } from './group-records.ts'

/** Committed offsets of a group: topic name, partition index. */
export type GroupOffsets = Map<string, Map<number, CommittedOffset>>

export interface GroupShardState {
  readonly groups: Map<string, Group>
  readonly offsets: Map<string, GroupOffsets>
}

export function emptyShard(): GroupShardState {
  return { groups: new Map(), offsets: new Map() }
}

/** Takes a record in. Types that this broker does not know are left alone: they stay in the log. */
export function replayGroupRecord(record: CoordinatorRecord, state: GroupShardState): void {
  const parsed = parseGroupRecord(record)
  switch (parsed.kind) {
    case 'group':
      if (parsed.group) state.groups.set(parsed.groupId, parsed.group)
      else state.groups.delete(parsed.groupId)
      break
    case 'offset':
      if (parsed.committed) putOffset(state, parsed, parsed.committed)
      else removeOffset(state, parsed)
      break
    case 'unknown':
      break
  }
}

interface Place {
  readonly groupId: string
  readonly topicName: string
  readonly partitionIndex: number
}

/** Offsets can be committed to a group that nobody ever joined: that brings it into being. */
function putOffset(
  state: GroupShardState,
  { groupId, topicName, partitionIndex }: Place,
  committed: CommittedOffset,
): void {
  let offsets = state.offsets.get(groupId)
  if (!offsets) {
    offsets = new Map()
    state.offsets.set(groupId, offsets)
  }
  if (!state.groups.has(groupId)) state.groups.set(groupId, emptyGroup(groupId, -1n))
  const partitions = offsets.get(topicName)
  if (partitions) partitions.set(partitionIndex, committed)
  else offsets.set(topicName, new Map([[partitionIndex, committed]]))
}

function removeOffset(state: GroupShardState, { groupId, topicName, partitionIndex }: Place): void {
  const offsets = state.offsets.get(groupId)
  const partitions = offsets?.get(topicName)
  if (!offsets || !partitions?.delete(partitionIndex)) return
  if (partitions.size === 0) offsets.delete(topicName)
  if (offsets.size === 0) state.offsets.delete(groupId)
}
