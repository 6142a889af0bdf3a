import { array, defineApi, int16, int32, string, struct, uuid } from '../schema.ts'

const topicPartitions = { topicId: uuid('Topic id.'), partitions: array('Partition indexes.', 'int32') }

/**
 * Joins, keeps and leaves a consumer group of the new protocol (KIP-848).
 * Spec: Kafka `ConsumerGroupHeartbeatRequest.json`, `ConsumerGroupHeartbeatResponse.json`.
 */
export const ConsumerGroupHeartbeat = defineApi({
  name: 'ConsumerGroupHeartbeat',
  key: 68,
  versions: '0-1',
  flexible: '0+',
  request: {
    groupId: string('Group id.'),
    memberId: string('Member id, made by the client from version 1 on; it keeps it for life.'),
    memberEpoch: int32('Member epoch; 0 joins, -1 leaves, -2 leaves for a while as a static member.'),
    instanceId: string('Static member id, or null for none or no change.', { nullable: '0+', default: null }),
    rackId: string('Rack of the member, or null for none or no change.', { nullable: '0+', default: null }),
    rebalanceTimeoutMs: int32(
      'How long the member may take to give partitions back, in milliseconds; -1 for no change.',
      { default: -1 },
    ),
    subscribedTopicNames: array('Topics the member wants to read, or null for no change.', 'string', {
      nullable: '0+',
      default: null,
    }),
    subscribedTopicRegex: string('Regular expression (RE2) of topics it wants to read, or null for no change.', {
      versions: '1+',
      nullable: '1+',
      default: null,
    }),
    serverAssignor: string("Assignor on the broker's side, or null for none or no change.", {
      nullable: '0+',
      default: null,
    }),
    topicPartitions: array('Partitions the member reads, or null for no change.', topicPartitions, {
      nullable: '0+',
      default: null,
    }),
  },
  response: {
    throttleTimeMs: int32('How long a quota held the request back, in milliseconds.'),
    errorCode: int16('Error code, 0 for success.'),
    errorMessage: string('What went wrong, or null.', { nullable: '0+', default: null }),
    memberId: string('Member id, or null in answers to errors.', { nullable: '0+', default: null }),
    memberEpoch: int32('Member epoch.'),
    heartbeatIntervalMs: int32('How long to wait before the next heartbeat, in milliseconds.'),
    assignment: struct(
      'What the member shall read now, or null for no change.',
      { topicPartitions: array('One entry per topic.', topicPartitions) },
      { nullable: '0+', default: null },
    ),
  },
})
