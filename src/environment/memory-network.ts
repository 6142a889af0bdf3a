import {
  NetworkError,
  type Clock,
  type Listener,
  type Network,
  type Socket,
  type SocketHandlers,
} from './environment.ts'
import { UnsentMarks } from './unsent-marks.ts'

/** Above this many unsent bytes the writer should wait for `onDrain`. */
const writeMarkBytes = 256 * 1024
/** What one turn delivers at most, as a kernel's read would. */
const deliveryMaxBytes = 64 * 1024
/** Where port 0 begins to look for a free one. */
const firstFreePort = 49_152

type Accept = (socket: Socket) => void

/**
 * A network inside the process. What is written arrives in a later turn, copied, in pieces as a kernel would hand it
 * over; a receiver that pauses makes the sender's buffer grow. Hosts are names only: one namespace of ports.
 */
export class MemoryNetwork implements Network {
  readonly #clock: Pick<Clock, 'defer'>
  readonly #listeners = new Map<number, Accept>()
  readonly #connections = new Set<MemoryConnection>()
  #nextPort = firstFreePort

  constructor(clock: Pick<Clock, 'defer'>) {
    this.#clock = clock
  }

  async listen(address: { host: string; port: number }, onConnection: Accept): Promise<Listener> {
    const port = address.port === 0 ? this.#findPort() : address.port
    await this.#turn()
    if (this.#listeners.has(port)) {
      throw new NetworkError('ADDRESS_IN_USE', `port ${port} on ${address.host} is already in use`)
    }
    this.#listeners.set(port, onConnection)
    return {
      port,
      close: async () => {
        if (this.#listeners.get(port) === onConnection) this.#listeners.delete(port)
        await this.#turn()
      },
    }
  }

  async connect(
    address: { host: string; port: number },
    options: { timeoutMs: number; signal?: AbortSignal },
  ): Promise<Socket> {
    await this.#turn()
    const name = `${address.host}:${address.port}`
    if (options.signal?.aborted) throw new NetworkError('ABORTED', `connecting to ${name} was given up`)
    const accept = this.#listeners.get(address.port)
    if (!accept) throw new NetworkError('REFUSED', `connecting to ${name}: nobody listens there`)
    const connection = new MemoryConnection(this.#clock, { server: address.port, client: this.#findPort() }, () =>
      this.#connections.delete(connection),
    )
    this.#connections.add(connection)
    accept(connection.server)
    return connection.client
  }

  /** How many connections are open. */
  get connectionCount(): number {
    return this.#connections.size
  }

  /**
   * Breaks every open connection to `port`, or all of them: both sides see an error, and what was under way is lost.
   */
  cut(port?: number): void {
    for (const connection of this.#connections) {
      if (port === undefined || connection.server.localPort === port) connection.cut()
    }
  }

  #findPort(): number {
    while (this.#listeners.has(this.#nextPort)) this.#nextPort++
    return this.#nextPort++
  }

  #turn(): Promise<void> {
    return new Promise((resolve) => this.#clock.defer(resolve))
  }
}

class MemoryConnection {
  readonly client: MemorySocket
  readonly server: MemorySocket
  readonly #onGone: () => void

  constructor(clock: Pick<Clock, 'defer'>, ports: { server: number; client: number }, onGone: () => void) {
    this.#onGone = onGone
    this.client = new MemorySocket(clock, { local: ports.client, remote: ports.server }, this)
    this.server = new MemorySocket(clock, { local: ports.server, remote: ports.client }, this)
    this.client.peer = this.server
    this.server.peer = this.client
  }

  cut(): void {
    const error = new NetworkError('IO', 'the connection was cut')
    this.client.close(error)
    this.server.close(error)
  }

  /** Called by each side when it has closed. */
  noteClosed(): void {
    if (this.client.isClosed && this.server.isClosed) this.#onGone()
  }
}

class MemorySocket implements Socket {
  readonly remoteAddress = '127.0.0.1'
  readonly remotePort: number
  readonly localPort: number
  peer: MemorySocket | undefined
  isClosed = false
  #error: Error | undefined
  readonly #clock: Pick<Clock, 'defer'>
  readonly #connection: MemoryConnection
  #handlers: SocketHandlers | undefined
  #isPaused = false
  #chunks: Uint8Array[] = []
  #bufferedBytes = 0
  readonly #unsent = new UnsentMarks()
  #isAboveMark = false
  #isDeliveryScheduled = false
  #isEnding = false
  #hasSentEnd = false
  #hasReceivedEnd = false

  constructor(clock: Pick<Clock, 'defer'>, ports: { local: number; remote: number }, connection: MemoryConnection) {
    this.#clock = clock
    this.#connection = connection
    this.localPort = ports.local
    this.remotePort = ports.remote
  }

  get bufferedBytes(): number {
    return this.#bufferedBytes
  }

  start(handlers: SocketHandlers): void {
    this.#handlers = handlers
    if (this.isClosed) this.#clock.defer(() => handlers.onClose(this.#error))
    else this.peer?.scheduleDelivery()
  }

  write(chunks: readonly Uint8Array[], onTaken?: () => void): boolean {
    if (this.isClosed || this.#isEnding) {
      if (onTaken) this.#clock.defer(onTaken)
      return true
    }
    for (const chunk of chunks) {
      if (chunk.byteLength === 0) continue
      this.#chunks.push(chunk)
      this.#bufferedBytes += chunk.byteLength
    }
    if (onTaken) this.#unsent.add(this.#bufferedBytes, onTaken)
    this.scheduleDelivery()
    this.#isAboveMark ||= this.#bufferedBytes > writeMarkBytes
    return !this.#isAboveMark
  }

  pause(): void {
    this.#isPaused = true
  }

  resume(): void {
    this.#isPaused = false
    this.peer?.scheduleDelivery()
  }

  end(): void {
    this.#isEnding = true
    this.scheduleDelivery()
  }

  /** What the peer has not received yet is lost; the peer sees the end. */
  destroy(): void {
    if (this.isClosed) return
    this.close(undefined)
    const peer = this.peer
    this.#clock.defer(() => peer?.close(undefined))
  }

  /** Ends this side in a later turn: a caller is never called back from inside its own call. */
  close(error: Error | undefined): void {
    if (this.isClosed) return
    this.isClosed = true
    this.#error = error
    this.#chunks = []
    this.#bufferedBytes = 0
    this.#clock.defer(() => this.#unsent.takeAll())
    const handlers = this.#handlers
    if (handlers) this.#clock.defer(() => handlers.onClose(error))
    this.#connection.noteClosed()
  }

  /** Moves bytes to the peer in a later turn, as long as it reads. */
  scheduleDelivery(): void {
    if (this.#isDeliveryScheduled) return
    this.#isDeliveryScheduled = true
    this.#clock.defer(() => {
      this.#isDeliveryScheduled = false
      this.#deliver()
    })
  }

  #deliver(): void {
    const peer = this.peer
    if (!peer || this.isClosed || peer.isClosed || !peer.#handlers || peer.#isPaused) return
    if (this.#bufferedBytes > 0) {
      const bytes = this.#takeCopy()
      this.#unsent.take(bytes.byteLength)
      this.scheduleDelivery()
      peer.#handlers.onData(bytes)
      if (this.#isAboveMark && this.#bufferedBytes <= writeMarkBytes / 2) {
        this.#isAboveMark = false
        this.#handlers?.onDrain()
      }
    } else if (this.#isEnding && !this.#hasSentEnd) {
      this.#hasSentEnd = true
      peer.#hasReceivedEnd = true
      peer.end() // neither side stays half open
      this.#closeWhenEnded()
      peer.#closeWhenEnded()
    }
  }

  #closeWhenEnded(): void {
    if (this.#hasSentEnd && this.#hasReceivedEnd) this.close(undefined)
  }

  #takeCopy(): Uint8Array {
    const bytes = new Uint8Array(Math.min(this.#bufferedBytes, deliveryMaxBytes))
    let filledBytes = 0
    while (filledBytes < bytes.byteLength) {
      const chunk = this.#chunks[0] as Uint8Array
      const part = chunk.subarray(0, bytes.byteLength - filledBytes)
      bytes.set(part, filledBytes)
      filledBytes += part.byteLength
      if (part.byteLength === chunk.byteLength) this.#chunks.shift()
      else this.#chunks[0] = chunk.subarray(part.byteLength)
    }
    this.#bufferedBytes -= bytes.byteLength
    return bytes
  }
}
