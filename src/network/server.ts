import type { BlockPool } from '../../storage/block-pool.ts'
import type { Environment, Listener, Socket } from '../environment/environment.ts'
import type { FrameHandler } from './call.ts'
import { Connection, type ConnectionLimits, type ConnectionParts } from './connection.ts'
import type { DeadlineQueue } from './deadline-queue.ts'
import type { MemoryBudget } from './memory-budget.ts'

export interface ServerLimits extends ConnectionLimits {
  /** `max.connections` */
  readonly connectionMaxCount: number
  /** `max.connections.per.ip` */
  readonly connectionMaxCountPerAddress: number
}

/** Kafka's defaults where Kafka has the limit. */
export const serverLimitDefaults: ServerLimits = {
  frameMaxBytes: 104_857_600,
  inFlightMaxCount: 64,
  idleMaxMs: 600_000,
  unsentMaxMs: 30_000,
  connectionMaxCount: 2_147_483_647,
  connectionMaxCountPerAddress: 2_147_483_647,
}

export interface ServerParts {
  readonly environment: Pick<Environment, 'clock' | 'network' | 'logger'>
  readonly memory: MemoryBudget
  readonly blocks: BlockPool
  readonly deadlines: DeadlineQueue
  /** Answers each frame of each connection. */
  readonly handler: FrameHandler
  /** What differs from `serverLimitDefaults`. */
  readonly limits?: Partial<ServerLimits>
}

/** A listener and its connections. */
export class Server {
  readonly port: number
  readonly #parts: ServerParts
  readonly #limits: ServerLimits
  readonly #connectionParts: ConnectionParts
  readonly #connections = new Set<Connection>()
  readonly #countByAddress = new Map<string, number>()
  #listener: Listener | undefined
  #nextId = 1
  #isRefusing = false
  #onEmpty: (() => void) | undefined
  #closed: Promise<void> | undefined

  /** Listens; port 0 picks a free one. Rejects with a NetworkError when it cannot. */
  static async open(address: { host: string; port: number }, parts: ServerParts): Promise<Server> {
    const early: Socket[] = [] // connections that come before the listener is known
    let accept = (socket: Socket): void => void early.push(socket)
    const listener = await parts.environment.network.listen(address, (socket) => accept(socket))
    const server = new Server(listener, parts)
    accept = (socket) => server.#accept(socket)
    early.forEach(accept)
    return server
  }

  private constructor(listener: Listener, parts: ServerParts) {
    this.port = listener.port
    this.#listener = listener
    this.#parts = parts
    this.#limits = { ...serverLimitDefaults, ...parts.limits }
    const { environment, memory, blocks, deadlines, handler } = parts
    const onClosed = (connection: Connection): void => this.#forget(connection)
    this.#connectionParts = { environment, memory, blocks, deadlines, handler, limits: this.#limits, onClosed }
  }

  get connections(): ReadonlySet<Connection> {
    return this.#connections
  }

  /**
   * Accepts nothing more, lets every connection send the answers it owes, and closes. What is not done after `graceMs`
   * is cut off. Resolves when all connections are closed; calling again waits for the same end.
   */
  close(graceMs: number): Promise<void> {
    this.#closed ??= this.#close(graceMs)
    return this.#closed
  }

  async #close(graceMs: number): Promise<void> {
    const listener = this.#listener
    this.#listener = undefined
    await listener?.close()
    const empty = new Promise<void>((resolve) => {
      this.#onEmpty = resolve
      if (this.#connections.size === 0) resolve()
    })
    for (const connection of this.#connections) connection.end()
    const timer = this.#parts.environment.clock.setTimer(graceMs, () => {
      for (const connection of this.#connections) connection.destroy()
    })
    await empty
    timer.cancel()
  }

  #accept(socket: Socket): void {
    const reason = this.#findReasonToRefuse(socket.remoteAddress)
    if (reason !== undefined) {
      if (!this.#isRefusing)
        this.#parts.environment.logger.warn({ remoteAddress: socket.remoteAddress, reason }, 'connections are refused')
      this.#isRefusing = true
      socket.destroy()
      return
    }
    this.#isRefusing = false
    this.#countByAddress.set(socket.remoteAddress, this.#countOf(socket.remoteAddress) + 1)
    const connection = new Connection(this.#nextId++, socket, this.#connectionParts)
    this.#connections.add(connection)
    connection.open()
  }

  #findReasonToRefuse(remoteAddress: string): string | undefined {
    const { connectionMaxCount, connectionMaxCountPerAddress } = this.#limits
    if (!this.#listener) return 'the broker is stopping'
    if (this.#connections.size >= connectionMaxCount) return `max.connections is ${connectionMaxCount}`
    if (this.#countOf(remoteAddress) < connectionMaxCountPerAddress) return undefined
    return `max.connections.per.ip is ${connectionMaxCountPerAddress}`
  }

  #countOf(remoteAddress: string): number {
    return this.#countByAddress.get(remoteAddress) ?? 0
  }

  #forget(connection: Connection): void {
    this.#connections.delete(connection)
    const count = this.#countOf(connection.remoteAddress) - 1
    if (count > 0) this.#countByAddress.set(connection.remoteAddress, count)
    else this.#countByAddress.delete(connection.remoteAddress)
    if (this.#connections.size === 0) this.#onEmpty?.()
  }
}
