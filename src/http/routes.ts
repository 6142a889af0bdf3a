/** What all route files share: the prefix, the check of the cluster id, the links inside answers. */
import type { FastifyRequest } from 'fastify'
import { HttpError } from './errors.ts'
import type { HttpParts } from './parts.ts'

/** Where the paths of our own begin. */
export const ownPath = '/titorelli/v1/clusters/:clusterId'
export const clusterPath = '/kafka/v3/clusters/:clusterId'

/**
 * Builds the `self` and `related` links of an answer: the address the client used, then the path, each segment encoded.
 */
export function urlOf(request: FastifyRequest, ...segments: readonly string[]): string {
  return `${request.protocol}://${request.host}/kafka/v3/clusters${segments.map((one) => `/${encodeURIComponent(one)}`).join('')}`
}

/** Answers 404 when the path names another cluster than this one. */
export function checkCluster(parts: HttpParts, clusterId: string): void {
  if (clusterId !== parts.metadata.image.clusterId)
    throw new HttpError(404, 404, `Cluster ${clusterId} cannot be found.`)
}

export interface Metadata {
  readonly self: string
  readonly resource_name?: string | null
  readonly next?: string | null
}

/** The `metadata` of one object. */
export function metadataOf(self: string, resource: string | null): Metadata {
  return { self, resource_name: resource }
}

/** A list; there is always one page. */
export function listOf(kind: string, self: string, data: readonly object[]): object {
  return { kind, metadata: { self, next: null }, data }
}

/** The configs of a body, as a map. The last of two entries with one name wins. */
export function configsOf(entries: readonly ConfigEntry[] | null | undefined): Map<string, string> {
  const configs = new Map<string, string>()
  for (const { name, value } of entries ?? []) configs.set(name, value ?? '')
  return configs
}

export interface ConfigEntry {
  readonly name: string
  readonly value?: string | null
}

/** What Kafka's protocol carries: a larger number is the mistake of who sent it. */
export const int16Bounds = { minimum: -32_768, maximum: 32_767 } as const
export const int32Bounds = { minimum: -2_147_483_648, maximum: 2_147_483_647 } as const

export const configEntriesSchema = {
  type: ['array', 'null'],
  items: {
    type: 'object',
    required: ['name'],
    properties: { name: { type: 'string', minLength: 1 }, value: { type: ['string', 'null'] } },
  },
} as const
