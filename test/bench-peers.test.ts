/** What of the comparison with others can be tested without them. */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import test from 'node:test'
import { Kafka, logLevel } from 'kafkajs'
import { judge, metrics, spreadOf } from '../bench/peers/metrics.ts'
import { cpuSecondsOf, EndWatcher, firstAnswer, memoryOf } from '../bench/peers/processes.ts'
import { sectionsOf, tablesOf, textOf, withSections, type Report } from '../bench/peers/report.ts'
import { workloads } from '../bench/peers/workloads.ts'
import { startBroker } from '../src/index.ts'

const linuxOnly = { skip: process.platform === 'linux' ? false : 'it reads /proc' }
const rates = (...values: readonly number[]) => values.map((megabytesPerSecond) => ({ megabytesPerSecond }))

test('a spread is the smallest, the middle and the largest round; the middle of an even count lies between two', () => {
  assert.deepEqual(spreadOf(rates(3, 1, 2), 'megabytesPerSecond'), { min: 1, median: 2, max: 3 })
  assert.deepEqual(spreadOf(rates(4, 1, 2, 3), 'megabytesPerSecond'), { min: 1, median: 2.5, max: 4 })
})

test('a metric that no round has is not summed up', () => {
  assert.equal(spreadOf(rates(1), 'p99Ms'), undefined)
})

test('a target is a bound for the ratio of medians, met at the bound itself', () => {
  const target = { metric: 'megabytesPerSecond', against: 'kafka', atLeast: 2 } as const
  const verdictOf = (own: number) => judge('produce', target, { titorelli: rates(1, own, 99), kafka: rates(5) })
  assert.deepEqual(verdictOf(10), {
    workload: 'produce',
    metric: 'megabytesPerSecond',
    wanted: 'at least 2 x kafka',
    value: 2,
    isMet: true,
  })
  assert.equal(verdictOf(9.9)?.isMet, false)
})

test('a target that names no peer is a bound in the unit of the metric', () => {
  const verdict = judge('mirror', { metric: 'firstRecordMs', atMost: 1000 }, { titorelli: [{ firstRecordMs: 1001 }] })
  assert.equal(verdict?.value, 1001)
  assert.equal(verdict?.isMet, false)
})

test('a target is not judged where one of its sides was not measured', () => {
  const target = { metric: 'megabytesPerSecond', against: 'kafka', atLeast: 1 } as const
  assert.equal(judge('produce', target, { titorelli: rates(1) }), undefined)
  assert.equal(judge('produce', target, { kafka: rates(1) }), undefined)
})

test('each workload has a name of its own, and its targets are about what it measures', () => {
  assert.equal(new Set(workloads.map(({ name }) => name)).size, workloads.length)
  for (const { name, metrics: measured, peers, targets } of workloads) {
    for (const { metric, against, atLeast, atMost } of targets) {
      assert.ok(measured.includes(metric), `${name} measures ${metric}`)
      assert.ok(
        peers.some((peer) => against === undefined || peer === against),
        `${name} has ${against}`,
      )
      assert.ok((atLeast === undefined) !== (atMost === undefined), `${name} has one bound for ${metric}`)
    }
  }
})

test('a table has a row for each peer of a workload, and a column for each metric', () => {
  const one = workloads.find(({ name }) => name === 'produce-1k')!
  const [table] = tablesOf({ [one.name]: { titorelli: rates(1, 2, 4), kafka: [] } })
  assert.deepEqual(
    table?.[0]?.slice(3),
    one.metrics.map((metric) => metrics[metric].label),
  )
  assert.deepEqual(table?.[1], [one.name, 'titorelli', '3', '2 (1 to 4)', ''])
  assert.equal(table?.length, 3)
})

test('a missed target stands out', () => {
  const results = { 'produce-1k': { titorelli: rates(1), kafka: rates(2) } }
  assert.match(textOf({ results, failures: [] }), /at least 1 x kafka +0\.5 +MISSED/)
})

test('a round that failed is named, and is in no table', () => {
  const failures = [{ workload: 'produce-1k', peer: 'kfake', reason: 'it lost 7 records' }]
  const text = textOf({ results: { 'produce-1k': { kfake: [] } }, failures })
  assert.match(text, /^produce-1k +kfake +0$/m)
  assert.match(text, /FAILED: a round of produce-1k for kfake: it lost 7 records/)
})

test('a section of a document is replaced between its markers, and nothing else', () => {
  const document = 'a\n<!-- one: written by npm run bench -->\nold\n<!-- end -->\nb\n<!-- end -->\n'
  const begin = 'a\n<!-- one: written by npm run bench -->'
  assert.equal(withSections(document, { one: 'new' }), `${begin}\n\nnew\n\n<!-- end -->\nb\n<!-- end -->\n`)
  assert.throws(() => withSections(document, { two: 'new' }), /no section two/)
})

test('docs/benchmarks.md shows the run in bench/peers/results.json: npm run bench -- --from it --write', () => {
  const read = (path: string): string => readFileSync(new URL(`../${path}`, import.meta.url), 'utf8')
  const report = JSON.parse(read('bench/peers/results.json')) as Report
  assert.equal(withSections(read('docs/benchmarks.md'), sectionsOf(report)), read('docs/benchmarks.md'))
})

test('the CPU and the memory of a process are what the kernel says', linuxOnly, async () => {
  const before = await cpuSecondsOf(process.pid)
  const { user, system } = process.cpuUsage()
  assert.ok(Math.abs(before - (user + system) / 1e6) < 0.5)
  const { residentMegabytes, proportionalMegabytes } = await memoryOf(process.pid)
  assert.ok(Math.abs(residentMegabytes - process.memoryUsage.rss() / 1e6) < 50)
  assert.ok(proportionalMegabytes > 0 && proportionalMegabytes <= residentMegabytes)
})

test('a broker is asked until it answers, and its ends are watched until they are there', async () => {
  const startedMs = performance.now()
  await using broker = await startBroker({ topics: { watched: { partitions: 2 } } })
  const port = Number(broker.bootstrapServers.split(':')[1])
  assert.ok((await firstAnswer(port)) > startedMs)
  const watcher = await EndWatcher.open(port, 'watched', 2)
  const missing = await EndWatcher.open(port, 'missing', 1)
  try {
    assert.equal(await watcher.count(), 0)
    assert.equal(await missing.count(), 0)
    await assert.rejects(watcher.reach(1, 1), /watched has 0 records, expected 1/)
    const kafka = new Kafka({ clientId: 'bench', brokers: [broker.bootstrapServers], logLevel: logLevel.NOTHING })
    const producer = kafka.producer()
    await producer.connect()
    await producer.send({ topic: 'watched', messages: [0, 1, 1].map((partition) => ({ value: 'a', partition })) })
    await producer.disconnect()
    assert.ok((await watcher.reach(3)) > startedMs)
    assert.equal(await watcher.count(), 3)
  } finally {
    watcher.close()
    missing.close()
  }
})
