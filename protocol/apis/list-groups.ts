import { array, defineApi, int16, int32, string } from '../schema.ts'

/**
 * Lists the groups that a broker coordinates.
 * Spec: Kafka `ListGroupsRequest.json`, `ListGroupsResponse.json`.
 */
export const ListGroups = defineApi({
  name: 'ListGroups',
  key: 16,
  versions: '0-5',
  flexible: '3+',
  request: {
    statesFilter: array('States to list; empty for all.', 'string', { versions: '4+' }),
    typesFilter: array('Types to list; empty for all.', 'string', { versions: '5+' }),
  },
  response: {
    throttleTimeMs: int32('How long a quota held the request back, in milliseconds.', {
      versions: '1+',
      ignorable: true,
    }),
    errorCode: int16('Error code, 0 for success.'),
    groups: array('One entry per group.', {
      groupId: string('Group id.'),
      protocolType: string('Protocol type, `consumer` for consumers.'),
      groupState: string('State of the group.', { versions: '4+', ignorable: true }),
      groupType: string('Type of the group: `classic`, `consumer`, `share` or `streams`.', {
        versions: '5+',
        ignorable: true,
      }),
    }),
  },
})
