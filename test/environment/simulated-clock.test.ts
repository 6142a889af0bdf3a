import assert from 'node:assert/strict'
import { test } from 'node:test'
import { nodeClock } from '../../src/environment/node-clock.ts'
import { SimulatedClock } from '../../src/environment/simulated-clock.ts'
import { clockContract } from '../contracts/clock.ts'

clockContract('simulated', () => {
  const clock = new SimulatedClock(nodeClock)
  return { clock, pass: (byMs) => clock.advance(byMs) }
})

test('timers fire in the order of their times, and in the order they were set when those are equal', async () => {
  const clock = new SimulatedClock(nodeClock)
  const fired: string[] = []
  clock.setTimer(20, () => fired.push(`late at ${clock.monotonicMs()}`))
  clock.setTimer(10, () => fired.push(`first at ${clock.monotonicMs()}`))
  clock.setTimer(10, () => fired.push(`second at ${clock.monotonicMs()}`))
  await clock.advance(15)
  assert.deepEqual(fired, ['first at 10', 'second at 10'])
  await clock.advance(5)
  assert.equal(fired[2], 'late at 20')
})

test('a timer set by a timer fires within the same advance when it is due', async () => {
  const clock = new SimulatedClock(nodeClock)
  const fired: number[] = []
  const again = (): void => {
    fired.push(clock.monotonicMs())
    clock.setTimer(10, again)
  }
  clock.setTimer(10, again)
  await clock.advance(35)
  assert.deepEqual(fired, [10, 20, 30])
  assert.equal(clock.monotonicMs(), 35)
})

test('what a timer sets off, deferred work and promises included, rests before the next timer', async () => {
  const clock = new SimulatedClock(nodeClock)
  const order: string[] = []
  clock.setTimer(1, () => {
    clock.defer(() => {
      queueMicrotask(() => clock.defer(() => order.push('all of the first')))
    })
  })
  clock.setTimer(2, () => order.push('the second'))
  await clock.advance(2)
  assert.deepEqual(order, ['all of the first', 'the second'])
})

test('a cancelled timer does not fire', async () => {
  const clock = new SimulatedClock(nodeClock)
  const timer = clock.setTimer(1, () => assert.fail('it fired'))
  timer.cancel()
  await clock.advance(2)
  assert.equal(clock.timerCount, 0)
})

test('sleep ends with its time or with its signal, and leaves no timer behind', async () => {
  const clock = new SimulatedClock(nodeClock)
  const abort = new AbortController()
  const woken: string[] = []
  const sleeps = [
    clock.sleep(10).then(() => woken.push('slept')),
    clock.sleep(1_000, abort.signal).then(() => woken.push('aborted')),
  ]
  await clock.advance(10)
  abort.abort()
  await Promise.all(sleeps)
  await clock.sleep(1_000, abort.signal)
  assert.deepEqual(woken, ['slept', 'aborted'])
  assert.equal(clock.timerCount, 0)
})

test('the wall clock moves with the time that passes', async () => {
  const clock = new SimulatedClock(nodeClock, 5_000)
  await clock.advance(250)
  assert.equal(clock.nowMs(), 5_250)
})
