/**
 * The HTTP API: Confluent's REST v3 shapes for clusters, topics, links and mirrors, and paths of our own under
 * /titorelli/v1. Fastify owns its listener; nothing else in `src/` but the Kafka network does.
 */
import assert from 'node:assert/strict'
import fastify, { type FastifyInstance, type FastifyRequest } from 'fastify'
import { NetworkError } from '../environment/environment.ts'
import { fromJson, toJson } from '../json.ts'
import { addBrokerRoutes } from './brokers.ts'
import { addClusterRoutes } from './clusters.ts'
import { addConfigRoutes } from './configs.ts'
import { HttpError, httpErrorOf } from './errors.ts'
import { addGroupOffsetRoutes } from './group-offsets.ts'
import { addGroupRoutes } from './groups.ts'
import { addLinkRoutes } from './links.ts'
import { addMetricsRoute } from './metrics.ts'
import { addMirrorRoutes } from './mirrors.ts'
import type { HttpOptions, HttpServer } from './node-http.ts'
import { addOwnRoutes } from './own.ts'
import { addOpenApi } from './openapi.ts'
import type { HttpParts } from './parts.ts'
import { addRecordRoutes } from './records.ts'
import { addReassignmentRoutes } from './reassignments.ts'
import { addRestBrokerRoutes } from './rest-brokers.ts'
import { addTopicChangeRoutes } from './topic-changes.ts'
import { addTopicRoutes } from './topics.ts'
import { compilersFactory } from './validation.ts'

const bodyLimitBytes = 1_048_576
/** A topic name has at most 249 characters, a link name at most as many; percent-encoded they triple. */
const maxParamLength = 750

/** Builds the routes without listening: tests inject requests. */
export function buildHttpApp(parts: HttpParts, signal: AbortSignal): FastifyInstance {
  const app = fastify({
    logger: false,
    bodyLimit: bodyLimitBytes,
    forceCloseConnections: true,
    routerOptions: { maxParamLength, ignoreTrailingSlash: true },
    schemaController: { compilersFactory },
  })
  acceptEmptyBodies(app)
  app.setReplySerializer((payload) => toJson(payload))
  app.setErrorHandler((error, request, reply) => {
    const known = httpErrorOf(error)
    if (!known)
      parts.environment.logger.error({ err: error, method: request.method, url: request.url }, 'http request failed')
    const { status, errorCode, message } = known ?? new HttpError(500, 500, 'internal error, see the log of the broker')
    return reply.status(status).send({ error_code: errorCode, message })
  })
  app.setNotFoundHandler((request, reply) => {
    const message = `there is nothing at ${request.method} ${request.url.split('?')[0]}`
    return reply.status(404).send({ error_code: 404, message })
  })
  addOpenApi(app)
  addClusterRoutes(app, parts)
  addTopicRoutes(app, parts)
  addTopicChangeRoutes(app, parts)
  addConfigRoutes(app, parts)
  addRestBrokerRoutes(app, parts)
  addReassignmentRoutes(app, parts)
  addGroupRoutes(app, parts)
  addGroupOffsetRoutes(app, parts)
  addRecordRoutes(app, parts)
  addLinkRoutes(app, parts)
  addMirrorRoutes(app, parts)
  addBrokerRoutes(app, parts)
  addOwnRoutes(app, parts, signal)
  addMetricsRoute(app, parts)
  return app
}

/** Listens. See `startHttp`. */
export async function openHttpServer(options: HttpOptions): Promise<HttpServer> {
  const { host, port } = options
  const stopping = new AbortController()
  const app = buildHttpApp(options.parts, stopping.signal)
  try {
    await app.listen({ host, port })
  } catch (error) {
    await app.close()
    throw listenError(error, { host, port })
  }
  return {
    port: portOf(app),
    async close() {
      stopping.abort()
      await app.close()
    },
  }
}

/** Go's and Java's clients send `content-type: application/json` also where there is no body. */
function acceptEmptyBodies(app: FastifyInstance): void {
  app.removeContentTypeParser('application/json')
  app.addContentTypeParser(
    'application/json',
    { parseAs: 'string' },
    async (_request: FastifyRequest, body: string) => {
      if (body.trim() === '') return undefined
      try {
        return fromJson(body)
      } catch (error) {
        if (error instanceof SyntaxError) throw new HttpError(400, 400, `the body is no JSON: ${error.message}`)
        throw error
      }
    },
  )
}

function portOf(app: FastifyInstance): number {
  const address = app.server.address()
  assert(address !== null && typeof address === 'object')
  return address.port
}

function listenError(error: unknown, address: { host: string; port: number }): unknown {
  if (!(error instanceof Error) || !('code' in error)) return error
  const where = `${address.host}:${address.port}`
  if (error.code === 'EADDRINUSE')
    return new NetworkError('ADDRESS_IN_USE', `${where} is in use (HTTP API)`, { cause: error })
  if (error.code === 'EACCES')
    return new NetworkError('DENIED', `${where} may not be listened at (HTTP API)`, { cause: error })
  return new NetworkError('IO', `cannot listen at ${where} (HTTP API): ${error.message}`, { cause: error })
}
