import { DeleteRecords } from '../../../protocol/apis/delete-records.ts'
import { ListOffsets } from '../../../protocol/apis/list-offsets.ts'
import { listOffsetsRequest } from '../../support/requests.ts'
import type { Peer, Scenario } from '../peer.ts'
import { commonVersionsOf } from '../versions.ts'
import { createTopic, nowMs, produce } from './topic.ts'

/**
 * Latest, earliest, largest timestamp, local earliest, last tiered, earliest pending upload, and numbers that mean
 * nothing.
 */
const specials = [-1n, -2n, -3n, -4n, -5n, -6n, -7n, -100n]
const times = [0n, nowMs - 2n, nowMs - 1n, nowMs, nowMs + 1n, nowMs + 2n, nowMs + 100n, 9_223_372_036_854_775_807n]

async function askAll(peer: Peer, label: string, topic: string): Promise<void> {
  for (const version of commonVersionsOf(ListOffsets)) {
    for (const timestamp of [...specials, ...times]) {
      const name = timestamp < 0n ? `${timestamp}` : `the time ${timestamp - nowMs}`
      await peer.ask(`${label}: ${name}`, ListOffsets, version, listOffsetsRequest(timestamp, { topic }))
    }
  }
}

const lookUps: Scenario = {
  name: 'ListOffsets: every special number and times, in every version',
  async run(peer) {
    const topic = 'list-offsets'
    const topicId = await createTopic(peer, topic)
    await askAll(peer, 'empty', topic)
    const timestamps = [nowMs, nowMs + 2n, nowMs - 1n]
    await produce(peer, topicId, [['a', 'b'], ['c'], ['d', 'e']], { timestamps })
    await askAll(peer, 'three batches', topic)
    const topics = [{ name: topic, partitions: [{ partitionIndex: 0, offset: 3n }] }]
    await peer.prepare(DeleteRecords, 2, { topics, timeoutMs: 1_000 })
    await askAll(peer, 'the first three records deleted', topic)
    const all = [{ name: topic, partitions: [{ partitionIndex: 0, offset: -1n }] }]
    await peer.prepare(DeleteRecords, 2, { topics: all, timeoutMs: 1_000 })
    await askAll(peer, 'all deleted', topic)
  },
}

const errors: Scenario = {
  name: 'ListOffsets: errors',
  async run(peer) {
    const topic = 'list-offsets-errors'
    const topicId = await createTopic(peer, topic)
    await produce(peer, topicId, [['a']])
    for (const version of commonVersionsOf(ListOffsets)) {
      const ask = async (label: string, options: Parameters<typeof listOffsetsRequest>[1], timestamp = -1n) =>
        await peer.ask(label, ListOffsets, version, listOffsetsRequest(timestamp, { topic, ...options }))
      await ask('an unknown topic', { topic: 'list-offsets-nowhere' })
      await ask('an invalid topic', { topic: 'a b' })
      await ask('an unknown partition', { partition: 3 })
      await ask('a negative partition', { partition: -3 })
      await ask('the leader epoch', { currentLeaderEpoch: 0 })
      await ask('a leader epoch that is not there yet', { currentLeaderEpoch: 4 })
      for (const isolationLevel of version >= 2 ? [1, 5] : [])
        await peer.ask(`isolation level ${isolationLevel}`, ListOffsets, version, {
          ...listOffsetsRequest(-1n, { topic }),
          isolationLevel,
        })
      for (const replicaId of [-2, -3, 0, 77])
        await peer.ask(`replica ${replicaId}`, ListOffsets, version, {
          ...listOffsetsRequest(-1n, { topic }),
          replicaId,
        })
      const partitions = [-1n, -2n].map((timestamp) => ({ partitionIndex: 0, currentLeaderEpoch: -1, timestamp }))
      const twice = { replicaId: -1, isolationLevel: 0, topics: [{ name: topic, partitions }], timeoutMs: 0 }
      await peer.ask('the same partition twice', ListOffsets, version, twice)
    }
  },
}

export const listOffsetsScenarios: readonly Scenario[] = [lookUps, errors]
