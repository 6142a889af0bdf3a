/** Producing over HTTP, in Confluent's REST v3 shape: one record per request. */
import { Buffer } from 'node:buffer'
import type { FastifyInstance } from 'fastify'
import { Produce } from '../../protocol/apis/produce.ts'
import { buildBatch } from '../../protocol/records/build.ts'
import { toJson } from '../json.ts'
import type { TopicImage } from '../metadata/metadata-store.ts'
import { HttpError } from './errors.ts'
import { askTimeoutMs, checkAnswer } from './kafka.ts'
import type { HttpParts } from './parts.ts'
import { partitionOfKey } from './partitioner.ts'
import { checkCluster, clusterPath, int32Bounds } from './routes.ts'
import { millisOf, timeText } from './node-time.ts'
import { findPartition, findTopic } from './topics.ts'

interface RecordData {
  readonly type?: 'BINARY' | 'STRING' | 'JSON' | null
  readonly data?: unknown
}
interface ProduceBody {
  readonly partition_id?: number | null
  readonly headers?: readonly { readonly name: string; readonly value?: string | null }[] | null
  readonly key?: RecordData | null
  readonly value?: RecordData | null
  readonly timestamp?: string | null
}

const dataSchema = {
  type: ['object', 'null'],
  properties: { type: { enum: ['BINARY', 'STRING', 'JSON', null] }, data: {} },
} as const
const produceSchema = {
  body: {
    type: 'object',
    properties: {
      partition_id: { type: ['integer', 'null'], ...int32Bounds },
      headers: {
        type: ['array', 'null'],
        items: {
          type: 'object',
          required: ['name'],
          properties: { name: { type: 'string' }, value: { type: ['string', 'null'] } },
        },
      },
      key: dataSchema,
      value: dataSchema,
      timestamp: { type: ['string', 'null'] },
    },
  },
} as const
const allAcks = -1
const isoTime = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,9})?(?:Z|[+-]\d\d:\d\d)$/

export function addRecordRoutes(app: FastifyInstance, parts: HttpParts): void {
  let roundRobin = 0
  app.post<{ Params: { clusterId: string; topic: string }; Body: ProduceBody }>(
    `${clusterPath}/topics/:topic/records`,
    { schema: produceSchema },
    async (request) => {
      const { clusterId, topic: name } = request.params
      checkCluster(parts, clusterId)
      const topic = findTopic(parts, name)
      const { body } = request
      const key = bytesOf(body.key, 'key')
      const value = bytesOf(body.value, 'value')
      const index = body.partition_id ?? choosePartition(topic, key, () => roundRobin++)
      const timestampMs = timestampOf(body.timestamp) ?? BigInt(parts.environment.clock.nowMs())
      const headers = (body.headers ?? []).map((header) => ({
        key: header.name,
        value: base64Of(header.value ?? null),
      }))
      const batch = buildBatch({ records: [{ key, value, headers, timestampMs }] })
      const appended = await append(parts, { topic, index, batch })
      const appendedMs = appended.logAppendTimeMs >= 0n ? appended.logAppendTimeMs : timestampMs
      return {
        error_code: 200,
        cluster_id: clusterId,
        topic_name: name,
        partition_id: index,
        offset: appended.baseOffset,
        timestamp: timeText(appendedMs),
        ...(key && { key: { type: body.key?.type, size: key.length } }),
        ...(value && { value: { type: body.value?.type, size: value.length } }),
      }
    },
  )
}

async function append(
  parts: HttpParts,
  { topic, index, batch }: { readonly topic: TopicImage; readonly index: number; readonly batch: Uint8Array },
) {
  const { leader } = findPartition(parts, topic.name, String(index))
  const { responses } = await parts.kafka.ask(leader, Produce, {
    transactionalId: null,
    acks: allAcks,
    timeoutMs: askTimeoutMs,
    topicData: [{ name: topic.name, topicId: topic.topicId, partitionData: [{ index, records: [batch] }] }],
  })
  const [answer] = responses[0]!.partitionResponses
  checkAnswer(answer!)
  return answer!
}

/** Keys go where other clients put them; records without a key take turns. */
function choosePartition({ partitions }: TopicImage, key: Uint8Array | null, next: () => number): number {
  return key ? partitionOfKey(key, partitions.length) : next() % partitions.length
}

function bytesOf(data: RecordData | null | undefined, what: string): Uint8Array | null {
  const content = data?.data ?? null
  const type = data?.type ?? null
  if (content === null && type !== 'JSON') return null
  if (data?.data === undefined) return null
  if (type === 'JSON') return Buffer.from(toJson(content))
  if (type === null) throw new HttpError(400, 400, `${what}.type is missing, expected BINARY, STRING or JSON`)
  if (typeof content !== 'string') throw new HttpError(400, 400, `${what}.data of type ${type} is no string`)
  return type === 'STRING' ? Buffer.from(content) : base64Of(content)
}

function base64Of(text: string | null): Uint8Array | null {
  if (text === null) return null
  const bytes = Buffer.from(text, 'base64')
  const isWhole = bytes.toString('base64').replace(/=+$/, '') === text.replace(/=+$/, '')
  if (!isWhole) throw new HttpError(400, 400, `'${text.slice(0, 40)}' is no base64`)
  return bytes
}

function timestampOf(text: string | null | undefined): bigint | undefined {
  if (text === null || text === undefined) return undefined
  const timestampMs = isoTime.test(text) ? millisOf(text) : NaN
  if (Number.isNaN(timestampMs))
    throw new HttpError(400, 400, `timestamp '${text}' is no time like 2026-01-02T03:04:05Z`)
  return BigInt(timestampMs)
}
