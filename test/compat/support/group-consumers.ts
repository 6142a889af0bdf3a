/** Consumers of a group in unmodified clients, all driven in one way. */
import { spawn, type ChildProcess } from 'node:child_process'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { Consumer, MessagesStreamFallbackModes, MessagesStreamModes, stringDeserializers } from '@platformatic/kafka'
import { Kafka, logLevel } from 'kafkajs'
import { peerScript } from './peers.ts'
import { mustRun } from './processes.ts'

/** One member of a group. */
export interface GroupConsumer {
  /** The values that it was given, in order; it grows. */
  readonly seen: readonly string[]
  /** Commits and leaves. */
  stop(): Promise<void>
}

export interface GroupOptions {
  readonly bootstrap: string
  readonly topic: string
  readonly group: string
  /** Static member id. */
  readonly instance?: string
}

export type OpenConsumer = (t: TestContext, options: GroupOptions) => Promise<GroupConsumer>

/** The shortest that brokers allow by default. */
const sessionTimeoutMs = 6_000
const autocommitMs = 300

/** A program that prints every value on a line, until it is told to stop. */
class ConsumerProcess implements GroupConsumer {
  readonly seen: string[] = []
  readonly #child: ChildProcess
  readonly #signal: 'SIGTERM' | 'SIGINT'
  #rest = ''
  errors = ''

  constructor(child: ChildProcess, signal: 'SIGTERM' | 'SIGINT') {
    this.#child = child
    this.#signal = signal
    child.stdout!.setEncoding('utf8').on('data', (text: string) => {
      const lines = (this.#rest + text).split('\n')
      this.#rest = lines.pop()!
      this.seen.push(...lines)
    })
    child.stderr!.setEncoding('utf8').on('data', (text: string) => (this.errors += text))
  }

  async stop(): Promise<void> {
    await this.#end(this.#signal)
  }

  async kill(): Promise<void> {
    await this.#end('SIGKILL')
  }

  async #end(signal: NodeJS.Signals): Promise<void> {
    const child = this.#child
    if (child.exitCode !== null || child.signalCode !== null) return
    const ended = new Promise((resolve) => child.once('close', resolve))
    child.kill(signal)
    await ended
  }
}

interface Command {
  readonly command: string
  readonly args: readonly string[]
  readonly signal?: 'SIGTERM' | 'SIGINT'
}

function run(t: TestContext, { command, args, signal = 'SIGTERM' }: Command): GroupConsumer {
  const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'pipe'] })
  const consumer = new ConsumerProcess(child, signal)
  t.after(() => consumer.kill())
  return consumer
}

/** Configs of librdkafka. */
function rdkafkaConfigs({ bootstrap, group, instance }: GroupOptions): string[] {
  return [
    `bootstrap.servers=${bootstrap}`,
    `group.id=${group}`,
    'auto.offset.reset=earliest',
    `session.timeout.ms=${sessionTimeoutMs}`,
    'heartbeat.interval.ms=500',
    'auto.commit.interval.ms=500',
    'reconnect.backoff.max.ms=500',
    ...(instance === undefined ? [] : [`group.instance.id=${instance}`]),
  ]
}

export function kcatConsumer(t: TestContext, options: GroupOptions): Promise<GroupConsumer> {
  const configs = rdkafkaConfigs(options).filter((config) => !config.startsWith('group.id='))
  // Without -E it ends when no broker can be reached.
  const args = ['-G', options.group, '-E', '-u', '-q', '-f', '%s\\n', ...configs.flatMap((config) => ['-X', config])]
  return Promise.resolve(run(t, { command: 'kcat', args: [...args, options.topic] }))
}

export const pythonConsumer =
  (...configs: readonly string[]): OpenConsumer =>
  async (t, options) => {
    const { stdout } = await mustRun(peerScript('librdkafka-install'), [])
    const args = [peerScript('group_consumer.py'), options.topic, ...rdkafkaConfigs(options), ...configs]
    return run(t, { command: join(stdout.trim(), 'venv/bin/python'), args })
  }

export function consoleConsumer(t: TestContext, { bootstrap, topic, group }: GroupOptions): Promise<GroupConsumer> {
  const properties = [
    `session.timeout.ms=${sessionTimeoutMs}`,
    'heartbeat.interval.ms=500',
    'auto.commit.interval.ms=500',
    'partition.assignment.strategy=org.apache.kafka.clients.consumer.RangeAssignor',
  ]
  const where = ['--bootstrap-server', bootstrap, '--topic', topic, '--group', group, '--from-beginning']
  const args = ['kafka-console-consumer', ...where, ...properties.flatMap((one) => ['--command-property', one])]
  return Promise.resolve(run(t, { command: peerScript('kafka-tool'), args }))
}

export async function kafkajsConsumer(t: TestContext, options: GroupOptions): Promise<GroupConsumer> {
  const { bootstrap, topic, group } = options
  const kafka = new Kafka({
    clientId: 'compat-kafkajs',
    brokers: [bootstrap],
    logLevel: logLevel.NOTHING,
    retry: { retries: 30, initialRetryTime: 100, maxRetryTime: 500 },
  })
  const consumer = kafka.consumer({ groupId: group, sessionTimeout: sessionTimeoutMs, heartbeatInterval: 500 })
  await consumer.connect()
  t.after(() => consumer.disconnect())
  await consumer.subscribe({ topics: [topic], fromBeginning: true })
  const seen: string[] = []
  const eachMessage = ({ message }: { message: { value: Buffer | null } }): Promise<void> => {
    seen.push(String(message.value))
    return Promise.resolve()
  }
  await consumer.run({ eachMessage, autoCommitInterval: 500 })
  return { seen, stop: () => consumer.disconnect() }
}

export async function platformaticGroupConsumer(t: TestContext, options: GroupOptions): Promise<GroupConsumer> {
  const { bootstrap, topic, group } = options
  const consumer = new Consumer({
    clientId: 'compat-platformatic',
    groupId: group,
    bootstrapBrokers: [bootstrap],
    deserializers: stringDeserializers,
    sessionTimeout: sessionTimeoutMs,
    rebalanceTimeout: 20_000,
    heartbeatInterval: 500,
    maxWaitTime: 200,
    retries: 100,
    retryDelay: 100,
  })
  t.after(() => consumer.close(true))
  const stream = await consumer.consume({
    topics: [topic],
    autocommit: autocommitMs,
    mode: MessagesStreamModes.COMMITTED,
    fallbackMode: MessagesStreamFallbackModes.EARLIEST,
  })
  const seen: string[] = []
  const errors: unknown[] = []
  stream.on('data', ({ value }: { value: string }) => seen.push(value))
  stream.on('error', (error: unknown) => errors.push(error))
  return {
    seen,
    async stop() {
      // It does not commit when it is closed: what it was given last is committed by the next of its timers.
      await new Promise((resolve) => setTimeout(resolve, 2 * autocommitMs))
      await consumer.close(true)
      if (errors.length > 0) throw errors[0]
    },
  }
}
