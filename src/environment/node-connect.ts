import { lookup } from 'node:dns/promises'
import { createConnection, isIP, type Socket as TcpSocket } from 'node:net'
import { NetworkError } from './environment.ts'
import { networkErrorOf } from './node-socket.ts'
import { ReadTarget } from './read-target.ts'

/** After this long without an answer the next address is tried as well; the earlier attempt goes on (RFC 8305). */
const attemptDelayMs = 250

interface Address {
  readonly host: string
  readonly port: number
}

export interface Connected {
  readonly tcp: TcpSocket
  /** Where its bytes are read to. */
  readonly target: ReadTarget
}

interface ConnectOptions {
  readonly timeoutMs: number
  readonly signal?: AbortSignal
}

/**
 * Connects to whichever address of the name answers first. Node's own `autoSelectFamily` gives an address up after its
 * short attempt time, so a name with several far addresses may never connect; here slow attempts stay in the race.
 */
export async function connectToAny(address: Address, options: ConnectOptions): Promise<Connected> {
  const race = new ConnectRace(address, options)
  return race.winner
}

class ConnectRace {
  readonly winner: Promise<Connected>
  readonly #address: Address
  readonly #signal: AbortSignal | undefined
  readonly #attempts = new Set<TcpSocket>()
  readonly #deadline: NodeJS.Timeout
  #nextAttempt: NodeJS.Timeout | undefined
  #waiting: string[] = []
  #firstFailure: NetworkError | undefined
  #isOver = false
  #resolve: (connected: Connected) => void = () => {}
  #reject: (error: NetworkError) => void = () => {}

  constructor(address: Address, { timeoutMs, signal }: ConnectOptions) {
    this.#address = address
    this.#signal = signal
    this.winner = new Promise((resolve, reject) => {
      this.#resolve = resolve
      this.#reject = reject
    })
    this.#deadline = setTimeout(() => {
      this.#fail(new NetworkError('TIMED_OUT', `no connection to ${this.#name} within ${timeoutMs} ms`))
    }, timeoutMs).unref()
    signal?.addEventListener('abort', this.#onAbort, { once: true })
    if (signal?.aborted) this.#onAbort()
    else this.#start().catch((cause: Error) => this.#fail(networkErrorOf(cause, `connecting to ${this.#name}`)))
  }

  get #name(): string {
    return `${this.#address.host}:${this.#address.port}`
  }

  readonly #onAbort = (): void => {
    this.#fail(new NetworkError('ABORTED', `connecting to ${this.#name} was given up`))
  }

  async #start(): Promise<void> {
    this.#waiting = await addressesOf(this.#address.host)
    this.#attempt()
  }

  #attempt(): void {
    clearTimeout(this.#nextAttempt)
    const host = this.#waiting.shift()
    if (host === undefined || this.#isOver) return
    const target = new ReadTarget()
    const { port } = this.#address
    const tcp = createConnection({ host, port, noDelay: true, keepAlive: true, onread: target.options })
    this.#attempts.add(tcp)
    const onError = (cause: Error): void => this.#lose(tcp, cause)
    tcp.once('error', onError)
    tcp.once('connect', () => {
      tcp.off('error', onError)
      this.#win({ tcp, target })
    })
    if (this.#waiting.length > 0) this.#nextAttempt = setTimeout(() => this.#attempt(), attemptDelayMs).unref()
  }

  #lose(tcp: TcpSocket, cause: Error): void {
    this.#attempts.delete(tcp)
    this.#firstFailure ??= networkErrorOf(cause, `connecting to ${this.#name}`)
    if (this.#waiting.length > 0) this.#attempt()
    else if (this.#attempts.size === 0) this.#fail(this.#firstFailure)
  }

  #win(connected: Connected): void {
    this.#attempts.delete(connected.tcp)
    connected.tcp.pause() // nothing is read before `start`
    this.#end()
    this.#resolve(connected)
  }

  #fail(error: NetworkError): void {
    if (this.#isOver) return
    this.#end()
    this.#reject(error)
  }

  #end(): void {
    this.#isOver = true
    clearTimeout(this.#deadline)
    clearTimeout(this.#nextAttempt)
    this.#signal?.removeEventListener('abort', this.#onAbort)
    for (const loser of this.#attempts) loser.destroy()
    this.#attempts.clear()
  }
}

/** All addresses of a name, families taking turns, in the resolver's order otherwise. */
async function addressesOf(host: string): Promise<string[]> {
  if (isIP(host)) return [host]
  const found = await lookup(host, { all: true, order: 'verbatim' })
  const first = found.filter(({ family }) => family === found[0]?.family)
  const other = found.filter(({ family }) => family !== found[0]?.family)
  const ordered: string[] = []
  for (let index = 0; index < Math.max(first.length, other.length); index++) {
    for (const candidate of [first[index], other[index]]) if (candidate) ordered.push(candidate.address)
  }
  return ordered
}
