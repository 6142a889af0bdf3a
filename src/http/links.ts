/** Cluster links in Confluent's REST v3 shapes. */
import type { FastifyInstance, FastifyRequest } from 'fastify'
import type { LinkConfigEntry, LinkDescription } from '../links/link-service.ts'
import { HttpError } from './errors.ts'
import type { HttpParts } from './parts.ts'
import {
  checkCluster,
  clusterPath,
  configEntriesSchema,
  configsOf,
  listOf,
  metadataOf,
  urlOf,
  type ConfigEntry,
} from './routes.ts'

interface ClusterParams {
  readonly clusterId: string
}
interface LinkParams extends ClusterParams {
  readonly link: string
}
interface CreateLinkBody {
  readonly source_cluster_id?: string | null
  readonly destination_cluster_id?: string | null
  readonly remote_cluster_id?: string | null
  readonly cluster_link_id?: string | null
  readonly configs?: readonly ConfigEntry[] | null
}

const nullableString = { type: ['string', 'null'] } as const
const createLinkSchema = {
  querystring: {
    type: 'object',
    required: ['link_name'],
    properties: {
      link_name: { type: 'string', minLength: 1 },
      validate_only: { type: 'boolean', default: false },
      validate_link: { type: 'boolean', default: true },
    },
  },
  body: {
    type: 'object',
    properties: {
      source_cluster_id: nullableString,
      destination_cluster_id: nullableString,
      remote_cluster_id: nullableString,
      cluster_link_id: nullableString,
      configs: configEntriesSchema,
    },
  },
} as const
const deleteLinkSchema = {
  querystring: {
    type: 'object',
    properties: { force: { type: 'boolean', default: false }, validate_only: { type: 'boolean', default: false } },
  },
} as const

export function addLinkRoutes(app: FastifyInstance, parts: HttpParts): void {
  addLinkReads(app, parts)
  addLinkWrites(app, parts)
}

function addLinkReads(app: FastifyInstance, parts: HttpParts): void {
  app.get<{ Params: ClusterParams }>(`${clusterPath}/links`, (request) => {
    const { clusterId } = request.params
    checkCluster(parts, clusterId)
    const links = parts.links.listLinks().map((link) => linkData(request, clusterId, link))
    return listOf('KafkaLinkDataList', urlOf(request, clusterId, 'links'), links)
  })

  app.get<{ Params: LinkParams }>(`${clusterPath}/links/:link`, (request) => {
    const { clusterId, link } = request.params
    checkCluster(parts, clusterId)
    return linkData(request, clusterId, parts.links.describeLink(link))
  })

  app.get<{ Params: LinkParams }>(`${clusterPath}/links/:link/configs`, (request) => {
    const { clusterId, link } = request.params
    checkCluster(parts, clusterId)
    const entries = parts.links.listLinkConfigs(link).map((entry) => configData(request, { clusterId, link }, entry))
    return listOf('KafkaLinkConfigDataList', urlOf(request, clusterId, 'links', link, 'configs'), entries)
  })
}

function addLinkWrites(app: FastifyInstance, parts: HttpParts): void {
  app.post<{
    Params: ClusterParams
    Querystring: { link_name: string; validate_only: boolean; validate_link: boolean }
    Body: CreateLinkBody
  }>(`${clusterPath}/links`, { schema: createLinkSchema }, async (request, reply) => {
    checkCluster(parts, request.params.clusterId)
    const { source_cluster_id: sourceClusterId, ...body } = request.body
    refuseOtherModes(body)
    await parts.links.createLink({
      name: request.query.link_name,
      ...(sourceClusterId && { sourceClusterId }),
      configs: configsOf(body.configs),
      validateOnly: request.query.validate_only,
      validateLink: request.query.validate_link,
    })
    return reply.status(204).send()
  })

  app.delete<{ Params: LinkParams; Querystring: { force: boolean; validate_only: boolean } }>(
    `${clusterPath}/links/:link`,
    { schema: deleteLinkSchema },
    async (request, reply) => {
      const { clusterId, link } = request.params
      checkCluster(parts, clusterId)
      await parts.links.deleteLink(link, { force: request.query.force, validateOnly: request.query.validate_only })
      return reply.status(200).send()
    },
  )
}

/** Only the destination's half of a link exists: the broker that keeps the mirrors connects to their source. */
function refuseOtherModes(body: Omit<CreateLinkBody, 'source_cluster_id'>): void {
  for (const field of ['destination_cluster_id', 'remote_cluster_id', 'cluster_link_id'] as const) {
    if (!body[field]) continue
    throw new HttpError(400, 40002, `${field} is for other link modes than DESTINATION, the only one served here`)
  }
}

function linkData(request: FastifyRequest, clusterId: string, link: LinkDescription): object {
  const { active, paused, inError, pending } = link.partitionCounts
  const counts = { ACTIVE: active, PAUSED: paused, IN_ERROR: inError, PENDING: pending }
  return {
    kind: 'KafkaLinkData',
    metadata: metadataOf(urlOf(request, clusterId, 'links', link.name), null),
    source_cluster_id: link.sourceClusterId,
    destination_cluster_id: null,
    remote_cluster_id: null,
    link_name: link.name,
    link_id: link.linkId,
    cluster_link_id: link.linkId,
    topic_names: link.mirrorTopicNames,
    link_state: link.state,
    link_error: link.error,
    link_error_message: link.errorMessage,
    category_counts: Object.entries(counts)
      .filter(([, count]) => count > 0)
      .map(([category, count]) => ({ state_category: category, count })),
  }
}

function configData(
  request: FastifyRequest,
  at: { readonly clusterId: string; readonly link: string },
  entry: LinkConfigEntry,
): object {
  return {
    kind: 'KafkaLinkConfigData',
    metadata: metadataOf(urlOf(request, at.clusterId, 'links', at.link, 'configs', entry.name), null),
    cluster_id: at.clusterId,
    link_name: at.link,
    name: entry.name,
    value: entry.value,
    is_default: entry.isDefault,
    is_read_only: entry.isReadOnly,
    is_sensitive: entry.isSensitive,
    source: entry.isDefault ? 'DEFAULT_CONFIG' : 'DYNAMIC_CLUSTER_LINK_CONFIG',
    synonyms: [],
  }
}
