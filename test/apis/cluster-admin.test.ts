import assert from 'node:assert/strict'
import { test } from 'node:test'
import { AlterPartitionReassignments } from '../../protocol/apis/alter-partition-reassignments.ts'
import { DescribeProducers } from '../../protocol/apis/describe-producers.ts'
import { DescribeQuorum } from '../../protocol/apis/describe-quorum.ts'
import { ElectLeaders } from '../../protocol/apis/elect-leaders.ts'
import { ListConfigResources } from '../../protocol/apis/list-config-resources.ts'
import { ListPartitionReassignments } from '../../protocol/apis/list-partition-reassignments.ts'
import { Produce } from '../../protocol/apis/produce.ts'
import { UnregisterBroker } from '../../protocol/apis/unregister-broker.ts'
import { UpdateFeatures } from '../../protocol/apis/update-features.ts'
import { errorNameOf } from '../../protocol/errors.ts'
import { startTestBroker, versionsOf } from '../support/broker.ts'
import { batchOf } from '../support/records.ts'
import { produceRequest } from '../support/requests.ts'

for (const version of versionsOf(AlterPartitionReassignments)) {
  test(`AlterPartitionReassignments v${version} takes the replicas that are, and refuses a move`, async (t) => {
    const broker = await startTestBroker(t, { topics: { orders: 1 } })
    const ask = async (replicas: readonly number[] | null, name = 'orders', partitionIndex = 0) => {
      const topics = [{ name, partitions: [{ partitionIndex, replicas }] }]
      const { errorCode, responses } = await broker.send(AlterPartitionReassignments, version, { topics })
      assert.equal(errorCode, 0)
      return errorNameOf(responses[0]!.partitions[0]!.errorCode)
    }
    assert.equal(await ask([1]), 'NONE')
    assert.equal(await ask(null), 'NO_REASSIGNMENT_IN_PROGRESS')
    assert.equal(await ask([]), 'INVALID_REPLICA_ASSIGNMENT')
    assert.equal(await ask([7]), 'INVALID_REPLICA_ASSIGNMENT')
    assert.equal(await ask([1, 1]), 'INVALID_REPLICA_ASSIGNMENT')
    assert.equal(await ask([1], 'missing'), 'UNKNOWN_TOPIC_OR_PARTITION')
    assert.equal(await ask([1], 'orders', 3), 'UNKNOWN_TOPIC_OR_PARTITION')
  })
}

test('T29: ListPartitionReassignments is served, and never has any', async (t) => {
  const broker = await startTestBroker(t, { topics: { orders: 1 } })
  for (const topics of [null, [], [{ name: 'orders', partitionIndexes: [0] }]]) {
    const { errorCode, topics: listed } = await broker.send(ListPartitionReassignments, 0, { topics })
    assert.deepEqual([errorCode, listed], [0, []])
  }
})

for (const version of versionsOf(ElectLeaders)) {
  test(`ElectLeaders v${version} needs no election where the preferred replica leads`, async (t) => {
    const broker = await startTestBroker(t, { topics: { orders: 1 } })
    const ask = async (topic: string, partition: number, electionType = 0) => {
      const topicPartitions = [{ topic, partitions: [partition] }]
      const { replicaElectionResults } = await broker.send(ElectLeaders, version, { electionType, topicPartitions })
      return errorNameOf(replicaElectionResults[0]!.partitionResult[0]!.errorCode)
    }
    assert.equal(await ask('orders', 0), 'ELECTION_NOT_NEEDED')
    assert.equal(await ask('orders', 5), 'UNKNOWN_TOPIC_OR_PARTITION')
    assert.equal(await ask('missing', 0), 'UNKNOWN_TOPIC_OR_PARTITION')
    if (version === 0) return
    assert.equal(await ask('orders', 0, 1), 'ELECTION_NOT_NEEDED')
    assert.equal(await ask('orders', 0, 2), 'INVALID_REQUEST')
    const all = await broker.send(ElectLeaders, version, { electionType: 0, topicPartitions: null })
    assert.deepEqual(all.replicaElectionResults, [{ topic: 'orders', partitionResult: [] }])
  })
}

test('DescribeProducers shows the sequences that a partition remembers', async (t) => {
  const broker = await startTestBroker(t, { topics: { orders: 1 } })
  const baseTimestampMs = BigInt(Date.now())
  const producer = { producerId: 9n, producerEpoch: 3, baseSequence: 0, baseTimestampMs }
  await broker.send(Produce, 9, produceRequest({ records: [batchOf(['a', 'b'], producer)] }))
  const ask = async (name: string, partition: number) => {
    const topics = [{ name, partitionIndexes: [partition] }]
    return (await broker.send(DescribeProducers, 0, { topics })).topics[0]!.partitions[0]!
  }
  assert.deepEqual((await ask('orders', 0)).activeProducers, [
    {
      producerId: 9n,
      producerEpoch: 3,
      lastSequence: 1,
      lastTimestamp: baseTimestampMs,
      coordinatorEpoch: -1,
      currentTxnStartOffset: -1n,
    },
  ])
  assert.equal(errorNameOf((await ask('orders', 4)).errorCode), 'UNKNOWN_TOPIC_OR_PARTITION')
  assert.equal(errorNameOf((await ask('missing', 0)).errorCode), 'UNKNOWN_TOPIC_OR_PARTITION')
  assert.equal(errorNameOf((await ask('a b', 0)).errorCode), 'INVALID_TOPIC_EXCEPTION')
})

for (const version of versionsOf(DescribeQuorum)) {
  test(`T29: DescribeQuorum v${version} names one voter, which leads`, async (t) => {
    const broker = await startTestBroker(t)
    const ask = async (topicName: string, partitionIndex: number) =>
      await broker.send(DescribeQuorum, version, { topics: [{ topicName, partitions: [{ partitionIndex }] }] })
    const answer = await ask('__cluster_metadata', 0)
    const [partition] = answer.topics[0]!.partitions
    assert.equal(answer.errorCode, 0)
    assert.equal(partition!.leaderId, 1)
    assert.deepEqual(
      partition!.currentVoters.map(({ replicaId, logEndOffset }) => [replicaId, logEndOffset]),
      [[1, partition!.highWatermark]],
    )
    assert.equal(answer.nodes.length, version >= 2 ? 1 : 0)
    for (const other of [await ask('__cluster_metadata', 1), await ask('orders', 0)])
      assert.equal(errorNameOf(other.topics[0]!.partitions[0]!.errorCode), 'UNKNOWN_TOPIC_OR_PARTITION')
  })
}

for (const version of versionsOf(UpdateFeatures)) {
  test(`UpdateFeatures v${version} takes the level that is, and refuses others`, async (t) => {
    const broker = await startTestBroker(t)
    const ask = async (feature: string, maxVersionLevel: number) => {
      const update = version === 0 ? { allowDowngrade: true } : { allowDowngrade: false, upgradeType: 3 }
      const answer = await broker.send(UpdateFeatures, version, {
        featureUpdates: [{ feature, maxVersionLevel, ...update }],
      })
      return errorNameOf(answer.errorCode)
    }
    assert.equal(await ask('metadata.version', 30), 'NONE')
    assert.equal(await ask('metadata.version', 29), 'INVALID_UPDATE_VERSION')
    assert.equal(await ask('metadata.version', 99), 'INVALID_UPDATE_VERSION')
    assert.equal(await ask('no.such', 1), 'INVALID_UPDATE_VERSION')
  })
}

test('UnregisterBroker refuses a broker that is there, and one that never was', async (t) => {
  const broker = await startTestBroker(t)
  const ask = async (brokerId: number) => errorNameOf((await broker.send(UnregisterBroker, 0, { brokerId })).errorCode)
  assert.equal(await ask(1), 'INVALID_REQUEST')
  assert.equal(await ask(9), 'BROKER_ID_NOT_REGISTERED')
})

test('ListConfigResources lists topics and brokers, in version 0 client metrics alone', async (t) => {
  const broker = await startTestBroker(t, { topics: { orders: 1 } })
  const ask = async (version: number, resourceTypes: readonly number[]) => {
    const answer = await broker.send(ListConfigResources, version, { resourceTypes })
    const listed = answer.configResources.map(({ resourceName, resourceType }) => `${resourceType} ${resourceName}`)
    return [errorNameOf(answer.errorCode), ...listed]
  }
  assert.deepEqual(await ask(0, []), ['NONE'])
  assert.deepEqual(await ask(1, []), ['NONE', '2 orders', '4 1', '8 1'])
  assert.deepEqual(await ask(1, [4]), ['NONE', '4 1'])
  assert.deepEqual(await ask(1, [3]), ['UNSUPPORTED_VERSION'])
})
