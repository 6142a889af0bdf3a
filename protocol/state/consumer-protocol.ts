/**
 * The opaque bytes of JoinGroup and SyncGroup as consumers fill them. Its version stands before each, as int16.
 */
import { array, bytes, defineRecord, int32, string } from '../schema.ts'

/**
 * What a consumer of a classic group wants to read: the metadata of JoinGroup.
 * Spec: Kafka `ConsumerProtocolSubscription.json`.
 */
export const ConsumerProtocolSubscription = defineRecord({
  name: 'ConsumerProtocolSubscription',
  key: -1,
  versions: '0-3',
  flexible: 'none',
  fields: {
    topics: array('Names of the topics it wants to read.', 'string'),
    userData: bytes('Bytes of the assignor, or null.', { nullable: '0+', default: null }),
    ownedPartitions: array(
      'Partitions it still reads, for cooperative assignors.',
      { topic: string('Topic name.', { mapKey: true }), partitions: array('Partition indexes.', 'int32') },
      { versions: '1+', ignorable: true },
    ),
    generationId: int32('Generation of the group in which it got them, -1 for none.', {
      versions: '2+',
      default: -1,
      ignorable: true,
    }),
    rackId: string('Rack of the consumer, or null.', {
      versions: '3+',
      nullable: '3+',
      default: null,
      ignorable: true,
    }),
  },
})

/**
 * What a member of a classic group shall read: the assignment of SyncGroup.
 * Spec: Kafka `ConsumerProtocolAssignment.json`.
 */
export const ConsumerProtocolAssignment = defineRecord({
  name: 'ConsumerProtocolAssignment',
  key: -1,
  versions: '0-3',
  flexible: 'none',
  fields: {
    assignedPartitions: array('Partitions it shall read.', {
      topic: string('Topic name.', { mapKey: true }),
      partitions: array('Partition indexes.', 'int32'),
    }),
    userData: bytes('Bytes of the assignor, or null.', { nullable: '0+', default: null }),
  },
})
