import { DeleteTopics } from '../../protocol/apis/delete-topics.ts'
import { errorCodes } from '../../protocol/errors.ts'
import { zeroUuid, type RequestOf, type ResponseInput, type Uuid } from '../../protocol/schema.ts'
import { KafkaError } from '../errors.ts'
import type { Topic } from '../topics/topics.ts'
import { defineHandler, type Context } from './handler.ts'

interface Asked {
  readonly name: string | null
  readonly topicId: Uuid
}
interface AskedOnce extends Asked {
  readonly otherwise: string | undefined
}
type TopicResponse = ResponseInput<typeof DeleteTopics>['responses'][number]

const idsFromVersion = 6

/** Deletes topics, by name or by id. An answered name is free at once. */
export const deleteTopics = defineHandler({
  api: DeleteTopics,
  versions: '1-6',

  async handle(request, context) {
    if (!context.broker.config.deleteTopicEnable)
      throw new KafkaError(context.apiVersion < 3 ? 'INVALID_REQUEST' : 'TOPIC_DELETION_DISABLED')
    const asked = askedOf(request, context.apiVersion)
    const found = asked.map((item) => context.broker.topics.find(item.name ?? '') ?? byId(item, context))
    const responses = asked
      .map((item, index) => ({ item: { ...item, otherwise: otherwise(asked, found, index) }, index }))
      .filter(({ item, index }) => asked.findIndex((other) => isSame(item, other)) === index)
      .filter(({ item }) => item.name !== null || item.otherwise === undefined) // answered once, under its name
      .map(({ item, index }) => remove(item, repeats(asked, found, index), context))
    return { throttleTimeMs: 0, responses: await Promise.all(responses) }
  },

  fail(request, error, { apiVersion }) {
    return { throttleTimeMs: 0, responses: askedOf(request, apiVersion).map((item) => refusal(item, error)) }
  },
})

function askedOf({ topics, topicNames }: RequestOf<typeof DeleteTopics>, apiVersion: number): readonly Asked[] {
  return apiVersion >= idsFromVersion ? topics : topicNames.map((name) => ({ name, topicId: zeroUuid }))
}

function byId({ topicId }: Asked, { broker }: Context): Topic | undefined {
  return topicId === zeroUuid ? undefined : broker.topics.findById(topicId)
}

/**
 * The other key under which the same topic was asked for: its id where this is by name, its name where this is by id.
 */
function otherwise(asked: readonly Asked[], found: readonly (Topic | undefined)[], index: number): string | undefined {
  const isByName = asked[index]!.name !== null
  const place = asked.findIndex(
    (other, at) => found[at] && found[at] === found[index] && (other.name !== null) !== isByName,
  )
  return place === -1 ? undefined : isByName ? asked[place]!.topicId : asked[place]!.name!
}

function isSame(a: Asked, b: Asked): boolean {
  return a.name === b.name && a.topicId === b.topicId
}

/** What is asked for twice, by the same name or once by its id, is refused. */
function repeats(asked: readonly Asked[], found: readonly (Topic | undefined)[], index: number): boolean {
  const { name, topicId } = asked[index]!
  return asked.some((other, place) => {
    if (place === index) return false
    if (found[index] && found[index] === found[place]) return true
    return (name !== null && other.name === name) || (topicId !== zeroUuid && other.topicId === topicId)
  })
}

async function remove(asked: AskedOnce, isRepeated: boolean, context: Context): Promise<TopicResponse> {
  try {
    const { name, topicId } = asked
    if (name !== null && topicId !== zeroUuid)
      throw new KafkaError('INVALID_REQUEST', 'You may not specify both topic name and topic id.')
    if (name === null && topicId === zeroUuid)
      throw new KafkaError('INVALID_REQUEST', 'Neither topic name nor id were specified.')
    if (name !== null && asked.otherwise !== undefined)
      return refusal(
        { name, topicId: asked.otherwise },
        new KafkaError('INVALID_REQUEST', `topic ${name} was also asked for by its id`),
      )
    if (isRepeated)
      throw new KafkaError('INVALID_REQUEST', name === null ? 'Duplicate topic id.' : 'Duplicate topic name.')
    const topic = name === null ? context.broker.topics.findById(topicId) : context.broker.topics.find(name)
    if (!topic) throw unknownTopic(name)
    context.authorize('DELETE', 'TOPIC', topic.image.name)
    await context.broker.topics.delete(topic.image.topicId)
    return { name: topic.image.name, topicId: topic.image.topicId, errorCode: errorCodes.NONE, errorMessage: null }
  } catch (error) {
    if (!(error instanceof KafkaError)) throw error
    return refusal(asked, error)
  }
}

function refusal({ name, topicId }: Asked, { errorCode, message }: KafkaError): TopicResponse {
  return { name, topicId, errorCode, errorMessage: message }
}

function unknownTopic(name: string | null): KafkaError {
  if (name === null) return new KafkaError('UNKNOWN_TOPIC_ID', 'This server does not host this topic ID.')
  return new KafkaError('UNKNOWN_TOPIC_OR_PARTITION', 'This server does not host this topic-partition.')
}
