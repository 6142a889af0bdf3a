import { array, bool, defineApi, int16, int32, string, struct, uuid } from '../schema.ts'

const cursor = {
  topicName: string('Topic name to begin at.'),
  partitionIndex: int32('First partition index to describe.'),
}

/**
 * Describes partitions of topics page by page (KIP-966).
 * Spec: Kafka `DescribeTopicPartitionsRequest.json`, `DescribeTopicPartitionsResponse.json`.
 */
export const DescribeTopicPartitions = defineApi({
  name: 'DescribeTopicPartitions',
  key: 75,
  versions: '0-0',
  flexible: '0+',
  request: {
    topics: array('Topics to describe; empty for all.', { name: string('Topic name.') }),
    responsePartitionLimit: int32('Most partitions to return; the broker may have a lower limit.', { default: 2000 }),
    cursor: struct('Where to begin, or null to begin at the first topic.', cursor, { nullable: '0+', default: null }),
  },
  response: {
    throttleTimeMs: int32('How long a quota held the request back, in milliseconds.', { ignorable: true }),
    topics: array('One entry per topic.', {
      errorCode: int16('Error code, 0 for success.'),
      name: string('Topic name.', { nullable: '0+', mapKey: true }),
      topicId: uuid('Topic id.', { ignorable: true }),
      isInternal: bool('Whether the cluster keeps the topic for itself, as `__consumer_offsets`.', {
        default: false,
        ignorable: true,
      }),
      partitions: array('One entry per partition.', {
        errorCode: int16('Error code, 0 for success.'),
        partitionIndex: int32('Partition index.'),
        leaderId: int32('Node id of the leader, -1 where there is none.'),
        leaderEpoch: int32('Leader epoch, -1 where unknown.', { default: -1, ignorable: true }),
        replicaNodes: array('Node ids of all replicas.', 'int32'),
        isrNodes: array('Node ids of the replicas that are in sync.', 'int32'),
        eligibleLeaderReplicas: array(
          'Replicas that may lead although they are not in sync (KIP-966), or null.',
          'int32',
          { nullable: '0+', default: null },
        ),
        lastKnownElr: array('Replicas that were last eligible before the set became empty, or null.', 'int32', {
          nullable: '0+',
          default: null,
        }),
        offlineReplicas: array('Node ids of the replicas that are offline.', 'int32', { ignorable: true }),
      }),
      topicAuthorizedOperations: int32(
        'Bit set of the operations allowed on the topic; the lowest int32 when not asked for.',
        { default: -2147483648 },
      ),
    }),
    nextCursor: struct('Where the next request begins, or null when nothing was left out.', cursor, {
      nullable: '0+',
      default: null,
    }),
  },
})
