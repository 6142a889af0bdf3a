/**
 * Everything through which the broker touches the world: time, files, sockets, chance, logs. Nothing below `bin/` and
 * `src/cli/` reaches for the real ones by itself (`test/tidy.test.ts`), so that a broker on memory disk, memory network
 * and a simulated clock is the same broker, deterministic.
 */
import type { Disk } from '../../storage/disk.ts'
import type { Uuid } from '../../protocol/schema.ts'

export interface Timer {
  cancel(): void
}

export interface Clock {
  /** Wall clock, milliseconds since 1970. */
  nowMs(): number
  /** Never goes back; milliseconds from an arbitrary start, with fractions. */
  monotonicMs(): number
  /**
   * Runs `run` once after `delayMs`, which may exceed 2^31, give or take a millisecond. Timers do not keep the process
   * alive.
   */
  setTimer(delayMs: number, run: () => void): Timer
  /** Runs `run` in a later turn of the event loop, after I/O that is ready. */
  defer(run: () => void): void
  /** Resolves after `delayMs`, or at once when the signal aborts: look at the signal afterwards. */
  sleep(delayMs: number, signal?: AbortSignal): Promise<void>
}

export interface Random {
  /** Cryptographically strong in the node version. */
  bytes(count: number): Uint8Array
  /** A whole number in [0, limit). */
  below(limit: number): number
  /** A random id that is neither zero nor begins with '-' (Kafka's rule for printed ids). */
  uuid(): Uuid
}

export interface SocketHandlers {
  /** The bytes are the receiver's own. */
  onData(bytes: Uint8Array): void
  /** Takes the place of `onData` where the socket can read into memory that it is given. */
  readonly reader?: SocketReader
  /** What was written has left: `bufferedBytes` is below the mark again. */
  onDrain(): void
  /** Called exactly once, whatever ended the connection. */
  onClose(error: Error | undefined): void
}

export interface SocketReader {
  /** Where the next bytes go; never empty. Nobody else may touch it before `filled`. */
  room(): Uint8Array
  /** So many bytes were read to the start of the last `room`. */
  filled(sizeBytes: number): void
}

/** A connected byte stream. */
export interface Socket {
  readonly remoteAddress: string
  readonly remotePort: number
  readonly localPort: number
  /** Hands over the events; nothing is delivered before. */
  start(handlers: SocketHandlers): void
  /**
   * Writes all chunks in one corked write. They must not change before `onTaken`, called once, never from within: they
   * have left, or never will. False when the caller should wait for `onDrain`.
   */
  write(chunks: readonly Uint8Array[], onTaken?: () => void): boolean
  /** Bytes written and not yet taken by the operating system. */
  readonly bufferedBytes: number
  pause(): void
  resume(): void
  /** Ends after what was written has left. */
  end(): void
  destroy(): void
}

export interface Listener {
  readonly port: number
  /** Stops accepting. Open connections stay. */
  close(): Promise<void>
}

export type NetworkErrorCode = 'ADDRESS_IN_USE' | 'DENIED' | 'REFUSED' | 'UNRESOLVABLE' | 'TIMED_OUT' | 'ABORTED' | 'IO'
export class NetworkError extends Error {
  readonly code: NetworkErrorCode

  constructor(code: NetworkErrorCode, message: string, options?: ErrorOptions) {
    super(message, options)
    this.name = 'NetworkError'
    this.code = code
  }
}

export interface Network {
  /** Listens; port 0 picks a free one. Rejects with a NetworkError. */
  listen(address: { host: string; port: number }, onConnection: (socket: Socket) => void): Promise<Listener>
  /** Connects within `timeoutMs`, trying every address of the name. Rejects with a NetworkError. */
  connect(
    address: { host: string; port: number },
    options: { timeoutMs: number; signal?: AbortSignal },
  ): Promise<Socket>
}

/** A structured logger: a constant sentence, plus fields. The shape of pino's calls. */
export interface Logger {
  /** The least important lines that are written, by pino's name; undefined where that can't be changed. */
  level?: string
  debug(fields: object, message: string): void
  info(fields: object, message: string): void
  warn(fields: object, message: string): void
  error(fields: object, message: string): void
  child(fields: object): Logger
}

export interface Environment {
  readonly clock: Clock
  readonly disk: Disk
  readonly network: Network
  readonly random: Random
  readonly logger: Logger
}
