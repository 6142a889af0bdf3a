import { array, defineApi, int16, int32, int64, string, uuid } from '../schema.ts'

/**
 * Commits offsets of a group within a transaction.
 * Spec: Kafka `TxnOffsetCommitRequest.json`, `TxnOffsetCommitResponse.json`.
 */
export const TxnOffsetCommit = defineApi({
  name: 'TxnOffsetCommit',
  key: 28,
  versions: '0-6',
  flexible: '3+',
  request: {
    transactionalId: string('Transactional id.'),
    groupId: string('Group id.'),
    producerId: int64('Producer id.'),
    producerEpoch: int16('Producer epoch.'),
    generationIdOrMemberEpoch: int32(
      'Generation of a classic group or member epoch of a consumer group; -1 from outside a group.',
      { versions: '3+', default: -1 },
    ),
    memberId: string("Member id; '' from outside a group.", { versions: '3+', default: '' }),
    groupInstanceId: string('Static member id, or null (KIP-345).', { versions: '3+', nullable: '3+', default: null }),
    topics: array('One entry per topic.', {
      name: string('Topic name.', { versions: '0-5', ignorable: true }),
      topicId: uuid('Topic id.', { versions: '6+', ignorable: true }),
      partitions: array('One entry per partition.', {
        partitionIndex: int32('Partition index.'),
        committedOffset: int64('Offset of the next record to read.'),
        committedLeaderEpoch: int32('Leader epoch of the last record read, -1 where unknown.', {
          versions: '2+',
          default: -1,
          ignorable: true,
        }),
        committedMetadata: string('Text to keep with the offset, or null.', { nullable: '0+' }),
      }),
    }),
  },
  response: {
    throttleTimeMs: int32('How long a quota held the request back, in milliseconds.'),
    topics: array('One entry per topic.', {
      name: string('Topic name.', { versions: '0-5', ignorable: true }),
      topicId: uuid('Topic id.', { versions: '6+', ignorable: true }),
      partitions: array('One entry per partition.', {
        partitionIndex: int32('Partition index.'),
        errorCode: int16('Error code, 0 for success.'),
      }),
    }),
  },
})
