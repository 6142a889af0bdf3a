/**
 * The paths that take brokers down and up, and move leaders: on a broker with three of them, and on one that refuses.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Metadata } from '../../protocol/apis/metadata.ts'
import { buildHttpApp } from '../../src/http/server.ts'
import type { HttpParts } from '../../src/http/parts.ts'
import { startTestBroker, type Cleanup, type TestBroker } from '../support/broker.ts'
import { metadataRequest } from '../support/requests.ts'
import { clusterId as fakeClusterId, fakeParts } from './fake-parts.ts'

interface Answer {
  readonly status: number
  readonly body: unknown
}

interface Api {
  readonly cluster: TestBroker
  readonly parts: HttpParts
  get(path: string): Promise<Answer>
  post(path: string, body?: object): Promise<Answer>
}

function apiOf(parts: HttpParts, clusterId: string): Pick<Api, 'get' | 'post'> {
  const app = buildHttpApp(parts, new AbortController().signal)
  const inject = async (method: 'GET' | 'POST', path: string, payload?: object): Promise<Answer> => {
    const url = `/titorelli/v1/clusters/${clusterId}${path}`
    const { statusCode, body } = await app.inject({ method, url, ...(payload && { payload }) })
    return { status: statusCode, body: body === '' ? undefined : JSON.parse(body) }
  }
  return { get: (path) => inject('GET', path), post: (path, body) => inject('POST', path, body) }
}

async function start(t: Cleanup): Promise<Api> {
  const configs = { 'default.replication.factor': '3' }
  const cluster = await startTestBroker(t, { brokerCount: 3, topics: { orders: 3 }, configs })
  const { broker } = cluster
  const parts: HttpParts = { ...fakeParts(), ...broker.parts, control: broker.control }
  return { cluster, parts, ...apiOf(parts, broker.parts.metadata.image.clusterId) }
}

function aliveOf({ body }: Answer): number[] {
  const { data } = body as { data: { broker_id: number; is_alive: boolean }[] }
  return data.filter((broker) => broker.is_alive).map((broker) => broker.broker_id)
}

async function leaderOf({ cluster }: Api, nodeId = 3): Promise<number> {
  const client = await cluster.connect(nodeId)
  const { topics } = await client.send(Metadata, 12, metadataRequest(['orders']))
  return topics[0]!.partitions.find(({ partitionIndex }) => partitionIndex === 0)!.leaderId
}

test('the list names every broker, where clients reach it, and whether it is alive', async (t) => {
  const api = await start(t)
  const { status, body } = await api.get('/brokers')
  assert.equal(status, 200)
  const { ports } = api.cluster.broker
  const expected = [1, 2, 3].map((nodeId, at) => {
    return { broker_id: nodeId, host: 'broker.test', port: ports[at], rack: null, is_alive: true }
  })
  assert.deepEqual(body, { data: expected })
})

for (const [name, body] of [
  ['without a body', undefined],
  ['cleanly', { clean: true }],
  ['not cleanly', { clean: false }],
] as const) {
  test(`a broker is taken down ${name}, its partitions go on elsewhere, and it comes up at its port again`, async (t) => {
    const api = await start(t)
    const before = (await api.get('/brokers')).body
    const down = await api.post('/brokers/1/down', body)
    assert.equal(down.status, 200)
    assert.deepEqual(
      [(down.body as Record<string, unknown>)['broker_id'], aliveOf(await api.get('/brokers'))],
      [1, [2, 3]],
    )
    assert.equal((down.body as Record<string, unknown>)['is_alive'], false)
    await assert.rejects(api.cluster.connect(1))
    assert.equal(await leaderOf(api), 2)
    assert.equal((await api.post('/brokers/1/down', body)).status, 200, 'once more is no mistake')

    const up = await api.post('/brokers/1/up')
    assert.equal((up.body as Record<string, unknown>)['is_alive'], true)
    assert.deepEqual((await api.get('/brokers')).body, before)
    assert.equal(await leaderOf(api, 1), 2)
  })
}

test('the way that a broker goes down is the one that was asked for', async () => {
  const parts = fakeParts()
  const api = apiOf(parts, fakeClusterId)
  await api.post('/brokers/1/down')
  await api.post('/brokers/1/down', { clean: false })
  await api.post('/brokers/1/up')
  assert.deepEqual(parts.calls, [
    ['takeDown', 1, { isClean: true }],
    ['takeDown', 1, { isClean: false }],
    ['bringUp', 1],
  ])
})

test('a leader is moved to a broker in sync, and no other', async (t) => {
  const api = await start(t)
  const path = '/topics/orders/partitions/0/leader'
  assert.deepEqual(await api.post(path, { broker_id: 3 }), { status: 204, body: undefined })
  assert.equal(await leaderOf(api), 3)
  for (const nodeId of [3, 4]) {
    const { status, body } = await api.post(path, { broker_id: nodeId })
    assert.equal(status, 400)
    assert.equal((body as { error_code: number }).error_code, 40002)
  }
  await api.post('/brokers/2/down')
  assert.equal((await api.post(path, { broker_id: 2 })).status, 400)
  assert.equal(await leaderOf(api), 3)
})

test('what does not exist gets 404, what makes no sense 400, and neither changes anything', async (t) => {
  const api = await start(t)
  const other = apiOf(api.parts, 'other')
  const refusals: readonly (readonly [number, number, Promise<Answer>])[] = [
    [404, 404, other.get('/brokers')],
    [404, 404, other.post('/brokers/1/down')],
    [404, 404, other.post('/brokers/1/up')],
    [404, 404, other.post('/topics/orders/partitions/0/leader', { broker_id: 2 })],
    [404, 404, api.post('/brokers/4/down')],
    [404, 404, api.post('/brokers/x/up')],
    [404, 40403, api.post('/topics/nowhere/partitions/0/leader', { broker_id: 2 })],
    [404, 40403, api.post('/topics/orders/partitions/3/leader', { broker_id: 2 })],
    [404, 40403, api.post('/topics/orders/partitions/x/leader', { broker_id: 2 })],
    [400, 400, api.post('/brokers/1/down', { clean: 'perhaps' })],
    [400, 400, api.post('/topics/orders/partitions/0/leader', {})],
    [400, 400, api.post('/topics/orders/partitions/0/leader')],
  ]
  for (const [at, [status, errorCode, answering]] of refusals.entries()) {
    const answer = await answering
    const { error_code: got, message } = answer.body as { error_code: number; message: string }
    assert.deepEqual([answer.status, got], [status, errorCode], `${at}: ${message}`)
    assert.notEqual(message, '')
  }
  assert.deepEqual(aliveOf(await api.get('/brokers')), [1, 2, 3])
  assert.equal(await leaderOf(api), 1)
})
