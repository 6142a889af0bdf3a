/**
 * Records of `__consumer_offsets` for classic groups and committed offsets.
 */
import { array, bytes, defineRecord, int32, int64, string, uuid } from '../schema.ts'

/**
 * Key of a committed offset as Kafka wrote it long ago; the key of the type stands before it.
 * Spec: Kafka `LegacyOffsetCommitKey.json`.
 */
export const LegacyOffsetCommitKey = defineRecord({
  name: 'LegacyOffsetCommitKey',
  key: 0,
  versions: '0-0',
  flexible: 'none',
  fields: { group: string('Group id.'), topic: string('Topic name.'), partition: int32('Partition index.') },
})

/** Value of a committed offset under the old key. Spec: Kafka `LegacyOffsetCommitValue.json`. */
export const LegacyOffsetCommitValue = defineRecord({
  name: 'LegacyOffsetCommitValue',
  key: 0,
  versions: '0-0',
  flexible: 'none',
  fields: {
    offset: int64('Offset of the next record to read.'),
    metadata: string('Text of the client.'),
    commitTimestamp: int64('When it was committed, in milliseconds since 1970.'),
  },
})

/** Key of a committed offset; the key of the type stands before it, as int16. Spec: Kafka `OffsetCommitKey.json`. */
export const OffsetCommitKey = defineRecord({
  name: 'OffsetCommitKey',
  key: 1,
  versions: '0-0',
  flexible: 'none',
  fields: { group: string('Group id.'), topic: string('Topic name.'), partition: int32('Partition index.') },
})

/** Value of a committed offset. Spec: Kafka `OffsetCommitValue.json`. */
export const OffsetCommitValue = defineRecord({
  name: 'OffsetCommitValue',
  key: 1,
  versions: '0-4',
  flexible: '4+',
  fields: {
    offset: int64('Offset of the next record to read.'),
    leaderEpoch: int32('Leader epoch of the last record read, -1 where unknown.', {
      versions: '3+',
      default: -1,
      ignorable: true,
    }),
    metadata: string('Text of the client.'),
    commitTimestamp: int64('When it was committed, in milliseconds since 1970.'),
    expireTimestamp: int64('When it expires, in milliseconds since 1970; -1 leaves it to the retention of offsets.', {
      versions: '1',
      default: -1n,
      ignorable: true,
    }),
    topicId: uuid('Topic id, zero where unknown.', { versions: '4+', ignorable: true, tag: 0 }),
  },
})

/** Key of a classic group; the key of the type stands before it, as int16. Spec: Kafka `GroupMetadataKey.json`. */
export const GroupMetadataKey = defineRecord({
  name: 'GroupMetadataKey',
  key: 2,
  versions: '0-0',
  flexible: 'none',
  fields: { group: string('Group id.') },
})

/** State of a classic group between two rebalances. Spec: Kafka `GroupMetadataValue.json`. */
export const GroupMetadataValue = defineRecord({
  name: 'GroupMetadataValue',
  key: 2,
  versions: '0-4',
  flexible: '4+',
  fields: {
    protocolType: string('Protocol type, `consumer` for consumers.'),
    generation: int32('Generation of the group.'),
    protocol: string('Chosen protocol (assignor), or null.', { nullable: '0+' }),
    leader: string('Member id of the leader, or null.', { nullable: '0+' }),
    currentStateTimestamp: int64('When the group entered its state, in milliseconds since 1970, -1 where unknown.', {
      versions: '2+',
      default: -1n,
      ignorable: true,
    }),
    members: array('The members.', {
      memberId: string("Member id; '' for a consumer outside a group."),
      groupInstanceId: string('Static member id, or null (KIP-345).', {
        versions: '3+',
        nullable: '3+',
        default: null,
        ignorable: true,
      }),
      clientId: string('Client id of the member.'),
      clientHost: string('Address of the member.'),
      rebalanceTimeout: int32('How long the member may take to rejoin, in milliseconds; -1 where unknown.', {
        versions: '1+',
        default: -1,
        ignorable: true,
      }),
      sessionTimeout: int32('How long the member may be silent, in milliseconds.'),
      subscription: bytes('Metadata of the member for the chosen protocol.'),
      assignment: bytes('Assignment of the member.'),
    }),
  },
})
