import type { JoinGroup } from '../../protocol/apis/join-group.ts'
import type { RequestOf } from '../../protocol/schema.ts'
import { noAssignment, type JoinAnswer, type Member, type Waiter } from './group.ts'
import { GroupDraft, joinFailure } from './group-draft.ts'
import { joined, maybeCompleteJoin, prepareRebalance, rebalanceOrCompleteJoin } from './rebalance.ts'
import { memberErrorOf } from './member-checks.ts'

export type JoinRequest = RequestOf<typeof JoinGroup>

/** Who asks, and what an answer needs that is not in the request. */
export interface JoinContext {
  readonly apiVersion: number
  readonly clientId: string
  readonly clientHost: string
  /** For a newcomer. */
  readonly newMemberId: string
  readonly waiter: Waiter<JoinAnswer>
}

/**
 * A newcomer may take so long until it knows who it is, in milliseconds: its request is parked, it can't send
 * heartbeats.
 */
const newMemberJoinTimeoutMs = 300_000
/** From this version on a newcomer is first given a member id, with which it joins again (KIP-394). */
const memberIdRequiredFromVersion = 4
/** From this version on a static leader that comes back can be told to leave the assignment as it is (KIP-814). */
const skipAssignmentFromVersion = 9

/** JoinGroup. The answer comes at once, or when the generation is complete. */
export function join(draft: GroupDraft, request: JoinRequest, context: JoinContext): void {
  const { memberId } = request
  if (!isAccepted(draft, memberId)) {
    draft.remove(memberId)
    draft.endSession(memberId)
    draft.answerJoin(context.waiter, joinFailure('GROUP_MAX_SIZE_REACHED'))
  } else if (!draft.supports(request.protocolType, request.protocols)) {
    draft.answerJoin(context.waiter, joinFailure('INCONSISTENT_GROUP_PROTOCOL', { memberId }))
  } else if (memberId === '') joinNew(draft, request, context)
  else if (draft.pendingJoins.has(memberId) && request.groupInstanceId === null)
    addMember(draft, request, context, memberId)
  else joinAgain(draft, request, context)
}

/** New members are accepted up to the limit. While members join again, those who came last are the ones too many. */
function isAccepted(draft: GroupDraft, memberId: string): boolean {
  const { groupMaxSize } = draft.context.limits
  switch (draft.state) {
    case 'Empty':
    case 'Dead':
      return true
    case 'PreparingRebalance':
      return draft.members.get(memberId)?.awaitingJoin !== undefined || draft.awaitingJoinCount < groupMaxSize
    case 'CompletingRebalance':
    case 'Stable':
      return draft.members.has(memberId) || draft.members.size < groupMaxSize
  }
}

function joinNew(draft: GroupDraft, request: JoinRequest, context: JoinContext): void {
  const { newMemberId, waiter, apiVersion } = context
  if (request.groupInstanceId !== null) {
    const known = draft.staticMember(request.groupInstanceId)
    if (known) replaceMember(draft, request, context, known)
    else addMember(draft, request, context, newMemberId)
  } else if (apiVersion >= memberIdRequiredFromVersion) {
    draft.pendingJoins.add(newMemberId)
    draft.startSession(newMemberId, request.sessionTimeoutMs)
    draft.answerJoin(waiter, joinFailure('MEMBER_ID_REQUIRED', { memberId: newMemberId }))
  } else addMember(draft, request, context, newMemberId)
}

function addMember(draft: GroupDraft, request: JoinRequest, context: JoinContext, memberId: string): void {
  if (draft.state === 'PreparingRebalance' && draft.previousState === 'Empty') draft.hasNewMember = true
  const member: Member = {
    memberId,
    groupInstanceId: request.groupInstanceId,
    clientId: context.clientId,
    clientHost: context.clientHost,
    ...changeOf(request),
    assignment: noAssignment,
    isNew: true,
    awaitingJoin: context.waiter,
    awaitingSync: undefined,
  }
  draft.add(member, request.protocolType)
  draft.startSession(memberId, newMemberJoinTimeoutMs)
  rebalanceOrCompleteJoin(draft)
}

/** What a request says about its member. Bytes are copied: they outlive the frame. */
function changeOf(request: JoinRequest): Pick<Member, 'rebalanceTimeoutMs' | 'sessionTimeoutMs' | 'protocols'> {
  const { sessionTimeoutMs, rebalanceTimeoutMs } = request
  return {
    sessionTimeoutMs,
    rebalanceTimeoutMs: rebalanceTimeoutMs === -1 ? sessionTimeoutMs : rebalanceTimeoutMs,
    protocols: request.protocols.map(({ name, metadata }) => ({ name, metadata: metadata.slice() })),
  }
}

/** A member joins again: by itself, or because it was asked to. */
function joinAgain(draft: GroupDraft, request: JoinRequest, { waiter }: JoinContext): void {
  const { memberId } = request
  const error = memberErrorOf(draft, memberId, request.groupInstanceId)
  if (error) {
    draft.answerJoin(waiter, joinFailure(error, { memberId }))
    return
  }
  const member = draft.member(memberId)
  const isChanged = draft.isChanged(member, request.protocols)
  switch (draft.state) {
    case 'PreparingRebalance':
      return updateMember(draft, request, member, waiter)
    case 'CompletingRebalance':
      // Unchanged: it did not get the first answer, and gets it again.
      if (!isChanged) return draft.answerJoin(waiter, joined(draft, memberId))
      return updateMember(draft, request, member, waiter)
    case 'Stable':
      // The leader joins again when something of which members do not know has changed, such as the partitions of a
      // topic.
      if (draft.leaderId === memberId || isChanged) return updateMember(draft, request, member, waiter)
      return draft.answerJoin(waiter, joined(draft, memberId))
    default:
      draft.answerJoin(waiter, joinFailure('UNKNOWN_MEMBER_ID', { memberId }))
  }
}

function updateMember(draft: GroupDraft, request: JoinRequest, member: Member, waiter: Waiter<JoinAnswer>): void {
  // Of two requests of a member only the later is answered with the generation; the other is told to come again.
  if (member.awaitingJoin)
    draft.answerJoin(member.awaitingJoin, joinFailure('REBALANCE_IN_PROGRESS', { memberId: member.memberId }))
  draft.update(member.memberId, { ...changeOf(request), awaitingJoin: waiter })
  rebalanceOrCompleteJoin(draft)
}

/** A static member comes back without its member id: it is given a new one, and the old one is fenced. */
function replaceMember(draft: GroupDraft, request: JoinRequest, context: JoinContext, old: Member): void {
  const { newMemberId, waiter, apiVersion } = context
  const oldLeaderId = draft.leaderId ?? ''
  const base = draft.base
  draft.replaceStatic(old, newMemberId)
  const member = draft.update(newMemberId, { ...changeOf(request), awaitingJoin: waiter })
  draft.startSession(newMemberId, member.sessionTimeoutMs)
  if (draft.state === 'CompletingRebalance') return prepareRebalance(draft)
  if (draft.state !== 'Stable') return maybeCompleteJoin(draft)
  if (draft.selectProtocol() !== draft.protocolName) return prepareRebalance(draft)
  // Nothing changes for the others: the member is told its generation, and syncs to learn its assignment.
  draft.update(newMemberId, { awaitingJoin: undefined })
  draft.persist()
  if (apiVersion >= skipAssignmentFromVersion) {
    const isLeader = draft.leaderId === newMemberId
    draft.answerJoin(waiter, joined(draft, newMemberId, isLeader ? { skipAssignment: true } : {}))
  } else draft.answerJoin(waiter, joined(draft, newMemberId, { leader: oldLeaderId, members: [] }))
  draft.onFailure = (error) => {
    const failed = new GroupDraft(base, draft.context)
    const { generationId, protocolType, protocolName } = base
    const fields = { generationId, protocolType, protocolName, leader: oldLeaderId }
    failed.answerJoin(waiter, joinFailure(error, fields))
    return failed
  }
}
