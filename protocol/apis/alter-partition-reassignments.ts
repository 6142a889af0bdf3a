import { array, bool, defineApi, int16, int32, string } from '../schema.ts'

/**
 * Moves partitions to other replicas.
 * Spec: Kafka `AlterPartitionReassignmentsRequest.json`, `AlterPartitionReassignmentsResponse.json`.
 */
export const AlterPartitionReassignments = defineApi({
  name: 'AlterPartitionReassignments',
  key: 45,
  versions: '0-1',
  flexible: '0+',
  request: {
    timeoutMs: int32('How long the broker may take, in milliseconds.', { default: 60000 }),
    allowReplicationFactorChange: bool('Whether the number of replicas may change.', { versions: '1+', default: true }),
    topics: array('One entry per topic.', {
      name: string('Topic name.'),
      partitions: array('One entry per partition.', {
        partitionIndex: int32('Partition index.'),
        replicas: array('Node ids of the wanted replicas, or null to give a running reassignment up.', 'int32', {
          nullable: '0+',
          default: null,
        }),
      }),
    }),
  },
  response: {
    throttleTimeMs: int32('How long a quota held the request back, in milliseconds.'),
    allowReplicationFactorChange: bool('Whether the number of replicas was allowed to change.', {
      versions: '1+',
      default: true,
      ignorable: true,
    }),
    errorCode: int16('Error code for the whole answer, 0 for success.'),
    errorMessage: string('What went wrong, or null.', { nullable: '0+' }),
    responses: array('One entry per topic.', {
      name: string('Topic name.'),
      partitions: array('One entry per partition.', {
        partitionIndex: int32('Partition index.'),
        errorCode: int16('Error code of the partition, 0 for success.'),
        errorMessage: string('What went wrong, or null.', { nullable: '0+' }),
      }),
    }),
  },
})
