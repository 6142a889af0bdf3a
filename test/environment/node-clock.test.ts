import assert from 'node:assert/strict'
import { test } from 'node:test'
import { nodeClock } from '../../src/environment/node-clock.ts'

test('a delay beyond 2^31 ms is kept, not cut to nothing', (t) => {
  t.mock.timers.enable({ apis: ['setTimeout'] })
  let fired = 0
  nodeClock.setTimer(2 ** 32, () => fired++)
  t.mock.timers.tick(2 ** 31 - 1)
  t.mock.timers.tick(2 ** 31 - 1)
  t.mock.timers.tick(1)
  assert.equal(fired, 0)
  t.mock.timers.tick(1)
  assert.equal(fired, 1)
})

test('a long timer can be cancelled in its second part', (t) => {
  t.mock.timers.enable({ apis: ['setTimeout'] })
  const timer = nodeClock.setTimer(2 ** 32, () => assert.fail('it fired'))
  t.mock.timers.tick(2 ** 31 - 1)
  timer.cancel()
  t.mock.timers.tick(2 ** 32)
})

test('sleep returns at once when its signal has aborted', async () => {
  await nodeClock.sleep(2 ** 40, AbortSignal.abort())
})
