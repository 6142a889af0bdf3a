/**
 * What the Kafka APIs know of groups, put together: members with what is assigned to them, offsets with the ends of
 * logs.
 */
import { DescribeGroups } from '../../protocol/apis/describe-groups.ts'
import { OffsetFetch } from '../../protocol/apis/offset-fetch.ts'
import { decodeRecord } from '../../protocol/compile.ts'
import { errorCodes } from '../../protocol/errors.ts'
import { ProtocolError } from '../../protocol/protocol-error.ts'
import { Reader } from '../../protocol/reader.ts'
import { ConsumerProtocolAssignment } from '../../protocol/state/consumer-protocol.ts'
import { askCoordinator, checkAnswer } from './kafka.ts'
import type { HttpParts } from './parts.ts'

export interface AssignedPartition {
  readonly topic: string
  readonly partitionIndex: number
}
export interface GroupMember {
  readonly memberId: string
  readonly groupInstanceId: string | null
  readonly clientId: string
  readonly clientHost: string
  /** Empty for what is no consumer. */
  readonly assigned: readonly AssignedPartition[]
}
export interface GroupDescription {
  readonly groupId: string
  readonly state: string
  readonly protocolType: string
  readonly assignor: string
  readonly members: readonly GroupMember[]
}
export interface Lag extends AssignedPartition {
  readonly currentOffset: bigint
  /** Behind the last record that consumers may read. */
  readonly logEndOffset: bigint
  /** Never below 0. */
  readonly lag: bigint
  /** Who reads the partition. */
  readonly member: GroupMember | undefined
}

const consumerProtocol = 'consumer'

/** The ids of all groups, sorted. */
export function listGroups(parts: HttpParts): string[] {
  const groupIds = parts.loads().flatMap(({ groups }) => groups.map(({ groupId }) => groupId))
  return groupIds.toSorted((a, b) => (a < b ? -1 : 1))
}

/** Undefined for a group that is not there. */
export async function describeGroup(parts: HttpParts, groupId: string): Promise<GroupDescription | undefined> {
  const request = { groups: [groupId], includeAuthorizedOperations: false }
  const { groups } = await askCoordinator(parts, { groupId, api: DescribeGroups, request })
  const [group] = groups
  if (group!.errorCode === errorCodes.GROUP_ID_NOT_FOUND) return undefined
  checkAnswer(group!)
  const { groupState, protocolType, protocolData, members } = group!
  const isConsumer = protocolType === consumerProtocol
  return {
    groupId,
    state: groupState,
    protocolType,
    assignor: protocolData,
    members: members.map(({ memberId, groupInstanceId, clientId, clientHost, memberAssignment }) => ({
      memberId,
      groupInstanceId,
      clientId,
      clientHost,
      assigned: isConsumer ? assignedOf(memberAssignment) : [],
    })),
  }
}

/** One per committed offset, by topic and partition; offsets of topics that are not there are left out. */
export async function lagsOf(parts: HttpParts, { groupId, members }: GroupDescription): Promise<Lag[]> {
  const request = { groupId: '', topics: [], groups: [{ groupId, topics: null }], requireStable: false }
  const { groups } = await askCoordinator(parts, { groupId, api: OffsetFetch, request })
  const [group] = groups
  checkAnswer(group!)
  const lags = group!.topics.flatMap(({ topicId, name, partitions }) => {
    const topic = parts.topics.findById(topicId) ?? parts.topics.find(name)
    if (!topic) return []
    return partitions.flatMap(({ partitionIndex, committedOffset }): Lag[] => {
      const log = topic.partitions[partitionIndex]?.log
      if (!log || committedOffset < 0n) return []
      const logEndOffset = parts.logs.view(log).highWatermark
      const lag = logEndOffset > committedOffset ? logEndOffset - committedOffset : 0n
      const place = { topic: topic.image.name, partitionIndex }
      return [{ ...place, currentOffset: committedOffset, logEndOffset, lag, member: readerOf(members, place) }]
    })
  })
  return lags.toSorted((a, b) =>
    a.topic === b.topic ? a.partitionIndex - b.partitionIndex : a.topic < b.topic ? -1 : 1,
  )
}

function readerOf(members: readonly GroupMember[], place: AssignedPartition): GroupMember | undefined {
  return members.find(({ assigned }) =>
    assigned.some(({ topic, partitionIndex }) => topic === place.topic && partitionIndex === place.partitionIndex),
  )
}

/** What a member may hold is its own business: what can't be read is nothing. */
function assignedOf(bytes: Uint8Array): AssignedPartition[] {
  if (bytes.length === 0) return []
  try {
    const reader = new Reader(bytes)
    const version = Math.min(reader.int16(), newestAssignment)
    const { assignedPartitions } = decodeRecord(ConsumerProtocolAssignment, version, reader)
    return assignedPartitions.flatMap(({ topic, partitions }) =>
      partitions.map((partitionIndex) => ({ topic, partitionIndex })),
    )
  } catch (error) {
    if (error instanceof ProtocolError) return []
    throw error
  }
}

const newestAssignment = 3
