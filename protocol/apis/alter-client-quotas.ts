import { array, bool, defineApi, float64, int16, int32, string } from '../schema.ts'

const entityData = {
  entityType: string('One of `user`, `client-id` and `ip`.'),
  entityName: string('Name, or null for the default entity.', { nullable: '0+' }),
}

/**
 * Changes the quotas of users, clients and addresses.
 * Spec: Kafka `AlterClientQuotasRequest.json`, `AlterClientQuotasResponse.json`.
 */
export const AlterClientQuotas = defineApi({
  name: 'AlterClientQuotas',
  key: 49,
  versions: '0-1',
  flexible: '1+',
  request: {
    entries: array('Entities to change.', {
      entity: array('The entity, one part per type.', entityData),
      ops: array('Changes of the entity.', {
        key: string('Name of the quota.'),
        value: float64('Value to set; without meaning where it is removed.'),
        remove: bool('Whether the quota is removed instead of set.'),
      }),
    }),
    validateOnly: bool('Only checks whether it would work.'),
  },
  response: {
    throttleTimeMs: int32('How long a quota held the request back, in milliseconds.'),
    entries: array('One entry per entity.', {
      errorCode: int16('Error code, 0 for success.'),
      errorMessage: string('What went wrong, or null.', { nullable: '0+' }),
      entity: array('The entity, one part per type.', entityData),
    }),
  },
})
