/**
 * Paths of our own: health, what Confluent's shapes have no field for (topic offsets, why a partition waits), and the
 * verification of a mirror, streamed as one JSON object per line.
 */
import { Readable } from 'node:stream'
import type { FastifyInstance } from 'fastify'
import { toJson } from '../json.ts'
import { LinkServiceError, type VerifyEvent } from '../links/link-service.ts'
import type { TopicImage } from '../metadata/metadata-store.ts'
import type { HttpParts } from './parts.ts'
import { checkCluster, ownPath } from './routes.ts'
import { findTopic, sortedTopics } from './topics.ts'

interface MirrorParams {
  readonly clusterId: string
  readonly link: string
  readonly mirror: string
}

/** `stopping` ends running verifications. */
export function addOwnRoutes(app: FastifyInstance, parts: HttpParts, stopping: AbortSignal): void {
  app.get('/healthz', () => ({ status: 'ok', cluster_id: parts.metadata.image.clusterId }))
  addTopicDetails(app, parts)
  addMirrorDetails(app, parts)
  addVerify(app, parts, stopping)
}

function addTopicDetails(app: FastifyInstance, parts: HttpParts): void {
  app.get<{ Params: { clusterId: string } }>(`${ownPath}/topics`, (request) => {
    checkCluster(parts, request.params.clusterId)
    return { data: sortedTopics(parts).map((topic) => topicDetails(parts, topic)) }
  })

  app.get<{ Params: { clusterId: string; topic: string } }>(`${ownPath}/topics/:topic`, (request) => {
    checkCluster(parts, request.params.clusterId)
    return topicDetails(parts, findTopic(parts, request.params.topic))
  })
}

function addMirrorDetails(app: FastifyInstance, parts: HttpParts): void {
  app.get<{ Params: MirrorParams }>(`${ownPath}/links/:link/mirrors/:mirror`, (request) => {
    checkCluster(parts, request.params.clusterId)
    const { link, mirror } = request.params
    const found = parts.links.describeMirror(link, mirror)
    return {
      link_name: found.linkName,
      mirror_topic_name: found.mirrorTopicName,
      source_topic_name: found.sourceTopicName,
      source_topic_id: found.sourceTopicId,
      mirror_status: found.status,
      mirror_topic_error: found.error,
      reason: found.reason,
      state_time_ms: found.stateSinceMs,
      identity: found.identity,
      partitions: found.partitions.map((partition) => ({
        partition: partition.partitionIndex,
        state: partition.state,
        lag: partition.lag,
        last_source_fetch_offset: partition.lastSourceFetchOffset,
        log_start_offset: partition.logStartOffset,
        log_end_offset: partition.logEndOffset,
        leader_epoch: partition.leaderEpoch,
        last_fetch_ms: partition.lastFetchMs ?? null,
        reason: partition.reason,
        since_ms: partition.sinceMs,
        next_retry_ms: partition.nextRetryMs,
      })),
    }
  })
}

/** The last line is the result. A client that goes away ends the job. */
function addVerify(app: FastifyInstance, parts: HttpParts, stopping: AbortSignal): void {
  app.post<{ Params: MirrorParams }>(`${ownPath}/links/:link/mirrors/:mirror/verify`, (request, reply) => {
    checkCluster(parts, request.params.clusterId)
    const { link, mirror } = request.params
    parts.links.describeMirror(link, mirror) // a 404 before the stream begins
    const job = new AbortController()
    const abort = () => job.abort()
    stopping.addEventListener('abort', abort, { once: true })
    reply.raw.once('close', () => {
      stopping.removeEventListener('abort', abort)
      abort()
    })
    const lines = Readable.from(verifyLines(parts.links.verify(link, mirror, job.signal)), { objectMode: false })
    return reply.header('content-type', 'application/x-ndjson').send(lines)
  })
}

async function* verifyLines(events: AsyncIterable<VerifyEvent>): AsyncGenerator<string> {
  try {
    for await (const event of events) yield `${toJson(verifyData(event))}\n`
  } catch (error) {
    if (!(error instanceof LinkServiceError)) throw error
    yield `${toJson({ kind: 'result', verdict: 'unknown', message: error.message })}\n`
  }
}

function verifyData(event: VerifyEvent): object {
  if (event.kind === 'progress') {
    const { partitionIndex, fromOffset, offset, toOffset, batches, bytes } = event
    return {
      kind: 'progress',
      partition: partitionIndex,
      from_offset: fromOffset,
      offset,
      to_offset: toOffset,
      batches,
      bytes,
    }
  }
  const { verdict, partitions, batches, bytes, durationMs, ranges, firstDifference, message } = event
  return {
    kind: 'result',
    verdict,
    partitions,
    batches,
    bytes,
    duration_ms: durationMs,
    ranges: ranges.map((one) => ({
      partition: one.partitionIndex,
      from_offset: one.fromOffset,
      to_offset: one.toOffset,
    })),
    first_difference: firstDifference && {
      partition: firstDifference.partitionIndex,
      offset: firstDifference.offset,
      kind: firstDifference.kind,
      message: firstDifference.message,
    },
    message,
  }
}

function topicDetails(parts: HttpParts, image: TopicImage): object {
  const topic = parts.topics.findById(image.topicId)
  return {
    topic_name: image.name,
    topic_id: image.topicId,
    is_internal: image.isInternal,
    is_read_only: topic?.isReadOnly ?? false,
    mirror_of: image.mirror?.sourceTopicName ?? null,
    link_name: (image.mirror && parts.metadata.image.linksById.get(image.mirror.linkId)?.name) ?? null,
    configs: Object.fromEntries(image.configs),
    partitions: image.partitions.map((partition) => {
      const log = topic?.partitions[partition.partitionIndex]?.log
      const view = log && parts.logs.view(log)
      return {
        partition: partition.partitionIndex,
        leader: partition.leader,
        isr: partition.isr,
        leader_epoch: partition.leaderEpoch,
        replicas: partition.replicas,
        log_start_offset: view?.logStartOffset ?? null,
        last_stable_offset: view?.lastStableOffset ?? null,
        high_watermark: view?.highWatermark ?? null,
        size_bytes: log ? parts.logs.sizeBytes(log) : null,
      }
    }),
  }
}
