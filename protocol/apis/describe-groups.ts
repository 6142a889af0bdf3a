import { array, bool, bytes, defineApi, int16, int32, string } from '../schema.ts'

/**
 * Describes classic groups and their members.
 * Spec: Kafka `DescribeGroupsRequest.json`, `DescribeGroupsResponse.json`.
 */
export const DescribeGroups = defineApi({
  name: 'DescribeGroups',
  key: 15,
  versions: '0-6',
  flexible: '5+',
  request: {
    groups: array('Ids of the groups to describe.', 'string'),
    includeAuthorizedOperations: bool('Asks for the operations that the client may do on each group.', {
      versions: '3+',
    }),
  },
  response: {
    throttleTimeMs: int32('How long a quota held the request back, in milliseconds.', {
      versions: '1+',
      ignorable: true,
    }),
    groups: array('One entry per group.', {
      errorCode: int16('Error code of the group, 0 for success.'),
      errorMessage: string('What went wrong, or null.', { versions: '6+', nullable: '6+', default: null }),
      groupId: string('Group id.'),
      groupState: string("State of the group, or ''."),
      protocolType: string('Protocol type, `consumer` for consumers.'),
      protocolData: string("Chosen protocol (assignor), or ''."),
      members: array('One entry per member.', {
        memberId: string("Member id; '' for a consumer outside a group."),
        groupInstanceId: string('Static member id, or null (KIP-345).', {
          versions: '4+',
          nullable: '4+',
          default: null,
          ignorable: true,
        }),
        clientId: string('Client id of the member.'),
        clientHost: string('Address of the member.'),
        memberMetadata: bytes('Subscription for the chosen protocol.'),
        memberAssignment: bytes('Assignment from the leader.'),
      }),
      authorizedOperations: int32(
        'Bit set of the operations allowed on the group; the lowest int32 when not asked for.',
        { versions: '3+', default: -2147483648 },
      ),
    }),
  },
})
