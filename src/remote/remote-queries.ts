/** Single questions to a source, beside its metadata and its records. */
import { DescribeConfigs } from '../../protocol/apis/describe-configs.ts'
import { ListOffsets } from '../../protocol/apis/list-offsets.ts'
import { OffsetForLeaderEpoch } from '../../protocol/apis/offset-for-leader-epoch.ts'
import { errorCodes } from '../../protocol/errors.ts'
import type { Remote, RemotePartition, RemoteResult, RemoteTopic } from './remote.ts'
import { remoteFailure } from './remote-failure.ts'

type Sender = Pick<Remote, 'send'>
type Offsets = Awaited<ReturnType<Remote['listOffsets']>>
type OffsetsByPartition = Map<number, { readonly offset: bigint; readonly errorCode: number }>
type EndOffset = Awaited<ReturnType<Remote['endOffsetForEpoch']>>
type TopicConfigs = Awaited<ReturnType<Remote['topicConfigs']>>

const consumerReplicaId = -1
const topicResource = 2

export async function askOffsets(
  remote: Sender,
  topic: RemoteTopic,
  timestampMs: bigint,
  signal?: AbortSignal,
): Promise<Offsets> {
  const offsets: OffsetsByPartition = new Map()
  const byLeader = new Map<number, RemotePartition[]>()
  for (const partition of topic.partitions) {
    const { leader, partitionIndex } = partition
    const ofLeader = byLeader.get(leader)
    if (leader < 0) offsets.set(partitionIndex, { offset: -1n, errorCode: errorCodes.LEADER_NOT_AVAILABLE })
    else if (ofLeader) ofLeader.push(partition)
    else byLeader.set(leader, [partition])
  }
  const asked = [...byLeader].map(([leader, partitions]) =>
    askLeader(remote, { leader, topic, partitions, timestampMs }, signal),
  )
  for (const answer of await Promise.all(asked)) {
    if (!answer.ok) return answer
    for (const [partitionIndex, found] of answer.offsets) offsets.set(partitionIndex, found)
  }
  return { ok: true, offsets }
}

async function askLeader(
  remote: Sender,
  query: {
    readonly leader: number
    readonly topic: RemoteTopic
    readonly partitions: readonly RemotePartition[]
    readonly timestampMs: bigint
  },
  signal: AbortSignal | undefined,
): Promise<RemoteResult<{ readonly offsets: OffsetsByPartition }>> {
  const partitions = query.partitions.map(({ partitionIndex, leaderEpoch }) => ({
    partitionIndex,
    currentLeaderEpoch: leaderEpoch,
    timestamp: query.timestampMs,
  }))
  const request = {
    replicaId: consumerReplicaId,
    isolationLevel: 0,
    topics: [{ name: query.topic.name, partitions }],
    timeoutMs: 0,
  }
  const answer = await remote.send(query.leader, ListOffsets, request, signal ? { signal } : {})
  if (!answer.ok) return answer
  const offsets: OffsetsByPartition = new Map()
  for (const { name, partitions: found } of answer.value.topics) {
    if (name !== query.topic.name) continue
    for (const { partitionIndex, offset, errorCode } of found) offsets.set(partitionIndex, { offset, errorCode })
  }
  return { ok: true, offsets }
}

export async function askEndOffset(
  remote: Sender,
  topic: RemoteTopic,
  partitionIndex: number,
  ...[leaderEpoch, signal]: [leaderEpoch: number, signal?: AbortSignal]
): Promise<EndOffset> {
  const partition = topic.partitions[partitionIndex]
  if (!partition || partition.leader < 0)
    return { ok: true, errorCode: errorCodes.LEADER_NOT_AVAILABLE, leaderEpoch: -1, endOffset: -1n }
  const query = { partition: partitionIndex, currentLeaderEpoch: partition.leaderEpoch, leaderEpoch }
  const request = { replicaId: consumerReplicaId, topics: [{ topic: topic.name, partitions: [query] }] }
  const answer = await remote.send(partition.leader, OffsetForLeaderEpoch, request, signal ? { signal } : {})
  if (!answer.ok) return answer
  const ofTopic = answer.value.topics.find((one) => one.topic === topic.name)
  const found = ofTopic?.partitions.find((one) => one.partition === partitionIndex)
  if (!found) return remoteFailure('PROTOCOL', `OffsetForLeaderEpoch: no answer for partition ${partitionIndex}`)
  return { ok: true, errorCode: found.errorCode, leaderEpoch: found.leaderEpoch, endOffset: found.endOffset }
}

export async function askTopicConfigs(remote: Sender, topicName: string, signal?: AbortSignal): Promise<TopicConfigs> {
  const resource = { resourceType: topicResource, resourceName: topicName, configurationKeys: null }
  const request = { resources: [resource], includeSynonyms: false }
  const answer = await remote.send('any', DescribeConfigs, request, signal ? { signal } : {})
  if (!answer.ok) return answer
  const found = answer.value.results.find((one) => one.resourceType === topicResource && one.resourceName === topicName)
  if (!found) return remoteFailure('PROTOCOL', `DescribeConfigs: no answer for topic ${topicName}`)
  const configs = new Map(found.configs.map(({ name, value }) => [name, value]))
  return { ok: true, errorCode: found.errorCode, errorMessage: found.errorMessage, configs }
}
