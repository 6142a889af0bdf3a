import { ApiVersions } from '../../../protocol/apis/api-versions.ts'
import { DescribeCluster } from '../../../protocol/apis/describe-cluster.ts'
import { DescribeTopicPartitions } from '../../../protocol/apis/describe-topic-partitions.ts'
import { Metadata } from '../../../protocol/apis/metadata.ts'
import { zeroUuid, type Uuid } from '../../../protocol/schema.ts'
import { commonVersionsOf } from '../versions.ts'
import type { Scenario } from '../peer.ts'
import { createTopic, unknownId } from './topic.ts'

const noOperations = { includeClusterAuthorizedOperations: false, includeTopicAuthorizedOperations: false }
const noFenced = { includeFencedBrokers: false }

const apiVersions: Scenario = {
  name: 'ApiVersions: every version',
  async run(peer) {
    const client = { clientSoftwareName: 'test', clientSoftwareVersion: '1.0' }
    for (const version of commonVersionsOf(ApiVersions)) await peer.ask('as usual', ApiVersions, version, client)
    for (const clientSoftwareName of ['', '-a', 'a b', 'a.b-c', 'a-'])
      await peer.ask(`a client named '${clientSoftwareName}'`, ApiVersions, 4, { ...client, clientSoftwareName })
    await peer.ask('an empty version', ApiVersions, 4, { ...client, clientSoftwareVersion: '' })
  },
}

const metadata: Scenario = {
  name: 'Metadata: every version',
  async run(peer) {
    const topic = 'metadata-one'
    const topicId = await createTopic(peer, topic, { partitions: 2 })
    const named = (...names: readonly string[]) => names.map((name) => ({ topicId: zeroUuid, name }))
    const identified = (...ids: readonly Uuid[]) => ids.map((id) => ({ topicId: id, name: null }))
    for (const version of commonVersionsOf(Metadata)) {
      const flags = { ...noOperations, ...(version >= 4 && { allowAutoTopicCreation: false }) }
      const ask = async (label: string, topics: Parameters<typeof peer.ask<typeof Metadata>>[3]['topics']) =>
        await peer.ask(label, Metadata, version, { topics, ...flags })
      await ask('a topic', named(topic))
      await ask('no topics', [])
      if (version >= 4) await ask('an unknown one', named('metadata-nowhere', topic))
      await ask('invalid names', named('a b', '', '.', '..', 'x'.repeat(250)))
      await ask('the same twice', named(topic, topic))
      if (version >= 4) await ask('an internal one', named('__consumer_offsets', '__transaction_state'))
      if (version < 10) continue
      await ask('an id', identified(topicId))
      await ask('an unknown id', identified(unknownId))
      await ask('an id and a name', [{ topicId, name: topic }])
      await ask('an id and the name of another', [{ topicId, name: 'metadata-nowhere' }])
      await ask('neither id nor name', identified(zeroUuid))
      await ask('an id and another name', [...identified(topicId), ...named('metadata-nowhere')])
      await ask('ids and names', [...identified(topicId), ...named(topic)])
    }
    for (const version of [8, 9, 10, 11, 12, 13])
      await peer.ask('authorized operations', Metadata, version, {
        topics: named(topic, 'metadata-nowhere', 'a b'),
        allowAutoTopicCreation: false,
        includeClusterAuthorizedOperations: version <= 10,
        includeTopicAuthorizedOperations: true,
      })
    await peer.ask('authorized operations of ids', Metadata, 12, {
      topics: identified(topicId, unknownId),
      allowAutoTopicCreation: false,
      includeClusterAuthorizedOperations: false,
      includeTopicAuthorizedOperations: true,
    })
  },
}

const creation: Scenario = {
  name: 'Metadata: creates topics',
  async run(peer) {
    for (const version of [1, 4, 9, 12]) {
      const request = {
        topics: [{ topicId: zeroUuid, name: `metadata-auto-${version}` }],
        ...noOperations,
        ...(version >= 4 && { allowAutoTopicCreation: true }),
      }
      await peer.ask('created', Metadata, version, request)
      await peer.askUntil('then', Metadata, version, {
        request,
        isGood: ({ topics }) => topics[0]!.errorCode === 0 && topics[0]!.partitions.every((one) => one.leaderId >= 0),
      })
    }
    await createTopic(peer, 'metadata_collides')
    const collision = [{ topicId: zeroUuid, name: 'metadata.collides' }]
    await peer.ask('a colliding name', Metadata, 12, {
      topics: collision,
      allowAutoTopicCreation: true,
      ...noOperations,
    })
  },
}

const cluster: Scenario = {
  name: 'DescribeCluster: every version',
  async run(peer) {
    for (const version of commonVersionsOf(DescribeCluster)) {
      for (const includeClusterAuthorizedOperations of [true, false])
        await peer.ask('brokers', DescribeCluster, version, {
          includeClusterAuthorizedOperations,
          ...noFenced,
        })
      if (version < 1) continue
      for (const endpointType of [0, 2, 3])
        await peer.ask(`endpoint type ${endpointType}`, DescribeCluster, version, {
          includeClusterAuthorizedOperations: false,
          endpointType,
          ...noFenced,
        })
      if (version < 2) continue
      for (const includeFencedBrokers of [true, false])
        await peer.ask(`fenced brokers: ${includeFencedBrokers}`, DescribeCluster, version, {
          includeClusterAuthorizedOperations: false,
          includeFencedBrokers,
        })
    }
  },
}

interface PageRow {
  readonly label: string
  readonly topics?: readonly string[]
  readonly limit?: number
  readonly cursor?: { readonly topicName: string; readonly partitionIndex: number }
}

const pageRows: readonly PageRow[] = [
  { label: 'both' },
  { label: 'one page', limit: 2 },
  { label: 'exactly the first', limit: 3 },
  { label: 'across topics', limit: 4 },
  { label: 'all that there are', limit: 5 },
  { label: 'from a cursor', cursor: { topicName: 'pages-a', partitionIndex: 2 } },
  { label: 'from a cursor, one page', limit: 2, cursor: { topicName: 'pages-a', partitionIndex: 2 } },
  { label: 'from the second topic', cursor: { topicName: 'pages-b', partitionIndex: 0 } },
  { label: 'a cursor beyond the partitions', cursor: { topicName: 'pages-a', partitionIndex: 7 } },
  { label: 'a cursor between the topics', cursor: { topicName: 'pages-aa', partitionIndex: 1 } },
  { label: 'a cursor behind all', cursor: { topicName: 'z', partitionIndex: 0 } },
  { label: 'a negative cursor', cursor: { topicName: 'pages-a', partitionIndex: -1 } },
  { label: 'a limit of 0', limit: 0 },
  { label: 'a negative limit', limit: -3 },
  { label: 'an unknown topic', topics: ['pages-nowhere', 'pages-b'] },
  { label: 'an unknown topic behind the limit', topics: ['pages-a', 'pages-nowhere'], limit: 3 },
  { label: 'an invalid name', topics: ['a b', ''] },
  { label: 'the same twice, out of order', topics: ['pages-b', 'pages-a', 'pages-b'] },
]

const pages: Scenario = {
  name: 'DescribeTopicPartitions: pages and cursors',
  async run(peer) {
    await createTopic(peer, 'pages-a', { partitions: 3 })
    await createTopic(peer, 'pages-b', { partitions: 2 })
    for (const { label, topics = ['pages-a', 'pages-b'], limit = 2_000, cursor = null } of pageRows)
      await peer.ask(label, DescribeTopicPartitions, 0, {
        topics: topics.map((name) => ({ name })),
        responsePartitionLimit: limit,
        cursor,
      })
  },
}

export const metadataScenarios: readonly Scenario[] = [apiVersions, metadata, creation, cluster, pages]
