/**
 * Paths of our own: the brokers of the process, taken down and up, and leaders moved, for tests of what clients do
 * then.
 */
import type { FastifyInstance } from 'fastify'
import type { BrokerState } from '../topics/live-brokers.ts'
import { HttpError } from './errors.ts'
import type { HttpParts } from './parts.ts'
import { checkCluster, int32Bounds, ownPath } from './routes.ts'
import { findTopic } from './topics.ts'

const downSchema = {
  body: {
    type: ['object', 'null'],
    properties: { clean: { type: 'boolean' } },
    additionalProperties: false,
  },
} as const
const leaderSchema = {
  body: {
    type: 'object',
    properties: { broker_id: { type: 'integer', ...int32Bounds } },
    required: ['broker_id'],
    additionalProperties: false,
  },
} as const

interface BrokerParams {
  readonly clusterId: string
  readonly brokerId: string
}

export function addBrokerRoutes(app: FastifyInstance, parts: HttpParts): void {
  const { control } = parts

  app.get<{ Params: BrokerParams }>(`${ownPath}/brokers`, (request) => {
    checkCluster(parts, request.params.clusterId)
    return { data: control.list().map(brokerData) }
  })

  app.post<{ Params: BrokerParams; Body: { clean?: boolean } | null | undefined }>(
    `${ownPath}/brokers/:brokerId/down`,
    { schema: downSchema },
    async (request) => {
      const nodeId = nodeIdOf(parts, request.params)
      await control.takeDown(nodeId, { isClean: request.body?.clean ?? true })
      return brokerData(findBroker(parts, nodeId))
    },
  )

  app.post<{ Params: BrokerParams }>(`${ownPath}/brokers/:brokerId/up`, async (request) => {
    const nodeId = nodeIdOf(parts, request.params)
    await control.bringUp(nodeId)
    return brokerData(findBroker(parts, nodeId))
  })

  app.post<{
    Params: { clusterId: string; topic: string; partition: string }
    Body: { broker_id: number }
  }>(`${ownPath}/topics/:topic/partitions/:partition/leader`, { schema: leaderSchema }, async (request, reply) => {
    const { clusterId, topic, partition } = request.params
    checkCluster(parts, clusterId)
    const { topicId } = findTopic(parts, topic)
    await parts.topics.electLeader(topicId, Number(partition), request.body.broker_id)
    return reply.status(204).send()
  })
}

function nodeIdOf(parts: HttpParts, { clusterId, brokerId }: BrokerParams): number {
  checkCluster(parts, clusterId)
  return findBroker(parts, Number(brokerId), brokerId).nodeId
}

/** Throws 404 for one that there is not; `shown` is what was asked for. */
export function findBroker({ control }: HttpParts, nodeId: number, shown = String(nodeId)): BrokerState {
  const brokers = control.list()
  const known = brokers.find((broker) => broker.nodeId === nodeId)
  if (known) return known
  const expected = brokers.map((broker) => broker.nodeId).join(', ')
  throw new HttpError(404, 404, `there is no broker ${shown}, expected one of ${expected}`)
}

function brokerData({ nodeId, host, port, rack, isAlive }: BrokerState): object {
  return { broker_id: nodeId, host, port, rack, is_alive: isAlive }
}
