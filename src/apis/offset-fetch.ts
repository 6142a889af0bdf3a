import { OffsetFetch } from '../../protocol/apis/offset-fetch.ts'
import { errorCodes } from '../../protocol/errors.ts'
import { zeroUuid, type RequestOf, type ResponseInput, type Uuid } from '../../protocol/schema.ts'
import { errorCodeOf } from '../errors.ts'
import type { AskedOffsets, FetchedOffsets } from '../groups/offsets.ts'
import { defineHandler, type Context } from './handler.ts'

type Request = RequestOf<typeof OffsetFetch>
type RequestGroup = Request['groups'][number]
type RequestTopics = RequestGroup['topics']
type ResponseGroup = NonNullable<ResponseInput<typeof OffsetFetch>['groups']>[number]
type ResponseTopic = ResponseGroup['topics'][number]

/**
 * From these versions on the request has a list of groups (KIP-709), ids in place of topic names (KIP-848), an error of
 * its own.
 */
const groupsFromVersion = 8
const idsFromVersion = 10
const errorFromVersion = 2

/**
 * Reads committed offsets. Nothing committed, or a group that nobody knows, is offset -1 with empty metadata and no
 * error: clients take it as the beginning of a new group.
 */
export const offsetFetch = defineHandler({
  api: OffsetFetch,
  versions: '1-10',

  async handle(request, context) {
    const { requireStable } = request
    if (context.apiVersion >= groupsFromVersion) {
      const groups = await Promise.all(request.groups.map((group) => answer(group, requireStable, context)))
      return { throttleTimeMs: 0, topics: [], groups }
    }
    const topics = request.topics?.map((topic) => ({ ...topic, topicId: zeroUuid })) ?? null
    const group = { groupId: request.groupId, memberId: null, memberEpoch: -1, topics }
    const { errorCode, topics: answered } = await answer(group, requireStable, context)
    return { throttleTimeMs: 0, groups: [], ...beforeGroups(request, answered, errorCode ?? 0, context.apiVersion) }
  },

  fail(request, { errorCode }, { apiVersion }) {
    const groups = request.groups.map(({ groupId }) => ({ groupId, topics: [], errorCode }))
    if (apiVersion >= groupsFromVersion) return { throttleTimeMs: 0, topics: [], groups }
    return { throttleTimeMs: 0, groups: [], ...beforeGroups(request, [], errorCode, apiVersion) }
  },
})

async function answer(group: RequestGroup, requireStable: boolean, context: Context): Promise<ResponseGroup> {
  const { groupId } = group
  try {
    context.authorize('DESCRIBE', 'GROUP', groupId)
    const isById = context.apiVersion >= idsFromVersion
    const { topics, unknown } = namedTopics(group.topics, isById, context)
    const found = await context.broker.groups.fetchOffsets(groupId, topics, requireStable)
    return { groupId, topics: [...answeredTopics(found, isById, context), ...unknown], errorCode: errorCodes.NONE }
  } catch (error) {
    return { groupId, topics: [], errorCode: errorCodeOf(error) }
  }
}

/** The topics by name. Ids that nobody knows are answered at once. */
function namedTopics(
  asked: RequestTopics,
  isById: boolean,
  { broker }: Context,
): { topics: AskedOffsets[] | null; unknown: ResponseTopic[] } {
  if (asked === null) return { topics: null, unknown: [] }
  if (!isById) return { topics: asked.map(({ name, partitionIndexes }) => ({ name, partitionIndexes })), unknown: [] }
  const unknown: ResponseTopic[] = []
  const topics = asked.flatMap(({ topicId, partitionIndexes }) => {
    const name = broker.topics.findById(topicId)?.image.name
    if (name !== undefined) return [{ name, topicId, partitionIndexes }]
    const partitions = partitionIndexes.map((index) => noOffset(index, errorCodes.UNKNOWN_TOPIC_ID))
    unknown.push({ name: '', topicId, partitions })
    return []
  })
  return { topics, unknown }
}

function noOffset(partitionIndex: number, errorCode: number): ResponseTopic['partitions'][number] {
  return { partitionIndex, committedOffset: -1n, committedLeaderEpoch: -1, metadata: '', errorCode }
}

/** Offsets of topics that are gone can't be told by id: they are left out. */
function answeredTopics(found: readonly FetchedOffsets[], isById: boolean, { broker }: Context): ResponseTopic[] {
  return found.flatMap(({ name, partitions }) => {
    const topicId: Uuid | undefined = isById ? broker.topics.find(name)?.image.topicId : zeroUuid
    if (topicId === undefined) return []
    const answered = partitions.map(({ partitionIndex, committed }) =>
      committed === undefined
        ? noOffset(partitionIndex, errorCodes.NONE)
        : {
            partitionIndex,
            committedOffset: committed.offset,
            committedLeaderEpoch: committed.leaderEpoch,
            metadata: committed.metadata,
            errorCode: errorCodes.NONE,
          },
    )
    return [{ name, topicId, partitions: answered }]
  })
}

/** The answer of the versions with one group; the first of them has no place for an error but the partitions. */
function beforeGroups(request: Request, topics: readonly ResponseTopic[], errorCode: number, apiVersion: number) {
  if (errorCode === 0 || apiVersion >= errorFromVersion)
    return { errorCode, topics: topics.map(({ name, partitions }) => ({ name, partitions })) }
  const failed = (request.topics ?? []).map(({ name, partitionIndexes }) => ({
    name,
    partitions: partitionIndexes.map((index) => noOffset(index, errorCode)),
  }))
  return { topics: failed }
}
