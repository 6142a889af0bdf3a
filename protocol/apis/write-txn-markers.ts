import { array, bool, defineApi, int16, int32, int64, int8, string } from '../schema.ts'

/**
 * Tells partition leaders, from the transaction coordinator, how transactions ended.
 * Spec: Kafka `WriteTxnMarkersRequest.json`, `WriteTxnMarkersResponse.json`.
 */
export const WriteTxnMarkers = defineApi({
  name: 'WriteTxnMarkers',
  key: 27,
  versions: '1-2',
  flexible: '1+',
  request: {
    markers: array('Transactions that ended.', {
      producerId: int64('Producer id.'),
      producerEpoch: int16('Producer epoch.'),
      transactionResult: bool('True commits, false aborts.'),
      topics: array('One entry per topic.', {
        name: string('Topic name.'),
        partitionIndexes: array('Partition indexes.', 'int32'),
      }),
      coordinatorEpoch: int32('Epoch of the transaction coordinator.'),
      transactionVersion: int8('2 where the producer epoch was raised for this end (KIP-890), else 0 or 1.', {
        versions: '2+',
        default: 0,
        ignorable: true,
      }),
    }),
  },
  response: {
    markers: array('One entry per producer.', {
      producerId: int64('Producer id.'),
      topics: array('One entry per topic.', {
        name: string('Topic name.'),
        partitions: array('One entry per partition.', {
          partitionIndex: int32('Partition index.'),
          errorCode: int16('Error code, 0 for success.'),
        }),
      }),
    }),
  },
})
