import { array, bool, defineApi, int16, int32, int8, string } from '../schema.ts'

/** Replaces all configs of resources. Spec: Kafka `AlterConfigsRequest.json`, `AlterConfigsResponse.json`. */
export const AlterConfigs = defineApi({
  name: 'AlterConfigs',
  key: 33,
  versions: '0-2',
  flexible: '2+',
  request: {
    resources: array('Resources whose configs are replaced.', {
      resourceType: int8('2 topic, 4 broker, 8 broker logger, 16 client metrics, 32 group.', { mapKey: true }),
      resourceName: string("Resource name; for brokers the node id, or '' for the cluster-wide default.", {
        mapKey: true,
      }),
      configs: array('All configs; what is not named goes back to its default.', {
        name: string('Config name.', { mapKey: true }),
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
