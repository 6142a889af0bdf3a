import { DescribeCluster } from '../../protocol/apis/describe-cluster.ts'
import { errorCodes } from '../../protocol/errors.ts'
import { KafkaError } from '../errors.ts'
import { allClusterOperations, operationsNotAsked } from './authorized-operations.ts'
import { defineHandler } from './handler.ts'

const brokerEndpoints = 1

/** Describes the nodes of the cluster. */
export const describeCluster = defineHandler({
  api: DescribeCluster,
  versions: '0-2',
  isCurrent: true,

  handle(request, { broker }) {
    const { endpointType, includeClusterAuthorizedOperations } = request
    if (endpointType !== brokerEndpoints)
      throw new KafkaError(
        endpointType === 2 ? 'MISMATCHED_ENDPOINT_TYPE' : 'UNSUPPORTED_ENDPOINT_TYPE',
        `got endpoint type ${endpointType}, and this listener describes brokers (${brokerEndpoints}) only`,
      )
    const endpoints = broker.endpoints()
    return {
      throttleTimeMs: 0,
      errorCode: errorCodes.NONE,
      endpointType,
      clusterId: broker.metadata.image.clusterId,
      controllerId: endpoints[0]!.nodeId,
      brokers: endpoints.map(({ nodeId, host, port, rack }) => ({
        brokerId: nodeId,
        host,
        port,
        rack,
        isFenced: false,
      })),
      clusterAuthorizedOperations: includeClusterAuthorizedOperations ? allClusterOperations : operationsNotAsked,
    }
  },
})
