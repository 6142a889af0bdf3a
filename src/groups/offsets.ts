/** Committed offsets: committing, reading, deleting, and their end. */
import { errorCodes, type ErrorName } from '../../protocol/errors.ts'
import type { CoordinatorRecord } from '../coordinators/coordinator-store.ts'
import { zeroUuid, type Uuid } from '../../protocol/schema.ts'
import { KafkaError } from '../errors.ts'
import { consumerProtocolType, isSubscribedTo, type Group } from './group.ts'
import { offsetRecord, offsetTombstone, type CommittedOffset, type OffsetPlace } from './group-records.ts'
import type { GroupShardState } from './group-shard.ts'
import { memberErrorOf } from './member-checks.ts'

export interface OffsetCommitRequest {
  readonly groupId: string
  /** -1 from outside a group. */
  readonly generationId: number
  readonly memberId: string
  readonly groupInstanceId: string | null
  /** How long to keep the offsets, in milliseconds; -1 leaves it to the broker. */
  readonly retentionTimeMs: bigint
  readonly topics: readonly {
    readonly name: string
    /** Zero where unknown. */
    readonly topicId: Uuid
    readonly partitions: readonly {
      readonly partitionIndex: number
      readonly committedOffset: bigint
      readonly committedLeaderEpoch: number
      readonly committedMetadata: string | null
    }[]
  }[]
}

export interface PartitionError {
  readonly partitionIndex: number
  readonly errorCode: number
}
export interface TopicErrors {
  readonly name: string
  readonly partitions: readonly PartitionError[]
}

const maxTimestampMs = 9_223_372_036_854_775_807n

/**
 * From this version of OffsetCommit on, a commit of a generation to a group that is not there is answered by that name.
 */
const groupNotFoundFromVersion = 9

/** Who may commit. An old generation and a fenced static member never may. @throws KafkaError */
export function checkOffsetCommit(group: Group | undefined, request: OffsetCommitRequest, apiVersion: number): void {
  const { generationId, memberId, groupInstanceId } = request
  if (!group) {
    if (generationId < 0) return // offsets without members: the commit makes the group
    throw new KafkaError(apiVersion >= groupNotFoundFromVersion ? 'GROUP_ID_NOT_FOUND' : 'ILLEGAL_GENERATION')
  }
  if (generationId < 0 && group.state === 'Empty') return
  if (generationId >= 0 || memberId !== '' || groupInstanceId !== null) {
    const error = memberErrorOf(group, memberId, groupInstanceId)
    if (error) throw new KafkaError(error)
    if (generationId !== group.generationId) throw new KafkaError('ILLEGAL_GENERATION')
  } else if (group.state !== 'Empty') throw new KafkaError('UNKNOWN_MEMBER_ID')
  if (group.state === 'CompletingRebalance') throw new KafkaError('REBALANCE_IN_PROGRESS')
}

/** The records of a commit that was checked, and what each partition is answered when they are committed. */
export function commitOffsets(
  request: OffsetCommitRequest,
  limits: { readonly offsetMetadataMaxBytes: number; readonly nowMs: bigint },
): { records: CoordinatorRecord[]; topics: TopicErrors[] } {
  const { groupId, retentionTimeMs } = request
  const records: CoordinatorRecord[] = []
  const expireTimestampMs = retentionTimeMs === -1n ? -1n : latest(limits.nowMs + retentionTimeMs)
  const topics = request.topics.map(({ name, topicId, partitions }) => ({
    name,
    partitions: partitions.map(({ partitionIndex, committedOffset, committedLeaderEpoch, committedMetadata }) => {
      const metadata = committedMetadata ?? ''
      if (metadata.length > limits.offsetMetadataMaxBytes)
        return { partitionIndex, errorCode: errorCodes.OFFSET_METADATA_TOO_LARGE }
      const committed: CommittedOffset = {
        offset: committedOffset,
        leaderEpoch: committedLeaderEpoch,
        topicId,
        metadata,
        commitTimestampMs: limits.nowMs,
        expireTimestampMs,
      }
      records.push(offsetRecord({ groupId, topicName: name, partitionIndex }, committed))
      return { partitionIndex, errorCode: 0 }
    }),
  }))
  return { records, topics }
}

/** A client may ask for as long as fits into 64 bits: 'for ever' must not become a time long ago. */
function latest(timestampMs: bigint): bigint {
  return timestampMs > maxTimestampMs ? maxTimestampMs : timestampMs
}

export interface AskedOffsets {
  readonly name: string
  /** Given where the asker means the topic by its id. */
  readonly topicId?: Uuid
  readonly partitionIndexes: readonly number[]
}

export interface FetchedOffsets {
  readonly name: string
  readonly partitions: readonly {
    readonly partitionIndex: number
    /** Undefined where nothing is committed. */
    readonly committed: CommittedOffset | undefined
  }[]
}

/**
 * The committed offsets of the topics, or all of the group where `topics` is null. A group that nobody knows has none.
 * What was committed for another topic of the same name does not count where the asker means one by its id.
 */
export function fetchOffsets(
  state: GroupShardState,
  groupId: string,
  topics: readonly AskedOffsets[] | null,
): FetchedOffsets[] {
  const offsets = state.offsets.get(groupId)
  if (topics === null) {
    return [...(offsets ?? [])].map(([name, partitions]) => ({
      name,
      partitions: [...partitions].map(([partitionIndex, committed]) => ({ partitionIndex, committed })),
    }))
  }
  return topics.map(({ name, topicId = zeroUuid, partitionIndexes }) => {
    const partitions = offsets?.get(name)
    return {
      name,
      partitions: partitionIndexes.map((partitionIndex) => {
        const committed = partitions?.get(partitionIndex)
        const isOther = committed !== undefined && isOtherTopic(committed.topicId, topicId)
        return { partitionIndex, committed: isOther ? undefined : committed }
      }),
    }
  })
}

function isOtherTopic(committed: Uuid, asked: Uuid): boolean {
  return committed !== zeroUuid && asked !== zeroUuid && committed !== asked
}

/** OffsetDelete. Offsets of topics that the group reads stay. @throws KafkaError for the whole request. */
export function deleteOffsets(
  state: GroupShardState,
  groupId: string,
  topics: readonly { readonly name: string; readonly partitions: readonly { readonly partitionIndex: number }[] }[],
): { records: CoordinatorRecord[]; topics: TopicErrors[] } {
  const group = state.groups.get(groupId)
  if (!group) throw new KafkaError('GROUP_ID_NOT_FOUND')
  if (group.state !== 'Empty' && group.protocolType !== consumerProtocolType) throw new KafkaError('NON_EMPTY_GROUP')
  const records: CoordinatorRecord[] = []
  const offsets = state.offsets.get(groupId)
  const answers = topics.map(({ name, partitions }) => {
    const error: ErrorName = isSubscribedTo(group, name) ? 'GROUP_SUBSCRIBED_TO_TOPIC' : 'NONE'
    return {
      name,
      partitions: partitions.map(({ partitionIndex }) => {
        if (error === 'NONE' && offsets?.get(name)?.has(partitionIndex))
          records.push(offsetTombstone({ groupId, topicName: name, partitionIndex }))
        return { partitionIndex, errorCode: errorCodes[error] }
      }),
    }
  })
  return { records, topics: answers }
}

/** Tombstones for all offsets of a group. */
export function forgetAllOffsets(state: GroupShardState, groupId: string): CoordinatorRecord[] {
  const records: CoordinatorRecord[] = []
  for (const [topicName, partitions] of state.offsets.get(groupId) ?? [])
    for (const partitionIndex of partitions.keys())
      records.push(offsetTombstone({ groupId, topicName, partitionIndex }))
  return records
}

/** A committed offset with its place. */
export interface OffsetEntry extends OffsetPlace {
  readonly committed: CommittedOffset
}

/**
 * The offsets of topics that were deleted, by name and id, in all groups of the shard; not those of a later topic of
 * that name.
 */
export function offsetsOfTopics(state: GroupShardState, topics: ReadonlyMap<string, Uuid>): OffsetEntry[] {
  const entries: OffsetEntry[] = []
  for (const [groupId, offsets] of state.offsets) {
    for (const [topicName, partitions] of offsets) {
      const topicId = topics.get(topicName)
      if (topicId === undefined) continue
      for (const [partitionIndex, committed] of partitions)
        if (!isOtherTopic(committed.topicId, topicId)) entries.push({ groupId, topicName, partitionIndex, committed })
    }
  }
  return entries
}

/** The offsets of topics that are not there any more, in all groups of the shard. */
export function offsetsOfGoneTopics(state: GroupShardState, topicsById: ReadonlyMap<Uuid, unknown>): OffsetEntry[] {
  const entries: OffsetEntry[] = []
  for (const [groupId, offsets] of state.offsets) {
    for (const [topicName, partitions] of offsets) {
      for (const [partitionIndex, committed] of partitions) {
        const isGone = committed.topicId !== zeroUuid && !topicsById.has(committed.topicId)
        if (isGone) entries.push({ groupId, topicName, partitionIndex, committed })
      }
    }
  }
  return entries
}

/** Tombstones for those of the offsets that were not committed anew. */
export function forgetOffsets(state: GroupShardState, entries: readonly OffsetEntry[]): CoordinatorRecord[] {
  const isCurrent = ({ groupId, topicName, partitionIndex, committed }: OffsetEntry): boolean =>
    state.offsets.get(groupId)?.get(topicName)?.get(partitionIndex) === committed
  return entries.filter(isCurrent).map(offsetTombstone)
}

/**
 * Tombstones for the offsets of a group that have expired, and whether none is left after them (KIP-211). Offsets of a
 * group count from when it became empty, those without members from their commit; a consumer group keeps those of
 * topics it reads.
 */
export function expireOffsets(
  state: GroupShardState,
  group: Group,
  { nowMs, retentionMs }: { readonly nowMs: bigint; readonly retentionMs: bigint },
): { records: CoordinatorRecord[]; isAllGone: boolean } {
  const { groupId } = group
  const records: CoordinatorRecord[] = []
  const offsets = state.offsets.get(groupId)
  if (!offsets) return { records, isAllGone: true }
  const startOf = expiryStartOf(group)
  if (!startOf) return { records, isAllGone: false }
  let isAllGone = true
  for (const [topicName, partitions] of offsets) {
    const isRead = isSubscribedTo(group, topicName)
    for (const [partitionIndex, committed] of partitions) {
      const expiresAtMs =
        committed.expireTimestampMs === -1n ? startOf(committed) + retentionMs : committed.expireTimestampMs
      if (isRead || nowMs < expiresAtMs) isAllGone = false
      else records.push(offsetTombstone({ groupId, topicName, partitionIndex }))
    }
  }
  return { records, isAllGone }
}

/** From when the retention of an offset counts; undefined where the offsets of the group do not expire. */
function expiryStartOf(group: Group): ((committed: CommittedOffset) => bigint) | undefined {
  const { protocolType, state, stateTimestampMs, subscribedTopics } = group
  if (protocolType !== null && state === 'Empty')
    return ({ commitTimestampMs }) => (stateTimestampMs === -1n ? commitTimestampMs : stateTimestampMs)
  const isReading = protocolType === consumerProtocolType && state === 'Stable' && subscribedTopics !== null
  if (protocolType === null || isReading) return ({ commitTimestampMs }) => commitTimestampMs
  return undefined
}
