import assert from 'node:assert/strict'
import { mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { ApiVersions } from '../../protocol/apis/api-versions.ts'
import { JoinGroup } from '../../protocol/apis/join-group.ts'
import { ListGroups } from '../../protocol/apis/list-groups.ts'
import { OffsetCommit } from '../../protocol/apis/offset-commit.ts'
import { OffsetFetch } from '../../protocol/apis/offset-fetch.ts'
import { Produce } from '../../protocol/apis/produce.ts'
import { SyncGroup } from '../../protocol/apis/sync-group.ts'
import { errorNameOf } from '../../protocol/errors.ts'
import { zeroUuid } from '../../protocol/schema.ts'
import { nodeNetwork } from '../../src/environment/node-network.ts'
import { silentLogger } from '../../src/environment/logger.ts'
import { startBroker, type EmbeddedBroker, type Logger } from '../../src/index.ts'
import { TestClient } from '../support/broker.ts'
import { batchOf } from '../support/records.ts'

const network = nodeNetwork(silentLogger)

async function connect(broker: EmbeddedBroker): Promise<TestClient> {
  const [host, port] = broker.bootstrapServers.split(':')
  return new TestClient(await network.connect({ host: host!, port: Number(port) }, { timeoutMs: 1_000 }))
}

async function produce(broker: EmbeddedBroker, topic: string, values: readonly string[]): Promise<void> {
  const client = await connect(broker)
  const partitionData = [{ index: 0, records: [batchOf(values)] }]
  const topicData = [{ name: topic, topicId: zeroUuid, partitionData }]
  const { responses } = await client.send(Produce, 9, { acks: -1, timeoutMs: 1_000, topicData })
  assert.equal(responses[0]!.partitionResponses[0]!.errorCode, 0)
  client.close()
}

test('an embedded broker yields the decoded records of a topic', async () => {
  await using broker = await startBroker({ topics: ['orders'] })
  await produce(broker, 'orders', ['a', 'b'])
  await produce(broker, 'orders', ['c'])
  const seen: [bigint, string][] = []
  for await (const { offset, value } of broker.records('orders')) seen.push([offset, Buffer.from(value!).toString()])
  assert.deepEqual(seen, [
    [0n, 'a'],
    [1n, 'b'],
    [2n, 'c'],
  ])
})

test('records that are followed go on with what is produced later', async () => {
  await using broker = await startBroker({ topics: ['orders'] })
  const iterator = broker.records('orders', { follow: true })[Symbol.asyncIterator]()
  const next = iterator.next()
  await produce(broker, 'orders', ['later'])
  const { value } = await next
  assert.equal(Buffer.from(value.value).toString(), 'later')
})

test('a reset removes the topics and keeps port and cluster id', async () => {
  await using broker = await startBroker({ topics: { orders: { partitions: 3 }, bills: {} } })
  const before = [broker.bootstrapServers, broker.clusterId]
  await produce(broker, 'orders', ['a'])
  await broker.reset()
  await broker.createTopic('orders')
  const seen: unknown[] = []
  for await (const record of broker.records('orders')) seen.push(record)
  assert.deepEqual(seen, [])
  assert.deepEqual([broker.bootstrapServers, broker.clusterId], before)
  await assert.rejects(async () => void (await broker.records('bills')[Symbol.asyncIterator]().next()), {
    errorName: 'UNKNOWN_TOPIC_OR_PARTITION',
  })
})

test('a reset forgets groups and their offsets, sends their members away, and groups can begin anew', async () => {
  await using broker = await startBroker({ topics: ['orders'] })
  const client = await connect(broker)
  const join = (memberId: string) =>
    client.send(JoinGroup, 5, {
      groupId: 'readers',
      sessionTimeoutMs: 30_000,
      rebalanceTimeoutMs: 30_000,
      memberId,
      groupInstanceId: null,
      protocolType: 'consumer',
      protocols: [{ name: 'range', metadata: new Uint8Array(0) }],
    })
  const enter = async () => join((await join('')).memberId)
  const commit = async (member: { memberId: string; generationId: number }) => {
    const partitions = [{ partitionIndex: 0, committedOffset: 7n, committedMetadata: null }]
    const { topics } = await client.send(OffsetCommit, 7, {
      groupId: 'readers',
      generationIdOrMemberEpoch: member.generationId,
      memberId: member.memberId,
      groupInstanceId: null,
      topics: [{ name: 'orders', topicId: zeroUuid, partitions }],
    })
    return errorNameOf(topics[0]!.partitions[0]!.errorCode)
  }
  const committed = async () => {
    const topics = [{ name: 'orders', partitionIndexes: [0] }]
    const answer = await client.send(OffsetFetch, 5, { groupId: 'readers', topics, groups: [] })
    return answer.topics[0]!.partitions[0]!.committedOffset
  }
  const member = await enter()
  const synced = { groupId: 'readers', generationId: member.generationId, memberId: member.memberId, assignments: [] }
  await client.send(SyncGroup, 3, { ...synced, groupInstanceId: null })
  assert.deepEqual([await commit(member), await committed()], ['NONE', 7n])

  await broker.reset()
  await broker.createTopic('orders')
  assert.deepEqual((await client.send(ListGroups, 3, { statesFilter: [], typesFilter: [] })).groups, [])
  assert.deepEqual([await commit(member), await committed()], ['ILLEGAL_GENERATION', -1n])
  assert.equal((await enter()).generationId, 1)
  client.close()
})

test('a reset ends links and deletes their mirrors, while they mirror', async () => {
  await using source = await startBroker({ topics: ['orders'] })
  await produce(source, 'orders', ['a'])
  await using broker = await startBroker({ http: true })
  const links = `${broker.httpUrl}/kafka/v3/clusters/${broker.clusterId}/links`
  const post = async (url: string, body: object) => {
    const headers = { 'content-type': 'application/json' }
    const response = await fetch(url, { method: 'POST', headers, body: JSON.stringify(body) })
    assert.equal(response.status, 204, await response.text())
  }
  const configs = [{ name: 'bootstrap.servers', value: source.bootstrapServers }]
  await post(`${links}?link_name=west`, { configs })
  await post(`${links}/west/mirrors`, { source_topic_name: 'orders' })
  for await (const { offset } of broker.records('orders', { follow: true })) if (offset === 0n) break

  await broker.reset()
  const { data } = (await (await fetch(links)).json()) as { data: unknown[] }
  assert.deepEqual(data, [])
  await broker.createTopic('orders')
  await produce(broker, 'orders', ['a topic of its own'])
})

test('every option of startBroker does what it says', async (t) => {
  const dataDir = await mkdtemp(join(tmpdir(), 'titorelli-embedded-'))
  t.after(() => rm(dataDir, { recursive: true, force: true }))
  const lines: string[] = []
  const line = (_fields: object, message: string) => void lines.push(message)
  const logger: Logger = { debug: line, info: line, warn: line, error: line, child: () => logger }
  const first = await startBroker({ dataDir, clusterId: 'mine', topics: { orders: { partitions: 2 } }, logger })
  const port = Number(first.bootstrapServers.split(':')[1])
  assert.deepEqual([first.clusterId, first.httpUrl], ['mine', undefined])
  await produce(first, 'orders', ['kept'])
  await first.stop()
  await first.stop() // and again: it is stopped
  assert(lines.includes('connection closed'), lines.join('; '))

  await using second = await startBroker({ dataDir, port, http: true, configs: { 'num.partitions': 3 } })
  assert.equal(second.bootstrapServers, `127.0.0.1:${port}`)
  assert.equal(second.clusterId, 'mine')
  const values: string[] = []
  for await (const { value } of second.records('orders')) values.push(Buffer.from(value!).toString())
  assert.deepEqual(values, ['kept'])
  await second.createTopic('bills', { configs: { 'cleanup.policy': 'compact' } })
  const topics = `${second.httpUrl}/kafka/v3/clusters/mine/topics`
  const { data } = (await (await fetch(topics)).json()) as { data: { topic_name: string; partitions_count: number }[] }
  assert.deepEqual(
    data.map((topic) => [topic.topic_name, topic.partitions_count]),
    [
      ['bills', 3],
      ['orders', 2],
    ],
  )

  await using inMemory = await startBroker({ dataDir: join(dataDir, 'unused'), memory: true })
  await inMemory.createTopic('orders')
  assert.deepEqual((await readdir(dataDir)).includes('unused'), false)
  await assert.rejects(startBroker({ memory: false }), TypeError)
  await assert.rejects(startBroker({ port }), { code: 'ADDRESS_IN_USE' })
})

test('an embedded broker refuses a topic with a wrong config by name', async () => {
  await using broker = await startBroker()
  await assert.rejects(broker.createTopic('orders', { configs: { 'retention.ms': 'soon' } }), {
    errorName: 'INVALID_CONFIG',
    message: /retention\.ms/,
  })
  await assert.rejects(startBroker({ configs: { 'num.partitions': 0 } }), /num\.partitions=0/)
})

test('a broker in a running process answers ApiVersions within 10 ms of its start, in the median of 50', async () => {
  await (await startBroker()).stop() // fills the codec cache
  const samples: number[] = []
  for (let round = 0; round < 50; round++) {
    const startMs = performance.now()
    const broker = await startBroker()
    const client = await connect(broker)
    await client.send(ApiVersions, 3, { clientSoftwareName: 'test', clientSoftwareVersion: '1' })
    samples.push(performance.now() - startMs)
    client.close()
    await broker.stop()
  }
  const medianMs = samples.toSorted((a, b) => a - b)[25]!
  assert(medianMs <= 10, `the median was ${medianMs} ms`)
})
