/** Who leads once brokers come and go, as a pure function: its rules hold after any ups and downs. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { seededRandom } from '../../src/environment/seeded-random.ts'
import type { PartitionImage, TopicImage } from '../../src/metadata/metadata-store.ts'
import { followBrokers, noLeader, type PartitionChange } from '../../src/topics/elections.ts'
import { LiveBrokers } from '../../src/topics/live-brokers.ts'

const topicId = 'AAAAAAAAAAAAAAAAAAAAAg' as TopicImage['topicId']

function partitionOf(options: Partial<PartitionImage> = {}): PartitionImage {
  const replicas = options.replicas ?? [1, 2, 3]
  return {
    partitionIndex: 0,
    leader: replicas[0]!,
    leaderEpoch: 0,
    partitionEpoch: 0,
    isr: replicas,
    ...options,
    replicas,
  }
}

function topicOf(...partitions: PartitionImage[]): TopicImage {
  return { name: 'orders', topicId, isInternal: false, partitions, configs: new Map(), mirror: undefined }
}

function follow(partition: PartitionImage, brokers: LiveBrokers): PartitionChange | undefined {
  return followBrokers(topicOf(partition), partition, brokers)
}

/** As the metadata log replays a change: a leader that is named begins a new epoch. */
function applied(partition: PartitionImage, change: PartitionChange | undefined): PartitionImage {
  if (!change) return partition
  const { leader = partition.leader, replicas = partition.replicas, isr } = change
  const leaderEpoch = partition.leaderEpoch + (change.leader === undefined ? 0 : 1)
  return { ...partition, leader, replicas, isr, leaderEpoch, partitionEpoch: partition.partitionEpoch + 1 }
}

function down(...nodeIds: number[]): LiveBrokers {
  const brokers = new LiveBrokers([1, 2, 3])
  for (const nodeId of nodeIds) brokers.set(nodeId, false)
  return brokers
}

for (let seed = 0; seed < 50; seed++) {
  test(`after any ups and downs the leader lives and is in sync, or there is none (seed ${seed})`, () => {
    const random = seededRandom(seed)
    const nodeIds = Array.from({ length: 1 + random.below(5) }, (_, at) => at + 1)
    const brokers = new LiveBrokers(nodeIds)
    const first = random.below(nodeIds.length)
    const count = 1 + random.below(nodeIds.length)
    let partition = partitionOf({
      replicas: Array.from({ length: count }, (_, at) => nodeIds[(first + at) % nodeIds.length]!),
    })
    for (let step = 0; step < 100; step++) {
      for (const nodeId of nodeIds) if (random.below(4) === 0) brokers.set(nodeId, random.below(2) === 0)
      const before = partition
      const change = follow(before, brokers)
      partition = applied(before, change)
      const { leader, isr, replicas, leaderEpoch } = partition
      const living = replicas.filter((nodeId) => brokers.isAlive(nodeId))

      assert.deepEqual(replicas, before.replicas, 'replicas stay where they are')
      assert(isr.length > 0, 'somebody is always named in sync')
      assert(isr.every((nodeId) => replicas.includes(nodeId)))
      assert.equal(new Set(isr).size, isr.length)
      if (living.length === 0) assert.equal(leader, noLeader)
      else {
        assert(living.includes(leader), `got leader ${leader}, expected one of ${living.join()}`)
        assert(isr.includes(leader))
        assert.deepEqual(new Set(isr), new Set(living), 'who lives is in sync, and nobody else')
      }
      if (living.includes(before.leader)) assert.equal(leader, before.leader, 'a leader stays while it lives')
      assert.equal(leaderEpoch - before.leaderEpoch, leader === before.leader ? 0 : 1)
      assert.equal(follow(partition, brokers), undefined, 'who asks again hears of no change')
    }
  })
}

test('nothing changes while all brokers live, whatever the order in which the replicas in sync are named', () => {
  assert.equal(follow(partitionOf({ isr: [3, 1, 2], leader: 2 }), down()), undefined)
})

test('a follower that goes leaves only the replicas in sync: the leader and its epoch stay', () => {
  assert.deepEqual(follow(partitionOf(), down(2)), { topicId, partitionIndex: 0, isr: [1, 3] })
})

test('the first replica that lives follows a leader that goes', () => {
  assert.deepEqual(follow(partitionOf(), down(1)), { topicId, partitionIndex: 0, leader: 2, isr: [2, 3] })
  assert.deepEqual(follow(partitionOf({ replicas: [3, 1, 2] }), down(3)), {
    topicId,
    partitionIndex: 0,
    leader: 1,
    isr: [1, 2],
  })
})

test('the last replica in sync stays named when it goes, and leads again when it is the first to come back', () => {
  const alone = partitionOf({ leader: 2, isr: [2] })
  const gone = applied(alone, follow(alone, down(1, 2, 3)))
  assert.deepEqual([gone.leader, gone.isr, gone.leaderEpoch], [noLeader, [2], 1])
  const back = applied(gone, follow(gone, down(1, 3)))
  assert.deepEqual([back.leader, back.isr, back.leaderEpoch], [2, [2], 2])
})

test('replicas on brokers that this process no longer has are left out, and a partition without any gets one', () => {
  const three = new LiveBrokers([1, 2])
  assert.deepEqual(follow(partitionOf(), three), { topicId, partitionIndex: 0, isr: [1, 2], replicas: [1, 2] })
  for (const [partitionIndex, nodeId] of [1, 2, 1].entries()) {
    const lost = partitionOf({ partitionIndex, replicas: [3] })
    const expected = { topicId, partitionIndex, leader: nodeId, isr: [nodeId], replicas: [nodeId] }
    assert.deepEqual(follow(lost, three), expected)
  }
})
