/**
 * A path of our own: committed offsets of a group are set from outside, as `kafka-consumer-groups --reset-offsets`
 * does.
 */
import type { FastifyInstance } from 'fastify'
import { OffsetCommit } from '../../protocol/apis/offset-commit.ts'
import { errorCodes, errorNameOf } from '../../protocol/errors.ts'
import { KafkaError } from '../errors.ts'
import { HttpError } from './errors.ts'
import { askCoordinator } from './kafka.ts'
import type { HttpParts } from './parts.ts'
import { checkCluster, int32Bounds, ownPath } from './routes.ts'
import { findPartition, findTopic } from './topics.ts'

interface SetOffset {
  readonly topic_name: string
  readonly partition_id: number
  /** Beyond 2^53 a bigint. */
  readonly offset: number | bigint
}

const offsetsSchema = {
  body: {
    type: 'object',
    required: ['offsets'],
    additionalProperties: false,
    properties: {
      offsets: {
        type: 'array',
        minItems: 1,
        items: {
          type: 'object',
          required: ['topic_name', 'partition_id', 'offset'],
          properties: { topic_name: { type: 'string' }, partition_id: { type: 'integer', ...int32Bounds }, offset: {} },
        },
      },
    },
  },
} as const
/** From outside of the group. */
const noGeneration = -1

export function addGroupOffsetRoutes(app: FastifyInstance, parts: HttpParts): void {
  app.post<{ Params: { clusterId: string; group: string }; Body: { readonly offsets: readonly SetOffset[] } }>(
    `${ownPath}/groups/:group/offsets`,
    { schema: offsetsSchema },
    async (request, reply) => {
      const { clusterId, group } = request.params
      checkCluster(parts, clusterId)
      await commit(parts, group, request.body.offsets)
      return reply.status(204).send()
    },
  )
}

async function commit(parts: HttpParts, groupId: string, offsets: readonly SetOffset[]): Promise<void> {
  const { topics } = await askCoordinator(parts, {
    groupId,
    api: OffsetCommit,
    request: {
      groupId,
      generationIdOrMemberEpoch: noGeneration,
      memberId: '',
      topics: offsets.map((one) => ({
        name: one.topic_name,
        topicId: findTopic(parts, one.topic_name).topicId,
        partitions: [
          {
            partitionIndex: findPartition(parts, one.topic_name, String(one.partition_id)).partitionIndex,
            committedOffset: offsetOf(one),
            committedMetadata: '',
          },
        ],
      })),
    },
  })
  for (const { errorCode } of topics.flatMap(({ partitions }) => partitions)) {
    if (errorCode === errorCodes.UNKNOWN_MEMBER_ID)
      throw new KafkaError('NON_EMPTY_GROUP', `group ${groupId} has members: stop them first`)
    if (errorCode !== errorCodes.NONE) throw new KafkaError(errorNameOf(errorCode))
  }
}

function offsetOf({ offset }: SetOffset): bigint {
  const isWhole = typeof offset === 'bigint' ? BigInt.asIntN(64, offset) === offset : Number.isSafeInteger(offset)
  if (isWhole) return BigInt(offset)
  throw new HttpError(400, 400, `got offset ${String(offset)}, expected a whole number of 64 bits`)
}
