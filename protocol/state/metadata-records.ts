/**
 * The records of Kafka's `__cluster_metadata` log that this broker writes. Each is framed by its key and version.
 */
import { array, bool, defineRecord, int16, int32, int64, int8, string, uint16, uuid } from '../schema.ts'

/**
 * Sets the level of a feature; the one of `metadata.version` is the first record of a log.
 * Spec: Kafka `FeatureLevelRecord.json`.
 */
export const FeatureLevelRecord = defineRecord({
  name: 'FeatureLevelRecord',
  key: 12,
  versions: '0-0',
  flexible: '0+',
  fields: { name: string('Feature name.'), featureLevel: int16('Finalized level of the feature; 0 removes it.') },
})

/** Creates a topic; its partitions follow. Spec: Kafka `TopicRecord.json`. */
export const TopicRecord = defineRecord({
  name: 'TopicRecord',
  key: 2,
  versions: '0-0',
  flexible: '0+',
  fields: { name: string('Topic name.'), topicId: uuid('Topic id.') },
})

/** Creates a partition, or in a snapshot describes one. Spec: Kafka `PartitionRecord.json`. */
export const PartitionRecord = defineRecord({
  name: 'PartitionRecord',
  key: 3,
  versions: '0-2',
  flexible: '0+',
  fields: {
    partitionId: int32('Partition index.', { default: -1 }),
    topicId: uuid('Topic id.'),
    replicas: array('Node ids of all replicas, the preferred leader first.', 'int32'),
    isr: array('Node ids of the replicas in sync.', 'int32'),
    removingReplicas: array('Node ids of the replicas being removed.', 'int32'),
    addingReplicas: array('Node ids of the replicas being added.', 'int32'),
    leader: int32('Node id of the leader, -1 where there is none.', { default: -1 }),
    leaderRecoveryState: int8('1 while the leader recovers from an unclean election, else 0.', { default: 0, tag: 0 }),
    leaderEpoch: int32('Leader epoch, -1 where unknown.', { default: -1 }),
    partitionEpoch: int32('Grows with each change of the partition.', { default: -1 }),
    directories: array(
      'Id of the log directory of each replica, in the order of `replicas`; the zero id is unassigned.',
      'uuid',
      { versions: '1+' },
    ),
    eligibleLeaderReplicas: array('Replicas that may lead although they are not in sync (KIP-966), or null.', 'int32', {
      versions: '2+',
      nullable: '2+',
      default: null,
      tag: 1,
    }),
    lastKnownElr: array('Replicas that were last eligible before the set became empty, or null.', 'int32', {
      versions: '2+',
      nullable: '2+',
      default: null,
      tag: 2,
    }),
  },
})

/** Changes a partition; what is left out stays. Spec: Kafka `PartitionChangeRecord.json`. */
export const PartitionChangeRecord = defineRecord({
  name: 'PartitionChangeRecord',
  key: 5,
  versions: '0-2',
  flexible: '0+',
  fields: {
    partitionId: int32('Partition index.', { default: -1 }),
    topicId: uuid('Topic id.'),
    isr: array('Node ids of the replicas in sync, or null for no change.', 'int32', {
      nullable: '0+',
      default: null,
      tag: 0,
    }),
    leader: int32(
      'Node id of the leader, -1 none, -2 no change. Naming one, even the same, raises the leader epoch by one.',
      { default: -2, tag: 1 },
    ),
    replicas: array('Node ids of all replicas, or null for no change.', 'int32', {
      nullable: '0+',
      default: null,
      tag: 2,
    }),
    removingReplicas: array('Node ids of the replicas being removed, or null for no change.', 'int32', {
      nullable: '0+',
      default: null,
      tag: 3,
    }),
    addingReplicas: array('Node ids of the replicas being added, or null for no change.', 'int32', {
      nullable: '0+',
      default: null,
      tag: 4,
    }),
    leaderRecoveryState: int8('0 recovered, 1 recovering, -1 for no change.', { default: -1, tag: 5 }),
    directories: array('Ids of the log directories, or null for no change.', 'uuid', {
      versions: '1+',
      nullable: '1+',
      default: null,
      tag: 8,
    }),
    eligibleLeaderReplicas: array('Replicas that may lead although not in sync, or null for no change.', 'int32', {
      versions: '2+',
      nullable: '2+',
      default: null,
      tag: 6,
    }),
    lastKnownElr: array('Replicas last eligible, or null for no change.', 'int32', {
      versions: '2+',
      nullable: '2+',
      default: null,
      tag: 7,
    }),
  },
})

/** Deletes a topic with its partitions and configs. Spec: Kafka `RemoveTopicRecord.json`. */
export const RemoveTopicRecord = defineRecord({
  name: 'RemoveTopicRecord',
  key: 9,
  versions: '0-0',
  flexible: '0+',
  fields: { topicId: uuid('Topic id.') },
})

/** Sets or removes one config of a resource. Spec: Kafka `ConfigRecord.json`. */
export const ConfigRecord = defineRecord({
  name: 'ConfigRecord',
  key: 4,
  versions: '0-0',
  flexible: '0+',
  fields: {
    resourceType: int8('2 topic, 4 broker, 16 client metrics, 32 group.'),
    resourceName: string("Resource name; for brokers the node id, or '' for the cluster-wide default."),
    name: string('Config name.'),
    value: string('Config value as text, or null to remove it.', { nullable: '0+' }),
  },
})

/** Reserves a block of producer ids. Spec: Kafka `ProducerIdsRecord.json`. */
export const ProducerIdsRecord = defineRecord({
  name: 'ProducerIdsRecord',
  key: 15,
  versions: '0-0',
  flexible: '0+',
  fields: {
    brokerId: int32('Node id of the broker that got the block.'),
    brokerEpoch: int64('Epoch of the registration of the broker.', { default: -1n }),
    nextProducerId: int64('First producer id behind the block.'),
  },
})

/** Registers a broker. Spec: Kafka `RegisterBrokerRecord.json`. */
export const RegisterBrokerRecord = defineRecord({
  name: 'RegisterBrokerRecord',
  key: 0,
  versions: '0-4',
  flexible: '0+',
  fields: {
    brokerId: int32('Node id.'),
    isMigratingZkBroker: bool('A remnant of the move away from ZooKeeper; false.', { versions: '2+', default: false }),
    incarnationId: uuid('Id of this run of the broker.'),
    brokerEpoch: int64('Epoch of the registration of the broker.'),
    endPoints: array('Where the broker listens.', {
      name: string('Listener name.', { mapKey: true }),
      host: string('Host name or address to connect to.'),
      port: uint16('Port to connect to.'),
      securityProtocol: int16('0 PLAINTEXT, 1 SSL, 2 SASL_PLAINTEXT, 3 SASL_SSL.'),
    }),
    features: array('Feature levels that the broker is able to run.', {
      name: string('Feature name.', { mapKey: true }),
      minSupportedVersion: int16('Lowest level.'),
      maxSupportedVersion: int16('Highest level.'),
    }),
    rack: string('Rack of the node, or null.', { nullable: '0+' }),
    fenced: bool('Whether the broker does not serve yet.', { default: true }),
    inControlledShutdown: bool('Whether the broker is shutting down.', { versions: '1+', default: false }),
    logDirs: array('Ids of the log directories that are online.', 'uuid', { versions: '3+', tag: 0 }),
    cordonedLogDirs: array(
      'Ids of the log directories that take no new partitions, or null where unknown or unchanged.',
      'uuid',
      { versions: '4+', nullable: '4+', default: null, tag: 1 },
    ),
  },
})

/**
 * Changes the registration of a broker; what is left out stays.
 * Spec: Kafka `BrokerRegistrationChangeRecord.json`.
 */
export const BrokerRegistrationChangeRecord = defineRecord({
  name: 'BrokerRegistrationChangeRecord',
  key: 17,
  versions: '0-3',
  flexible: '0+',
  fields: {
    brokerId: int32('Node id.'),
    brokerEpoch: int64('Epoch of the registration of the broker.'),
    fenced: int8('1 stops serving, -1 begins to serve, 0 for no change.', { tag: 0 }),
    inControlledShutdown: int8('1 begins a controlled shutdown, 0 for no change.', { versions: '1+', tag: 1 }),
    logDirs: array('Ids of the log directories that are online.', 'uuid', { versions: '2+', tag: 2 }),
    cordonedLogDirs: array(
      'Ids of the log directories that take no new partitions, or null where unknown or unchanged.',
      'uuid',
      { versions: '3+', nullable: '3+', default: null, tag: 3 },
    ),
  },
})

/** Changes nothing but the offset. Spec: Kafka `NoOpRecord.json`. */
export const NoOpRecord = defineRecord({ name: 'NoOpRecord', key: 20, versions: '0-0', flexible: '0+', fields: {} })

/**
 * Begins a change that is too big for one batch: nothing of it counts before its end.
 * Spec: Kafka `BeginTransactionRecord.json`.
 */
export const BeginTransactionRecord = defineRecord({
  name: 'BeginTransactionRecord',
  key: 23,
  versions: '0-0',
  flexible: '0+',
  fields: { name: string('What the change is, for people, or null.', { nullable: '0+', default: null, tag: 0 }) },
})

/** Ends such a change: all of it counts. Spec: Kafka `EndTransactionRecord.json`. */
export const EndTransactionRecord = defineRecord({
  name: 'EndTransactionRecord',
  key: 24,
  versions: '0-0',
  flexible: '0+',
  fields: {},
})

/** Gives such a change up: nothing of it counts. Spec: Kafka `AbortTransactionRecord.json`. */
export const AbortTransactionRecord = defineRecord({
  name: 'AbortTransactionRecord',
  key: 25,
  versions: '0-0',
  flexible: '0+',
  fields: { reason: string('Why, for people, or null.', { nullable: '0+', default: null, tag: 0 }) },
})
