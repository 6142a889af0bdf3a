/**
 * The steps between two assignments of a group: members are asked to join again, make up a generation, and wait for its
 * leader.
 */
import type { ErrorName } from '../../protocol/errors.ts'
import { metadataOf, noAssignment, type JoinAnswer, type Member, type SyncAnswer } from './group.ts'
import { joinFailure, syncFailure, type GroupDraft } from './group-draft.ts'

/** Begins a rebalance where the state allows one, else ends the joining that goes on if nobody is missed any more. */
export function rebalanceOrCompleteJoin(draft: GroupDraft): void {
  if (draft.state === 'PreparingRebalance') maybeCompleteJoin(draft)
  else prepareRebalance(draft)
}

/** Asks all members to join again. The first rebalance of a group waits a while for more members instead. */
export function prepareRebalance(draft: GroupDraft): void {
  if (draft.state === 'CompletingRebalance') failSyncs(draft, 'REBALANCE_IN_PROGRESS')
  draft.pendingSyncs.clear()
  draft.cancelTimer({ kind: 'sync', groupId: draft.groupId, generationId: draft.generationId })
  const isInitial = draft.state === 'Empty'
  draft.move('rebalance')
  if (isInitial) startInitialDelay(draft)
  else if (draft.hasAllJoined) completeJoin(draft)
  else draft.setTimer({ kind: 'join', groupId: draft.groupId }, draft.rebalanceTimeoutMs)
}

function startInitialDelay(draft: GroupDraft): void {
  const delayMs = draft.context.limits.groupInitialRebalanceDelayMs
  const remainingMs = Math.max(draft.rebalanceTimeoutMs - delayMs, 0)
  draft.setTimer({ kind: 'initialJoin', groupId: draft.groupId, delayMs, remainingMs }, delayMs)
}

/**
 * The delay of the first rebalance is over: it begins again when somebody came, as long as the rebalance timeout
 * allows.
 */
export function endInitialDelay(draft: GroupDraft, delayMs: number, remainingMs: number): void {
  if (!draft.hasNewMember || remainingMs === 0) {
    completeJoin(draft)
    return
  }
  draft.hasNewMember = false
  const nextDelayMs = Math.min(draft.context.limits.groupInitialRebalanceDelayMs, remainingMs)
  const nextRemainingMs = Math.max(remainingMs - delayMs, 0)
  const timer = {
    kind: 'initialJoin',
    groupId: draft.groupId,
    delayMs: nextDelayMs,
    remainingMs: nextRemainingMs,
  } as const
  draft.setTimer(timer, nextDelayMs)
}

/** Ends the joining when nobody is missed; the first one of a group ends by its timer only. */
export function maybeCompleteJoin(draft: GroupDraft): void {
  if (draft.state !== 'PreparingRebalance' || draft.previousState === 'Empty' || !draft.hasAllJoined) return
  completeJoin(draft)
}

/** Ends the joining: dynamic members that did not come are out, the others are the next generation. */
export function completeJoin(draft: GroupDraft): void {
  if (draft.state !== 'PreparingRebalance') return
  draft.cancelTimer({ kind: 'join', groupId: draft.groupId })
  for (const member of draft.members.values()) {
    if (member.awaitingJoin || member.groupInstanceId !== null) continue
    draft.remove(member.memberId)
    draft.endSession(member.memberId)
  }
  if (draft.members.size === 0) becomeEmpty(draft)
  else if (electLeader(draft)) nextGeneration(draft)
  // Only static members are left, and none of them joined: their session timeouts decide.
  else draft.setTimer({ kind: 'join', groupId: draft.groupId }, draft.rebalanceTimeoutMs)
}

/** The leader stays if it joined; else the first who did becomes it. False where nobody joined. */
function electLeader(draft: GroupDraft): boolean {
  if (draft.leaderId === null) return false
  if (draft.member(draft.leaderId).awaitingJoin) return true
  for (const member of draft.members.values()) {
    if (!member.awaitingJoin) continue
    draft.leaderId = member.memberId
    return true
  }
  return false
}

function becomeEmpty(draft: GroupDraft): void {
  draft.generationId++
  draft.protocolName = null
  draft.refreshSubscription()
  draft.move('emptied')
  draft.pendingSyncs.clear()
  draft.persist()
  // The members are gone in any case: after a restart the generation before would be there again, and time out.
  draft.onFailure = () => draft
}

function nextGeneration(draft: GroupDraft): void {
  draft.generationId++
  draft.protocolName = draft.selectProtocol()
  draft.refreshSubscription()
  draft.move('joined')
  draft.pendingSyncs.clear()
  for (const member of draft.members.values()) {
    if (member.awaitingJoin) draft.answerJoin(member.awaitingJoin, joined(draft, member.memberId))
    draft.update(member.memberId, { awaitingJoin: undefined, isNew: false })
    draft.startSession(member.memberId, member.sessionTimeoutMs)
    draft.pendingSyncs.add(member.memberId)
  }
  const timer = { kind: 'sync', groupId: draft.groupId, generationId: draft.generationId } as const
  draft.setTimer(timer, draft.rebalanceTimeoutMs)
}

/** What a member of the current generation hears. Only the leader hears of the others. */
export function joined(draft: GroupDraft, memberId: string, fields: Partial<JoinAnswer> = {}): JoinAnswer {
  return {
    throttleTimeMs: 0,
    errorCode: 0,
    generationId: draft.generationId,
    protocolType: draft.protocolType,
    protocolName: draft.protocolName,
    leader: draft.leaderId ?? '',
    memberId,
    members: draft.leaderId === memberId ? subscriptionsOf(draft) : [],
    ...fields,
  }
}

function subscriptionsOf(draft: GroupDraft): NonNullable<JoinAnswer['members']> {
  const { protocolName } = draft
  return [...draft.members.values()].map((member) => ({
    memberId: member.memberId,
    groupInstanceId: member.groupInstanceId,
    metadata: protocolName === null ? noAssignment : metadataOf(member, protocolName),
  }))
}

/** Takes all assignments back and sends those who wait for theirs away. */
export function failSyncs(draft: GroupDraft, error: ErrorName): void {
  for (const member of draft.members.values()) {
    if (member.awaitingSync) {
      draft.answerSync(member.awaitingSync, syncFailure(error))
      draft.startSession(member.memberId, member.sessionTimeoutMs)
    }
    draft.update(member.memberId, { assignment: noAssignment, awaitingSync: undefined })
  }
}

export function synced(draft: GroupDraft, member: Member): SyncAnswer {
  return {
    throttleTimeMs: 0,
    errorCode: 0,
    protocolType: draft.protocolType,
    protocolName: draft.protocolName,
    assignment: member.assignment,
  }
}

/** A member is gone: whoever waits for its join is told, and the others go on without it. */
export function removeMember(draft: GroupDraft, member: Member): void {
  if (member.awaitingJoin) draft.answerJoin(member.awaitingJoin, joinFailure('UNKNOWN_MEMBER_ID'))
  if (member.awaitingSync) draft.answerSync(member.awaitingSync, syncFailure('UNKNOWN_MEMBER_ID'))
  draft.remove(member.memberId)
  draft.endSession(member.memberId)
}

/** A member was silent for its session timeout, or did not come back for the member id that it was promised. */
export function expireSession(draft: GroupDraft, memberId: string): void {
  const member = draft.members.get(memberId)
  if (!member) {
    if (!draft.pendingJoins.has(memberId)) return
    draft.remove(memberId)
    if (draft.state === 'PreparingRebalance' && draft.hasAllJoined) completeJoin(draft)
    return
  }
  // While its request is parked nobody can expect a heartbeat of it, unless it never was told who it is.
  if (!member.isNew && (member.awaitingJoin || member.awaitingSync)) return
  removeMember(draft, member)
  if (draft.state === 'Stable' || draft.state === 'CompletingRebalance') prepareRebalance(draft)
  else if (draft.state === 'PreparingRebalance' && draft.hasAllJoined) completeJoin(draft)
}

/** Those who did not ask for their assignment in time are out. */
export function expireSyncs(draft: GroupDraft, generationId: number): void {
  const isOpen = draft.state === 'CompletingRebalance' || draft.state === 'Stable'
  if (generationId !== draft.generationId || !isOpen || draft.pendingSyncs.size === 0) return
  for (const memberId of draft.pendingSyncs) {
    draft.remove(memberId)
    draft.endSession(memberId)
  }
  prepareRebalance(draft)
}
