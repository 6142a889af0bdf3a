/** Consumer groups, their members and their lags, in Confluent's REST v3 shapes. */
import type { FastifyInstance, FastifyRequest } from 'fastify'
import { DeleteGroups } from '../../protocol/apis/delete-groups.ts'
import { askCoordinator, checkAnswer } from './kafka.ts'
import {
  describeGroup,
  lagsOf,
  listGroups,
  type GroupDescription,
  type GroupMember,
  type Lag,
} from './group-queries.ts'
import { HttpError } from './errors.ts'
import type { HttpParts } from './parts.ts'
import { checkCluster, clusterPath, listOf, metadataOf, urlOf } from './routes.ts'

interface GroupParams {
  readonly clusterId: string
  readonly group: string
}
interface ConsumerParams extends GroupParams {
  readonly consumer: string
}
interface AssignmentParams extends ConsumerParams {
  readonly topic: string
  readonly partition: string
}
interface LagParams extends GroupParams {
  readonly topic: string
  readonly partition: string
}

const groupsPath = `${clusterPath}/consumer-groups`
const groupPath = `${groupsPath}/:group`

export function addGroupRoutes(app: FastifyInstance, parts: HttpParts): void {
  addGroupReads(app, parts)
  addConsumerReads(app, parts)
  addLagReads(app, parts)
}

function addGroupReads(app: FastifyInstance, parts: HttpParts): void {
  app.get<{ Params: { clusterId: string } }>(groupsPath, async (request) => {
    const { clusterId } = request.params
    checkCluster(parts, clusterId)
    const groups = await Promise.all(listGroups(parts).map((groupId) => describeGroup(parts, groupId)))
    const data = groups.flatMap((group) => (group ? [groupData(request, clusterId, group, parts)] : []))
    return listOf('KafkaConsumerGroupList', urlOf(request, clusterId, 'consumer-groups'), data)
  })

  app.get<{ Params: GroupParams }>(groupPath, async (request) => {
    return groupData(request, request.params.clusterId, await find(parts, request.params), parts)
  })

  app.delete<{ Params: GroupParams }>(groupPath, async (request, reply) => {
    const { groupId } = await find(parts, request.params)
    const deletion = { groupId, api: DeleteGroups, request: { groupsNames: [groupId] } }
    const { results } = await askCoordinator(parts, deletion)
    checkAnswer(results[0]!)
    return reply.status(204).send()
  })
}

function addConsumerReads(app: FastifyInstance, parts: HttpParts): void {
  app.get<{ Params: GroupParams }>(`${groupPath}/consumers`, async (request) => {
    const group = await find(parts, request.params)
    const { clusterId } = request.params
    const data = group.members.map((member) => consumerData(request, { clusterId, group }, member))
    return listOf('KafkaConsumerList', groupUrl(request, 'consumers'), data)
  })

  app.get<{ Params: ConsumerParams }>(`${groupPath}/consumers/:consumer`, async (request) => {
    const group = await find(parts, request.params)
    return consumerData(request, { clusterId: request.params.clusterId, group }, findMember(group, request.params))
  })

  app.get<{ Params: ConsumerParams }>(`${groupPath}/consumers/:consumer/assignments`, async (request) => {
    const group = await find(parts, request.params)
    const member = findMember(group, request.params)
    const self = groupUrl(request, 'consumers', member.memberId, 'assignments')
    const data = member.assigned.map((assigned) => assignmentData(request, member, assigned))
    return listOf('KafkaConsumerAssignmentList', self, data)
  })

  app.get<{ Params: AssignmentParams }>(
    `${groupPath}/consumers/:consumer/assignments/:topic/partitions/:partition`,
    async (request) => {
      const { topic, partition } = request.params
      const member = findMember(await find(parts, request.params), request.params)
      const found = member.assigned.find((one) => one.topic === topic && String(one.partitionIndex) === partition)
      if (!found) throw new HttpError(404, 404, `${topic}-${partition} is not assigned to the consumer`)
      return assignmentData(request, member, found)
    },
  )
}

function addLagReads(app: FastifyInstance, parts: HttpParts): void {
  app.get<{ Params: GroupParams }>(`${groupPath}/lags`, async (request) => {
    const lags = await lagsOf(parts, await find(parts, request.params))
    return listOf(
      'KafkaConsumerLagList',
      groupUrl(request, 'lags'),
      lags.map((lag) => lagData(request, lag)),
    )
  })

  app.get<{ Params: LagParams }>(`${groupPath}/lags/:topic/partitions/:partition`, async (request) => {
    const { topic, partition } = request.params
    const lags = await lagsOf(parts, await find(parts, request.params))
    const lag = lags.find((one) => one.topic === topic && String(one.partitionIndex) === partition)
    if (!lag) throw new HttpError(404, 404, `the group has committed no offset of ${topic}-${partition}`)
    return lagData(request, lag)
  })

  app.get<{ Params: GroupParams }>(`${groupPath}/lag-summary`, async (request) => {
    const lags = await lagsOf(parts, await find(parts, request.params))
    const [most] = lags.toSorted((a, b) => Number(b.lag - a.lag))
    if (!most) throw new HttpError(404, 404, 'the group has committed no offsets')
    const { clusterId, group } = request.params
    const partition = String(most.partitionIndex)
    return {
      kind: 'KafkaConsumerGroupLagSummary',
      metadata: metadataOf(
        groupUrl(request, 'lag-summary'),
        `crn:///kafka=${clusterId}/consumer-group=${group}/lag-summary`,
      ),
      cluster_id: clusterId,
      consumer_group_id: group,
      max_lag_consumer_id: most.member?.memberId ?? '',
      max_lag_instance_id: most.member?.groupInstanceId ?? null,
      max_lag_client_id: most.member?.clientId ?? '',
      max_lag_topic_name: most.topic,
      max_lag_partition_id: most.partitionIndex,
      max_lag: most.lag,
      total_lag: lags.reduce((sum, { lag }) => sum + lag, 0n),
      max_lag_consumer: { related: groupUrl(request, 'consumers', most.member?.memberId ?? '') },
      max_lag_partition: { related: urlOf(request, clusterId, 'topics', most.topic, 'partitions', partition) },
    }
  })
}

async function find(parts: HttpParts, { clusterId, group }: GroupParams): Promise<GroupDescription> {
  checkCluster(parts, clusterId)
  const found = await describeGroup(parts, group)
  if (!found) throw new HttpError(404, 404, `Consumer group ${group} cannot be found.`)
  return found
}

function findMember({ members }: GroupDescription, { consumer }: ConsumerParams): GroupMember {
  const found = members.find(({ memberId }) => memberId === consumer)
  if (!found) throw new HttpError(404, 404, `Consumer ${consumer} cannot be found.`)
  return found
}

/** A path below the group of the request. */
function groupUrl(request: FastifyRequest<{ Params: GroupParams }>, ...segments: readonly string[]): string {
  const { clusterId, group } = request.params
  return urlOf(request, clusterId, 'consumer-groups', group, ...segments)
}

function groupData(request: FastifyRequest, clusterId: string, group: GroupDescription, parts: HttpParts): object {
  const { groupId } = group
  const self = urlOf(request, clusterId, 'consumer-groups', groupId)
  const coordinator = parts.groupCoordinators.brokerOf(groupId)
  return {
    kind: 'KafkaConsumerGroup',
    metadata: metadataOf(self, `crn:///kafka=${clusterId}/consumer-group=${groupId}`),
    cluster_id: clusterId,
    consumer_group_id: groupId,
    // Offsets without members, as kafka-consumer-groups and mirrors of groups leave them.
    is_simple: group.protocolType === '',
    partition_assignor: group.assignor,
    state: screaming(group.state),
    type: 'CLASSIC',
    is_mixed_consumer_group: false, // that one would have members of both protocols
    coordinator: { related: urlOf(request, clusterId, 'brokers', String(coordinator ?? -1)) },
    consumers: { related: `${self}/consumers` },
    lag_summary: { related: `${self}/lag-summary` },
  }
}

/** `PreparingRebalance` as `PREPARING_REBALANCE`. */
function screaming(state: string): string {
  return state.replace(/(?<=[a-z])(?=[A-Z])/g, '_').toUpperCase()
}

function consumerData(
  request: FastifyRequest,
  { clusterId, group: { groupId } }: { readonly clusterId: string; readonly group: GroupDescription },
  { memberId, groupInstanceId, clientId }: GroupMember,
): object {
  const self = urlOf(request, clusterId, 'consumer-groups', groupId, 'consumers', memberId)
  return {
    kind: 'KafkaConsumer',
    metadata: metadataOf(self, `crn:///kafka=${clusterId}/consumer-group=${groupId}/consumer=${memberId}`),
    cluster_id: clusterId,
    consumer_group_id: groupId,
    consumer_id: memberId,
    instance_id: groupInstanceId,
    client_id: clientId,
    assignments: { related: `${self}/assignments` },
  }
}

function assignmentData(
  request: FastifyRequest<{ Params: GroupParams }>,
  { memberId }: GroupMember,
  { topic, partitionIndex }: GroupMember['assigned'][number],
): object {
  const { clusterId, group } = request.params
  const at = [topic, 'partitions', String(partitionIndex)]
  return {
    kind: 'KafkaConsumerAssignment',
    metadata: metadataOf(groupUrl(request, 'consumers', memberId, 'assignments', ...at), null),
    cluster_id: clusterId,
    consumer_group_id: group,
    consumer_id: memberId,
    topic_name: topic,
    partition_id: partitionIndex,
    partition: { related: urlOf(request, clusterId, 'topics', ...at) },
    lag: { related: groupUrl(request, 'lags', ...at) },
  }
}

function lagData(request: FastifyRequest<{ Params: GroupParams }>, lag: Lag): object {
  const { clusterId, group } = request.params
  const { topic, partitionIndex, member } = lag
  const resource = `crn:///kafka=${clusterId}/consumer-group=${group}/lag=${topic}/partition=${partitionIndex}`
  return {
    kind: 'KafkaConsumerLag',
    metadata: metadataOf(groupUrl(request, 'lags', topic, 'partitions', String(partitionIndex)), resource),
    cluster_id: clusterId,
    consumer_group_id: group,
    topic_name: topic,
    partition_id: partitionIndex,
    current_offset: lag.currentOffset,
    log_end_offset: lag.logEndOffset,
    lag: lag.lag,
    consumer_id: member?.memberId ?? '',
    instance_id: member?.groupInstanceId ?? null,
    client_id: member?.clientId ?? '',
  }
}
