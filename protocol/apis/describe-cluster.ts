import { array, bool, defineApi, int16, int32, int8, string } from '../schema.ts'

/**
 * Describes the nodes of the cluster.
 * Spec: Kafka `DescribeClusterRequest.json`, `DescribeClusterResponse.json`.
 */
export const DescribeCluster = defineApi({
  name: 'DescribeCluster',
  key: 60,
  versions: '0-2',
  flexible: '0+',
  request: {
    includeClusterAuthorizedOperations: bool('Asks for the operations that the client may do on the cluster.'),
    endpointType: int8('1 brokers, 2 controllers.', { versions: '1+', default: 1 }),
    includeFencedBrokers: bool('Also lists brokers that are registered but not serving.', { versions: '2+' }),
  },
  response: {
    throttleTimeMs: int32('How long a quota held the request back, in milliseconds.'),
    errorCode: int16('Error code for the whole answer, 0 for success.'),
    errorMessage: string('What went wrong, or null.', { nullable: '0+', default: null }),
    endpointType: int8('1 brokers, 2 controllers.', { versions: '1+', default: 1 }),
    clusterId: string('Id of the cluster that answers.'),
    controllerId: int32('Node id of the controller, -1 where there is none; brokers may name any live broker.', {
      default: -1,
    }),
    brokers: array('The nodes of the asked kind.', {
      brokerId: int32('Node id.', { mapKey: true }),
      host: string('Host name or address to connect to.'),
      port: int32('Port to connect to.'),
      rack: string('Rack of the node, or null.', { nullable: '0+', default: null }),
      isFenced: bool('Whether the broker is registered but not serving.', { versions: '2+' }),
    }),
    clusterAuthorizedOperations: int32(
      'Bit set of the operations allowed on the cluster; the lowest int32 when not asked for.',
      { default: -2147483648 },
    ),
  },
})
