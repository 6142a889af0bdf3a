import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setTimeout } from 'node:timers/promises'
import { nodeClock } from '../../src/environment/node-clock.ts'
import { clockContract } from '../contracts/clock.ts'

clockContract('node', () => ({ clock: nodeClock, pass: (byMs) => setTimeout(byMs) }))

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

test('work that defers itself again and again does not starve timers', async () => {
  let isOver = false
  let turnCount = 0
  const again = (): void => {
    turnCount++
    if (!isOver) nodeClock.defer(again)
  }
  again()
  await nodeClock.sleep(5)
  isOver = true
  assert(turnCount > 1)
})
