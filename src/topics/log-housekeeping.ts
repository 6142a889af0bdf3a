/** What is done to the logs of a broker from time to time, in the background. */
import type { LogStore } from '../../storage/log-store.ts'
import type { BrokerConfig } from '../config/broker-config.ts'
import type { Environment, Timer } from '../environment/environment.ts'

export interface LogHousekeepingParts {
  readonly environment: Pick<Environment, 'clock' | 'logger'>
  readonly config: BrokerConfig
  readonly logs: Pick<LogStore, 'housekeep' | 'flushDue'>
}

/** `flush.ms` is looked at so often where `log.flush.scheduler.interval.ms` does not say more often. */
const flushRoundMs = 1_000

/** Retention, rolling, expiry of producers: every `log.retention.check.interval.ms`. */
export function keepHouse({ environment, config, logs }: LogHousekeepingParts): { stop(): Promise<void> } {
  const { clock, logger } = environment
  return repeat(environment, Number(config.logRetentionCheckIntervalMs), async () => {
    const { deletedSegments, deletedBytes } = await logs.housekeep(BigInt(clock.nowMs()))
    if (deletedSegments > 0) logger.info({ deletedSegments, deletedBytes }, 'old segments deleted')
  })
}

/** Syncs what `flush.ms` says is due. */
export function keepFlushed({ environment, config, logs }: LogHousekeepingParts): { stop(): Promise<void> } {
  const intervalMs = Math.min(flushRoundMs, Math.max(1, Number(config.logFlushSchedulerIntervalMs)))
  return repeat(environment, intervalMs, () => logs.flushDue(BigInt(environment.clock.nowMs())))
}

/** One round after the other, the next an interval after the end of the last. */
function repeat(
  { clock, logger }: LogHousekeepingParts['environment'],
  intervalMs: number,
  work: () => Promise<void>,
): { stop(): Promise<void> } {
  let timer: Timer | undefined
  let isStopped = false
  let round: Promise<void> = Promise.resolve()
  const run = async (): Promise<void> => {
    try {
      await work()
    } catch (error) {
      logger.error({ err: error }, 'housekeeping failed')
    }
    schedule()
  }
  const schedule = (): void => {
    if (isStopped) return
    timer = clock.setTimer(intervalMs, () => {
      round = run()
    })
  }
  schedule()
  return {
    async stop() {
      isStopped = true
      timer?.cancel()
      await round
    },
  }
}
