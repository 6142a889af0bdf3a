import { strict as assert } from 'node:assert'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { benchmarkOpen } from '../../bench/storage/open.bench.ts'
import { benchmarkIndexes, benchmarkRecovery } from '../../bench/storage/recovery.bench.ts'

test('the open bench runs, and every opening finds all records', async (t) => {
  const root = await mkdtemp(join(tmpdir(), 'titorelli-bench-'))
  t.after(() => rm(root, { recursive: true, force: true, maxRetries: 5 }))
  const run = await benchmarkOpen({ root, partitionCount: 3, batchBytes: 1000, batches: 4 })
  assert.equal(run.checksum, 12)
})

test('the recovery bench runs: a killed process leaves all that it acknowledged, and lost indexes are made again', async (t) => {
  const root = await mkdtemp(join(tmpdir(), 'titorelli-bench-'))
  t.after(() => rm(root, { recursive: true, force: true, maxRetries: 5 }))
  const run = await benchmarkRecovery({ root, sizeBytes: 1_000_000, unsyncedLimitBytes: 2 ** 50 })
  assert(run.sizeBytes >= 1_000_000)
  const again = await benchmarkIndexes(root)
  assert.deepEqual([again.batches, again.sizeBytes], [run.batches, run.sizeBytes])
})
