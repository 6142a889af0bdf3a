import { array, bool, defineApi, int16, int32, string, uuid } from '../schema.ts'

/**
 * Describes brokers, topics and partition leaders.
 * Spec: Kafka `MetadataRequest.json`, `MetadataResponse.json`.
 */
export const Metadata = defineApi({
  name: 'Metadata',
  key: 3,
  versions: '0-13',
  flexible: '9+',
  request: {
    topics: array(
      'Topics to describe; null for all, and in version 0 also empty for all.',
      {
        topicId: uuid('Topic id; the zero id asks by name.', { versions: '10+', ignorable: true }),
        name: string('Topic name, or null to ask by id.', { nullable: '10+' }),
      },
      { nullable: '1+' },
    ),
    allowAutoTopicCreation: bool('Lets the broker create missing topics, if its configuration allows that.', {
      versions: '4+',
      default: true,
    }),
    includeClusterAuthorizedOperations: bool('Asks for the operations that the client may do on the cluster.', {
      versions: '8-10',
    }),
    includeTopicAuthorizedOperations: bool('Asks for the operations that the client may do on each topic.', {
      versions: '8+',
    }),
  },
  response: {
    throttleTimeMs: int32('How long a quota held the request back, in milliseconds.', {
      versions: '3+',
      ignorable: true,
    }),
    brokers: array('The brokers of the cluster that are alive.', {
      nodeId: int32('Node id.', { mapKey: true }),
      host: string('Host name or address to connect to.'),
      port: int32('Port to connect to.'),
      rack: string('Rack of the node, or null.', { versions: '1+', nullable: '1+', default: null, ignorable: true }),
    }),
    clusterId: string('Id of the cluster that answers, or null where it has none.', {
      versions: '2+',
      nullable: '2+',
      default: null,
      ignorable: true,
    }),
    controllerId: int32('Node id of the controller, -1 where there is none; brokers may name any live broker.', {
      versions: '1+',
      default: -1,
      ignorable: true,
    }),
    topics: array('One entry per topic.', {
      errorCode: int16('Error code of the topic, 0 for success.'),
      name: string('Topic name; null where an id was asked for that nobody knows.', { nullable: '12+', mapKey: true }),
      topicId: uuid('Topic id; zero where a name was asked for that nobody knows.', {
        versions: '10+',
        ignorable: true,
      }),
      isInternal: bool('Whether the cluster keeps the topic for itself, as `__consumer_offsets`.', {
        versions: '1+',
        default: false,
        ignorable: true,
      }),
      partitions: array('One entry per partition.', {
        errorCode: int16('Error code of the partition, 0 for success.'),
        partitionIndex: int32('Partition index.'),
        leaderId: int32('Node id of the leader, -1 where there is none.'),
        leaderEpoch: int32('Leader epoch, -1 where unknown.', { versions: '7+', default: -1, ignorable: true }),
        replicaNodes: array('Node ids of all replicas.', 'int32'),
        isrNodes: array('Node ids of the replicas that are in sync.', 'int32'),
        offlineReplicas: array('Node ids of the replicas that are offline.', 'int32', {
          versions: '5+',
          ignorable: true,
        }),
      }),
      topicAuthorizedOperations: int32(
        'Bit set of the operations allowed on the topic; the lowest int32 when not asked for.',
        { versions: '8+', default: -2147483648 },
      ),
    }),
    clusterAuthorizedOperations: int32(
      'Bit set of the operations allowed on the cluster; the lowest int32 when not asked for.',
      { versions: '8-10', default: -2147483648 },
    ),
    errorCode: int16('Error code for the whole answer, 0 for success.', { versions: '13+', ignorable: true }),
  },
})
