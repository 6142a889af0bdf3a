/** What workloads work with: brokers that were warmed up, and the program that makes load. */
import { fileURLToPath } from 'node:url'
import { mustRun } from '../../test/compat/support/processes.ts'
import { makeBroker, partitionCount, warmUpMs, type Broker, type BrokerName } from './peers.ts'
import { MirrorMaker } from './mirror-maker.ts'

export type Mode = 'quick' | 'full'

/** What the load program prints. */
export interface LoadReport {
  readonly records: number
  readonly bytes: number
  readonly seconds: number
  readonly p50Ms?: number
  readonly p99Ms?: number
  readonly p999Ms?: number
  readonly maxMs?: number
}

/** Starts what is asked for when it is first asked for, and ends all of it. */
export class Bench {
  readonly mode: Mode
  /** Of the sizes that the mode has. */
  readonly scale: number
  readonly #say: (line: string) => void
  readonly #brokers = new Map<string, Broker>()
  readonly #warm = new Set<BrokerName>()
  #mirrorMaker: MirrorMaker | undefined
  #program: string | undefined
  #topicCount = 0
  #isClosed = false

  constructor(size: { readonly mode: Mode; readonly scale: number }, say: (line: string) => void) {
    this.mode = size.mode
    this.scale = size.scale
    this.#say = say
  }

  say(line: string): void {
    this.#say(line)
  }

  /** A name that no topic had yet. */
  topicName(prefix: string): string {
    return `${prefix}-${this.#topicCount++}`
  }

  /** A broker that runs; `role` tells several of one name apart. */
  async broker(name: BrokerName, role = 'load'): Promise<Broker> {
    const known = this.#brokers.get(`${name}/${role}`)
    if (this.#isClosed) throw new Error('the bench is over')
    if (known) return known
    const broker = await makeBroker(name)
    this.#brokers.set(`${name}/${role}`, broker)
    await broker.start()
    return broker
  }

  /** A broker of its own for starts, not running, in a folder in which it was started before. */
  async brokerToStart(name: BrokerName): Promise<Broker> {
    const key = `${name}/start`
    if (!this.#brokers.has(key)) await (await this.broker(name, 'start')).end()
    return this.#brokers.get(key)!
  }

  /** A broker that has been under load for a while. */
  async warmBroker(name: BrokerName): Promise<Broker> {
    const broker = await this.broker(name)
    if (this.#warm.has(name)) return broker
    this.#warm.add(name)
    const forMs = warmUpMs[name][this.mode] * this.scale
    const untilMs = performance.now() + forMs
    this.say(`warming up ${name} for ${Math.round(forMs / 1000)} s`)
    while (performance.now() < untilMs) await this.#warmUp(broker)
    return broker
  }

  /** All that is measured later, in small: a JVM compiles what it has seen often. */
  async #warmUp(broker: Broker): Promise<void> {
    for (const recordBytes of [1024, 100]) {
      const topic = this.topicName('warm')
      await broker.createTopic(topic, partitionCount)
      const bytes = Math.min(1, this.scale) * (recordBytes < 1024 ? 25e6 : 100e6)
      const records = Math.round(bytes / recordBytes)
      await this.load('produce', broker, { topic, records, recordBytes, more: batching })
      await this.load('consume', broker, { topic, records, recordBytes, more: reading })
      await broker.deleteTopic(topic)
    }
    const topic = this.topicName('warm')
    await broker.createTopic(topic, partitionCount)
    const records = Math.round(30_000 * Math.min(1, this.scale))
    await this.load('latency', broker, { topic, records, recordBytes: 1024, more: [`${20e6}`, '0', ...pacing] })
    await broker.deleteTopic(topic)
  }

  /** Runs the load program to its end. `more`: what follows the six arguments that all of its commands have. */
  async load(
    command: 'produce' | 'consume' | 'latency',
    broker: Broker,
    what: {
      readonly topic: string
      readonly records: number
      readonly recordBytes: number
      readonly more: readonly string[]
    },
  ): Promise<LoadReport> {
    this.#program ??= (await mustRun(fileURLToPath(new URL('load-build', import.meta.url)), [])).stdout.trim()
    const counts = [`${what.records}`, `${what.recordBytes}`, `${partitionCount}`]
    const args = [command, broker.bootstrap, what.topic, ...counts, ...what.more]
    return JSON.parse((await mustRun(this.#program, args, { timeoutMs: 600_000 })).stdout) as LoadReport
  }

  /** MirrorMaker 2 between the Kafka of this bench and a second one; it has copied a topic when this resolves. */
  async mirrorMaker(warmUpRecords: number): Promise<MirrorMaker> {
    if (this.#mirrorMaker) return this.#mirrorMaker
    const source = await this.warmBroker('kafka')
    const target = await this.broker('kafka', 'target')
    const topic = this.topicName('mirrormaker')
    await source.createTopic(topic, partitionCount)
    await this.load('produce', source, { topic, records: warmUpRecords, recordBytes: 1024, more: batching })
    this.say(`warming up mirrormaker with ${Math.round((warmUpRecords * 1024) / 1e6)} MB`)
    this.#mirrorMaker = new MirrorMaker(source, target)
    await this.#mirrorMaker.start(topic, warmUpRecords)
    await Promise.all([source.deleteTopic(topic), target.deleteTopic(topic)])
    return this.#mirrorMaker
  }

  get isClosed(): boolean {
    return this.#isClosed
  }

  async close(): Promise<void> {
    this.#isClosed = true
    await this.#mirrorMaker?.end()
    for (const broker of this.#brokers.values()) await broker.remove()
  }
}

/** librdkafka's producer as people set it for throughput; acks=all is its default. */
export const batching = ['linger.ms', '5', 'batch.size', '1000000', 'queue.buffering.max.messages', '400000']
export const reading = ['queued.min.messages', '200000', 'fetch.message.max.bytes', '4194304']
/** And for short ways: nothing waits longer than a millisecond for company. */
export const pacing = ['linger.ms', '1', 'socket.nagle.disable', 'true']
