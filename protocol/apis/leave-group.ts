import { array, defineApi, int16, int32, string } from '../schema.ts'

/** Removes members from a classic group. Spec: Kafka `LeaveGroupRequest.json`, `LeaveGroupResponse.json`. */
export const LeaveGroup = defineApi({
  name: 'LeaveGroup',
  key: 13,
  versions: '0-5',
  flexible: '4+',
  request: {
    groupId: string('Group id.'),
    memberId: string('Member that leaves.', { versions: '0-2' }),
    members: array(
      'Members that leave.',
      {
        memberId: string("Member that leaves; '' names it by its static id only."),
        groupInstanceId: string('Static member id, or null (KIP-345).', { nullable: '3+', default: null }),
        reason: string('Why, for people, or null.', { versions: '5+', nullable: '5+', default: null, ignorable: true }),
      },
      { versions: '3+' },
    ),
  },
  response: {
    throttleTimeMs: int32('How long a quota held the request back, in milliseconds.', {
      versions: '1+',
      ignorable: true,
    }),
    errorCode: int16('Error code for the whole answer, 0 for success.'),
    members: array(
      'One entry per member.',
      {
        memberId: string('Member that left.'),
        groupInstanceId: string('Static member id, or null (KIP-345).', { nullable: '3+' }),
        errorCode: int16('Error code of the member, 0 for success.'),
      },
      { versions: '3+' },
    ),
  },
})
