/** Topics and partitions in Confluent's REST v3 shapes: what is read. */
import type { FastifyInstance, FastifyRequest } from 'fastify'
import type { PartitionImage, TopicImage } from '../metadata/metadata-store.ts'
import { HttpError } from './errors.ts'
import type { HttpParts } from './parts.ts'
import { checkCluster, clusterPath, listOf, metadataOf, urlOf } from './routes.ts'

interface TopicParams {
  readonly clusterId: string
  readonly topic: string
}

export function addTopicRoutes(app: FastifyInstance, parts: HttpParts): void {
  app.get<{ Params: { clusterId: string } }>(`${clusterPath}/topics`, (request) => {
    const { clusterId } = request.params
    checkCluster(parts, clusterId)
    const topics = sortedTopics(parts).map((topic) => topicData(request, clusterId, topic))
    return listOf('KafkaTopicList', urlOf(request, clusterId, 'topics'), topics)
  })

  app.get<{ Params: TopicParams }>(`${clusterPath}/topics/:topic`, (request) => {
    const { clusterId, topic } = request.params
    checkCluster(parts, clusterId)
    return topicData(request, clusterId, findTopic(parts, topic))
  })

  app.get<{ Params: TopicParams }>(`${clusterPath}/topics/:topic/partitions`, (request) => {
    const { clusterId, topic } = request.params
    checkCluster(parts, clusterId)
    const { name, partitions } = findTopic(parts, topic)
    const data = partitions.map((partition) => partitionData(request, { clusterId, topic: name }, partition))
    return listOf('KafkaPartitionList', urlOf(request, clusterId, 'topics', name, 'partitions'), data)
  })

  app.get<{ Params: TopicParams & { partition: string } }>(
    `${clusterPath}/topics/:topic/partitions/:partition`,
    (request) => {
      const { clusterId, topic, partition } = request.params
      checkCluster(parts, clusterId)
      return partitionData(request, { clusterId, topic }, findPartition(parts, topic, partition))
    },
  )
}

/** All topics by name, in code-unit order as Kafka's tools sort them. */
export function sortedTopics(parts: HttpParts): readonly TopicImage[] {
  return [...parts.metadata.image.topics.values()].sort((a, b) => (a.name < b.name ? -1 : 1))
}

/** The topic, or the answer that Confluent's API gives for an unknown one. */
export function findTopic(parts: HttpParts, name: string): TopicImage {
  const topic = parts.metadata.image.topics.get(name)
  if (!topic) throw unknownTopic()
  return topic
}

/** The partition with this index, or the same answer. */
export function findPartition(parts: HttpParts, topic: string, index: string): PartitionImage {
  const found = findTopic(parts, topic).partitions.find((one) => String(one.partitionIndex) === index)
  if (!found) throw unknownTopic()
  return found
}

function unknownTopic(): HttpError {
  return new HttpError(404, 40403, 'This server does not host this topic-partition.')
}

export function topicData(request: FastifyRequest, clusterId: string, topic: TopicImage): object {
  const { name, isInternal, partitions } = topic
  const replicationFactor = partitions[0]?.replicas.length ?? 0
  return newTopicData(request, clusterId, { name, isInternal, numPartitions: partitions.length, replicationFactor })
}

/** A topic that is there, or would be. */
export function newTopicData(
  request: FastifyRequest,
  clusterId: string,
  topic: {
    readonly name: string
    readonly isInternal?: boolean
    readonly numPartitions: number
    readonly replicationFactor: number
  },
): object {
  const self = urlOf(request, clusterId, 'topics', topic.name)
  return {
    kind: 'KafkaTopic',
    metadata: metadataOf(self, `crn:///kafka=${clusterId}/topic=${topic.name}`),
    cluster_id: clusterId,
    topic_name: topic.name,
    is_internal: topic.isInternal ?? false,
    replication_factor: topic.replicationFactor,
    partitions_count: topic.numPartitions,
    partitions: { related: `${self}/partitions` },
    configs: { related: `${self}/configs` },
    partition_reassignments: { related: `${self}/partitions/-/reassignment` },
    authorized_operations: [],
  }
}

function partitionData(
  request: FastifyRequest,
  at: { readonly clusterId: string; readonly topic: string },
  partition: PartitionImage,
): object {
  const self = urlOf(request, at.clusterId, 'topics', at.topic, 'partitions', String(partition.partitionIndex))
  return {
    kind: 'KafkaPartition',
    metadata: metadataOf(self, `crn:///kafka=${at.clusterId}/topic=${at.topic}/partition=${partition.partitionIndex}`),
    cluster_id: at.clusterId,
    topic_name: at.topic,
    partition_id: partition.partitionIndex,
    leader: { related: `${self}/replicas/${partition.leader}` },
    replicas: { related: `${self}/replicas` },
    reassignment: { related: `${self}/reassignment` },
  }
}
