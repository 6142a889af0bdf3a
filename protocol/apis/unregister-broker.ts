import { defineApi, int16, int32, string } from '../schema.ts'

/**
 * Forgets a broker that is gone.
 * Spec: Kafka `UnregisterBrokerRequest.json`, `UnregisterBrokerResponse.json`.
 */
export const UnregisterBroker = defineApi({
  name: 'UnregisterBroker',
  key: 64,
  versions: '0-0',
  flexible: '0+',
  request: {
    brokerId: int32('Node id to forget.'),
  },
  response: {
    throttleTimeMs: int32('How long a quota held the request back, in milliseconds.'),
    errorCode: int16('Error code, 0 for success.'),
    errorMessage: string('What went wrong, or null.', { nullable: '0+' }),
  },
})
