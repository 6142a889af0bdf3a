/** The load of the demo: batches of every codec, one request at a time, over the broker's own codecs. */
import { frameRequest, parseResponse } from '../../../protocol/frame.ts'
import { CreateTopics } from '../../../protocol/apis/create-topics.ts'
import { Produce } from '../../../protocol/apis/produce.ts'
import { compressions } from '../../../protocol/records/batch.ts'
import { buildBatch } from '../../../protocol/records/build.ts'
import { zeroUuid, type Api, type RequestInput, type ResponseOf } from '../../../protocol/schema.ts'
import type { Network, Socket } from '../../environment/environment.ts'
import { FrameReader } from '../../network/frame-reader.ts'
import { CliFailure } from '../cli.ts'

const connectMs = 5_000
const frameMaxBytes = 16_777_216
const createTopicsVersion = 7
const produceVersion = 9

/** One connection, one request at a time. */
export class DemoClient {
  readonly #socket: Socket
  readonly #frames = new FrameReader({ frameMaxBytes, onFrame: (frame) => this.#waiting?.resolve(frame) })
  #correlationId = 0
  #waiting: { resolve(frame: Uint8Array): void; reject(error: Error): void } | undefined
  #ended: Error | undefined

  static async connect(network: Network, port: number): Promise<DemoClient> {
    return new DemoClient(await network.connect({ host: '127.0.0.1', port }, { timeoutMs: connectMs }))
  }

  private constructor(socket: Socket) {
    this.#socket = socket
    socket.start({
      onData: (bytes) => this.#frames.push(bytes),
      onDrain: () => {},
      onClose: (error) => {
        this.#ended = error ?? new Error('the broker closed the connection')
        this.#waiting?.reject(this.#ended)
      },
    })
  }

  async createTopic(name: string, partitionCount: number): Promise<void> {
    const topic = { name, numPartitions: partitionCount, replicationFactor: 1, assignments: [], configs: [] }
    const response = await this.#send(CreateTopics, createTopicsVersion, { topics: [topic] })
    const result = response.topics[0]
    if (result?.errorCode !== 0) throw new CliFailure(`creating the topic failed: ${result?.errorMessage}`)
  }

  /** Produces one batch, acknowledged. Returns the offset of its first record. */
  async produce(topic: string, partitionIndex: number, batch: Uint8Array): Promise<bigint> {
    const response = await this.#send(Produce, produceVersion, {
      acks: -1,
      timeoutMs: connectMs,
      topicData: [{ name: topic, topicId: zeroUuid, partitionData: [{ index: partitionIndex, records: [batch] }] }],
    })
    const result = response.responses[0]?.partitionResponses[0]
    if (result?.errorCode !== 0)
      throw new CliFailure(`produce failed: error ${result?.errorCode} ${result?.errorMessage ?? ''}`)
    return result.baseOffset
  }

  close(): void {
    this.#socket.destroy()
  }

  async #send<A extends Api>(api: A, apiVersion: number, request: RequestInput<A>): Promise<ResponseOf<A>> {
    if (this.#ended) throw this.#ended
    const correlationId = ++this.#correlationId
    const { promise, resolve, reject } = Promise.withResolvers<Uint8Array>()
    this.#waiting = { resolve, reject }
    this.#socket.write(frameRequest(api, { apiVersion, correlationId, clientId: 'titorelli-demo' }, request))
    return parseResponse(api, { apiVersion, correlationId }, await promise)
  }
}

const recordsPerBatch = 200
const pauseMs = 5

/** Produces until it is stopped or the broker is gone. */
export class Load {
  #isStopping = false
  #acknowledged = 0n
  readonly #running: Promise<void>

  constructor(client: DemoClient, topic: { readonly name: string; readonly partitionCount: number }) {
    this.#running = this.#run(client, topic)
  }

  /** Records that the broker has acknowledged. */
  get acknowledged(): bigint {
    return this.#acknowledged
  }

  /** Resolves when the last request is answered, or has failed. */
  async stop(): Promise<void> {
    this.#isStopping = true
    await this.#running
  }

  async #run(client: DemoClient, topic: { readonly name: string; readonly partitionCount: number }): Promise<void> {
    for (let at = 0; !this.#isStopping; at++) {
      try {
        await client.produce(topic.name, at % topic.partitionCount, demoBatch(at))
        this.#acknowledged += BigInt(recordsPerBatch)
      } catch {
        return // the demo kills the source while it is written to
      }
      await new Promise((resolve) => setTimeout(resolve, pauseMs))
    }
  }
}

/** A batch of records with keys, headers and a codec that changes from batch to batch. */
export function demoBatch(number: number): Uint8Array {
  const timestampMs = BigInt(Date.now())
  const records = Array.from({ length: recordsPerBatch }, (_, at) => ({
    key: `painting-${at % 17}`,
    value: `heathscape ${number}.${at}: two stunted trees, far apart, in the dark grass; behind them a many-coloured sunset`,
    headers: [{ key: 'batch', value: String(number) }],
    timestampMs,
  }))
  return buildBatch({ records, compression: compressions[number % compressions.length]! })
}
