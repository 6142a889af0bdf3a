import { DeleteRecords } from '../../protocol/apis/delete-records.ts'
import { errorCodes } from '../../protocol/errors.ts'
import { zeroUuid, type RequestOf, type ResponseInput } from '../../protocol/schema.ts'
import { errorCodeOf, errorNameOfStorageCode, KafkaError } from '../errors.ts'
import { findLedPartition, findTopic } from './find-topic.ts'
import { defineHandler, type Context } from './handler.ts'

type Asked = RequestOf<typeof DeleteRecords>['topics'][number]['partitions'][number]
type Result = ResponseInput<typeof DeleteRecords>['topics'][number]['partitions'][number]

const highWatermark = -1n

/** Deletes the records before an offset. The log start of a mirror follows its source alone. */
export const deleteRecords = defineHandler({
  api: DeleteRecords,
  versions: '0-2',

  async handle(request, context) {
    const topics = request.topics.map(async ({ name, partitions }) => ({
      name,
      partitions: await Promise.all(partitions.map((asked) => remove(name, asked, context))),
    }))
    return { throttleTimeMs: 0, topics: await Promise.all(topics) }
  },

  fail(request, { errorCode }) {
    const topics = request.topics.map(({ name, partitions }) => ({
      name,
      partitions: partitions.map((asked) => refusal(asked, errorCode)),
    }))
    return { throttleTimeMs: 0, topics }
  },
})

/** One bad partition never fails the others: its error becomes its own errorCode. */
async function remove(name: string, asked: Asked, context: Context): Promise<Result> {
  try {
    const { logs } = context.broker
    const topic = findTopic(context, { name, topicId: zeroUuid, isById: false })
    context.authorize('DELETE', 'TOPIC', name)
    if (topic.isReadOnly) throw new KafkaError('INVALID_REQUEST', `'${name}' is a read-only mirror topic`)
    if (!topic.config.cleanupPolicy.delete) throw new KafkaError('POLICY_VIOLATION')
    const { log } = findLedPartition(context, topic, asked.partitionIndex)
    const view = logs.view(log)
    const offset = asked.offset === highWatermark ? view.highWatermark : asked.offset
    if (offset < 0n || offset > view.highWatermark) throw new KafkaError('OFFSET_OUT_OF_RANGE')
    if (offset <= view.logStartOffset) return success(asked, view.logStartOffset)
    const result = await logs.deleteBefore(log, offset)
    if (!result.ok) throw new KafkaError(errorNameOfStorageCode[result.code], result.message)
    return success(asked, result.logStartOffset)
  } catch (error) {
    return refusal(asked, errorCodeOf(error))
  }
}

function success({ partitionIndex }: Asked, lowWatermark: bigint): Result {
  return { partitionIndex, lowWatermark, errorCode: errorCodes.NONE }
}

function refusal({ partitionIndex }: Asked, errorCode: number): Result {
  return { partitionIndex, lowWatermark: -1n, errorCode }
}
