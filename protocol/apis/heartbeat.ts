import { defineApi, int16, int32, string } from '../schema.ts'

/** Keeps a member of a classic group alive. Spec: Kafka `HeartbeatRequest.json`, `HeartbeatResponse.json`. */
export const Heartbeat = defineApi({
  name: 'Heartbeat',
  key: 12,
  versions: '0-4',
  flexible: '4+',
  request: {
    groupId: string('Group id.'),
    generationId: int32('Generation of the group.'),
    memberId: string("Member id; '' for a consumer outside a group."),
    groupInstanceId: string('Static member id, or null (KIP-345).', { versions: '3+', nullable: '3+', default: null }),
  },
  response: {
    throttleTimeMs: int32('How long a quota held the request back, in milliseconds.', {
      versions: '1+',
      ignorable: true,
    }),
    errorCode: int16('Error code, 0 for success.'),
  },
})
