import { array, bool, defineApi, int16, int32, int64, string, uuid } from '../schema.ts'

/** Reads committed offsets of groups. Spec: Kafka `OffsetFetchRequest.json`, `OffsetFetchResponse.json`. */
export const OffsetFetch = defineApi({
  name: 'OffsetFetch',
  key: 9,
  versions: '1-10',
  flexible: '6+',
  request: {
    groupId: string('Group id.', { versions: '1-7' }),
    topics: array(
      'Topics whose committed offsets are wanted; null for all.',
      { name: string('Topic name.'), partitionIndexes: array('Partition indexes.', 'int32') },
      { versions: '1-7', nullable: '2-7' },
    ),
    groups: array(
      'Groups whose committed offsets are wanted.',
      {
        groupId: string('Group id.'),
        memberId: string('Member that asks, or null for an outsider.', {
          versions: '9+',
          nullable: '9+',
          default: null,
          ignorable: true,
        }),
        memberEpoch: int32('Member epoch that is checked, -1 to skip the check (KIP-848).', {
          versions: '9+',
          default: -1,
          ignorable: true,
        }),
        topics: array(
          'Topics whose committed offsets are wanted; null for all.',
          {
            name: string('Topic name.', { versions: '8-9', ignorable: true }),
            topicId: uuid('Topic id.', { versions: '10+', ignorable: true }),
            partitionIndexes: array('Partition indexes.', 'int32'),
          },
          { nullable: '8+' },
        ),
      },
      { versions: '8+' },
    ),
    requireStable: bool('Refuses offsets of transactions that are not decided yet, with a retriable error.', {
      versions: '7+',
      default: false,
    }),
  },
  response: {
    throttleTimeMs: int32('How long a quota held the request back, in milliseconds.', {
      versions: '3+',
      ignorable: true,
    }),
    topics: array(
      'One entry per topic.',
      {
        name: string('Topic name.'),
        partitions: array('One entry per partition.', {
          partitionIndex: int32('Partition index.'),
          committedOffset: int64('Committed offset, -1 where there is none.'),
          committedLeaderEpoch: int32('Leader epoch that was committed with it, -1 where there is none.', {
            versions: '5-7',
            default: -1,
            ignorable: true,
          }),
          metadata: string('Text that was committed with it.', { nullable: '1-7' }),
          errorCode: int16('Error code for the whole answer, 0 for success.'),
        }),
      },
      { versions: '1-7' },
    ),
    errorCode: int16('Error code for the whole answer, 0 for success.', {
      versions: '2-7',
      default: 0,
      ignorable: true,
    }),
    groups: array(
      'One entry per group.',
      {
        groupId: string('Group id.'),
        topics: array('One entry per topic.', {
          name: string('Topic name.', { versions: '8-9', ignorable: true }),
          topicId: uuid('Topic id.', { versions: '10+', ignorable: true }),
          partitions: array('One entry per partition.', {
            partitionIndex: int32('Partition index.'),
            committedOffset: int64('Committed offset, -1 where there is none.'),
            committedLeaderEpoch: int32('Leader epoch that was committed with it, -1 where there is none.', {
              default: -1,
              ignorable: true,
            }),
            metadata: string('Text that was committed with it.', { nullable: '8+' }),
            errorCode: int16('Error code of the partition, 0 for success.'),
          }),
        }),
        errorCode: int16('Error code of the group, 0 for success.', { default: 0 }),
      },
      { versions: '8+' },
    ),
  },
})
