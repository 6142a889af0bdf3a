/** What tools are told about groups, and how they delete them. */
import { errorCodes } from '../../protocol/errors.ts'
import type { DescribeGroups } from '../../protocol/apis/describe-groups.ts'
import type { ListGroups } from '../../protocol/apis/list-groups.ts'
import type { RequestOf, ResponseInput } from '../../protocol/schema.ts'
import { metadataOf, noAssignment, type Group } from './group.ts'

export type DescribedGroup = ResponseInput<typeof DescribeGroups>['groups'][number]
export type ListedGroup = ResponseInput<typeof ListGroups>['groups'][number]

/** From this version on a group that is not there is an error; before, it is dead. */
const groupNotFoundFromVersion = 6

export function describeGroup(groupId: string, group: Group | undefined, apiVersion: number): DescribedGroup {
  if (!group) {
    const dead = { groupId, groupState: 'Dead', protocolType: '', protocolData: '', members: [], errorCode: 0 }
    if (apiVersion < groupNotFoundFromVersion) return dead
    return { ...dead, errorCode: errorCodes.GROUP_ID_NOT_FOUND, errorMessage: `Group ${groupId} not found.` }
  }
  const { protocolName, state } = group
  const isStable = state === 'Stable' && protocolName !== null
  return {
    errorCode: 0,
    groupId,
    groupState: state,
    protocolType: group.protocolType ?? '',
    protocolData: isStable ? protocolName : '',
    members: [...group.members.values()].map((member) => ({
      memberId: member.memberId,
      groupInstanceId: member.groupInstanceId,
      clientId: member.clientId,
      clientHost: member.clientHost,
      memberMetadata: isStable ? metadataOf(member, protocolName) : noAssignment,
      memberAssignment: member.assignment,
    })),
  }
}

/** The groups that pass the filters; an empty filter lets all pass, and case does not matter. */
export function listGroups(groups: Iterable<Group>, request: RequestOf<typeof ListGroups>): ListedGroup[] {
  const states = new Set(request.statesFilter.map((state) => state.trim().toLowerCase()))
  const types = new Set(request.typesFilter.map((type) => type.toLowerCase()))
  if (types.size > 0 && !types.has('classic')) return []
  const listed: ListedGroup[] = []
  for (const { groupId, state, protocolType } of groups) {
    if (states.size > 0 && !states.has(state.toLowerCase())) continue
    listed.push({ groupId, protocolType: protocolType ?? '', groupState: state, groupType: 'classic' })
  }
  return listed
}
