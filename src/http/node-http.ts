/**
 * The door to the HTTP API: fastify costs 80 ms and 25 MB, so that it is loaded only where the API is on. The Kafka
 * listener answers first; this opens right after.
 */
import { setTimeout as sleep } from 'node:timers/promises'
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

/**
 * Loading keeps the event loop busy: who waits for the Kafka listener, trying every few milliseconds, gets in before.
 */
const letInMs = 20

/** Serves the HTTP API. Rejects with a NetworkError when the address can't be listened at. */
export async function startHttp(options: HttpOptions): Promise<HttpServer> {
  await sleep(letInMs)
  await import('fastify') // most of it by far
  await sleep(0)
  const { openHttpServer } = await import('./server.ts')
  return await openHttpServer(options)
}
