/** What the kernel says of a process, and when a broker answers. */
import { readFile } from 'node:fs/promises'
import { connect as connectSocket, type Socket } from 'node:net'
import { ApiVersions } from '../../protocol/apis/api-versions.ts'
import { ListOffsets } from '../../protocol/apis/list-offsets.ts'
import { frameRequest } from '../../protocol/frame.ts'
import { silentLogger } from '../../src/environment/logger.ts'
import { nodeNetwork } from '../../src/environment/node-network.ts'
import { TestClient } from '../../test/support/broker.ts'

const network = nodeNetwork(silentLogger)

/**
 * CPU seconds that a process has used so far, in user and kernel: fields 14 and 15 of /proc/PID/stat, in hundredths.
 */
export async function cpuSecondsOf(pid: number): Promise<number> {
  const stat = await readFile(`/proc/${pid}/stat`, 'utf8')
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  return (Number(fields[11]) + Number(fields[12])) / 100
}

export interface Memory {
  readonly residentMegabytes: number
  /** Pages that it shares with others are counted by its part in them. */
  readonly proportionalMegabytes: number
}

export async function memoryOf(pid: number): Promise<Memory> {
  const rollup = await readFile(`/proc/${pid}/smaps_rollup`, 'utf8')
  const megabytesOf = (name: string): number => {
    const kibibytes = new RegExp(`^${name}:\\s+(\\d+) kB$`, 'm').exec(rollup)?.[1]
    if (kibibytes === undefined) throw new Error(`the memory of process ${pid} has no ${name}`)
    return (Number(kibibytes) * 1024) / 1e6
  }
  return { residentMegabytes: megabytesOf('Rss'), proportionalMegabytes: megabytesOf('Pss') }
}

export function sleep(delayMs: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, delayMs))
}

async function connect(port: number): Promise<TestClient> {
  return new TestClient(await network.connect({ host: '127.0.0.1', port }, { timeoutMs: 5_000 }))
}

/**
 * Resolves with the time of the first answered ApiVersions, in ms of `performance.now`; it tries every 2 ms, over bare
 * sockets, as every try takes time from the process that starts beside it.
 */
export async function firstAnswer(port: number, timeoutMs = 60_000): Promise<number> {
  const untilMs = performance.now() + timeoutMs
  for (;;) {
    try {
      return await answerOver(connectSocket({ host: '127.0.0.1', port }))
    } catch (cause) {
      if (performance.now() > untilMs) throw new Error(`no broker answers at port ${port}`, { cause })
      await sleep(2)
    }
  }
}

const apiVersionsHeader = { apiVersion: 0, correlationId: 1, clientId: 'bench' }
const apiVersionsRequest = Buffer.concat(
  frameRequest(ApiVersions, apiVersionsHeader, { clientSoftwareName: 'bench', clientSoftwareVersion: '1' }),
)

/**
 * Asks over a socket that is being connected, and closes it. Resolves with the time of the first bytes of the answer.
 */
function answerOver(socket: Socket): Promise<number> {
  return new Promise<number>((resolve, reject) => {
    socket.setTimeout(5_000, () => reject(new Error('no answer within 5 s')))
    socket.once('error', reject)
    socket.once('end', () => reject(new Error('the broker closed the connection')))
    socket.once('data', () => resolve(performance.now()))
    socket.write(apiVersionsRequest)
  }).finally(() => socket.destroy())
}

/** Watches how far the partitions of a topic are, over one connection to the only broker of a cluster. */
export class EndWatcher {
  readonly #client: TestClient
  readonly #topic: string
  readonly #partitionCount: number

  private constructor(client: TestClient, topic: string, partitionCount: number) {
    this.#client = client
    this.#topic = topic
    this.#partitionCount = partitionCount
  }

  static async open(port: number, topic: string, partitionCount: number): Promise<EndWatcher> {
    return new EndWatcher(await connect(port), topic, partitionCount)
  }

  /** Records between offset 0 and the ends; 0 where there is no such topic. */
  async count(): Promise<number> {
    const partitions = Array.from({ length: this.#partitionCount }, (_, partitionIndex) => ({
      partitionIndex,
      timestamp: -1n,
    }))
    const topic = { name: this.#topic, partitions }
    const request = { replicaId: -1, isolationLevel: 0, topics: [topic], timeoutMs: 1_000 }
    const { topics } = await this.#client.send(ListOffsets, 5, request)
    return topics[0]!.partitions.reduce((sum, { offset }) => sum + Math.max(0, Number(offset)), 0)
  }

  /** Resolves when there are this many records, with the time, in ms of `performance.now`. */
  async reach(recordCount: number, timeoutMs = 600_000): Promise<number> {
    const startedMs = performance.now()
    for (;;) {
      const count = await this.count()
      const nowMs = performance.now()
      if (count >= recordCount) return nowMs
      if (nowMs - startedMs > timeoutMs) throw new Error(`${this.#topic} has ${count} records, expected ${recordCount}`)
      // Asked seldom while the end is far, so that asking costs the broker nothing, and often when it is near.
      const leftMs = count === 0 ? 0 : ((nowMs - startedMs) * (recordCount - count)) / count
      await sleep(Math.min(250, Math.max(5, leftMs / 3)))
    }
  }

  close(): void {
    this.#client.close()
  }
}
