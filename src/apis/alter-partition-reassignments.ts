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
 * Moves partitions to other replicas. Brokers share one copy of each partition: a move is done at once, and none is
 * ever under way.
 */
export const alterPartitionReassignments = defineHandler({
  api: AlterPartitionReassignments,
  versions: '0-1',

  async handle(request, context) {
    context.authorize('ALTER', 'CLUSTER', 'kafka-cluster')
    const moves = request.topics.map(async ({ name, partitions }) => ({
      name,
      partitions: await Promise.all(partitions.map((asked) => move(name, asked, context))),
    }))
    const responses = await Promise.all(moves)
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

async function move(name: string, asked: Asked, context: Context): Promise<Result> {
  const { partitionIndex, replicas } = asked
  try {
    const topic = findTopic(context, { name, topicId: zeroUuid, isById: false })
    findPartition(topic, partitionIndex)
    if (replicas === null) throw new KafkaError('NO_REASSIGNMENT_IN_PROGRESS')
    checkReplicas(replicas, context)
    await context.broker.topics.reassign(topic.image.topicId, partitionIndex, replicas)
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
  const known = broker.brokers.alive()
  const stranger = replicas.find((nodeId) => !known.includes(nodeId))
  if (stranger !== undefined)
    throw new KafkaError('INVALID_REPLICA_ASSIGNMENT', `got replica ${stranger}, expected one of ${known.join(', ')}`)
}
