/**
 * Compacts the logs of compacted topics in the background, one at a time, as Kafka's log cleaner does with one thread.
 */
import { hash } from 'node:crypto'
import type { CleanerParts } from '../../storage/cleaner.ts'
import type { CleaningReport, CleanOptions } from '../../storage/log-store.ts'
import type { BrokerConfig } from '../config/broker-config.ts'
import type { Clock, Environment } from '../environment/environment.ts'
import type { MetadataStore } from '../metadata/metadata-store.ts'
import type { MemoryBudget } from '../network/memory-budget.ts'
import { CurrentConfig } from './current-config.ts'

/** The part of the memory budget that a cleaning may take, whatever `log.cleaner.dedupe.buffer.size` says. */
const memoryShare = 0.25

/**
 * What the engine needs to compact logs, or undefined where `log.cleaner.enable` is off. A change acts from the next
 * log on.
 */
export function cleanerPartsOf(configs: Pick<CurrentConfig, 'value'>, memory: MemoryBudget): CleanerParts | undefined {
  if (!configs.value.logCleanerEnable) return undefined
  return {
    digest: (key: Uint8Array): Uint8Array => hash('sha256', key, 'buffer'),
    get bufferBytes() {
      return Math.min(Number(configs.value.logCleanerDedupeBufferSize), Math.floor(memory.limitBytes * memoryShare))
    },
    get loadFactor() {
      return configs.value.logCleanerIoBufferLoadFactor
    },
    get ioBufferBytes() {
      return configs.value.logCleanerIoBufferSize
    },
    onMemory: (grownBytes) => memory.change('cleaner', grownBytes),
  }
}

export interface LogCleaningParts {
  readonly environment: Pick<Environment, 'clock' | 'logger'>
  readonly config: BrokerConfig
  readonly metadata: Pick<MetadataStore, 'image' | 'onImage'>
  readonly logs: { clean(options: CleanOptions): Promise<CleaningReport> }
}

/**
 * Cleans until it is stopped: log after log while one needs it, else looks again after `log.cleaner.backoff.ms`, or
 * when a config of the broker changes. A log that cannot be cleaned is reported, once where trying again is of no use.
 */
export function keepClean({ environment, config, metadata, logs }: LogCleaningParts): { stop(): Promise<void> } {
  const { clock, logger } = environment
  const configs = new CurrentConfig(metadata, config)
  const stopping = new AbortController()
  const { signal } = stopping
  let sleeping = new AbortController()
  const pace = throttle(clock, () => configs.value.logCleanerIoMaxBytesPerSecond, signal)
  const run = async (): Promise<void> => {
    while (!signal.aborted) {
      sleeping = new AbortController()
      const report = await cleanOnce()
      if (!report?.cleaned) await clock.sleep(Number(configs.value.logCleanerBackoffMs), sleeping.signal)
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
  const changes = configs.onChange(() => sleeping.abort())
  const running = config.logCleanerEnable ? run() : Promise.resolve()
  return {
    async stop() {
      changes[Symbol.dispose]()
      stopping.abort()
      sleeping.abort()
      await running
    },
  }
}

/**
 * Waits until as many bytes per second have had their time; at least for the next turn, so that requests come between.
 */
function throttle(
  clock: Clock,
  bytesPerSecond: () => number,
  signal: AbortSignal,
): (sizeBytes: number) => Promise<void> {
  let paidUntilMs = 0
  return async (sizeBytes) => {
    const nowMs = clock.monotonicMs()
    paidUntilMs = Math.max(paidUntilMs, nowMs) + (sizeBytes * 1_000) / bytesPerSecond()
    if (paidUntilMs - nowMs >= 1) await clock.sleep(paidUntilMs - nowMs, signal)
    else await new Promise<void>((resolve) => clock.defer(resolve))
  }
}
