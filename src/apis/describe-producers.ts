import { DescribeProducers } from '../../protocol/apis/describe-producers.ts'
import { errorCodes } from '../../protocol/errors.ts'
import { zeroUuid, type ResponseInput } from '../../protocol/schema.ts'
import { KafkaError } from '../errors.ts'
import { findNameError } from '../topics/topic-names.ts'
import { findPartition, findTopic } from './find-topic.ts'
import { defineHandler, type Context } from './handler.ts'

type Result = ResponseInput<typeof DescribeProducers>['topics'][number]['partitions'][number]

/** Describes the producers whose sequences partitions remember. */
export const describeProducers = defineHandler({
  api: DescribeProducers,
  versions: '0-0',

  handle(request, context) {
    const topics = request.topics.map(({ name, partitionIndexes }) => ({
      name,
      partitions: partitionIndexes.map((partitionIndex) => describe(name, partitionIndex, context)),
    }))
    return { throttleTimeMs: 0, topics }
  },

  fail(request, error) {
    const topics = request.topics.map(({ name, partitionIndexes }) => ({
      name,
      partitions: partitionIndexes.map((partitionIndex) => refusal(partitionIndex, error)),
    }))
    return { throttleTimeMs: 0, topics }
  },
})

/** One bad partition never fails the others: its error becomes its own errorCode. */
function describe(name: string, partitionIndex: number, context: Context): Result {
  try {
    const wrong = findNameError(name)
    if (wrong !== undefined) throw new KafkaError('INVALID_TOPIC_EXCEPTION', wrong)
    const topic = findTopic(context, { name, topicId: zeroUuid, isById: false })
    context.authorize('READ', 'TOPIC', name)
    const { log } = findPartition(topic, partitionIndex)
    const activeProducers = context.broker.logs.activeProducers(log).map((producer) => ({
      producerId: producer.producerId,
      producerEpoch: producer.producerEpoch,
      lastSequence: producer.lastSequence,
      lastTimestamp: producer.lastTimestampMs,
      coordinatorEpoch: producer.coordinatorEpoch,
      currentTxnStartOffset: producer.currentTransactionStartOffset,
    }))
    return { partitionIndex, errorCode: errorCodes.NONE, errorMessage: null, activeProducers }
  } catch (error) {
    if (!(error instanceof KafkaError)) throw error
    return refusal(partitionIndex, error)
  }
}

function refusal(partitionIndex: number, { errorCode, message }: KafkaError): Result {
  return { partitionIndex, errorCode, errorMessage: message, activeProducers: [] }
}
