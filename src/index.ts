/**
 * The broker inside a Node process, for tests and tools:
 *
 *     await using broker = await startBroker({ topics: { orders: { partitions: 3 } } })
 *     const kafka = new Kafka({ brokers: [broker.bootstrapServers] })
 */
import { openBroker, type Broker } from './broker.ts'
import { brokerConfigOf, configErrorText, type BrokerConfig } from './config/broker-config.ts'
import { validateTopicConfigs } from './config/topic-config.ts'
import type { Logger } from './environment/environment.ts'
import { nodeEnvironment } from './environment/node-environment.ts'
import { KafkaError } from './errors.ts'
import type { BrokerControl, BrokerState } from './topics/live-brokers.ts'
import { readTopic, type TopicRecord } from './topics/records.ts'

export type { BrokerControl, BrokerState, Logger, TopicRecord }
export { KafkaError }

export interface TopicOptions {
  /** Default: `num.partitions`, which is 1. */
  readonly partitions?: number
  /** Topic configs by Kafka's names: `{ 'cleanup.policy': 'compact' }`. */
  readonly configs?: Readonly<Record<string, string | number | boolean>>
}

export interface StartBrokerOptions {
  /** Default 0: a free one. */
  readonly port?: number
  /** Default 127.0.0.1. */
  readonly host?: string
  /** How many brokers to show to clients, at `port` and the ports behind it. Default: 1. */
  readonly brokers?: number
  /** Topics to create: names, or names with options. */
  readonly topics?: readonly string[] | Readonly<Record<string, TopicOptions>>
  /** Keep everything in memory. Default: true, unless there is a `dataDir`. */
  readonly memory?: boolean
  /** Where the data lives, with `memory` false or left out. */
  readonly dataDir?: string
  /** Default: random. */
  readonly clusterId?: string
  /** The HTTP API: true for a free port, or an address. Default: off. */
  readonly http?: boolean | { readonly host?: string; readonly port?: number }
  /** Default: silent. */
  readonly logger?: Logger
  /** Broker configs by Kafka's names: `{ 'num.partitions': 3 }`. */
  readonly configs?: Readonly<Record<string, string | number | boolean>>
}

export interface RecordsOptions {
  /** Only this partition. Default: all, one after the other. */
  readonly partition?: number
  /**
   * Go on with what is produced later, until the loop is left or the broker stops. Default: end behind what is there.
   */
  readonly follow?: boolean
}

/** A running broker. */
export interface EmbeddedBroker extends AsyncDisposable {
  /** `host:port` of each broker, with commas, for clients. */
  readonly bootstrapServers: string
  /** Undefined without the HTTP API. */
  readonly httpUrl: string | undefined
  readonly clusterId: string
  /** Resolves when clients can produce to it. @throws KafkaError, with Kafka's error name. */
  createTopic(name: string, options?: TopicOptions): Promise<void>
  /** The committed records of a topic, decoded. @throws KafkaError UNKNOWN_TOPIC_OR_PARTITION */
  records(topic: string, options?: RecordsOptions): AsyncIterable<TopicRecord>
  /** Deletes all topics, groups and links. Ports, cluster id and connections stay. */
  reset(): Promise<void>
  /** The brokers, and how to take them down and up: what clients do then is what several are for. */
  readonly brokers: BrokerControl
  /** Lets another broker lead a partition. @throws KafkaError ELIGIBLE_LEADERS_NOT_AVAILABLE, ELECTION_NOT_NEEDED. */
  moveLeader(topic: string, partition: number, nodeId: number): Promise<void>
  stop(): Promise<void>
}

/** Starts a broker in this process. It serves when this resolves. */
export async function startBroker(options: StartBrokerOptions = {}): Promise<EmbeddedBroker> {
  const { host = '127.0.0.1', port = 0, clusterId, logger } = options
  const inMemory = options.memory ?? options.dataDir === undefined
  if (!inMemory && options.dataDir === undefined) throw new TypeError('memory is false: expected a dataDir')
  const environment = nodeEnvironment({
    ...(inMemory ? {} : { dataDir: options.dataDir! }),
    ...(logger && { logger }),
  })
  const broker = await openBroker(environment, {
    config: configOf(options.configs),
    host,
    port,
    brokerCount: brokerCountOf(options.brokers),
    clusterId,
    http: httpAddressOf(options.http),
  })
  const embedded = new Embedded(broker)
  try {
    for (const [name, topic] of topicsOf(options.topics)) await embedded.createTopic(name, topic)
  } catch (error) {
    await broker.stop()
    throw error
  }
  return embedded
}

class Embedded implements EmbeddedBroker {
  readonly #broker: Broker
  readonly #stopping = new AbortController()

  constructor(broker: Broker) {
    this.#broker = broker
  }

  get bootstrapServers(): string {
    return this.#broker.ports.map((port) => addressText(this.#broker.host, port)).join(',')
  }

  get httpUrl(): string | undefined {
    const { httpPort, host } = this.#broker
    return httpPort === undefined ? undefined : `http://${addressText(host, httpPort)}`
  }

  get clusterId(): string {
    return this.#broker.clusterId
  }

  async createTopic(name: string, { partitions, configs = {} }: TopicOptions = {}): Promise<void> {
    const { config, topics } = this.#broker.parts
    const overrides = textsOf(configs)
    const wrong = validateTopicConfigs(overrides, config)
    if (wrong !== undefined) throw new KafkaError('INVALID_CONFIG', wrong)
    await topics.create({ name, partitionCount: partitions ?? config.numPartitions, configs: overrides })
  }

  async *records(name: string, options: RecordsOptions = {}): AsyncGenerator<TopicRecord, void, undefined> {
    const { parts } = this.#broker
    const topic = parts.topics.find(name)
    if (!topic) throw new KafkaError('UNKNOWN_TOPIC_OR_PARTITION', `there is no topic ${name}`)
    const { logs, deadlines, memory, environment } = parts
    const reading = { logs, deadlines, memory, clock: environment.clock }
    yield* readTopic(reading, topic, { ...options, signal: this.#stopping.signal })
  }

  async reset(): Promise<void> {
    const { links, parts } = this.#broker
    for (const { name } of links.listLinks()) await links.deleteLink(name, { force: true, validateOnly: false })
    await parts.groupCoordinators.reset(async () => {
      await Promise.all(Array.from(parts.topics.list(), ({ image }) => parts.topics.delete(image.topicId)))
    })
  }

  get brokers(): BrokerControl {
    return this.#broker.control
  }

  async moveLeader(name: string, partition: number, nodeId: number): Promise<void> {
    const { topics } = this.#broker.parts
    const topic = topics.find(name)
    if (!topic) throw new KafkaError('UNKNOWN_TOPIC_OR_PARTITION', `there is no topic ${name}`)
    await topics.electLeader(topic.image.topicId, partition, nodeId)
  }

  stop(): Promise<void> {
    this.#stopping.abort()
    return this.#broker.stop()
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.stop()
  }
}

function brokerCountOf(count = 1): number {
  if (Number.isInteger(count) && count >= 1) return count
  throw new TypeError(`got brokers: ${count}, expected 1 or more`)
}

function configOf(configs: StartBrokerOptions['configs'] = {}): BrokerConfig {
  const result = brokerConfigOf(textsOf(configs))
  if (!result.ok) throw new TypeError(result.errors.map(configErrorText).join('; '))
  return result.config
}

function textsOf(values: Readonly<Record<string, string | number | boolean>>): Map<string, string> {
  return new Map(Object.entries(values).map(([name, value]) => [name, String(value)]))
}

function topicsOf(topics: StartBrokerOptions['topics'] = []): readonly (readonly [string, TopicOptions])[] {
  return isNames(topics) ? topics.map((name) => [name, {}]) : Object.entries(topics)
}

function isNames(topics: NonNullable<StartBrokerOptions['topics']>): topics is readonly string[] {
  return Array.isArray(topics)
}

function httpAddressOf(http: StartBrokerOptions['http']): { host: string; port: number } | undefined {
  if (http === undefined || http === false) return undefined
  return http === true ? { host: '127.0.0.1', port: 0 } : { host: http.host ?? '127.0.0.1', port: http.port ?? 0 }
}

function addressText(host: string, port: number): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`
}
