import { array, bytes, defineApi, int16, int32, string } from '../schema.ts'

/**
 * Hands the leader's assignment to the members of a classic group.
 * Spec: Kafka `SyncGroupRequest.json`, `SyncGroupResponse.json`.
 */
export const SyncGroup = defineApi({
  name: 'SyncGroup',
  key: 14,
  versions: '0-5',
  flexible: '4+',
  request: {
    groupId: string('Group id.'),
    generationId: int32('Generation of the group.'),
    memberId: string("Member id; '' for a consumer outside a group."),
    groupInstanceId: string('Static member id, or null (KIP-345).', { versions: '3+', nullable: '3+', default: null }),
    protocolType: string('Protocol type that is checked, or null to skip the check.', {
      versions: '5+',
      nullable: '5+',
      default: null,
      ignorable: true,
    }),
    protocolName: string('Protocol (assignor) that is checked, or null to skip the check.', {
      versions: '5+',
      nullable: '5+',
      default: null,
      ignorable: true,
    }),
    assignments: array('Assignment of each member; only the leader sends them.', {
      memberId: string("Member id; '' for a consumer outside a group."),
      assignment: bytes('Assignment of the member.'),
    }),
  },
  response: {
    throttleTimeMs: int32('How long a quota held the request back, in milliseconds.', {
      versions: '1+',
      ignorable: true,
    }),
    errorCode: int16('Error code, 0 for success.'),
    protocolType: string('Protocol type, or null.', { versions: '5+', nullable: '5+', default: null, ignorable: true }),
    protocolName: string('Chosen protocol (assignor), or null.', {
      versions: '5+',
      nullable: '5+',
      default: null,
      ignorable: true,
    }),
    assignment: bytes('Assignment of the member.'),
  },
})
