/**
 * Who leads a partition once brokers come and go. Every broker names the one stored copy, so a replica that lives is in
 * sync: Kafka's rules for a cluster whose followers never lag.
 */
import type { PartitionImage, TopicImage } from '../metadata/metadata-store.ts'
import type { LiveBrokers } from './live-brokers.ts'

/** The leader of a partition that has none. */
export const noLeader = -1

/** What changes of a partition; undefined stays. Naming a leader begins a new leader epoch. */
export interface PartitionChange {
  readonly topicId: TopicImage['topicId']
  readonly partitionIndex: number
  readonly leader?: number
  readonly replicas?: readonly number[]
  readonly isr: readonly number[]
}

/**
 * The change that brings a partition in line with the brokers that live, or undefined. The leader stays while it lives.
 * Without a living replica there is no leader, and the last one in sync stays named, as in Kafka. A partition of which
 * no replica belongs to this process any more gets new ones: its records are here.
 */
export function followBrokers(
  topic: TopicImage,
  partition: PartitionImage,
  brokers: LiveBrokers,
): PartitionChange | undefined {
  const { partitionIndex } = partition
  const { nodeIds } = brokers
  const known = partition.replicas.filter((nodeId) => nodeIds.includes(nodeId))
  const replicas = known.length > 0 ? known : [nodeIds[partitionIndex % nodeIds.length]!]
  const living = replicas.filter((nodeId) => brokers.isAlive(nodeId))
  const leader = living.includes(partition.leader) ? partition.leader : (living[0] ?? noLeader)
  const isr = living.length > 0 ? living : lastInSync(partition, replicas)
  const isMoved = leader !== partition.leader
  const isPlaced = replicas.length !== partition.replicas.length || known.length === 0
  if (!isMoved && !isPlaced && isSameSet(isr, partition.isr)) return undefined
  return {
    topicId: topic.topicId,
    partitionIndex,
    isr,
    ...(isMoved && { leader }),
    ...(isPlaced && { replicas }),
  }
}

/**
 * The change that gives a partition other replicas, at once: they share the one stored copy. Undefined where it has
 * them.
 */
export function reassign(
  topic: TopicImage,
  partition: PartitionImage,
  replicas: readonly number[],
  brokers: LiveBrokers,
): PartitionChange | undefined {
  const { partitionIndex, isr } = partition
  if (isSameList(replicas, partition.replicas)) return undefined
  const changed = followBrokers(topic, { ...partition, replicas }, brokers)
  return { topicId: topic.topicId, partitionIndex, isr, ...changed, replicas }
}

function isSameList(a: readonly number[], b: readonly number[]): boolean {
  return a.length === b.length && a.every((nodeId, place) => nodeId === b[place])
}

function lastInSync({ isr }: PartitionImage, replicas: readonly number[]): readonly number[] {
  const last = isr.filter((nodeId) => replicas.includes(nodeId))
  return last.length > 0 ? last : replicas.slice(0, 1)
}

function isSameSet(a: readonly number[], b: readonly number[]): boolean {
  return a.length === b.length && a.every((nodeId) => b.includes(nodeId))
}
