import { array, defineApi, int16, int32, int8, string } from '../schema.ts'

/**
 * Lists resources that have configs; in version 0 client metrics only.
 * Spec: Kafka `ListConfigResourcesRequest.json`, `ListConfigResourcesResponse.json`.
 */
export const ListConfigResources = defineApi({
  name: 'ListConfigResources',
  key: 74,
  versions: '0-1',
  flexible: '0+',
  request: {
    resourceTypes: array('Types to list; empty for all.', 'int8', { versions: '1+' }),
  },
  response: {
    throttleTimeMs: int32('How long a quota held the request back, in milliseconds.'),
    errorCode: int16('Error code, 0 for success.'),
    configResources: array('One entry per resource that has configs.', {
      resourceName: string("Resource name; for brokers the node id, or '' for the cluster-wide default."),
      resourceType: int8('2 topic, 4 broker, 8 broker logger, 16 client metrics, 32 group.', {
        versions: '1+',
        default: 16,
        ignorable: true,
      }),
    }),
  },
})
