/** From a frame to its answer: finds the handler, decodes, calls, encodes. */
import { apiByKey } from '../../protocol/apis/index.ts'
import { decodeRequest } from '../../protocol/compile.ts'
import { frameResponse, readRequestHeader, type RequestHeader } from '../../protocol/frame.ts'
import { ProtocolError } from '../../protocol/protocol-error.ts'
import { Reader } from '../../protocol/reader.ts'
import type { Api, RequestOf, ResponseInput } from '../../protocol/schema.ts'
import { inVersions } from '../../protocol/versions.ts'
import { KafkaError } from '../errors.ts'
import type { FrameCall, FrameHandler, Peer } from '../network/call.ts'
import { apiVersionsAnswer } from './api-versions.ts'
import { failureResponse } from './failure.ts'
import { CloseConnectionError, type BrokerParts, type ConnectionInfo, type Context, type Handler } from './handler.ts'
import { refuseVersion } from './unserved.ts'

const apiVersionsKey = 18

/**
 * Answers the frames of all connections. What a client can be told becomes an answer; a rejection means that the frame
 * can't be understood at all, and the connection closes.
 */
export function openDispatcher(broker: BrokerParts, handlers: readonly Handler[]): FrameHandler {
  return new Dispatcher(broker, handlers).answer
}

class Dispatcher {
  readonly #broker: BrokerParts
  readonly #handlers: readonly Handler[]
  readonly #byKey: ReadonlyMap<number, Handler>
  readonly #connections = new WeakMap<Peer, ConnectionInfo>()

  constructor(broker: BrokerParts, handlers: readonly Handler[]) {
    this.#broker = broker
    this.#handlers = handlers
    this.#byKey = new Map(handlers.map((handler) => [handler.api.key, handler]))
  }

  readonly answer = async (frame: Uint8Array, call: FrameCall): Promise<readonly Uint8Array[] | undefined> => {
    const reader = new Reader(frame)
    const header = readRequestHeader(reader, apiByKey)
    const api = apiByKey(header.apiKey)
    if (!api) throw new ProtocolError(`got API key ${header.apiKey}, which is not known`)
    const handler = this.#byKey.get(header.apiKey)
    if (handler?.isBarrier) call.setBarrier()
    const context = this.#contextOf(header, call)
    if (!handler || !inVersions(handler.versions, header.apiVersion)) {
      if (handler && header.apiKey === apiVersionsKey) return this.#answerUnknownApiVersions(handler, header)
      return refuseVersion({ api, handler }, header, reader, context)
    }
    const request = decodeRequest(handler.api, header.apiVersion, reader)
    const { clock } = this.#broker.environment
    const startMs = clock.monotonicMs()
    if (handler.isCurrent) await call.turn()
    const response = await this.#handle(handler, request, context)
    this.#broker.metrics.noteRequest(handler.api, header.apiVersion, { startMs, endMs: clock.monotonicMs() })
    if (!response) return undefined
    try {
      return frameResponse(handler.api, header, response)
    } catch (error) {
      const failure = this.#fail(handler, request, this.#logDefect(handler, context, error), context)
      return failure && frameResponse(handler.api, header, failure)
    }
  }

  async #handle(handler: Handler, request: RequestOf<Api>, context: Context): Promise<ResponseInput<Api> | undefined> {
    try {
      return await handler.handle(request, context)
    } catch (error) {
      if (error instanceof CloseConnectionError) throw error
      const known = error instanceof KafkaError ? error : this.#logDefect(handler, context, error)
      return this.#fail(handler, request, known, context)
    }
  }

  #fail(
    handler: Handler,
    request: RequestOf<Api>,
    error: KafkaError,
    context: Context,
  ): ResponseInput<Api> | undefined {
    if (handler.fail) return handler.fail(request, error, context)
    return failureResponse(handler.api, context.apiVersion, error)
  }

  #logDefect(handler: Handler, context: Context, error: unknown): KafkaError {
    const { connection, apiVersion, clientId } = context
    this.#broker.metrics.defects++
    this.#broker.environment.logger.error(
      { api: handler.api.name, apiVersion, clientId, connection: connection.id, err: error },
      'request failed',
    )
    return new KafkaError('UNKNOWN_SERVER_ERROR', 'internal error, see the log of the broker', { cause: error })
  }

  /** The one answer in a version that was not asked for: any client can read version 0 of it, and try again. */
  #answerUnknownApiVersions(handler: Handler, header: RequestHeader): readonly Uint8Array[] {
    const { errorCode } = new KafkaError('UNSUPPORTED_VERSION')
    const response = { ...apiVersionsAnswer(this.#handlers, 0), errorCode }
    return frameResponse(handler.api, { apiVersion: 0, correlationId: header.correlationId }, response)
  }

  #contextOf({ apiVersion, clientId }: RequestHeader, call: FrameCall): Context {
    return {
      broker: this.#broker,
      connection: this.#infoOf(call.connection),
      apiVersion,
      clientId,
      signal: call.signal,
      admitNext: () => call.admitNext(),
      countAsAppend: () => call.countAsAppend(),
      frameMemory: call.memory,
      afterAnswer: (run) => call.afterAnswer(run),
      authorize: () => undefined, // everything is allowed: there is no authorizer
    }
  }

  #infoOf(connection: Peer): ConnectionInfo {
    const known = this.#connections.get(connection)
    if (known) return known
    const { id, remoteAddress } = connection
    const info = {
      id,
      remoteAddress,
      clientSoftwareName: '',
      clientSoftwareVersion: '',
      principal: 'User:ANONYMOUS',
    }
    this.#connections.set(connection, info)
    return info
  }
}
