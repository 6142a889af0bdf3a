import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ApiVersions } from '../../protocol/apis/api-versions.ts'
import { Fetch } from '../../protocol/apis/fetch.ts'
import { ListOffsets } from '../../protocol/apis/list-offsets.ts'
import { Metadata } from '../../protocol/apis/metadata.ts'
import { frameResponse } from '../../protocol/frame.ts'
import { MemoryNetwork } from '../../src/environment/memory-network.ts'
import { nodeClock } from '../../src/environment/node-clock.ts'
import { seededRandom } from '../../src/environment/seeded-random.ts'
import { SimulatedClock } from '../../src/environment/simulated-clock.ts'
import { parseBootstrapServers, RemoteCluster, type RemoteClusterOptions } from '../../src/remote/remote-cluster.ts'
import type { RemoteMetadata } from '../../src/remote/remote.ts'
import type { Cleanup } from '../support/broker.ts'
import { batchOf } from '../support/records.ts'
import { releases, ScriptedSource } from '../support/scripted-source.ts'

interface Opened {
  readonly network: MemoryNetwork
  readonly source: ScriptedSource
  readonly remote: RemoteCluster
}

function connectTo(
  t: Cleanup,
  network: MemoryNetwork,
  servers: string,
  options: Partial<RemoteClusterOptions> = {},
): RemoteCluster {
  const environment = { network, clock: nodeClock, random: seededRandom(3) }
  const remote = new RemoteCluster(environment, {
    bootstrapServers: parseBootstrapServers(servers),
    clientId: 'test',
    requestTimeoutMs: 2_000,
    reconnectBackoffMs: 1,
    reconnectBackoffMaxMs: 5,
    ...options,
  })
  t.after(() => remote.close())
  return remote
}

async function open(
  t: Cleanup,
  options: { release?: keyof typeof releases; ports?: readonly number[]; remote?: Partial<RemoteClusterOptions> } = {},
): Promise<Opened> {
  const network = new MemoryNetwork(nodeClock)
  const { release = '4.0', ports = [9_192] } = options
  const source = await ScriptedSource.start(t, { network, release, ports })
  source.addTopic('orders', 2)
  const remote = connectTo(t, network, source.bootstrapServers, options.remote)
  return { network, source, remote }
}

async function metadataOf(remote: RemoteCluster, topics: readonly string[] = ['orders']): Promise<RemoteMetadata> {
  const result = await remote.refresh(topics)
  assert(result.ok, result.ok ? '' : `${result.code}: ${result.message}`)
  return result.metadata
}

for (const [text, expected] of [
  ['a:1', [{ host: 'a', port: 1 }]],
  [
    ' a:1 , b.example:65535,',
    [
      { host: 'a', port: 1 },
      { host: 'b.example', port: 65_535 },
    ],
  ],
  ['[::1]:9092', [{ host: '::1', port: 9_092 }]],
  ['PLAINTEXT://broker-1:9092', [{ host: 'broker-1', port: 9_092 }]],
] as const) {
  test(`the bootstrap list '${text}' is understood`, () => {
    assert.deepEqual(parseBootstrapServers(text), expected)
  })
}

for (const text of ['a', 'a:0', 'a:65536', 'a:b', ':1', 'a:1:2', 'a b:1', 'a:1,b']) {
  test(`the bootstrap list '${text}' is refused`, () => {
    assert.throws(() => parseBootstrapServers(text), /expected host:port/)
  })
}

for (const release of Object.keys(releases) as (keyof typeof releases)[]) {
  test(`each request to a broker of Kafka ${release} goes at the highest version that both know`, async (t) => {
    const { source, remote } = await open(t, { release })
    const topic = (await metadataOf(remote)).topics.get('orders')!
    assert.ok((await remote.listOffsets(topic, -1n)).ok)
    assert.ok((await remote.endOffsetForEpoch(topic, 0, 0)).ok)
    assert.ok((await remote.topicConfigs('orders')).ok)
    const asked = new Map(source.seen.map(({ api, version }) => [api, version]))
    for (const api of ['Metadata', 'ListOffsets', 'OffsetForLeaderEpoch', 'DescribeConfigs'] as const)
      assert.equal(asked.get(api), releases[release][api][1], api)
    const isOld = release === '2.1' || release === '2.3'
    assert.equal(asked.get('ApiVersions'), isOld ? 0 : 3)
    assert.deepEqual(source.unserved, isOld ? ['ApiVersions v3'] : [])
  })
}

test('metadata tells brokers, leaders, epochs and ids, and never creates a topic', async (t) => {
  const { source, remote } = await open(t, { ports: [9_192, 9_193] })
  source.topics.get('orders')!.partitions[1]!.leader = 2
  source.topics.get('orders')!.partitions[1]!.leaderEpoch = 7
  const { topics, brokers, clusterId } = await metadataOf(remote, ['orders', 'nothing'])
  assert.equal(clusterId, 'scripted-cluster')
  assert.deepEqual([...brokers.keys()], [1, 2])
  assert.equal(topics.get('orders')!.topicId, source.topics.get('orders')!.topicId)
  assert.deepEqual(topics.get('orders')!.partitions, [
    { partitionIndex: 0, errorCode: 0, leader: 1, leaderEpoch: 0 },
    { partitionIndex: 1, errorCode: 0, leader: 2, leaderEpoch: 7 },
  ])
  assert.equal(topics.get('nothing')!.errorCode, 3)
  assert.ok(source.seenOf(Metadata).every(({ request }) => !request.allowAutoTopicCreation))
})

test('a topic whose partitions are told with holes is not believed', async (t) => {
  const { source, remote } = await open(t)
  source.lies['Metadata'] = (_request: never, answer) => {
    const honest = answer() as { topics: { partitions: unknown[] }[] }
    for (const topic of honest.topics) topic.partitions.shift()
    return honest
  }
  const { topics } = await metadataOf(remote)
  assert.notEqual(topics.get('orders')!.errorCode, 0)
  assert.deepEqual(topics.get('orders')!.partitions, [])
})

test('another cluster than the expected one is refused before anything else is asked', async (t) => {
  const { source, remote } = await open(t, { remote: { expectedClusterId: 'mine' } })
  const result = await remote.refresh(['orders'])
  assert.ok(!result.ok)
  assert.equal(result.code, 'WRONG_CLUSTER')
  assert.equal(result.retriable, false)
  assert.match(result.message, /scripted\.test:9192 belongs to cluster scripted-cluster, expected cluster mine/)
  assert.deepEqual([...new Set(source.seen.map(({ api }) => api))], ['ApiVersions', 'Metadata'])
})

test('the cluster that answers first is the pinned one, on each new connection and for fetches too (T14)', async (t) => {
  const { source, remote } = await open(t)
  const topic = (await metadataOf(remote)).topics.get('orders')!
  source.clusterId = 'another'
  const session = remote.openFetchSession(1)
  const position = {
    topicName: 'orders',
    topicId: topic.topicId,
    partitionIndex: 0,
    fetchOffset: 0n,
    lastFetchedEpoch: -1,
    currentLeaderEpoch: 0,
    maxBytes: 1_000,
  }
  const { signal } = new AbortController()
  const fetched = await session.fetch([position], { maxWaitMs: 1, minBytes: 1, maxBytes: 1_000, signal })
  assert.ok(!fetched.ok)
  assert.equal(fetched.code, 'WRONG_CLUSTER')
  assert.deepEqual(source.seenOf(Fetch), [])
  source.disconnect()
  await nodeClock.sleep(1)
  const refreshed = await remote.refresh(['orders'])
  assert.equal(refreshed.ok ? '' : refreshed.code, 'WRONG_CLUSTER')
})

test('a connection that stays open is not trusted either: the cluster id is looked at in each refresh', async (t) => {
  const { source, remote } = await open(t)
  await metadataOf(remote)
  source.clusterId = 'another'
  const result = await remote.refresh(['orders'])
  assert.equal(result.ok ? '' : result.code, 'WRONG_CLUSTER')
})

test('answers are told apart also when many requests are under way', async (t) => {
  const { remote } = await open(t)
  const { topics } = await metadataOf(remote)
  const topic = topics.get('orders')!
  const answers = await Promise.all(Array.from({ length: 40 }, () => remote.listOffsets(topic, -2n)))
  assert.ok(answers.every((answer) => answer.ok && answer.offsets.size === 2))
})

test('an answer with the correlation id of another request ends the connection as a PROTOCOL failure', async (t) => {
  const { source, remote } = await open(t)
  const topic = (await metadataOf(remote)).topics.get('orders')!
  source.lies['ListOffsets'] = (_request: never, _answer, apiVersion) => {
    const frame = frameResponse(ListOffsets, { apiVersion, correlationId: 4_711 }, { throttleTimeMs: 0, topics: [] })
    return { frame: Buffer.concat(frame) }
  }
  const result = await remote.listOffsets(topic, -1n)
  assert.ok(!result.ok)
  assert.equal(result.code, 'PROTOCOL')
  assert.match(result.message, /got correlation id 4711/)
  delete source.lies['ListOffsets']
  assert.ok((await remote.listOffsets(topic, -1n)).ok)
})

test('a request that is never answered fails in time, and the next one has a new connection', async (t) => {
  const { source, remote } = await open(t, { remote: { requestTimeoutMs: 30 } })
  const topic = (await metadataOf(remote)).topics.get('orders')!
  source.lies['ListOffsets'] = () => ({ hang: true })
  const result = await remote.listOffsets(topic, -1n)
  assert.ok(!result.ok)
  assert.equal(result.code, 'TIMED_OUT')
  assert.match(result.message, /scripted\.test:9192 did not answer ListOffsets within 30 ms/)
  delete source.lies['ListOffsets']
  assert.ok((await remote.listOffsets(topic, -1n)).ok)
})

test('a caller that gives up hears ABORTED at once, and others on the connection are not disturbed', async (t) => {
  const { source, remote } = await open(t)
  const topic = (await metadataOf(remote)).topics.get('orders')!
  const release = Promise.withResolvers<void>()
  source.lies['ListOffsets'] = async (_request: never, answer) => {
    await release.promise
    return answer()
  }
  const abort = new AbortController()
  const given = remote.listOffsets(topic, -1n, abort.signal)
  const kept = remote.listOffsets(topic, -1n)
  await nodeClock.sleep(2)
  abort.abort()
  const gone = await given
  assert.equal(gone.ok ? '' : gone.code, 'ABORTED')
  release.resolve()
  assert.ok((await kept).ok)
})

test('the next address of the bootstrap list is asked where one does not answer', async (t) => {
  const { network } = await open(t)
  const remote = connectTo(t, network, 'nobody.test:1,scripted.test:9192,nobody.test:2')
  await metadataOf(remote)
})

test('when no address answers the failure names one of them', async (t) => {
  const remote = connectTo(t, new MemoryNetwork(nodeClock), 'nobody.test:1,nobody.test:2')
  const result = await remote.refresh(['orders'])
  assert.ok(!result.ok)
  assert.equal(result.code, 'UNREACHABLE')
  assert.equal(result.retriable, true)
  assert.match(result.message, /nobody\.test:[12]/)
})

test('a refresh whose connection breaks goes to another connection at once', async (t) => {
  const { source, remote } = await open(t, { ports: [9_192, 9_193] })
  await metadataOf(remote)
  source.disconnect()
  await metadataOf(remote)
})

test('a broker that went away says nothing about the others: leaders elsewhere are still asked', async (t) => {
  const { source, remote, network } = await open(t, { ports: [9_192, 9_193] })
  for (const partition of source.topics.get('orders')!.partitions) partition.leader = 2
  const topic = (await metadataOf(remote)).topics.get('orders')!
  network.cut(9_192)
  assert.ok((await remote.listOffsets(topic, -1n)).ok)
})

test('a node id that the metadata does not have is UNKNOWN_BROKER', async (t) => {
  const { remote } = await open(t)
  await metadataOf(remote)
  const result = await remote.send(42, ListOffsets, { replicaId: -1, isolationLevel: 0, topics: [], timeoutMs: 0 })
  assert.equal(result.ok ? '' : result.code, 'UNKNOWN_BROKER')
})

test('partitions are asked at their leaders, and one without a leader gets an error of its own', async (t) => {
  const { source, remote } = await open(t, { ports: [9_192, 9_193] })
  const { partitions } = source.addTopic('mixed', 3, 'bWl4ZWQtdG9waWMtMDAwMQ')
  partitions[1]!.leader = 2
  partitions[2]!.leader = -1
  source.append('mixed', 1, batchOf(['a', 'b']))
  const topic = (await metadataOf(remote, ['mixed'])).topics.get('mixed')!
  const result = await remote.listOffsets(topic, -1n)
  assert.ok(result.ok)
  assert.deepEqual(
    [...result.offsets].sort(([a], [b]) => a - b),
    [
      [0, { offset: 0n, errorCode: 0 }],
      [1, { offset: 2n, errorCode: 0 }],
      [2, { offset: -1n, errorCode: 5 }],
    ],
  )
  assert.deepEqual(
    source
      .seenOf(ListOffsets)
      .map(({ port }) => port)
      .sort((a, b) => a - b),
    [9_192, 9_193],
  )
})

test('an address that fails is left alone for longer each time, up to the limit', async (t) => {
  const clock = new SimulatedClock(nodeClock)
  const network = new MemoryNetwork(clock)
  const attemptsMs: number[] = []
  const counting = {
    listen: network.listen.bind(network),
    connect: (...args: Parameters<MemoryNetwork['connect']>) => {
      attemptsMs.push(clock.monotonicMs())
      return network.connect(...args)
    },
  }
  const remote = new RemoteCluster(
    { network: counting, clock, random: seededRandom(1) },
    {
      bootstrapServers: parseBootstrapServers('nobody.test:1'),
      clientId: 'test',
      requestTimeoutMs: 1_000,
      reconnectBackoffMs: 100,
      reconnectBackoffMaxMs: 1_000,
    },
  )
  t.after(() => remote.close())
  for (let count = 0; count < 8; count++) {
    const refreshed = remote.refresh([])
    await clock.advance(1_500)
    assert.ok(!(await refreshed).ok)
  }
  const busy = (async () => {
    for (let count = 0; count < 5; count++) await remote.refresh([])
  })()
  const before = attemptsMs.length
  await clock.advance(6_000)
  await busy
  const pauses = attemptsMs.slice(before).map((atMs, index, all) => atMs - (all[index - 1] ?? atMs))
  assert.ok(pauses.length >= 4)
  assert.ok(
    pauses.slice(1).every((pauseMs) => pauseMs >= 800 && pauseMs <= 1_200),
    pauses.join(),
  )
})

test('a closed cluster answers ABORTED, also to those who wait for a pause to end', async () => {
  const environment = { network: new MemoryNetwork(nodeClock), clock: nodeClock, random: seededRandom(1) }
  const remote = new RemoteCluster(environment, {
    bootstrapServers: parseBootstrapServers('nobody.test:1'),
    clientId: 'test',
    requestTimeoutMs: 1_000,
    reconnectBackoffMs: 60_000,
    reconnectBackoffMaxMs: 60_000,
  })
  assert.ok(!(await remote.refresh([])).ok)
  const waiting = remote.refresh([])
  await nodeClock.sleep(1)
  remote.close()
  const result = await waiting
  assert.equal(result.ok ? '' : result.code, 'ABORTED')
})

test('an answer larger than the limit ends the connection without being held', async (t) => {
  const { source, remote } = await open(t, { remote: { frameMaxBytes: 10_000 } })
  const topic = (await metadataOf(remote)).topics.get('orders')!
  source.lies['ListOffsets'] = () => ({ frame: Buffer.from([0x7f, 0xff, 0xff, 0xff, 1, 2, 3]) })
  const result = await remote.listOffsets(topic, -1n)
  assert.ok(!result.ok)
  assert.equal(result.code, 'PROTOCOL')
  assert.match(result.message, /expected 0 to 10000/)
})

for (const api of [ApiVersions, Metadata, ListOffsets]) {
  test(`whatever bytes answer ${api.name}, the failure is a value (seed 7)`, async (t) => {
    const { source, remote } = await open(t, { remote: { requestTimeoutMs: 20 } })
    const topic = { ...(await metadataOf(remote)).topics.get('orders')! }
    const random = seededRandom(7)
    source.lies[api.name] = (_request: never, answer, apiVersion) => {
      const honest = Buffer.concat(frameResponse(api, { apiVersion, correlationId: 1 }, answer() as never))
      for (let count = random.below(6) + 1; count > 0; count--)
        honest[4 + random.below(honest.length - 4)] = random.below(256)
      return { frame: honest }
    }
    for (let count = 0; count < 60; count++) {
      source.disconnect()
      const results = [await remote.refresh(['orders']), await remote.listOffsets(topic, -1n)]
      for (const result of results) assert.equal(typeof result.ok, 'boolean')
    }
    delete source.lies[api.name]
    source.disconnect()
  })
}
