import assert from 'node:assert/strict'
import { test, type TestContext } from 'node:test'
import type { LogHandle, LogStore, ReadRequest } from '../../storage/log-store.ts'
import { nodeClock } from '../../src/environment/node-clock.ts'
import { SimulatedClock } from '../../src/environment/simulated-clock.ts'
import { DeadlineQueue } from '../../src/network/deadline-queue.ts'
import { waitForData } from '../../src/topics/fetch-waiter.ts'
import { readBatchHeader } from '../../protocol/records/batch.ts'
import { startTestBroker } from '../support/broker.ts'
import { batchOf } from '../support/records.ts'

interface Waiting {
  readonly logs: LogStore
  readonly log: LogHandle
  readonly clock: SimulatedClock
  readonly abort: AbortController
  readonly append: (...values: string[]) => Promise<void>
  /** Waits for `minBytes` from the offset 2 on, and tells whether it still does. */
  wait(options?: { minBytes?: number; maxWaitMs?: number; requests?: readonly ReadRequest[] }): () => Promise<boolean>
}

/** A log with the offsets 0 to 2, of which 2 was read, and a clock that stands still. */
async function start(t: TestContext): Promise<Waiting> {
  const { broker } = await startTestBroker(t, { topics: { orders: 1 } })
  const { logs, topics } = broker.parts
  const { log } = topics.find('orders')!.partitions[0]!
  const clock = new SimulatedClock(nodeClock)
  const deadlines = new DeadlineQueue(clock)
  t.after(() => deadlines.close())
  const abort = new AbortController()
  const append = async (...values: string[]): Promise<void> => {
    const bytes = batchOf(values)
    const batches = [{ bytes, header: readBatchHeader(bytes) }]
    const mode = { kind: 'assign', leaderEpoch: logs.view(log).leaderEpoch } as const
    const [result] = await logs.append([{ log, batches, mode, origin: 'client' }], { nowMs: BigInt(Date.now()) })
    assert(result!.ok)
  }
  await append('a', 'b', 'c')
  return {
    logs,
    log,
    clock,
    abort,
    append,
    wait({ minBytes = 1, maxWaitMs = 1_000, requests } = {}) {
      let isWaiting = true
      const asked = requests ?? [{ log, offset: 3n, maxBytes: 1_000_000, isolation: 'uncommitted' }]
      const parts = { logs, clock: nodeClock, deadlines }
      const over = waitForData(parts, asked, { minBytes, maxWaitMs, signal: abort.signal }).then(() => {
        isWaiting = false
      })
      return async () => {
        for (let turn = 0; turn < 5; turn++) await new Promise<void>((resolve) => setImmediate(resolve))
        if (!isWaiting) await over
        return isWaiting
      }
    },
  }
}

const fence = { lease: 'test', fenceEpoch: 1n }

for (const [what, happen] of [
  ['enough records', ({ append }) => append('d')],
  ['a truncation', ({ logs, log }) => logs.truncateTo(log, 1n, fence)],
  [
    'a log start behind its offset',
    async ({ logs, log, append }) => [await append('d'), await logs.deleteBefore(log, 4n)],
  ],
  ['a higher leader epoch', ({ logs, log }) => logs.raiseLeaderEpoch(log, 7)],
  ['the deletion of its topic', ({ logs, log }) => logs.drop(log.id.topicId)],
  ['the end of its time', ({ clock }) => clock.advance(1_000)],
  ['a client that is gone', async ({ abort }) => abort.abort()],
] as const satisfies readonly (readonly [string, (waiting: Waiting) => Promise<unknown>])[]) {
  test(`a waiting fetch is woken by ${what}`, async (t) => {
    const waiting = await start(t)
    const isWaiting = waiting.wait()
    assert.equal(await isWaiting(), true)
    await happen(waiting)
    assert.equal(await isWaiting(), false)
    assert.equal(waiting.clock.timerCount <= 1, true)
  })
}

test('a waiting fetch is not woken by less than it waits for', async (t) => {
  const waiting = await start(t)
  const isWaiting = waiting.wait({ minBytes: 10_000 })
  await waiting.append('x'.repeat(4_000))
  assert.equal(await isWaiting(), true)
  await waiting.append('x'.repeat(4_000))
  assert.equal(await isWaiting(), true)
  await waiting.append('x'.repeat(4_000))
  assert.equal(await isWaiting(), false)
})

test('a waiting fetch looks at its logs once per turn, however often they change', async (t) => {
  const waiting = await start(t)
  const { logs } = waiting
  const isWaiting = waiting.wait({ minBytes: 1_000_000 })
  const looks = t.mock.method(logs, 'availableBytes')
  await Promise.all(Array.from({ length: 200 }, () => waiting.append('y')))
  assert.equal(await isWaiting(), true)
  assert(looks.mock.callCount() < 20, `${looks.mock.callCount()} looks for 200 appends`)
})

test('what came between the read and the wait is not missed', async (t) => {
  const waiting = await start(t)
  await waiting.append('d')
  assert.equal(await waiting.wait()(), false)
  const ahead = { log: waiting.log, offset: 9n, maxBytes: 1, isolation: 'uncommitted' } as const
  assert.equal(await waiting.wait({ requests: [ahead] })(), false, 'an offset beyond the end is no reason to wait')
})
