import { array, defineApi, int16, int32, string } from '../schema.ts'

/** Deletes empty groups. Spec: Kafka `DeleteGroupsRequest.json`, `DeleteGroupsResponse.json`. */
export const DeleteGroups = defineApi({
  name: 'DeleteGroups',
  key: 42,
  versions: '0-3',
  flexible: '2+',
  request: {
    groupsNames: array('Ids of the groups to delete.', 'string'),
  },
  response: {
    throttleTimeMs: int32('How long a quota held the request back, in milliseconds.'),
    results: array('One entry per group.', {
      groupId: string('Group id.', { mapKey: true }),
      errorCode: int16('Error code of the group, 0 for success.'),
      errorMessage: string('What went wrong, or null.', {
        versions: '3+',
        nullable: '3+',
        default: null,
        ignorable: true,
      }),
    }),
  },
})
