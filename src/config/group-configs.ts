/** Every config of a group (resource type GROUP) that Kafka 4.4 knows. */
import { shareOffsetReset } from './checks.ts'
import type { ConfigTable } from './config-table.ts'

export const groupConfigs = {
  'consumer.assignment.interval.ms': { type: 'INT', default: 1000, min: 0 },
  'consumer.assignor.offload.enable': { type: 'BOOLEAN', default: true, since: '4.4' },
  'consumer.heartbeat.interval.ms': { type: 'INT', default: 5000, min: 1 },
  'consumer.session.timeout.ms': { type: 'INT', default: 45_000, min: 1 },
  'errors.deadletterqueue.copy.record.enable': { type: 'BOOLEAN', default: false, since: '4.4' },
  'errors.deadletterqueue.topic.name': { type: 'STRING', default: '', since: '4.4' },
  'share.assignment.interval.ms': { type: 'INT', default: 1000, min: 0 },
  'share.assignor.offload.enable': { type: 'BOOLEAN', default: true, since: '4.4' },
  'share.auto.offset.reset': {
    type: 'STRING',
    default: 'latest',
    valid: '[latest, earliest, by_duration:PnDTnHnMn.nS]',
    check: shareOffsetReset,
  },
  'share.delivery.count.limit': { type: 'INT', default: 5, min: 2 },
  'share.heartbeat.interval.ms': { type: 'INT', default: 5000, min: 1 },
  'share.isolation.level': {
    type: 'STRING',
    default: 'read_uncommitted',
    values: ['read_committed', 'read_uncommitted'],
  },
  'share.partition.max.record.locks': { type: 'INT', default: 2000, min: 100 },
  'share.record.lock.duration.ms': { type: 'INT', default: 30_000, min: 1000 },
  'share.renew.acknowledge.enable': { type: 'BOOLEAN', default: true },
  'share.session.timeout.ms': { type: 'INT', default: 45_000, min: 1 },
  'streams.acceptable.recovery.lag': { type: 'LONG', default: 10_000n, min: 0n, since: '4.4' },
  'streams.assignment.interval.ms': { type: 'INT', default: 1000, min: 0 },
  'streams.assignor.name': { type: 'STRING', default: null, since: '4.4' },
  'streams.assignor.offload.enable': { type: 'BOOLEAN', default: true, since: '4.4' },
  'streams.heartbeat.interval.ms': { type: 'INT', default: 5000, min: 1 },
  'streams.initial.rebalance.delay.ms': { type: 'INT', default: 3000, min: 0 },
  'streams.num.standby.replicas': { type: 'INT', default: 0, min: 0 },
  'streams.num.warmup.replicas': { type: 'INT', default: 2, min: 0, since: '4.4' },
  'streams.rack.aware.assignment.tags': { type: 'LIST', default: [], importance: 'LOW', since: '4.4' },
  'streams.session.timeout.ms': { type: 'INT', default: 45_000, min: 1 },
  'streams.task.offset.interval.ms': { type: 'INT', default: 60_000, min: 1, since: '4.4' },
} as const satisfies ConfigTable
