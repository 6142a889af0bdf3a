import { array, bytes, defineApi, int16, int32, int8, string } from '../schema.ts'

/**
 * Sets and removes SCRAM credentials of users.
 * Spec: Kafka `AlterUserScramCredentialsRequest.json`, `AlterUserScramCredentialsResponse.json`.
 */
export const AlterUserScramCredentials = defineApi({
  name: 'AlterUserScramCredentials',
  key: 51,
  versions: '0-0',
  flexible: '0+',
  request: {
    deletions: array('Credentials to remove.', {
      name: string('User name.'),
      mechanism: int8('1 SCRAM-SHA-256, 2 SCRAM-SHA-512.'),
    }),
    upsertions: array('Credentials to set.', {
      name: string('User name.'),
      mechanism: int8('1 SCRAM-SHA-256, 2 SCRAM-SHA-512.'),
      iterations: int32('Number of hash iterations.'),
      salt: bytes('Salt that the client chose.'),
      saltedPassword: bytes('Password after the iterations; the password itself never travels.'),
    }),
  },
  response: {
    throttleTimeMs: int32('How long a quota held the request back, in milliseconds.'),
    results: array('One entry per user.', {
      user: string('User name.'),
      errorCode: int16('Error code of the user, 0 for success.'),
      errorMessage: string('What went wrong, or null.', { nullable: '0+' }),
    }),
  },
})
