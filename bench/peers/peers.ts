/** The brokers that are compared, as processes of their own with their data on the same disk. */
import { spawn } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { Kafka, logLevel } from 'kafkajs'
import { KafkaProcess } from '../../test/compat/support/kafka.ts'
import { freePorts, mustRun } from '../../test/compat/support/processes.ts'
import { TitorelliProcess } from '../../test/compat/support/titorelli.ts'
import { cpuSecondsOf, firstAnswer, memoryOf, type Memory } from './processes.ts'

/** Of every topic that load goes to. */
export const partitionCount = 12

/** Each with what it is, for docs/benchmarks.md. `mirrormaker` is no broker: it takes part in replication only. */
export const peers = {
  titorelli: 'this broker, as `npm start` runs it, with its HTTP API',
  kafka: 'Apache Kafka 4.3.1, one broker that is its own controller, heap and collector as in its own start script',
  kfake: "franz-go's fake cluster, with its data on disk",
  'kfake-memory': "franz-go's fake cluster, with its data in memory",
  mirrormaker: 'MirrorMaker 2 of Apache Kafka 4.3.1 in dedicated mode with its defaults, into a second Kafka',
} as const
export type PeerName = keyof typeof peers
export type BrokerName = Exclude<PeerName, 'mirrormaker'>
export const peerNames = Object.keys(peers) as readonly PeerName[]

/** How people run Kafka: the flags of its start script. */
const kafkaJvmFlags =
  '-Xms1g -Xmx1g -server -XX:+UseG1GC -XX:MaxGCPauseMillis=20 -XX:InitiatingHeapOccupancyPercent=35 -XX:+ExplicitGCInvokesConcurrent'

/** Data of deleted topics would stay for a minute: many times what one round needs. */
const deleteSoon = 'log.segment.delete.delay.ms=1000'

/** How long a broker takes load before it is measured, in ms. */
export const warmUpMs: Record<BrokerName, { readonly quick: number; readonly full: number }> = {
  titorelli: { quick: 6_000, full: 15_000 },
  kafka: { quick: 30_000, full: 90_000 }, // a JVM compiles for about a minute under load
  kfake: { quick: 3_000, full: 6_000 },
  'kfake-memory': { quick: 3_000, full: 6_000 },
}

/** A process with a folder that it may be started in again. */
export interface Startable {
  readonly port: number
  readonly bootstrap: string
  /** Of its HTTP API, where it has one and runs. */
  readonly url: string
  readonly pid: number
  /** Resolves when it answers, with how long that took from the start of the process, in ms. */
  start(): Promise<number>
  end(): Promise<void>
}

export interface Broker extends Startable {
  readonly name: BrokerName
  cpuSeconds(): Promise<number>
  memory(): Promise<Memory>
  createTopic(name: string, partitionCount: number): Promise<void>
  deleteTopic(name: string): Promise<void>
  /** Ends it and removes its data. */
  remove(): Promise<void>
}

/** A broker that was not started yet, in a folder of its own. */
export async function makeBroker(name: BrokerName): Promise<Broker> {
  const folder = await mkdtemp(join(tmpdir(), `bench-${name}-`))
  const broker = await makers[name](folder)
  const withAdmin = async (work: (admin: ReturnType<Kafka['admin']>) => Promise<unknown>): Promise<void> => {
    const admin = new Kafka({ clientId: 'bench', brokers: [broker.bootstrap], logLevel: logLevel.NOTHING }).admin()
    await admin.connect()
    try {
      await work(admin)
    } finally {
      await admin.disconnect()
    }
  }
  return {
    name,
    port: broker.port,
    bootstrap: broker.bootstrap,
    get url() {
      return broker.url
    },
    get pid() {
      return broker.pid
    },
    start: () => broker.start(),
    end: () => broker.end(),
    cpuSeconds: () => cpuSecondsOf(broker.pid),
    memory: () => memoryOf(broker.pid),
    async createTopic(topic, numPartitions) {
      await withAdmin((admin) => admin.createTopics({ topics: [{ topic, numPartitions }], waitForLeaders: false }))
    },
    async deleteTopic(topic) {
      await withAdmin((admin) => admin.deleteTopics({ topics: [topic] }))
    },
    async remove() {
      await broker.end()
      await rm(folder, { recursive: true, force: true })
    },
  }
}

const makers: Record<BrokerName, (folder: string) => Promise<Startable>> = {
  async titorelli(folder) {
    const [port, httpPort] = (await freePorts(2)) as [number, number]
    const ports = ['--port', `${port}`, '--http-port', `${httpPort}`]
    const broker = new TitorelliProcess(join(folder, 'data'), [...ports, '--log-level', 'warn', '--config', deleteSoon])
    return {
      port,
      bootstrap: `127.0.0.1:${port}`,
      get url() {
        return `${broker.httpUrl}/kafka/v3/clusters/${broker.ready.clusterId}`
      },
      get pid() {
        return broker.ready.pid
      },
      start: () => timed(port, () => broker.start()),
      async end() {
        await broker.end('SIGTERM')
      },
    }
  },
  async kafka(folder) {
    const [port, controllerPort] = (await freePorts(2)) as [number, number]
    const kafka = new KafkaProcess({ dir: folder, port, controllerPort, configs: [deleteSoon] })
    return {
      port,
      bootstrap: kafka.bootstrap,
      get url(): string {
        throw new Error('Kafka has no HTTP API')
      },
      get pid() {
        return kafka.pid
      },
      start() {
        process.env['KAFKA_JVM_FLAGS'] = kafkaJvmFlags
        return timed(port, () => kafka.start())
      },
      end: () => kafka.end('SIGTERM'),
    }
  },
  kfake: (folder) => makeKfake(['--data-dir', join(folder, 'data')]),
  'kfake-memory': () => makeKfake([]),
}

async function makeKfake(args: readonly string[]): Promise<Startable> {
  const build = fileURLToPath(new URL('kfake-build', import.meta.url))
  const program = (await mustRun(build, [], { timeoutMs: 300_000 })).stdout.trim()
  const [port] = (await freePorts(1)) as [number]
  let child: ReturnType<typeof spawn> | undefined
  return {
    port,
    bootstrap: `127.0.0.1:${port}`,
    get url(): string {
      throw new Error('kfake has no HTTP API')
    },
    get pid() {
      return child!.pid!
    },
    start() {
      return timed(port, () => {
        child = spawn(program, ['--port', `${port}`, ...args], { stdio: 'ignore' })
        return Promise.resolve()
      })
    },
    async end() {
      const running = child
      if (!running || running.exitCode !== null || running.signalCode !== null) return
      const ended = new Promise((resolve) => running.once('exit', resolve))
      running.kill('SIGTERM')
      await ended
    },
  }
}

/** From now to the first answer. `start` resolves when the process has all that it needs. */
async function timed(port: number, start: () => Promise<unknown>): Promise<number> {
  const startedMs = performance.now()
  const [answeredMs] = await Promise.all([firstAnswer(port), start()])
  return answeredMs - startedMs
}
