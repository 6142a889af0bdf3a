/** GET /kafka/v3/clusters and one of them, as Confluent's REST v3 shows them. There is always one: this. */
import type { FastifyInstance, FastifyRequest } from 'fastify'
import type { HttpParts } from './parts.ts'
import { checkCluster, clusterPath, listOf, metadataOf, urlOf } from './routes.ts'

export function addClusterRoutes(app: FastifyInstance, parts: HttpParts): void {
  app.get('/kafka/v3/clusters', (request) => listOf('KafkaClusterList', urlOf(request), [clusterData(request, parts)]))

  app.get<{ Params: { clusterId: string } }>(clusterPath, (request) => {
    checkCluster(parts, request.params.clusterId)
    return clusterData(request, parts)
  })
}

function clusterData(request: FastifyRequest, parts: HttpParts): object {
  const { clusterId } = parts.metadata.image
  const related = (...segments: readonly string[]) => ({ related: urlOf(request, clusterId, ...segments) })
  const [controller] = parts.endpoints()
  return {
    kind: 'KafkaCluster',
    metadata: metadataOf(urlOf(request, clusterId), `crn:///kafka=${clusterId}`),
    cluster_id: clusterId,
    ...(controller && { controller: related('brokers', String(controller.nodeId)) }),
    acls: related('acls'),
    brokers: related('brokers'),
    broker_configs: related('broker-configs'),
    consumer_groups: related('consumer-groups'),
    topics: related('topics'),
    partition_reassignments: related('topics', '-', 'partitions', '-', 'reassignment'),
  }
}
