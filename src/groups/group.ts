/**
 * A classic group as a value: each change makes a new one. What a restart brings back is in its records; who waits for
 * an answer, who was promised a member id and the states between two assignments are not.
 */
import assert from 'node:assert/strict'
import type { JoinGroup } from '../../protocol/apis/join-group.ts'
import type { SyncGroup } from '../../protocol/apis/sync-group.ts'
import type { ResponseInput } from '../../protocol/schema.ts'

/** As clients and tools see them. */
export type GroupState = 'Empty' | 'PreparingRebalance' | 'CompletingRebalance' | 'Stable' | 'Dead'

export type GroupEvent =
  | 'rebalance' // members are to join again
  | 'joined' // those who joined make up the next generation; its leader is to assign
  | 'emptied' // nobody joined, and nobody is left
  | 'assigned' // the assignment of the leader is committed
  | 'deleted'

/** Every legal move. An event missing from a row is illegal in that state. A group that is deleted is forgotten. */
export const groupMoves: Record<GroupState, Partial<Record<GroupEvent, GroupState>>> = {
  Empty: { rebalance: 'PreparingRebalance', deleted: 'Dead' },
  PreparingRebalance: { joined: 'CompletingRebalance', emptied: 'Empty' },
  CompletingRebalance: { assigned: 'Stable', rebalance: 'PreparingRebalance' },
  Stable: { rebalance: 'PreparingRebalance' },
  Dead: {},
}

export function moveGroup(state: GroupState, event: GroupEvent): GroupState {
  const next = groupMoves[state][event]
  assert(next !== undefined, `${event} is illegal in state ${state}`)
  return next
}

/** The protocol type of consumers: the only one whose subscriptions the broker looks into. */
export const consumerProtocolType = 'consumer'

/** Someone whose request is parked. */
export interface Waiter<Response> {
  answer(response: Response): void
}
export type JoinAnswer = ResponseInput<typeof JoinGroup>
export type SyncAnswer = ResponseInput<typeof SyncGroup>

/** What a member can do, the most wanted first. */
export interface MemberProtocol {
  readonly name: string
  readonly metadata: Uint8Array
}

export interface Member {
  readonly memberId: string
  /** Static member id, or null (KIP-345). */
  readonly groupInstanceId: string | null
  readonly clientId: string
  readonly clientHost: string
  readonly rebalanceTimeoutMs: number
  readonly sessionTimeoutMs: number
  readonly protocols: readonly MemberProtocol[]
  readonly assignment: Uint8Array
  /** It was not told its member id yet, so that nobody can expect heartbeats of it. */
  readonly isNew: boolean
  readonly awaitingJoin: Waiter<JoinAnswer> | undefined
  readonly awaitingSync: Waiter<SyncAnswer> | undefined
}

export interface Group {
  readonly groupId: string
  readonly state: GroupState
  readonly previousState: GroupState
  readonly generationId: number
  /** Null for a group that nobody ever joined: it only holds committed offsets. */
  readonly protocolType: string | null
  readonly protocolName: string | null
  readonly leaderId: string | null
  /** When the group came into its state, in milliseconds since 1970, or -1 where unknown. */
  readonly stateTimestampMs: bigint
  /** By member id, in the order in which they came. */
  readonly members: ReadonlyMap<string, Member>
  /** Member ids that were given away and have not joined yet. */
  readonly pendingJoins: ReadonlySet<string>
  /** Members that have joined this generation and have not asked for their assignment yet. */
  readonly pendingSyncs: ReadonlySet<string>
  /** Somebody joined since the delay of an initial rebalance began. */
  readonly hasNewMember: boolean
  /** Topics that the members of a consumer group read; null where nobody can say. */
  readonly subscribedTopics: ReadonlySet<string> | null
}

export const noAssignment = new Uint8Array(0)

export function emptyGroup(groupId: string, stateTimestampMs: bigint): Group {
  return {
    groupId,
    state: 'Empty',
    previousState: 'Dead',
    generationId: 0,
    protocolType: null,
    protocolName: null,
    leaderId: null,
    stateTimestampMs,
    members: new Map(),
    pendingJoins: new Set(),
    pendingSyncs: new Set(),
    hasNewMember: false,
    subscribedTopics: null,
  }
}

export function staticMemberOf(members: ReadonlyMap<string, Member>, groupInstanceId: string): Member | undefined {
  for (const member of members.values()) if (member.groupInstanceId === groupInstanceId) return member
  return undefined
}

/**
 * Whether offsets of that topic must stay because the group reads it. A consumer group that can't be looked into reads
 * all.
 */
export function isSubscribedTo(group: Group, topicName: string): boolean {
  return group.subscribedTopics?.has(topicName) ?? group.protocolType === consumerProtocolType
}

/** The subscription of a member for a protocol that it knows. */
export function metadataOf(member: Member, protocolName: string): Uint8Array {
  const protocol = member.protocols.find(({ name }) => name === protocolName)
  assert(protocol, `member ${member.memberId} does not know protocol ${protocolName}`)
  return protocol.metadata
}

export function isSameProtocols(left: readonly MemberProtocol[], right: readonly MemberProtocol[]): boolean {
  return (
    left.length === right.length &&
    left.every(({ name, metadata }, index) => {
      const other = right[index]
      return other !== undefined && other.name === name && isSameBytes(metadata, other.metadata)
    })
  )
}

function isSameBytes(left: Uint8Array, right: Uint8Array): boolean {
  return left.length === right.length && left.every((byte, index) => byte === right[index])
}
