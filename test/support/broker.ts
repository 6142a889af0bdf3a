/** A whole broker in memory, and clients that speak to it through the real codecs. */
import assert from 'node:assert/strict'
import { frameRequest, parseResponse } from '../../protocol/frame.ts'
import type { Api, RequestInput, ResponseOf } from '../../protocol/schema.ts'
import { parseVersions } from '../../protocol/versions.ts'
import { MemoryDisk } from '../../storage/memory-disk.ts'
import type { Disk } from '../../storage/disk.ts'
import { openBroker, type Broker, type OpenLinks } from '../../src/broker.ts'
import { brokerConfigOf, configErrorText } from '../../src/config/broker-config.ts'
import type { Environment, Logger, Socket } from '../../src/environment/environment.ts'
import { MemoryNetwork } from '../../src/environment/memory-network.ts'
import { nodeClock } from '../../src/environment/node-clock.ts'
import { seededRandom } from '../../src/environment/seeded-random.ts'
import { handlers } from '../../src/apis/index.ts'
import { FrameReader } from '../../src/network/frame-reader.ts'

export interface Cleanup {
  after(run: () => Promise<void> | void): void
}

export interface TestBrokerOptions {
  /** Broker configs as text. */
  readonly configs?: Readonly<Record<string, string>>
  /** Topics to create, with their number of partitions. */
  readonly topics?: Readonly<Record<string, number>>
  /** Default: a fresh one in memory. */
  readonly disk?: Disk
  readonly seed?: number
  /** Default: one of its own. Brokers that share one reach each other. */
  readonly network?: MemoryNetwork
  readonly host?: string
  readonly port?: number
  readonly brokerCount?: number
  readonly openLinks?: OpenLinks
}

/** A line of the log. */
export interface LogLine {
  readonly level: 'debug' | 'info' | 'warn' | 'error'
  readonly message: string
  readonly fields: Readonly<Record<string, unknown>>
}

export interface TestBroker {
  readonly broker: Broker
  readonly environment: Environment
  readonly log: readonly LogLine[]
  /** One request on a connection of its own. */
  send<A extends Api>(api: A, version: number, request: RequestInput<A>): Promise<ResponseOf<A>>
  /** To the first broker, or the one with this node id. */
  connect(nodeId?: number): Promise<TestClient>
}

/** Starts a broker on a memory disk and a memory network. It stops when the test ends. */
export async function startTestBroker(t: Cleanup, options: TestBrokerOptions = {}): Promise<TestBroker> {
  const log: LogLine[] = []
  const { host = 'broker.test', port = 0 } = options
  const environment: Environment = {
    clock: nodeClock,
    disk: options.disk ?? new MemoryDisk((run) => nodeClock.defer(run)),
    network: options.network ?? new MemoryNetwork(nodeClock),
    random: seededRandom(options.seed ?? 1),
    logger: recordingLogger(log),
  }
  const parsed = brokerConfigOf(new Map(Object.entries(options.configs ?? {})))
  assert(parsed.ok, parsed.ok ? '' : parsed.errors.map(configErrorText).join('\n'))
  const { brokerCount } = options
  const broker = await openBroker(
    environment,
    { config: parsed.config, host, port, brokerCount, poisonsReads: true },
    options.openLinks,
  )
  t.after(() => broker.stop())
  for (const [name, partitionCount] of Object.entries(options.topics ?? {}))
    await broker.parts.topics.create({ name, partitionCount })
  const connect = async (nodeId?: number): Promise<TestClient> => {
    const at = broker.parts.brokers.nodeIds.indexOf(nodeId ?? broker.parts.nodeId)
    const address = { host, port: broker.ports[at]! }
    const client = new TestClient(await environment.network.connect(address, { timeoutMs: 1_000 }))
    t.after(() => client.close())
    return client
  }
  return {
    broker,
    environment,
    log,
    connect,
    async send(api, version, request) {
      const client = await connect()
      try {
        return await client.send(api, version, request)
      } finally {
        client.close()
      }
    },
  }
}

/** Every version that the broker serves of an API. */
export function versionsOf(api: Api): number[] {
  const handler = handlers.find((one) => one.api.key === api.key)
  assert(handler, `${api.name} is not served`)
  const { min, max } = parseVersions(handler.versions)
  return Array.from({ length: max - min + 1 }, (_, index) => min + index)
}

interface Waiting {
  resolve(frame: Uint8Array): void
  reject(error: Error): void
}

/** One connection. Requests may be pipelined. */
export class TestClient {
  readonly socket: Socket
  readonly #frames = new FrameReader({ frameMaxBytes: 0x7fffffff, onFrame: (frame) => this.#onFrame(frame) })
  readonly #waiting: Waiting[] = []
  #correlationId = 0
  /** Resolves when the connection is closed, by either side. */
  readonly closed: Promise<void>

  constructor(socket: Socket) {
    this.socket = socket
    const { promise, resolve } = Promise.withResolvers<void>()
    this.closed = promise
    socket.start({
      onData: (bytes) => this.#frames.push(bytes),
      onDrain: () => undefined,
      onClose: () => {
        for (const waiting of this.#waiting.splice(0)) waiting.reject(new Error('the connection was closed'))
        resolve()
      },
    })
  }

  async send<A extends Api>(api: A, version: number, request: RequestInput<A>): Promise<ResponseOf<A>> {
    const correlationId = ++this.#correlationId
    const header = { apiVersion: version, correlationId, clientId: 'test' }
    const frame = await this.exchange(Buffer.concat(frameRequest(api, header, request)))
    return parseResponse(api, header, frame)
  }

  /** Sends without waiting for an answer, for requests that get none. */
  post<A extends Api>(api: A, version: number, request: RequestInput<A>): void {
    const header = { apiVersion: version, correlationId: ++this.#correlationId, clientId: 'test' }
    this.socket.write([Buffer.concat(frameRequest(api, header, request))])
  }

  /** Sends bytes, and resolves with the next frame that nobody else waits for (without its size). */
  exchange(bytes: Uint8Array): Promise<Uint8Array> {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ resolve, reject })
      this.socket.write([bytes])
    })
  }

  close(): void {
    this.socket.destroy()
  }

  #onFrame(frame: Uint8Array): void {
    const waiting = this.#waiting.shift()
    assert(waiting, 'an answer that nobody asked for')
    waiting.resolve(frame)
  }
}

function recordingLogger(log: LogLine[]): Logger {
  const line =
    (level: LogLine['level']) =>
    (fields: object, message: string): void =>
      void log.push({ level, message, fields: { ...fields } })
  const logger: Logger = {
    debug: line('debug'),
    info: line('info'),
    warn: line('warn'),
    error: line('error'),
    child: () => logger,
  }
  return logger
}
