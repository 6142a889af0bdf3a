import { array, bool, defineApi, int16, int32, int8, string, uuid } from '../schema.ts'

/** Creates topics. Spec: Kafka `CreateTopicsRequest.json`, `CreateTopicsResponse.json`. */
export const CreateTopics = defineApi({
  name: 'CreateTopics',
  key: 19,
  versions: '2-7',
  flexible: '5+',
  request: {
    topics: array('Topics to create.', {
      name: string('Topic name.', { mapKey: true }),
      numPartitions: int32('Number of partitions, -1 for the default or with assignments.'),
      replicationFactor: int16('Replicas per partition, -1 for the default or with assignments.'),
      assignments: array('Replicas by hand, or empty to let the cluster place them.', {
        partitionIndex: int32('Partition index.', { mapKey: true }),
        brokerIds: array('Node ids of the replicas, the preferred leader first.', 'int32'),
      }),
      configs: array('Topic configs to set.', {
        name: string('Config name.', { mapKey: true }),
        value: string('Config value as text, or null.', { nullable: '2+' }),
      }),
    }),
    timeoutMs: int32('How long the broker may take, in milliseconds.', { default: 60000 }),
    validateOnly: bool('Only checks whether it would work.', { default: false }),
  },
  response: {
    throttleTimeMs: int32('How long a quota held the request back, in milliseconds.', { ignorable: true }),
    topics: array('One entry per topic.', {
      name: string('Topic name.', { mapKey: true }),
      topicId: uuid('Topic id.', { versions: '7+', ignorable: true }),
      errorCode: int16('Error code, 0 for success.'),
      errorMessage: string('What went wrong, or null.', { nullable: '2+', ignorable: true }),
      topicConfigErrorCode: int16('Why `configs` is null, or 0.', { versions: '5+', ignorable: true, tag: 0 }),
      numPartitions: int32('Number of partitions, -1 where unknown.', { versions: '5+', default: -1, ignorable: true }),
      replicationFactor: int16('Replicas per partition, -1 where unknown.', {
        versions: '5+',
        default: -1,
        ignorable: true,
      }),
      configs: array(
        'Configs of the new topic, or null where they may not be seen.',
        {
          name: string('Config name.'),
          value: string('Config value as text, or null.', { nullable: '5+' }),
          readOnly: bool('Whether the value cannot be changed at runtime.'),
          configSource: int8(
            'Who set it: 1 topic, 2 broker, 3 all brokers, 4 server file, 5 nobody, 6 logger, 7 metrics, 8 group.',
            { default: -1, ignorable: true },
          ),
          isSensitive: bool('Whether the value is a secret and hidden.'),
        },
        { versions: '5+', nullable: '5+', ignorable: true },
      ),
    }),
  },
})
