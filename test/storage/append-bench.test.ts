import { strict as assert } from 'node:assert'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { benchmarkAppend } from '../../bench/storage/append.bench.ts'

test('the append bench runs, and the engine holds every batch of it', async (t) => {
  const root = await mkdtemp(join(tmpdir(), 'titorelli-bench-'))
  t.after(() => rm(root, { recursive: true, force: true }))
  const run = await benchmarkAppend({ root, batches: 100, writers: 16 })
  assert.equal(run.checksum, 100)
})
