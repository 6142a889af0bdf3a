import { array, defineApi, int16, int32, string } from '../schema.ts'

/**
 * Lists partitions whose replicas are being moved.
 * Spec: Kafka `ListPartitionReassignmentsRequest.json`, `ListPartitionReassignmentsResponse.json`.
 */
export const ListPartitionReassignments = defineApi({
  name: 'ListPartitionReassignments',
  key: 46,
  versions: '0-0',
  flexible: '0+',
  request: {
    timeoutMs: int32('How long the broker may take, in milliseconds.', { default: 60000 }),
    topics: array(
      'Topics to look at, or null for all.',
      { name: string('Topic name.'), partitionIndexes: array('Partition indexes.', 'int32') },
      { nullable: '0+', default: null },
    ),
  },
  response: {
    throttleTimeMs: int32('How long a quota held the request back, in milliseconds.'),
    errorCode: int16('Error code, 0 for success.'),
    errorMessage: string('What went wrong, or null.', { nullable: '0+' }),
    topics: array('One entry per topic.', {
      name: string('Topic name.'),
      partitions: array('One entry per partition.', {
        partitionIndex: int32('Partition index.'),
        replicas: array('Node ids of all replicas, the preferred leader first.', 'int32'),
        addingReplicas: array('Node ids of the replicas being added.', 'int32'),
        removingReplicas: array('Node ids of the replicas being removed.', 'int32'),
      }),
    }),
  },
})
