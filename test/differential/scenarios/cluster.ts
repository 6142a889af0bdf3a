import { AlterPartitionReassignments } from '../../../protocol/apis/alter-partition-reassignments.ts'
import { DescribeLogDirs } from '../../../protocol/apis/describe-log-dirs.ts'
import { DescribeProducers } from '../../../protocol/apis/describe-producers.ts'
import { DescribeQuorum } from '../../../protocol/apis/describe-quorum.ts'
import { ElectLeaders } from '../../../protocol/apis/elect-leaders.ts'
import { InitProducerId } from '../../../protocol/apis/init-producer-id.ts'
import { ListPartitionReassignments } from '../../../protocol/apis/list-partition-reassignments.ts'
import { Produce } from '../../../protocol/apis/produce.ts'
import { UnregisterBroker } from '../../../protocol/apis/unregister-broker.ts'
import { UpdateFeatures } from '../../../protocol/apis/update-features.ts'
import { batchOf } from '../../support/records.ts'
import { produceRequest } from '../../support/requests.ts'
import type { Scenario } from '../peer.ts'
import { commonVersionsOf } from '../versions.ts'
import { createTopic, nowMs, produce } from './topic.ts'

const logDirs: Scenario = {
  name: 'DescribeLogDirs: every version',
  async run(peer) {
    const topicId = await createTopic(peer, 'dirs-one', { partitions: 2 })
    await produce(peer, topicId, [['a'], ['b', 'c']])
    const asked = (topic: string, ...partitions: readonly number[]) => [{ topic, partitions }]
    for (const version of commonVersionsOf(DescribeLogDirs)) {
      await peer.ask('two partitions', DescribeLogDirs, version, { topics: asked('dirs-one', 0, 1) })
      await peer.ask('one partition', DescribeLogDirs, version, { topics: asked('dirs-one', 1) })
      await peer.ask('no partitions', DescribeLogDirs, version, { topics: asked('dirs-one') })
      await peer.ask('an unknown topic', DescribeLogDirs, version, { topics: asked('dirs-nowhere', 0) })
      await peer.ask('an unknown partition', DescribeLogDirs, version, { topics: asked('dirs-one', 7) })
      await peer.ask('no topics', DescribeLogDirs, version, { topics: [] })
    }
  },
}

const reassignments: Scenario = {
  name: 'AlterPartitionReassignments, ListPartitionReassignments',
  async run(peer) {
    await createTopic(peer, 'move-one', { partitions: 2 })
    const move = (name: string, partitionIndex: number, replicas: readonly number[] | null) => ({
      topics: [{ name, partitions: [{ partitionIndex, replicas }] }],
      timeoutMs: 1_000,
    })
    for (const version of [0, 1]) {
      const ask = async (label: string, request: ReturnType<typeof move>) =>
        await peer.ask(label, AlterPartitionReassignments, version, request)
      await ask('to where it is', move('move-one', 0, [1]))
      await ask('nothing to give up', move('move-one', 0, null))
      await ask('to nobody', move('move-one', 0, []))
      await ask('to a stranger', move('move-one', 0, [9]))
      await ask('to one twice', move('move-one', 0, [1, 1]))
      await ask('to a negative broker', move('move-one', 0, [-1]))
      await ask('an unknown partition', move('move-one', 7, [1]))
      await ask('an unknown topic', move('move-nowhere', 0, [1]))
      await ask('an invalid name', move('a b', 0, [1]))
      await ask('no topics', { topics: [], timeoutMs: 1_000 })
    }
    await peer.ask('no other number of replicas', AlterPartitionReassignments, 1, {
      ...move('move-one', 0, [1]),
      allowReplicationFactorChange: false,
    })
    const list = async (label: string, topics: { name: string; partitionIndexes: number[] }[] | null) =>
      await peer.ask(label, ListPartitionReassignments, 0, { topics, timeoutMs: 1_000 })
    await list('all', null)
    await list('no topics', [])
    await list('one', [{ name: 'move-one', partitionIndexes: [0, 1] }])
    await list('no partitions', [{ name: 'move-one', partitionIndexes: [] }])
    await list('an unknown partition', [{ name: 'move-one', partitionIndexes: [9] }])
    await list('an unknown topic', [{ name: 'move-nowhere', partitionIndexes: [0] }])
  },
}

const elections: Scenario = {
  name: 'ElectLeaders: preferred and unclean',
  async run(peer) {
    await createTopic(peer, 'elect-one', { partitions: 2 })
    for (const version of [0, 1, 2]) {
      for (const electionType of version === 0 ? [0] : [0, 1, 2]) {
        const ask = async (label: string, topicPartitions: { topic: string; partitions: number[] }[]) =>
          await peer.ask(`${label}, type ${electionType}`, ElectLeaders, version, {
            ...(version >= 1 && { electionType }),
            topicPartitions,
            timeoutMs: 1_000,
          } as never)
        await ask('two', [{ topic: 'elect-one', partitions: [0, 1] }])
        await ask('an unknown partition', [{ topic: 'elect-one', partitions: [0, 9] }])
        await ask('an unknown topic', [{ topic: 'elect-nowhere', partitions: [0] }])
        await ask('an invalid name', [{ topic: 'a b', partitions: [0] }])
        await ask('none', [])
      }
    }
    await peer.ask('all', ElectLeaders, 2, { electionType: 0, topicPartitions: null, timeoutMs: 1_000 })
  },
}

const producers: Scenario = {
  name: 'DescribeProducers: idempotent ones',
  async run(peer) {
    const topic = 'producers-one'
    const topicId = await createTopic(peer, topic, { partitions: 2 })
    const { producerId } = await peer.prepareUntil(InitProducerId, 5, {
      request: { transactionalId: null, transactionTimeoutMs: 1_000, producerId: -1n, producerEpoch: -1 },
      isGood: ({ errorCode }) => errorCode === 0,
    })
    const ask = async (label: string, name: string, ...partitionIndexes: readonly number[]) =>
      await peer.ask(label, DescribeProducers, 0, { topics: [{ name, partitionIndexes }] })
    await ask('none yet', topic, 0, 1)
    for (const baseSequence of [0, 2]) {
      const records = [batchOf(['a', 'b'], { baseTimestampMs: nowMs, producerId, producerEpoch: 0, baseSequence })]
      await peer.prepare(Produce, 13, produceRequest({ topicId, records }))
    }
    await ask('one', topic, 0, 1)
    await ask('an unknown partition', topic, 5)
    await ask('a negative partition', topic, -5)
    await ask('an unknown topic', 'producers-nowhere', 0)
    await ask('an invalid name', 'a b', 0)
    await ask('no partitions', topic)
    await peer.ask('no topics', DescribeProducers, 0, { topics: [] })
    const init = async (label: string, id: bigint, epoch: number) =>
      await peer.ask(label, InitProducerId, 5, {
        transactionalId: null,
        transactionTimeoutMs: 1_000,
        producerId: id,
        producerEpoch: epoch,
      })
    await init('a new producer id', -1n, -1)
    await init('with an id of its own', producerId, 0)
    await init('an id without an epoch', producerId, -1)
    await init('an epoch without an id', -1n, 3)
    for (const version of commonVersionsOf(InitProducerId))
      for (const transactionalId of [null, ''])
        await peer.ask(`transactional id '${transactionalId}'`, InitProducerId, version, {
          transactionalId,
          transactionTimeoutMs: 1_000,
        } as never)
  },
}

const quorum: Scenario = {
  name: 'DescribeQuorum, UpdateFeatures, UnregisterBroker',
  async run(peer) {
    const quorumOf = (topicName: string, partitionIndex: number) => ({
      topics: [{ topicName, partitions: [{ partitionIndex }] }],
    })
    for (const version of [0, 1, 2]) {
      await peer.ask('the metadata', DescribeQuorum, version, quorumOf('__cluster_metadata', 0))
      await peer.ask('an unknown partition', DescribeQuorum, version, quorumOf('__cluster_metadata', 1))
      await peer.ask('an unknown topic', DescribeQuorum, version, quorumOf('quorum-nowhere', 0))
      await peer.ask('no topics', DescribeQuorum, version, { topics: [] })
    }
    for (const version of [1, 2]) {
      const update = async (label: string, feature: string, maxVersionLevel: number, upgradeType = 1) =>
        await peer.ask(label, UpdateFeatures, version, {
          featureUpdates: [{ feature, maxVersionLevel, upgradeType }],
          validateOnly: true,
        } as never)
      await update('as it is', 'metadata.version', 30)
      await update('an unknown level', 'metadata.version', 99)
      await update('a lower level', 'metadata.version', 29)
      await update('a lower level, safe', 'metadata.version', 29, 2)
      await update('a level below all', 'metadata.version', 1, 3)
      await update('level 0', 'metadata.version', 0, 2)
      await update('a negative level', 'metadata.version', -1, 2)
      await update('an unknown feature', 'no.such', 1)
      await update('an unknown type', 'metadata.version', 30, 9)
      await update('an empty name', '', 1)
      await peer.ask('none', UpdateFeatures, version, { featureUpdates: [], validateOnly: true } as never)
    }
    const downgrade = { feature: 'metadata.version', maxVersionLevel: 29, allowDowngrade: false }
    await peer.ask('a lower level', UpdateFeatures, 0, { featureUpdates: [downgrade] } as never)
    for (const brokerId of [99, -1]) await peer.ask(`broker ${brokerId}`, UnregisterBroker, 0, { brokerId })
  },
}

export const clusterScenarios: readonly Scenario[] = [logDirs, reassignments, elections, producers, quorum]
