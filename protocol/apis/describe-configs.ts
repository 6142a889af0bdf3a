import { array, bool, defineApi, int16, int32, int8, string } from '../schema.ts'

/**
 * Describes configs of topics, brokers and other resources.
 * Spec: Kafka `DescribeConfigsRequest.json`, `DescribeConfigsResponse.json`.
 */
export const DescribeConfigs = defineApi({
  name: 'DescribeConfigs',
  key: 32,
  versions: '1-4',
  flexible: '4+',
  request: {
    resources: array('Resources to describe.', {
      resourceType: int8('2 topic, 4 broker, 8 broker logger, 16 client metrics, 32 group.'),
      resourceName: string("Resource name; for brokers the node id, or '' for the cluster-wide default."),
      configurationKeys: array('Config names to describe; null, and in older clients empty, for all.', 'string', {
        nullable: '1+',
      }),
    }),
    includeSynonyms: bool('Asks for every place the value may come from.', { default: false }),
    includeDocumentation: bool('Asks for the description of each config.', { versions: '3+', default: false }),
  },
  response: {
    throttleTimeMs: int32('How long a quota held the request back, in milliseconds.'),
    results: array('One entry per resource.', {
      errorCode: int16('Error code, 0 for success.'),
      errorMessage: string('What went wrong, or null.', { nullable: '1+' }),
      resourceType: int8('2 topic, 4 broker, 8 broker logger, 16 client metrics, 32 group.'),
      resourceName: string("Resource name; for brokers the node id, or '' for the cluster-wide default."),
      configs: array('One entry per config.', {
        name: string('Config name.'),
        value: string('Config value as text; null where it is sensitive or unset.', { nullable: '1+' }),
        readOnly: bool('Whether the value cannot be changed at runtime.'),
        configSource: int8(
          'Who set it: 1 topic, 2 broker, 3 all brokers, 4 server file, 5 nobody, 6 logger, 7 metrics, 8 group.',
          { default: -1, ignorable: true },
        ),
        isSensitive: bool('Whether the value is a secret and hidden.'),
        synonyms: array(
          'Where the value may come from, the strongest first.',
          {
            name: string('Name of the config that the value may come from.'),
            value: string('Its value, or null.', { nullable: '1+' }),
            source: int8('Where that value comes from, numbered as `configSource`.'),
          },
          { ignorable: true },
        ),
        configType: int8(
          '0 unknown, 1 boolean, 2 string, 3 int, 4 short, 5 long, 6 double, 7 list, 8 class, 9 password.',
          { versions: '3+', default: 0, ignorable: true },
        ),
        documentation: string('What the config does, or null.', { versions: '3+', nullable: '3+', ignorable: true }),
      }),
    }),
  },
})
