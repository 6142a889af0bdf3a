import { array, defineApi, int16, int32, int8, string } from '../schema.ts'

/** Elects partition leaders. Spec: Kafka `ElectLeadersRequest.json`, `ElectLeadersResponse.json`. */
export const ElectLeaders = defineApi({
  name: 'ElectLeaders',
  key: 43,
  versions: '0-2',
  flexible: '2+',
  request: {
    electionType: int8('0 the preferred replica, 1 any live replica where none is in sync.', { versions: '1+' }),
    topicPartitions: array(
      'Partitions that need a leader, or null for all.',
      { topic: string('Topic name.', { mapKey: true }), partitions: array('Partition indexes.', 'int32') },
      { nullable: '0+' },
    ),
    timeoutMs: int32('How long the broker may take, in milliseconds.', { default: 60000 }),
  },
  response: {
    throttleTimeMs: int32('How long a quota held the request back, in milliseconds.'),
    errorCode: int16('Error code for the whole answer, 0 for success.', { versions: '1+' }),
    replicaElectionResults: array('One entry per topic.', {
      topic: string('Topic name.'),
      partitionResult: array('One entry per partition.', {
        partitionId: int32('Partition index.'),
        errorCode: int16('Error code of the partition, 0 for success.'),
        errorMessage: string('What went wrong, or null.', { nullable: '0+' }),
      }),
    }),
  },
})
