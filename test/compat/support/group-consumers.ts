/** Consumers of a group in command line programs, driven in one way. */
import { spawn, type ChildProcess } from 'node:child_process'
import type { TestContext } from 'node:test'
import { meetsTool, peerScript } from './peers.ts'

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

/** A program that prints every value on a line, until it is told to stop. */
class ConsumerProcess implements GroupConsumer {
  readonly seen: string[] = []
  readonly #child: ChildProcess
  #rest = ''
  errors = ''

  constructor(child: ChildProcess) {
    this.#child = child
    child.stdout!.setEncoding('utf8').on('data', (text: string) => {
      const lines = (this.#rest + text).split('\n')
      this.#rest = lines.pop()!
      this.seen.push(...lines)
    })
    child.stderr!.setEncoding('utf8').on('data', (text: string) => (this.errors += text))
  }

  async stop(): Promise<void> {
    await this.#end('SIGTERM')
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

function run(t: TestContext, command: string, args: readonly string[]): GroupConsumer {
  const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'pipe'] })
  const consumer = new ConsumerProcess(child)
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
  return Promise.resolve(run(t, 'kcat', [...args, options.topic]))
}

export async function consoleConsumer(
  t: TestContext,
  { bootstrap, topic, group }: GroupOptions,
): Promise<GroupConsumer> {
  await meetsTool('kafka-console-consumer')
  const properties = [
    `session.timeout.ms=${sessionTimeoutMs}`,
    'heartbeat.interval.ms=500',
    'auto.commit.interval.ms=500',
    'partition.assignment.strategy=org.apache.kafka.clients.consumer.RangeAssignor',
  ]
  const where = ['--bootstrap-server', bootstrap, '--topic', topic, '--group', group, '--from-beginning']
  const args = ['kafka-console-consumer', ...where, ...properties.flatMap((one) => ['--command-property', one])]
  return run(t, peerScript('kafka-tool'), args)
}
