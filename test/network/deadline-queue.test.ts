import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Clock } from '../../src/environment/environment.ts'
import { nodeClock } from '../../src/environment/node-clock.ts'
import { seededRandom } from '../../src/environment/seeded-random.ts'
import { SimulatedClock } from '../../src/environment/simulated-clock.ts'
import { DeadlineQueue } from '../../src/network/deadline-queue.ts'

test('deadlines run in the order of their times, never early', async () => {
  const clock = new SimulatedClock(nodeClock)
  const queue = new DeadlineQueue(clock)
  const random = seededRandom(1)
  const ran: number[] = []
  const delays = Array.from({ length: 500 }, () => random.below(1000) + random.below(10) / 10)
  for (const delayMs of delays) {
    queue.add(delayMs, () => {
      assert.ok(clock.monotonicMs() >= delayMs)
      ran.push(delayMs)
    })
  }
  await clock.advance(1001)
  assert.deepEqual(
    ran,
    delays.toSorted((left, right) => left - right),
  )
  assert.equal(queue.entryCount, 0)
})

test('a cancelled deadline does not run, also when one of the same time cancels it', async () => {
  const clock = new SimulatedClock(nodeClock)
  const queue = new DeadlineQueue(clock)
  queue.add(5, () => assert.fail('it ran')).cancel()
  const deadlines = [queue.add(7, () => deadlines[1]?.cancel()), queue.add(7, () => assert.fail('it ran'))]
  await clock.advance(10)
  deadlines[0]?.cancel()
  assert.equal(queue.entryCount, 0)
})

test('an earlier deadline added later runs first', async () => {
  const clock = new SimulatedClock(nodeClock)
  const queue = new DeadlineQueue(clock)
  const ran: string[] = []
  queue.add(100, () => ran.push('late'))
  queue.add(1, () => ran.push('early'))
  await clock.advance(1)
  assert.deepEqual(ran, ['early'])
})

test('a deadline that adds one without delay does not starve the others', async () => {
  const clock = new SimulatedClock(nodeClock)
  const queue = new DeadlineQueue(clock)
  let ran = 0
  const again = (): void => {
    ran++
    if (ran < 10) queue.add(0, again)
    assert.ok(ran === 1 || hasOtherRun)
  }
  let hasOtherRun = false
  queue.add(1, again)
  queue.add(1, () => {
    hasOtherRun = true
  })
  await clock.advance(1)
  assert.equal(ran, 10)
})

test('one that throws does not take the others with it', async () => {
  const clock = new SimulatedClock(nodeClock)
  const queue = new DeadlineQueue(clock)
  let ran = 0
  queue.add(1, () => {
    throw new Error('a defect')
  })
  queue.add(1, () => ran++)
  await assert.rejects(clock.advance(1), /a defect/)
  await clock.advance(1)
  assert.equal(ran, 1)
})

test('cancelled deadlines are thrown out while they wait', () => {
  const queue = new DeadlineQueue(new SimulatedClock(nodeClock))
  const kept = Array.from({ length: 100 }, () => queue.add(60_000, () => {}))
  for (let count = 0; count < 100_000; count++) queue.add(30_000, () => {}).cancel()
  assert.ok(queue.entryCount <= 2 * kept.length + 64, `${queue.entryCount} entries`)
})

test('all deadlines share one timer, which cancelled ones do not touch', async () => {
  const clock = new SimulatedClock(nodeClock)
  let setCount = 0
  const counting: Clock = {
    nowMs: () => clock.nowMs(),
    monotonicMs: () => clock.monotonicMs(),
    defer: (run) => clock.defer(run),
    sleep: (delayMs, signal) => clock.sleep(delayMs, signal),
    setTimer: (delayMs, run) => {
      setCount++
      return clock.setTimer(delayMs, run)
    },
  }
  const queue = new DeadlineQueue(counting)
  let ran = 0
  for (let count = 0; count < 1000; count++) queue.add(500, () => ran++)
  for (let count = 0; count < 1000; count++) queue.add(600, () => ran++).cancel()
  assert.equal(clock.timerCount, 1)
  await clock.advance(10_000)
  assert.equal(ran, 1000)
  assert.ok(setCount <= 2, `${setCount} timers`)
})

test('after close nothing runs and no timer is left', async () => {
  const clock = new SimulatedClock(nodeClock)
  const queue = new DeadlineQueue(clock)
  queue.add(1, () => assert.fail('it ran'))
  queue.close()
  queue.add(1, () => assert.fail('it ran')).cancel()
  await clock.advance(10)
  assert.equal(clock.timerCount, 0)
})
