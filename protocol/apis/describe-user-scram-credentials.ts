import { array, defineApi, int16, int32, int8, string } from '../schema.ts'

/**
 * Describes which SCRAM credentials users have.
 * Spec: Kafka `DescribeUserScramCredentialsRequest.json`, `DescribeUserScramCredentialsResponse.json`.
 */
export const DescribeUserScramCredentials = defineApi({
  name: 'DescribeUserScramCredentials',
  key: 50,
  versions: '0-0',
  flexible: '0+',
  request: {
    users: array('Users to describe; null or empty for all.', { name: string('User name.') }, { nullable: '0+' }),
  },
  response: {
    throttleTimeMs: int32('How long a quota held the request back, in milliseconds.'),
    errorCode: int16('Error code for the whole answer, 0 for success.'),
    errorMessage: string('What went wrong, or null.', { nullable: '0+' }),
    results: array('One entry per user.', {
      user: string('User name.'),
      errorCode: int16('Error code of the user, 0 for success.'),
      errorMessage: string('What went wrong, or null.', { nullable: '0+' }),
      credentialInfos: array('One entry per mechanism the user has a credential for.', {
        mechanism: int8('1 SCRAM-SHA-256, 2 SCRAM-SHA-512.'),
        iterations: int32('Number of hash iterations.'),
      }),
    }),
  },
})
