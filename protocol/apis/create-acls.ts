import { array, defineApi, int16, int32, int8, string } from '../schema.ts'

/** Creates ACLs. Spec: Kafka `CreateAclsRequest.json`, `CreateAclsResponse.json`. */
export const CreateAcls = defineApi({
  name: 'CreateAcls',
  key: 30,
  versions: '1-3',
  flexible: '2+',
  request: {
    creations: array('ACLs to create.', {
      resourceType: int8('2 topic, 3 group, 4 cluster, 5 transactional id, 6 delegation token, 7 user.'),
      resourceName: string('Resource name, or the prefix, or `*`.'),
      resourcePatternType: int8('3 literal, 4 prefixed.', { default: 3 }),
      principal: string('Who, for example `User:alice`.'),
      host: string('From which host, `*` for any.'),
      operation: int8(
        '2 all, 3 read, 4 write, 5 create, 6 delete, 7 alter, 8 describe, and so on up to 15; in a filter 1 is any.',
      ),
      permissionType: int8('2 deny, 3 allow; in a filter 1 is any.'),
    }),
  },
  response: {
    throttleTimeMs: int32('How long a quota held the request back, in milliseconds.'),
    results: array('One entry per ACL, in the order of the request.', {
      errorCode: int16('Error code, 0 for success.'),
      errorMessage: string('What went wrong, or null.', { nullable: '1+' }),
    }),
  },
})
