import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { metricCatalog, type MetricDeclaration } from '../../src/metrics/catalog.ts'
import { metricsMarkdown } from '../../src/metrics/docs.ts'
import { Exposition } from '../../src/metrics/exposition.ts'
import { RequestStats } from '../../src/metrics/request-stats.ts'

const catalog: Readonly<Record<string, MetricDeclaration>> = metricCatalog

test('docs/metrics.md is what the catalog says (npm run docs writes it anew)', () => {
  assert.equal(readDoc('metrics.md'), metricsMarkdown())
})

test('every metric has a name that Prometheus takes; counters, and only they, end in _total', () => {
  for (const [name, { type, labels }] of Object.entries(catalog)) {
    assert.match(name, /^[a-z_][a-z0-9_]*$/)
    assert.equal(name.endsWith('_total'), type === 'counter', name)
    for (const label of labels) assert.match(label, /^[a-z]+$/)
  }
})

test('the queries of the Grafana dashboard use only metrics that are served, with labels that they have', () => {
  const expressions = [...readDoc('grafana-dashboard.json').matchAll(/"(?:expr|query)": "((?:[^"\\]|\\.)*)"/g)]
    .map(([, text]) => JSON.parse(`"${text}"`) as string)
    .filter((text) => text.includes('('))
  assert.ok(expressions.length > 25)
  for (const expression of expressions) {
    const names = [...expression.matchAll(/\b(?:kafka|titorelli|process|nodejs)_[a-z0-9_]+/g)].map(([name]) => name)
    assert.ok(names.length > 0, expression)
    const declared = names.map((name) => [name, declarationOf(name)] as const)
    for (const [name, declaration] of declared) assert.ok(declaration, `${name} in ${expression}`)
    const known = new Set(['instance', 'le', ...declared.flatMap(([, one]) => one?.labels ?? [])])
    const selected = [...expression.matchAll(/(\w+)(?:=|!=|=~)"/g)].map(([, label]) => label!)
    const grouped = [...expression.matchAll(/\bby \(([^)]*)\)/g)].flatMap(([, list]) => list!.split(', '))
    for (const label of [...selected, ...grouped]) assert.ok(known.has(label), `${label} in ${expression}`)
  }
})

test('values and labels are written as the text format wants them', () => {
  const out = new Exposition()
  out.add('titorelli_mirror_lag', { link: 'a"b\\c\nd', topic: 't', partition: 0 }, 9_007_199_254_740_993n)
  out.add('titorelli_memory_pressure', {}, NaN)
  out.addHistogram(
    'titorelli_request_duration_seconds',
    { request: 'Fetch' },
    { bounds: [1, 2], counts: [3, 0, 2], sum: 9 },
  )
  const lines = out.toString().split('\n')
  assert.ok(lines.includes('titorelli_mirror_lag{link="a\\"b\\\\c\\nd",topic="t",partition="0"} 9007199254740993'))
  assert.ok(lines.includes('titorelli_memory_pressure NaN'))
  const histogram = lines.filter((line) => line.startsWith('titorelli_request_duration_seconds'))
  assert.deepEqual(histogram, [
    'titorelli_request_duration_seconds_bucket{request="Fetch",le="1"} 3',
    'titorelli_request_duration_seconds_bucket{request="Fetch",le="2"} 3',
    'titorelli_request_duration_seconds_bucket{request="Fetch",le="+Inf"} 5',
    'titorelli_request_duration_seconds_sum{request="Fetch"} 9',
    'titorelli_request_duration_seconds_count{request="Fetch"} 5',
  ])
  assert.ok(out.toString().endsWith('\n'))
})

test('quantiles are of the last one to two minutes, counts and sums of all time', () => {
  const stats = new RequestStats('Fetch')
  const note = (startMs: number, tookMs: number) => stats.note(4, { startMs, endMs: startMs + tookMs })
  for (let at = 0; at < 100; at++) note(at, 400)
  assert.ok(Math.abs(stats.quantileMs(0.5, 1_000) - 375) < 3, 'between 250 and 500, in the middle')
  note(70_000, 1)
  assert.ok(stats.quantileMs(0.5, 70_100) > 250, 'the minute before still counts')
  note(140_000, 1)
  assert.ok(stats.quantileMs(0.99, 140_100) <= 1, 'it is over')
  assert.ok(Number.isNaN(stats.quantileMs(0.5, 900_000)), 'nothing of late')
  assert.deepEqual([stats.count, stats.sumMs, stats.countByVersion[4]], [102, 40_002, 102])
})

test('what took longer than every bound is counted above them', () => {
  const stats = new RequestStats('JoinGroup')
  stats.note(0, { startMs: 0, endMs: 60_000 })
  assert.equal(stats.buckets.at(-1), 1)
  assert.equal(stats.quantileMs(0.5, 60_001), 10_000)
})

function declarationOf(name: string): MetricDeclaration | undefined {
  return catalog[name] ?? catalog[name.replace(/_(?:bucket|count|sum)$/, '')]
}

function readDoc(name: string): string {
  return readFileSync(new URL(`../../docs/${name}`, import.meta.url), 'utf8')
}
