import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Fetch } from '../../protocol/apis/fetch.ts'
import { errorCodes } from '../../protocol/errors.ts'
import { zeroUuid, type RequestOf } from '../../protocol/schema.ts'
import { MemoryNetwork } from '../../src/environment/memory-network.ts'
import { nodeClock } from '../../src/environment/node-clock.ts'
import { seededRandom } from '../../src/environment/seeded-random.ts'
import { parseBootstrapServers, RemoteCluster } from '../../src/remote/remote-cluster.ts'
import type { FetchedPartition, FetchPosition, RemoteFetchSession, RemoteTopic } from '../../src/remote/remote.ts'
import type { Cleanup } from '../support/broker.ts'
import { batchOf } from '../support/records.ts'
import { releases, ScriptedSource } from '../support/scripted-source.ts'

interface Opened {
  readonly source: ScriptedSource
  readonly session: RemoteFetchSession
  readonly topic: RemoteTopic
  readonly position: (partitionIndex: number, fetchOffset?: bigint, more?: Partial<FetchPosition>) => FetchPosition
  readonly fetch: (...positions: FetchPosition[]) => Promise<readonly FetchedPartition[]>
  /** The partitions that each fetch named, oldest first. */
  readonly named: () => string[]
}

const { signal } = new AbortController()
const options = { maxWaitMs: 1, minBytes: 1, maxBytes: 1_000_000, signal }

async function open(t: Cleanup, release: keyof typeof releases = '4.0'): Promise<Opened> {
  const network = new MemoryNetwork(nodeClock)
  const source = await ScriptedSource.start(t, { network, release })
  source.addTopic('orders', 3)
  const environment = { network, clock: nodeClock, random: seededRandom(3) }
  const remote = new RemoteCluster(environment, {
    bootstrapServers: parseBootstrapServers(source.bootstrapServers),
    clientId: 'test',
    requestTimeoutMs: 1_000,
    reconnectBackoffMs: 1,
    reconnectBackoffMaxMs: 5,
  })
  t.after(() => remote.close())
  const refreshed = await remote.refresh(['orders'])
  assert(refreshed.ok)
  const topic = refreshed.metadata.topics.get('orders')!
  const session = remote.openFetchSession(1)
  t.after(() => session.close())
  return {
    source,
    session,
    topic,
    position: (partitionIndex, fetchOffset = 0n, more = {}) => ({
      topicName: 'orders',
      topicId: topic.topicId,
      partitionIndex,
      fetchOffset,
      lastFetchedEpoch: -1,
      currentLeaderEpoch: 0,
      maxBytes: 1_000,
      ...more,
    }),
    async fetch(...positions) {
      const result = await session.fetch(positions, options)
      assert(result.ok, result.ok ? '' : `${result.code}: ${result.message}`)
      return result.partitions
    },
    named: () => source.seenOf(Fetch).map(({ request }) => namesOf(request)),
  }
}

function namesOf({ topics, forgottenTopicsData, sessionEpoch }: RequestOf<typeof Fetch>): string {
  const asked = topics.flatMap(({ partitions }) =>
    partitions.map(({ partition, fetchOffset }) => `${partition}@${fetchOffset}`),
  )
  const gone = forgottenTopicsData.flatMap(({ partitions }) => partitions.map((index) => `-${index}`))
  return `${sessionEpoch}: ${[...asked, ...gone].join(' ')}`.trim()
}

for (const release of Object.keys(releases) as (keyof typeof releases)[]) {
  const version = release === '2.7' ? 12 : releases[release].Fetch[1]
  test(`a broker of Kafka ${release} is fetched from with version ${version}, and its bytes come as they are`, async (t) => {
    const { source, session, position } = await open(t, release)
    const batch = batchOf(['a', 'b'])
    source.append('orders', 1, batch)
    const asked = [0, 1].map((index) => ({
      ...position(index),
      ...(version < 13 && { topicId: zeroUuid }),
    }))
    const result = await session.fetch(asked, options)
    assert(result.ok)
    assert.equal(result.version, version)
    const found = result.partitions.find(({ partitionIndex }) => partitionIndex === 1)!
    assert.deepEqual(Buffer.from(found.records), Buffer.from(batch))
    assert.equal(found.topicName, 'orders')
    assert.equal(found.highWatermark, 2n)
    assert.equal(found.diverging, undefined)
  })
}

test('within a session only what changed is named, and what is left out is forgotten', async (t) => {
  const { position, fetch, named, source } = await open(t)
  source.append('orders', 0, batchOf(['a']))
  await fetch(position(0), position(1), position(2))
  await fetch(position(0, 1n), position(1), position(2))
  await fetch(position(0, 1n), position(1), position(2))
  await fetch(position(0, 1n), position(2))
  await fetch(position(0, 1n), position(2), position(1))
  assert.deepEqual(named(), ['0: 0@0 1@0 2@0', '1: 0@1', '2:', '3: -1', '4: 1@0'])
})

test('partitions without news are left out of the result, and come back with theirs', async (t) => {
  const { position, fetch, source } = await open(t)
  await fetch(position(0), position(1))
  assert.deepEqual(await fetch(position(0), position(1)), [])
  source.append('orders', 1, batchOf(['a']))
  const [only, ...others] = await fetch(position(0), position(1))
  assert.equal(only!.partitionIndex, 1)
  assert.deepEqual(others, [])
})

test('the leader epoch, the fetched epoch and the size are news of a partition', async (t) => {
  const { position, fetch, named, source } = await open(t)
  source.topics.get('orders')!.partitions[0]!.leaderEpoch = 3
  await fetch(position(0, 0n, { currentLeaderEpoch: 3 }))
  await fetch(position(0, 0n, { currentLeaderEpoch: 3, maxBytes: 2_000 }))
  await fetch(position(0, 0n, { currentLeaderEpoch: -1, maxBytes: 2_000 }))
  await fetch(position(0, 0n, { currentLeaderEpoch: -1, maxBytes: 2_000 }))
  assert.deepEqual(named(), ['0: 0@0', '1: 0@0', '2: 0@0', '3:'])
})

test('after an error of any partition everything is named again (T34)', async (t) => {
  const { position, fetch, named } = await open(t)
  await fetch(position(0), position(1))
  const [wrong] = await fetch(position(0, 99n), position(1))
  assert.equal(wrong!.errorCode, errorCodes.OFFSET_OUT_OF_RANGE)
  await fetch(position(0), position(1))
  assert.deepEqual(named(), ['0: 0@0 1@0', '1: 0@99', '0: 0@0 1@0'])
})

for (const name of [
  'FETCH_SESSION_ID_NOT_FOUND',
  'INVALID_FETCH_SESSION_EPOCH',
  'FETCH_SESSION_TOPIC_ID_ERROR',
] as const) {
  test(`a session that the broker refuses with ${name} is begun anew within the same fetch`, async (t) => {
    const { position, fetch, named, source } = await open(t)
    await fetch(position(0), position(1))
    source.lies['Fetch'] = (request: never, answer) =>
      (request as RequestOf<typeof Fetch>).sessionEpoch > 0
        ? { throttleTimeMs: 0, errorCode: errorCodes[name], sessionId: 0, responses: [] }
        : answer()
    source.append('orders', 1, batchOf(['a']))
    const partitions = await fetch(position(0), position(1))
    assert.equal(partitions.find(({ partitionIndex }) => partitionIndex === 1)!.highWatermark, 1n)
    assert.deepEqual(named(), ['0: 0@0 1@0', '1:', '0: 0@0 1@0'])
  })
}

test('a restart ends the session at the broker and asks for everything, so that all is told again', async (t) => {
  const { source, session, position, fetch, named } = await open(t)
  await fetch(position(0), position(1))
  assert.deepEqual(await fetch(position(0), position(1)), [])
  const [first] = source.seenOf(Fetch)
  assert.equal(first!.request.sessionId, 0)
  session.restart()
  assert.equal((await fetch(position(0), position(1))).length, 2)
  await fetch(position(0), position(1))
  assert.deepEqual(named(), ['0: 0@0 1@0', '1:', '0: 0@0 1@0', '1:'])
  const ids = source.seenOf(Fetch).map(({ request }) => request.sessionId)
  assert(ids[1] !== 0 && ids[2] === ids[1], 'the old session is named, so that the broker lets go of it')
  assert.notEqual(ids[3], ids[2])
})

test('a broker that has no room for a session is asked for everything each time', async (t) => {
  const { position, fetch, named, source } = await open(t)
  source.lies['Fetch'] = async (_request: never, answer) => ({ ...((await answer()) as object), sessionId: 0 })
  for (let count = 0; count < 3; count++) await fetch(position(0), position(1))
  assert.deepEqual(named(), ['0: 0@0 1@0', '0: 0@0 1@0', '0: 0@0 1@0'])
})

test('after a lost connection the next fetch is a full one', async (t) => {
  const { position, fetch, named, source, session } = await open(t)
  await fetch(position(0), position(1))
  source.lies['Fetch'] = () => ({ close: true })
  const lost = await session.fetch([position(0), position(1)], options)
  assert.equal(lost.ok ? '' : lost.code, 'DISCONNECTED')
  delete source.lies['Fetch']
  await fetch(position(0), position(1))
  assert.deepEqual(named(), ['0: 0@0 1@0', '1:', '0: 0@0 1@0'])
})

test('a topic that was created anew is another partition to the session', async (t) => {
  const { position, fetch, source } = await open(t)
  await fetch(position(0), position(1))
  const anew = 'YW5ldy10b3BpYy0wMDAwMQ'
  source.topics.get('orders')!.topicId = anew
  const [gone] = await fetch(position(0), position(1, 0n, { topicId: anew }))
  assert.equal(gone!.errorCode, errorCodes.UNKNOWN_TOPIC_ID)
  const last = source.seenOf(Fetch).at(-1)!.request
  assert.deepEqual(
    last.topics.map(({ topicId }) => topicId),
    [anew],
  )
})

test('where one topic has no id all are fetched by name, below version 13', async (t) => {
  const { position, session } = await open(t)
  const first = await session.fetch([position(0)], options)
  assert.equal(first.ok && first.version, 17)
  const second = await session.fetch([position(0), position(1, 0n, { topicId: zeroUuid })], options)
  assert(second.ok)
  assert.equal(second.version, 12)
  assert.equal(second.partitions.length, 2)
})

test('what was not asked for is left out of the result', async (t) => {
  const { position, fetch, source } = await open(t)
  source.lies['Fetch'] = async (_request: never, answer) => {
    const honest = (await answer()) as { responses: { topicId: string }[] }
    return {
      ...honest,
      responses: [...honest.responses, { ...honest.responses[0]!, topicId: 'c3RyYW5nZXItdG9waWMtMQ' }],
    }
  }
  const partitions = await fetch(position(0))
  assert.equal(partitions.length, 1)
})

test('a broker that asks to be left alone is left alone for that long', async (t) => {
  const { position, fetch, source } = await open(t)
  source.lies['Fetch'] = async (_request: never, answer) => ({ ...((await answer()) as object), throttleTimeMs: 60 })
  await fetch(position(0))
  const beganMs = nodeClock.monotonicMs()
  await fetch(position(0))
  assert.ok(nodeClock.monotonicMs() - beganMs >= 55)
})

test('an error of the whole answer is a failure that names it', async (t) => {
  const { position, session, source } = await open(t)
  const errorCode = errorCodes.CLUSTER_AUTHORIZATION_FAILED
  source.lies['Fetch'] = () => ({ throttleTimeMs: 0, errorCode, sessionId: 0, responses: [] })
  const result = await session.fetch([position(0)], options)
  assert.ok(!result.ok)
  assert.match(result.message, /CLUSTER_AUTHORIZATION_FAILED/)
})

test('an aborted fetch ends at once, and a later one has a connection without its answer', async (t) => {
  const { position, session, source, fetch } = await open(t)
  source.lies['Fetch'] = () => ({ hang: true })
  const abort = new AbortController()
  const fetching = session.fetch([position(0)], { ...options, signal: abort.signal })
  await nodeClock.sleep(2)
  abort.abort()
  const result = await fetching
  assert.equal(result.ok ? '' : result.code, 'ABORTED')
  delete source.lies['Fetch']
  source.append('orders', 0, batchOf(['a']))
  assert.equal((await fetch(position(0)))[0]!.highWatermark, 1n)
})

test('a divergence is told with the epoch and where it ends', async (t) => {
  const { position, fetch, source } = await open(t)
  const [partition] = source.topics.get('orders')!.partitions
  partition!.leaderEpoch = 5
  source.append(
    'orders',
    0,
    batchOf(['a', 'b'], { leaderEpoch: 2 }),
    batchOf(['c'], { baseOffset: 2n, leaderEpoch: 5 }),
  )
  const [diverged] = await fetch(position(0, 9n, { lastFetchedEpoch: 4, currentLeaderEpoch: 5 }))
  assert.deepEqual(diverged!.diverging, { leaderEpoch: 2, endOffset: 2n })
})
