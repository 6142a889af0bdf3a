/** Compacts the logs of compacted topics in the background, one at a time, as Kafka's log cleaner does with one thread. */
import { hash } from 'node:crypto'
import type { CleaningReport, CleanOptions } from '../../storage/log-store.ts'
import type { BrokerConfig } from '../config/broker-config.ts'
import type { Clock, Environment } from '../environment/environment.ts'

/** What the engine needs to compact logs, or undefined where `log.cleaner.enable` is off. */
export function cleanerPartsOf(config: BrokerConfig) {
  if (!config.logCleanerEnable) return undefined
  return {
    digest: (key: Uint8Array): Uint8Array => hash('sha256', key, 'buffer'),
    bufferBytes: Number(config.logCleanerDedupeBufferSize),
    loadFactor: config.logCleanerIoBufferLoadFactor,
  }
}

export interface LogCleaningParts {
  readonly environment: Pick<Environment, 'clock' | 'logger'>
  readonly config: BrokerConfig
  readonly logs: { clean(options: CleanOptions): Promise<CleaningReport> }
}

/**
 * Cleans until it is stopped: log after log while one needs it, else looks again after `log.cleaner.backoff.ms`. A log that
 * cannot be cleaned is reported, once where trying again is of no use.
 */
export function keepClean({ environment, config, logs }: LogCleaningParts): { stop(): Promise<void> } {
  const { clock, logger } = environment
  const stopping = new AbortController()
  const { signal } = stopping
  const backoffMs = Number(config.logCleanerBackoffMs)
  const pace = throttle(clock, config.logCleanerIoMaxBytesPerSecond, signal)
  const run = async (): Promise<void> => {
    while (!signal.aborted) {
      const report = await cleanOnce()
      if (!report?.cleaned) await clock.sleep(backoffMs, signal)
    }
  }
  const cleanOnce = async (): Promise<CleaningReport | undefined> => {
    try {
      const report = await logs.clean({ nowMs: BigInt(clock.nowMs()), pace, signal })
      if (report.cleaned) {
        const { label: partition, bytesBefore, bytesAfter } = report.cleaned
        logger.debug({ partition, bytesBefore, bytesAfter }, 'a log was compacted')
      }
      if (signal.aborted) return report
      for (const { label, code, message, isFinal } of report.failures)
        logger.warn({ partition: label, code, reason: message, isFinal }, 'a log could not be compacted')
      return report
    } catch (error) {
      logger.error({ err: error }, 'compaction failed')
      return undefined
    }
  }
  const running = config.logCleanerEnable ? run() : Promise.resolve()
  return {
    async stop() {
      stopping.abort()
      await running
    },
  }
}

/** Waits until as many bytes per second have had their time; at least for the next turn, so that requests come between. */
function throttle(clock: Clock, bytesPerSecond: number, signal: AbortSignal): (sizeBytes: number) => Promise<void> {
  let paidUntilMs = 0
  return async (sizeBytes) => {
    const nowMs = clock.monotonicMs()
    paidUntilMs = Math.max(paidUntilMs, nowMs) + (sizeBytes * 1_000) / bytesPerSecond
    if (paidUntilMs - nowMs >= 1) await clock.sleep(paidUntilMs - nowMs, signal)
    else await new Promise<void>((resolve) => clock.defer(resolve))
  }
}
