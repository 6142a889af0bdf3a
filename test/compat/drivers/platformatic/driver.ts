/**
 * The driver of @platformatic/kafka. Its streams belong to groups: `consume` reads as the only member of a group of its
 * own.
 */
import { randomUUID } from 'node:crypto'
import {
  Admin,
  clientSoftwareVersion,
  ConfigResourceTypes,
  Consumer,
  IncrementalAlterConfigOperationTypes,
  MessagesStreamFallbackModes,
  MessagesStreamModes,
  ProduceAcks,
  Producer,
  stringDeserializers,
  stringSerializers,
  type GroupOptions,
  type MessagesStream,
} from '@platformatic/kafka'
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
  type TestRecord,
} from '../shared/serve.ts'

type TextProducer = Producer<string, string, string, string>
type TextConsumer = Consumer<string, string, string, string>
type TextStream = MessagesStream<string, string, string, string>

const streams = new Map<string, { readonly streaming: Streaming; readonly producer: TextProducer }>()
const members = new Map<string, { readonly consumer: TextConsumer; readonly stream: TextStream }>()

function optionsOf(bootstrap: string) {
  return { clientId: 'driver-platformatic', bootstrapBrokers: [bootstrap] }
}

function producerOf(bootstrap: string, idempotent: boolean): TextProducer {
  return new Producer({ ...optionsOf(bootstrap), serializers: stringSerializers, idempotent })
}

function hello(): Promise<unknown> {
  return Promise.resolve({ client: 'platformatic', version: clientSoftwareVersion })
}

async function produce({ bootstrap, topic, codec, idempotent, label, count, partition }: Produce): Promise<unknown> {
  const producer = producerOf(bootstrap, idempotent)
  try {
    for (let from = 0; from < count; from += 50) {
      const place = partition === undefined ? { topic } : { topic, partition }
      const records = recordsOf(label, from, Math.min(from + 50, count))
      const messages = records.map((record) => ({ ...place, ...record }))
      await producer.send({ messages, acks: ProduceAcks.ALL, compression: codec })
    }
    return { acknowledged: count }
  } finally {
    await producer.close()
  }
}

interface Received {
  readonly partition: number
  readonly offset: number
  readonly key: string
  readonly value: string
}

/** Reads from the earliest offsets on, where the group has committed none. */
async function read(consumer: TextConsumer, topic: string, onRecord: (record: Received) => void): Promise<TextStream> {
  const stream = await consumer.consume({
    topics: [topic],
    autocommit: 300,
    maxWaitTime: 500,
    mode: MessagesStreamModes.COMMITTED,
    fallbackMode: MessagesStreamFallbackModes.EARLIEST,
  })
  stream.on('data', ({ partition, offset, key, value }) => onRecord({ partition, offset: Number(offset), key, value }))
  return stream
}

async function consume({ bootstrap, topic, count, timeoutMs }: Consume): Promise<unknown> {
  const groupId = `reader-${randomUUID()}`
  const consumer = new Consumer({ ...optionsOf(bootstrap), groupId, deserializers: stringDeserializers })
  const records: Received[] = []
  const all = Promise.withResolvers<undefined>()
  const tooLate = setTimeout(() => all.reject(new Error(`${records.length} of ${count} records came`)), timeoutMs)
  try {
    const stream = await read(consumer, topic, (record) => {
      if (records.push(record) >= count) all.resolve(undefined)
    })
    stream.on('error', (error: Error) => all.reject(error))
    await all.promise
    return { records }
  } finally {
    clearTimeout(tooLate)
    await consumer.close(true)
  }
}

async function stream({ bootstrap, handle, topic, label }: Stream): Promise<unknown> {
  const producer = producerOf(bootstrap, true)
  const streaming = new Streaming(label, async (records: readonly TestRecord[]) => {
    const messages = records.map((record) => ({ topic, partition: 0, ...record }))
    await producer.send({ messages, acks: ProduceAcks.ALL })
  })
  streams.set(handle, { streaming, producer })
  return Promise.resolve({})
}

async function endStream({ handle }: { readonly handle: string }): Promise<unknown> {
  const { streaming, producer } = streams.get(handle)!
  const counts = await streaming.stop()
  await producer.close()
  return counts
}

async function join({ handle, topic, assignor, instanceId, ...where }: Join): Promise<unknown> {
  if (assignor !== 'roundrobin' && assignor !== 'cooperative-sticky') {
    throw new UnsupportedError(`@platformatic/kafka has no assignor '${assignor}'`)
  }
  const options: GroupOptions = {
    protocols: [{ name: assignor, version: 1 }],
    sessionTimeout: where.sessionTimeoutMs,
    rebalanceTimeout: 30_000,
    heartbeatInterval: 1_000,
    ...(instanceId === undefined ? {} : { groupInstanceId: instanceId }),
  }
  const consumer = new Consumer({
    ...optionsOf(where.bootstrap),
    ...options,
    groupId: where.group,
    deserializers: stringDeserializers,
  })
  consumer.on('consumer:group:join', ({ assignments }) => {
    tellAssigned(
      handle,
      (assignments ?? []).flatMap(({ partitions }) => partitions),
    )
  })
  const messages = await read(consumer, topic, (record) => tellRecord(handle, record))
  messages.on('error', (error: Error) => console.error(error))
  members.set(handle, { consumer, stream: messages })
  return {}
}

async function leave({ handle }: { readonly handle: string }): Promise<unknown> {
  const { consumer, stream: messages } = members.get(handle)!
  members.delete(handle)
  await messages.close() // commits what was read
  await consumer.close()
  return {}
}

const operations: Record<string, (admin: Admin, command: AdminCommand) => Promise<unknown>> = {
  async createTopic(admin, { topic, partitions, configs: values }) {
    const configs = Object.entries(values).map(([name, value]) => ({ name, value }))
    await admin.createTopics({ topics: [topic], partitions, replicas: 1, configs })
  },
  async listTopics(admin) {
    return { topics: await admin.listTopics() }
  },
  async describeTopic(admin, { topic }) {
    const { topics } = await admin.metadata({ topics: [topic], forceUpdate: true })
    return { partitions: topics.get(topic)!.partitionsCount }
  },
  async createPartitions(admin, { topic, count }) {
    await admin.createPartitions({ topics: [{ name: topic, count }] })
  },
  async describeConfigs(admin, { topic }) {
    const resources = [{ resourceType: ConfigResourceTypes.TOPIC, resourceName: topic }]
    const [described] = await admin.describeConfigs({ resources })
    return { configs: Object.fromEntries(described!.configs.map(({ name, value }) => [name, value])) }
  },
  async alterConfig(admin, { topic, name, value }) {
    const configs = [{ name, value, configOperation: IncrementalAlterConfigOperationTypes.SET }]
    const resources = [{ resourceType: ConfigResourceTypes.TOPIC, resourceName: topic, configs }]
    await admin.incrementalAlterConfigs({ resources })
  },
  async listOffsets(admin, { topic, partition }) {
    const offsetAt = async (timestamp: bigint): Promise<string> => {
      const partitions = [{ partitionIndex: partition, timestamp }]
      const [listed] = await admin.listOffsets({ topics: [{ name: topic, partitions }] })
      return String(listed!.partitions[0]!.offset)
    }
    return { earliest: await offsetAt(-2n), latest: await offsetAt(-1n) }
  },
  async deleteRecords(admin, { topic, partition, before }) {
    await admin.deleteRecords({ topics: [{ name: topic, partitions: [{ partition, offset: BigInt(before) }] }] })
  },
  async listGroups(admin) {
    return { groups: [...(await admin.listGroups()).keys()] }
  },
  async describeGroup(admin, { group }) {
    const found = (await admin.describeGroups({ groups: [group] })).get(group)!
    return { state: found.state, members: found.members.size }
  },
  async committed(admin, { group, topic }) {
    const [found] = await admin.listConsumerGroupOffsets({ groups: [group] })
    const partitions = found!.topics.find(({ name }) => name === topic)?.partitions ?? []
    const committed = partitions.filter(({ committedOffset }) => committedOffset >= 0n)
    return {
      offsets: Object.fromEntries(committed.map((one) => [one.partitionIndex, String(one.committedOffset)])),
    }
  },
  async deleteGroup(admin, { group }) {
    await admin.deleteGroups({ groups: [group] })
  },
  async deleteTopic(admin, { topic }) {
    await admin.deleteTopics({ topics: [topic] })
  },
  async describeCluster(admin) {
    const { id, brokers } = await admin.metadata({ topics: [] })
    return { clusterId: id, brokers: brokers.size }
  },
}

async function administer(command: AdminCommand): Promise<unknown> {
  const admin = new Admin(optionsOf(command.bootstrap))
  try {
    return await operations[command.op]!(admin, command)
  } finally {
    await admin.close()
  }
}

serve({ hello, produce, consume, stream, endStream, join, leave, admin: administer }, (error) => {
  const kafkaName = findName(error, ({ apiId }) => (typeof apiId === 'string' ? apiId : undefined))
  return kafkaName ?? String(Reflect.get(Object(error), 'code'))
})
