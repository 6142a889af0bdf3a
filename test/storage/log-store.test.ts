import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import type { Disk } from '../../storage/disk.ts'
import { NodeDisk } from '../../storage/node-disk.ts'
import { TailBudget } from '../../storage/tail-cache.ts'
import { logStoreContract, type Engine } from '../contracts/log-store.ts'
import { openTestStore, testDisk, type OpenTestStoreOptions } from '../support/logs.ts'

async function engineOn(disk: Disk, options: OpenTestStoreOptions = {}): Promise<Engine> {
  let store = await openTestStore({ disk, ...options })
  return {
    store,
    async reopen(how) {
      // A killed process leaves the bytes that it has written and nothing else: the old store is simply not used any
      // more.
      if (how === 'clean') await store.close()
      store = await openTestStore({ disk, ...options })
      return store
    },
  }
}

async function nodeDisk(t: TestContext): Promise<Disk> {
  const root = await mkdtemp(join(tmpdir(), 'titorelli-log-'))
  // A store that was left as a kill leaves it may still write its last note.
  t.after(() => rm(root, { recursive: true, force: true, maxRetries: 5 }))
  return new NodeDisk(root)
}

logStoreContract('SegmentLogStore on MemoryDisk', () => engineOn(testDisk()))
logStoreContract('SegmentLogStore on NodeDisk', async (t) => engineOn(await nodeDisk(t)))
// The smallest tail: whatever was appended two batches ago is read from the disk.
logStoreContract('SegmentLogStore without a tail', () =>
  engineOn(testDisk(), { directory: 'data', tailBudget: new TailBudget(1), tailBytesPerLog: 1 }),
)
