import { AlterConfigs } from '../../../protocol/apis/alter-configs.ts'
import { DescribeConfigs } from '../../../protocol/apis/describe-configs.ts'
import { IncrementalAlterConfigs } from '../../../protocol/apis/incremental-alter-configs.ts'
import { ListConfigResources } from '../../../protocol/apis/list-config-resources.ts'
import type { Peer, Scenario } from '../peer.ts'
import { commonVersionsOf } from '../versions.ts'
import { createTopic } from './topic.ts'

const types = { topic: 2, broker: 4, logger: 8, clientMetrics: 16, group: 32 } as const
const operations = { set: 0, delete: 1, append: 2, subtract: 3 } as const

interface Target {
  readonly type: number
  readonly name: string
}

interface DescribeOptions {
  readonly version?: number
  readonly keys?: readonly string[] | null
  readonly synonyms?: boolean
  readonly documentation?: boolean
}

async function describe(peer: Peer, label: string, target: Target, options: DescribeOptions = {}): Promise<void> {
  const { version = 4, keys = null, synonyms = true, documentation = false } = options
  await peer.ask(label, DescribeConfigs, version, {
    resources: [{ resourceType: target.type, resourceName: target.name, configurationKeys: keys }],
    includeSynonyms: synonyms,
    ...(version >= 3 && { includeDocumentation: documentation }),
  })
}

const described: Scenario = {
  name: 'DescribeConfigs: every resource and flag',
  async run(peer) {
    await createTopic(peer, 'configs-plain')
    await createTopic(peer, 'configs-set', { configs: { 'retention.ms': '77', 'cleanup.policy': 'compact' } })
    const plain = { type: types.topic, name: 'configs-plain' }
    const set = { type: types.topic, name: 'configs-set' }
    const broker = { type: types.broker, name: '1' }
    for (const version of commonVersionsOf(DescribeConfigs)) {
      for (const synonyms of [true, false]) {
        await describe(peer, `a topic, synonyms ${synonyms}`, plain, { version, synonyms })
        await describe(peer, `a topic that sets some, synonyms ${synonyms}`, set, { version, synonyms })
        await describe(peer, `a broker, synonyms ${synonyms}`, broker, { version, synonyms })
      }
    }
    await describe(peer, 'some keys', set, { keys: ['retention.ms', 'no.such', 'cleanup.policy'] })
    await describe(peer, 'no keys', set, { keys: [] })
    await describe(peer, 'some keys of a broker', broker, { keys: ['log.retention.ms', 'no.such', 'num.partitions'] })
    await describe(peer, 'with documentation', set, { documentation: true })
    await describe(peer, 'a broker with documentation', broker, { documentation: true, keys: ['num.partitions'] })
    const odd: readonly Target[] = [
      { type: types.topic, name: 'configs-nowhere' },
      { type: types.topic, name: 'a b' },
      { type: types.topic, name: '' },
      { type: types.broker, name: '' },
      { type: types.broker, name: '99' },
      { type: types.broker, name: 'abc' },
      { type: types.logger, name: '99' },
      { type: types.logger, name: 'abc' },
      { type: types.logger, name: '' },
      { type: types.group, name: 'configs-no-group' },
      { type: types.group, name: '' },
      { type: types.clientMetrics, name: 'configs-no-metrics' },
      { type: types.clientMetrics, name: '' },
      { type: 0, name: 'x' },
      { type: 1, name: 'x' },
      { type: 3, name: 'x' },
      { type: 64, name: 'x' },
      { type: -1, name: 'x' },
    ]
    for (const target of odd) await describe(peer, `type ${target.type}, name '${target.name}'`, target)
    await peer.ask('nothing', DescribeConfigs, 4, { resources: [] as never[], includeSynonyms: false })
  },
}

type Change = readonly [name: string, operation: keyof typeof operations | number, value: string | null]

async function change(
  peer: Peer,
  label: string,
  target: Target,
  options: { readonly changes: readonly Change[]; readonly validateOnly?: boolean; readonly version?: number },
): Promise<void> {
  const { changes, validateOnly = false, version = 1 } = options
  const configs = changes.map(([name, operation, value]) => ({
    name,
    configOperation: typeof operation === 'number' ? operation : operations[operation],
    value,
  }))
  const resources = [{ resourceType: target.type, resourceName: target.name, configs }]
  await peer.ask(label, IncrementalAlterConfigs, version, { resources, validateOnly })
  await settle()
}

/** A broker of Kafka shows what was changed a moment after the answer. */
function settle(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, 60))
}

const topicChanges: readonly (readonly [label: string, ...changes: Change[]])[] = [
  ['set', ['retention.ms', 'set', '1000']],
  ['set again', ['retention.ms', 'set', '2000']],
  ['set two', ['retention.ms', 'set', '3000'], ['segment.ms', 'set', '4000']],
  ['delete', ['retention.ms', 'delete', null]],
  ['delete again', ['retention.ms', 'delete', null]],
  ['delete with a value', ['segment.ms', 'delete', '4000']],
  ['append to a list', ['cleanup.policy', 'append', 'compact']],
  ['append what is there', ['cleanup.policy', 'append', 'compact']],
  ['subtract from a list', ['cleanup.policy', 'subtract', 'delete']],
  ['subtract what is not there', ['cleanup.policy', 'subtract', 'delete']],
  ['subtract the last', ['cleanup.policy', 'subtract', 'compact']],
  ['append several', ['follower.replication.throttled.replicas', 'append', '0:1,1:1']],
  ['subtract several', ['follower.replication.throttled.replicas', 'subtract', '0:1,1:1']],
  ['append to what is no list', ['retention.ms', 'append', '1']],
  ['subtract from what is no list', ['retention.ms', 'subtract', '1']],
  ['append nonsense', ['cleanup.policy', 'append', 'shred']],
  ['an unknown operation', ['retention.ms', 9, '1']],
  ['a negative operation', ['retention.ms', -1, '1']],
  ['set null', ['retention.ms', 'set', null]],
  ['append null', ['cleanup.policy', 'append', null]],
  ['set nonsense', ['retention.ms', 'set', 'abc']],
  ['set nothing', ['retention.ms', 'set', '']],
  ['an unknown config', ['no.such', 'set', '1']],
  ['delete an unknown config', ['no.such', 'delete', null]],
  ['the same twice', ['retention.ms', 'set', '1'], ['retention.ms', 'set', '2']],
  ['one good, one bad', ['retention.ms', 'set', '5000'], ['segment.ms', 'set', 'abc']],
  ['nothing'],
  ['an empty name', ['', 'set', '1']],
]

const topicAlterations: Scenario = {
  name: 'IncrementalAlterConfigs: every operation on topics',
  async run(peer) {
    await createTopic(peer, 'alter-one')
    const topic = { type: types.topic, name: 'alter-one' }
    for (const [label, ...changes] of topicChanges) {
      await change(peer, label, topic, { changes })
      await describe(peer, `after ${label}`, topic, { keys: ['retention.ms', 'segment.ms', 'cleanup.policy'] })
    }
    for (const version of commonVersionsOf(IncrementalAlterConfigs))
      await change(peer, 'in this version', topic, { changes: [['retention.ms', 'set', `${version}1`]], version })
    const set: Change = ['retention.ms', 'set', '1']
    await change(peer, 'only validated', topic, { changes: [set], validateOnly: true })
    await change(peer, 'only validated, wrong', topic, { changes: [['retention.ms', 'set', 'x']], validateOnly: true })
    for (const name of ['alter-nowhere', 'a b', ''])
      await change(peer, `a topic '${name}'`, { type: types.topic, name }, { changes: [set] })
    for (const type of [0, 1, 3, 64, -1]) await change(peer, `type ${type}`, { type, name: 'x' }, { changes: [set] })
    await describe(peer, 'at the end', topic)
    const resource = (name: string) => ({
      resourceType: types.topic,
      resourceName: name,
      configs: [{ name: 'retention.ms', configOperation: 0, value: '9' }],
    })
    const twice = [resource('alter-one'), resource('alter-one')]
    await peer.ask('the same topic twice', IncrementalAlterConfigs, 1, { resources: twice, validateOnly: false })
    await peer.ask('no resources', IncrementalAlterConfigs, 1, { resources: [], validateOnly: false })
  },
}

const replacements: Scenario = {
  name: 'AlterConfigs: replaces what is there',
  async run(peer) {
    await createTopic(peer, 'replace-one', { configs: { 'segment.ms': '5000' } })
    const topic = { type: types.topic, name: 'replace-one' }
    const ask = async (
      label: string,
      configs: Readonly<Record<string, string | null>>,
      options: { target?: Target; validateOnly?: boolean; version?: number } = {},
    ): Promise<void> => {
      const { target = topic, validateOnly = false, version = 2 } = options
      const entries = Object.entries(configs).map(([name, value]) => ({ name, value }))
      const resources = [{ resourceType: target.type, resourceName: target.name, configs: entries }]
      await peer.ask(label, AlterConfigs, version, { resources, validateOnly })
      await settle()
      await describe(peer, `after ${label}`, topic, { keys: ['retention.ms', 'segment.ms', 'cleanup.policy'] })
    }
    for (const version of commonVersionsOf(AlterConfigs)) await ask('one', { 'retention.ms': '1000' }, { version })
    await ask('another', { 'cleanup.policy': 'compact' })
    await ask('only validated', { 'segment.ms': '1' }, { validateOnly: true })
    await ask('null', { 'retention.ms': null })
    await ask('nonsense', { 'retention.ms': 'abc' })
    await ask('an unknown config', { 'no.such': '1' })
    await ask('nothing', {})
    await ask('an unknown topic', { 'retention.ms': '1' }, { target: { type: types.topic, name: 'replace-nowhere' } })
    await ask('type 64', { 'retention.ms': '1' }, { target: { type: 64, name: 'x' } })
    const broker = { type: types.broker, name: '1' }
    await ask('a broker', { 'log.cleaner.threads': '2' }, { target: broker })
    await describe(peer, 'a broker, described', broker, { keys: ['log.cleaner.threads'] })
    await ask('a broker, nothing', {}, { target: broker })
    await describe(peer, 'a broker, described again', broker, { keys: ['log.cleaner.threads'] })
  },
}

const brokerChanges: readonly (readonly [label: string, name: string, ...changes: Change[]])[] = [
  ['a config of one broker', '1', ['log.cleaner.threads', 'set', '2']],
  ['a config of all brokers', '', ['log.cleaner.threads', 'set', '3']],
  ['both', '1', ['log.cleaner.threads', 'set', '2']],
  ['the default of topics', '', ['log.retention.ms', 'set', '123456']],
  ['a read-only config', '1', ['broker.id', 'set', '2']],
  ['a read-only config of all', '', ['num.partitions', 'set', '2']],
  ['a config that only one broker can have', '', ['listeners', 'set', 'PLAINTEXT://:1']],
  ['an unknown config', '1', ['no.such', 'set', '1']],
  ['an unknown config of all', '', ['no.such', 'set', '1']],
  ['nonsense', '1', ['log.cleaner.threads', 'set', 'abc']],
  ['out of range', '1', ['log.cleaner.threads', 'set', '-1']],
  ['null', '1', ['log.cleaner.threads', 'set', null]],
  ['a list', '', ['log.cleanup.policy', 'append', 'compact']],
  ['a list, less', '', ['log.cleanup.policy', 'subtract', 'compact']],
  ['what is no list', '', ['log.cleaner.threads', 'append', '1']],
  ['an unknown operation', '1', ['log.cleaner.threads', 8, '1']],
  ['another broker', '99', ['log.cleaner.threads', 'set', '2']],
  ['no broker', 'abc', ['log.cleaner.threads', 'set', '2']],
  ['delete what one broker has', '1', ['log.cleaner.threads', 'delete', null]],
  ['delete what all have', '', ['log.cleaner.threads', 'delete', null]],
  ['delete the default of topics', '', ['log.retention.ms', 'delete', null]],
  ['delete the list', '', ['log.cleanup.policy', 'delete', null]],
  ['nothing', '1'],
]

const brokerAlterations: Scenario = {
  name: 'IncrementalAlterConfigs: brokers',
  async run(peer) {
    await createTopic(peer, 'broker-configs')
    const keys = ['log.cleaner.threads', 'log.retention.ms', 'log.cleanup.policy', 'num.partitions']
    for (const [label, name, ...changes] of brokerChanges) {
      await change(peer, label, { type: types.broker, name }, { changes })
      await change(peer, `${label}, only validated`, { type: types.broker, name }, { changes, validateOnly: true })
      await describe(peer, `one broker after ${label}`, { type: types.broker, name: '1' }, { keys })
      await describe(peer, `all brokers after ${label}`, { type: types.broker, name: '' })
      const topic = { type: types.topic, name: 'broker-configs' }
      await describe(peer, `a topic after ${label}`, topic, { keys: ['retention.ms', 'cleanup.policy'] })
    }
  },
}

const otherChanges: readonly (readonly [label: string, target: Target, ...changes: Change[]])[] = [
  ['a group', { type: types.group, name: 'g1' }, ['consumer.session.timeout.ms', 'set', '46000']],
  ['two of a group', { type: types.group, name: 'g1' }, ['consumer.heartbeat.interval.ms', 'set', '6000']],
  ['an unknown config of a group', { type: types.group, name: 'g1' }, ['no.such', 'set', '1']],
  ['nonsense of a group', { type: types.group, name: 'g1' }, ['consumer.session.timeout.ms', 'set', 'x']],
  ['too much of a group', { type: types.group, name: 'g1' }, ['consumer.session.timeout.ms', 'set', '1']],
  ['an append to a group', { type: types.group, name: 'g1' }, ['consumer.session.timeout.ms', 'append', '1']],
  ['a group without a name', { type: types.group, name: '' }, ['consumer.session.timeout.ms', 'set', '46000']],
  ['delete of a group', { type: types.group, name: 'g1' }, ['consumer.session.timeout.ms', 'delete', null]],
  ['metrics', { type: types.clientMetrics, name: 'm1' }, ['interval.ms', 'set', '1000']],
  [
    'metrics, all',
    { type: types.clientMetrics, name: 'm1' },
    ['metrics', 'set', 'a,b'],
    ['match', 'set', 'client_id=x'],
  ],
  ['metrics, a list', { type: types.clientMetrics, name: 'm1' }, ['metrics', 'append', 'c']],
  ['metrics, less', { type: types.clientMetrics, name: 'm1' }, ['metrics', 'subtract', 'a']],
  ['metrics, too fast', { type: types.clientMetrics, name: 'm1' }, ['interval.ms', 'set', '5']],
  ['metrics, a wrong match', { type: types.clientMetrics, name: 'm1' }, ['match', 'set', 'x=y']],
  ['metrics, an unknown config', { type: types.clientMetrics, name: 'm1' }, ['no.such', 'set', '1']],
  ['metrics without a name', { type: types.clientMetrics, name: '' }, ['interval.ms', 'set', '1000']],
  ['a logger', { type: types.logger, name: '1' }, ['kafka.server.KafkaApis', 'set', 'DEBUG']],
  ['an unknown logger', { type: types.logger, name: '1' }, ['no.such.logger', 'set', 'DEBUG']],
  ['an unknown level', { type: types.logger, name: '1' }, ['root', 'set', 'LOUD']],
  ['a logger, append', { type: types.logger, name: '1' }, ['root', 'append', 'INFO']],
  ['a logger, null', { type: types.logger, name: '1' }, ['root', 'set', null]],
  ['the loggers of another', { type: types.logger, name: '9' }, ['root', 'set', 'INFO']],
  ['the loggers of all', { type: types.logger, name: '' }, ['root', 'set', 'INFO']],
]

const otherAlterations: Scenario = {
  name: 'IncrementalAlterConfigs: groups, client metrics, loggers',
  async run(peer) {
    for (const [label, target, ...changes] of otherChanges) {
      await change(peer, label, target, { changes })
      await change(peer, `${label}, only validated`, target, { changes, validateOnly: true })
      if (target.type !== types.logger) await describe(peer, `after ${label}`, target)
    }
    const loggers = { type: types.logger, name: '1' }
    await describe(peer, 'the root logger', loggers, { keys: ['root'] })
    await change(peer, 'the level of the root logger', loggers, { changes: [['root', 'set', 'ERROR']] })
    await describe(peer, 'the root logger, changed', loggers, { keys: ['root'] })
    await change(peer, 'the level of the root logger, deleted', loggers, { changes: [['root', 'delete', null]] })
    await describe(peer, 'the root logger, at the end', loggers, { keys: ['root'] })
    await peer.ask('client metrics', ListConfigResources, 0, { resourceTypes: [] })
    await peer.ask('all kinds that were named', ListConfigResources, 1, {
      resourceTypes: [types.group, types.clientMetrics],
    })
    await peer.ask('brokers', ListConfigResources, 1, { resourceTypes: [types.broker, types.logger] })
    await peer.ask('a type that is none', ListConfigResources, 1, { resourceTypes: [3] })
    await change(
      peer,
      'metrics, deleted',
      { type: types.clientMetrics, name: 'm1' },
      {
        changes: [
          ['metrics', 'delete', null],
          ['match', 'delete', null],
          ['interval.ms', 'delete', null],
        ],
      },
    )
    await peer.ask('client metrics, none', ListConfigResources, 0, { resourceTypes: [] })
  },
}

export const configScenarios: readonly Scenario[] = [
  described,
  topicAlterations,
  replacements,
  brokerAlterations,
  otherAlterations,
]
