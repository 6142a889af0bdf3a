import { array, defineApi, int16, int32, int64, string } from '../schema.ts'

/**
 * Describes the producers that partitions remember.
 * Spec: Kafka `DescribeProducersRequest.json`, `DescribeProducersResponse.json`.
 */
export const DescribeProducers = defineApi({
  name: 'DescribeProducers',
  key: 61,
  versions: '0-0',
  flexible: '0+',
  request: {
    topics: array('One entry per topic.', {
      name: string('Topic name.', { mapKey: true }),
      partitionIndexes: array('Partition indexes.', 'int32'),
    }),
  },
  response: {
    throttleTimeMs: int32('How long a quota held the request back, in milliseconds.'),
    topics: array('One entry per topic.', {
      name: string('Topic name.'),
      partitions: array('One entry per partition.', {
        partitionIndex: int32('Partition index.'),
        errorCode: int16('Error code of the partition, 0 for success.'),
        errorMessage: string('What went wrong, or null.', { nullable: '0+', default: null }),
        activeProducers: array('One entry per producer that the partition remembers.', {
          producerId: int64('Producer id.'),
          producerEpoch: int32('Producer epoch.'),
          lastSequence: int32('Sequence of its last record, -1 for none.', { default: -1 }),
          lastTimestamp: int64('Timestamp of its last batch in milliseconds since 1970, -1 for none.', {
            default: -1n,
          }),
          coordinatorEpoch: int32('Epoch of the coordinator that wrote its last marker.'),
          currentTxnStartOffset: int64('First offset of its open transaction, -1 for none.', { default: -1n }),
        }),
      }),
    }),
  },
})
