/**
 * The driver of kafkajs. It has no consumer without a group: `consume` reads as the only member of a group of its own.
 */
import { randomUUID } from 'node:crypto'
import { createRequire } from 'node:module'
import kafkajs, { type Consumer, type Kafka as Client, type Producer } from 'kafkajs'
import { compress, decompress } from '../../../../protocol/records/compression.ts'
import {
  findName,
  recordsOf,
  serve,
  Streaming,
  tellAssigned,
  tellRecord,
  UnsupportedError,
  type AdminCommand,
  type Consume,
  type Join,
  type Produce,
  type Stream,
} from '../shared/serve.ts'

const { CompressionCodecs, CompressionTypes, ConfigResourceTypes, Kafka, logLevel } = kafkajs
const typeOf = {
  none: CompressionTypes.None,
  gzip: CompressionTypes.GZIP,
  snappy: CompressionTypes.Snappy,
  lz4: CompressionTypes.LZ4,
  zstd: CompressionTypes.ZSTD,
}

// kafkajs brings gzip; the others are plugged in, as its users do.
for (const codec of ['snappy', 'lz4', 'zstd'] as const) {
  Reflect.set(CompressionCodecs, typeOf[codec], () => ({
    compress: (encoder: { buffer: Buffer }) => Promise.resolve(Buffer.from(compress(codec, encoder.buffer))),
    decompress: (buffer: Buffer) => Promise.resolve(Buffer.from(decompress(codec, buffer, 100_000_000))),
  }))
}

const streams = new Map<string, { readonly streaming: Streaming; readonly producer: Producer }>()
const members = new Map<string, Consumer>()

function clientOf(bootstrap: string): Client {
  return new Kafka({ clientId: 'driver-kafkajs', brokers: [bootstrap], logLevel: logLevel.NOTHING })
}

/**
 * The retries of an idempotent producer have no limit in kafkajs; this one gives up within the time that a test waits.
 */
function producerOf(bootstrap: string, idempotent: boolean): Producer {
  const retry = { retries: 5, initialRetryTime: 100 }
  return clientOf(bootstrap).producer(idempotent ? { idempotent, maxInFlightRequests: 1, retry } : { retry })
}

function hello(): Promise<unknown> {
  const { version } = createRequire(import.meta.url)('kafkajs/package.json') as { version: string }
  return Promise.resolve({ client: 'kafkajs', version })
}

async function produce({ bootstrap, topic, codec, idempotent, label, count, partition }: Produce): Promise<unknown> {
  const producer = producerOf(bootstrap, idempotent)
  await producer.connect()
  try {
    for (let from = 0; from < count; from += 50) {
      const records = recordsOf(label, from, Math.min(from + 50, count))
      const messages = records.map((record) => (partition === undefined ? record : { ...record, partition }))
      await producer.send({ topic, messages, acks: -1, compression: typeOf[codec] })
    }
    return { acknowledged: count }
  } finally {
    await producer.disconnect()
  }
}

interface Received {
  readonly partition: number
  readonly offset: number
  readonly key: string
  readonly value: string
}

/** Runs a consumer from the earliest offsets on. */
async function read(consumer: Consumer, topic: string, onRecord: (record: Received) => void): Promise<void> {
  await consumer.connect()
  await consumer.subscribe({ topics: [topic], fromBeginning: true })
  await consumer.run({
    autoCommitInterval: 500,
    eachMessage({ partition, message: { offset, key, value } }) {
      onRecord({ partition, offset: Number(offset), key: String(key), value: String(value) })
      return Promise.resolve()
    },
  })
}

async function consume({ bootstrap, topic, count, timeoutMs }: Consume): Promise<unknown> {
  const consumer = clientOf(bootstrap).consumer({ groupId: `reader-${randomUUID()}` })
  const records: Received[] = []
  const all = Promise.withResolvers<undefined>()
  const tooLate = setTimeout(() => all.reject(new Error(`${records.length} of ${count} records came`)), timeoutMs)
  try {
    await read(consumer, topic, (record) => {
      if (records.push(record) >= count) all.resolve(undefined)
    })
    await all.promise
    return { records }
  } finally {
    clearTimeout(tooLate)
    await consumer.disconnect()
  }
}

async function stream({ bootstrap, handle, topic, label }: Stream): Promise<unknown> {
  const producer = clientOf(bootstrap).producer({ idempotent: true, maxInFlightRequests: 1 })
  await producer.connect()
  const streaming = new Streaming(label, async (records) => {
    await producer.send({ topic, messages: records.map((record) => ({ ...record, partition: 0 })), acks: -1 })
  })
  streams.set(handle, { streaming, producer })
  return {}
}

async function endStream({ handle }: { readonly handle: string }): Promise<unknown> {
  const { streaming, producer } = streams.get(handle)!
  const counts = await streaming.stop()
  await producer.disconnect()
  return counts
}

async function join({ handle, topic, assignor, instanceId, ...where }: Join): Promise<unknown> {
  if (assignor !== 'roundrobin') throw new UnsupportedError(`kafkajs has no assignor '${assignor}'`)
  if (instanceId !== undefined) throw new UnsupportedError('kafkajs has no static members')
  const consumer = clientOf(where.bootstrap).consumer({
    groupId: where.group,
    sessionTimeout: where.sessionTimeoutMs,
    heartbeatInterval: 1_000,
  })
  members.set(handle, consumer)
  consumer.on(consumer.events.GROUP_JOIN, ({ payload }) => tellAssigned(handle, payload.memberAssignment[topic] ?? []))
  await read(consumer, topic, (record) => tellRecord(handle, record))
  return {}
}

async function leave({ handle }: { readonly handle: string }): Promise<unknown> {
  await members.get(handle)!.disconnect()
  members.delete(handle)
  return {}
}

type Admin = ReturnType<Client['admin']>

const operations: Record<string, (admin: Admin, command: AdminCommand) => Promise<unknown>> = {
  async createTopic(admin, { topic, partitions, configs }) {
    const configEntries = Object.entries(configs).map(([name, value]) => ({ name, value }))
    await admin.createTopics({ topics: [{ topic, numPartitions: partitions, configEntries }] })
  },
  async listTopics(admin) {
    return { topics: await admin.listTopics() }
  },
  async describeTopic(admin, { topic }) {
    const { topics } = await admin.fetchTopicMetadata({ topics: [topic] })
    return { partitions: topics[0]!.partitions.length }
  },
  async createPartitions(admin, { topic, count }) {
    await admin.createPartitions({ topicPartitions: [{ topic, count }] })
  },
  async describeConfigs(admin, { topic }) {
    const resources = [{ type: ConfigResourceTypes.TOPIC, name: topic }]
    const { resources: described } = await admin.describeConfigs({ resources, includeSynonyms: false })
    return { configs: Object.fromEntries(described[0]!.configEntries.map((one) => [one.configName, one.configValue])) }
  },
  async alterConfig(admin, { topic, name, value }) {
    const resources = [{ type: ConfigResourceTypes.TOPIC, name: topic, configEntries: [{ name, value }] }]
    await admin.alterConfigs({ validateOnly: false, resources })
  },
  async listOffsets(admin, { topic, partition }) {
    const found = (await admin.fetchTopicOffsets(topic)).find((one) => one.partition === partition)!
    return { earliest: found.low, latest: found.high }
  },
  async deleteRecords(admin, { topic, partition, before }) {
    await admin.fetchTopicOffsets(topic) // deleteTopicRecords looks the leader up in what this loads
    await admin.deleteTopicRecords({ topic, partitions: [{ partition, offset: before }] })
  },
  async listGroups(admin) {
    return { groups: (await admin.listGroups()).groups.map(({ groupId }) => groupId) }
  },
  async describeGroup(admin, { group }) {
    const [found] = (await admin.describeGroups([group])).groups
    return { state: found!.state, members: found!.members.length }
  },
  async committed(admin, { group, topic }) {
    const [found] = await admin.fetchOffsets({ groupId: group, topics: [topic] })
    const committed = found!.partitions.filter(({ offset }) => offset !== '-1')
    return { offsets: Object.fromEntries(committed.map(({ partition, offset }) => [partition, offset])) }
  },
  async deleteGroup(admin, { group }) {
    await admin.deleteGroups([group])
  },
  async deleteTopic(admin, { topic }) {
    await admin.deleteTopics({ topics: [topic] })
  },
  async describeCluster(admin) {
    const { clusterId, brokers } = await admin.describeCluster()
    return { clusterId, brokers: brokers.length }
  },
}

async function admin(command: AdminCommand): Promise<unknown> {
  const client = clientOf(command.bootstrap).admin()
  await client.connect()
  try {
    return await operations[command.op]!(client, command)
  } finally {
    await client.disconnect()
  }
}

serve({ hello, produce, consume, stream, endStream, join, leave, admin }, (error) => {
  const kafkaName = findName(error, ({ type }) => (typeof type === 'string' ? type : undefined))
  return kafkaName ?? (error instanceof Error ? error.name : 'Error')
})
