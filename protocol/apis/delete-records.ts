import { array, defineApi, int16, int32, int64, string } from '../schema.ts'

/**
 * Deletes the records before an offset.
 * Spec: Kafka `DeleteRecordsRequest.json`, `DeleteRecordsResponse.json`.
 */
export const DeleteRecords = defineApi({
  name: 'DeleteRecords',
  key: 21,
  versions: '0-2',
  flexible: '2+',
  request: {
    topics: array('One entry per topic.', {
      name: string('Topic name.'),
      partitions: array('One entry per partition.', {
        partitionIndex: int32('Partition index.'),
        offset: int64('Delete what is before this offset; -1 is the high watermark.'),
      }),
    }),
    timeoutMs: int32('How long the broker may take, in milliseconds.'),
  },
  response: {
    throttleTimeMs: int32('How long a quota held the request back, in milliseconds.'),
    topics: array('One entry per topic.', {
      name: string('Topic name.', { mapKey: true }),
      partitions: array('One entry per partition.', {
        partitionIndex: int32('Partition index.', { mapKey: true }),
        lowWatermark: int64('The log start offset after the deletion, -1 with an error.'),
        errorCode: int16('Error code, 0 for success.'),
      }),
    }),
  },
})
