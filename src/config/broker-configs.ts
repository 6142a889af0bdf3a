/**
 * The broker configs that this broker's code reads, Kafka's and ours (`titorelli.`). The others of Kafka are in
 * `broker-configs-without-effect.ts`: known, checked and shown; a config moves here when code comes to read it.
 */
import { gzipLevel } from './checks.ts'
import type { ConfigRow, ConfigTable } from './config-table.ts'
import { coordinatorConfigs } from './broker-coordinator-configs.ts'
import { logConfigs } from './broker-log-configs.ts'
import { configsWithoutEffect } from './broker-configs-without-effect.ts'
import { topicConfigs } from './topic-configs.ts'

const intMax = 2_147_483_647

const networkConfigs = {
  listeners: {
    type: 'LIST',
    default: ['PLAINTEXT://127.0.0.1:9092'],
    kafkaDefault: 'PLAINTEXT://:9092',
    importance: 'HIGH',
    update: 'per-broker',
    acts: true,
    doc: 'The first PLAINTEXT listener for clients gives host and port. Unlike Kafka, the default is not reachable from other machines.',
  },
  'advertised.listeners': {
    type: 'LIST',
    default: null,
    importance: 'HIGH',
    acts: true,
    doc: 'Host and port that clients are told to connect to. Needed where the broker listens on a wildcard address.',
  },
  'listener.security.protocol.map': {
    type: 'STRING',
    default: 'SASL_SSL:SASL_SSL,PLAINTEXT:PLAINTEXT,SSL:SSL,SASL_PLAINTEXT:SASL_PLAINTEXT',
    importance: 'LOW',
    update: 'per-broker',
    acts: true,
    doc: 'Which listener names are PLAINTEXT.',
  },
  'controller.listener.names': {
    type: 'LIST',
    default: null,
    kafkaDefault: '(none)',
    importance: 'HIGH',
    acts: true,
    doc: 'Listeners that are left out: there is no separate controller here.',
  },
  'socket.request.max.bytes': {
    type: 'INT',
    default: 104_857_600,
    min: 1,
    importance: 'HIGH',
    acts: true,
    doc: 'The largest request in bytes. A larger one closes its connection.',
  },
  'queued.max.requests': { type: 'INT', default: 500, min: 1, importance: 'HIGH' },
  'queued.max.request.bytes': { type: 'LONG', default: -1n },
  'max.connections': {
    type: 'INT',
    default: intMax,
    min: 0,
    update: 'cluster-wide',
    acts: true,
    doc: 'The most open connections. A further one is closed at once.',
  },
  'max.connections.per.ip': {
    type: 'INT',
    default: intMax,
    min: 0,
    update: 'cluster-wide',
    acts: true,
    doc: 'The most open connections from one address. A further one is closed at once.',
  },
  'connections.max.idle.ms': {
    type: 'LONG',
    default: 600_000n,
    acts: true,
    doc: 'A connection that sent nothing for so many milliseconds is closed.',
  },
  'request.timeout.ms': { type: 'INT', default: 30_000, importance: 'HIGH' },
} as const satisfies ConfigTable

const topicAndRequestConfigs = {
  'node.id': {
    type: 'INT',
    default: 1,
    min: 0,
    kafkaDefault: '(none)',
    importance: 'HIGH',
    synonyms: ['broker.id'],
    acts: true,
    doc: 'The id of this broker. Kafka demands it; here it may be left out.',
  },
  'broker.rack': {
    type: 'STRING',
    default: null,
    acts: true,
    doc: 'The rack that clients are told.',
  },
  'auto.create.topics.enable': {
    type: 'BOOLEAN',
    default: true,
    importance: 'HIGH',
    acts: true,
    doc: 'Whether asking for the metadata of an unknown topic creates it, where the client allows that.',
  },
  'num.partitions': {
    type: 'INT',
    default: 1,
    min: 1,
    acts: true,
    doc: 'The partitions of a topic that is created without a number.',
  },
  'default.replication.factor': {
    type: 'INT',
    default: 1,
    acts: true,
    doc: 'The replication factor of a topic that is created without one.',
  },
  'delete.topic.enable': {
    type: 'BOOLEAN',
    default: true,
    importance: 'HIGH',
    acts: true,
    doc: 'Whether clients may delete topics.',
  },
  'fetch.max.bytes': {
    type: 'INT',
    default: 57_671_680,
    min: 1024,
    acts: true,
    doc: 'The most bytes of records in one answer to a fetch, but for a single batch that is larger.',
  },
  'max.incremental.fetch.session.cache.slots': {
    type: 'INT',
    default: 1000,
    min: 0,
    acts: true,
    doc: 'The most fetch sessions that are kept. Further clients fetch without a session.',
  },
  'max.request.partition.size.limit': {
    type: 'INT',
    default: 2000,
    min: 1,
    acts: true,
    doc: 'The most partitions that one DescribeTopicPartitions answers.',
  },
  'message.max.bytes': {
    type: 'INT',
    default: 1_048_588,
    min: 0,
    importance: 'HIGH',
    update: 'cluster-wide',
  },
  'max.decompressed.message.bytes': {
    type: 'INT',
    default: 2_147_483_639,
    min: 1,
    max: 2_147_483_639,
    update: 'cluster-wide',
    since: '4.4',
  },
  'min.insync.replicas': {
    type: 'INT',
    default: 1,
    min: 1,
    importance: 'HIGH',
    update: 'cluster-wide',
    acts: true,
    doc: 'With acks=all fewer replicas in sync than this refuse a produce. All share one stored copy: it counts brokers that are up.',
  },
  'compression.type': {
    type: 'STRING',
    default: 'producer',
    values: ['uncompressed', 'zstd', 'lz4', 'snappy', 'gzip', 'producer'],
    importance: 'HIGH',
    update: 'cluster-wide',
  },
  'compression.gzip.level': {
    type: 'INT',
    default: -1,
    valid: '[1,...,9] or -1',
    check: gzipLevel,
    update: 'cluster-wide',
  },
  'compression.lz4.level': { type: 'INT', default: 9, min: 1, max: 17, update: 'cluster-wide' },
  'compression.zstd.level': { type: 'INT', default: 3, min: -131_072, max: 22, update: 'cluster-wide' },
  'unclean.leader.election.enable': { type: 'BOOLEAN', default: false, importance: 'HIGH', update: 'cluster-wide' },
} as const satisfies ConfigTable

/** What Kafka has no config for. */
export const ownConfigs = {
  'titorelli.durable': {
    type: 'BOOLEAN',
    default: false,
    acts: true,
    doc: 'Sync the log before every acknowledgement, so that a power cut loses nothing acknowledged. Set by --durable.',
  },
  'titorelli.max.in.flight.requests.per.connection': {
    type: 'INT',
    default: 64,
    min: 1,
    acts: true,
    doc: 'The most requests of one connection that are under way, long polls included. Beyond it nothing more is read from it until one is answered.',
  },
  'titorelli.unsent.response.timeout.ms': {
    type: 'INT',
    default: 30_000,
    min: 1,
    acts: true,
    doc: 'A client that takes nothing of its answers for so many milliseconds is given up, and its connection closed.',
  },
  'titorelli.memory.budget.bytes': {
    type: 'LONG',
    default: 268_435_456n,
    min: 16_777_216n,
    acts: true,
    doc: 'The most bytes held for received requests, queued appends, cached log tails and unsent answers together. Beyond it the broker stops reading from its largest connections.',
  },
  'titorelli.relaxed.replication.factor': {
    type: 'BOOLEAN',
    default: true,
    acts: true,
    doc: 'Whether a replication factor above the number of brokers is lowered to that number, so that programs written for a large cluster run against one broker. With false it is refused, as Kafka does: what `titorelli start` does with data on disk, unless this is set.',
  },
} as const satisfies ConfigTable

/** The configs that become properties of BrokerConfig. */
export const typedBrokerConfigs = {
  ...networkConfigs,
  ...topicAndRequestConfigs,
  ...logConfigs,
  ...coordinatorConfigs,
  ...ownConfigs,
} as const

/** Every broker config that is known, by name. */
export const brokerConfigs: ConfigTable = withTopicDefaults({ ...typedBrokerConfigs, ...configsWithoutEffect })

/** A broker config that is the default of a topic config acts where that one does. */
function withTopicDefaults(table: ConfigTable): ConfigTable {
  const rows: Record<string, ConfigRow> = { ...table }
  for (const [topicConfig, { acts, synonyms }] of Object.entries<ConfigRow>(topicConfigs)) {
    if (!acts) continue
    for (const name of synonyms ?? []) {
      const row = rows[name]!
      rows[name] = { ...row, acts: true, doc: row.doc ?? `The default of the topic config ${topicConfig}.` }
    }
  }
  return rows
}

export function brokerConfigRow(name: string): ConfigRow | undefined {
  return Object.hasOwn(brokerConfigs, name) ? brokerConfigs[name] : undefined
}
