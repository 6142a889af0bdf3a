import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { InjectOptions } from 'fastify'
import { buildHttpApp } from '../../src/http/server.ts'
import { startHttp } from '../../src/http/node-http.ts'
import { restErrors } from '../../src/http/errors.ts'
import { KafkaError } from '../../src/errors.ts'
import { fromJson } from '../../src/json.ts'
import { LinkServiceError, type ServiceErrorCode } from '../../src/links/link-service.ts'
import { clusterId, fakeParts, hugeOffset, linkId, partition, type FakeParts } from './fake-parts.ts'

const base = `/kafka/v3/clusters/${clusterId}`
const own = `/titorelli/v1/clusters/${clusterId}`

async function inject(parts: FakeParts, options: InjectOptions) {
  const app = buildHttpApp(parts, new AbortController().signal)
  const response = await app.inject(options)
  return {
    status: response.statusCode,
    text: response.body,
    body: response.body === '' ? undefined : fromJson(response.body),
  }
}
const get = (url: string, parts = fakeParts()) => inject(parts, { method: 'GET', url })
const post = (url: string, payload: object, parts = fakeParts()) => inject(parts, { method: 'POST', url, payload })

test('the clusters list holds this one cluster', async () => {
  const { status, body } = await get('/kafka/v3/clusters')
  assert.equal(status, 200)
  const { kind, metadata, data } = body as { kind: string; metadata: object; data: Record<string, unknown>[] }
  assert.equal(kind, 'KafkaClusterList')
  assert.deepEqual(metadata, { self: 'http://localhost:80/kafka/v3/clusters', next: null })
  assert.equal(data.length, 1)
  assert.equal(data[0]?.['cluster_id'], clusterId)
  assert.deepEqual(data[0]?.['controller'], { related: `http://localhost:80${base}/brokers/1` })
})

for (const path of [
  '',
  '/topics',
  '/topics/clicks',
  '/links',
  '/links/from-west',
  '/links/-/mirrors',
  '/links/from-west/configs',
]) {
  test(`another cluster id gets 404 at GET ${path || 'the cluster'}`, async () => {
    const { status, body } = await get(`/kafka/v3/clusters/other${path}`)
    assert.equal(status, 404)
    assert.deepEqual(body, { error_code: 404, message: 'Cluster other cannot be found.' })
  })
}

test('an unknown path and an unknown method get 404 in the body of all errors', async () => {
  const nowhere = await get('/kafka/v3/nowhere?x=1')
  assert.equal(nowhere.status, 404)
  assert.deepEqual(nowhere.body, { error_code: 404, message: 'there is nothing at GET /kafka/v3/nowhere' })
  const wrongMethod = await inject(fakeParts(), { method: 'PATCH', url: `${base}/links` })
  assert.equal(wrongMethod.status, 404)
})

test('a topic is shown in the shape of REST v3, an unknown one gets 40403', async () => {
  const { body } = await get(`${base}/topics/clicks`)
  const { topic_name: name, partitions_count: count, replication_factor: factor } = body as Record<string, unknown>
  assert.deepEqual([name, count, factor], ['clicks', 1, 1])
  const missing = await get(`${base}/topics/nope`)
  assert.equal(missing.status, 404)
  assert.deepEqual(missing.body, { error_code: 40403, message: 'This server does not host this topic-partition.' })
})

test('partitions are listed and found by their index', async () => {
  const list = await get(`${base}/topics/clicks/partitions`)
  assert.equal((list.body as { data: unknown[] }).data.length, 1)
  assert.equal((await get(`${base}/topics/clicks/partitions/0`)).status, 200)
  assert.equal((await get(`${base}/topics/clicks/partitions/1`)).status, 404)
})

test('our own topic path tells offsets exactly, above 2^53 too', async () => {
  const { text, body } = await get(`${own}/topics/clicks`)
  assert.match(text, /"high_watermark":9007199254740993\b/)
  const { partitions } = body as { partitions: { high_watermark: bigint }[] }
  assert.equal(partitions[0]?.high_watermark, hugeOffset)
})

test('creating a link passes name, source cluster, configs and both validations on, and answers 204', async () => {
  const parts = fakeParts()
  const url = `${base}/links?link_name=a%20b&validate_only=true&validate_link=false`
  const configs = [
    { name: 'bootstrap.servers', value: 'west:9092' },
    { name: 'consumer.offset.sync.ms', value: 1000 },
  ]
  const { status, text } = await post(url, { source_cluster_id: 'west', configs }, parts)
  assert.equal(status, 204)
  assert.equal(text, '')
  const expected = new Map([
    ['bootstrap.servers', 'west:9092'],
    ['consumer.offset.sync.ms', '1000'],
  ])
  assert.deepEqual(parts.calls, [
    [
      'createLink',
      { name: 'a b', sourceClusterId: 'west', configs: expected, validateOnly: true, validateLink: false },
    ],
  ])
})

test("a link is created at the path with a trailing slash too, as Confluent's clients call it", async () => {
  const parts = fakeParts()
  assert.equal((await post(`${base}/links/?link_name=l`, { configs: [] }, parts)).status, 204)
  assert.equal(parts.calls.length, 1)
})

test('the ids of other link modes are refused by name', async () => {
  const { status, body } = await post(`${base}/links?link_name=l`, { destination_cluster_id: 'east' })
  assert.equal(status, 400)
  assert.match((body as { message: string }).message, /destination_cluster_id/)
})

for (const [name, url, payload, pattern] of [
  ['a link without a name', `${base}/links`, {}, /link_name/],
  ['configs that are no list', `${base}/links?link_name=l`, { configs: 'a=b' }, /configs/],
  ['a mirror without its source topic', `${base}/links/l/mirrors`, {}, /source_topic_name/],
  ['a verb without topics', `${base}/links/l/mirrors:failover`, {}, /mirror_topic_names/],
  [
    'a verb with names and a pattern',
    `${base}/links/l/mirrors:pause`,
    { mirror_topic_names: ['a'], mirror_topic_name_pattern: '.*' },
    /not both/,
  ],
] as const) {
  test(`${name} gets 400 and a message that says what is wrong`, async () => {
    const parts = fakeParts()
    const { status, body } = await post(url, payload, parts)
    assert.equal(status, 400)
    assert.match((body as { message: string }).message, pattern)
    assert.deepEqual(parts.calls, [])
  })
}

test('broken JSON gets 400 in the body of all errors', async () => {
  const headers = { 'content-type': 'application/json' }
  const { status, body } = await inject(fakeParts(), {
    method: 'POST',
    url: `${base}/links/l/mirrors`,
    headers,
    payload: '{',
  })
  assert.equal(status, 400)
  assert.equal((body as { error_code: number }).error_code, 400)
  assert.match((body as { message: string }).message, /the body is no JSON/)
})

test('a DELETE with a content type and no body is accepted', async () => {
  const parts = fakeParts()
  const headers = { 'content-type': 'application/json' }
  const { status } = await inject(parts, { method: 'DELETE', url: `${base}/links/from-west?force=true`, headers })
  assert.equal(status, 200)
  assert.deepEqual(parts.calls, [['deleteLink', 'from-west', { force: true, validateOnly: false }]])
})

test('a link is shown with its state, its topics and the counts of its partitions', async () => {
  const { body } = await get(`${base}/links/from-west`)
  assert.deepEqual(body, {
    kind: 'KafkaLinkData',
    metadata: { self: `http://localhost:80${base}/links/from-west`, resource_name: null },
    source_cluster_id: 'west',
    destination_cluster_id: null,
    remote_cluster_id: null,
    link_name: 'from-west',
    link_id: linkId,
    cluster_link_id: linkId,
    topic_names: ['clicks'],
    link_state: 'ACTIVE',
    link_error: 'NO_ERROR',
    link_error_message: null,
    category_counts: [{ state_category: 'ACTIVE', count: 1 }],
  })
})

test('link configs hide sensitive values', async () => {
  const { body } = await get(`${base}/links/from-west/configs`)
  const { data } = body as { data: Record<string, unknown>[] }
  assert.deepEqual(
    data.map((one) => [one['name'], one['value'], one['is_sensitive']]),
    [
      ['bootstrap.servers', 'west:9092', false],
      ['sasl.jaas.config', null, true],
    ],
  )
})

test('a mirror is shown in the shape of REST v3, under its link and among those of all links', async () => {
  const expected = {
    kind: 'KafkaMirrorData',
    metadata: {
      self: `http://localhost:80${base}/links/from-west/mirrors/clicks`,
      resource_name: `crn:///kafka=${clusterId}`,
    },
    link_name: 'from-west',
    mirror_topic_name: 'clicks',
    source_topic_name: 'clicks',
    num_partitions: 1,
    mirror_lags: [{ partition: 0, lag: 3, last_source_fetch_offset: hugeOffset }],
    mirror_status: 'ACTIVE',
    mirror_topic_error: 'NO_ERROR',
    state_time_ms: 1_612_550_939_300,
  }
  assert.deepEqual((await get(`${base}/links/from-west/mirrors/clicks`)).body, expected)
  const list = (await get(`${base}/links/-/mirrors`)).body as { kind: string; data: unknown[] }
  assert.equal(list.kind, 'KafkaMirrorDataList')
  assert.deepEqual(list.data, [expected])
})

test('the list of mirrors is narrowed by status', async () => {
  const count = async (status: string) =>
    ((await get(`${base}/links/from-west/mirrors?mirror_status=${status}`)).body as { data: unknown[] }).data.length
  assert.equal(await count('active'), 1)
  assert.equal(await count('STOPPED'), 0)
})

test('creating a mirror passes only what was given on, and answers 204', async () => {
  const parts = fakeParts()
  const body = { source_topic_name: 'clicks', configs: [{ name: 'segment.ms', value: '1' }] }
  assert.equal((await post(`${base}/links/from-west/mirrors`, body, parts)).status, 204)
  assert.deepEqual(parts.calls, [
    ['createMirror', 'from-west', { sourceTopicName: 'clicks', configs: new Map([['segment.ms', '1']]) }],
  ])
})

for (const verb of ['failover', 'pause', 'resume']) {
  test(`mirrors:${verb} answers 200 with one result per topic, also where one is refused`, async () => {
    const parts = fakeParts()
    const url = `${base}/links/from-west/mirrors:${verb}?validate_only=true`
    const { status, body } = await post(url, { mirror_topic_names: ['clicks', 'nope'] }, parts)
    assert.equal(status, 200)
    assert.deepEqual(parts.calls, [
      ['changeMirrors', 'from-west', verb, { names: ['clicks', 'nope'] }, { validateOnly: true }],
    ])
    const { data } = body as { data: Record<string, unknown>[] }
    assert.deepEqual(
      data.map((one) => [one['mirror_topic_name'], one['error_code']]),
      [
        ['clicks', null],
        ['nope', 404],
      ],
    )
    assert.deepEqual(data[0]?.['mirror_lags'], [{ partition: 0, lag: 3, last_source_fetch_offset: hugeOffset }])
  })
}

test('a verb selects by pattern too', async () => {
  const parts = fakeParts()
  await post(`${base}/links/l/mirrors:pause`, { mirror_topic_name_pattern: 'cl.*' }, parts)
  assert.deepEqual(parts.calls[0]?.[3], { pattern: 'cl.*' })
})

for (const [code, { status, errorCode }] of Object.entries(restErrors)) {
  test(`${code} of the link service becomes status ${status} and error_code ${errorCode}`, async () => {
    const parts = fakeParts({ failWith: new LinkServiceError(code as ServiceErrorCode, 'the reason') })
    const answer = await post(`${base}/links/l/mirrors`, { source_topic_name: 't' }, parts)
    assert.equal(answer.status, status)
    assert.deepEqual(answer.body, { error_code: errorCode, message: 'the reason' })
  })
}

test('a Kafka error keeps its message; a defect gets 500, says nothing of itself and is logged', async () => {
  const refused = fakeParts({ failWith: new KafkaError('INVALID_TOPIC_EXCEPTION', 'bad name') })
  const answer = await post(`${base}/links/l/mirrors`, { source_topic_name: 't' }, refused)
  assert.deepEqual([answer.status, answer.body], [400, { error_code: 40002, message: 'bad name' }])

  const broken = fakeParts({ failWith: new TypeError('secret detail') })
  const failed = await post(`${base}/links/l/mirrors`, { source_topic_name: 't' }, broken)
  assert.equal(failed.status, 500)
  assert.doesNotMatch(failed.text, /secret detail/)
  assert.equal(broken.calls.at(-1)?.[0], 'error')
})

test('healthz answers', async () => {
  assert.deepEqual((await get('/healthz')).body, { status: 'ok', cluster_id: clusterId })
})

test('our own mirror path tells why a partition waits, since when, and when it tries again', async () => {
  const { body } = await get(`${own}/links/from-west/mirrors/clicks`)
  const { partitions, identity } = body as { partitions: Record<string, unknown>[]; identity: string }
  assert.equal(identity, 'strong')
  assert.equal(partitions[0]?.['log_end_offset'], Number(partition.logEndOffset))
  for (const field of ['reason', 'since_ms', 'next_retry_ms', 'last_fetch_ms']) assert(field in partitions[0]!, field)
})

test('a verification is one JSON object per line, the result last', async () => {
  const parts = fakeParts({
    verifyEvents: [
      { kind: 'progress', partitionIndex: 0, fromOffset: 0n, offset: 5n, toOffset: hugeOffset, batches: 5, bytes: 350 },
      {
        kind: 'result',
        verdict: 'different',
        partitions: 1,
        batches: 5,
        bytes: 350,
        durationMs: 12,
        ranges: [{ partitionIndex: 0, fromOffset: 0n, toOffset: hugeOffset }],
        firstDifference: { partitionIndex: 0, offset: 4n, kind: 'bytes', message: 'the CRC differs' },
        message: null,
      },
    ],
  })
  const app = buildHttpApp(parts, new AbortController().signal)
  const response = await app.inject({ method: 'POST', url: `${own}/links/from-west/mirrors/clicks/verify` })
  assert.equal(response.headers['content-type'], 'application/x-ndjson')
  const lines = response.body.trimEnd().split('\n').map(fromJson) as Record<string, unknown>[]
  assert.deepEqual(
    lines.map((line) => line['kind']),
    ['progress', 'result'],
  )
  assert.equal(lines[0]?.['to_offset'], hugeOffset)
  assert.deepEqual(lines[1]?.['first_difference'], {
    partition: 0,
    offset: 4,
    kind: 'bytes',
    message: 'the CRC differs',
  })
})

test('verifying an unknown mirror is a 404 before the stream begins', async () => {
  assert.equal((await post(`${own}/links/from-west/mirrors/nope/verify`, {})).status, 404)
})

test('a client that goes away ends its verification, and so does closing the server', async () => {
  for (const end of ['client', 'server'] as const) {
    const parts = fakeParts()
    const server = await startHttp({ host: '127.0.0.1', port: 0, parts })
    const client = new AbortController()
    const url = `http://127.0.0.1:${server.port}${own}/links/from-west/mirrors/clicks/verify`
    const response = await fetch(url, { method: 'POST', signal: client.signal })
    await response.body?.getReader().read()
    if (end === 'client') client.abort()
    else await server.close()
    await parts.verifyAborted
    if (end === 'client') await server.close()
  }
})

test('a port in use is named', async (t) => {
  const first = await startHttp({ host: '127.0.0.1', port: 0, parts: fakeParts() })
  t.after(() => first.close())
  await assert.rejects(startHttp({ host: '127.0.0.1', port: first.port, parts: fakeParts() }), {
    code: 'ADDRESS_IN_USE',
    message: new RegExp(`127.0.0.1:${first.port} is in use`),
  })
})
