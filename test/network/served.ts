import { setImmediate } from 'node:timers/promises'
import type { TestContext } from 'node:test'
import { BlockPool } from '../../storage/block-pool.ts'
import type { Logger, Socket } from '../../src/environment/environment.ts'
import { nodeClock } from '../../src/environment/node-clock.ts'
import { simulatedEnvironment, type SimulatedEnvironment } from '../../src/environment/simulated-environment.ts'
import type { FrameCall, FrameHandler } from '../../src/network/call.ts'
import type { Connection } from '../../src/network/connection.ts'
import { DeadlineQueue } from '../../src/network/deadline-queue.ts'
import { MemoryBudget } from '../../src/network/memory-budget.ts'
import { Server, type ServerLimits } from '../../src/network/server.ts'
import { framed, textsOf } from './frames.ts'

/** A frame that reached the handler and waits for the test to answer it. */
export interface Pending {
  readonly text: string
  readonly call: FrameCall
  readonly answer: (text: string) => void
  readonly answerNothing: () => void
  readonly fail: (error: Error) => void
}

export interface LogLine {
  readonly level: string
  readonly message: string
  readonly fields: Record<string, unknown>
}

/** A server on a memory network and a clock that stands still; the test is the handler. */
export interface Served {
  readonly environment: SimulatedEnvironment
  readonly server: Server
  readonly memory: MemoryBudget
  readonly deadlines: DeadlineQueue
  /** Frames in the order in which they started. */
  readonly started: Pending[]
  readonly logged: LogLine[]
  connect(): Promise<Client>
  /** The one connection of the server. */
  connection(): Connection
}

export async function startServer(
  t: TestContext,
  options: { limits?: Partial<ServerLimits>; memory?: MemoryBudget; blocks?: BlockPool; handler?: FrameHandler } = {},
): Promise<Served> {
  const logged: LogLine[] = []
  const environment = simulatedEnvironment({ seed: 1, host: nodeClock, logger: recorder(logged) })
  const deadlines = new DeadlineQueue(environment.clock)
  const memory = options.memory ?? new MemoryBudget()
  const started: Pending[] = []
  const handler = options.handler ?? pendingHandler(started)
  const limits = options.limits ?? {}
  const blocks = options.blocks ?? new BlockPool({ limitBytes: 0 })
  const parts = { environment, memory, blocks, deadlines, handler, limits }
  const server = await Server.open({ host: 'memory', port: 0 }, parts)
  t.after(() => deadlines.close())
  return {
    environment,
    server,
    memory,
    deadlines,
    started,
    logged,
    connect: async () => {
      const client = new Client(
        await environment.network.connect({ host: 'memory', port: server.port }, { timeoutMs: 1 }),
      )
      await turns()
      return client
    },
    connection: () => [...server.connections][0] as Connection,
  }
}

function pendingHandler(started: Pending[]): FrameHandler {
  return (frame, call) => {
    const { promise, resolve, reject } = Promise.withResolvers<readonly Uint8Array[] | undefined>()
    started.push({
      text: Buffer.from(frame).toString(),
      call,
      answer: (text) => resolve([framed(text)]),
      answerNothing: () => resolve(undefined),
      fail: reject,
    })
    return promise
  }
}

/** A client that collects what it receives. */
export class Client {
  readonly socket: Socket
  readonly #pieces: Uint8Array[] = []
  isClosed = false

  constructor(socket: Socket) {
    this.socket = socket
    socket.start({
      onData: (bytes) => this.#pieces.push(bytes),
      onDrain: () => {},
      onClose: () => {
        this.isClosed = true
      },
    })
  }

  get answers(): string[] {
    return textsOf(Buffer.concat(this.#pieces))
  }

  async send(...texts: string[]): Promise<void> {
    await this.sendBytes(Buffer.concat(texts.map((text) => framed(text))))
  }

  async sendBytes(bytes: Uint8Array): Promise<void> {
    this.socket.write([bytes])
    await turns()
  }
}

/** Lets everything happen that needs no time to pass. */
export async function turns(): Promise<void> {
  for (let turn = 0; turn < 12; turn++) await setImmediate()
}

function recorder(lines: LogLine[]): Logger {
  const at = (level: string) => (fields: object, message: string) => {
    lines.push({ level, message, fields: fields as Record<string, unknown> })
  }
  const logger: Logger = {
    debug: at('debug'),
    info: at('info'),
    warn: at('warn'),
    error: at('error'),
    child: () => logger,
  }
  return logger
}
