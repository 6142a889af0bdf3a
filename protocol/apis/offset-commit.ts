import { array, defineApi, int16, int32, int64, string, uuid } from '../schema.ts'

/** Commits offsets of a group. Spec: Kafka `OffsetCommitRequest.json`, `OffsetCommitResponse.json`. */
export const OffsetCommit = defineApi({
  name: 'OffsetCommit',
  key: 8,
  versions: '2-10',
  flexible: '8+',
  request: {
    groupId: string('Group id.'),
    generationIdOrMemberEpoch: int32(
      'Generation of a classic group or member epoch of a consumer group; -1 from outside a group.',
      { default: -1, ignorable: true },
    ),
    memberId: string("Member id; '' for a consumer outside a group.", { ignorable: true }),
    groupInstanceId: string('Static member id, or null (KIP-345).', { versions: '7+', nullable: '7+', default: null }),
    retentionTimeMs: int64('How long to keep the offset, in milliseconds; -1 leaves it to the broker.', {
      versions: '2-4',
      default: -1n,
      ignorable: true,
    }),
    topics: array('One entry per topic.', {
      name: string('Topic name.', { versions: '2-9', ignorable: true }),
      topicId: uuid('Topic id.', { versions: '10+', ignorable: true }),
      partitions: array('One entry per partition.', {
        partitionIndex: int32('Partition index.'),
        committedOffset: int64('Offset of the next record to read.'),
        committedLeaderEpoch: int32('Leader epoch of the last record read, -1 where unknown.', {
          versions: '6+',
          default: -1,
          ignorable: true,
        }),
        committedMetadata: string('Text to keep with the offset, or null.', { nullable: '2+' }),
      }),
    }),
  },
  response: {
    throttleTimeMs: int32('How long a quota held the request back, in milliseconds.', {
      versions: '3+',
      ignorable: true,
    }),
    topics: array('One entry per topic.', {
      name: string('Topic name.', { versions: '2-9', ignorable: true }),
      topicId: uuid('Topic id.', { versions: '10+', ignorable: true }),
      partitions: array('One entry per partition.', {
        partitionIndex: int32('Partition index.'),
        errorCode: int16('Error code, 0 for success.'),
      }),
    }),
  },
})
