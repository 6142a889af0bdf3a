/** Which brokers hold the partitions of a new topic. All brokers name the one stored copy. */
import { KafkaError } from '../errors.ts'
import type { NewTopic } from './topics.ts'

/** A topic with more partitions needs several requests; Kafka draws the line at the same number. */
export const partitionMaxCount = 10_000

export interface PlacementOptions {
  /** Node ids of the brokers that are alive. */
  readonly nodeIds: readonly number[]
  readonly replicationFactorDefault: number
  /** Lowers a replication factor above the number of brokers, instead of refusing it. */
  readonly isRelaxed: boolean
}

/** The replicas of each partition, the leader first. Throws the KafkaError that says why it can't be done. */
export function placeTopic(topic: NewTopic, options: PlacementOptions): readonly (readonly number[])[] {
  if (topic.assignments) {
    checkAssignments(topic.assignments, options.nodeIds)
    return topic.assignments
  }
  const { partitionCount } = topic
  if (partitionCount < 1)
    throw new KafkaError('INVALID_PARTITIONS', `Number of partitions was ${partitionCount}, expected 1 or more.`)
  checkCount(partitionCount)
  return place(partitionCount, 0, replicaCountOf(topic.replicationFactor, options), options.nodeIds)
}

/** The replicas of partitions that join a topic: as many as the others have. */
export function placeMore(
  before: { readonly partitionCount: number; readonly replicaCount: number },
  partitionCount: number,
  assignments: readonly (readonly number[])[] | undefined,
  options: PlacementOptions,
): readonly (readonly number[])[] {
  checkCount(partitionCount)
  const addedCount = partitionCount - before.partitionCount
  if (!assignments) return place(addedCount, before.partitionCount, before.replicaCount, options.nodeIds)
  if (assignments.length !== addedCount)
    throw new KafkaError(
      'INVALID_REPLICA_ASSIGNMENT',
      `Attempted to add ${addedCount} additional partition(s), but only ${assignments.length} assignment(s) were specified.`,
    )
  checkAssignments(assignments, options.nodeIds)
  return assignments
}

function place(count: number, first: number, replicaCount: number, nodeIds: readonly number[]): number[][] {
  return Array.from({ length: count }, (_, index) =>
    Array.from({ length: replicaCount }, (_, replica) => nodeIds[(first + index + replica) % nodeIds.length]!),
  )
}

function checkCount(partitionCount: number): void {
  if (partitionCount > partitionMaxCount)
    throw new KafkaError(
      'INVALID_PARTITIONS',
      `got ${partitionCount} partitions, at most ${partitionMaxCount} are allowed`,
    )
}

function replicaCountOf(asked: number | undefined, options: PlacementOptions): number {
  const { nodeIds, replicationFactorDefault, isRelaxed } = options
  const wanted = asked === undefined || asked === -1 ? replicationFactorDefault : asked
  if (wanted < 1)
    throw new KafkaError('INVALID_REPLICATION_FACTOR', `Replication factor was ${wanted}, expected 1 or more.`)
  if (wanted <= nodeIds.length) return wanted
  if (isRelaxed) return nodeIds.length
  throw new KafkaError(
    'INVALID_REPLICATION_FACTOR',
    `Unable to replicate the partition ${wanted} time(s): The target replication factor of ${wanted} cannot be ` +
      `reached because only ${nodeIds.length} broker(s) are registered.`,
  )
}

function checkAssignments(assignments: readonly (readonly number[])[], nodeIds: readonly number[]): void {
  checkCount(assignments.length)
  const replicaCount = assignments[0]?.length ?? 0
  for (const replicas of assignments) {
    if (replicas.length === 0)
      throw new KafkaError(
        'INVALID_REPLICA_ASSIGNMENT',
        'The manual partition assignment includes an empty replica list.',
      )
    if (new Set(replicas).size < replicas.length)
      throw new KafkaError(
        'INVALID_REPLICA_ASSIGNMENT',
        `The manual partition assignment includes a broker more than once: ${replicas.join(', ')}`,
      )
    if (replicas.length !== replicaCount)
      throw new KafkaError(
        'INVALID_REPLICA_ASSIGNMENT',
        `The manual partition assignment includes a partition with ${replicas.length} replica(s), ` +
          `but this is not consistent with previous partitions, which have ${replicaCount} replica(s).`,
      )
    const stranger = replicas.find((nodeId) => !nodeIds.includes(nodeId))
    if (stranger !== undefined)
      throw new KafkaError(
        'INVALID_REPLICA_ASSIGNMENT',
        `The manual partition assignment includes broker ${stranger}, but no such broker is registered.`,
      )
  }
}
