/** The comparison with others, in small: that its load, its tables and its JSON work. */
import assert from 'node:assert/strict'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import type { Report } from '../../bench/peers/report.ts'
import { usePeer } from './support/peers.ts'
import { mustRun, runCommand } from './support/processes.ts'

const run = fileURLToPath(new URL('../../bench/peers/run.ts', import.meta.url))

test('the bench produces, consumes and times records through librdkafka, and says so in JSON', async (t) => {
  if (!(await usePeer(t, 'confluent-kafka'))) return
  if ((await runCommand('bash', ['-c', 'command -v cc'])).status !== 0) return t.skip('there is no C compiler')
  const folder = await mkdtemp(join(tmpdir(), 'bench-'))
  t.after(() => rm(folder, { recursive: true, force: true }))
  const file = join(folder, 'run.json')
  const only = 'start,produce-1k,consume-1k,latency-20'
  const args = ['--only', only, '--peers', 'titorelli', '--scale', '0.02', '--json', file]
  const { stdout } = await mustRun(process.execPath, [run, ...args])
  const { results } = JSON.parse(await readFile(file, 'utf8')) as Report
  assert.deepEqual(Object.keys(results), only.split(','))
  for (const name of only.split(',')) {
    const [round] = results[name]!['titorelli']!
    for (const [metric, value] of Object.entries(round!)) assert.ok(Number.isFinite(value), `${name} has ${metric}`)
    assert.match(stdout, new RegExp(`^${name} +titorelli +1 +\\d`, 'm'))
  }
  assert.ok(results['produce-1k']!['titorelli']![0]!.megabytesPerSecond! > 0)
  const { p50Ms, p99Ms, maxMs } = results['latency-20']!['titorelli']![0]!
  assert.ok(0 < p50Ms! && p50Ms! <= p99Ms! && p99Ms! <= maxMs!)
})
