/**
 * The door to the HTTP API: fastify costs 80 ms and 25 MB, so that it is loaded only where the API is on. The Kafka listener
 * answers first; this opens right after.
 */
import type { HttpParts } from './parts.ts'

export interface HttpOptions {
  readonly host: string
  /** 0 picks a free one. */
  readonly port: number
  readonly parts: HttpParts
}

export interface HttpServer {
  readonly port: number
  /** Stops listening and ends open requests, verifications among them. */
  close(): Promise<void>
}

/** Serves the HTTP API. Rejects with a NetworkError when the address can't be listened at. */
export async function startHttp(options: HttpOptions): Promise<HttpServer> {
  const { openHttpServer } = await import('./server.ts')
  return await openHttpServer(options)
}
