import assert from 'node:assert/strict'
import { test } from 'node:test'
import { brokerConfigOf } from '../../src/config/broker-config.ts'
import { silentLogger } from '../../src/environment/logger.ts'
import { nodeClock } from '../../src/environment/node-clock.ts'
import { SimulatedClock } from '../../src/environment/simulated-clock.ts'
import { keepFlushed, keepHouse, type LogHousekeepingParts } from '../../src/topics/log-housekeeping.ts'

const nothingDone = { deletedSegments: 0, deletedBytes: 0, rolledSegments: 0, expiredProducers: 0 }

/** The times of the rounds, in milliseconds from the start. */
function start(configs: Record<string, string>, takesMs = 0) {
  const parsed = brokerConfigOf(new Map(Object.entries(configs)))
  assert(parsed.ok)
  const clock = new SimulatedClock(nodeClock)
  const startMs = clock.nowMs()
  const rounds = { flushes: [] as number[], houses: [] as number[] }
  const note = async (times: number[], nowMs: bigint): Promise<void> => {
    times.push(Number(nowMs) - startMs)
    if (takesMs > 0) await clock.sleep(takesMs)
  }
  const parts: LogHousekeepingParts = {
    environment: { clock, logger: silentLogger },
    config: parsed.config,
    logs: {
      flushDue: (nowMs) => note(rounds.flushes, nowMs),
      housekeep: async (nowMs) => {
        await note(rounds.houses, nowMs)
        return nothingDone
      },
    },
  }
  return { clock, parts, rounds }
}

for (const [configs, times] of [
  [{}, [1_000, 2_000, 3_000]],
  [{ 'log.flush.scheduler.interval.ms': '60000' }, [1_000, 2_000, 3_000]],
  [{ 'log.flush.scheduler.interval.ms': '700' }, [700, 1_400, 2_100, 2_800]],
] as const) {
  test(`what flush.ms says is due is looked for at ${times.join(', ')} ms with ${JSON.stringify(configs)}`, async () => {
    const { clock, parts, rounds } = start(configs)
    const flushing = keepFlushed(parts)
    await clock.advance(3_000)
    await flushing.stop()
    await clock.advance(3_000)
    assert.deepEqual(rounds.flushes, times)
  })
}

test('a round begins an interval after the end of the one before, and a stop waits for the one under way', async () => {
  const { clock, parts, rounds } = start({ 'log.retention.check.interval.ms': '1000' }, 500)
  const housekeeping = keepHouse(parts)
  await clock.advance(2_600)
  assert.deepEqual(rounds.houses, [1_000, 2_500])
  let isStopped = false
  const stopped = housekeeping.stop().then(() => (isStopped = true))
  await clock.settle()
  assert.equal(isStopped, false)
  await clock.advance(400)
  await stopped
  assert.deepEqual(rounds.houses, [1_000, 2_500])
})
