import { array, defineApi, int16, int32, int64, string } from '../schema.ts'

/**
 * Describes transactions by transactional id.
 * Spec: Kafka `DescribeTransactionsRequest.json`, `DescribeTransactionsResponse.json`.
 */
export const DescribeTransactions = defineApi({
  name: 'DescribeTransactions',
  key: 65,
  versions: '0-0',
  flexible: '0+',
  request: {
    transactionalIds: array('Transactional ids to describe.', 'string'),
  },
  response: {
    throttleTimeMs: int32('How long a quota held the request back, in milliseconds.'),
    transactionStates: array('One entry per transactional id.', {
      errorCode: int16('Error code, 0 for success.'),
      transactionalId: string('Transactional id.'),
      transactionState: string('State of the transaction.'),
      transactionTimeoutMs: int32('After how long an idle transaction is aborted, in milliseconds.'),
      transactionStartTimeMs: int64('When the transaction began, in milliseconds since 1970, -1 without one.'),
      producerId: int64('Producer id.'),
      producerEpoch: int16('Producer epoch.'),
      topics: array('Partitions in the running transaction; while it ends, those without their marker.', {
        topic: string('Topic name.', { mapKey: true }),
        partitions: array('Partition indexes.', 'int32'),
      }),
    }),
  },
})
