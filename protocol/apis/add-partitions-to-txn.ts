import { array, bool, defineApi, int16, int32, int64, string } from '../schema.ts'

const addPartitionsToTxnTopic = {
  name: string('Topic name.', { mapKey: true }),
  partitions: array('Partition indexes to add.', 'int32'),
}

const addPartitionsToTxnPartitionResult = {
  partitionIndex: int32('Partition index.', { mapKey: true }),
  partitionErrorCode: int16('Error code of the partition, 0 for success.'),
}

const addPartitionsToTxnTopicResult = {
  name: string('Topic name.', { mapKey: true }),
  resultsByPartition: array('One entry per partition.', addPartitionsToTxnPartitionResult),
}

/**
 * Adds partitions to a transaction.
 * Spec: Kafka `AddPartitionsToTxnRequest.json`, `AddPartitionsToTxnResponse.json`.
 */
export const AddPartitionsToTxn = defineApi({
  name: 'AddPartitionsToTxn',
  key: 24,
  versions: '0-5',
  flexible: '3+',
  request: {
    transactions: array(
      'One entry per transactional id.',
      {
        transactionalId: string('Transactional id.', { mapKey: true }),
        producerId: int64('Producer id.'),
        producerEpoch: int16('Producer epoch.'),
        verifyOnly: bool('Only checks that the partitions are in the transaction.', { default: false }),
        topics: array('Partitions to add.', addPartitionsToTxnTopic),
      },
      { versions: '4+' },
    ),
    v3AndBelowTransactionalId: string('Transactional id.', { versions: '0-3' }),
    v3AndBelowProducerId: int64('Producer id.', { versions: '0-3' }),
    v3AndBelowProducerEpoch: int16('Producer epoch.', { versions: '0-3' }),
    v3AndBelowTopics: array('Partitions to add.', addPartitionsToTxnTopic, { versions: '0-3' }),
  },
  response: {
    throttleTimeMs: int32('How long a quota held the request back, in milliseconds.'),
    errorCode: int16('Error code for the whole answer, 0 for success.', { versions: '4+', ignorable: true }),
    resultsByTransaction: array(
      'One entry per transactional id.',
      {
        transactionalId: string('Transactional id.', { mapKey: true }),
        topicResults: array('One entry per topic.', addPartitionsToTxnTopicResult),
      },
      { versions: '4+' },
    ),
    resultsByTopicV3AndBelow: array('One entry per topic.', addPartitionsToTxnTopicResult, { versions: '0-3' }),
  },
})
