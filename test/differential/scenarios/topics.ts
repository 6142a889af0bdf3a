import { CreatePartitions } from '../../../protocol/apis/create-partitions.ts'
import { CreateTopics } from '../../../protocol/apis/create-topics.ts'
import { DeleteRecords } from '../../../protocol/apis/delete-records.ts'
import { DeleteTopics } from '../../../protocol/apis/delete-topics.ts'
import { Metadata } from '../../../protocol/apis/metadata.ts'
import { zeroUuid, type RequestInput } from '../../../protocol/schema.ts'
import { createTopicsRequest, metadataRequest } from '../../support/requests.ts'
import type { Scenario } from '../peer.ts'
import { commonVersionsOf } from '../versions.ts'
import { createTopic, produce, topicNameOf, unknownId } from './topic.ts'

type Options = NonNullable<Parameters<typeof createTopicsRequest>[1]>

interface CreateRow {
  readonly label: string
  readonly options: Options
  readonly name?: string
}

const createRows: readonly CreateRow[] = [
  { label: 'one partition', options: {} },
  { label: 'defaults', options: { numPartitions: -1, replicationFactor: -1 } },
  { label: 'three partitions', options: { numPartitions: 3 } },
  { label: 'no partitions', options: { numPartitions: 0 } },
  { label: 'negative partitions', options: { numPartitions: -2 } },
  { label: 'no replicas', options: { replicationFactor: 0 } },
  { label: 'negative replicas', options: { replicationFactor: -2 } },
  { label: 'more replicas than brokers', options: { replicationFactor: 3 } },
  { label: 'neither partitions nor replicas', options: { numPartitions: 0, replicationFactor: 0 } },
  { label: 'only validated', options: { validateOnly: true } },
  { label: 'only validated, wrong', options: { validateOnly: true, numPartitions: 0 } },
  { label: 'configs', options: { configs: { 'retention.ms': '5000', 'cleanup.policy': 'compact' } } },
  { label: 'an unknown config', options: { configs: { 'no.such': '1' } } },
  { label: 'a wrong value', options: { configs: { 'retention.ms': 'abc' } } },
  { label: 'a value out of range', options: { configs: { 'segment.bytes': '1' } } },
  { label: 'a null value', options: { configs: { 'retention.ms': null } } },
  { label: 'an empty value', options: { configs: { 'retention.ms': '' } } },
  { label: 'a duration that is the largest int64', options: { configs: { 'retention.ms': '9223372036854775807' } } },
  { label: 'a duration beyond int64', options: { configs: { 'retention.ms': '9223372036854775808' } } },
  { label: 'a value in spaces', options: { configs: { 'retention.ms': ' 7000 ' } } },
  { label: 'an unknown policy', options: { configs: { 'cleanup.policy': 'shred' } } },
  { label: 'the same policy twice', options: { configs: { 'cleanup.policy': 'delete,delete' } } },
  { label: 'no policy', options: { configs: { 'cleanup.policy': '' } } },
  {
    label: 'lags that contradict',
    options: { configs: { 'min.compaction.lag.ms': '9', 'max.compaction.lag.ms': '5' } },
  },
  { label: 'an unknown codec', options: { configs: { 'compression.type': 'rar' } } },
  { label: 'remote storage', options: { configs: { 'remote.storage.enable': 'true' } } },
  { label: 'throttled replicas', options: { configs: { 'leader.replication.throttled.replicas': '0:1' } } },
  { label: 'throttled replicas, wrong', options: { configs: { 'leader.replication.throttled.replicas': 'x' } } },
  { label: 'an assignment', options: { numPartitions: -1, replicationFactor: -1, assignments: [[1], [1]] } },
  { label: 'an assignment and a count', options: { numPartitions: 2, replicationFactor: -1, assignments: [[1], [1]] } },
  { label: 'an assignment and replicas', options: { numPartitions: -1, replicationFactor: 1, assignments: [[1]] } },
  { label: 'an assignment to a stranger', options: { numPartitions: -1, replicationFactor: -1, assignments: [[7]] } },
  { label: 'an assignment to nobody', options: { numPartitions: -1, replicationFactor: -1, assignments: [[]] } },
  { label: 'an assignment twice', options: { numPartitions: -1, replicationFactor: -1, assignments: [[1, 1]] } },
  {
    label: 'assignments of different sizes',
    options: { numPartitions: -1, replicationFactor: -1, assignments: [[1], [1, 1]] },
  },
  { label: 'an empty name', name: '', options: {} },
  { label: 'a dot', name: '.', options: {} },
  { label: 'two dots', name: '..', options: {} },
  { label: 'a long name', name: 'x'.repeat(249), options: {} },
  { label: 'too long a name', name: 'x'.repeat(250), options: {} },
  { label: 'a name with a space', name: 'a b', options: {} },
  { label: 'a name with an umlaut', name: 'ä', options: {} },
  { label: 'an internal name', name: '__cluster_metadata', options: {} },
  { label: 'a name that is taken', name: 'create-one-partition', options: {} },
  { label: 'a name that is taken, only validated', name: 'create-one-partition', options: { validateOnly: true } },
  { label: 'an underscore', name: 'create_a.b', options: {} },
  { label: 'a name that collides', name: 'create.a.b', options: {} },
]

const creations: Scenario = {
  name: 'CreateTopics: names, counts, assignments, configs',
  async run(peer) {
    for (const { label, name = topicNameOf('create', label), options } of createRows)
      await peer.ask(label, CreateTopics, 7, createTopicsRequest(name, options))
    for (const { label, options } of createRows.slice(0, 8))
      await peer.ask(label, CreateTopics, 4, createTopicsRequest(topicNameOf('create-4', label), options))
    for (const version of commonVersionsOf(CreateTopics)) {
      await peer.ask('in this version', CreateTopics, version, createTopicsRequest(`create-v${version}`))
      await peer.ask('again', CreateTopics, version, createTopicsRequest(`create-v${version}`))
    }
    const topic = (name: string) => createTopicsRequest(name).topics[0]!
    const several = (...names: readonly string[]) => ({
      topics: names.map(topic),
      timeoutMs: 1_000,
      validateOnly: false,
    })
    await peer.ask('two', CreateTopics, 7, several('create-two-a', 'create-two-b'))
    await peer.ask('the same twice', CreateTopics, 7, several('create-twice', 'create-other', 'create-twice'))
    await peer.ask('two that collide', CreateTopics, 7, several('create.collide', 'create_collide'))
    const collided = ['create.collide', 'create_collide'].map((name) => ({ name, topicId: zeroUuid }))
    await peer.prepare(DeleteTopics, 6, { topics: collided, topicNames: [], timeoutMs: 1_000 })
    await peer.ask('none', CreateTopics, 7, several())
    const twice = { name: 'retention.ms', value: '1000' }
    const configured = { ...topic('create-config-twice'), configs: [twice, { ...twice, value: '2000' }] }
    await peer.ask('a config twice', CreateTopics, 7, { topics: [configured], timeoutMs: 1_000, validateOnly: false })
    const assigned = { ...topic('create-holes'), numPartitions: -1, replicationFactor: -1 }
    for (const indexes of [[1], [0, 2], [0, 0], [-1]]) {
      const assignments = indexes.map((partitionIndex) => ({ partitionIndex, brokerIds: [1] }))
      const request = { topics: [{ ...assigned, assignments }], timeoutMs: 1_000, validateOnly: false }
      await peer.ask(`assignments of the partitions ${indexes.join(', ')}`, CreateTopics, 7, request)
    }
  },
}

const deletions: Scenario = {
  name: 'DeleteTopics: names and ids',
  async run(peer) {
    for (const version of commonVersionsOf(DeleteTopics).filter((one) => one < 6)) {
      await createTopic(peer, 'delete-one')
      const ask = async (label: string, ...topicNames: readonly string[]) =>
        await peer.ask(label, DeleteTopics, version, { topics: [], topicNames, timeoutMs: 1_000 })
      await ask('one', 'delete-one')
      await ask('gone', 'delete-one')
      await ask('invalid names', 'a b', '')
      await ask('none')
      await createTopic(peer, 'delete-one')
      await ask('twice', 'delete-one', 'delete-one', 'delete-two')
      await peer.prepare(DeleteTopics, version, { topics: [], topicNames: ['delete-one'], timeoutMs: 1_000 })
    }
    const topicId = await createTopic(peer, 'delete-one')
    const ask = async (label: string, topics: RequestInput<typeof DeleteTopics>['topics']) =>
      await peer.ask(label, DeleteTopics, 6, { topics, topicNames: [], timeoutMs: 1_000 })
    const byName = { name: 'delete-one', topicId: zeroUuid }
    const byId = { name: null, topicId }
    await ask('neither', [{ name: null, topicId: zeroUuid }])
    await ask('both', [{ name: 'delete-one', topicId }])
    await ask('an unknown id', [{ name: null, topicId: unknownId }])
    await ask('an unknown name', [{ name: 'delete-nowhere', topicId: zeroUuid }])
    await ask('by name and by id', [byName, byId])
    await ask('an id twice', [byId, byId])
    await ask('a name twice', [byName, byName])
    await ask('by id', [byId])
    await ask('by id again', [byId])
    await ask('by name, gone', [byName])
    await ask('an internal one', [{ name: '__cluster_metadata', topicId: zeroUuid }])
  },
}

interface PartitionsRow {
  readonly label: string
  readonly count: number
  readonly assignments?: readonly (readonly number[])[]
  readonly name?: string
  readonly validateOnly?: boolean
}

const partitionsRows: readonly PartitionsRow[] = [
  { label: 'as many', count: 2 },
  { label: 'fewer', count: 1 },
  { label: 'none', count: 0 },
  { label: 'negative', count: -1 },
  { label: 'only validated', count: 5, validateOnly: true },
  { label: 'one more', count: 3 },
  { label: 'one more, assigned', count: 4, assignments: [[1]] },
  { label: 'an empty list of assignments', count: 5, assignments: [] },
  { label: 'too few assignments', count: 7, assignments: [[1]] },
  { label: 'too many assignments', count: 6, assignments: [[1], [1], [1]] },
  { label: 'a stranger', count: 6, assignments: [[9]] },
  { label: 'nobody', count: 6, assignments: [[]] },
  { label: 'somebody twice', count: 6, assignments: [[1, 1]] },
  { label: 'an unknown topic', count: 6, name: 'partitions-nowhere' },
  { label: 'an invalid name', count: 6, name: 'a b' },
]

const partitions: Scenario = {
  name: 'CreatePartitions: counts and assignments',
  async run(peer) {
    await createTopic(peer, 'partitions-one', { partitions: 2 })
    const topicOf = ({ count, assignments, name = 'partitions-one' }: PartitionsRow) => ({
      name,
      count,
      assignments: assignments ? assignments.map((brokerIds) => ({ brokerIds })) : null,
    })
    for (const row of partitionsRows)
      await peer.ask(row.label, CreatePartitions, 3, {
        topics: [topicOf(row)],
        timeoutMs: 1_000,
        validateOnly: row.validateOnly ?? false,
      })
    for (const version of commonVersionsOf(CreatePartitions)) {
      const topics = [topicOf({ label: '', count: 10 + version })]
      await peer.ask('in this version', CreatePartitions, version, { topics, timeoutMs: 1_000, validateOnly: false })
    }
    const twice = [topicOf(partitionsRows[0]!), topicOf(partitionsRows[0]!)]
    await peer.ask('the same twice', CreatePartitions, 3, { topics: twice, timeoutMs: 1_000, validateOnly: false })
    await peer.ask('nothing', CreatePartitions, 3, { topics: [], timeoutMs: 1_000, validateOnly: false })
    await peer.askUntil('what there is now', Metadata, 12, {
      request: metadataRequest(['partitions-one'], { allowAutoTopicCreation: false }),
      isGood: ({ topics }) => topics[0]!.partitions.length === 13,
    })
  },
}

const records: Scenario = {
  name: 'DeleteRecords: offsets and policies',
  async run(peer) {
    const topicId = await createTopic(peer, 'records-one')
    await produce(peer, topicId, [
      ['a', 'b'],
      ['c', 'd'],
    ])
    await createTopic(peer, 'records-compacted', { configs: { 'cleanup.policy': 'compact' } })
    await createTopic(peer, 'records-both', { configs: { 'cleanup.policy': 'compact,delete' } })
    const ask = async (label: string, offset: bigint, options: { name?: string; partition?: number } = {}) => {
      const { name = 'records-one', partition = 0 } = options
      const topics = [{ name, partitions: [{ partitionIndex: partition, offset }] }]
      await peer.ask(label, DeleteRecords, 2, { topics, timeoutMs: 1_000 })
    }
    await ask('none', 0n)
    await ask('in a batch', 1n)
    await ask('below the log start', 0n)
    await ask('beyond the end', 5n)
    await ask('a negative offset', -2n)
    await ask('an unknown partition', 1n, { partition: 4 })
    await ask('a negative partition', 1n, { partition: -4 })
    await ask('an unknown topic', 1n, { name: 'records-nowhere' })
    await ask('an invalid name', 1n, { name: 'a b' })
    await ask('a compacted topic', 0n, { name: 'records-compacted' })
    await ask('a compacted topic that also deletes', 0n, { name: 'records-both' })
    await ask('all', -1n)
    await ask('all again', -1n)
    for (const version of commonVersionsOf(DeleteRecords))
      await peer.ask('in this version', DeleteRecords, version, {
        topics: [{ name: 'records-one', partitions: [{ partitionIndex: 0, offset: 4n }] }],
        timeoutMs: 1_000,
      })
    await peer.ask('nothing', DeleteRecords, 2, { topics: [], timeoutMs: 1_000 })
  },
}

export const topicScenarios: readonly Scenario[] = [creations, deletions, partitions, records]
