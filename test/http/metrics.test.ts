/** GET /metrics over real brokers in memory. */
import assert from 'node:assert/strict'
import { test, type TestContext } from 'node:test'
import { Fetch } from '../../protocol/apis/fetch.ts'
import { JoinGroup } from '../../protocol/apis/join-group.ts'
import { OffsetCommit } from '../../protocol/apis/offset-commit.ts'
import { Produce } from '../../protocol/apis/produce.ts'
import { zeroUuid } from '../../protocol/schema.ts'
import { buildHttpApp } from '../../src/http/server.ts'
import type { HttpParts } from '../../src/http/parts.ts'
import { metricCatalog, type MetricDeclaration } from '../../src/metrics/catalog.ts'
import { openProcessMetrics } from '../../src/metrics/node-process-metrics.ts'
import { startTestBroker } from '../support/broker.ts'
import { linkName, produce, startMirrorPair, untilMirrored } from '../support/mirror.ts'
import { fetchRequest, produceRequest } from '../support/requests.ts'
import { fakeParts } from './fake-parts.ts'

const catalog: Readonly<Record<string, MetricDeclaration>> = metricCatalog

interface Scrape {
  readonly text: string
  /** By line up to the value: `name{label="x"}`. */
  readonly values: ReadonlyMap<string, number>
  readonly types: ReadonlyMap<string, string>
}

async function scrape(t: TestContext, parts: HttpParts): Promise<Scrape> {
  const app = buildHttpApp(parts, new AbortController().signal)
  t.after(() => app.close())
  const { body: text, statusCode, headers } = await app.inject({ method: 'GET', url: '/metrics' })
  assert.equal(statusCode, 200)
  assert.equal(headers['content-type'], 'text/plain; version=0.0.4; charset=utf-8')
  const values = new Map<string, number>()
  for (const line of text.split('\n').filter((one) => one !== '' && !one.startsWith('#'))) {
    const [, series, value] = /^([a-z0-9_]+(?:\{.*\})?) (\S+)$/.exec(line) ?? []
    assert.ok(series !== undefined && value !== undefined, line)
    assert.ok(!values.has(series), `${series} twice`)
    values.set(series, Number(value))
  }
  const types = new Map([...text.matchAll(/^# TYPE (\S+) (\S+)$/gm)].map(([, name, type]) => [name!, type!]))
  return { text, values, types }
}

/** The samples of an answer are of metrics in the catalog, in its type, and have its labels. */
function checkDeclared({ values, types }: Scrape): void {
  for (const [name, { type }] of Object.entries(catalog)) assert.equal(types.get(name), type, name)
  for (const series of values.keys()) {
    const name = series.replace(/\{.*/s, '')
    const declaration = catalog[name] ?? catalog[name.replace(/_(?:bucket|count|sum)$/, '')]
    assert.ok(declaration, name)
    const labels = [...series.matchAll(/[{,]([a-z]+)="/g)].map(([, label]) => label!)
    for (const label of labels) assert.ok(['le', 'quantile', ...declaration.labels].includes(label), series)
  }
}

test('what clients do is counted by topic and in all, and what they hold is shown', async (t) => {
  const world = await startTestBroker(t, { topics: { orders: 2 }, brokerCount: 1 })
  const client = await world.connect()
  await client.send(Produce, 9, produceRequest({ values: ['a', 'b', 'c'] }))
  await client.send(Produce, 9, produceRequest({ topic: 'nope' }))
  const { responses } = await client.send(Fetch, 12, fetchRequest())
  const bytes = responses[0]!.partitions[0]!.records!.reduce((sum, chunk) => sum + chunk.length, 0)
  const found = await scrape(t, world.broker.httpParts)
  checkDeclared(found)
  const expected = {
    kafka_server_brokertopicmetrics_messagesin_total: 3,
    'kafka_server_brokertopicmetrics_messagesin_total{topic="orders"}': 3,
    'kafka_server_brokertopicmetrics_bytesin_total{topic="orders"}': bytes,
    'kafka_server_brokertopicmetrics_bytesout_total{topic="orders"}': bytes,
    kafka_server_brokertopicmetrics_totalproducerequests_total: 2,
    kafka_server_brokertopicmetrics_failedproducerequests_total: 1,
    'kafka_server_brokertopicmetrics_failedproducerequests_total{topic="orders"}': 0,
    'kafka_network_requestmetrics_requests_total{request="Produce",version="9"}': 2,
    'kafka_network_requestmetrics_totaltimems_count{request="Produce"}': 2,
    'titorelli_request_duration_seconds_bucket{request="Fetch",le="+Inf"}': 1,
    'titorelli_append_records_total{origin="client"}': 3,
    'kafka_log_log_logendoffset{topic="orders",partition="0"}': 3,
    'kafka_log_log_logendoffset{topic="orders",partition="1"}': 0,
    'kafka_log_log_size{topic="orders",partition="0"}': bytes,
    'kafka_server_socket_server_metrics_connection_count{broker="1"}': 1,
    kafka_controller_kafkacontroller_globaltopiccount: 1,
    kafka_controller_kafkacontroller_globalpartitioncount: 2,
    kafka_controller_kafkacontroller_offlinepartitionscount: 0,
    'kafka_server_replicamanager_leadercount{broker="1"}': 2,
    titorelli_memory_pressure: 0,
  }
  assert.deepEqual(Object.fromEntries(Object.keys(expected).map((key) => [key, found.values.get(key)])), expected)
})

test('a deleted topic leaves the totals as they are, and takes its own series with it', async (t) => {
  const world = await startTestBroker(t, { topics: { orders: 1 } })
  await world.send(Produce, 9, produceRequest({ values: ['a'] }))
  await world.broker.parts.topics.delete(world.broker.parts.topics.find('orders')!.image.topicId)
  const { values, text } = await scrape(t, world.broker.httpParts)
  assert.equal(values.get('kafka_server_brokertopicmetrics_messagesin_total'), 1)
  assert.ok(!text.includes('topic="orders"'))
})

test('the lag of a group is shown by partition, never below 0', async (t) => {
  const world = await startTestBroker(t, { topics: { orders: 2 } })
  for (const value of ['a', 'b', 'c']) await world.send(Produce, 9, produceRequest({ values: [value] }))
  const commit = (partitionIndex: number, committedOffset: bigint) => ({
    partitionIndex,
    committedOffset,
    committedMetadata: null,
  })
  const topics = [{ name: 'orders', topicId: zeroUuid, partitions: [commit(0, 1n), commit(1, 5n)] }]
  await world.send(OffsetCommit, 8, { groupId: 'g', memberId: '', topics })
  const found = await scrape(t, world.broker.httpParts)
  checkDeclared(found)
  const at = (partition: number) => `{consumergroup="g",topic="orders",partition="${partition}"}`
  assert.equal(found.values.get(`kafka_consumergroup_current_offset${at(0)}`), 1)
  assert.equal(found.values.get(`kafka_consumergroup_lag${at(0)}`), 2)
  assert.equal(found.values.get(`kafka_consumergroup_lag${at(1)}`), 0)
})

test('a group is counted at the broker that coordinates it, in its state; its records as those of a coordinator', async (t) => {
  const world = await startTestBroker(t, { brokerCount: 3 })
  const coordinator = world.broker.parts.groupCoordinators.brokerOf('g')!
  const client = await world.connect(coordinator)
  await client.send(JoinGroup, 3, {
    groupId: 'g',
    sessionTimeoutMs: 10_000,
    rebalanceTimeoutMs: 10_000,
    memberId: '',
    protocolType: 'consumer',
    protocols: [{ name: 'range', metadata: new Uint8Array() }],
  })
  const { values } = await scrape(t, world.broker.httpParts)
  for (const id of [1, 2, 3]) {
    const count = id === coordinator ? 1 : 0
    assert.equal(values.get(`kafka_coordinator_group_groupmetadatamanager_numgroups{broker="${id}"}`), count)
    const rebalancing = `kafka_coordinator_group_groupmetadatamanager_numgroupscompletingrebalance{broker="${id}"}`
    assert.equal(values.get(rebalancing), count)
  }
  assert.ok(values.get('titorelli_append_records_total{origin="coordinator"}')! >= 1)
})

test('mirrors are shown with their state and lag, and what links append is counted', async (t) => {
  const pair = await startMirrorPair(t, { topics: { orders: 1 } })
  await pair.mirror.broker.links.createMirror(linkName, { sourceTopicName: 'orders' })
  await produce(pair.source, { values: ['a', 'b'] })
  await untilMirrored(pair, 'orders', 0)
  const found = await scrape(t, pair.mirror.broker.httpParts)
  checkDeclared(found)
  const mirror = `link="${linkName}",topic="orders"`
  assert.equal(found.values.get(`titorelli_mirror_state{${mirror},state="ACTIVE"}`), 1)
  assert.equal(found.values.get(`titorelli_mirror_state{${mirror},state="PAUSED"}`), 0)
  assert.equal(found.values.get(`titorelli_mirror_lag{${mirror},partition="0"}`), 0)
  assert.equal(found.values.get(`titorelli_link_state{link="${linkName}",state="ACTIVE"}`), 1)
  assert.equal(found.values.get('titorelli_append_records_total{origin="mirror"}'), 2)
  assert.equal(found.values.get('kafka_server_brokertopicmetrics_messagesin_total'), 0)
})

test('the process is shown where it is watched', async (t) => {
  const processMetrics = openProcessMetrics()
  t.after(() => processMetrics.close())
  const found = await scrape(t, { ...fakeParts(), processMetrics })
  checkDeclared(found)
  assert.ok(found.values.get('process_resident_memory_bytes')! > 10_000_000)
  assert.ok(found.values.get('process_cpu_user_seconds_total')! > 0)
  assert.ok(Math.abs(found.values.get('process_start_time_seconds')! - (Date.now() / 1_000 - process.uptime())) < 5)
})

test('the lag of the event loop is what the loop was kept from running, and that since the last scrape', async (t) => {
  const processMetrics = openProcessMetrics()
  t.after(() => processMetrics.close())
  await new Promise((resolve) => setTimeout(resolve, 50)) // until it is looked at for the first time
  const untilMs = performance.now() + 150
  while (performance.now() < untilMs);
  await new Promise((resolve) => setTimeout(resolve, 25))
  const lagOf = () => new Map(processMetrics.read()).get('nodejs_eventloop_lag_max_seconds')!
  const lag = lagOf()
  assert.ok(lag > 0.1 && lag < 5, `got ${lag} s`)
  assert.ok(lagOf() < 0.1)
})
