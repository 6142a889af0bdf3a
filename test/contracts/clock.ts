/** What every Clock must do, whether its time passes by itself or is made to pass. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Clock } from '../../src/environment/environment.ts'

export interface ClockUnderTest {
  readonly clock: Clock
  /** Resolves when so much time has passed and what became due has run. */
  readonly pass: (byMs: number) => Promise<void>
}

/** Timers may be off by this much. */
const toleranceMs = 1.5

export function clockContract(name: string, make: () => ClockUnderTest): void {
  test(`${name}: timers run in the order of their times, equal ones as they were set, none early`, async () => {
    const { clock, pass } = make()
    const startMs = clock.monotonicMs()
    const ran: string[] = []
    const set = (label: string, delayMs: number): void => {
      clock.setTimer(delayMs, () => {
        const elapsedMs = clock.monotonicMs() - startMs
        assert(elapsedMs >= delayMs - toleranceMs, `${label} ran after ${elapsedMs} ms`)
        ran.push(label)
      })
    }
    set('late', 20)
    set('first', 5)
    set('second', 5)
    set('at once', 0)
    set('overdue', -5)
    assert.deepEqual(ran, [], 'nothing runs within the call')
    await pass(30)
    assert.deepEqual(new Set(ran.slice(0, 2)), new Set(['at once', 'overdue']))
    assert.deepEqual(ran.slice(2), ['first', 'second', 'late'])
  })

  test(`${name}: a timer runs once, a cancelled one never, and to cancel one that has run does nothing`, async () => {
    const { clock, pass } = make()
    let ranCount = 0
    const ran = clock.setTimer(1, () => ranCount++)
    const cancelled = clock.setTimer(1, () => assert.fail('it ran'))
    cancelled.cancel()
    await pass(10)
    ran.cancel()
    cancelled.cancel()
    await pass(5)
    assert.equal(ranCount, 1)
  })

  test(`${name}: a delay beyond 2^31 ms is kept, not cut to nothing`, async () => {
    const { clock, pass } = make()
    const timer = clock.setTimer(2 ** 32, () => assert.fail('it ran'))
    await pass(10)
    timer.cancel()
  })

  test(`${name}: deferred work runs in order, in a later turn, and needs no time to pass`, async () => {
    const { clock } = make()
    const order: string[] = []
    await new Promise<void>((resolve) => {
      clock.defer(() => order.push('deferred'))
      clock.defer(() => {
        order.push('deferred behind it')
        resolve()
      })
      queueMicrotask(() => order.push('microtask'))
      order.push('call')
    })
    assert.deepEqual(order, ['call', 'microtask', 'deferred', 'deferred behind it'])
  })

  test(`${name}: sleep ends with its time, or at once with its signal`, async () => {
    const { clock, pass } = make()
    const abort = new AbortController()
    const woken: string[] = []
    const sleeps = [
      clock.sleep(5).then(() => woken.push('slept')),
      clock.sleep(2 ** 40, abort.signal).then(() => woken.push('aborted')),
    ]
    await pass(15)
    assert.deepEqual(woken, ['slept'])
    abort.abort()
    await Promise.all(sleeps)
    await clock.sleep(2 ** 40, abort.signal)
    assert.deepEqual(woken, ['slept', 'aborted'])
  })

  test(`${name}: the wall clock counts whole milliseconds and moves with the monotonic one, which never goes back`, async () => {
    const { clock, pass } = make()
    const before = { wallMs: clock.nowMs(), monotonicMs: clock.monotonicMs() }
    await pass(20)
    const wallMs = clock.nowMs() - before.wallMs
    const monotonicMs = clock.monotonicMs() - before.monotonicMs
    assert(Number.isInteger(clock.nowMs()) && clock.nowMs() > 1_600_000_000_000)
    assert(monotonicMs >= 20 - toleranceMs, `${monotonicMs}`)
    assert(Math.abs(wallMs - monotonicMs) < 50, `${wallMs} and ${monotonicMs}`)
    for (let last = clock.monotonicMs(), round = 0; round < 100; round++) {
      const next = clock.monotonicMs()
      assert(next >= last)
      last = next
    }
  })
}
