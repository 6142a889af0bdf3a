/**
 * Reassignments and ACLs in Confluent's REST v3 shapes, for those who follow the links of clusters, topics and
 * partitions. There never is a reassignment (brokers share one copy of each partition), and no authorizer keeps ACLs.
 */
import type { FastifyInstance } from 'fastify'
import { KafkaError } from '../errors.ts'
import { HttpError } from './errors.ts'
import type { HttpParts } from './parts.ts'
import { checkCluster, clusterPath, listOf, urlOf } from './routes.ts'
import { findPartition, findTopic } from './topics.ts'

interface PartitionParams {
  readonly clusterId: string
  readonly topic: string
  readonly partition: string
}

export function addReassignmentRoutes(app: FastifyInstance, parts: HttpParts): void {
  const kind = 'KafkaReassignmentList'
  app.get<{ Params: { clusterId: string } }>(`${clusterPath}/topics/-/partitions/-/reassignment`, (request) => {
    const { clusterId } = request.params
    checkCluster(parts, clusterId)
    return listOf(kind, urlOf(request, clusterId, 'topics', '-', 'partitions', '-', 'reassignment'), [])
  })

  app.get<{ Params: Omit<PartitionParams, 'partition'> }>(
    `${clusterPath}/topics/:topic/partitions/-/reassignment`,
    (request) => {
      const { clusterId, topic } = request.params
      checkCluster(parts, clusterId)
      const { name } = findTopic(parts, topic)
      return listOf(kind, urlOf(request, clusterId, 'topics', name, 'partitions', '-', 'reassignment'), [])
    },
  )

  app.get<{ Params: PartitionParams }>(`${clusterPath}/topics/:topic/partitions/:partition/reassignment`, (request) => {
    const { clusterId, topic, partition } = request.params
    checkCluster(parts, clusterId)
    findPartition(parts, topic, partition)
    throw new HttpError(404, 404, `${topic}-${partition} is not being reassigned`)
  })

  app.get<{ Params: { clusterId: string } }>(`${clusterPath}/acls`, (request) => {
    checkCluster(parts, request.params.clusterId)
    throw new KafkaError('SECURITY_DISABLED', 'No Authorizer is configured.') // what Kafka says without one
  })
}
