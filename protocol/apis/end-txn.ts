import { bool, defineApi, int16, int32, int64, string } from '../schema.ts'

/** Commits or aborts a transaction. Spec: Kafka `EndTxnRequest.json`, `EndTxnResponse.json`. */
export const EndTxn = defineApi({
  name: 'EndTxn',
  key: 26,
  versions: '0-5',
  flexible: '3+',
  request: {
    transactionalId: string('Transactional id.'),
    producerId: int64('Producer id.'),
    producerEpoch: int16('Producer epoch.'),
    committed: bool('True commits, false aborts.'),
  },
  response: {
    throttleTimeMs: int32('How long a quota held the request back, in milliseconds.'),
    errorCode: int16('Error code, 0 for success.'),
    producerId: int64('Producer id for the next transaction, -1 before version 5.', {
      versions: '5+',
      default: -1n,
      ignorable: true,
    }),
    producerEpoch: int16('Producer epoch for the next transaction, -1 before version 5.', {
      versions: '5+',
      default: -1,
      ignorable: true,
    }),
  },
})
