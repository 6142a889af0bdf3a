import { strict as assert } from 'node:assert'
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test, type TestContext } from 'node:test'
import { buildEndTransactionMarker } from '../../protocol/records/control.ts'
import { readBatchHeader } from '../../protocol/records/batch.ts'
import { NodeDisk } from '../../storage/node-disk.ts'
import { append, openTestLog, openTestStore, testBatch, testNowMs } from '../support/logs.ts'
import { runCli } from './support.ts'

/** The folder of a partition with a file of every kind. */
async function partitionFolder(t: TestContext): Promise<string> {
  const root = await mkdtemp(join(tmpdir(), 'titorelli-dump-'))
  t.after(() => rm(root, { recursive: true, force: true }))
  const store = await openTestStore({ disk: new NodeDisk(root) })
  const log = await openTestLog(store, { config: { indexIntervalBytes: 100 } })
  const producer = { producerId: 7n, producerEpoch: 1, isTransactional: true }
  for (const baseSequence of [0, 1, 2]) {
    assert(
      (await append(store, log, { batches: [testBatch({ ...producer, baseSequence, values: ['caf\u00e9'] })] })).ok,
    )
  }
  const marker = buildEndTransactionMarker({
    producerId: 7n,
    producerEpoch: 1,
    coordinatorEpoch: 3,
    commit: false,
    timestampMs: testNowMs,
    leaderEpoch: 0,
    baseOffset: 0n,
  })
  const batches = [{ bytes: marker, header: readBatchHeader(marker) }]
  assert((await append(store, log, { batches, origin: 'coordinator' })).ok)
  await store.close()
  return join(root, 'orders-0')
}

test('dump shows every file of a partition', async (t) => {
  const folder = await partitionFolder(t)
  const shown: Record<string, string> = {}
  for (const name of await readdir(folder)) {
    const { status, stdout, stderr } = await runCli(['dump', join(folder, name), '--records'])
    assert.deepEqual([status, stderr], [0, ''], name)
    shown[name.replace(/^\d+\./, '')] = stdout
  }
  assert.match(
    shown['log']!,
    /baseOffset: 0 .*leaderEpoch: 0 CreateTime: 1700000000000 compression: none producerId: 7/,
  )
  assert.match(shown['log']!, / {2}offset: 2 timestampMs: 1700000000000 key: "key" value: "café"/)
  assert.match(shown['log']!, / {2}marker: ABORT coordinatorEpoch: 3/)
  assert.match(shown['index']!, /offset: 2 position: \d+/)
  assert.match(shown['timeindex']!, /timestampMs: 1700000000000 offset: 0/)
  assert.match(shown['txnindex']!, /version: 0 producerId: 7 firstOffset: 0 lastOffset: 3 lastStableOffset: 4/)
  assert.match(shown['snapshot']!, /producerId: 7 producerEpoch: 1 coordinatorEpoch: 3 .*lastSequence: 2 lastOffset: 2/)
  assert.match(shown['leader-epoch-checkpoint']!, /\n0\n1\n0 0\n/)
  assert.match(shown['partition.metadata']!, /topic_id: /)
  assert.match(shown['log-note']!, /\nlog 4 1\nsegment 0 4 /)
})

test('dump ends with 1 and says what does not hold, and with 2 where it cannot tell', async (t) => {
  const folder = await partitionFolder(t)
  const path = join(folder, `${'0'.repeat(20)}.log`)
  const bytes = await readFile(path)
  await writeFile(path, Buffer.concat([bytes.map((byte, index) => (index === 70 ? byte ^ 1 : byte)), Buffer.alloc(7)]))
  const damaged = await runCli(['dump', path])
  assert.equal(damaged.status, 1)
  assert.match(damaged.stderr, /the batch at position 0 does not match its CRC\n/)
  assert.match(damaged.stderr, new RegExp(`7 bytes from position ${bytes.length} on are no batch`))
  const index = join(folder, `${'0'.repeat(20)}.index`)
  await writeFile(index, Buffer.concat([await readFile(index), Buffer.alloc(13)]))
  assert.match((await runCli(['dump', index])).stderr, /5 bytes at the end are no entry\n.*entry \d does not rise/)
  assert.equal((await runCli(['dump', join(folder, 'nothing.log')])).status, 2)
  assert.equal((await runCli(['dump', import.meta.filename])).status, 2)
})
