import assert from 'node:assert/strict'
import { test } from 'node:test'
import { configErrorText } from '../../src/config/broker-config.ts'
import { brokerConfigs } from '../../src/config/broker-configs.ts'
import { configOfKafkaVariable, configOfOwnVariable } from '../../src/config/environment-variables.ts'
import {
  configFileOf,
  type EnvironmentVariables,
  type StartFlags,
  type StartOptions,
  startOptionsOf,
} from '../../src/config/sources.ts'

interface Given {
  readonly flags?: StartFlags
  readonly env?: EnvironmentVariables
  readonly file?: string
}

function start({ flags = {}, env = {}, file }: Given) {
  return startOptionsOf({
    flags,
    env,
    file: file === undefined ? undefined : { path: 'server.properties', text: file },
  })
}

function optionsOf(given: Given): StartOptions {
  const result = start(given)
  assert(result.ok, result.ok ? '' : result.errors.map(configErrorText).join('\n'))
  return result.options
}

function errorsOf(given: Given): string[] {
  const result = start(given)
  assert(!result.ok)
  return result.errors.map(configErrorText)
}

test('without anything the broker listens where only this machine reaches it', () => {
  const { host, port, advertised, httpPort, dataDir, memory, durable, logLevel, summary } = optionsOf({})
  assert.deepEqual(
    { host, port, advertised, httpPort, dataDir, memory, durable, logLevel, summary },
    {
      host: '127.0.0.1',
      port: 9092,
      advertised: undefined,
      httpPort: 8090,
      dataDir: './data',
      memory: false,
      durable: false,
      logLevel: 'info',
      summary: [],
    },
  )
})

test('flags win over TITORELLI_ variables, those over KAFKA_ variables, those over the file', () => {
  const file = 'num.partitions=2\nlisteners=PLAINTEXT://h:1002\nlog.dirs=/file\n'
  const kafka = { KAFKA_NUM_PARTITIONS: '3', KAFKA_LISTENERS: 'PLAINTEXT://h:1003', KAFKA_LOG_DIRS: '/kafka' }
  const own = { TITORELLI_PORT: '1004', TITORELLI_DATA_DIR: '/own' }
  const flags = { config: ['num.partitions=5'], port: '1005', dataDir: '/flag' }
  const seen = (given: Given) => {
    const { port, dataDir, brokerConfig } = optionsOf(given)
    return [port, dataDir, brokerConfig.numPartitions]
  }
  assert.deepEqual(seen({ file }), [1002, '/file', 2])
  assert.deepEqual(seen({ file, env: kafka }), [1003, '/kafka', 3])
  assert.deepEqual(seen({ file, env: { ...kafka, ...own } }), [1004, '/own', 3])
  assert.deepEqual(seen({ file, env: { ...kafka, ...own }, flags }), [1005, '/flag', 5])
  assert.deepEqual(seen({ env: own, flags: { config: ['listeners=PLAINTEXT://h:1006'] } }), [1006, '/own', 1])
})

test('a config that is set by a flag wins over the variable of another flag that means the same', () => {
  const env = { TITORELLI_HOST: 'a', TITORELLI_PORT: '1', TITORELLI_DATA_DIR: '/a', TITORELLI_ADVERTISED: 'a:1' }
  const config = ['listeners=PLAINTEXT://b:2', 'log.dirs=/b', 'advertised.listeners=PLAINTEXT://b:3']
  const { host, port, dataDir, advertised } = optionsOf({ env, flags: { config } })
  assert.deepEqual(
    { host, port, dataDir, advertised },
    { host: 'b', port: 2, dataDir: '/b', advertised: { host: 'b', port: 3 } },
  )
  const own = optionsOf({ env })
  assert.deepEqual([own.host, own.port, own.dataDir, own.advertised], ['a', 1, '/a', { host: 'a', port: 1 }])
})

test('log.dirs wins over log.dir, and its first directory is used', () => {
  const { dataDir, summary } = optionsOf({ file: 'log.dir=/one\nlog.dirs=/two, /three\n' })
  assert.equal(dataDir, '/two')
  assert.deepEqual(summary, ['log.dirs: only the first of 2 directories is used'])
  assert.equal(optionsOf({ file: 'log.dir=/one' }).dataDir, '/one')
})

test('a config of ours is set by its variable', () => {
  const env = { TITORELLI_MEMORY_BUDGET_BYTES: '33554432', TITORELLI_RELAXED_REPLICATION_FACTOR: 'false' }
  const { brokerConfig } = optionsOf({ env })
  assert.equal(brokerConfig.memoryBudgetBytes, 33_554_432n)
  assert.equal(brokerConfig.relaxedReplicationFactor, false)
})

test('a replication factor above the number of brokers is lowered in memory, and refused with data on disk', () => {
  const isRelaxed = (input: Parameters<typeof optionsOf>[0]) => optionsOf(input).brokerConfig.relaxedReplicationFactor
  assert.equal(isRelaxed({}), false)
  assert.equal(isRelaxed({ flags: { memory: true } }), true)
  assert.equal(isRelaxed({ env: { TITORELLI_MEMORY: 'true' } }), true)
  assert.equal(isRelaxed({ env: { TITORELLI_RELAXED_REPLICATION_FACTOR: 'true' } }), true)
  assert.equal(isRelaxed({ file: 'titorelli.relaxed.replication.factor=true' }), true)
  const flags = { memory: true, config: ['titorelli.relaxed.replication.factor=false'] }
  assert.equal(isRelaxed({ flags }), false)
  assert.deepEqual(optionsOf({}).summary, [])
})

test('TITORELLI_ variables set every config: Kafka’s by their names, ours without their prefix', () => {
  const env = {
    TITORELLI_NUM_PARTITIONS: '4',
    TITORELLI_LISTENERS: 'PLAINTEXT://own:1007',
    TITORELLI_MAX_IN_FLIGHT_REQUESTS_PER_CONNECTION: '5',
    TITORELLI_NODE_ID: '',
    KAFKA_NUM_PARTITIONS: '3',
    KAFKA_NODE_ID: '9',
  }
  const { brokerConfig, host, port, summary } = optionsOf({
    env,
    file: 'num.partitions=2\nlisteners=PLAINTEXT://h:1\n',
  })
  const { numPartitions, maxInFlightRequestsPerConnection, nodeId } = brokerConfig
  assert.deepEqual([numPartitions, maxInFlightRequestsPerConnection, host, port], [4, 5, 'own', 1007])
  assert.equal(nodeId, 9, 'an empty variable is none')
  assert.deepEqual(summary, [])
  assert.equal(optionsOf({ env, flags: { config: ['num.partitions=6'] } }).brokerConfig.numPartitions, 6)
  assert.deepEqual(errorsOf({ env: { TITORELLI_NUM_PARTITIONS: 'many' } }), [
    'num.partitions=many (from TITORELLI_NUM_PARTITIONS): expected a value of type int in [1,...]',
  ])
})

test('every broker config has a TITORELLI_ variable of its own that reaches it, but for those with a flag', () => {
  const taken = new Map<string, string>()
  for (const name of Object.keys(brokerConfigs)) {
    const spelled = name
      .replace(/^titorelli\./, '')
      .replaceAll(/[._-]/g, (mark) => ({ '.': '_', _: '__', '-': '___' })[mark]!)
    const variable = `TITORELLI_${spelled.toUpperCase()}`
    assert.equal(taken.get(variable), undefined, variable)
    taken.set(variable, name)
    assert.equal(configOfOwnVariable(variable), name)
  }
})

test('variables of Kafka’s images name configs', () => {
  assert.equal(configOfKafkaVariable('KAFKA_LOG_RETENTION_MS'), 'log.retention.ms')
  assert.equal(configOfKafkaVariable('KAFKA_A__B___C_D'), 'a_b-c.d')
  assert.equal(configOfKafkaVariable('KAFKAESQUE'), undefined)
  assert.equal(configOfKafkaVariable('PATH'), undefined)
})

test('unknown KAFKA_ variables are ignored without a word', () => {
  const { summary } = optionsOf({ env: { KAFKA_HEAP_OPTS: '-Xmx1G', KAFKA_VERSION: '4.0', PATH: '/bin' } })
  assert.deepEqual(summary, [])
})

test('what is known and has no effect is named in one line', () => {
  const { summary } = optionsOf({
    file: 'num.network.threads=3\nsuper.users=User:a\nnum.partitions=2\n',
    env: { KAFKA_NUM_IO_THREADS: '8', TITORELLI_FOO: '1' },
  })
  assert.deepEqual(summary, [
    'without effect here (2): num.io.threads, num.network.threads',
    'not known (2): super.users, TITORELLI_FOO',
  ])
})

test('wrong values are named all at once, each with its source and what was expected', () => {
  const errors = errorsOf({
    flags: { port: '70000', config: ['no.such.config=1', 'nonsense'], logLevel: 'loud', clusterId: 'a b' },
    env: { KAFKA_NUM_PARTITIONS: 'many', TITORELLI_HTTP_PORT: '-1', TITORELLI_MEMORY: 'perhaps' },
    file: 'log.retention.ms=soon',
  })
  assert.deepEqual(errors.sort(), [
    "--cluster-id=a b: expected 1 to 100 letters, digits, '.', '_' or '-'",
    '--config=nonsense: expected KEY=VALUE',
    '--http-port=-1 (from TITORELLI_HTTP_PORT): expected a port: a number from 0 (any free one) to 65535',
    '--log-level=loud: expected one of debug, info, warn, error, silent',
    '--memory=perhaps (from TITORELLI_MEMORY): expected true or false',
    '--port=70000: expected a port: a number from 0 (any free one) to 65535',
    'log.retention.ms=soon (from server.properties): expected a value of type long',
    'no.such.config=1 (from --config): expected the name of a broker config',
    'num.partitions=many (from KAFKA_NUM_PARTITIONS): expected a value of type int in [1,...]',
  ])
})

for (const host of ['0.0.0.0', '::', '[::]', '0:0:0:0:0:0:0:0']) {
  test(`the wildcard ${host} needs an advertised address`, () => {
    assert.match(errorsOf({ flags: { host } })[0]!, /^--host=.*expected an address that clients can connect to/)
    const { advertised } = optionsOf({ flags: { host, advertised: 'broker.example:19092' } })
    assert.deepEqual(advertised, { host: 'broker.example', port: 19_092 })
  })
}

test('a listener without a host is a wildcard', () => {
  assert.match(
    errorsOf({ env: { KAFKA_LISTENERS: 'PLAINTEXT://:9092' } })[0]!,
    /^listeners=PLAINTEXT:\/\/:9092 \(from KAFKA_LISTENERS\)/,
  )
  const env = { KAFKA_LISTENERS: 'PLAINTEXT://:9092', KAFKA_ADVERTISED_LISTENERS: 'PLAINTEXT://here:9093' }
  const { host, port, advertised } = optionsOf({ env })
  assert.deepEqual({ host, port, advertised }, { host: '::', port: 9092, advertised: { host: 'here', port: 9093 } })
})

test('a wildcard can’t be advertised', () => {
  assert.match(errorsOf({ flags: { advertised: '0.0.0.0:9092' } })[0]!, /not a wildcard/)
  assert.match(errorsOf({ file: 'advertised.listeners=PLAINTEXT://0.0.0.0:9092' })[0]!, /not a wildcard/)
})

test('the first PLAINTEXT listener for clients is opened, the others are named', () => {
  const { host, port, advertised, summary } = optionsOf({
    file: [
      'process.roles=broker,controller',
      'controller.listener.names=CONTROLLER',
      'listeners=CONTROLLER://:9093,SSL://:9094,INSIDE://10.0.0.1:29092,OUTSIDE://10.0.0.1:9092',
      'advertised.listeners=OUTSIDE://out:9092,INSIDE://in:29092',
      'listener.security.protocol.map=CONTROLLER:PLAINTEXT,SSL:SSL,INSIDE:PLAINTEXT,OUTSIDE:PLAINTEXT',
    ].join('\n'),
  })
  assert.deepEqual(
    { host, port, advertised },
    { host: '10.0.0.1', port: 29_092, advertised: { host: 'in', port: 29_092 } },
  )
  assert(
    summary.includes('listeners that are not opened (3): CONTROLLER://:9093, SSL://:9094, OUTSIDE://10.0.0.1:9092'),
  )
})

test('a broker that clients could reach only by TLS is refused', () => {
  assert.match(errorsOf({ file: 'listeners=SSL://h:9093' })[0]!, /^listeners=SSL:.*PLAINTEXT/)
})

test('an IPv6 address stands in brackets', () => {
  const { host, advertised } = optionsOf({ flags: { host: '[::1]', advertised: '[2001:db8::1]:9092' } })
  assert.equal(host, '::1')
  assert.deepEqual(advertised, { host: '2001:db8::1', port: 9092 })
  assert.match(errorsOf({ flags: { advertised: '2001:db8::1:9092' } })[0]!, /expected HOST:PORT/)
})

test('HTTP is switched off by a flag or a variable, and on again by a flag', () => {
  assert.equal(optionsOf({ flags: { http: false } }).httpPort, 'off')
  assert.equal(optionsOf({ env: { TITORELLI_NO_HTTP: 'true' } }).httpPort, 'off')
  assert.equal(optionsOf({ env: { TITORELLI_NO_HTTP: 'true' }, flags: { httpPort: '0' } }).httpPort, 0)
  assert.equal(optionsOf({ flags: { http: true } }).httpPort, 8090)
})

test('--durable is the config titorelli.durable', () => {
  for (const given of [
    { flags: { durable: true } },
    { env: { TITORELLI_DURABLE: '1' } },
    { file: 'titorelli.durable=true' },
  ]) {
    const { durable, brokerConfig } = optionsOf(given)
    assert.deepEqual([durable, brokerConfig.durable], [true, true])
  }
})

test('the file to read is named by a flag or a variable', () => {
  assert.equal(configFileOf({}, {}), undefined)
  assert.equal(configFileOf({}, { TITORELLI_CONFIG_FILE: 'a' }), 'a')
  assert.equal(configFileOf({ configFile: 'b' }, { TITORELLI_CONFIG_FILE: 'a' }), 'b')
})

test('a secret in a file is not repeated in an error', () => {
  const errors = errorsOf({ file: 'ssl.key.password=hunter2\nnum.partitions=0' })
  assert.doesNotMatch(errors.join('\n'), /hunter2/)
})
