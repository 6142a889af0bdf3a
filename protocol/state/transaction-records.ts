/**
 * Records of `__transaction_state`.
 */
import { array, defineRecord, int16, int32, int64, int8, string } from '../schema.ts'

/** Key of a transaction; the key of the type stands before it, as int16. Spec: Kafka `TransactionLogKey.json`. */
export const TransactionLogKey = defineRecord({
  name: 'TransactionLogKey',
  key: 0,
  versions: '0-0',
  flexible: 'none',
  fields: { transactionalId: string('Transactional id.') },
})

/** State of a transactional id. Spec: Kafka `TransactionLogValue.json`. */
export const TransactionLogValue = defineRecord({
  name: 'TransactionLogValue',
  key: 0,
  versions: '0-1',
  flexible: '1+',
  fields: {
    producerId: int64('Producer id in use.'),
    previousProducerId: int64('Producer id of the last finished transaction, -1 for none (KIP-890).', {
      versions: '1+',
      default: -1n,
      tag: 0,
    }),
    nextProducerId: int64('Producer id handed out for the next transaction, -1 for none (KIP-890).', {
      versions: '1+',
      default: -1n,
      tag: 1,
    }),
    producerEpoch: int16('Producer epoch in use.'),
    nextProducerEpoch: int16('Producer epoch handed out for the next transaction, -1 for none.', {
      versions: '1+',
      default: -1,
      tag: 3,
    }),
    transactionTimeoutMs: int32('After how long an idle transaction is aborted, in milliseconds.'),
    transactionStatus: int8(
      '0 empty, 1 ongoing, 2 prepare commit, 3 prepare abort, 4 committed, 5 aborted, 6 dead, 7 prepare epoch fence.',
    ),
    transactionPartitions: array(
      'Partitions in the transaction, or null.',
      { topic: string('Topic name.'), partitionIds: array('Partition indexes.', 'int32') },
      { nullable: '0+' },
    ),
    transactionLastUpdateTimestampMs: int64('When the state last changed, in milliseconds since 1970.'),
    transactionStartTimestampMs: int64('When the transaction began, in milliseconds since 1970, -1 without one.'),
    clientTransactionVersion: int16('Transaction protocol of the client: 2 raises the epoch at each end (KIP-890).', {
      versions: '1+',
      default: 0,
      tag: 2,
    }),
  },
})
