/** Apache Kafka's own command line tools, unmodified, against our broker. */
import assert from 'node:assert/strict'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { runKafkaTool, usePeer, type ToolName } from './support/peers.ts'
import { startTitorelli } from './support/titorelli.ts'

interface Row {
  /**
   * As a user types it; BROKER stands for the address of the broker, which is added where it is not named, and FOLDER
   * for the folder of the files below.
   */
  readonly command: string
  /** Lines that it prints, in this order; `*` stands for anything, and no lines for no output. */
  readonly prints: readonly string[]
  readonly status?: number
}

const files = {
  'delete.json': { partitions: [{ topic: 'orders', partition: 0, offset: 0 }], version: 1 },
  'too-far.json': { partitions: [{ topic: 'orders', partition: 0, offset: 5 }], version: 1 },
  'move.json': { partitions: [{ topic: 'orders', partition: 0, replicas: [1] }], version: 1 },
}

const topics: readonly Row[] = [
  {
    command: 'kafka-topics --create --topic orders --partitions 3 --config retention.ms=1000000',
    prints: ['Created topic orders.'],
  },
  {
    command: 'kafka-topics --create --topic orders',
    prints: ["Error while executing topic command : Topic 'orders' already exists."],
    status: 1,
  },
  {
    command: 'kafka-topics --create --topic wide --replication-factor 3',
    prints: ['Error while executing topic command : *'], // data on disk: as strict as Kafka
    status: 1,
  },
  { command: 'kafka-topics --create --topic orders --if-not-exists', prints: [] },
  { command: 'kafka-topics --list', prints: ['orders'] },
  { command: 'kafka-topics --alter --topic orders --partitions 4', prints: [] },
  {
    command: 'kafka-topics --describe --topic orders',
    prints: [
      'Topic: orders\tTopicId: *\tPartitionCount: 4\tReplicationFactor: 1\tConfigs: retention.ms=1000000',
      ...[0, 1, 2, 3].map(
        (partition) =>
          `\tTopic: orders\tPartition: ${partition}\tLeader: 1\tReplicas: 1\tIsr: 1\tElr: \tLastKnownElr: `,
      ),
    ],
  },
  { command: 'kafka-topics --describe --unavailable-partitions', prints: [] },
  { command: 'kafka-topics --describe --topics-with-overrides', prints: ['Topic: orders\t*'] },
]

const configs: readonly Row[] = [
  {
    command:
      'kafka-configs --alter --entity-type topics --entity-name orders --add-config segment.ms=70000,cleanup.policy=[compact,delete]',
    prints: ['Completed updating config for topic orders.'],
  },
  {
    command: 'kafka-configs --describe --entity-type topics --entity-name orders',
    prints: [
      'Dynamic configs for topic orders are:',
      '  cleanup.policy=compact,delete sensitive=false synonyms={DYNAMIC_TOPIC_CONFIG:cleanup.policy=compact,delete, DEFAULT_CONFIG:log.cleanup.policy=delete}',
      '  retention.ms=1000000 sensitive=false synonyms={DYNAMIC_TOPIC_CONFIG:retention.ms=1000000}',
      '  segment.ms=70000 sensitive=false synonyms={DYNAMIC_TOPIC_CONFIG:segment.ms=70000}',
    ],
  },
  {
    command:
      'kafka-configs --alter --entity-type topics --entity-name orders --delete-config segment.ms,cleanup.policy',
    prints: ['Completed updating config for topic orders.'],
  },
  {
    command: 'kafka-configs --alter --entity-type topics --entity-name orders --add-config retention.ms=never',
    prints: ['*Invalid value never for configuration retention.ms: Not a number of type LONG*'],
    status: 1,
  },
  {
    command: 'kafka-configs --alter --entity-type brokers --entity-default --add-config log.retention.ms=5000000',
    prints: ['Completed updating default config for brokers in the cluster.'],
  },
  {
    command: 'kafka-configs --alter --entity-type brokers --entity-name 1 --add-config log.cleaner.threads=2',
    prints: ['Completed updating config for broker 1.'],
  },
  {
    command: 'kafka-configs --describe --entity-type brokers',
    prints: [
      'Dynamic configs for broker 1 are:',
      '  log.cleaner.threads=2 sensitive=false synonyms={DYNAMIC_BROKER_CONFIG:log.cleaner.threads=2, DEFAULT_CONFIG:log.cleaner.threads=1}',
      'Default configs for brokers in the cluster are:',
      '  log.retention.ms=5000000 sensitive=false synonyms={DYNAMIC_DEFAULT_BROKER_CONFIG:log.retention.ms=5000000}',
    ],
  },
  {
    command: 'kafka-configs --alter --entity-type brokers --entity-name 1 --delete-config log.cleaner.threads',
    prints: ['Completed updating config for broker 1.'],
  },
  {
    command: 'kafka-configs --describe --all --entity-type brokers --entity-name 1',
    prints: ['All configs for broker 1 are:', '*', '  num.partitions=1 sensitive=false *', '*'],
  },
  {
    command:
      'kafka-configs --alter --entity-type groups --entity-name g --add-config consumer.session.timeout.ms=46000',
    prints: ['Completed updating config for group g.'],
  },
  {
    command: 'kafka-configs --describe --entity-type groups --entity-name g',
    prints: ['Dynamic configs for group g are:', '  consumer.session.timeout.ms=46000 sensitive=false *'],
  },
  {
    command: 'kafka-configs --alter --entity-type client-metrics --entity-name m --add-config interval.ms=1000',
    prints: ['Completed updating config for client-metric m.'],
  },
  {
    command: 'kafka-configs --describe --entity-type client-metrics',
    prints: ['Dynamic configs for client-metric m are:', '  interval.ms=1000 sensitive=false *'],
  },
  {
    command: 'kafka-configs --alter --entity-type broker-loggers --entity-name 1 --add-config root=ERROR',
    prints: ['Completed updating config for broker-logger 1.'],
  },
  {
    command: 'kafka-configs --describe --entity-type broker-loggers --entity-name 1',
    prints: ['Dynamic configs for broker-logger 1 are:', '  root=ERROR sensitive=false synonyms={}'],
  },
]

const data: readonly Row[] = [
  { command: 'kafka-get-offsets --topic orders', prints: [0, 1, 2, 3].map((partition) => `orders:${partition}:0`) },
  {
    command: 'kafka-delete-records --offset-json-file FOLDER/delete.json',
    prints: [
      'Executing records delete operation',
      'Records delete operation completed:',
      'partition: orders-0\tlow_watermark: 0',
    ],
  },
  {
    command: 'kafka-delete-records --offset-json-file FOLDER/too-far.json',
    prints: [
      'Executing records delete operation',
      'Records delete operation completed:',
      'partition: orders-0\terror: *OffsetOutOfRangeException*',
    ],
  },
  {
    command: 'kafka-log-dirs --describe --topic-list orders',
    prints: ['*', '*', '{"brokers":[{"broker":1,"logDirs":[{"partitions":[{"partition":"orders-0","size":0,*'],
  },
]

const load: readonly Row[] = [
  {
    command: 'kafka-producer-perf-test --topic load --num-records 500 --record-size 100 --throughput -1',
    prints: ['500 records sent, * records/sec *99.9th*'],
  },
  {
    command: 'kafka-consumer-perf-test --topic load --num-records 500 --hide-header',
    prints: ['*', '20*, 20*, 0.04*, *, 500, *'],
  },
  {
    command: 'kafka-e2e-latency --topic load --num-records 20 --producer-acks all --record-size 100',
    prints: ['*', 'Avg latency: * ms', 'Percentiles: 50th = *'],
  },
  {
    command: 'kafka-verifiable-producer --topic load --max-messages 10 --acks -1',
    prints: ['*startup_complete*', '*', '*"sent":10*"acked":10*'],
  },
  {
    command: 'kafka-verifiable-consumer --topic load --group-id readers --max-messages 10 --reset-policy earliest',
    prints: ['*startup_complete*', '*', '*records_consumed*"count":500*', '*'],
  },
  { command: 'kafka-topics --delete --topic load', prints: [] },
]

const cluster: readonly Row[] = [
  {
    command: 'kafka-broker-api-versions',
    prints: ['127.0.0.1:* (id: 1 rack: null isFenced: false) -> (', '\tProduce(0): 0 to 13 [usable: 13],', '*', ')'],
  },
  {
    command: 'kafka-leader-election --election-type preferred --topic orders --partition 0',
    prints: ['Valid replica already elected for partitions orders-0'],
  },
  { command: 'kafka-leader-election --election-type preferred --all-topic-partitions', prints: [] },
  { command: 'kafka-reassign-partitions --list', prints: ['No partition reassignments found.'] },
  {
    command: 'kafka-reassign-partitions --execute --reassignment-json-file FOLDER/move.json',
    prints: ['*', 'Successfully started partition reassignment for orders-0'],
  },
  {
    command: 'kafka-reassign-partitions --verify --reassignment-json-file FOLDER/move.json',
    prints: ['Status of partition reassignment:', 'Reassignment of partition orders-0 is completed.', '*'],
  },
  {
    command: 'kafka-metadata-quorum --bootstrap-server BROKER describe --status',
    prints: ['ClusterId: *', 'LeaderId:               1', '*', 'CurrentObservers:       []'],
  },
  {
    command: 'kafka-metadata-quorum --bootstrap-server BROKER describe --replication',
    prints: ['NodeId\t*', '1     \t*\tLeader\t'],
  },
  { command: 'kafka-cluster cluster-id', prints: ['Cluster ID: *'] },
  { command: 'kafka-cluster list-endpoints', prints: ['ID *', '1 *unfenced   broker *'] },
  { command: 'kafka-cluster unregister --id 7', prints: ['*BrokerIdNotRegisteredException*'], status: 1 },
  {
    command: 'kafka-features --bootstrap-server BROKER describe',
    prints: ['*', 'Feature: metadata.version *SupportedMinVersion: 3.3-IV3 *FinalizedVersionLevel: 4.3-IV0 *', '*'],
  },
  {
    command: 'kafka-features --bootstrap-server BROKER upgrade --feature metadata.version=30',
    prints: ['metadata.version was upgraded to 30.'],
  },
  {
    command: 'kafka-features --bootstrap-server BROKER downgrade --feature metadata.version=29',
    prints: ['Could not downgrade metadata.version to 29. *'],
    status: 1,
  },
  { command: 'kafka-topics --delete --topic orders', prints: [] },
  { command: 'kafka-topics --list --exclude-internal', prints: [] },
]

/** What was printed against the lines of a row: a line that is `*` alone stands for any number of lines. */
function patternOf(lines: readonly string[]): RegExp {
  const parts = lines.map((line) => {
    const text = line.split('*').map((part) => part.replaceAll(/[^\w\s]/g, '\\$&'))
    return line === '*' ? '[^]*' : `${text.join('[^\\n]*')}\\n`
  })
  return new RegExp(`^\\s*${parts.join('')}\\s*$`)
}

test('the tools of Apache Kafka do their work', { timeout: 300_000 }, async (t) => {
  if (!(await usePeer(t, 'kafka'))) return
  const folder = await mkdtemp(join(tmpdir(), 'kafka-tools-'))
  t.after(() => rm(folder, { recursive: true, force: true }))
  for (const [name, content] of Object.entries(files)) await writeFile(join(folder, name), JSON.stringify(content))
  const broker = await startTitorelli(t)
  for (const { command, prints, status = 0 } of [...topics, ...configs, ...data, ...load, ...cluster]) {
    await t.test(command, async () => {
      const whole = command.includes('BROKER') ? command : `${command} --bootstrap-server BROKER`
      const [tool, ...args] = whole.replaceAll('FOLDER', folder).replaceAll('BROKER', broker.bootstrap).split(' ')
      const { status: ended, stdout, stderr } = await runKafkaTool(tool as ToolName, args)
      assert.equal(ended, status, stdout + stderr)
      // A tool that fails says so on either output, with more around it.
      if (status !== 0) assert.match(stdout + stderr, patternOf(['*', ...prints, '*']))
      else assert.match(stdout, patternOf(prints))
    })
  }
})
