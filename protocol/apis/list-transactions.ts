import { array, defineApi, int16, int32, int64, string } from '../schema.ts'

/**
 * Lists the transactions that a broker coordinates.
 * Spec: Kafka `ListTransactionsRequest.json`, `ListTransactionsResponse.json`.
 */
export const ListTransactions = defineApi({
  name: 'ListTransactions',
  key: 66,
  versions: '0-2',
  flexible: '0+',
  request: {
    stateFilters: array('States to list; empty for all.', 'string'),
    producerIdFilters: array('Producer ids to list; empty for all.', 'int64'),
    durationFilter: int64('Lists only what runs longer than this, in milliseconds; below 0 for all.', {
      versions: '1+',
      default: -1n,
    }),
    transactionalIdPattern: string("Regular expression for transactional ids, null or '' for all.", {
      versions: '2+',
      nullable: '2+',
      default: null,
    }),
  },
  response: {
    throttleTimeMs: int32('How long a quota held the request back, in milliseconds.'),
    errorCode: int16('Error code, 0 for success.'),
    unknownStateFilters: array('Asked states that this broker does not know.', 'string'),
    transactionStates: array('One entry per transaction.', {
      transactionalId: string('Transactional id.'),
      producerId: int64('Producer id.'),
      transactionState: string('State of the transaction.'),
    }),
  },
})
