/** Finds what a request names, by name or by id. */
import { zeroUuid, type Uuid } from '../../protocol/schema.ts'
import { KafkaError } from '../errors.ts'
import type { Partition, Topic } from '../topics/topics.ts'
import type { Context } from './handler.ts'

export interface TopicKey {
  readonly name: string
  readonly topicId: Uuid
  /** The version of the request carries ids in place of names. */
  readonly isById: boolean
}

/** @throws KafkaError UNKNOWN_TOPIC_ID or UNKNOWN_TOPIC_OR_PARTITION. */
export function findTopic({ broker }: Context, { name, topicId, isById }: TopicKey): Topic {
  if (isById) {
    const topic = topicId === zeroUuid ? undefined : broker.topics.findById(topicId)
    if (!topic) throw new KafkaError('UNKNOWN_TOPIC_ID', `no topic has the id ${topicId}`)
    return topic
  }
  const topic = broker.topics.find(name)
  if (!topic) throw new KafkaError('UNKNOWN_TOPIC_OR_PARTITION', `there is no topic ${name}`)
  return topic
}

/** @throws KafkaError UNKNOWN_TOPIC_OR_PARTITION. */
export function findPartition(topic: Topic, partitionIndex: number): Partition {
  const partition = topic.partitions[partitionIndex]
  if (partition) return partition
  throw new KafkaError(
    'UNKNOWN_TOPIC_OR_PARTITION',
    `topic ${topic.image.name} has ${topic.partitions.length} partitions, got partition ${partitionIndex}`,
  )
}

/** @throws KafkaError FENCED_LEADER_EPOCH, UNKNOWN_LEADER_EPOCH. -1 is not checked. */
export function checkLeaderEpoch({ broker }: Context, { log }: Partition, currentLeaderEpoch: number): void {
  if (currentLeaderEpoch === -1) return
  const { leaderEpoch } = broker.logs.view(log)
  if (currentLeaderEpoch < leaderEpoch) throw new KafkaError('FENCED_LEADER_EPOCH')
  if (currentLeaderEpoch > leaderEpoch) throw new KafkaError('UNKNOWN_LEADER_EPOCH')
}
