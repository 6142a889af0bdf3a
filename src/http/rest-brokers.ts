/** Brokers and replicas in Confluent's REST v3 shapes. */
import type { FastifyInstance, FastifyRequest } from 'fastify'
import type { PartitionImage } from '../metadata/metadata-store.ts'
import type { BrokerState } from '../topics/live-brokers.ts'
import { findBroker } from './brokers.ts'
import { HttpError } from './errors.ts'
import type { HttpParts } from './parts.ts'
import { checkCluster, clusterPath, listOf, metadataOf, urlOf } from './routes.ts'
import { findPartition, sortedTopics } from './topics.ts'

interface BrokerParams {
  readonly clusterId: string
  readonly broker: string
}
interface ReplicaParams {
  readonly clusterId: string
  readonly topic: string
  readonly partition: string
}

export function addRestBrokerRoutes(app: FastifyInstance, parts: HttpParts): void {
  addBrokerReads(app, parts)
  addReplicaReads(app, parts)
}

function addBrokerReads(app: FastifyInstance, parts: HttpParts): void {
  app.get<{ Params: BrokerParams }>(`${clusterPath}/brokers`, (request) => {
    const { clusterId } = request.params
    checkCluster(parts, clusterId)
    const brokers = parts.control.list().map((broker) => brokerData(request, clusterId, broker))
    return listOf('KafkaBrokerList', urlOf(request, clusterId, 'brokers'), brokers)
  })

  app.get<{ Params: BrokerParams }>(`${clusterPath}/brokers/:broker`, (request) => {
    const { clusterId, broker } = request.params
    checkCluster(parts, clusterId)
    return brokerData(request, clusterId, findBroker(parts, Number(broker), broker))
  })

  app.get<{ Params: BrokerParams }>(`${clusterPath}/brokers/:broker/partition-replicas`, (request) => {
    const { clusterId, broker } = request.params
    checkCluster(parts, clusterId)
    const { nodeId } = findBroker(parts, Number(broker), broker)
    const data = sortedTopics(parts).flatMap(({ name, partitions }) =>
      partitions
        .filter(({ replicas }) => replicas.includes(nodeId))
        .map((partition) => replicaData(request, { clusterId, topic: name, partition }, nodeId)),
    )
    return listOf('KafkaReplicaList', urlOf(request, clusterId, 'brokers', broker, 'partition-replicas'), data)
  })
}

function addReplicaReads(app: FastifyInstance, parts: HttpParts): void {
  const path = `${clusterPath}/topics/:topic/partitions/:partition/replicas`
  app.get<{ Params: ReplicaParams }>(path, (request) => {
    const { clusterId, topic, partition: index } = request.params
    checkCluster(parts, clusterId)
    const partition = findPartition(parts, topic, index)
    const self = urlOf(request, clusterId, 'topics', topic, 'partitions', index, 'replicas')
    const data = partition.replicas.map((id) => replicaData(request, { clusterId, topic, partition }, id))
    return listOf('KafkaReplicaList', self, data)
  })

  app.get<{ Params: ReplicaParams & { broker: string } }>(`${path}/:broker`, (request) => {
    const { clusterId, topic, partition: index, broker } = request.params
    checkCluster(parts, clusterId)
    const partition = findPartition(parts, topic, index)
    const id = partition.replicas.find((one) => String(one) === broker)
    if (id === undefined) throw new HttpError(404, 404, `${topic}-${index} has no replica at broker ${broker}`)
    return replicaData(request, { clusterId, topic, partition }, id)
  })
}

function brokerData(request: FastifyRequest, clusterId: string, { nodeId, host, port, rack }: BrokerState): object {
  const self = urlOf(request, clusterId, 'brokers', String(nodeId))
  return {
    kind: 'KafkaBroker',
    metadata: metadataOf(self, `crn:///kafka=${clusterId}/broker=${nodeId}`),
    cluster_id: clusterId,
    broker_id: nodeId,
    host,
    port,
    rack,
    configs: { related: `${self}/configs` },
    partition_replicas: { related: `${self}/partition-replicas` },
  }
}

function replicaData(
  request: FastifyRequest,
  at: { readonly clusterId: string; readonly topic: string; readonly partition: PartitionImage },
  brokerId: number,
): object {
  const { clusterId, topic, partition } = at
  const index = String(partition.partitionIndex)
  const self = urlOf(request, clusterId, 'topics', topic, 'partitions', index, 'replicas', String(brokerId))
  const resource = `crn:///kafka=${clusterId}/topic=${topic}/partition=${index}/replica=${brokerId}`
  return {
    kind: 'KafkaReplica',
    metadata: metadataOf(self, resource),
    cluster_id: clusterId,
    topic_name: topic,
    partition_id: partition.partitionIndex,
    broker_id: brokerId,
    is_leader: partition.leader === brokerId,
    is_in_sync: partition.isr.includes(brokerId),
    broker: { related: urlOf(request, clusterId, 'brokers', String(brokerId)) },
  }
}
