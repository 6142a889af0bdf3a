import { OffsetForLeaderEpoch } from '../../protocol/apis/offset-for-leader-epoch.ts'
import { errorCodes } from '../../protocol/errors.ts'
import { zeroUuid, type RequestOf, type ResponseInput } from '../../protocol/schema.ts'
import { errorCodeOf, errorNameOfStorageCode, KafkaError } from '../errors.ts'
import { checkLeaderEpoch, findLedPartition, findTopic } from './find-topic.ts'
import { defineHandler, type Context } from './handler.ts'

type Query = RequestOf<typeof OffsetForLeaderEpoch>['topics'][number]['partitions'][number]
type PartitionResponse = ResponseInput<typeof OffsetForLeaderEpoch>['topics'][number]['partitions'][number]

/** Tells where a leader epoch ended. */
export const offsetForLeaderEpoch = defineHandler({
  api: OffsetForLeaderEpoch,
  versions: '2-4',

  async handle(request, context) {
    const topics = request.topics.map(async ({ topic, partitions }) => ({
      topic,
      partitions: await Promise.all(partitions.map((query) => answer(topic, query, context))),
    }))
    return { throttleTimeMs: 0, topics: await Promise.all(topics) }
  },

  fail(request, error) {
    const topics = request.topics.map(({ topic, partitions }) => ({
      topic,
      partitions: partitions.map((query) => refusal(query, error.errorCode)),
    }))
    return { throttleTimeMs: 0, topics }
  },
})

/** One bad partition never fails the others: its error becomes its own errorCode. */
async function answer(name: string, query: Query, context: Context): Promise<PartitionResponse> {
  try {
    context.authorize('DESCRIBE', 'TOPIC', name)
    const topic = findTopic(context, { name, topicId: zeroUuid, isById: false })
    const partition = findLedPartition(context, topic, query.partition)
    checkLeaderEpoch(context, partition, query.currentLeaderEpoch)
    const end = await context.broker.logs.endOffsetForEpoch(partition.log, query.leaderEpoch)
    if (!end.ok) throw new KafkaError(errorNameOfStorageCode[end.code], end.message)
    const { leaderEpoch, endOffset } = end
    return { errorCode: errorCodes.NONE, partition: query.partition, leaderEpoch, endOffset }
  } catch (error) {
    return refusal(query, errorCodeOf(error))
  }
}

function refusal({ partition }: Query, errorCode: number): PartitionResponse {
  return { errorCode, partition, leaderEpoch: -1, endOffset: -1n }
}
