import { DescribeGroups } from '../../protocol/apis/describe-groups.ts'
import type { DescribedGroup } from '../groups/group-admin.ts'
import { allGroupOperations, operationsNotAsked } from './authorized-operations.ts'
import { codeAndMessage } from './group-client.ts'
import { defineHandler, type Context } from './handler.ts'

/** From this version on an error comes with a message. */
const messageFromVersion = 6

/** Describes classic groups and their members. */
export const describeGroups = defineHandler({
  api: DescribeGroups,
  versions: '0-6',

  handle({ groups, includeAuthorizedOperations }, context) {
    const described = groups.map((groupId) => describe(groupId, context))
    const authorizedOperations = includeAuthorizedOperations ? allGroupOperations : operationsNotAsked
    return {
      throttleTimeMs: 0,
      groups: described.map((group) => (group.errorCode === 0 ? { ...group, authorizedOperations } : group)),
    }
  },

  fail({ groups }, error, { apiVersion }) {
    return { throttleTimeMs: 0, groups: groups.map((groupId) => refusal(groupId, error, apiVersion)) }
  },
})

function describe(groupId: string, context: Context): DescribedGroup {
  try {
    context.authorize('DESCRIBE', 'GROUP', groupId)
    return context.broker.groups.describeGroup(groupId, context.apiVersion)
  } catch (error) {
    return refusal(groupId, error, context.apiVersion)
  }
}

function refusal(groupId: string, error: unknown, apiVersion: number): DescribedGroup {
  const { errorCode, errorMessage } = codeAndMessage(error)
  const refused = { groupId, errorCode, groupState: '', protocolType: '', protocolData: '', members: [] }
  return apiVersion >= messageFromVersion ? { ...refused, errorMessage } : refused
}
