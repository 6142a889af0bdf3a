/** SyncGroup, Heartbeat and LeaveGroup: what a member does between two joins. */
import type { ErrorName } from '../../protocol/errors.ts'
import { errorCodes } from '../../protocol/errors.ts'
import type { Heartbeat } from '../../protocol/apis/heartbeat.ts'
import type { LeaveGroup } from '../../protocol/apis/leave-group.ts'
import type { SyncGroup } from '../../protocol/apis/sync-group.ts'
import type { RequestOf, ResponseInput } from '../../protocol/schema.ts'
import { noAssignment, type Group, type SyncAnswer, type Waiter } from './group.ts'
import { GroupDraft, syncFailure } from './group-draft.ts'
import { memberErrorOf } from './member-checks.ts'
import { failSyncs, maybeCompleteJoin, rebalanceOrCompleteJoin, removeMember, synced } from './rebalance.ts'

export type SyncRequest = RequestOf<typeof SyncGroup>
export type HeartbeatRequest = RequestOf<typeof Heartbeat>
export type LeaveRequest = RequestOf<typeof LeaveGroup>
export type LeaveAnswer = ResponseInput<typeof LeaveGroup>

/** SyncGroup. Followers wait for the leader; its assignment is answered once it is committed. */
export function sync(draft: GroupDraft, request: SyncRequest, waiter: Waiter<SyncAnswer>): void {
  const { memberId } = request
  const error = syncErrorOf(draft, request)
  if (error) {
    draft.answerSync(waiter, syncFailure(error))
    return
  }
  const member = draft.member(memberId)
  draft.pendingSyncs.delete(memberId)
  if (draft.pendingSyncs.size === 0)
    draft.cancelTimer({ kind: 'sync', groupId: draft.groupId, generationId: draft.generationId })
  if (draft.state === 'Stable') {
    draft.answerSync(waiter, synced(draft, member))
    return
  }
  if (member.awaitingSync) draft.answerSync(member.awaitingSync, syncFailure('REBALANCE_IN_PROGRESS'))
  draft.update(memberId, { awaitingSync: waiter })
  if (draft.leaderId === memberId) assign(draft, request)
}

function syncErrorOf(draft: GroupDraft, request: SyncRequest): ErrorName | undefined {
  if (draft.state === 'Empty') return 'UNKNOWN_MEMBER_ID'
  const error = memberErrorOf(draft, request.memberId, request.groupInstanceId)
  if (error) return error
  if (request.generationId !== draft.generationId) return 'ILLEGAL_GENERATION'
  const isOther = (asked: string | null, own: string | null): boolean => asked !== null && own !== null && asked !== own
  if (isOther(request.protocolType, draft.protocolType)) return 'INCONSISTENT_GROUP_PROTOCOL'
  if (isOther(request.protocolName, draft.protocolName)) return 'INCONSISTENT_GROUP_PROTOCOL'
  return draft.state === 'PreparingRebalance' ? 'REBALANCE_IN_PROGRESS' : undefined
}

/** Takes the assignment of the leader; whom it left out gets an empty one. */
function assign(draft: GroupDraft, request: SyncRequest): void {
  const assignments = new Map(request.assignments.map(({ memberId, assignment }) => [memberId, assignment]))
  const failed = new GroupDraft(draft.group(), draft.context)
  draft.onFailure = (error) => {
    failSyncs(failed, error)
    rebalanceOrCompleteJoin(failed)
    return failed
  }
  const members = [...draft.members.values()]
  const assigned = members.map((member) => {
    const assignment = assignments.get(member.memberId)?.slice() ?? noAssignment
    return { before: member, after: draft.update(member.memberId, { assignment, awaitingSync: undefined }) }
  })
  draft.persist()
  for (const { before, after } of assigned) {
    if (!before.awaitingSync) continue
    draft.answerSync(before.awaitingSync, synced(draft, after))
    draft.startSession(after.memberId, after.sessionTimeoutMs)
  }
  draft.move('assigned')
}

/** What a heartbeat is answered; it prolongs the session of the member where that is 0 or REBALANCE_IN_PROGRESS. */
export function heartbeatErrorOf(group: Group, request: HeartbeatRequest): ErrorName {
  const error = memberErrorOf(group, request.memberId, request.groupInstanceId)
  if (error) return error
  if (request.generationId !== group.generationId) return 'ILLEGAL_GENERATION'
  return group.state === 'PreparingRebalance' ? 'REBALANCE_IN_PROGRESS' : 'NONE'
}

/** LeaveGroup, for any number of members; tools name static ones by their static id alone. */
export function leave(draft: GroupDraft, request: LeaveRequest): LeaveAnswer {
  const members = request.members.map(({ memberId, groupInstanceId }) => ({
    memberId,
    groupInstanceId,
    errorCode: errorCodes[leaveOne(draft, memberId, groupInstanceId)],
  }))
  if (members.some(({ errorCode }) => errorCode === 0)) {
    if (draft.state === 'Stable' || draft.state === 'CompletingRebalance') rebalanceOrCompleteJoin(draft)
    else maybeCompleteJoin(draft)
  }
  return { throttleTimeMs: 0, errorCode: 0, members }
}

function leaveOne(draft: GroupDraft, memberId: string, groupInstanceId: string | null): ErrorName {
  if (memberId === '') {
    const known = groupInstanceId === null ? undefined : draft.staticMember(groupInstanceId)
    if (!known) return 'UNKNOWN_MEMBER_ID'
    removeMember(draft, known)
    return 'NONE'
  }
  if (draft.pendingJoins.has(memberId)) {
    draft.remove(memberId)
    draft.endSession(memberId)
    return 'NONE'
  }
  const error = memberErrorOf(draft, memberId, groupInstanceId)
  if (error) return error
  removeMember(draft, draft.member(memberId))
  return 'NONE'
}
