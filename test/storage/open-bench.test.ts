import { strict as assert } from 'node:assert'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { benchmarkOpen } from '../../bench/storage/open.bench.ts'

test('the open bench runs, and every opening finds all records', async (t) => {
  const root = await mkdtemp(join(tmpdir(), 'titorelli-bench-'))
  t.after(() => rm(root, { recursive: true, force: true, maxRetries: 5 }))
  const run = await benchmarkOpen({ root, partitionCount: 3, batchBytes: 1000, batches: 4 })
  assert.equal(run.checksum, 12)
})
