/** CPU, memory and event loop of this process. */
import { monitorEventLoopDelay } from 'node:perf_hooks'
import type { MetricName } from './catalog.ts'

/** How often the event loop is looked at, in ms. */
const resolutionMs = 20
const microsPerSecond = 1_000_000
const nanosPerSecond = 1_000_000_000

export interface ProcessMetrics {
  /** What is the case now; the lag of the event loop is that since the last call. */
  read(): readonly (readonly [MetricName, number])[]
  close(): void
}

/** Watches the event loop until it is closed. */
export function openProcessMetrics(): ProcessMetrics {
  const delay = monitorEventLoopDelay({ resolution: resolutionMs })
  delay.enable()
  const startSeconds = Date.now() / 1_000 - process.uptime()
  return {
    read() {
      const { user, system } = process.cpuUsage()
      const { rss, heapTotal, heapUsed, external } = process.memoryUsage()
      const lag = { mean: lagOf(delay.mean), p99: lagOf(delay.percentile(99)), max: lagOf(delay.max) }
      delay.reset()
      return [
        ['process_start_time_seconds', startSeconds],
        ['process_cpu_user_seconds_total', user / microsPerSecond],
        ['process_cpu_system_seconds_total', system / microsPerSecond],
        ['process_resident_memory_bytes', rss],
        ['nodejs_heap_size_total_bytes', heapTotal],
        ['nodejs_heap_size_used_bytes', heapUsed],
        ['nodejs_external_memory_bytes', external],
        ['nodejs_eventloop_lag_mean_seconds', lag.mean],
        ['nodejs_eventloop_lag_p99_seconds', lag.p99],
        ['nodejs_eventloop_lag_max_seconds', lag.max],
      ]
    },
    close: () => void delay.disable(),
  }
}

/** The histogram holds whole intervals between two looks; without a look yet it is empty. */
function lagOf(nanos: number): number {
  if (!Number.isFinite(nanos)) return 0
  return Math.max(0, nanos / nanosPerSecond - resolutionMs / 1_000)
}
