import { JoinGroup } from '../../protocol/apis/join-group.ts'
import { joinFailure } from '../groups/group-draft.ts'
import type { JoinAnswer } from '../groups/group.ts'
import { clientOf, parked } from './group-client.ts'
import { defineHandler } from './handler.ts'

/** From this version on, no protocol is null; before, it is an empty name. */
const nullProtocolFromVersion = 7

/** Makes a client a member of a classic group; waits until the members of the next generation are known. */
export const joinGroup = defineHandler({
  api: JoinGroup,
  versions: '0-9',

  async handle(request, context) {
    context.authorize('READ', 'GROUP', request.groupId)
    const { groups } = context.broker
    const answer = groups.joinGroup(request, clientOf(context), () => context.admitNext())
    return forVersion(await parked(answer, context.signal), context.apiVersion)
  },

  fail(_request, { errorName }, { apiVersion }) {
    return forVersion(joinFailure(errorName), apiVersion)
  },
})

function forVersion(answer: JoinAnswer, apiVersion: number): JoinAnswer {
  return apiVersion >= nullProtocolFromVersion ? answer : { ...answer, protocolName: answer.protocolName ?? '' }
}
