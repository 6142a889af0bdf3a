/** What every metadata store promises. `engine` begins with an empty cluster; `open` after a `close` is a restart. */
import assert from 'node:assert/strict'
import { test, type TestContext } from 'node:test'
import type { Uuid } from '../../protocol/schema.ts'
import {
  ConfigRecord,
  PartitionChangeRecord,
  PartitionRecord,
  ProducerIdsRecord,
  RemoveTopicRecord,
  TopicRecord,
} from '../../protocol/state/metadata-records.ts'
import { Link, LinkConfig, LinkFailure, Mirror, MirrorState, RemoveLink } from '../../protocol/state/mirror-records.ts'
import {
  record,
  type MetadataImage,
  type MetadataRecord,
  type MetadataStore,
} from '../../src/metadata/metadata-store.ts'

export interface MetadataEngine {
  open(): Promise<MetadataStore>
}

/** A valid id whose first letters are `name`. */
export function idOf(name: string): Uuid {
  return `${name.padEnd(21, '-')}A`
}

export function partitionOf(
  topicId: Uuid,
  partitionId: number,
  changes: { readonly leaderEpoch?: number } = {},
): MetadataRecord {
  const { leaderEpoch = 0 } = changes
  return record(PartitionRecord, {
    partitionId,
    topicId,
    replicas: [1],
    isr: [1],
    removingReplicas: [],
    addingReplicas: [],
    leader: 1,
    leaderEpoch,
    partitionEpoch: 0,
    directories: [],
  })
}

/** The records that create a topic. */
export function topicOf(name: string, partitionCount = 1): MetadataRecord[] {
  const topicId = idOf(name)
  const partitions = Array.from({ length: partitionCount }, (_, index) => partitionOf(topicId, index))
  return [record(TopicRecord, { name, topicId }), ...partitions]
}

export function configOf(topic: string, name: string, value: string | null): MetadataRecord {
  return record(ConfigRecord, { resourceType: 2, resourceName: topic, name, value })
}

/** `nodeId` '' is the cluster-wide default. */
export function brokerConfigOf(nodeId: string, name: string, value: string | null): MetadataRecord {
  return record(ConfigRecord, { resourceType: 4, resourceName: nodeId, name, value })
}

export async function append(store: MetadataStore, records: readonly MetadataRecord[]): Promise<bigint> {
  const result = await store.append(records)
  assert(result.ok, result.ok ? '' : `${result.code}: ${result.message}`)
  return result.offset
}

export function metadataStoreContract(
  name: string,
  engineOf: (t: TestContext) => MetadataEngine | Promise<MetadataEngine>,
): void {
  const rule = (sentence: string, check: (engine: MetadataEngine, store: MetadataStore) => Promise<void>): void => {
    test(`${name}: ${sentence}`, async (t) => {
      const engine = await engineOf(t)
      const store = await engine.open()
      try {
        await check(engine, store)
      } finally {
        await store.close()
      }
    })
  }

  rule('a fresh cluster has an id, no topics, and producer ids in a space of its own', async (_, store) => {
    assert.match(store.image.clusterId, /^[A-Za-z0-9_-]{22}$/)
    assert.equal(store.image.topics.size, 0)
    const high = store.image.nextProducerId >> 32n
    assert(high >= 1n && high < 2n ** 31n)
    assert.equal(store.image.nextProducerId & 0xffff_ffffn, 0n)
  })

  rule('when an append resolves the image has it, at the offset it names', async (_, store) => {
    const before = store.image.offset
    const offset = await append(store, [...topicOf('orders', 2), configOf('orders', 'retention.ms', '5')])
    assert.equal(offset, before + 4n)
    assert.equal(store.image.offset, offset)
    const topic = store.image.topics.get('orders')!
    assert.equal(store.image.topicsById.get(topic.topicId), topic)
    assert.deepEqual(topic.configs, new Map([['retention.ms', '5']]))
    const partition = { leader: 1, leaderEpoch: 0, partitionEpoch: 0, replicas: [1], isr: [1] }
    assert.deepEqual(topic.partitions, [
      { ...partition, partitionIndex: 0 },
      { ...partition, partitionIndex: 1 },
    ])
  })

  rule('an empty change is done at once, without an offset of its own', async (_, store) => {
    const { image } = store
    assert.equal(await append(store, []), image.offset)
    assert.equal(store.image, image)
  })

  rule('internal topics are known by their names', async (_, store) => {
    await append(store, [...topicOf('__consumer_offsets'), ...topicOf('__mine')])
    assert.equal(store.image.topics.get('__consumer_offsets')!.isInternal, true)
    assert.equal(store.image.topics.get('__mine')!.isInternal, false)
  })

  rule('naming a leader raises the leader epoch by one, other changes only the partition epoch', async (_, store) => {
    await append(store, topicOf('t'))
    const change = { topicId: idOf('t'), partitionId: 0 }
    await append(store, [record(PartitionChangeRecord, { ...change, leader: 1 })])
    await append(store, [record(PartitionChangeRecord, { ...change, isr: [] })])
    const [partition] = store.image.topics.get('t')!.partitions
    assert.deepEqual([partition!.leaderEpoch, partition!.partitionEpoch, partition!.isr], [1, 2, []])
    await append(store, [partitionOf(idOf('t'), 0, { leaderEpoch: 40 })])
    assert.equal(store.image.topics.get('t')!.partitions[0]!.leaderEpoch, 40)
  })

  rule('partitions are added, configs replaced and removed, a topic goes with all it has', async (_, store) => {
    await append(store, [...topicOf('t'), configOf('t', 'a', '1'), configOf('t', 'b', '2')])
    await append(store, [partitionOf(idOf('t'), 1), configOf('t', 'a', null), configOf('t', 'b', '3')])
    const topic = store.image.topics.get('t')!
    assert.equal(topic.partitions.length, 2)
    assert.deepEqual(topic.configs, new Map([['b', '3']]))
    await append(store, [record(RemoveTopicRecord, { topicId: idOf('t') })])
    assert.equal(store.image.topics.size + store.image.topicsById.size, 0)
  })

  rule('one change may remove a topic and create another of its name', async (_, store) => {
    await append(store, [...topicOf('t'), configOf('t', 'a', '1')])
    const topicId = idOf('second')
    await append(store, [
      record(RemoveTopicRecord, { topicId: idOf('t') }),
      record(TopicRecord, { name: 't', topicId }),
      partitionOf(topicId, 0),
    ])
    assert.equal(store.image.topics.get('t')!.topicId, topicId)
    assert.equal(store.image.topics.get('t')!.configs.size, 0)
    assert.equal(store.image.topicsById.size, 1)
  })

  rule('broker configs are kept by broker id', async (_, store) => {
    await append(store, [brokerConfigOf('', 'num.partitions', '2')])
    await append(store, [brokerConfigOf('1', 'num.partitions', '3')])
    assert.equal(store.image.brokerConfigs.get('')!.get('num.partitions'), '2')
    assert.equal(store.image.brokerConfigs.get('1')!.get('num.partitions'), '3')
  })

  rule('configs of client metrics and groups are kept by name, and gone with the last of them', async (_, store) => {
    for (const [resourceType, kind] of [
      [16, 'clientMetricsConfigs'],
      [32, 'groupConfigs'],
    ] as const) {
      const config = { resourceType, resourceName: 'mine', name: 'interval.ms' }
      await append(store, [record(ConfigRecord, { ...config, value: '2' })])
      assert.deepEqual(store.image[kind], new Map([['mine', new Map([['interval.ms', '2']])]]))
      await append(store, [record(ConfigRecord, { ...config, value: null })])
      assert.equal(store.image[kind].size, 0)
    }
  })

  rule('links and mirrors are kept, with failures and the decision to stop', async (_, store) => {
    const linkId = idOf('link')
    await append(store, [
      record(Link, { linkId, name: 'from-east', sourceClusterId: 'east' }),
      record(LinkConfig, { linkId, name: 'bootstrap.servers', value: 'east:9092' }),
    ])
    const mirror = { topicId: idOf('t'), linkId, sourceTopicName: 't', sourceTopicId: idOf('source') }
    await append(store, [...topicOf('t'), record(Mirror, mirror)])
    assert.equal(store.image.topics.get('t')!.mirror!.state, 'ACTIVE')
    await append(store, [record(LinkFailure, { linkId, code: 'AUTHENTICATION_ERROR', reason: 'no.' })])
    const ends = [{ partitionIndex: 0, leaderEpoch: 3, endOffset: 2n ** 60n + 1n }]
    const stopDecisionId = idOf('decision')
    const state = { topicId: idOf('t'), state: 'STOPPED', sinceMs: 7n, stopDecisionId, stopKind: 'failover', ends }
    await append(store, [record(MirrorState, state)])
    const link = store.image.links.get('from-east')!
    assert.equal(store.image.linksById.get(linkId), link)
    assert.deepEqual(link.configs, new Map([['bootstrap.servers', 'east:9092']]))
    assert.deepEqual(link.failure, { code: 'AUTHENTICATION_ERROR', reason: 'no.' })
    assert.deepEqual(store.image.topics.get('t')!.mirror, {
      linkId,
      sourceTopicName: 't',
      sourceTopicId: idOf('source'),
      state: 'STOPPED',
      stateSinceMs: 7n,
      error: 'NO_ERROR',
      reason: '',
      stop: { decisionId: stopDecisionId, kind: 'failover' },
      ends,
    })
    await append(store, [record(LinkFailure, { linkId, code: '' })])
    assert.equal(store.image.links.get('from-east')!.failure, undefined)
    await append(store, [record(RemoveLink, { linkId })])
    assert.equal(store.image.links.size + store.image.linksById.size, 0)
  })

  rule('producer ids are reserved exactly, also where a double would round, and never go back', async (_, store) => {
    const nextProducerId = store.image.nextProducerId + 1001n
    await append(store, [record(ProducerIdsRecord, { brokerId: 1, nextProducerId })])
    assert.equal(store.image.nextProducerId, nextProducerId)
    const back = [record(ProducerIdsRecord, { brokerId: 1, nextProducerId: nextProducerId - 1n })]
    await assert.rejects(store.append(back), /producer ids go back/)
  })

  rule('an image never changes, and shares what a change did not touch', async (_, store) => {
    await append(store, [...topicOf('a'), ...topicOf('b')])
    const before = store.image
    const copy = structuredClone(before)
    await append(store, [configOf('a', 'x', '1'), partitionOf(idOf('a'), 1)])
    const after = store.image
    assert.deepEqual(before, copy)
    assert.notEqual(after.topics.get('a'), before.topics.get('a'))
    assert.equal(after.topics.get('b'), before.topics.get('b'))
    assert.equal(after.links, before.links)
    assert.equal(after.brokerConfigs, before.brokerConfigs)
  })

  rule('an append that expects another offset is a conflict and changes nothing', async (_, store) => {
    const { offset } = store.image
    const [first, second] = await Promise.all([
      store.append(topicOf('first'), { expectedOffset: offset }),
      store.append(topicOf('second'), { expectedOffset: offset }),
    ])
    assert.equal(first.ok, true)
    assert(!second.ok)
    assert.equal(second.code, 'CONFLICT')
    assert.deepEqual([...store.image.topics.keys()], ['first'])
  })

  rule('appends take effect in the order of their calls', async (_, store) => {
    const names = ['a', 'b', 'c', 'd']
    const offsets = await Promise.all(names.map((topic) => append(store, topicOf(topic))))
    assert.deepEqual([...store.image.topics.keys()], names)
    assert.deepEqual(
      offsets,
      offsets.toSorted((a, b) => Number(a - b)),
    )
  })

  rule('a change that contradicts the image is refused as a whole, and the store goes on', async (_, store) => {
    const before = store.image
    const wrong = [
      [...topicOf('t'), configOf('other', 'a', '1')],
      [...topicOf('t'), ...topicOf('t')],
      [record(RemoveTopicRecord, { topicId: idOf('nobody') })],
      [record(TopicRecord, { name: 't', topicId: idOf('t') }), partitionOf(idOf('t'), 1)],
      [record(RemoveLink, { linkId: idOf('nobody') })],
    ]
    for (const records of wrong) await assert.rejects(store.append(records))
    assert.equal(store.image, before)
    await append(store, topicOf('t'))
    assert.deepEqual([...store.image.topics.keys()], ['t'])
  })

  rule('listeners see each change once and in order, before the append resolves', async (_, store) => {
    const seen: [MetadataImage, MetadataImage][] = []
    const start = store.image
    const registration = store.onImage((image, previous) => seen.push([image, previous]))
    await append(store, topicOf('a'))
    const middle = store.image
    assert.deepEqual(seen, [[middle, start]])
    await append(store, topicOf('b'))
    registration[Symbol.dispose]()
    const last = store.image
    await append(store, topicOf('c'))
    assert.equal(seen.length, 2)
    assert.equal(seen[1]![0], last)
    assert.equal(seen[1]![1], middle)
  })

  rule('the image is the same after a restart, defaults of records included', async (engine, store) => {
    const linkId = idOf('link')
    await append(store, [...topicOf('gone'), ...topicOf('t', 3), configOf('t', 'a', '1')])
    await append(store, [record(RemoveTopicRecord, { topicId: idOf('gone') })])
    await append(store, [record(Link, { linkId, name: 'l', sourceClusterId: 'c' })])
    await append(store, [
      record(Mirror, { topicId: idOf('t'), linkId, sourceTopicName: 's', sourceTopicId: idOf('s') }),
      record(MirrorState, { topicId: idOf('t'), state: 'PAUSED', sinceMs: 1n }),
      record(ProducerIdsRecord, { brokerId: 1, nextProducerId: store.image.nextProducerId + 1000n }),
    ])
    const before = store.image
    await store.close()
    const again = await engine.open()
    assert.deepEqual(again.image, before)
    await append(again, topicOf('more'))
    await again.close()
  })

  rule('close waits for the appends before it; those after it are CLOSED', async (engine, store) => {
    const before = store.append(topicOf('before'))
    const closed = store.close()
    const after = store.append(topicOf('after'))
    assert.equal((await before).ok, true)
    await closed
    const refused = await after
    assert(!refused.ok)
    assert.equal(refused.code, 'CLOSED')
    const again = await engine.open()
    assert.deepEqual([...again.image.topics.keys()], ['before'])
    await again.close()
  })
}
