import { array, bool, defineApi, int16, int32, int8, string, struct, uuid } from '../schema.ts'

const topicPartitions = {
  topicId: uuid('Topic id.'),
  topicName: string('Topic name.'),
  partitions: array('Partition indexes.', 'int32'),
}

/**
 * Describes consumer groups of the new protocol (KIP-848).
 * Spec: Kafka `ConsumerGroupDescribeRequest.json`, `ConsumerGroupDescribeResponse.json`.
 */
export const ConsumerGroupDescribe = defineApi({
  name: 'ConsumerGroupDescribe',
  key: 69,
  versions: '0-1',
  flexible: '0+',
  request: {
    groupIds: array('Ids of the groups to describe.', 'string'),
    includeAuthorizedOperations: bool('Asks for the operations that the client may do on each group.'),
  },
  response: {
    throttleTimeMs: int32('How long a quota held the request back, in milliseconds.'),
    groups: array('One entry per group.', {
      errorCode: int16('Error code of the group, 0 for success.'),
      errorMessage: string('What went wrong, or null.', { nullable: '0+', default: null }),
      groupId: string('Group id.'),
      groupState: string("State of the group, or ''."),
      groupEpoch: int32('Grows with each change of members or subscriptions.'),
      assignmentEpoch: int32('Group epoch of the target assignment.'),
      assignorName: string('Chosen assignor.'),
      members: array('One entry per member.', {
        memberId: string("Member id; '' for a consumer outside a group."),
        instanceId: string('Static member id, or null.', { nullable: '0+', default: null }),
        rackId: string('Rack of the member, or null.', { nullable: '0+', default: null }),
        memberEpoch: int32('Member epoch.'),
        clientId: string('Client id of the member.'),
        clientHost: string('Address of the member.'),
        subscribedTopicNames: array('Topics the member wants to read.', 'string'),
        subscribedTopicRegex: string('Regular expression (RE2) of topics it wants to read, or null.', {
          nullable: '0+',
          default: null,
        }),
        assignment: struct('What the member reads.', {
          topicPartitions: array('One entry per topic.', topicPartitions),
        }),
        targetAssignment: struct('What the member will read once the others gave it up.', {
          topicPartitions: array('One entry per topic.', topicPartitions),
        }),
        memberType: int8('0 classic, 1 consumer, -1 unknown.', { versions: '1+', default: -1, ignorable: true }),
      }),
      authorizedOperations: int32(
        'Bit set of the operations allowed on the group; the lowest int32 when not asked for.',
        { default: -2147483648 },
      ),
    }),
  },
})
