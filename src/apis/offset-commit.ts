import { OffsetCommit } from '../../protocol/apis/offset-commit.ts'
import { errorCodeOf, KafkaError } from '../errors.ts'
import type { RequestOf, ResponseInput, Uuid } from '../../protocol/schema.ts'
import type { TopicErrors } from '../groups/offsets.ts'
import { findPartition, findTopic } from './find-topic.ts'
import { defineHandler, type Context } from './handler.ts'

type Request = RequestOf<typeof OffsetCommit>
type RequestTopic = Request['topics'][number]
type ResponseTopic = ResponseInput<typeof OffsetCommit>['topics'][number]
type ResponsePartition = ResponseTopic['partitions'][number]

const idsFromVersion = 10

/** A topic of the request: what can be committed, under its name, and what is refused. */
interface Planned {
  readonly asked: RequestTopic
  readonly name: string
  readonly topicId: Uuid
  readonly committable: RequestTopic['partitions']
  readonly refused: ReadonlyMap<number, number>
}

/** Commits offsets of a group. The answer leaves when they are committed: a restart finds them. */
export const offsetCommit = defineHandler({
  api: OffsetCommit,
  versions: '2-10',

  async handle(request, context) {
    context.authorize('READ', 'GROUP', request.groupId)
    // Kafka leaves topics without partitions out of its answer.
    const planned = request.topics
      .filter(({ partitions }) => partitions.length > 0)
      .map((topic) => plan(topic, context))
    const topics = planned.flatMap(({ name, topicId, committable }) =>
      committable.length === 0 ? [] : [{ name, topicId, partitions: committable }],
    )
    const { groupId, memberId, groupInstanceId, retentionTimeMs, generationIdOrMemberEpoch: generationId } = request
    const commit = { groupId, memberId, groupInstanceId, retentionTimeMs, generationId, topics }
    if (topics.length === 0) return { throttleTimeMs: 0, topics: merged(planned, []) }
    const writing = context.broker.groups.commitOffsets(commit, context.apiVersion)
    context.admitNext() // commits of a connection are ordered by now
    return { throttleTimeMs: 0, topics: merged(planned, await committedOrRefused(writing, topics)) }
  },

  fail(request, { errorCode }) {
    const topics = request.topics.map(({ name, topicId, partitions }) => ({
      name,
      topicId,
      partitions: partitions.map(({ partitionIndex }) => ({ partitionIndex, errorCode })),
    }))
    return { throttleTimeMs: 0, topics }
  },
})

/** What the group refuses as a whole is said of every partition that was not refused before. */
async function committedOrRefused(
  writing: Promise<readonly TopicErrors[]>,
  topics: readonly Pick<RequestTopic, 'name' | 'partitions'>[],
): Promise<readonly TopicErrors[]> {
  try {
    return await writing
  } catch (error) {
    const errorCode = errorCodeOf(error)
    return topics.map(({ name, partitions }) => ({
      name,
      partitions: partitions.map(({ partitionIndex }) => ({ partitionIndex, errorCode })),
    }))
  }
}

function plan(asked: RequestTopic, context: Context): Planned {
  const refused = new Map<number, number>()
  const committable: RequestTopic['partitions'] = []
  try {
    const topic = findTopic(context, { ...asked, isById: context.apiVersion >= idsFromVersion })
    const { name, topicId } = topic.image
    context.authorize('READ', 'TOPIC', name)
    for (const partition of asked.partitions) {
      const error = errorOf(() => findPartition(topic, partition.partitionIndex))
      if (error === 0) committable.push(partition)
      else refused.set(partition.partitionIndex, error)
    }
    return { asked, name, topicId, committable, refused }
  } catch (error) {
    const errorCode = errorCodeOf(error)
    for (const { partitionIndex } of asked.partitions) refused.set(partitionIndex, errorCode)
    return { asked, name: asked.name, topicId: asked.topicId, committable, refused }
  }
}

function errorOf(look: () => unknown): number {
  try {
    look()
    return 0
  } catch (error) {
    return errorCodeOf(error)
  }
}

/** The answers in the order of the request. */
function merged(planned: readonly Planned[], committed: readonly TopicErrors[]): ResponseTopic[] {
  let next = 0
  return planned.map(({ asked, committable, refused }): ResponseTopic => {
    const answered = committable.length === 0 ? undefined : committed[next++]
    const partitions: ResponsePartition[] = [...refused].map(([partitionIndex, errorCode]) => ({
      partitionIndex,
      errorCode,
    }))
    if (answered) partitions.push(...answered.partitions)
    else if (committable.length > 0) throw new KafkaError('UNKNOWN_SERVER_ERROR')
    return { name: asked.name, topicId: asked.topicId, partitions }
  })
}
