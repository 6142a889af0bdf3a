import { bytes, defineApi, int16, int64, string } from '../schema.ts'

/**
 * Carries the messages of a SASL mechanism.
 * Spec: Kafka `SaslAuthenticateRequest.json`, `SaslAuthenticateResponse.json`.
 */
export const SaslAuthenticate = defineApi({
  name: 'SaslAuthenticate',
  key: 36,
  versions: '0-2',
  flexible: '2+',
  request: {
    authBytes: bytes('Message of the mechanism, from the client.'),
  },
  response: {
    errorCode: int16('Error code, 0 for success.'),
    errorMessage: string('What went wrong, or null.', { nullable: '0+' }),
    authBytes: bytes('Message of the mechanism, from the broker.'),
    sessionLifetimeMs: int64('How long until the client must authenticate again, in milliseconds; 0 for ever.', {
      versions: '1+',
      default: 0n,
      ignorable: true,
    }),
  },
})
