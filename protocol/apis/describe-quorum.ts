import { array, defineApi, int16, int32, int64, string, uint16, uuid } from '../schema.ts'

const replicaState = {
  replicaId: int32('Node id of the replica.'),
  replicaDirectoryId: uuid('Id of the metadata directory of the replica.', { versions: '2+' }),
  logEndOffset: int64('End of its log as far as known, -1 where unknown.'),
  lastFetchTimestamp: int64('When it last fetched, in milliseconds since 1970; -1 for the leader or where unknown.', {
    versions: '1+',
    default: -1n,
    ignorable: true,
  }),
  lastCaughtUpTimestamp: int64(
    'When it last had all that the leader had, in milliseconds since 1970; -1 where unknown.',
    { versions: '1+', default: -1n, ignorable: true },
  ),
}

/**
 * Describes the quorum of the metadata log.
 * Spec: Kafka `DescribeQuorumRequest.json`, `DescribeQuorumResponse.json`.
 */
export const DescribeQuorum = defineApi({
  name: 'DescribeQuorum',
  key: 55,
  versions: '0-2',
  flexible: '0+',
  request: {
    topics: array('One entry per topic.', {
      topicName: string('Topic name.'),
      partitions: array('One entry per partition.', { partitionIndex: int32('Partition index.') }),
    }),
  },
  response: {
    errorCode: int16('Error code for the whole answer, 0 for success.'),
    errorMessage: string('What went wrong, or null.', { versions: '2+', nullable: '2+', ignorable: true }),
    topics: array('One entry per topic.', {
      topicName: string('Topic name.'),
      partitions: array('One entry per partition.', {
        partitionIndex: int32('Partition index.'),
        errorCode: int16('Error code of the partition, 0 for success.'),
        errorMessage: string('What went wrong, or null.', { versions: '2+', nullable: '2+', ignorable: true }),
        leaderId: int32('Node id of the leader, -1 where there is none.'),
        leaderEpoch: int32('Leader epoch, -1 where unknown.'),
        highWatermark: int64('High watermark.'),
        currentVoters: array('Replicas that vote.', replicaState),
        observers: array('Replicas that only follow.', replicaState),
      }),
    }),
    nodes: array(
      'Addresses of the voters.',
      {
        nodeId: int32('Node id.', { mapKey: true }),
        listeners: array('Where the node listens.', {
          name: string('Listener name.', { mapKey: true }),
          host: string('Host name or address to connect to.'),
          port: uint16('Port to connect to.'),
        }),
      },
      { versions: '2+' },
    ),
  },
})
