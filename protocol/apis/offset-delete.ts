import { array, defineApi, int16, int32, string } from '../schema.ts'

/**
 * Deletes committed offsets of a group.
 * Spec: Kafka `OffsetDeleteRequest.json`, `OffsetDeleteResponse.json`.
 */
export const OffsetDelete = defineApi({
  name: 'OffsetDelete',
  key: 47,
  versions: '0-0',
  flexible: 'none',
  request: {
    groupId: string('Group id.'),
    topics: array('One entry per topic.', {
      name: string('Topic name.', { mapKey: true }),
      partitions: array('One entry per partition.', { partitionIndex: int32('Partition index.') }),
    }),
  },
  response: {
    errorCode: int16('Error code for the whole answer, 0 for success.'),
    throttleTimeMs: int32('How long a quota held the request back, in milliseconds.', { ignorable: true }),
    topics: array('One entry per topic.', {
      name: string('Topic name.', { mapKey: true }),
      partitions: array('One entry per partition.', {
        partitionIndex: int32('Partition index.', { mapKey: true }),
        errorCode: int16('Error code of the partition, 0 for success.'),
      }),
    }),
  },
})
