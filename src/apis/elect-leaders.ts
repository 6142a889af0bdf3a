import { ElectLeaders } from '../../protocol/apis/elect-leaders.ts'
import { errorCodes } from '../../protocol/errors.ts'
import { zeroUuid, type RequestOf, type ResponseInput } from '../../protocol/schema.ts'
import { KafkaError } from '../errors.ts'
import { findPartition, findTopic } from './find-topic.ts'
import { defineHandler, type Context } from './handler.ts'

type Request = RequestOf<typeof ElectLeaders>
type Asked = NonNullable<Request['topicPartitions']>[number]
type Result = ResponseInput<typeof ElectLeaders>['replicaElectionResults'][number]
type PartitionResult = Result['partitionResult'][number]

const electionTypes = ['PREFERRED', 'UNCLEAN'] as const

/**
 * Elects leaders: the preferred replica, or (unclean) any where there is no leader.
 */
export const electLeaders = defineHandler({
  api: ElectLeaders,
  versions: '0-2',

  async handle(request, context) {
    context.authorize('ALTER', 'CLUSTER', 'kafka-cluster')
    const isForAll = request.topicPartitions === null
    const results: Result[] = []
    for (const asked of request.topicPartitions ?? allOf(context)) {
      const partitionResult: PartitionResult[] = []
      for (const partitionId of asked.partitions)
        partitionResult.push(await elect(asked.topic, partitionId, request.electionType, context))
      // Asked for all, Kafka names only those where something was to be done.
      const named = partitionResult.filter(({ errorCode }) => !isForAll || errorCode !== errorCodes.ELECTION_NOT_NEEDED)
      results.push({ topic: asked.topic, partitionResult: named })
    }
    const isUnknown = results.length > 0 && electionTypes[request.electionType] === undefined
    const errorCode = isUnknown ? errorCodes.INVALID_REQUEST : errorCodes.NONE
    return { throttleTimeMs: 0, errorCode, replicaElectionResults: results }
  },
})

function allOf({ broker }: Context): Asked[] {
  return Array.from(broker.topics.list(), ({ image, partitions }) => ({
    topic: image.name,
    partitions: partitions.map(({ partitionIndex }) => partitionIndex),
  }))
}

async function elect(
  name: string,
  partitionId: number,
  electionType: number,
  context: Context,
): Promise<PartitionResult> {
  try {
    const type = electionTypes[electionType]
    if (type === undefined)
      throw new KafkaError('INVALID_REQUEST', `got election type ${electionType}, expected 0 or 1`)
    const topic = findTopic(context, { name, topicId: zeroUuid, isById: false })
    findPartition(topic, partitionId)
    const { leader, replicas } = topic.image.partitions[partitionId]!
    if (type === 'UNCLEAN' ? leader >= 0 : leader === replicas[0]) throw new KafkaError('ELECTION_NOT_NEEDED')
    // A living replica leads always, so that an unclean election has none to choose from.
    if (type === 'UNCLEAN') throw new KafkaError('ELIGIBLE_LEADERS_NOT_AVAILABLE')
    if (!context.broker.brokers.isAlive(replicas[0]!)) throw new KafkaError('PREFERRED_LEADER_NOT_AVAILABLE')
    await context.broker.topics.electLeader(topic.image.topicId, partitionId, replicas[0]!)
    return { partitionId, errorCode: errorCodes.NONE, errorMessage: null }
  } catch (error) {
    if (!(error instanceof KafkaError)) throw error
    return { partitionId, errorCode: error.errorCode, errorMessage: error.message }
  }
}
