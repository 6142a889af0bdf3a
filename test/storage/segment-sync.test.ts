import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import type { Disk } from '../../storage/disk.ts'
import type { PartitionLog } from '../../storage/log.ts'
import { NodeDisk } from '../../storage/node-disk.ts'
import { append, mirror, must, openTestLog, openTestStore, testBatch, testDisk } from '../support/logs.ts'

/** A disk on which the syncs of files end when they are let go. */
function openHeldDisk(): { readonly disk: Disk; readonly held: (() => void)[]; isHolding: boolean } {
  const disk = testDisk()
  const result = { disk, held: [] as (() => void)[], isHolding: false }
  const open = disk.open.bind(disk)
  disk.open = async (...args) => {
    const file = await open(...args)
    const sync = file.sync.bind(file)
    file.sync = async () => {
      if (result.isHolding) await new Promise<void>((resolve) => result.held.push(resolve))
      await sync()
    }
    return file
  }
  return result
}

const fence = { lease: 'link', fenceEpoch: 1n }

for (const [what, cut] of [
  ['cut', (store, log) => store.truncateTo(log, 2n, fence)],
  ['emptied', (store, log) => store.startAt(log, 3n, fence)],
] as const satisfies readonly (readonly [string, (store: Store, log: PartitionLog) => Promise<{ ok: boolean }>])[]) {
  test(`a sync that began before its log was ${what} makes nothing durable that came later`, async () => {
    const held = openHeldDisk()
    const store = await openTestStore({ disk: held.disk })
    const log = (await openTestLog(store, { isMirror: true })) as PartitionLog
    for (let offset = 0n; offset < 10n; offset++) must(await mirror(store, log, [testBatch({ baseOffset: offset })]))
    held.isHolding = true
    const flushing = store.flush(log)
    while (held.held.length === 0) await new Promise((resolve) => setImmediate(resolve))
    held.isHolding = false
    assert.ok((await cut(store, log)).ok)
    const { logEndOffset } = store.view(log)
    for (const release of held.held) release()
    assert.ok((await flushing).ok)
    assert.ok(log.sync.recoveryPoint <= logEndOffset, `${log.sync.recoveryPoint}`)
    must(await mirror(store, log, [testBatch({ baseOffset: logEndOffset })]))
    must(await store.flush(log))
    assert.equal(log.sync.recoveryPoint, logEndOffset + 1n)
  })
}

type Store = Awaited<ReturnType<typeof openTestStore>>

for (const beside of ['flush', 'flushDue', 'raiseLeaderEpoch', 'checkpoint'] as const) {
  test(`a flush beside a ${beside} saves the history of epochs once at a time, and harms nothing`, async (t) => {
    const root = await mkdtemp(join(tmpdir(), 'titorelli-epochs-'))
    t.after(() => rm(root, { recursive: true, force: true, maxRetries: 5 }))
    const offline: string[] = []
    const store = await openTestStore({ disk: new NodeDisk(root), onOffline: ({ reason }) => offline.push(reason) })
    const log = (await openTestLog(store, { config: { flushMs: 0n } })) as PartitionLog
    for (let epoch = 1; epoch <= 50; epoch++) {
      must(await append(store, log, { mode: { kind: 'assign', leaderEpoch: epoch } }))
      const others = {
        flush: () => store.flush(log),
        flushDue: () => store.flushDue(BigInt(epoch)),
        raiseLeaderEpoch: () => store.raiseLeaderEpoch(log, epoch + 1),
        checkpoint: () => log.checkpoint.run(),
      }
      await Promise.all([others[beside](), store.flush(log), store.flush(log)])
      assert.deepEqual(offline, [])
    }
    await store.close()
  })
}
