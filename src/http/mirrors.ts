/** Mirror topics in Confluent's REST v3 shapes: create, list, get, and the verbs behind a colon. */
import type { FastifyInstance, FastifyRequest } from 'fastify'
import type { MirrorChange, MirrorDescription, MirrorPartitionDescription, MirrorVerb } from '../links/link-service.ts'
import { HttpError } from './errors.ts'
import type { HttpParts } from './parts.ts'
import {
  checkCluster,
  clusterPath,
  configEntriesSchema,
  configsOf,
  int16Bounds,
  listOf,
  metadataOf,
  urlOf,
  type ConfigEntry,
} from './routes.ts'

interface LinkParams {
  readonly clusterId: string
  readonly link: string
}
interface CreateMirrorBody {
  readonly source_topic_name: string
  readonly mirror_topic_name?: string | null
  readonly replication_factor?: number | null
  readonly configs?: readonly ConfigEntry[] | null
}
interface AlterMirrorsBody {
  readonly mirror_topic_names?: readonly string[] | null
  readonly mirror_topic_name_pattern?: string | null
}

/** The name that stands for all links in a path. */
const allLinks = '-'
const verbs: readonly MirrorVerb[] = ['failover', 'pause', 'resume']

const createMirrorSchema = {
  body: {
    type: 'object',
    required: ['source_topic_name'],
    properties: {
      source_topic_name: { type: 'string', minLength: 1 },
      mirror_topic_name: { type: ['string', 'null'] },
      replication_factor: { type: ['integer', 'null'], ...int16Bounds },
      configs: configEntriesSchema,
    },
  },
} as const
const alterMirrorsSchema = {
  querystring: { type: 'object', properties: { validate_only: { type: 'boolean', default: false } } },
  body: {
    type: 'object',
    properties: {
      mirror_topic_names: { type: ['array', 'null'], items: { type: 'string' } },
      mirror_topic_name_pattern: { type: ['string', 'null'] },
    },
  },
} as const

export function addMirrorRoutes(app: FastifyInstance, parts: HttpParts): void {
  addMirrorReads(app, parts)
  addMirrorCreate(app, parts)
  for (const verb of verbs) addMirrorVerb(app, parts, verb)
}

function addMirrorReads(app: FastifyInstance, parts: HttpParts): void {
  app.get<{ Params: LinkParams; Querystring: { mirror_status?: string } }>(
    `${clusterPath}/links/:link/mirrors`,
    (request) => {
      const { clusterId, link } = request.params
      checkCluster(parts, clusterId)
      const wanted = request.query.mirror_status?.toUpperCase()
      const data = parts.links
        .listMirrors(link === allLinks ? undefined : link)
        .filter((mirror) => wanted === undefined || mirror.status === wanted)
        .map((mirror) => mirrorData(request, clusterId, mirror))
      return listOf('KafkaMirrorDataList', urlOf(request, clusterId, 'links', link, 'mirrors'), data)
    },
  )

  app.get<{ Params: LinkParams & { mirror: string } }>(`${clusterPath}/links/:link/mirrors/:mirror`, (request) => {
    const { clusterId, link, mirror } = request.params
    checkCluster(parts, clusterId)
    return mirrorData(request, clusterId, parts.links.describeMirror(link, mirror))
  })
}

function addMirrorCreate(app: FastifyInstance, parts: HttpParts): void {
  app.post<{ Params: LinkParams; Body: CreateMirrorBody }>(
    `${clusterPath}/links/:link/mirrors`,
    { schema: createMirrorSchema },
    async (request, reply) => {
      const { clusterId, link } = request.params
      checkCluster(parts, clusterId)
      const { body } = request
      await parts.links.createMirror(link, {
        sourceTopicName: body.source_topic_name,
        ...(body.mirror_topic_name && { mirrorTopicName: body.mirror_topic_name }),
        ...(body.replication_factor && { replicationFactor: body.replication_factor }),
        configs: configsOf(body.configs),
      })
      return reply.status(204).send()
    },
  )
}

/** `POST .../mirrors:pause`: one answer per topic, with status 200 also where some were refused. */
function addMirrorVerb(app: FastifyInstance, parts: HttpParts, verb: MirrorVerb): void {
  app.post<{ Params: LinkParams; Body: AlterMirrorsBody; Querystring: { validate_only: boolean } }>(
    `${clusterPath}/links/:link/mirrors::${verb}`, // a doubled colon is a colon, not a parameter
    { schema: alterMirrorsSchema },
    async (request) => {
      const { clusterId, link } = request.params
      checkCluster(parts, clusterId)
      const options = { validateOnly: request.query.validate_only }
      const changes = await parts.links.changeMirrors(link, verb, selectionOf(request.body), options)
      const self = `${urlOf(request, clusterId, 'links', link, 'mirrors')}:${verb}`
      return listOf(
        'AlterMirrorsDataList',
        self,
        changes.map((change) => changeData(self, change)),
      )
    },
  )
}

function selectionOf(body: AlterMirrorsBody): { names: readonly string[] } | { pattern: string } {
  const { mirror_topic_names: names, mirror_topic_name_pattern: pattern } = body
  if (names && pattern)
    throw new HttpError(400, 40002, 'give mirror_topic_names or mirror_topic_name_pattern, not both')
  if (names && names.length > 0) return { names }
  if (pattern) return { pattern }
  throw new HttpError(400, 40002, 'mirror_topic_names or mirror_topic_name_pattern must name at least one topic')
}

function mirrorData(request: FastifyRequest, clusterId: string, mirror: MirrorDescription): object {
  const self = urlOf(request, clusterId, 'links', mirror.linkName, 'mirrors', mirror.mirrorTopicName)
  return {
    kind: 'KafkaMirrorData',
    metadata: metadataOf(self, `crn:///kafka=${clusterId}`),
    link_name: mirror.linkName,
    mirror_topic_name: mirror.mirrorTopicName,
    source_topic_name: mirror.sourceTopicName,
    num_partitions: mirror.partitions.length,
    mirror_lags: mirror.partitions.map(lagData),
    mirror_status: mirror.status,
    mirror_topic_error: mirror.error,
    state_time_ms: mirror.stateSinceMs,
  }
}

function changeData(self: string, change: MirrorChange): object {
  return {
    kind: 'AlterMirrorsData',
    metadata: metadataOf(self, null),
    mirror_topic_name: change.mirrorTopicName,
    error_code: change.errorCode,
    error_message: change.errorMessage,
    mirror_lags: change.partitions.map(lagData),
    messages_truncated: null,
    partition_level_truncation_data: null,
  }
}

function lagData(partition: MirrorPartitionDescription): object {
  return {
    partition: partition.partitionIndex,
    lag: partition.lag,
    last_source_fetch_offset: partition.lastSourceFetchOffset,
  }
}
