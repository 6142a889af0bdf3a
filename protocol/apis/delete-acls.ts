import { array, defineApi, int16, int32, int8, string } from '../schema.ts'

/** Deletes the ACLs that match filters. Spec: Kafka `DeleteAclsRequest.json`, `DeleteAclsResponse.json`. */
export const DeleteAcls = defineApi({
  name: 'DeleteAcls',
  key: 31,
  versions: '1-3',
  flexible: '2+',
  request: {
    filters: array('What to delete.', {
      resourceTypeFilter: int8('Resource type to match, 1 for any.'),
      resourceNameFilter: string('Resource name to match, or null for any.', { nullable: '1+' }),
      patternTypeFilter: int8('1 any, 2 whatever applies to the name, 3 literal, 4 prefixed.', { default: 3 }),
      principalFilter: string('Principal to match, or null for any.', { nullable: '1+' }),
      hostFilter: string('Host to match, or null for any.', { nullable: '1+' }),
      operation: int8(
        '2 all, 3 read, 4 write, 5 create, 6 delete, 7 alter, 8 describe, and so on up to 15; in a filter 1 is any.',
      ),
      permissionType: int8('2 deny, 3 allow; in a filter 1 is any.'),
    }),
  },
  response: {
    throttleTimeMs: int32('How long a quota held the request back, in milliseconds.'),
    filterResults: array('One entry per filter.', {
      errorCode: int16('Error code of the filter, 0 for success.'),
      errorMessage: string('What went wrong, or null.', { nullable: '1+' }),
      matchingAcls: array('ACLs that the filter matched.', {
        errorCode: int16('Error code of the deletion, 0 for success.'),
        errorMessage: string('What went wrong, or null.', { nullable: '1+' }),
        resourceType: int8('2 topic, 3 group, 4 cluster, 5 transactional id, 6 delegation token, 7 user.'),
        resourceName: string('Resource name, or the prefix, or `*`.'),
        patternType: int8('3 literal, 4 prefixed.', { default: 3 }),
        principal: string('Who, for example `User:alice`.'),
        host: string('From which host, `*` for any.'),
        operation: int8(
          '2 all, 3 read, 4 write, 5 create, 6 delete, 7 alter, 8 describe, and so on up to 15; in a filter 1 is any.',
        ),
        permissionType: int8('2 deny, 3 allow; in a filter 1 is any.'),
      }),
    }),
  },
})
