/** Every config of a client metrics subscription (resource type CLIENT_METRICS) that Kafka 4.4 knows. */
import type { ConfigTable } from './config-table.ts'

export const clientMetricsConfigs = {
  'interval.ms': { type: 'INT', default: 300_000 },
  match: { type: 'LIST', default: [] },
  metrics: { type: 'LIST', default: [] },
} as const satisfies ConfigTable
