/**
 * Several brokers in one process: what their clients see of leaders, coordinators, and brokers that go and come back.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { AlterPartitionReassignments } from '../../protocol/apis/alter-partition-reassignments.ts'
import { DescribeLogDirs } from '../../protocol/apis/describe-log-dirs.ts'
import { ElectLeaders } from '../../protocol/apis/elect-leaders.ts'
import { Fetch } from '../../protocol/apis/fetch.ts'
import { FindCoordinator } from '../../protocol/apis/find-coordinator.ts'
import { ListGroups } from '../../protocol/apis/list-groups.ts'
import { ListOffsets } from '../../protocol/apis/list-offsets.ts'
import { Metadata } from '../../protocol/apis/metadata.ts'
import { OffsetCommit } from '../../protocol/apis/offset-commit.ts'
import { OffsetFetch } from '../../protocol/apis/offset-fetch.ts'
import { Produce } from '../../protocol/apis/produce.ts'
import { errorNameOf } from '../../protocol/errors.ts'
import { zeroUuid } from '../../protocol/schema.ts'
import { MemoryDisk } from '../../storage/memory-disk.ts'
import { nodeClock } from '../../src/environment/node-clock.ts'
import { KafkaError } from '../../src/errors.ts'
import { startTestBroker, type TestBroker, type TestBrokerOptions, type Cleanup } from '../support/broker.ts'
import { valuesOf } from '../support/records.ts'
import { fetchRequest, listOffsetsRequest, metadataRequest, produceRequest } from '../support/requests.ts'

const configs = { 'default.replication.factor': '3', 'offsets.topic.num.partitions': '3' }

function sorted(nodeIds: readonly number[]): number[] {
  return nodeIds.toSorted((a, b) => a - b)
}

function start(t: Cleanup, options: TestBrokerOptions = {}): Promise<TestBroker> {
  return startTestBroker(t, {
    brokerCount: 3,
    topics: { orders: 3 },
    ...options,
    configs: { ...configs, ...options.configs },
  })
}

async function describe(cluster: TestBroker, nodeId = 1) {
  const client = await cluster.connect(nodeId)
  const { brokers, topics, controllerId } = await client.send(Metadata, 12, metadataRequest(['orders']))
  const partitions = topics[0]!.partitions.toSorted((a, b) => a.partitionIndex - b.partitionIndex)
  return { nodeIds: brokers.map((broker) => broker.nodeId), brokers, controllerId, topic: topics[0]!, partitions }
}

async function produce(cluster: TestBroker, nodeId: number, partition: number, values: readonly string[]) {
  const client = await cluster.connect(nodeId)
  const { responses, nodeEndpoints } = await client.send(Produce, 10, produceRequest({ partition, values }))
  const [answer] = responses[0]!.partitionResponses
  return { error: errorNameOf(answer!.errorCode), currentLeader: answer!.currentLeader, nodeEndpoints }
}

async function read(cluster: TestBroker, nodeId: number, partition: number) {
  const client = await cluster.connect(nodeId)
  const { responses } = await client.send(Fetch, 11, fetchRequest({ partitions: [{ partition }] }))
  const [answer] = responses[0]!.partitions
  return { error: errorNameOf(answer!.errorCode), values: valuesOf(answer!.records) }
}

test('leaders are spread over the brokers, and every broker tells the same of them', async (t) => {
  const cluster = await start(t, { configs: { 'broker.rack': 'a, b' } })
  for (const nodeId of [1, 2, 3]) {
    const { nodeIds, brokers, controllerId, partitions } = await describe(cluster, nodeId)
    assert.deepEqual(nodeIds, [1, 2, 3])
    assert.deepEqual(
      brokers.map(({ rack }) => rack),
      ['a', 'b', 'a'],
    )
    assert.equal(new Set(brokers.map(({ port }) => port)).size, 3)
    assert.equal(controllerId, 1)
    assert.deepEqual(
      partitions.map(({ leaderId }) => leaderId),
      [1, 2, 3],
    )
    assert.deepEqual(partitions[1]!.replicaNodes, [2, 3, 1])
    assert.deepEqual(partitions[1]!.isrNodes, [2, 3, 1])
  }
})

test('a broker that does not lead a partition refuses, and tells who does and where (KIP-951)', async (t) => {
  const cluster = await start(t)
  const refused = await produce(cluster, 1, 1, ['a'])
  assert.equal(refused.error, 'NOT_LEADER_OR_FOLLOWER')
  assert.deepEqual(refused.currentLeader, { leaderId: 2, leaderEpoch: 0 })
  assert.equal(refused.nodeEndpoints?.find(({ nodeId }) => nodeId === 2)?.port, cluster.broker.ports[1])

  const { topicId } = (await describe(cluster)).topic
  const client = await cluster.connect(1)
  const fetched = await client.send(Fetch, 16, fetchRequest({ topicId, partitions: [{ partition: 1 }] }))
  const [partition] = fetched.responses[0]!.partitions
  assert.equal(errorNameOf(partition!.errorCode), 'NOT_LEADER_OR_FOLLOWER')
  assert.equal(partition!.currentLeader?.leaderId, 2)
  assert.equal(fetched.nodeEndpoints?.length, 3)

  const listed = await client.send(ListOffsets, 7, listOffsetsRequest(-1n, { partition: 1 }))
  assert.equal(errorNameOf(listed.topics[0]!.partitions[0]!.errorCode), 'NOT_LEADER_OR_FOLLOWER')

  assert.equal((await produce(cluster, 2, 1, ['a'])).error, 'NONE')
  assert.deepEqual(await read(cluster, 2, 1), { error: 'NONE', values: ['a'] })
})

for (const isClean of [true, false]) {
  test(`a broker that ${isClean ? 'shuts down' : 'dies'} hands over what it led, and comes back in sync`, async (t) => {
    const cluster = await start(t)
    assert.equal((await produce(cluster, 2, 1, ['before'])).error, 'NONE')
    const lost = await cluster.connect(2)
    await cluster.broker.control.takeDown(2, { isClean })
    await lost.closed
    await assert.rejects(cluster.connect(2))

    const down = await describe(cluster)
    assert.deepEqual(down.nodeIds, [1, 3])
    assert.deepEqual(
      down.partitions.map(({ leaderId, leaderEpoch, isrNodes, offlineReplicas }) => [
        leaderId,
        leaderEpoch,
        sorted(isrNodes),
        offlineReplicas,
      ]),
      [
        [1, 0, [1, 3], [2]],
        [3, 1, [1, 3], [2]],
        [3, 0, [1, 3], [2]],
      ],
    )
    assert.equal((await produce(cluster, 3, 1, ['meanwhile'])).error, 'NONE')

    await cluster.broker.control.bringUp(2)
    const up = await describe(cluster, 2)
    assert.deepEqual(up.nodeIds, [1, 2, 3])
    assert.deepEqual(sorted(up.partitions[1]!.isrNodes), [1, 2, 3])
    assert.equal(up.partitions[1]!.leaderId, 3)

    const { topicId } = up.topic
    await cluster.broker.parts.topics.electLeader(topicId, 1, 2)
    assert.equal((await describe(cluster)).partitions[1]!.leaderEpoch, 2)
    assert.deepEqual(await read(cluster, 2, 1), { error: 'NONE', values: ['before', 'meanwhile'] })
    assert.equal((await read(cluster, 3, 1)).error, 'NOT_LEADER_OR_FOLLOWER')
  })
}

test('a partition whose only replica is down has no leader, and its records are there when the broker is back', async (t) => {
  const cluster = await start(t, { configs: { 'default.replication.factor': '1' } })
  await produce(cluster, 2, 1, ['a'])
  await cluster.broker.control.takeDown(2)
  const [, offline] = (await describe(cluster)).partitions
  assert.equal(errorNameOf(offline!.errorCode), 'LEADER_NOT_AVAILABLE')
  assert.deepEqual([offline!.leaderId, offline!.isrNodes, offline!.offlineReplicas], [-1, [2], [2]])
  assert.equal((await produce(cluster, 1, 1, ['b'])).error, 'NOT_LEADER_OR_FOLLOWER')
  await cluster.broker.control.bringUp(2)
  assert.deepEqual(await read(cluster, 2, 1), { error: 'NONE', values: ['a'] })
})

test('acks=all is refused while fewer replicas are in sync than min.insync.replicas asks for; others are not', async (t) => {
  const cluster = await start(t, { configs: { 'min.insync.replicas': '2' } })
  await cluster.broker.control.takeDown(2)
  assert.equal((await produce(cluster, 1, 0, ['a'])).error, 'NONE')
  await cluster.broker.control.takeDown(3, { isClean: false })
  assert.equal((await produce(cluster, 1, 0, ['b'])).error, 'NOT_ENOUGH_REPLICAS')
  const { responses } = await cluster.send(Produce, 10, produceRequest({ values: ['c'], acks: 1 }))
  assert.equal(responses[0]!.partitionResponses[0]!.errorCode, 0)
  await cluster.broker.control.bringUp(2)
  assert.equal((await produce(cluster, 1, 0, ['d'])).error, 'NONE')
  assert.deepEqual(await read(cluster, 1, 0), { error: 'NONE', values: ['a', 'c', 'd'] })
})

test('min.insync.replicas asks for no more replicas than a partition has', async (t) => {
  const cluster = await start(t, { configs: { 'min.insync.replicas': '2', 'default.replication.factor': '1' } })
  assert.equal((await produce(cluster, 1, 0, ['a'])).error, 'NONE')
})

test('a fetch that waits while its leader moves away is sent to the new one', async (t) => {
  const cluster = await start(t)
  const { topicId } = (await describe(cluster)).topic
  const client = await cluster.connect(1)
  const waiting = client.send(Fetch, 11, fetchRequest({ maxWaitMs: 60_000 }))
  await cluster.broker.parts.topics.electLeader(topicId, 0, 3)
  await produce(cluster, 3, 0, ['a'])
  const [answer] = (await waiting).responses[0]!.partitions
  assert.equal(errorNameOf(answer!.errorCode), 'NOT_LEADER_OR_FOLLOWER')
})

test('a leader is elected only among the replicas that are in sync', async (t) => {
  const cluster = await start(t)
  const { topics } = cluster.broker.parts
  const { topicId } = topics.find('orders')!.image
  const failure = (name: string) => (error: unknown) => error instanceof KafkaError && error.errorName === name
  await assert.rejects(topics.electLeader(topicId, 0, 1), failure('ELECTION_NOT_NEEDED'))
  await assert.rejects(topics.electLeader(topicId, 0, 4), failure('ELIGIBLE_LEADERS_NOT_AVAILABLE'))
  await assert.rejects(topics.electLeader(topicId, 3, 2), failure('UNKNOWN_TOPIC_OR_PARTITION'))
  await cluster.broker.control.takeDown(2)
  await assert.rejects(topics.electLeader(topicId, 0, 2), failure('ELIGIBLE_LEADERS_NOT_AVAILABLE'))
  await assert.rejects(cluster.broker.control.takeDown(4), failure('BROKER_NOT_AVAILABLE'))
})

async function coordinatorOf(cluster: TestBroker, groupId: string, nodeId = 1): Promise<number> {
  const client = await cluster.connect(nodeId)
  const request = { key: '', keyType: 0, coordinatorKeys: [groupId] }
  const { coordinators } = await client.send(FindCoordinator, 4, request)
  return coordinators[0]!.nodeId
}

async function commit(cluster: TestBroker, nodeId: number, groupId: string, offset: bigint): Promise<string> {
  const client = await cluster.connect(nodeId)
  const partitions = [{ partitionIndex: 0, committedOffset: offset, committedMetadata: '' }]
  const { topics } = await client.send(OffsetCommit, 7, {
    groupId,
    generationIdOrMemberEpoch: -1,
    memberId: '',
    groupInstanceId: null,
    topics: [{ name: 'orders', topicId: zeroUuid, partitions }],
  })
  return errorNameOf(topics[0]!.partitions[0]!.errorCode)
}

async function committed(cluster: TestBroker, nodeId: number, groupId: string): Promise<string | bigint> {
  const client = await cluster.connect(nodeId)
  const answer = await client.send(OffsetFetch, 7, {
    groupId,
    topics: [{ name: 'orders', partitionIndexes: [0] }],
    groups: [],
    requireStable: false,
  })
  if (answer.errorCode !== 0) return errorNameOf(answer.errorCode)
  return answer.topics[0]!.partitions[0]!.committedOffset
}

test('groups are spread over the brokers, and only its coordinator serves a group', async (t) => {
  const cluster = await start(t)
  const groups = ['a', 'b', 'c', 'd', 'e', 'f']
  const coordinators = await Promise.all(groups.map((groupId) => coordinatorOf(cluster, groupId)))
  assert.deepEqual(new Set(coordinators), new Set([1, 2, 3]))
  for (const [at, groupId] of groups.entries()) {
    for (const nodeId of [1, 2, 3]) {
      const expected = nodeId === coordinators[at] ? 'NONE' : 'NOT_COORDINATOR'
      assert.equal(await commit(cluster, nodeId, groupId, 5n), expected)
      assert.equal(await coordinatorOf(cluster, groupId, nodeId), coordinators[at], 'also once the topic is there')
    }
  }
  for (const nodeId of [1, 2, 3]) {
    const client = await cluster.connect(nodeId)
    const { groups: listed } = await client.send(ListGroups, 4, { statesFilter: [], typesFilter: [] })
    const expected = groups.filter((_, at) => coordinators[at] === nodeId)
    assert.deepEqual(listed.map(({ groupId }) => groupId).toSorted(), expected)
  }
})

test('committed offsets move with the coordinator, whether it shuts down or dies', async (t) => {
  const cluster = await start(t)
  const first = await coordinatorOf(cluster, 'payments')
  assert.equal(await commit(cluster, first, 'payments', 7n), 'NONE')
  const survivors = [1, 2, 3].filter((nodeId) => nodeId !== first)
  await cluster.broker.control.takeDown(first, { isClean: false })
  const second = await coordinatorOf(cluster, 'payments', survivors[0]!)
  assert(survivors.includes(second))
  assert.equal(await committed(cluster, second, 'payments'), 7n)
  assert.equal(await commit(cluster, second, 'payments', 8n), 'NONE')
  await cluster.broker.control.bringUp(first)
  assert.equal(await committed(cluster, first, 'payments'), 'NOT_COORDINATOR')
  await cluster.broker.control.takeDown(second)
  const third = await coordinatorOf(cluster, 'payments', first)
  assert.equal(await committed(cluster, third, 'payments'), 8n)
})

test('a process that starts with fewer brokers leads everything that the others led', async (t) => {
  const disk = new MemoryDisk((run) => nodeClock.defer(run))
  const three = await start(t, { disk, configs: { 'default.replication.factor': '1' } })
  for (const [partition, nodeId] of [1, 2, 3].entries()) await produce(three, nodeId, partition, [`${nodeId}`])
  const coordinator = await coordinatorOf(three, 'payments')
  assert.equal(await commit(three, coordinator, 'payments', 7n), 'NONE')
  await three.broker.stop()

  const one = await start(t, { disk, brokerCount: 1, topics: {} })
  for (const partition of [0, 1, 2])
    assert.deepEqual(await read(one, 1, partition), { error: 'NONE', values: [`${partition + 1}`] })
  assert.equal(await committed(one, 1, 'payments'), 7n)
  await one.broker.stop()

  const again = await start(t, { disk, topics: {} })
  assert.deepEqual(await read(again, 1, 2), { error: 'NONE', values: ['3'] })
})

test('a stop and a start with brokers down brings all of them up', async (t) => {
  const disk = new MemoryDisk((run) => nodeClock.defer(run))
  const first = await start(t, { disk })
  await first.broker.control.takeDown(1)
  await first.broker.stop()
  const second = await start(t, { disk, topics: {} })
  const { nodeIds, partitions } = await describe(second)
  assert.deepEqual(nodeIds, [1, 2, 3])
  for (const { isrNodes } of partitions) assert.deepEqual(sorted(isrNodes), [1, 2, 3])
})

test('ElectLeaders moves leaders back to the preferred replica once it lives', async (t) => {
  const cluster = await start(t)
  const elect = async () => {
    const client = await cluster.connect(1)
    const topicPartitions = [{ topic: 'orders', partitions: [1] }]
    const answer = await client.send(ElectLeaders, 2, { electionType: 0, topicPartitions, timeoutMs: 1_000 })
    return errorNameOf(answer.replicaElectionResults[0]!.partitionResult[0]!.errorCode)
  }
  assert.equal(await elect(), 'ELECTION_NOT_NEEDED')
  await cluster.broker.control.takeDown(2)
  assert.equal(await elect(), 'PREFERRED_LEADER_NOT_AVAILABLE')
  await cluster.broker.control.bringUp(2)
  assert.equal(await elect(), 'NONE')
  assert.equal((await describe(cluster)).partitions[1]!.leaderId, 2)
})

test('AlterPartitionReassignments names other replicas at once, and the leader goes with them', async (t) => {
  const cluster = await start(t, { configs: { 'default.replication.factor': '1' } })
  await produce(cluster, 1, 0, ['a'])
  const reassign = async (replicas: number[]) => {
    const client = await cluster.connect(1)
    const topics = [{ name: 'orders', partitions: [{ partitionIndex: 0, replicas }] }]
    const answer = await client.send(AlterPartitionReassignments, 0, { timeoutMs: 1_000, topics })
    return errorNameOf(answer.responses[0]!.partitions[0]!.errorCode)
  }
  assert.equal(await reassign([3, 2]), 'NONE')
  const [moved] = (await describe(cluster)).partitions
  assert.deepEqual([moved!.leaderId, moved!.replicaNodes, sorted(moved!.isrNodes)], [3, [3, 2], [2, 3]])
  assert.deepEqual(await read(cluster, 3, 0), { error: 'NONE', values: ['a'] })
  assert.equal(await reassign([2, 3]), 'NONE')
  const [ordered] = (await describe(cluster)).partitions
  assert.deepEqual([ordered!.leaderId, ordered!.leaderEpoch, ordered!.replicaNodes], [3, 1, [2, 3]])
  assert.equal(await reassign([4]), 'INVALID_REPLICA_ASSIGNMENT')
  assert.equal(await reassign([2, 2]), 'INVALID_REPLICA_ASSIGNMENT')
})

test('DescribeLogDirs of a broker has the partitions that it is a replica of', async (t) => {
  const cluster = await start(t, { configs: { 'default.replication.factor': '1' } })
  const client = await cluster.connect(2)
  const { results } = await client.send(DescribeLogDirs, 4, { topics: null })
  const partitions = results[0]!.topics[0]!.partitions.map(({ partitionIndex }) => partitionIndex)
  assert.deepEqual(partitions, [1])
})

test('metadata that is asked for behind a long poll is that of when it is answered', async (t) => {
  const cluster = await start(t)
  const { topicId } = (await describe(cluster)).topic
  const client = await cluster.connect(1)
  const polling = client.send(Fetch, 11, fetchRequest({ maxWaitMs: 60_000 }))
  const asking = client.send(Metadata, 9, metadataRequest(['orders']))
  await cluster.broker.parts.topics.electLeader(topicId, 1, 3)
  await produce(cluster, 1, 0, ['a'])
  await polling
  const { topics } = await asking
  assert.equal(topics[0]!.partitions.find(({ partitionIndex }) => partitionIndex === 1)!.leaderId, 3)
})
