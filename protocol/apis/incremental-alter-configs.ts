import { array, bool, defineApi, int16, int32, int8, string } from '../schema.ts'

/**
 * Changes single configs of resources.
 * Spec: Kafka `IncrementalAlterConfigsRequest.json`, `IncrementalAlterConfigsResponse.json`.
 */
export const IncrementalAlterConfigs = defineApi({
  name: 'IncrementalAlterConfigs',
  key: 44,
  versions: '0-1',
  flexible: '1+',
  request: {
    resources: array('Resources to change.', {
      resourceType: int8('2 topic, 4 broker, 8 broker logger, 16 client metrics, 32 group.', { mapKey: true }),
      resourceName: string("Resource name; for brokers the node id, or '' for the cluster-wide default.", {
        mapKey: true,
      }),
      configs: array('Changes, applied in order.', {
        name: string('Config name.', { mapKey: true }),
        configOperation: int8('0 set, 1 delete, 2 append to a list, 3 subtract from a list.', { mapKey: true }),
        value: string('Config value as text, or null.', { nullable: '0+' }),
      }),
    }),
    validateOnly: bool('Only checks whether it would work.'),
  },
  response: {
    throttleTimeMs: int32('How long a quota held the request back, in milliseconds.'),
    responses: array('One entry per resource.', {
      errorCode: int16('Error code, 0 for success.'),
      errorMessage: string('What went wrong, or null.', { nullable: '0+' }),
      resourceType: int8('2 topic, 4 broker, 8 broker logger, 16 client metrics, 32 group.'),
      resourceName: string("Resource name; for brokers the node id, or '' for the cluster-wide default."),
    }),
  },
})
