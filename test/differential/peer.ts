/** One of the two brokers that are compared: sends requests through our codecs, and keeps what was answered. */
import type { Api, RequestInput, ResponseOf } from '../../protocol/schema.ts'
import type { Network } from '../../src/environment/environment.ts'
import { TestClient } from '../support/broker.ts'

/**
 * In place of an answer where there was none within `answerTimeoutMs`. Brokers do that to requests that they fail to
 * handle.
 */
export const silence = 'silence'
const answerTimeoutMs = 5_000

/** What a broker did with a request: an answer, the end of the connection, or nothing. */
export interface Answer {
  readonly label: string
  readonly api: string
  readonly version: number
  /** Undefined where the broker closed the connection, `silence` where it did nothing. */
  readonly response: unknown
}

interface Wanted<A extends Api> {
  readonly request: RequestInput<A>
  readonly isGood: (response: ResponseOf<A>) => boolean
}

/** A way to one broker. Each scenario has its own, with a connection of its own. */
export class Peer {
  readonly answers: Answer[] = []
  readonly #network: Network
  readonly #port: number
  readonly #beside: Peer[] = []
  #client: TestClient | undefined

  constructor(network: Network, port: number) {
    this.#network = network
    this.#port = port
  }

  /** Sends a request and keeps the answer for the comparison. Undefined where there was none, which is compared too. */
  async ask<A extends Api>(
    label: string,
    api: A,
    version: number,
    request: RequestInput<A>,
  ): Promise<ResponseOf<A> | undefined> {
    const response = await this.#send(api, version, request)
    this.answers.push({ label, api: api.name, version, response })
    return response === silence ? undefined : response
  }

  /** Sends a request whose answer matters to what follows, and to nothing else. */
  async prepare<A extends Api>(api: A, version: number, request: RequestInput<A>): Promise<ResponseOf<A>> {
    const response = await this.#send(api, version, request)
    if (!response || response === silence) throw new Error(`${api.name} v${version}: no answer`)
    return response
  }

  /** Sends a request that gets no answer. */
  async post<A extends Api>(api: A, version: number, request: RequestInput<A>): Promise<void> {
    const client = await this.#connected()
    client.post(api, version, request)
  }

  /** Keeps something else for the comparison that the broker showed. */
  note(label: string, what: string, seen: unknown): void {
    this.answers.push({ label, api: what, version: 0, response: seen })
  }

  /** Asks until the answer satisfies, and keeps that one only: for what a broker does a moment after it answered. */
  async askUntil<A extends Api>(label: string, api: A, version: number, wanted: Wanted<A>): Promise<ResponseOf<A>> {
    const response = await this.prepareUntil(api, version, wanted)
    this.answers.push({ label, api: api.name, version, response })
    return response
  }

  /** As `askUntil`, but the answer is not compared. After two seconds the last one is taken as it is. */
  async prepareUntil<A extends Api>(api: A, version: number, { request, isGood }: Wanted<A>): Promise<ResponseOf<A>> {
    for (let attempt = 1; ; attempt++) {
      const response = await this.prepare(api, version, request)
      if (isGood(response) || attempt === 100) return response
      await new Promise((resolve) => setTimeout(resolve, 20))
    }
  }

  /** Another connection, for requests that wait for each other. Its answers come behind those of this one. */
  beside(): Peer {
    const peer = new Peer(this.#network, this.#port)
    this.#beside.push(peer)
    return peer
  }

  /** Ends all connections; the answers are complete then. */
  close(): void {
    this.#disconnect()
    for (const peer of this.#beside.splice(0)) {
      peer.close()
      this.answers.push(...peer.answers)
    }
  }

  async #send<A extends Api>(
    api: A,
    version: number,
    request: RequestInput<A>,
  ): Promise<ResponseOf<A> | undefined | typeof silence> {
    const client = await this.#connected()
    let timer: ReturnType<typeof setTimeout> | undefined
    const timeout = new Promise<typeof silence>((resolve) => {
      timer = setTimeout(() => resolve(silence), answerTimeoutMs)
    })
    const answered = client.send(api, version, request).catch((error: unknown) => {
      if (error instanceof Error && error.message === 'the connection was closed') return undefined
      throw error
    })
    const response = await Promise.race([answered, timeout])
    clearTimeout(timer)
    if (response === undefined || response === silence) this.#disconnect()
    return response
  }

  #disconnect(): void {
    this.#client?.close()
    this.#client = undefined
  }

  async #connected(): Promise<TestClient> {
    this.#client ??= new TestClient(
      await this.#network.connect({ host: '127.0.0.1', port: this.#port }, { timeoutMs: 5_000 }),
    )
    return this.#client
  }
}

/**
 * Requests to send to both brokers. It may use what a broker answered, but never decides by which broker it talks to.
 */
export interface Scenario {
  readonly name: string
  readonly run: (peer: Peer) => Promise<void>
}
