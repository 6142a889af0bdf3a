/** GET /metrics, for Prometheus: what was counted, and what is looked up when it asks. */
import type { FastifyInstance } from 'fastify'
import { KafkaError } from '../errors.ts'
import type { MirrorPartitionDescription, MirrorStatus, LinkState } from '../links/link-service.ts'
import { appendOrigins, verifyVerdicts, type TopicTraffic } from '../metrics/broker-metrics.ts'
import { Exposition, expositionContentType, type Labels } from '../metrics/exposition.ts'
import { timeBoundsMs } from '../metrics/request-stats.ts'
import { memoryKinds, memoryPressures } from '../network/memory-budget.ts'
import type { HttpParts } from './parts.ts'

const quantiles = [0.5, 0.75, 0.95, 0.99, 0.999] as const
const linkStates: readonly LinkState[] = ['ACTIVE', 'FAILED', 'UNAVAILABLE', 'PAUSED']
const mirrorStates: readonly MirrorStatus[] = [
  'ACTIVE',
  'PAUSED',
  'LINK_PAUSED',
  'PENDING_STOPPED',
  'STOPPED',
  'SOURCE_UNAVAILABLE',
  'LINK_FAILED',
  'FAILED',
]
const partitionStates: readonly MirrorPartitionDescription['state'][] = [
  'ACTIVE',
  'PAUSED',
  'PENDING',
  'IN_ERROR',
  'STOPPED',
]
const groupStates = ['Stable', 'Empty', 'Dead', 'PreparingRebalance', 'CompletingRebalance'] as const

export function addMetricsRoute(app: FastifyInstance, parts: HttpParts): void {
  app.get('/metrics', async (_request, reply) => {
    const text = await metricsText(parts)
    return reply.type(expositionContentType).send(text)
  })
}

async function metricsText(parts: HttpParts): Promise<string> {
  const out = new Exposition()
  addTraffic(out, parts)
  addRequests(out, parts)
  addCluster(out, parts)
  addBrokers(out, parts)
  await addGroupLags(out, parts)
  addLogs(out, parts)
  addLinks(out, parts)
  addMemory(out, parts)
  for (const [name, value] of parts.processMetrics?.read() ?? []) out.add(name, {}, value)
  return out.toString()
}

function addTraffic(out: Exposition, { metrics, metadata }: HttpParts): void {
  const { topicsById } = metadata.image
  metrics.keepTopics((topicId) => topicsById.has(topicId))
  addTopicTraffic(out, {}, metrics.all)
  for (const { topicId, name } of topicsById.values()) {
    const traffic = metrics.ofTopic(topicId)
    if (traffic) addTopicTraffic(out, { topic: name }, traffic)
  }
  for (const origin of appendOrigins) {
    const { batches, records, bytes, failures } = metrics.appends[origin]
    out.add('titorelli_append_batches_total', { origin }, batches)
    out.add('titorelli_append_records_total', { origin }, records)
    out.add('titorelli_append_bytes_total', { origin }, bytes)
    out.add('titorelli_append_failures_total', { origin }, failures)
  }
  for (const verdict of verifyVerdicts)
    out.add('titorelli_verify_runs_total', { verdict }, metrics.verifications[verdict])
}

function addTopicTraffic(out: Exposition, labels: Labels, traffic: TopicTraffic): void {
  out.add('kafka_server_brokertopicmetrics_messagesin_total', labels, traffic.messagesIn)
  out.add('kafka_server_brokertopicmetrics_bytesin_total', labels, traffic.bytesIn)
  out.add('kafka_server_brokertopicmetrics_bytesout_total', labels, traffic.bytesOut)
  out.add('kafka_server_brokertopicmetrics_totalproducerequests_total', labels, traffic.produceRequests)
  out.add('kafka_server_brokertopicmetrics_totalfetchrequests_total', labels, traffic.fetchRequests)
  out.add('kafka_server_brokertopicmetrics_failedproducerequests_total', labels, traffic.failedProduceRequests)
  out.add('kafka_server_brokertopicmetrics_failedfetchrequests_total', labels, traffic.failedFetchRequests)
}

function addRequests(out: Exposition, { metrics, environment }: HttpParts): void {
  const nowMs = environment.clock.monotonicMs()
  out.add('titorelli_request_defects_total', {}, metrics.defects)
  for (const stats of metrics.requests) {
    if (!stats) continue
    const labels = { request: stats.name }
    for (const [version, count] of stats.countByVersion.entries())
      if (count !== undefined) out.add('kafka_network_requestmetrics_requests_total', { ...labels, version }, count)
    const known = quantiles.map((quantile) => [quantile, stats.quantileMs(quantile, nowMs)] as const)
    out.addSummary('kafka_network_requestmetrics_totaltimems', labels, {
      quantiles: new Map(known),
      sum: stats.sumMs,
      count: stats.count,
    })
    out.addHistogram('titorelli_request_duration_seconds', labels, {
      bounds: timeBoundsMs.map((ms) => ms / 1_000),
      counts: stats.buckets,
      sum: stats.sumMs / 1_000,
    })
  }
}

function addCluster(out: Exposition, { metadata, control }: HttpParts): void {
  const partitions = [...metadata.image.topics.values()].flatMap((topic) => topic.partitions)
  const alive = control.list().filter(({ isAlive }) => isAlive).length
  out.add('kafka_controller_kafkacontroller_activecontrollercount', {}, 1)
  out.add('kafka_controller_kafkacontroller_activebrokercount', {}, alive)
  out.add('kafka_controller_kafkacontroller_fencedbrokercount', {}, control.list().length - alive)
  out.add('kafka_controller_kafkacontroller_globaltopiccount', {}, metadata.image.topics.size)
  out.add('kafka_controller_kafkacontroller_globalpartitioncount', {}, partitions.length)
  const offline = partitions.filter(({ leader }) => leader < 0).length
  out.add('kafka_controller_kafkacontroller_offlinepartitionscount', {}, offline)
  const moved = partitions.filter(({ leader, replicas }) => leader !== replicas[0]).length
  out.add('kafka_controller_kafkacontroller_preferredreplicaimbalancecount', {}, moved)
}

function addBrokers(out: Exposition, parts: HttpParts): void {
  const partitions = [...parts.metadata.image.topics.values()].flatMap((topic) => topic.partitions)
  for (const { nodeId: broker, connectionCount, groups } of parts.loads()) {
    const led = partitions.filter(({ leader }) => leader === broker)
    const replicated = partitions.filter(({ replicas }) => replicas.includes(broker)).length
    const under = led.filter(({ isr, replicas }) => isr.length < replicas.length).length
    out.add('kafka_server_replicamanager_partitioncount', { broker }, replicated)
    out.add('kafka_server_replicamanager_leadercount', { broker }, led.length)
    out.add('kafka_server_replicamanager_underreplicatedpartitions', { broker }, under)
    out.add('kafka_server_socket_server_metrics_connection_count', { broker }, connectionCount)
    out.add('kafka_coordinator_group_groupmetadatamanager_numgroups', { broker }, groups.length)
    for (const state of groupStates) {
      const count = groups.filter(({ groupState }) => groupState === state).length
      out.add(`kafka_coordinator_group_groupmetadatamanager_numgroups${lowerCase(state)}`, { broker }, count)
    }
  }
}

function lowerCase<const Text extends string>(text: Text): Lowercase<Text> {
  return text.toLowerCase() as Lowercase<Text>
}

async function addGroupLags(out: Exposition, parts: HttpParts): Promise<void> {
  for (const { nodeId, groups } of parts.loads())
    for (const { groupId } of groups) await addGroupLag(out, parts, { nodeId, groupId })
}

async function addGroupLag(
  out: Exposition,
  parts: HttpParts,
  { nodeId, groupId }: { readonly nodeId: number; readonly groupId: string },
): Promise<void> {
  const { topics, logs } = parts
  for (const { name, partitions } of await committedOffsets(parts, nodeId, groupId)) {
    for (const { partitionIndex: partition, committed } of partitions) {
      const log = topics.find(name)?.partitions[partition]?.log
      if (!log || !committed) continue
      const labels = { consumergroup: groupId, topic: name, partition }
      const lag = logs.view(log).highWatermark - committed.offset
      out.add('kafka_consumergroup_current_offset', labels, committed.offset)
      out.add('kafka_consumergroup_lag', labels, lag > 0n ? lag : 0n)
    }
  }
}

/** None of a group that moves to another coordinator just now: the next scrape has them again. */
async function committedOffsets(parts: HttpParts, nodeId: number, groupId: string) {
  try {
    return await parts.committedOffsets(nodeId, groupId)
  } catch (error) {
    if (error instanceof KafkaError) return []
    throw error
  }
}

function addLogs(out: Exposition, { topics, logs }: HttpParts): void {
  for (const { image, partitions } of topics.list()) {
    for (const { partitionIndex: partition, log } of partitions) {
      const labels = { topic: image.name, partition }
      const { logStartOffset, logEndOffset } = logs.view(log)
      out.add('kafka_log_log_size', labels, logs.sizeBytes(log))
      out.add('kafka_log_log_logstartoffset', labels, logStartOffset)
      out.add('kafka_log_log_logendoffset', labels, logEndOffset)
    }
  }
}

function addLinks(out: Exposition, { links }: HttpParts): void {
  for (const { name: link, state, mirrorTopicNames } of links.listLinks()) {
    out.add('titorelli_link_mirror_topics', { link }, mirrorTopicNames.length)
    for (const one of linkStates) out.add('titorelli_link_state', { link, state: one }, one === state ? 1 : 0)
  }
  for (const { linkName: link, mirrorTopicName: topic, status, partitions } of links.listMirrors()) {
    for (const one of mirrorStates)
      out.add('titorelli_mirror_state', { link, topic, state: one }, one === status ? 1 : 0)
    for (const { partitionIndex: partition, lag, state, lastFetchMs } of partitions) {
      const labels = { link, topic, partition }
      out.add('titorelli_mirror_lag', labels, lag)
      if (lastFetchMs !== undefined)
        out.add('titorelli_mirror_last_fetch_timestamp_seconds', labels, lastFetchMs / 1_000)
      for (const one of partitionStates)
        out.add('titorelli_mirror_partition_state', { ...labels, state: one }, one === state ? 1 : 0)
    }
  }
}

function addMemory(out: Exposition, { memory }: HttpParts): void {
  out.add('titorelli_memory_limit_bytes', {}, memory.limitBytes)
  for (const kind of memoryKinds) out.add('titorelli_memory_used_bytes', { kind }, memory.usedBytesOf(kind))
  out.add('titorelli_memory_pressure', {}, memoryPressures.indexOf(memory.pressure))
}
