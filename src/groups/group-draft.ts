import { errorCodes, type ErrorName } from '../../protocol/errors.ts'
import type { CoordinatorRecord } from '../coordinators/coordinator-store.ts'
import {
  consumerProtocolType,
  isSameProtocols,
  moveGroup,
  noAssignment,
  staticMemberOf,
  type Group,
  type GroupEvent,
  type GroupState,
  type JoinAnswer,
  type Member,
  type MemberProtocol,
  type SyncAnswer,
  type Waiter,
} from './group.ts'
import { groupRecord, subscribedTopicsOf } from './group-records.ts'

/** What runs out in a shard of groups. */
export type GroupTimer =
  /** A member was silent for too long, or a member id was given away and nobody came with it. */
  | { readonly kind: 'session'; readonly groupId: string; readonly memberId: string }
  /** The members had their time to join again. */
  | { readonly kind: 'join'; readonly groupId: string }
  /** The delay of the first rebalance of a group; it is prolonged while members come. */
  | { readonly kind: 'initialJoin'; readonly groupId: string; readonly delayMs: number; readonly remainingMs: number }
  /** The members had their time to ask for their assignment. */
  | { readonly kind: 'sync'; readonly groupId: string; readonly generationId: number }
  /** Committed offsets are looked through for those that have expired. */
  | { readonly kind: 'expiry' }

/** A group has one timer for joining, of whichever kind, and one for syncing; a member has one. */
export function timerKey(timer: GroupTimer): string {
  switch (timer.kind) {
    case 'session':
      return `session\n${timer.groupId}\n${timer.memberId}`
    case 'join':
    case 'initialJoin':
      return `join\n${timer.groupId}`
    case 'sync':
      return `sync\n${timer.groupId}`
    case 'expiry':
      return 'expiry'
  }
}

export type GroupEffect =
  | { readonly kind: 'join'; readonly waiter: Waiter<JoinAnswer>; readonly response: JoinAnswer }
  | { readonly kind: 'sync'; readonly waiter: Waiter<SyncAnswer>; readonly response: SyncAnswer }
  | { readonly kind: 'setTimer'; readonly timer: GroupTimer; readonly delayMs: number }
  | { readonly kind: 'cancelTimer'; readonly key: string }

/** How groups are limited: configs of the broker. */
export interface GroupLimits {
  readonly groupMaxSize: number
  readonly groupInitialRebalanceDelayMs: number
}

export interface DraftContext {
  readonly limits: GroupLimits
  readonly nowMs: bigint
}

/**
 * A change of a group in the making: the steps of one operation, made on a copy. What it did to the world (answers,
 * timers) is only written down, in order, for when its records are committed.
 */
export class GroupDraft {
  readonly base: Group
  readonly context: DraftContext
  state: GroupState
  previousState: GroupState
  generationId: number
  protocolType: string | null
  protocolName: string | null
  leaderId: string | null
  stateTimestampMs: bigint
  readonly members: Map<string, Member>
  readonly pendingJoins: Set<string>
  readonly pendingSyncs: Set<string>
  hasNewMember: boolean
  subscribedTopics: ReadonlySet<string> | null
  readonly effects: GroupEffect[] = []
  readonly records: CoordinatorRecord[] = []
  /**
   * What becomes of the group when the records could not be written; its own records are not. Without it: nothing
   * happened.
   */
  onFailure: ((error: ErrorName) => GroupDraft) | undefined

  constructor(base: Group, context: DraftContext) {
    this.base = base
    this.context = context
    this.state = base.state
    this.previousState = base.previousState
    this.generationId = base.generationId
    this.protocolType = base.protocolType
    this.protocolName = base.protocolName
    this.leaderId = base.leaderId
    this.stateTimestampMs = base.stateTimestampMs
    this.members = new Map(base.members)
    this.pendingJoins = new Set(base.pendingJoins)
    this.pendingSyncs = new Set(base.pendingSyncs)
    this.hasNewMember = base.hasNewMember
    this.subscribedTopics = base.subscribedTopics
  }

  get groupId(): string {
    return this.base.groupId
  }

  /** The group as it is by now. */
  group(): Group {
    return {
      groupId: this.groupId,
      state: this.state,
      previousState: this.previousState,
      generationId: this.generationId,
      protocolType: this.protocolType,
      protocolName: this.protocolName,
      leaderId: this.leaderId,
      stateTimestampMs: this.stateTimestampMs,
      members: this.members,
      pendingJoins: this.pendingJoins,
      pendingSyncs: this.pendingSyncs,
      hasNewMember: this.hasNewMember,
      subscribedTopics: this.subscribedTopics,
    }
  }

  move(event: GroupEvent): void {
    const next = moveGroup(this.state, event)
    this.previousState = this.state
    this.state = next
    this.stateTimestampMs = this.context.nowMs
  }

  /** Writes the group down as it is now. */
  persist(): void {
    this.records.push(groupRecord(this.group()))
  }

  answerJoin(waiter: Waiter<JoinAnswer>, response: JoinAnswer): void {
    this.effects.push({ kind: 'join', waiter, response })
  }

  answerSync(waiter: Waiter<SyncAnswer>, response: SyncAnswer): void {
    this.effects.push({ kind: 'sync', waiter, response })
  }

  setTimer(timer: GroupTimer, delayMs: number): void {
    this.effects.push({ kind: 'setTimer', timer, delayMs })
  }

  cancelTimer(timer: GroupTimer): void {
    this.effects.push({ kind: 'cancelTimer', key: timerKey(timer) })
  }

  startSession(memberId: string, delayMs: number): void {
    this.setTimer({ kind: 'session', groupId: this.groupId, memberId }, delayMs)
  }

  endSession(memberId: string): void {
    this.cancelTimer({ kind: 'session', groupId: this.groupId, memberId })
  }

  update(memberId: string, change: Partial<Member>): Member {
    const member = { ...this.member(memberId), ...change }
    this.members.set(memberId, member)
    return member
  }

  member(memberId: string): Member {
    const member = this.members.get(memberId)
    if (!member) throw new Error(`group ${this.groupId} has no member ${memberId}`)
    return member
  }

  add(member: Member, protocolType: string): void {
    if (this.members.size === 0) this.protocolType = protocolType
    this.leaderId ??= member.memberId
    this.members.set(member.memberId, member)
    this.pendingJoins.delete(member.memberId)
  }

  /** Takes a member, or a member id that was promised, out of the group. Nobody is answered. */
  remove(memberId: string): void {
    this.members.delete(memberId)
    this.pendingJoins.delete(memberId)
    this.pendingSyncs.delete(memberId)
    if (this.leaderId === memberId) this.leaderId = this.members.keys().next().value ?? null
  }

  /** Gives a static member a new id. Whoever still waits with the old one is fenced. */
  replaceStatic(old: Member, memberId: string): Member {
    if (old.awaitingJoin)
      this.answerJoin(old.awaitingJoin, joinFailure('FENCED_INSTANCE_ID', { memberId: old.memberId }))
    if (old.awaitingSync) this.answerSync(old.awaitingSync, syncFailure('FENCED_INSTANCE_ID'))
    const member: Member = { ...old, memberId, isNew: false, awaitingJoin: undefined, awaitingSync: undefined }
    this.members.delete(old.memberId)
    this.members.set(memberId, member)
    if (this.leaderId === old.memberId) this.leaderId = memberId
    this.pendingSyncs.delete(old.memberId)
    this.endSession(old.memberId)
    return member
  }

  staticMember(groupInstanceId: string): Member | undefined {
    return staticMemberOf(this.members, groupInstanceId)
  }

  /** Whether someone with these protocols can be a member: there must be one that everybody knows. */
  supports(protocolType: string, protocols: readonly { readonly name: string }[]): boolean {
    if (this.state === 'Empty') return protocolType !== '' && protocols.length > 0
    if (this.protocolType !== protocolType) return false
    return protocols.some(({ name }) => this.#isKnownToAll(name))
  }

  #isKnownToAll(protocolName: string): boolean {
    for (const { protocols } of this.members.values())
      if (!protocols.some(({ name }) => name === protocolName)) return false
    return true
  }

  /** The protocol that most members want of those that all know. */
  selectProtocol(): string {
    const votes = new Map<string, number>()
    for (const { protocols } of this.members.values()) {
      const vote = protocols.find(({ name }) => this.#isKnownToAll(name))
      if (vote) votes.set(vote.name, (votes.get(vote.name) ?? 0) + 1)
    }
    let selected: string | undefined
    for (const [name, count] of votes) if (selected === undefined || count > votes.get(selected)!) selected = name
    if (selected === undefined) throw new Error(`group ${this.groupId} has no protocol that all members know`)
    return selected
  }

  isChanged(member: Member, protocols: readonly MemberProtocol[]): boolean {
    return !isSameProtocols(member.protocols, protocols)
  }

  get rebalanceTimeoutMs(): number {
    let longestMs = 0
    for (const { rebalanceTimeoutMs } of this.members.values()) longestMs = Math.max(longestMs, rebalanceTimeoutMs)
    return longestMs
  }

  get awaitingJoinCount(): number {
    let count = 0
    for (const { awaitingJoin } of this.members.values()) if (awaitingJoin) count++
    return count
  }

  get hasAllJoined(): boolean {
    return this.pendingJoins.size === 0 && this.awaitingJoinCount === this.members.size
  }

  refreshSubscription(): void {
    this.subscribedTopics = subscribedTopicsOf(this)
  }

  get isConsumerGroup(): boolean {
    return this.protocolType === consumerProtocolType
  }
}

export function joinFailure(error: ErrorName, fields: Partial<JoinAnswer> = {}): JoinAnswer {
  return {
    throttleTimeMs: 0,
    errorCode: errorCodes[error],
    protocolName: null,
    leader: '',
    memberId: '',
    members: [],
    ...fields,
  }
}

export function syncFailure(error: ErrorName): SyncAnswer {
  return { throttleTimeMs: 0, errorCode: errorCodes[error], assignment: noAssignment }
}
