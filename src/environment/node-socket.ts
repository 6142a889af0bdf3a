import type { Socket as TcpSocket } from 'node:net'
import { UnsentMarks } from './unsent-marks.ts'
import { NetworkError, type NetworkErrorCode, type Socket, type SocketHandlers } from './environment.ts'
import type { ReadTarget } from './read-target.ts'

/** Above this many unsent bytes the writer should wait for `onDrain`. */
export const writeMarkBytes = 256 * 1024
/** How much is given to the kernel in one go: small enough to see whether a slow reader moves at all. */
const writeSliceBytes = 256 * 1024
/** Up to this size, copying chunks into one buffer is cheaper than a vectored write of them. */
const joinMaxBytes = 16 * 1024

/**
 * A TCP connection. Writes of one turn leave together: they are collected and handed over when all that the turn set
 * off has run, so that answers that become ready together cost one system call.
 */
export class NodeSocket implements Socket {
  readonly remoteAddress: string
  readonly remotePort: number
  readonly localPort: number
  readonly #tcp: TcpSocket
  /** Left out where Node reads into memory of its own. */
  readonly #target: ReadTarget | undefined
  #handlers: SocketHandlers | undefined
  #chunks: Uint8Array[] = []
  #bufferedBytes = 0
  readonly #unsent = new UnsentMarks()
  #isFlushScheduled = false
  #isWriting = false
  #isEnding = false
  #isAboveMark = false
  #isClosed = false
  #error: Error | undefined

  constructor(tcp: TcpSocket, target?: ReadTarget) {
    this.#tcp = tcp
    this.#target = target
    this.remoteAddress = (tcp.remoteAddress ?? 'unknown').replace(/^::ffff:/, '')
    this.remotePort = tcp.remotePort ?? 0
    this.localPort = tcp.localPort ?? 0
    tcp.on('error', (error) => {
      this.#error = networkErrorOf(error, `connection with ${this.remoteAddress}:${this.remotePort}`)
    })
    tcp.on('close', () => this.#onClose())
  }

  get bufferedBytes(): number {
    return this.#bufferedBytes
  }

  start(handlers: SocketHandlers): void {
    this.#handlers = handlers
    if (this.#isClosed) {
      setImmediate(() => handlers.onClose(this.#error))
      return
    }
    if (this.#target) this.#target.start(handlers)
    else this.#tcp.on('data', (bytes: Buffer) => handlers.onData(bytes))
    this.#tcp.resume()
  }

  write(chunks: readonly Uint8Array[], onTaken?: () => void): boolean {
    if (this.#isClosed || this.#isEnding) {
      if (onTaken) process.nextTick(onTaken)
      return true // the close that follows tells the writer
    }
    for (const chunk of chunks) {
      this.#chunks.push(chunk)
      this.#bufferedBytes += chunk.byteLength
    }
    if (onTaken) this.#unsent.add(this.#bufferedBytes, onTaken)
    this.#scheduleFlush()
    this.#isAboveMark ||= this.#bufferedBytes > writeMarkBytes
    return !this.#isAboveMark
  }

  pause(): void {
    if (this.#target) this.#target.isPaused = true
    this.#tcp.pause()
  }

  resume(): void {
    if (this.#target) this.#target.isPaused = false
    this.#tcp.resume()
  }

  end(): void {
    this.#isEnding = true
    this.#scheduleFlush()
  }

  destroy(): void {
    this.#tcp.destroy()
  }

  #scheduleFlush(): void {
    if (this.#isFlushScheduled || this.#isWriting) return
    this.#isFlushScheduled = true
    process.nextTick(() => {
      this.#isFlushScheduled = false
      this.#flush()
    })
  }

  #flush(): void {
    if (this.#isClosed || !this.#tcp.writable) return
    if (this.#chunks.length === 0) {
      if (this.#isEnding) this.#tcp.end()
      return
    }
    const { slice, sizeBytes } = this.#takeSlice()
    this.#isWriting = true
    const done = (error?: Error | null): void => {
      if (error) return // the close that follows tells
      this.#isWriting = false
      this.#bufferedBytes -= sizeBytes
      this.#unsent.take(sizeBytes)
      this.#flush()
      this.#reportDrain()
    }
    if (slice.length === 1) {
      this.#tcp.write(slice[0] as Uint8Array, done)
    } else if (sizeBytes <= joinMaxBytes) {
      this.#tcp.write(Buffer.concat(slice, sizeBytes), done)
    } else {
      this.#tcp.cork()
      const last = slice.length - 1
      for (let index = 0; index < last; index++) this.#tcp.write(slice[index] as Uint8Array)
      this.#tcp.write(slice[last] as Uint8Array, done)
      this.#tcp.uncork()
    }
  }

  /** Takes at most `writeSliceBytes` off the front of what waits, cutting a chunk where it must. */
  #takeSlice(): { slice: readonly Uint8Array[]; sizeBytes: number } {
    if (this.#bufferedBytes <= writeSliceBytes) {
      const slice = this.#chunks
      this.#chunks = []
      return { slice, sizeBytes: this.#bufferedBytes }
    }
    let sizeBytes = 0
    let count = 0
    while (count < this.#chunks.length) {
      const next = this.#chunks[count] as Uint8Array
      if (sizeBytes + next.byteLength > writeSliceBytes) break
      sizeBytes += next.byteLength
      count++
    }
    const slice = this.#chunks.splice(0, count)
    const cut = this.#chunks[0]
    if (cut && sizeBytes < writeSliceBytes) {
      const roomBytes = writeSliceBytes - sizeBytes
      slice.push(cut.subarray(0, roomBytes))
      this.#chunks[0] = cut.subarray(roomBytes)
      sizeBytes += roomBytes
    }
    return { slice, sizeBytes }
  }

  #reportDrain(): void {
    if (!this.#isAboveMark || this.#bufferedBytes > writeMarkBytes / 2 || this.#isClosed) return
    this.#isAboveMark = false
    this.#handlers?.onDrain()
  }

  #onClose(): void {
    this.#isClosed = true
    this.#chunks = []
    this.#bufferedBytes = 0
    this.#unsent.takeAll()
    this.#handlers?.onClose(this.#error)
  }
}

/** What an error of the operating system means here. `doing` says what was tried. */
export function networkErrorOf(cause: NodeJS.ErrnoException, doing: string): NetworkError {
  return new NetworkError(codeOf(cause), `${doing}: ${cause.message}`, { cause })
}

function codeOf(error: NodeJS.ErrnoException): NetworkErrorCode {
  switch (error.code) {
    case 'EADDRINUSE':
      return 'ADDRESS_IN_USE'
    case 'EACCES':
    case 'EPERM':
      return 'DENIED'
    case 'ECONNREFUSED':
      return 'REFUSED'
    case 'ENOTFOUND':
    case 'EAI_AGAIN':
    case 'ENODATA':
      return 'UNRESOLVABLE'
    case 'ETIMEDOUT':
      return 'TIMED_OUT'
    default:
      return 'IO'
  }
}
