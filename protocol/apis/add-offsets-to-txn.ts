import { defineApi, int16, int32, int64, string } from '../schema.ts'

/**
 * Adds the committed offsets of a group to a transaction.
 * Spec: Kafka `AddOffsetsToTxnRequest.json`, `AddOffsetsToTxnResponse.json`.
 */
export const AddOffsetsToTxn = defineApi({
  name: 'AddOffsetsToTxn',
  key: 25,
  versions: '0-4',
  flexible: '3+',
  request: {
    transactionalId: string('Transactional id.'),
    producerId: int64('Producer id.'),
    producerEpoch: int16('Producer epoch.'),
    groupId: string('Group id.'),
  },
  response: {
    throttleTimeMs: int32('How long a quota held the request back, in milliseconds.'),
    errorCode: int16('Error code, 0 for success.'),
  },
})
