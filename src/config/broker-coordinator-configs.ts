/**
 * Broker configs of groups and transactions. `group.initial.rebalance.delay.ms` is 0, not Kafka's 3000: a test that starts one
 * consumer would wait three seconds for others.
 */
import { oneOfIgnoringCase } from './checks.ts'
import type { ConfigTable } from './config-table.ts'

export const coordinatorConfigs = {
  'group.consumer.assignment.interval.ms': { type: 'INT', default: 1000, min: 0, update: 'cluster-wide' },
  'group.consumer.assignor.offload.enable': { type: 'BOOLEAN', default: true, update: 'cluster-wide', since: '4.4' },
  'group.consumer.assignors': { type: 'LIST', default: ['uniform', 'range'] },
  'group.consumer.heartbeat.interval.ms': { type: 'INT', default: 5000, min: 1 },
  'group.consumer.max.assignment.interval.ms': { type: 'INT', default: 15_000, min: 0 },
  'group.consumer.max.heartbeat.interval.ms': { type: 'INT', default: 15_000, min: 1 },
  'group.consumer.max.session.timeout.ms': { type: 'INT', default: 60_000, min: 1 },
  'group.consumer.max.size': { type: 'INT', default: 2_147_483_647, min: 1 },
  'group.consumer.migration.policy': {
    type: 'STRING',
    default: 'bidirectional',
    valid: '(case insensitive) [DISABLED, DOWNGRADE, UPGRADE, BIDIRECTIONAL]',
    check: oneOfIgnoringCase(['DISABLED', 'DOWNGRADE', 'UPGRADE', 'BIDIRECTIONAL']),
  },
  'group.consumer.min.assignment.interval.ms': { type: 'INT', default: 0, min: 0 },
  'group.consumer.min.heartbeat.interval.ms': { type: 'INT', default: 5000, min: 1 },
  'group.consumer.min.session.timeout.ms': { type: 'INT', default: 45_000, min: 1 },
  'group.consumer.regex.refresh.interval.ms': { type: 'INT', default: 600_000, min: 10_000 },
  'group.consumer.session.timeout.ms': { type: 'INT', default: 45_000, min: 1 },
  'group.initial.rebalance.delay.ms': { type: 'INT', default: 0, kafkaDefault: '3000' },
  'group.max.session.timeout.ms': { type: 'INT', default: 1_800_000 },
  'group.max.size': { type: 'INT', default: 2_147_483_647, min: 1 },
  'group.min.session.timeout.ms': { type: 'INT', default: 6000 },
  'offset.metadata.max.bytes': { type: 'INT', default: 4096, importance: 'HIGH' },
  'offsets.commit.timeout.ms': { type: 'INT', default: 5000, min: 1, importance: 'HIGH' },
  'offsets.load.buffer.size': { type: 'INT', default: 5_242_880, min: 1, importance: 'HIGH' },
  'offsets.retention.check.interval.ms': { type: 'LONG', default: 600_000n, min: 1n, importance: 'HIGH' },
  'offsets.retention.minutes': { type: 'INT', default: 10_080, min: 1, importance: 'HIGH' },
  'offsets.topic.compression.codec': { type: 'INT', default: 0, importance: 'HIGH' },
  'offsets.topic.num.partitions': { type: 'INT', default: 50, min: 1, importance: 'HIGH' },
  'offsets.topic.replication.factor': { type: 'SHORT', default: 3, min: 1, importance: 'HIGH' },
  'offsets.topic.segment.bytes': { type: 'INT', default: 104_857_600, min: 1, importance: 'HIGH' },
  'transaction.abort.timed.out.transaction.cleanup.interval.ms': {
    type: 'INT',
    default: 10_000,
    min: 1,
    importance: 'LOW',
  },
  'transaction.max.timeout.ms': {
    type: 'INT',
    default: 900_000,
    min: 1,
    importance: 'HIGH',
  },
  'transaction.partition.verification.enable': {
    type: 'BOOLEAN',
    default: true,
    importance: 'LOW',
    update: 'cluster-wide',
  },
  'transaction.remove.expired.transaction.cleanup.interval.ms': {
    type: 'INT',
    default: 3_600_000,
    min: 1,
    importance: 'LOW',
  },
  'transaction.state.log.load.buffer.size': { type: 'INT', default: 5_242_880, min: 1, importance: 'HIGH' },
  'transaction.state.log.min.isr': { type: 'INT', default: 2, min: 1, importance: 'HIGH' },
  'transaction.state.log.num.partitions': { type: 'INT', default: 50, min: 1, importance: 'HIGH' },
  'transaction.state.log.replication.factor': { type: 'SHORT', default: 3, min: 1, importance: 'HIGH' },
  'transaction.state.log.segment.bytes': { type: 'INT', default: 104_857_600, min: 1, importance: 'HIGH' },
  'transaction.two.phase.commit.enable': { type: 'BOOLEAN', default: false, importance: 'LOW' },
  'transactional.id.expiration.ms': { type: 'INT', default: 604_800_000, min: 1, importance: 'HIGH' },
  'unstable.api.versions.enable': { type: 'BOOLEAN', default: false, importance: 'HIGH' },
  'unstable.feature.versions.enable': { type: 'BOOLEAN', default: false, importance: 'HIGH' },
} as const satisfies ConfigTable
