/** Topics and partitions in Confluent's REST v3 shapes, read only. */
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
      const found = findTopic(parts, topic).partitions.find((one) => String(one.partitionIndex) === partition)
      if (!found) throw unknownTopic()
      return partitionData(request, { clusterId, topic }, found)
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

function unknownTopic(): HttpError {
  return new HttpError(404, 40403, 'This server does not host this topic-partition.')
}

function topicData(request: FastifyRequest, clusterId: string, topic: TopicImage): object {
  const self = urlOf(request, clusterId, 'topics', topic.name)
  return {
    kind: 'KafkaTopic',
    metadata: metadataOf(self, `crn:///kafka=${clusterId}/topic=${topic.name}`),
    cluster_id: clusterId,
    topic_name: topic.name,
    is_internal: topic.isInternal,
    replication_factor: topic.partitions[0]?.replicas.length ?? 0,
    partitions_count: topic.partitions.length,
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
