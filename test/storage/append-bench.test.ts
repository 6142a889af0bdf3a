import { strict as assert } from 'node:assert'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { benchmarkAppend } from '../../bench/storage/append.bench.ts'
import { benchmarkReads } from '../../bench/storage/reads.bench.ts'

test('the append bench runs, and the engine holds every batch of it', async (t) => {
  const root = await mkdtemp(join(tmpdir(), 'titorelli-bench-'))
  t.after(() => rm(root, { recursive: true, force: true }))
  const run = await benchmarkAppend({ root, batches: 100, writers: 16 })
  assert.equal(run.checksum, 100)
})

test('the bench of reads runs, and each of its ways reads all bytes that it asks for', async (t) => {
  const root = await mkdtemp(join(tmpdir(), 'titorelli-bench-'))
  t.after(() => rm(root, { recursive: true, force: true }))
  const lanes = await benchmarkReads({ root, reads: 24, readers: 4, readBytes: 64 * 1024, batches: 8 })
  assert.deepEqual(
    lanes.map(({ name, operations }) => [name, operations]),
    [
      ['bare', 24],
      ['from the files', 24],
      ['from the tails', 480],
    ],
  )
})
