/** Apache Kafka as a process of its own. */
import { spawn, type ChildProcess } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { Kafka, logLevel } from 'kafkajs'
import { peerScript } from './peers.ts'
import { eventually, freePorts } from './processes.ts'

export class KafkaProcess {
  readonly port: number
  readonly #args: readonly string[]
  #child: ChildProcess | undefined
  #output = ''

  constructor(options: {
    readonly dir: string
    readonly port: number
    readonly controllerPort: number
    readonly configs: readonly string[]
  }) {
    this.port = options.port
    const ports = ['--port', `${options.port}`, '--controller-port', `${options.controllerPort}`]
    this.#args = ['--dir', options.dir, ...ports, ...options.configs.flatMap((one) => ['--config', one])]
  }

  get bootstrap(): string {
    return `127.0.0.1:${this.port}`
  }
  /** Of the JVM. */
  get pid(): number {
    return this.#child!.pid!
  }
  get output(): string {
    return this.#output
  }

  /** A kafkajs client of it, silent. */
  client(): Kafka {
    return new Kafka({
      clientId: 'compat',
      brokers: [this.bootstrap],
      logLevel: logLevel.NOTHING,
      retry: { retries: 2 },
    })
  }

  /** Starts it with the data it has, and waits until it answers. */
  async start(): Promise<void> {
    const child = spawn(peerScript('kafka-run'), this.#args, { stdio: ['ignore', 'pipe', 'pipe'] })
    this.#child = child
    child.stdout.setEncoding('utf8').on('data', (text: string) => (this.#output += text))
    child.stderr.setEncoding('utf8').on('data', (text: string) => (this.#output += text))
    await eventually(
      'Kafka answers',
      async () => {
        if (child.exitCode !== null) return 'ended' as const
        const admin = this.client().admin()
        try {
          await admin.connect()
          return (await admin.describeCluster()).brokers.length > 0 && ('ready' as const)
        } finally {
          await admin.disconnect()
        }
      },
      60_000,
    )
    if (child.exitCode !== null) throw new Error(`Kafka ended by itself: ${this.#output.slice(-2000)}`)
  }

  async end(signal: 'SIGTERM' | 'SIGKILL'): Promise<void> {
    const child = this.#child
    if (!child || child.exitCode !== null || child.signalCode !== null) return
    const ended = new Promise((resolve) => child.once('exit', resolve))
    child.kill(signal)
    await ended
  }
}

/** Starts a Kafka broker; it ends, and its data goes, when the test ends. */
export async function startKafka(t: TestContext, ...configs: readonly string[]): Promise<KafkaProcess> {
  const dir = await mkdtemp(join(tmpdir(), 'kafka-'))
  const [port, controllerPort] = (await freePorts(2)) as [number, number]
  const kafka = new KafkaProcess({ dir, port, controllerPort, configs })
  t.after(async () => {
    await kafka.end('SIGKILL')
    await rm(dir, { recursive: true, force: true })
  })
  await kafka.start()
  return kafka
}
