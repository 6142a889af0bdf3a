import { array, bool, defineApi, float64, int16, int32, int8, string } from '../schema.ts'

/**
 * Describes the quotas of users, clients and addresses.
 * Spec: Kafka `DescribeClientQuotasRequest.json`, `DescribeClientQuotasResponse.json`.
 */
export const DescribeClientQuotas = defineApi({
  name: 'DescribeClientQuotas',
  key: 48,
  versions: '0-1',
  flexible: '1+',
  request: {
    components: array('What entities must match.', {
      entityType: string('One of `user`, `client-id` and `ip`.'),
      matchType: int8('0 this name, 1 the default entity, 2 any name.'),
      match: string('Name to match, or null.', { nullable: '0+' }),
    }),
    strict: bool('Leaves out entities that have further types.'),
  },
  response: {
    throttleTimeMs: int32('How long a quota held the request back, in milliseconds.'),
    errorCode: int16('Error code, 0 for success.'),
    errorMessage: string('What went wrong, or null.', { nullable: '0+' }),
    entries: array(
      'One entry per entity, or null with an error.',
      {
        entity: array('The entity, one part per type.', {
          entityType: string('One of `user`, `client-id` and `ip`.'),
          entityName: string('Name, or null for the default entity.', { nullable: '0+' }),
        }),
        values: array('Quotas of the entity.', { key: string('Name of the quota.'), value: float64('Its value.') }),
      },
      { nullable: '0+' },
    ),
  },
})
