import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { benchmarkLoad } from '../../bench/coordinators/load.bench.ts'

test('the bench of loading commits finds the last commit of each partition, however they were batched', async (t) => {
  for (const partitionsPerCommit of [1, 10]) {
    const root = await mkdtemp(join(tmpdir(), 'titorelli-bench-'))
    t.after(() => rm(root, { recursive: true }))
    const run = await benchmarkLoad({ root, commits: 200, partitionsPerCommit, groups: 5 })
    // Of 200 offsets from 0 on, the last ones of five groups: 5 of 1 partition, or 50 of 10.
    const count = 5 * partitionsPerCommit
    const last = Array.from({ length: count }, (_, index) => 199 - index)
    assert.equal(run.checksum, BigInt(last.reduce((sum, offset) => sum + offset, 0)))
    assert.equal(run.times.length, 3)
  }
})
