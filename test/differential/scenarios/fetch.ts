import { DeleteRecords } from '../../../protocol/apis/delete-records.ts'
import { DeleteTopics } from '../../../protocol/apis/delete-topics.ts'
import { Fetch } from '../../../protocol/apis/fetch.ts'
import { ListOffsets } from '../../../protocol/apis/list-offsets.ts'
import { Metadata } from '../../../protocol/apis/metadata.ts'
import { OffsetForLeaderEpoch } from '../../../protocol/apis/offset-for-leader-epoch.ts'
import { Produce } from '../../../protocol/apis/produce.ts'
import { zeroUuid } from '../../../protocol/schema.ts'
import { batchOf } from '../../support/records.ts'
import {
  fetchRequest,
  listOffsetsRequest,
  metadataRequest,
  produceRequest,
  type FetchOptions,
} from '../../support/requests.ts'
import type { Peer, Scenario } from '../peer.ts'
import { commonVersionsOf } from '../versions.ts'
import { createTopic, nowMs, produce, unknownId } from './topic.ts'

const byId = 13

interface Row {
  readonly label: string
  readonly options: Omit<FetchOptions, 'topic' | 'topicId'>
  readonly version?: number
}

/** Each fetches from a topic of three batches with two records each. */
const rows: readonly Row[] = [
  { label: 'from the start', options: {} },
  { label: 'from the middle of a batch', options: { partitions: [{ partition: 0, fetchOffset: 3n }] } },
  { label: 'from the end', options: { partitions: [{ partition: 0, fetchOffset: 6n }] } },
  { label: 'beyond the end', options: { partitions: [{ partition: 0, fetchOffset: 7n }] } },
  { label: 'below 0', options: { partitions: [{ partition: 0, fetchOffset: -1n }] } },
  { label: 'far below 0', options: { partitions: [{ partition: 0, fetchOffset: -5n }] } },
  { label: 'an unknown partition', options: { partitions: [{ partition: 9 }] } },
  { label: 'a negative partition', options: { partitions: [{ partition: -1 }] } },
  { label: 'the leader epoch', options: { partitions: [{ partition: 0, currentLeaderEpoch: 0 }] } },
  { label: 'a leader epoch that is not there yet', options: { partitions: [{ partition: 0, currentLeaderEpoch: 7 }] } },
  { label: 'a leader epoch below 0', options: { partitions: [{ partition: 0, currentLeaderEpoch: -7 }] } },
  {
    label: 'the epoch of the last record',
    options: { partitions: [{ partition: 0, fetchOffset: 6n, lastFetchedEpoch: 0 }] },
  },
  {
    label: 'a last epoch that never was',
    options: { partitions: [{ partition: 0, fetchOffset: 6n, lastFetchedEpoch: 4 }] },
  },
  { label: 'read committed', options: { isolationLevel: 1 } },
  { label: 'an isolation level that is none', options: { isolationLevel: 7 } },
  { label: 'one byte in all', options: { maxBytes: 1 } },
  { label: 'no bytes', options: { maxBytes: 0 } },
  { label: 'one byte of the partition', options: { partitions: [{ partition: 0, partitionMaxBytes: 1 }] } },
  { label: 'two batches and a half', options: { partitions: [{ partition: 0, partitionMaxBytes: 160 }] } },
  { label: 'more than there is', options: { minBytes: 1_000_000, maxWaitMs: 20 } },
  { label: 'negative limits', options: { maxBytes: -1, minBytes: -1, maxWaitMs: -1 } },
  { label: 'the same partition twice', options: { partitions: [{ partition: 0 }, { partition: 0, fetchOffset: 4n }] } },
  { label: 'no partitions', options: { partitions: [] } },
]

const offsets: Scenario = {
  name: 'Fetch: offsets, epochs and limits',
  async run(peer) {
    const topic = 'fetch-rows'
    const topicId = await createTopic(peer, topic, { partitions: 2 })
    await produce(peer, topicId, [
      ['a', 'b'],
      ['c', 'd'],
      ['e', 'f'],
    ])
    for (const { label, options, version = 12 } of rows)
      await peer.ask(label, Fetch, version, fetchRequest({ ...options, topic, topicId }))
    for (const { label, options } of rows)
      await peer.ask(`${label}, by id`, Fetch, 17, fetchRequest({ ...options, topic, topicId }))
    const topics = [{ name: topic, partitions: [{ partitionIndex: 0, offset: 3n }] }]
    await peer.ask('delete records', DeleteRecords, 2, { topics, timeoutMs: 1_000 })
    await peer.ask('below the log start', Fetch, 12, fetchRequest({ topic }))
    await peer.ask(
      'at the log start',
      Fetch,
      12,
      fetchRequest({ topic, partitions: [{ partition: 0, fetchOffset: 3n }] }),
    )
    const fromReplica = { ...fetchRequest({ topic }), replicaId: 77 }
    await peer.ask('as a replica that is none', Fetch, 11, fromReplica)
  },
}

const versions: Scenario = {
  name: 'Fetch: every version',
  async run(peer) {
    const topic = 'fetch-versions'
    const topicId = await createTopic(peer, topic)
    await produce(peer, topicId, [['a', 'b'], ['c']])
    for (const version of commonVersionsOf(Fetch)) {
      await peer.ask('a topic', Fetch, version, fetchRequest({ topic, topicId }))
      await peer.ask('an unknown topic', Fetch, version, fetchRequest({ topic: 'fetch-nowhere', topicId: unknownId }))
      await peer.ask('no id', Fetch, version, fetchRequest({ topic }))
    }
  },
}

async function sessionOf(peer: Peer, label: string, options: FetchOptions, version = 12): Promise<number> {
  const answer = await peer.ask(label, Fetch, version, fetchRequest({ ...options, sessionId: 0, sessionEpoch: 0 }))
  return answer?.sessionId ?? 0
}

const sessions: Scenario = {
  name: 'Fetch: sessions',
  async run(peer) {
    const topic = 'fetch-sessions'
    const topicId = await createTopic(peer, topic, { partitions: 3 })
    await produce(peer, topicId, [['a']], { partition: 0 })
    await produce(peer, topicId, [['b']], { partition: 1 })
    const all = [{ partition: 0 }, { partition: 1 }, { partition: 2 }]
    for (const version of [12, 17]) {
      const ask = (label: string, options: FetchOptions) =>
        peer.ask(`${label}, v${version}`, Fetch, version, fetchRequest({ topic, topicId, ...options }))
      const sessionId = await sessionOf(
        peer,
        `a new session, v${version}`,
        { topic, topicId, partitions: all },
        version,
      )
      await ask('nothing new', { partitions: [], sessionId, sessionEpoch: 1 })
      const moved = [{ partition: 0, fetchOffset: 1n }]
      await ask('one moves on', { partitions: moved, sessionId, sessionEpoch: 2 })
      await ask('one is forgotten', { partitions: [], forgotten: [1], sessionId, sessionEpoch: 3 })
      await ask('an unknown partition joins', { partitions: [{ partition: 9 }], sessionId, sessionEpoch: 4 })
      await ask('the error comes again', { partitions: [], sessionId, sessionEpoch: 5 })
      await ask('a wrong epoch', { partitions: [], sessionId, sessionEpoch: 9 })
      await ask('an unknown session', { partitions: [], sessionId: 1, sessionEpoch: 9 })
      await ask('the end of a session', { partitions: moved, sessionId, sessionEpoch: -1 })
      await ask('after the end', { partitions: [], sessionId, sessionEpoch: 6 })
      await ask('an unknown session ends', { partitions: moved, sessionId: 3, sessionEpoch: -1 })
      await ask('a new session without partitions', { partitions: [], sessionId: 0, sessionEpoch: 0 })
    }
    const { sessionId: one } = await peer.prepare(Fetch, 12, fetchRequest({ topic, partitions: all, sessionEpoch: 0 }))
    await peer.ask(
      'a session by names is continued by ids',
      Fetch,
      byId,
      fetchRequest({ topic, topicId, partitions: [], sessionId: one, sessionEpoch: 1 }),
    )
    const { sessionId: other } = await peer.prepare(
      Fetch,
      byId,
      fetchRequest({ topicId: unknownId, partitions: all, sessionEpoch: 0 }),
    )
    await peer.ask(
      'a session with an unknown id',
      Fetch,
      byId,
      fetchRequest({ topicId, partitions: [], sessionId: other, sessionEpoch: 1 }),
    )
  },
}

const recreated: Scenario = {
  name: 'Fetch: a topic that was created again under its name',
  async run(peer) {
    const topic = 'fetch-again'
    const oldId = await createTopic(peer, topic)
    await produce(peer, oldId, [['a']])
    const partitions = [{ partition: 0 }]
    const session = await sessionOf(peer, 'a session by ids', { topic, topicId: oldId, partitions }, 17)
    const named = await sessionOf(peer, 'a session by names', { topic, partitions })
    const byName = { topics: [{ name: topic, topicId: zeroUuid }], topicNames: [], timeoutMs: 1_000 }
    await peer.prepare(DeleteTopics, 6, byName)
    await peer.prepareUntil(ListOffsets, 10, {
      request: listOffsetsRequest(-1n, { topic }),
      isGood: ({ topics }) => topics[0]!.partitions[0]!.errorCode === 3,
    })
    await peer.ask('deleted, by ids', Fetch, 17, fetchRequest({ topicId: oldId, partitions }))
    await peer.ask('deleted, in its session', Fetch, 17, continued(session, 1))
    await peer.ask('deleted, in the session by names', Fetch, 12, continued(named, 1))
    const newId = await createTopic(peer, topic)
    await peer.ask('by the old id', Fetch, 17, fetchRequest({ topicId: oldId, partitions }))
    await peer.ask('in the old session', Fetch, 17, continued(session, 2))
    await peer.ask('in the session by names', Fetch, 12, continued(named, 2))
    await peer.ask('by the new id', Fetch, 17, fetchRequest({ topicId: newId, partitions }))
    const records = [batchOf(['b'], { baseTimestampMs: nowMs })]
    await peer.ask('a produce to the old id', Produce, 13, produceRequest({ topicId: oldId, records }))
    await peer.ask('metadata of the old id', Metadata, 12, metadataRequest([{ topicId: oldId }]))
  },
}

function continued(sessionId: number, sessionEpoch: number) {
  return fetchRequest({ partitions: [], sessionId, sessionEpoch })
}

interface EpochRow {
  readonly label: string
  readonly partition?: number
  readonly currentLeaderEpoch?: number
  readonly leaderEpoch: number
}

const epochRows: readonly EpochRow[] = [
  { label: 'the only epoch', leaderEpoch: 0 },
  { label: 'a later epoch', leaderEpoch: 5 },
  { label: 'an undefined epoch', leaderEpoch: -1 },
  { label: 'a negative epoch', leaderEpoch: -3 },
  { label: 'the current epoch', leaderEpoch: 0, currentLeaderEpoch: 0 },
  { label: 'a current epoch that is not there yet', leaderEpoch: 0, currentLeaderEpoch: 3 },
  { label: 'an unknown partition', leaderEpoch: 0, partition: 5 },
  { label: 'a negative partition', leaderEpoch: 0, partition: -5 },
]

const epochs: Scenario = {
  name: 'OffsetForLeaderEpoch: every version',
  async run(peer) {
    const topic = 'fetch-epochs'
    const topicId = await createTopic(peer, topic)
    for (const isEmpty of [true, false]) {
      for (const version of commonVersionsOf(OffsetForLeaderEpoch)) {
        for (const { label, partition = 0, currentLeaderEpoch = -1, leaderEpoch } of epochRows) {
          const partitions = [{ partition, currentLeaderEpoch, leaderEpoch }]
          const name = `${label}${isEmpty ? ', empty log' : ''}`
          await peer.ask(name, OffsetForLeaderEpoch, version, { replicaId: -1, topics: [{ topic, partitions }] })
        }
      }
      await produce(peer, topicId, [['a', 'b']])
    }
    const partitions = [{ partition: 0, currentLeaderEpoch: -1, leaderEpoch: 0 }]
    const topics = [{ topic: 'fetch-nowhere', partitions }]
    await peer.ask('an unknown topic', OffsetForLeaderEpoch, 4, { replicaId: -1, topics })
    await peer.ask('an invalid name', OffsetForLeaderEpoch, 4, {
      replicaId: -1,
      topics: [{ topic: 'a b', partitions }],
    })
    await peer.ask('nothing', OffsetForLeaderEpoch, 4, { replicaId: -1, topics: [] })
  },
}

export const fetchScenarios: readonly Scenario[] = [offsets, versions, sessions, recreated, epochs]
