import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  type BrokerConfig,
  brokerConfigOf,
  brokerConfigText,
  defaultBrokerConfig,
} from '../../src/config/broker-config.ts'
import {
  topicConfigOf,
  topicConfigText,
  validateTopicConfig,
  validateTopicConfigs,
} from '../../src/config/topic-config.ts'
import type { LogConfig } from '../../storage/log-store.ts'

function brokerWith(values: Readonly<Record<string, string>>): BrokerConfig {
  const result = brokerConfigOf(new Map(Object.entries(values)))
  assert(result.ok)
  return result.config
}

function overrides(values: Readonly<Record<string, string>>): ReadonlyMap<string, string> {
  return new Map(Object.entries(values))
}

const longMax = 9_223_372_036_854_775_807n

test('a topic without overrides shares the defaults of its broker', () => {
  const broker = defaultBrokerConfig()
  const config: LogConfig = topicConfigOf(new Map(), broker)
  assert.equal(config, broker.topicDefaults)
  assert.deepEqual(config.cleanupPolicy, { compact: false, delete: true })
  assert.deepEqual(config.compressionLevels, { gzip: -1, lz4: 9, zstd: 3 })
  assert.equal(config.retentionMs, 604_800_000n)
})

test('an override wins over the broker, and only where it is set', () => {
  const broker = brokerWith({ 'log.retention.ms': '1000', 'log.segment.bytes': '2097152' })
  const config = topicConfigOf(overrides({ 'retention.ms': '5', 'cleanup.policy': 'compact,delete' }), broker)
  assert.equal(config.retentionMs, 5n)
  assert.equal(config.segmentBytes, 2_097_152)
  assert.deepEqual(config.cleanupPolicy, { compact: true, delete: true })
})

test('of the synonyms of a topic config the first that is set wins, whatever its unit', () => {
  const hours = { 'log.retention.hours': '2' }
  const minutes = { ...hours, 'log.retention.minutes': '3' }
  const ms = { ...minutes, 'log.retention.ms': '4' }
  assert.equal(brokerWith(hours).topicDefaults.retentionMs, 7_200_000n)
  assert.equal(brokerWith(minutes).topicDefaults.retentionMs, 180_000n)
  assert.equal(brokerWith(ms).topicDefaults.retentionMs, 4n)
  assert.equal(brokerWith({ 'log.retention.hours': '-1' }).topicDefaults.retentionMs, -1n)
})

test('durations up to the largest long neither overflow nor round', () => {
  const config = topicConfigOf(
    overrides({ 'retention.ms': String(longMax), 'flush.ms': String(longMax - 1n) }),
    defaultBrokerConfig(),
  )
  assert.equal(config.retentionMs, longMax)
  assert.equal(config.flushMs, longMax - 1n)
  assert.equal(brokerWith({ 'log.retention.hours': '2147483647' }).topicDefaults.retentionMs, 7_730_941_129_200_000n)
})

test('what one batch may decompress to is bounded by the memory budget, whatever the topic allows', () => {
  const broker = brokerWith({ 'titorelli.memory.budget.bytes': '20000000' })
  const limitOf = (text?: string) =>
    topicConfigOf(overrides(text === undefined ? {} : { 'max.decompressed.message.bytes': text }), broker)
      .maxDecompressedMessageBytes
  assert.equal(limitOf(), 10_000_000)
  assert.equal(limitOf('2147483639'), 10_000_000)
  assert.equal(limitOf('1000'), 1_000)
})

test('compression levels of a topic reach the form that the log reads', () => {
  const config = topicConfigOf(overrides({ 'compression.zstd.level': '7' }), defaultBrokerConfig())
  assert.deepEqual(config.compressionLevels, { gzip: -1, lz4: 9, zstd: 7 })
})

test('an override that a later version wrote does not keep its topic from opening', () => {
  const config = topicConfigOf(overrides({ 'retention.ms': 'soon', 'no.such.config': '1' }), defaultBrokerConfig())
  assert.equal(config.retentionMs, 604_800_000n)
})

test('a wrong override is refused in the words of Kafka', () => {
  assert.equal(validateTopicConfig('retention.ms', '-1'), undefined)
  assert.equal(
    validateTopicConfig('retention.ms', 'abc'),
    'Invalid value abc for configuration retention.ms: Not a number of type LONG',
  )
  assert.equal(validateTopicConfig('retention.mss', '1'), 'Unknown topic config name: retention.mss')
  assert.equal(validateTopicConfig('constructor', '1'), 'Unknown topic config name: constructor')
  assert.equal(
    validateTopicConfig('compression.gzip.level', '0'),
    'Invalid value 0 for configuration compression.gzip.level: Value must be between 1 and 9 or equal to -1',
  )
  assert.equal(validateTopicConfig('leader.replication.throttled.replicas', '*'), undefined)
  assert.equal(validateTopicConfig('leader.replication.throttled.replicas', '0:1,1:2'), undefined)
  assert.match(validateTopicConfig('leader.replication.throttled.replicas', '0')!, /must be the literal '\*'/)
})

test('overrides that contradict each other or the broker are refused', () => {
  const broker = brokerWith({ 'log.cleaner.min.compaction.lag.ms': '100' })
  assert.equal(
    validateTopicConfigs(overrides({ 'max.compaction.lag.ms': '50' }), broker),
    'conflict topic config setting min.compaction.lag.ms (100) > max.compaction.lag.ms (50)',
  )
  assert.equal(validateTopicConfigs(overrides({ 'max.compaction.lag.ms': '100' }), broker), undefined)
  assert.match(validateTopicConfigs(overrides({ 'remote.storage.enable': 'true' }), broker)!, /Tiered Storage/)
})

test('a config prints as it was set, or as what it inherits', () => {
  const broker = brokerWith({ 'log.retention.minutes': '1', 'sasl.jaas.config': 'secret' })
  assert.equal(topicConfigText('cleanup.policy', overrides({ 'cleanup.policy': 'compact' }), broker), 'compact')
  assert.equal(topicConfigText('retention.ms', new Map(), broker), '60000')
  assert.equal(topicConfigText('min.cleanable.dirty.ratio', new Map(), broker), '0.5')
  assert.equal(topicConfigText('internal.segment.bytes', new Map(), broker), null)
  assert.equal(brokerConfigText('log.retention.minutes', broker), '1')
  assert.equal(brokerConfigText('num.partitions', brokerWith({ 'num.partitions': ' 2 ' })), '2')
  assert.equal(brokerConfigText('log.retention.ms', broker), null)
  assert.equal(brokerConfigText('num.partitions', broker), '1')
  assert.equal(brokerConfigText('sasl.jaas.config', broker), null)
})

test('a broker config names key, value and what was expected', () => {
  const result = brokerConfigOf(
    new Map([
      ['num.partitions', '0'],
      ['log.retention.hours', '0'],
      ['node.id', '1'],
      ['broker.id', '2'],
      ['ssl.key.password', 'ok'],
    ]),
  )
  assert(!result.ok)
  assert.deepEqual(result.errors, [
    { key: 'num.partitions', value: '0', expected: 'a value of type int in [1,...]' },
    { key: 'log.retention.hours', value: '0', expected: '-1 (unlimited), or 1 or more' },
    { key: 'broker.id', value: '2', expected: 'the value of node.id (1), or nothing' },
  ])
})

test('broker.id names the node where node.id does not', () => {
  assert.equal(brokerWith({ 'broker.id': '7' }).nodeId, 7)
  assert.equal(brokerWith({}).nodeId, 1)
})
