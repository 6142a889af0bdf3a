import { LeaveGroup } from '../../protocol/apis/leave-group.ts'
import type { RequestOf } from '../../protocol/schema.ts'
import { errorCodes } from '../../protocol/errors.ts'
import { defineHandler } from './handler.ts'

/** From this version on the request has a list of members (KIP-345). */
const membersFromVersion = 3

/** Takes members out of a classic group. */
export const leaveGroup = defineHandler({
  api: LeaveGroup,
  versions: '0-5',

  async handle(request, context) {
    context.authorize('READ', 'GROUP', request.groupId)
    const isList = context.apiVersion >= membersFromVersion
    const members = isList ? request.members : [{ memberId: request.memberId, groupInstanceId: null, reason: null }]
    const answer = await context.broker.groups.leaveGroup({ ...request, members })
    if (isList) return answer
    return { throttleTimeMs: 0, errorCode: answer.members[0]?.errorCode ?? 0, members: [] }
  },

  fail(request, { errorCode, errorName }, { apiVersion }) {
    // A group that nobody knows has none of the members: each of them is answered so.
    if (errorName !== 'UNKNOWN_MEMBER_ID' || apiVersion < membersFromVersion)
      return { throttleTimeMs: 0, errorCode, members: [] }
    return { throttleTimeMs: 0, errorCode: errorCodes.NONE, members: unknownMembers(request) }
  },
})

function unknownMembers({ members }: RequestOf<typeof LeaveGroup>) {
  const errorCode = errorCodes.UNKNOWN_MEMBER_ID
  return members.map(({ memberId, groupInstanceId }) => ({ memberId, groupInstanceId, errorCode }))
}
