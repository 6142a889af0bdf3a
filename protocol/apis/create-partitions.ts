import { array, bool, defineApi, int16, int32, string } from '../schema.ts'

/** Adds partitions to topics. Spec: Kafka `CreatePartitionsRequest.json`, `CreatePartitionsResponse.json`. */
export const CreatePartitions = defineApi({
  name: 'CreatePartitions',
  key: 37,
  versions: '0-3',
  flexible: '2+',
  request: {
    topics: array('One entry per topic.', {
      name: string('Topic name.', { mapKey: true }),
      count: int32('New number of partitions, more than before.'),
      assignments: array(
        'Replicas of each new partition by hand, or null to let the cluster place them.',
        { brokerIds: array('Node ids of the replicas, the preferred leader first.', 'int32') },
        { nullable: '0+' },
      ),
    }),
    timeoutMs: int32('How long the broker may take, in milliseconds.'),
    validateOnly: bool('Only checks whether it would work.'),
  },
  response: {
    throttleTimeMs: int32('How long a quota held the request back, in milliseconds.'),
    results: array('One entry per topic.', {
      name: string('Topic name.'),
      errorCode: int16('Error code, 0 for success.'),
      errorMessage: string('What went wrong, or null.', { nullable: '0+', default: null }),
    }),
  },
})
