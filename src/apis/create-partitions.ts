import { CreatePartitions } from '../../protocol/apis/create-partitions.ts'
import { errorCodes } from '../../protocol/errors.ts'
import { zeroUuid, type RequestOf, type ResponseInput } from '../../protocol/schema.ts'
import { KafkaError } from '../errors.ts'
import { findTopic } from './find-topic.ts'
import { defineHandler, type Context } from './handler.ts'

type Request = RequestOf<typeof CreatePartitions>
type Asked = Request['topics'][number]
type Result = ResponseInput<typeof CreatePartitions>['results'][number]

/** Adds partitions to topics. Those of a mirror come from its source alone. */
export const createPartitions = defineHandler({
  api: CreatePartitions,
  versions: '0-3',

  async handle(request, context) {
    const names = request.topics.map(({ name }) => name)
    const unique = [...new Map(request.topics.map((asked) => [asked.name, asked])).values()]
    const results = unique.map((asked) => {
      const isRepeated = names.indexOf(asked.name) !== names.lastIndexOf(asked.name)
      return add(asked, { isRepeated, validateOnly: request.validateOnly }, context)
    })
    return { throttleTimeMs: 0, results: await Promise.all(results) }
  },

  fail(request, error) {
    return { throttleTimeMs: 0, results: request.topics.map((asked) => refusal(asked, error)) }
  },
})

async function add(
  asked: Asked,
  { isRepeated, validateOnly }: { readonly isRepeated: boolean; readonly validateOnly: boolean },
  context: Context,
): Promise<Result> {
  try {
    if (isRepeated) throw new KafkaError('INVALID_REQUEST', 'Duplicate topic name.')
    const topic = findTopic(context, { name: asked.name, topicId: zeroUuid, isById: false })
    context.authorize('ALTER', 'TOPIC', asked.name)
    if (topic.isReadOnly)
      throw new KafkaError('INVALID_REQUEST', `Cannot add partitions to read-only mirror topic '${asked.name}'`)
    const assignments = asked.assignments?.map(({ brokerIds }) => brokerIds)
    await context.broker.topics.addPartitions(topic.image.topicId, asked.count, assignments, { validateOnly })
    return { name: asked.name, errorCode: errorCodes.NONE, errorMessage: null }
  } catch (error) {
    if (!(error instanceof KafkaError)) throw error
    return refusal(asked, error)
  }
}

function refusal({ name }: Asked, { errorCode, message }: KafkaError): Result {
  return { name, errorCode, errorMessage: message }
}
