/**
 * One connection to a broker of another cluster. Requests are pipelined; answers must come in the order of the
 * requests, as Kafka promises. A request that is not answered in time ends the connection, because everything behind it
 * would wait too.
 */
import { ApiVersions } from '../../protocol/apis/api-versions.ts'
import { errorCodes, errorNameOf } from '../../protocol/errors.ts'
import { frameRequest, parseResponse } from '../../protocol/frame.ts'
import { ProtocolError } from '../../protocol/protocol-error.ts'
import type { Api, RequestInput, ResponseOf } from '../../protocol/schema.ts'
import { parseVersions } from '../../protocol/versions.ts'
import type { Environment, Socket, Timer } from '../environment/environment.ts'
import { FrameError, FrameReader } from '../network/frame-reader.ts'
import { abortable } from './abortable.ts'
import { addressText, type BrokerAddress } from './broker-address.ts'
import type { FrameLease } from './frame-blocks.ts'
import type { RemoteFailure, RemoteResult } from './remote.ts'
import { connectFailure, remoteFailure } from './remote-failure.ts'

/** Known to every broker since Kafka 2.4; older ones answer error 35, and are asked again with version 0. */
const apiVersionsVersion = 3
const clientSoftware = { clientSoftwareName: 'titorelli', clientSoftwareVersion: '0.1.0' }
/** So many requests may wait for their answers. */
const inFlightMax = 1_000

export interface ConnectionOptions {
  readonly clientId: string
  readonly connectTimeoutMs: number
  readonly requestTimeoutMs: number
  /** An answer beyond this size ends the connection. */
  readonly frameMaxBytes: number
}

export interface ExchangeOptions {
  readonly timeoutMs?: number
  readonly signal?: AbortSignal
  /** Where the answer is kept. Default: in memory of its own. */
  readonly memory?: FrameLease
}

interface Pending {
  readonly correlationId: number
  /** Reads the answer. Throws a ProtocolError for bytes that are none. */
  settle(frame: Uint8Array): void
  fail(failure: RemoteFailure): void
  readonly timer: Timer
  readonly memory: FrameLease | undefined
}

interface ServedVersions {
  readonly min: number
  readonly max: number
}

export class RemoteConnection {
  readonly address: BrokerAddress
  readonly #clock: Environment['clock']
  readonly #options: ConnectionOptions
  readonly #socket: Socket
  readonly #frames: FrameReader
  readonly #pending: Pending[] = []
  readonly #versions = new Map<number, ServedVersions>()
  #correlationId = 0
  #closed: RemoteFailure | undefined

  /** Connects and asks for the versions that the broker serves. */
  static async open(
    environment: Pick<Environment, 'clock' | 'network'>,
    address: BrokerAddress,
    options: ConnectionOptions,
    signal: AbortSignal,
  ): Promise<RemoteResult<{ readonly connection: RemoteConnection }>> {
    let socket: Socket
    try {
      socket = await environment.network.connect(address, { timeoutMs: options.connectTimeoutMs, signal })
    } catch (error) {
      return connectFailure(error)
    }
    const connection = new RemoteConnection(environment.clock, address, socket, options)
    const failure = await connection.#negotiate(signal)
    if (!failure) return { ok: true, connection }
    connection.close(failure)
    return failure
  }

  private constructor(clock: Environment['clock'], address: BrokerAddress, socket: Socket, options: ConnectionOptions) {
    this.#clock = clock
    this.address = address
    this.#socket = socket
    this.#options = options
    this.#frames = new FrameReader({
      frameMaxBytes: options.frameMaxBytes,
      memoryFor: (sizeBytes) => this.#pending[0]?.memory?.take(sizeBytes),
      onFrame: (frame) => this.#onFrame(frame),
    })
    socket.start({
      onData: (bytes) => this.#read(() => this.#frames.push(bytes)),
      reader: {
        room: () => this.#frames.room(),
        filled: (sizeBytes) => this.#read(() => this.#frames.filled(sizeBytes)),
      },
      onDrain: () => undefined,
      onClose: (error) => {
        const why = error ? `: ${error.message}` : ''
        this.close(remoteFailure('DISCONNECTED', `${this.name} closed the connection${why}`))
      },
    })
  }

  get name(): string {
    return addressText(this.address)
  }

  get requestTimeoutMs(): number {
    return this.#options.requestTimeoutMs
  }

  get isClosed(): boolean {
    return this.#closed !== undefined
  }

  /** The highest version of an API that both sides know, not above `maxVersion`; undefined where there is none. */
  versionOf(api: Api, maxVersion = Infinity): number | undefined {
    const served = this.#versions.get(api.key)
    if (!served) return undefined
    const own = parseVersions(api.versions)
    const version = Math.min(own.max, served.max, maxVersion)
    return version >= Math.max(own.min, served.min) ? version : undefined
  }

  /** Sends one request. An abort gives the caller up, not the connection: the answer is dropped when it comes. */
  async send<A extends Api>(
    api: A,
    version: number,
    request: RequestInput<A>,
    options: ExchangeOptions = {},
  ): Promise<RemoteResult<{ readonly value: ResponseOf<A> }>> {
    const { timeoutMs = this.#options.requestTimeoutMs, signal, memory } = options
    if (signal?.aborted) return this.#aborted(api)
    const sent = this.#exchange(api, { apiVersion: version, request, timeoutMs, memory }, (frame, header) =>
      parseResponse(api, header, frame),
    )
    return (await abortable(sent, signal)) ?? this.#aborted(api)
  }

  /** Ends the connection; everything under way fails with `failure`. */
  close(failure: RemoteFailure = remoteFailure('ABORTED', `the connection to ${this.name} was closed`)): void {
    if (this.#closed) return
    this.#closed = failure
    this.#socket.destroy()
    for (const pending of this.#pending.splice(0)) {
      pending.timer.cancel()
      pending.fail(failure)
    }
  }

  #aborted(api: Api): RemoteFailure {
    return remoteFailure('ABORTED', `${api.name} to ${this.name} was given up`)
  }

  async #negotiate(signal: AbortSignal): Promise<RemoteFailure | undefined> {
    const first = await this.#askVersions(apiVersionsVersion, signal)
    if (!first.ok) return first
    const isRefused = first.value.errorCode === errorCodes.UNSUPPORTED_VERSION
    const answer = isRefused ? await this.#askVersions(0, signal) : first
    if (!answer.ok) return answer
    const { errorCode, apiKeys } = answer.value
    if (errorCode !== errorCodes.NONE)
      return remoteFailure('PROTOCOL', `${this.name} answers ${errorNameOf(errorCode)} to ApiVersions`)
    for (const { apiKey, minVersion, maxVersion } of apiKeys)
      this.#versions.set(apiKey, { min: minVersion, max: maxVersion })
    return undefined
  }

  async #askVersions(
    apiVersion: number,
    signal: AbortSignal,
  ): Promise<RemoteResult<{ readonly value: ResponseOf<typeof ApiVersions> }>> {
    const timeoutMs = Math.min(this.#options.connectTimeoutMs, this.#options.requestTimeoutMs)
    const asked = { apiVersion, request: clientSoftware, timeoutMs }
    const sent = this.#exchange(ApiVersions, asked, (frame, { correlationId }) =>
      // A refusal comes in the shape of version 0, whatever was asked (KIP-511).
      parseResponse(ApiVersions, { apiVersion: isVersionRefused(frame) ? 0 : apiVersion, correlationId }, frame),
    )
    return (await abortable(sent, signal)) ?? this.#aborted(ApiVersions)
  }

  #exchange<A extends Api>(
    api: A,
    asked: {
      readonly apiVersion: number
      readonly request: RequestInput<A>
      readonly timeoutMs: number
      readonly memory?: FrameLease | undefined
    },
    parse: (frame: Uint8Array, header: { apiVersion: number; correlationId: number }) => ResponseOf<A>,
  ): Promise<RemoteResult<{ readonly value: ResponseOf<A> }>> {
    if (this.#closed) return Promise.resolve(this.#closed)
    const { apiVersion, request, timeoutMs } = asked
    if (this.#pending.length >= inFlightMax)
      return Promise.resolve(remoteFailure('TIMED_OUT', `${this.name} owes ${inFlightMax} answers`))
    const correlationId = (this.#correlationId = (this.#correlationId + 1) & 0x7fffffff)
    const frame = frameRequest(api, { apiVersion, correlationId, clientId: this.#options.clientId }, request)
    return new Promise((resolve) => {
      const timer = this.#clock.setTimer(timeoutMs, () =>
        this.close(remoteFailure('TIMED_OUT', `${this.name} did not answer ${api.name} within ${timeoutMs} ms`)),
      )
      this.#pending.push({
        correlationId,
        settle: (bytes) => resolve({ ok: true, value: parse(bytes, { apiVersion, correlationId }) }),
        fail: resolve,
        timer,
        memory: asked.memory,
      })
      this.#socket.write(frame)
    })
  }

  #read(take: () => void): void {
    try {
      take()
    } catch (error) {
      if (!(error instanceof ProtocolError) && !(error instanceof FrameError)) throw error
      this.close(remoteFailure('PROTOCOL', `${this.name} sends what is no answer: ${error.message}`))
    }
  }

  #onFrame(frame: Uint8Array): void {
    if (this.#closed) return
    const pending = this.#pending[0]
    if (!pending) throw new ProtocolError('an answer that nobody asked for')
    pending.settle(frame)
    this.#pending.shift()
    pending.timer.cancel()
  }
}

/** Whether an ApiVersions answer is a refusal: the code stands behind the correlation id in every version. */
function isVersionRefused(frame: Uint8Array): boolean {
  if (frame.length < 6) return false
  return new DataView(frame.buffer, frame.byteOffset).getInt16(4) === errorCodes.UNSUPPORTED_VERSION
}
