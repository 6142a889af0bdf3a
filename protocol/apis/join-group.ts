import { array, bool, bytes, defineApi, int16, int32, string } from '../schema.ts'

/**
 * Makes a consumer a member of a classic group, and waits for the others.
 * Spec: Kafka `JoinGroupRequest.json`, `JoinGroupResponse.json`.
 */
export const JoinGroup = defineApi({
  name: 'JoinGroup',
  key: 11,
  versions: '0-9',
  flexible: '6+',
  request: {
    groupId: string('Group id.'),
    sessionTimeoutMs: int32('How long the member may be silent before it is removed, in milliseconds.'),
    rebalanceTimeoutMs: int32(
      'How long the member may take to rejoin in a rebalance, in milliseconds; -1 takes the session timeout.',
      { versions: '1+', default: -1, ignorable: true },
    ),
    memberId: string("Member id, '' for a newcomer."),
    groupInstanceId: string('Static member id, or null (KIP-345).', { versions: '5+', nullable: '5+', default: null }),
    protocolType: string('Protocol type, `consumer` for consumers.'),
    protocols: array('Protocols (assignors) the member knows, the most wanted first.', {
      name: string('Name of the protocol.', { mapKey: true }),
      metadata: bytes('Subscription of the member for that protocol.'),
    }),
    reason: string('Why, for people, or null.', { versions: '8+', nullable: '8+', default: null, ignorable: true }),
  },
  response: {
    throttleTimeMs: int32('How long a quota held the request back, in milliseconds.', {
      versions: '2+',
      ignorable: true,
    }),
    errorCode: int16('Error code, 0 for success.'),
    generationId: int32('Generation of the group, -1 with an error.', { default: -1 }),
    protocolType: string('Protocol type, or null.', { versions: '7+', nullable: '7+', default: null, ignorable: true }),
    protocolName: string('Chosen protocol (assignor), or null.', { nullable: '7+' }),
    leader: string('Member id of the leader.'),
    skipAssignment: bool('Tells a rejoining leader to keep the assignment and send none.', {
      versions: '9+',
      default: false,
    }),
    memberId: string('Member id that the coordinator gave.'),
    members: array('The members with their subscriptions; only the leader gets them.', {
      memberId: string('Member id.'),
      groupInstanceId: string('Static member id, or null (KIP-345).', {
        versions: '5+',
        nullable: '5+',
        default: null,
        ignorable: true,
      }),
      metadata: bytes('Subscription of that member.'),
    }),
  },
})
