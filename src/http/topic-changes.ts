/** Creating, growing and deleting topics, in Confluent's REST v3 shapes. */
import type { FastifyInstance } from 'fastify'
import { CreatePartitions } from '../../protocol/apis/create-partitions.ts'
import { CreateTopics } from '../../protocol/apis/create-topics.ts'
import { DeleteTopics } from '../../protocol/apis/delete-topics.ts'
import { zeroUuid } from '../../protocol/schema.ts'
import { ask, askTimeoutMs, checkAnswer } from './kafka.ts'
import type { HttpParts } from './parts.ts'
import { checkCluster, clusterPath, configEntriesSchema, int16Bounds, int32Bounds, type ConfigEntry } from './routes.ts'
import { findTopic, newTopicData, topicData } from './topics.ts'

interface CreateTopicBody {
  readonly topic_name: string
  readonly partitions_count?: number | null
  readonly replication_factor?: number | null
  readonly configs?: readonly ConfigEntry[] | null
  readonly replicas_assignments?:
    readonly { readonly partition_id: number; readonly broker_ids: readonly number[] }[] | null
  readonly validate_only?: boolean | null
}

const nullableCount = { type: ['integer', 'null'], ...int32Bounds, minimum: 1 } as const
const nullableFactor = { type: ['integer', 'null'], ...int16Bounds, minimum: 1 } as const
const createSchema = {
  body: {
    type: 'object',
    required: ['topic_name'],
    properties: {
      topic_name: { type: 'string', minLength: 1 },
      partitions_count: nullableCount,
      replication_factor: nullableFactor,
      configs: configEntriesSchema,
      replicas_assignments: {
        type: ['array', 'null'],
        items: {
          type: 'object',
          required: ['partition_id', 'broker_ids'],
          properties: {
            partition_id: { type: 'integer', ...int32Bounds },
            broker_ids: { type: 'array', items: { type: 'integer', ...int32Bounds } },
          },
        },
      },
      validate_only: { type: ['boolean', 'null'] },
    },
  },
} as const
const growSchema = {
  body: {
    type: 'object',
    required: ['partitions_count'],
    properties: { partitions_count: { type: 'integer', ...int32Bounds } },
  },
} as const

export function addTopicChangeRoutes(app: FastifyInstance, parts: HttpParts): void {
  app.post<{ Params: { clusterId: string }; Body: CreateTopicBody }>(
    `${clusterPath}/topics`,
    { schema: createSchema },
    async (request, reply) => {
      const { clusterId } = request.params
      checkCluster(parts, clusterId)
      const created = await create(parts, request.body)
      reply.status(request.body.validate_only ? 200 : 201)
      return newTopicData(request, clusterId, created)
    },
  )

  app.patch<{ Params: { clusterId: string; topic: string }; Body: { partitions_count: number } }>(
    `${clusterPath}/topics/:topic`,
    { schema: growSchema },
    async (request) => {
      const { clusterId, topic } = request.params
      checkCluster(parts, clusterId)
      findTopic(parts, topic)
      const count = request.body.partitions_count
      const topics = [{ name: topic, count, assignments: null }]
      const { results } = await ask(parts, CreatePartitions, { topics, timeoutMs: askTimeoutMs, validateOnly: false })
      checkAnswer(results[0]!)
      return topicData(request, clusterId, findTopic(parts, topic))
    },
  )

  app.delete<{ Params: { clusterId: string; topic: string } }>(
    `${clusterPath}/topics/:topic`,
    async (request, reply) => {
      const { clusterId, topic } = request.params
      checkCluster(parts, clusterId)
      findTopic(parts, topic)
      const { responses } = await ask(parts, DeleteTopics, {
        topics: [{ name: topic, topicId: zeroUuid }],
        topicNames: [],
        timeoutMs: askTimeoutMs,
      })
      checkAnswer(responses[0]!)
      return reply.status(204).send()
    },
  )
}

async function create(parts: HttpParts, body: CreateTopicBody) {
  const assignments = body.replicas_assignments ?? []
  const { topics } = await ask(parts, CreateTopics, {
    topics: [
      {
        name: body.topic_name,
        numPartitions: body.partitions_count ?? -1,
        replicationFactor: body.replication_factor ?? -1,
        assignments: assignments.map(({ partition_id: partitionIndex, broker_ids: brokerIds }) => {
          return { partitionIndex, brokerIds }
        }),
        configs: (body.configs ?? []).map(({ name, value = null }) => ({ name, value })),
      },
    ],
    timeoutMs: askTimeoutMs,
    validateOnly: body.validate_only ?? false,
  })
  checkAnswer(topics[0]!)
  return topics[0]!
}
