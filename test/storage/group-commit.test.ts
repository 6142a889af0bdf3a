/** What a log makes of the appends of one turn of the event loop, on the real disk, which does small writes at once. */
import { strict as assert } from 'node:assert'
import { writevSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test, type TestContext } from 'node:test'
import type { LogHandle } from '../../storage/log-store.ts'
import type { PartitionLog } from '../../storage/log.ts'
import { DirectWrites } from '../../storage/node-direct-writes.ts'
import { NodeDisk } from '../../storage/node-disk.ts'
import { LoopTime } from '../../storage/node-loop-time.ts'
import { OpenFiles, PooledFile } from '../../storage/open-files.ts'
import type { SegmentLogStore } from '../../storage/segment-log-store.ts'
import { append, mirror, must, openTestLog, openTestStore, readAllValues, testBatch } from '../support/logs.ts'

type Write = (fd: number, chunks: readonly Uint8Array[], position: number) => number

interface Opened {
  readonly disk: NodeDisk
  readonly directWrites: DirectWrites
  readonly store: SegmentLogStore
  readonly log: LogHandle
  /** Bytes of each write that was done at once behind the first record, in order. */
  readonly writes: number[]
  /** What does the writes at once. */
  readonly script: { write: Write }
  readonly send: (...values: string[]) => ReturnType<typeof append>
}

/** A log of which one record was written: later appends of this test need no look at the file, nor to open it. */
async function openWritten(t: TestContext, isMirror = false): Promise<Opened> {
  const root = await mkdtemp(join(tmpdir(), 'titorelli-group-'))
  t.after(() => rm(root, { recursive: true, force: true, maxRetries: 5 }))
  const writes: number[] = []
  const script: { write: Write } = { write: writevSync }
  // Time stands still: no write is so slow that the pool does the next.
  const directWrites = new DirectWrites({
    loopTime: new LoopTime({ nowMs: () => 0 }),
    write(fd, chunks, position) {
      // Checkpoints and the like are written from the beginning of their files.
      if (position > 0) writes.push(chunks.reduce((sum, chunk) => sum + chunk.length, 0))
      return script.write(fd, chunks, position)
    },
  })
  const disk = new NodeDisk(root, { directWrites })
  const store = await openTestStore({ disk })
  const log = await openTestLog(store, { isMirror })
  const send = (...values: string[]) => append(store, log, { batches: [testBatch({ values })] })
  if (isMirror) must(await mirror(store, log, [testBatch({ values: ['0'], leaderEpoch: 1 })]))
  else must(await send('0'))
  writes.length = 0
  return { disk, directWrites, store, log, writes, script, send }
}

/** What another process would find in the folder of a store that was left as a kill leaves it. */
async function valuesOnDisk({ disk }: Opened, isMirror = false): Promise<string[]> {
  const store = await openTestStore({ disk: new NodeDisk(disk.root) })
  return readAllValues(store, await openTestLog(store, { isMirror }))
}

const noSpace = (): Error => Object.assign(new Error('no space left'), { code: 'ENOSPC' })

test('appends of one turn are one write, those of the next turn another', async (t) => {
  const opened = await openWritten(t)
  const { disk, send, writes } = opened
  const first = [send('1'), send('2')]
  await Promise.resolve()
  first.push(send('3'))
  assert.deepEqual(writes, [], 'nothing is written before the turn ends')
  await disk.nextTurn()
  const second = [send('4'), send('5')]
  const results = await Promise.all([...first, ...second])
  assert.deepEqual(
    results.map((result) => must(result).baseOffset),
    [1n, 2n, 3n, 4n, 5n],
  )
  const batchBytes = testBatch({ values: ['1'] }).bytes.length
  assert.deepEqual(writes, [3 * batchBytes, 2 * batchBytes])
  assert.deepEqual(await valuesOnDisk(opened), ['0', '1', '2', '3', '4', '5'])
})

test('all logs write in the turn after the one in which their appends came', async (t) => {
  const { disk, store, writes, send } = await openWritten(t)
  const other = await openTestLog(store, { name: 'other', topicId: 'AAAAAAAAAAAAAAAAA0002A' })
  must(await append(store, other))
  writes.length = 0
  const sent = [send('1'), append(store, other), send('2'), append(store, other)]
  await disk.nextTurn()
  await Promise.resolve()
  assert.equal(writes.length, 2)
  for (const result of await Promise.all(sent)) must(result)
})

test('a loop over appends lets timers run', async (t) => {
  const { send } = await openWritten(t)
  let isDue = false
  setTimeout(() => (isDue = true), 1)
  for (let count = 0; !isDue; count++) {
    assert(count < 10_000)
    must(await send('x'))
  }
})

for (const tornBytes of [0, 30, 100]) {
  test(`a write at once that fails takes its group with it, what it left is cut off, and the next group goes on (torn at ${tornBytes})`, async (t) => {
    const opened = await openWritten(t)
    const { script, send } = opened
    script.write = (fd, chunks, position) => {
      script.write = writevSync
      writevSync(fd, [Buffer.concat(chunks).subarray(0, tornBytes)], position)
      throw noSpace()
    }
    for (const result of await Promise.all([send('lost'), send('lost')])) {
      assert(!result.ok)
      assert.equal(result.code, 'NO_SPACE')
    }
    assert.deepEqual(await valuesOnDisk(opened), ['0'])
    assert.equal(must(await send('1')).baseOffset, 1n)
    assert.deepEqual(await valuesOnDisk(opened), ['0', '1'])
  })
}

for (const doneBytes of [0, 1, 40, 90]) {
  test(`what a write at once leaves over is written in time (${doneBytes} bytes done)`, async (t) => {
    const opened = await openWritten(t)
    const { script, send } = opened
    script.write = (fd, chunks, position) => writevSync(fd, [Buffer.concat(chunks).subarray(0, doneBytes)], position)
    const results = await Promise.all([send('1'), send('2'), send('3')])
    assert.deepEqual(
      results.map((result) => must(result).baseOffset),
      [1n, 2n, 3n],
    )
    assert.deepEqual(await valuesOnDisk(opened), ['0', '1', '2', '3'])
  })
}

test('an append that waits for its turn when its log is dropped is refused and not written', async (t) => {
  const { store, log, writes, send } = await openWritten(t)
  const sent = send('1')
  const dropped = store.drop(log.id.topicId)
  const result = await sent
  assert(!result.ok)
  assert.equal(result.code, 'UNKNOWN_LOG')
  must(await dropped)
  assert.deepEqual(writes, [])
})

test('an append that waits for its turn when its log goes offline is refused and not written', async (t) => {
  const { log, writes, send } = await openWritten(t)
  const sent = send('1')
  ;(log as PartitionLog).goOffline('test')
  const result = await sent
  assert(!result.ok)
  assert.equal(result.code, 'LOG_OFFLINE')
  assert.deepEqual(writes, [])
})

test('a store that closes writes what waits for its turn first', async (t) => {
  const opened = await openWritten(t)
  const { disk, store, send } = opened
  const sent = send('1')
  const closed = store.close()
  must(await sent)
  await closed
  const again = await openTestStore({ disk: new NodeDisk(disk.root) })
  assert(!again.wasUnclean)
  assert.deepEqual(await readAllValues(again, await openTestLog(again)), ['0', '1'])
})

test('a truncation runs after the appends that wait for their turn and before those that come behind it', async (t) => {
  const { store, log } = await openWritten(t, true)
  const batch = (value: string, baseOffset: bigint) => testBatch({ values: [value], baseOffset, leaderEpoch: 1 })
  const before = mirror(store, log, [batch('1', 1n)], 1n)
  const truncated = store.truncateTo(log, 1n, { lease: 'link', fenceEpoch: 1n })
  const behind = mirror(store, log, [batch('again', 1n)], 1n)
  assert.equal(must(await before).baseOffset, 1n)
  assert.equal(must(await truncated).logEndOffset, 1n)
  assert.equal(must(await behind).baseOffset, 1n)
  assert.deepEqual(await readAllValues(store, log), ['0', 'again'])
})

test('a repeat of an append that waits for its turn shares its outcome', async (t) => {
  const { store, log, script } = await openWritten(t)
  const produce = () =>
    append(store, log, { batches: [testBatch({ values: ['p'], producerId: 7n, producerEpoch: 0, baseSequence: 0 })] })
  script.write = () => {
    script.write = writevSync
    throw noSpace()
  }
  for (const result of await Promise.all([produce(), produce()])) assert(!result.ok && result.code === 'NO_SPACE')
  const [first, second] = (await Promise.all([produce(), produce()])).map(must)
  assert.deepEqual([first?.baseOffset, first?.duplicate], [1n, false])
  assert.deepEqual([second?.baseOffset, second?.duplicate], [1n, true])
})

test('what was written at once is made durable by the next sync', async (t) => {
  const { store, log, send, writes, directWrites } = await openWritten(t)
  must(await store.flush(log))
  must(await send('1'))
  assert.equal(writes.length, 1)
  const syncs = t.mock.method(directWrites, 'syncBegins')
  must(await store.flush(log))
  assert.equal(syncs.mock.callCount(), 1)
  must(await store.flush(log))
  assert.equal(syncs.mock.callCount(), 1, 'what is durable is not synced again')
})

test('a file that is closed or not open yet writes nothing at once, and one that does counts as used', async (t) => {
  const { disk } = await openWritten(t)
  const files = new OpenFiles(2)
  const [a, b, c] = ['a', 'b', 'c'].map((name) => new PooledFile(disk, files, name)) as [
    PooledFile,
    PooledFile,
    PooledFile,
  ]
  const bytes = [Uint8Array.of(1, 2)]
  assert.equal(a.writeNow(0, bytes), false, 'not open')
  for (const file of [a, b]) await file.create()
  assert.equal(a.writeNow(0, bytes), true)
  await c.create()
  await files.settled()
  assert.equal(b.writeNow(0, bytes), false, 'let go, as it was used before the other')
  assert.equal(a.writeNow(2, bytes), true)
  assert.deepEqual([...(await a.read(0, 10))], [1, 2, 1, 2])
  const reading = a.read(0, 10)
  const closed = a.close()
  assert.equal(a.writeNow(0, bytes), false, 'closed, though it is read to the end')
  await reading
  for (const closing of [closed, b.close(), c.close()]) await closing
})
