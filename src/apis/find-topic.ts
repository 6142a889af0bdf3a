/** Finds what a request names, by name or by id. */
import { errorCodes, type ErrorName } from '../../protocol/errors.ts'
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

/** @throws KafkaError UNKNOWN_TOPIC_OR_PARTITION, NOT_LEADER_OR_FOLLOWER where another broker leads it, or none. */
export function findLedPartition({ broker }: Context, topic: Topic, partitionIndex: number): Partition {
  const partition = findPartition(topic, partitionIndex)
  if (leaderOf(partition) === broker.nodeId) return partition
  throw new KafkaError(
    'NOT_LEADER_OR_FOLLOWER',
    `broker ${broker.nodeId} does not lead ${topic.image.name}-${partitionIndex}`,
  )
}

/** The node id of the leader; -1 where no broker leads it. */
export function leaderOf({ topic, partitionIndex }: Partition): number {
  return topic.image.partitions[partitionIndex]!.leader
}

/** What a description tells of the brokers of a partition, the same in every API that tells it. */
export function placementOf({ broker }: Context, { topic, partitionIndex, log }: Partition) {
  const { leader, replicas, isr } = topic.image.partitions[partitionIndex]!
  return {
    errorCode: leader < 0 ? errorCodes.LEADER_NOT_AVAILABLE : errorCodes.NONE,
    partitionIndex,
    leaderId: leader,
    leaderEpoch: broker.logs.view(log).leaderEpoch,
    replicaNodes: replicas,
    isrNodes: isr,
    offlineReplicas: replicas.filter((nodeId) => !broker.brokers.isAlive(nodeId)),
  }
}

/** What a client hears whose metadata is old. */
export const staleLeaderErrors: ReadonlySet<number> = new Set(
  (['NOT_LEADER_OR_FOLLOWER', 'FENCED_LEADER_EPOCH'] satisfies ErrorName[]).map((name) => errorCodes[name]),
)

/** Tells a client that was refused because it asked with stale metadata who leads now (KIP-951). */
export function leaderHintOf(
  { broker }: Context,
  topic: Topic | undefined,
  { index, errorCode }: { readonly index: number; readonly errorCode: number },
): { readonly leaderId: number; readonly leaderEpoch: number } | undefined {
  const partition = staleLeaderErrors.has(errorCode) ? topic?.partitions[index] : undefined
  return partition && { leaderId: leaderOf(partition), leaderEpoch: broker.logs.view(partition.log).leaderEpoch }
}

/** @throws KafkaError FENCED_LEADER_EPOCH, UNKNOWN_LEADER_EPOCH. -1 is not checked. */
export function checkLeaderEpoch({ broker }: Context, { log }: Partition, currentLeaderEpoch: number): void {
  if (currentLeaderEpoch === -1) return
  const { leaderEpoch } = broker.logs.view(log)
  if (currentLeaderEpoch < leaderEpoch) throw new KafkaError('FENCED_LEADER_EPOCH')
  if (currentLeaderEpoch > leaderEpoch) throw new KafkaError('UNKNOWN_LEADER_EPOCH')
}
