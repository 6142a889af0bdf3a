/** The brokers that are compared, as processes of their own with their data on the same disk. */
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Kafka, logLevel } from 'kafkajs'
import { KafkaProcess } from '../../test/compat/support/kafka.ts'
import { freePorts } from '../../test/compat/support/processes.ts'
import { TitorelliProcess } from '../../test/compat/support/titorelli.ts'

export const peerNames = ['titorelli', 'kafka'] as const
export type PeerName = (typeof peerNames)[number]

export interface Peer {
  readonly name: PeerName
  readonly bootstrap: string
  /** From the start of the process to an answer. */
  readonly startMs: number
  /** CPU seconds that the process has used so far, in user and kernel. */
  cpuSeconds(): Promise<number>
  createTopic(name: string, partitions: number): Promise<void>
  deleteTopic(name: string): Promise<void>
  stop(): Promise<void>
}

/** How people run Kafka: the JVM's own choice of compilers, a heap of 1 GiB. */
const kafkaJvmFlags = '-Xms1g -Xmx1g -XX:+UseG1GC'

export async function startPeer(name: PeerName): Promise<Peer> {
  const folder = await mkdtemp(join(tmpdir(), `bench-${name}-`))
  const startedMs = performance.now()
  const started = await starters[name](folder)
  const { bootstrap, pid } = started
  const startMs = performance.now() - startedMs
  const admin = new Kafka({ clientId: 'bench', brokers: [bootstrap], logLevel: logLevel.NOTHING }).admin()
  await admin.connect()
  return {
    name,
    bootstrap,
    startMs,
    cpuSeconds: () => cpuSecondsOf(pid),
    async createTopic(topic, numPartitions) {
      await admin.createTopics({ topics: [{ topic, numPartitions }], waitForLeaders: false }) // librdkafka waits
    },
    async deleteTopic(topic) {
      await admin.deleteTopics({ topics: [topic] })
    },
    async stop() {
      await admin.disconnect()
      await started.end()
      await rm(folder, { recursive: true, force: true })
    },
  }
}

interface Started {
  readonly bootstrap: string
  readonly pid: number
  end(): Promise<unknown>
}

const starters: Record<PeerName, (folder: string) => Promise<Started>> = {
  async titorelli(folder) {
    const broker = new TitorelliProcess(join(folder, 'data'), ['--no-http', '--log-level', 'warn'])
    await broker.start()
    return { bootstrap: broker.bootstrap, pid: broker.ready.pid, end: () => broker.end('SIGTERM') }
  },
  async kafka(folder) {
    process.env['KAFKA_JVM_FLAGS'] ??= kafkaJvmFlags
    const [port, controllerPort] = (await freePorts(2)) as [number, number]
    const kafka = new KafkaProcess({ dir: folder, port, controllerPort, configs: [] })
    await kafka.start()
    return { bootstrap: kafka.bootstrap, pid: kafka.pid, end: () => kafka.end('SIGTERM') }
  },
}

/** Fields 14 and 15 of /proc/PID/stat, in hundredths of a second. */
async function cpuSecondsOf(pid: number): Promise<number> {
  const stat = await readFile(`/proc/${pid}/stat`, 'utf8')
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  return (Number(fields[11]) + Number(fields[12])) / 100
}
