/** The Node clients that the tests use, with the defaults that make failures quick and quiet. */
import { Consumer, Producer, stringSerializers, type CompressionAlgorithmValue } from '@platformatic/kafka'
import { Kafka, logLevel } from 'kafkajs'
import type { TestContext } from 'node:test'

export const codecs = ['none', 'gzip', 'snappy', 'lz4', 'zstd'] as const
export type Codec = (typeof codecs)[number]

export interface TestRecord {
  readonly key: string
  readonly value: string
}

/** Distinct records, large and alike enough that each codec really compresses. */
export function recordsOf(label: string, count: number): TestRecord[] {
  return Array.from({ length: count }, (_, at) => ({ key: `${label}-${at}`, value: `${label} ${at} `.repeat(40) }))
}

/** A kafkajs client that logs nothing and gives up soon. */
export function kafkajsClient(bootstrap: string): Kafka {
  return new Kafka({
    clientId: 'compat-kafkajs',
    brokers: [bootstrap],
    logLevel: logLevel.NOTHING,
    retry: { retries: 1, initialRetryTime: 50 },
  })
}

type TextProducer = Producer<string, string, string, string>

/** A producer of @platformatic/kafka, closed when the test ends. */
export function platformaticProducer(
  t: TestContext,
  bootstrap: string,
  options: { idempotent?: boolean } = {},
): TextProducer {
  const producer = new Producer({
    clientId: 'compat-platformatic',
    bootstrapBrokers: [bootstrap],
    serializers: stringSerializers,
    retries: 1,
    ...options,
  })
  t.after(() => producer.close(true))
  return producer
}

export async function sendWithPlatformatic(
  producer: TextProducer,
  topic: string,
  options: { readonly codec: Codec; readonly records: readonly TestRecord[]; readonly partition?: number },
): Promise<void> {
  const { codec, records, partition = 0 } = options
  await producer.send({
    messages: records.map((record) => ({ topic, partition, ...record })),
    acks: -1,
    compression: codec as CompressionAlgorithmValue,
  })
}

export function platformaticConsumer(t: TestContext, bootstrap: string): Consumer {
  const consumer = new Consumer({
    clientId: 'compat-platformatic',
    groupId: 'never-joined',
    bootstrapBrokers: [bootstrap],
    retries: 1,
  })
  t.after(() => consumer.close(true))
  return consumer
}

/** Creates topics, by kafkajs. */
export async function createTopics(
  bootstrap: string,
  topics: readonly {
    readonly topic: string
    readonly partitions?: number
    readonly replicas?: number
    readonly configs?: Readonly<Record<string, string>>
  }[],
): Promise<void> {
  const admin = kafkajsClient(bootstrap).admin()
  await admin.connect()
  try {
    await admin.createTopics({
      waitForLeaders: true,
      topics: topics.map(({ topic, partitions = 1, replicas = 1, configs = {} }) => ({
        topic,
        numPartitions: partitions,
        replicationFactor: replicas,
        configEntries: Object.entries(configs).map(([name, value]) => ({ name, value })),
      })),
    })
  } finally {
    await admin.disconnect()
  }
}
