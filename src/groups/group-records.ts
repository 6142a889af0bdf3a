/**
 * Groups and committed offsets as Kafka writes them into `__consumer_offsets`: an int16 and a message, in key and
 * value. The number in the key is the type of the record, that in the value the version of the message.
 */
import { decodeRecord, encodeRecord, parseVersions } from '../../protocol/compile.ts'
import { Reader } from '../../protocol/reader.ts'
import type { RecordInput, RecordOf, RecordType, Uuid } from '../../protocol/schema.ts'
import {
  GroupMetadataKey,
  GroupMetadataValue,
  LegacyOffsetCommitKey,
  OffsetCommitKey,
  OffsetCommitValue,
} from '../../protocol/state/group-records.ts'
import { ProtocolError } from '../../protocol/protocol-error.ts'
import type { VersionRange } from '../../protocol/versions.ts'
import { Writer } from '../../protocol/writer.ts'
import type { CoordinatorRecord } from '../coordinators/coordinator-store.ts'
import { consumerProtocolType, metadataOf, noAssignment, type Group, type Member } from './group.ts'

/** The versions that Kafka writes at the metadata version which we show. */
const groupMetadataVersion = 3
const offsetCommitVersion = 4
/** The one version with an expiry time of its own (commits of before Kafka 2.1 that ask for a retention). */
const offsetCommitWithExpiryVersion = 1

/** Parsed once: a load asks for each record. */
const groupVersions = parseVersions(GroupMetadataValue.versions)
const offsetVersions = parseVersions(OffsetCommitValue.versions)

export interface CommittedOffset {
  readonly offset: bigint
  /** -1 where unknown. */
  readonly leaderEpoch: number
  /**
   * Of the topic that it was committed for, zero where unknown: a topic that comes later under its name is another one.
   */
  readonly topicId: Uuid
  readonly metadata: string
  readonly commitTimestampMs: bigint
  /** When it expires, in milliseconds since 1970; -1 leaves it to the retention of offsets. */
  readonly expireTimestampMs: bigint
}

/** What a record of a shard says. A null value takes the group or the offset away. */
export type GroupRecord =
  | { readonly kind: 'group'; readonly groupId: string; readonly group: Group | null }
  | {
      readonly kind: 'offset'
      readonly groupId: string
      readonly topicName: string
      readonly partitionIndex: number
      readonly committed: CommittedOffset | null
    }
  /** A type that Kafka has and this broker does not (yet). */
  | { readonly kind: 'unknown'; readonly type: number }

function encoded<R extends RecordType>(type: R, number: number, version: number, value: RecordInput<R>): Uint8Array {
  const writer = new Writer()
  writer.int16(number)
  encodeRecord(type, version, value, writer)
  return writer.toBytes()
}

export function groupRecord(group: Group): CoordinatorRecord {
  const { protocolName } = group
  const members = [...group.members.values()].map((member) => ({
    memberId: member.memberId,
    groupInstanceId: member.groupInstanceId,
    clientId: member.clientId,
    clientHost: member.clientHost,
    rebalanceTimeout: member.rebalanceTimeoutMs,
    sessionTimeout: member.sessionTimeoutMs,
    subscription: protocolName === null ? noAssignment : metadataOf(member, protocolName),
    assignment: member.assignment,
  }))
  const value = encoded(GroupMetadataValue, groupMetadataVersion, groupMetadataVersion, {
    protocolType: group.protocolType ?? '',
    generation: group.generationId,
    protocol: protocolName,
    leader: group.leaderId,
    currentStateTimestamp: group.stateTimestampMs,
    members,
  })
  return { key: groupKey(group.groupId), value }
}

export function groupTombstone(groupId: string): CoordinatorRecord {
  return { key: groupKey(groupId), value: null }
}

function groupKey(groupId: string): Uint8Array {
  return encoded(GroupMetadataKey, GroupMetadataKey.key, 0, { group: groupId })
}

export interface OffsetPlace {
  readonly groupId: string
  readonly topicName: string
  readonly partitionIndex: number
}

export function offsetRecord(place: OffsetPlace, committed: CommittedOffset): CoordinatorRecord {
  const version = committed.expireTimestampMs === -1n ? offsetCommitVersion : offsetCommitWithExpiryVersion
  const value = encoded(OffsetCommitValue, version, version, {
    offset: committed.offset,
    leaderEpoch: committed.leaderEpoch,
    metadata: committed.metadata,
    commitTimestamp: committed.commitTimestampMs,
    expireTimestamp: committed.expireTimestampMs,
    topicId: committed.topicId,
  })
  return { key: offsetKey(place), value }
}

export function offsetTombstone(place: OffsetPlace): CoordinatorRecord {
  return { key: offsetKey(place), value: null }
}

function offsetKey({ groupId, topicName, partitionIndex }: OffsetPlace): Uint8Array {
  const key = { group: groupId, topic: topicName, partition: partitionIndex }
  return encoded(OffsetCommitKey, OffsetCommitKey.key, 0, key)
}

/** @throws ProtocolError for a record that is cut, or of a version of after our time. */
export function parseGroupRecord({ key, value }: CoordinatorRecord): GroupRecord {
  const reader = new Reader(key)
  const type = reader.int16()
  if (type === OffsetCommitKey.key || type === LegacyOffsetCommitKey.key) {
    const { group: groupId, topic: topicName, partition: partitionIndex } = decodeRecord(OffsetCommitKey, 0, reader)
    return { kind: 'offset', groupId, topicName, partitionIndex, committed: value && parseOffset(value) }
  }
  if (type === GroupMetadataKey.key) {
    const { group: groupId } = decodeRecord(GroupMetadataKey, 0, reader)
    return { kind: 'group', groupId, group: value && parseGroup(groupId, value) }
  }
  return { kind: 'unknown', type }
}

function parseOffset(bytes: Uint8Array): CommittedOffset {
  const value = decodeValue(OffsetCommitValue, offsetVersions, bytes)
  return {
    offset: value.offset,
    leaderEpoch: value.leaderEpoch,
    metadata: value.metadata,
    commitTimestampMs: value.commitTimestamp,
    expireTimestampMs: value.expireTimestamp,
    topicId: value.topicId,
  }
}

function decodeValue<R extends RecordType>(type: R, versions: VersionRange, bytes: Uint8Array): RecordOf<R> {
  const reader = new Reader(bytes)
  const version = reader.int16()
  const { min, max } = versions
  if (version < min || version > max)
    throw new ProtocolError(`${type.name} has version ${version}, expected ${type.versions}`)
  return decodeRecord(type, version, reader)
}

function parseGroup(groupId: string, bytes: Uint8Array): Group {
  const value = decodeValue(GroupMetadataValue, groupVersions, bytes)
  const protocolName = value.protocol
  const members = new Map<string, Member>()
  for (const member of value.members) {
    members.set(member.memberId, {
      memberId: member.memberId,
      groupInstanceId: member.groupInstanceId,
      clientId: member.clientId,
      clientHost: member.clientHost,
      rebalanceTimeoutMs: member.rebalanceTimeout === -1 ? member.sessionTimeout : member.rebalanceTimeout,
      sessionTimeoutMs: member.sessionTimeout,
      protocols: protocolName === null ? [] : [{ name: protocolName, metadata: member.subscription.slice() }],
      assignment: member.assignment.slice(),
      isNew: false,
      awaitingJoin: undefined,
      awaitingSync: undefined,
    })
  }
  const protocolType = value.protocolType === '' ? null : value.protocolType
  return {
    groupId,
    state: members.size === 0 ? 'Empty' : 'Stable',
    previousState: 'Dead',
    generationId: value.generation,
    protocolType,
    protocolName,
    leaderId: value.leader,
    stateTimestampMs: value.currentStateTimestamp,
    members,
    pendingJoins: new Set(),
    pendingSyncs: new Set(),
    hasNewMember: false,
    subscribedTopics: subscribedTopicsOf({ protocolType, protocolName, members }),
  }
}

/** The topics of all members of a consumer group; null for other groups, and where a subscription can't be read. */
export function subscribedTopicsOf({
  protocolType,
  protocolName,
  members,
}: Pick<Group, 'protocolType' | 'protocolName' | 'members'>): ReadonlySet<string> | null {
  if (protocolType !== consumerProtocolType) return null
  const topics = new Set<string>()
  if (members.size === 0) return topics
  if (protocolName === null) return null
  try {
    for (const member of members.values()) {
      const reader = new Reader(metadataOf(member, protocolName))
      reader.int16() // its version: the topics come first in all of them
      const count = reader.arrayLength(false, 2)
      for (let index = 0; index < count; index++) topics.add(reader.string(false))
    }
  } catch (error) {
    if (error instanceof ProtocolError) return null
    throw error
  }
  return topics
}
