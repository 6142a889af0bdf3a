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
 * Elects leaders: the preferred replica, or (unclean) any where there is no leader. A replica is never behind here, so that an
 * unclean election loses nothing.
 */
export const electLeaders = defineHandler({
  api: ElectLeaders,
  versions: '0-2',

  handle(request, context) {
    context.authorize('ALTER', 'CLUSTER', 'kafka-cluster')
    const isForAll = request.topicPartitions === null
    const results: Result[] = []
    for (const asked of request.topicPartitions ?? allOf(context)) {
      const partitionResult: PartitionResult[] = []
      for (const partitionId of asked.partitions)
        partitionResult.push(elect(asked.topic, partitionId, request.electionType, context))
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

function elect(name: string, partitionId: number, electionType: number, context: Context): PartitionResult {
  try {
    const type = electionTypes[electionType]
    if (type === undefined)
      throw new KafkaError('INVALID_REQUEST', `got election type ${electionType}, expected 0 or 1`)
    const topic = findTopic(context, { name, topicId: zeroUuid, isById: false })
    findPartition(topic, partitionId)
    const { leader, replicas } = topic.image.partitions[partitionId]!
    if (type === 'UNCLEAN' ? leader >= 0 : leader === replicas[0]) throw new KafkaError('ELECTION_NOT_NEEDED')
    // The one replica leads for as long as the broker runs: nothing comes this far.
    throw new KafkaError(type === 'PREFERRED' ? 'PREFERRED_LEADER_NOT_AVAILABLE' : 'ELIGIBLE_LEADERS_NOT_AVAILABLE')
  } catch (error) {
    if (!(error instanceof KafkaError)) throw error
    return { partitionId, errorCode: error.errorCode, errorMessage: error.message }
  }
}
