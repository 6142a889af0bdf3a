import type { ErrorName } from '../../protocol/errors.ts'
import { staticMemberOf, type Group } from './group.ts'

/** Why a request does not come from a member of the group; undefined where it does (KIP-345). */
export function memberErrorOf(
  group: Pick<Group, 'members'>,
  memberId: string,
  groupInstanceId: string | null,
): ErrorName | undefined {
  if (groupInstanceId !== null) {
    const known = staticMemberOf(group.members, groupInstanceId)
    if (!known) return 'UNKNOWN_MEMBER_ID'
    if (known.memberId !== memberId) return 'FENCED_INSTANCE_ID'
  }
  return group.members.has(memberId) ? undefined : 'UNKNOWN_MEMBER_ID'
}
