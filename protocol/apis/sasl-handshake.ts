import { array, defineApi, int16, string } from '../schema.ts'

/**
 * Agrees on the SASL mechanism of a connection.
 * Spec: Kafka `SaslHandshakeRequest.json`, `SaslHandshakeResponse.json`.
 */
export const SaslHandshake = defineApi({
  name: 'SaslHandshake',
  key: 17,
  versions: '0-1',
  flexible: 'none',
  request: {
    mechanism: string('SASL mechanism that the client wants.'),
  },
  response: {
    errorCode: int16('Error code, 0 for success.'),
    mechanisms: array('SASL mechanisms that the broker allows.', 'string'),
  },
})
