import { bool, defineApi, int16, int32, int64, string } from '../schema.ts'

/**
 * Hands out a producer id and epoch, and fences older users of a transactional id.
 * Spec: Kafka `InitProducerIdRequest.json`, `InitProducerIdResponse.json`.
 */
export const InitProducerId = defineApi({
  name: 'InitProducerId',
  key: 22,
  versions: '0-6',
  flexible: '2+',
  request: {
    transactionalId: string('Transactional id, or null for a producer without transactions.', { nullable: '0+' }),
    transactionTimeoutMs: int32('After how long the coordinator aborts an idle transaction, in milliseconds.'),
    producerId: int64('Producer id to keep with a raised epoch, -1 for a new one.', { versions: '3+', default: -1n }),
    producerEpoch: int16('Producer epoch the client believes in, -1 to skip the check.', {
      versions: '3+',
      default: -1,
    }),
    enable2Pc: bool('Asks for transactions without a timeout, for two-phase commit (KIP-939).', {
      versions: '6+',
      default: false,
    }),
    keepPreparedTxn: bool('Keeps a prepared transaction instead of aborting it (KIP-939).', {
      versions: '6+',
      default: false,
    }),
  },
  response: {
    throttleTimeMs: int32('How long a quota held the request back, in milliseconds.', { ignorable: true }),
    errorCode: int16('Error code, 0 for success.'),
    producerId: int64('Producer id, -1 with an error.', { default: -1n }),
    producerEpoch: int16('Producer epoch to use, -1 with an error.'),
    ongoingTxnProducerId: int64('Producer id of the kept transaction, -1 for none.', { versions: '6+', default: -1n }),
    ongoingTxnProducerEpoch: int16('Producer epoch of the kept transaction, -1 for none.', {
      versions: '6+',
      default: -1,
    }),
  },
})
