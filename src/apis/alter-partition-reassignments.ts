import { AlterPartitionReassignments } from '../../protocol/apis/alter-partition-reassignments.ts'
import { errorCodes } from '../../protocol/errors.ts'
import { zeroUuid, type RequestOf, type ResponseInput } from '../../protocol/schema.ts'
import { KafkaError } from '../errors.ts'
import { findPartition, findTopic } from './find-topic.ts'
import { defineHandler, type Context } from './handler.ts'

type Request = RequestOf<typeof AlterPartitionReassignments>
type Asked = Request['topics'][number]['partitions'][number]
type Result = ResponseInput<typeof AlterPartitionReassignments>['responses'][number]['partitions'][number]

/**
 * Moves partitions to other replicas. Brokers share one copy of each partition: a move to where it is succeeds, and any other is
 * refused with INVALID_REPLICA_ASSIGNMENT.
 */
export const alterPartitionReassignments = defineHandler({
  api: AlterPartitionReassignments,
  versions: '0-1',

  handle(request, context) {
    context.authorize('ALTER', 'CLUSTER', 'kafka-cluster')
    const responses = request.topics.map(({ name, partitions }) => ({
      name,
      partitions: partitions.map((asked) => move(name, asked, context)),
    }))
    const { allowReplicationFactorChange } = request
    return {
      throttleTimeMs: 0,
      allowReplicationFactorChange,
      errorCode: errorCodes.NONE,
      errorMessage: null,
      responses,
    }
  },
})

function move(name: string, asked: Asked, context: Context): Result {
  const { partitionIndex, replicas } = asked
  try {
    const topic = findTopic(context, { name, topicId: zeroUuid, isById: false })
    findPartition(topic, partitionIndex)
    if (replicas === null) throw new KafkaError('NO_REASSIGNMENT_IN_PROGRESS')
    checkReplicas(replicas, context)
    const now = topic.image.partitions[partitionIndex]!.replicas
    const isSame = now.length === replicas.length && replicas.every((nodeId, place) => now[place] === nodeId)
    if (!isSame)
      throw new KafkaError(
        'INVALID_REPLICA_ASSIGNMENT',
        `partition ${partitionIndex} of ${name} has its one copy named by ${now.join(', ')}, and it can't be moved`,
      )
    return { partitionIndex, errorCode: errorCodes.NONE, errorMessage: null }
  } catch (error) {
    if (!(error instanceof KafkaError)) throw error
    return { partitionIndex, errorCode: error.errorCode, errorMessage: error.message }
  }
}

function checkReplicas(replicas: readonly number[], { broker }: Context): void {
  if (replicas.length === 0) throw new KafkaError('INVALID_REPLICA_ASSIGNMENT', 'got no replicas, expected 1 or more')
  if (new Set(replicas).size < replicas.length)
    throw new KafkaError('INVALID_REPLICA_ASSIGNMENT', `got replicas ${replicas.join(', ')}, expected each once`)
  const known = broker.endpoints().map(({ nodeId }) => nodeId)
  const stranger = replicas.find((nodeId) => !known.includes(nodeId))
  if (stranger !== undefined)
    throw new KafkaError('INVALID_REPLICA_ASSIGNMENT', `got replica ${stranger}, expected one of ${known.join(', ')}`)
}
