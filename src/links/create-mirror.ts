/** Creates a mirror topic: looks at its source, takes over partitions and configs, writes it down as one change. */
import { errorCodes, errorNameOf } from '../../protocol/errors.ts'
import { Mirror, MirrorState } from '../../protocol/state/mirror-records.ts'
import { validateTopicConfig } from '../config/topic-config.ts'
import { KafkaError } from '../errors.ts'
import { record, type LinkImage } from '../metadata/metadata-store.ts'
import type { RemoteFailure, RemoteTopic } from '../remote/remote.ts'
import type { Link } from './link.ts'
import type { LinkParts } from './link-parts.ts'
import { LinkServiceError, type CreateMirror } from './link-service.ts'
import { isAlwaysSynced, syncedOverrides } from './mirrored-configs.ts'

/** Runs a change of links and mirrors behind those before it: it sees the image that they left. */
export type InTurn = <T>(work: () => Promise<T>) => Promise<T>

/** @throws LinkServiceError, with the reason why the mirror can't be. Nothing was changed then. */
export async function createMirrorTopic(
  parts: LinkParts,
  { link, image, inTurn }: { readonly link: Link; readonly image: LinkImage; readonly inTurn: InTurn },
  request: CreateMirror,
): Promise<string> {
  const { sourceTopicName } = request
  const name = mirrorNameOf(link.configs.clusterLinkPrefix, request)
  if (parts.metadata.image.topics.has(name)) throw topicExists(name)
  const source = await findSource(link, sourceTopicName)
  const configs = await configsOf(link, request)
  await inTurn(async () => {
    // The source was asked meanwhile: the link may be gone.
    if (!parts.metadata.image.linksById.has(image.linkId))
      throw new LinkServiceError('LINK_NOT_FOUND', `link '${image.name}' was deleted`)
    await create(parts, { name, source, configs, image }, request)
  })
  return name
}

async function create(
  { environment, topics }: LinkParts,
  about: {
    readonly name: string
    readonly source: RemoteTopic
    readonly configs: ReadonlyMap<string, string>
    readonly image: LinkImage
  },
  { sourceTopicName, replicationFactor }: CreateMirror,
): Promise<void> {
  const { name, source, configs, image } = about
  const topicId = environment.random.uuid()
  const state = { topicId, state: 'ACTIVE', sinceMs: BigInt(Math.floor(environment.clock.nowMs())) }
  try {
    await topics.create({
      name,
      topicId,
      partitionCount: source.partitions.length,
      ...(replicationFactor !== undefined && { replicationFactor }),
      configs,
      extraRecords: [
        record(Mirror, { topicId, linkId: image.linkId, sourceTopicName, sourceTopicId: source.topicId }),
        record(MirrorState, state),
      ],
    })
  } catch (error) {
    if (!(error instanceof KafkaError)) throw error
    if (error.errorName === 'TOPIC_ALREADY_EXISTS') throw topicExists(name)
    throw new LinkServiceError('INVALID_REQUEST', error.message, { cause: error })
  }
}

function topicExists(name: string): LinkServiceError {
  return new LinkServiceError('TOPIC_EXISTS', `Topic '${name}' already exists.`)
}

/** A mirror has the name of its source, behind the prefix of its link; with a prefix it must be spelled out. */
function mirrorNameOf(prefix: string, { sourceTopicName, mirrorTopicName }: CreateMirror): string {
  const expected = `${prefix}${sourceTopicName}`
  if (mirrorTopicName === undefined && prefix !== '')
    throw new LinkServiceError(
      'INVALID_REQUEST',
      `mirror_topic_name is missing: the link has the prefix '${prefix}', expected '${expected}'`,
    )
  if (mirrorTopicName !== undefined && mirrorTopicName !== expected)
    throw new LinkServiceError(
      'RENAMING_NOT_SUPPORTED',
      `Topic renaming for mirroring not yet supported: got '${mirrorTopicName}', expected '${expected}'`,
    )
  return expected
}

export function unreachable(failure: RemoteFailure): LinkServiceError {
  if (failure.code === 'WRONG_CLUSTER') return new LinkServiceError('CLUSTER_ID_MISMATCH', failure.message)
  return new LinkServiceError('SOURCE_UNREACHABLE', `the source cannot be reached: ${failure.message}`)
}

async function findSource(link: Link, name: string): Promise<RemoteTopic> {
  const result = await link.remote.refresh([name])
  if (!result.ok) throw unreachable(result)
  const topic = result.metadata.topics.get(name)
  const errorName = topic ? errorNameOf(topic.errorCode) : 'UNKNOWN_TOPIC_OR_PARTITION'
  if (errorName === 'TOPIC_AUTHORIZATION_FAILED')
    throw new LinkServiceError('NOT_AUTHORIZED', `the source does not allow to read topic '${name}'`)
  if (!topic || errorName !== 'NONE' || topic.partitions.length === 0)
    throw new LinkServiceError('SOURCE_TOPIC_NOT_FOUND', `the source has no topic '${name}' (${errorName})`)
  if (topic.isInternal)
    throw new LinkServiceError('INVALID_REQUEST', `topic '${name}' is internal to its cluster and cannot be mirrored`)
  return topic
}

async function configsOf(
  link: Link,
  { sourceTopicName, configs: own = new Map() }: CreateMirror,
): Promise<Map<string, string>> {
  for (const [config, value] of own) {
    if (isAlwaysSynced(config))
      throw new LinkServiceError(
        'INVALID_CONFIG',
        `config ${config} of a mirror topic always follows its source and cannot be set`,
      )
    const wrong = validateTopicConfig(config, value)
    if (wrong !== undefined) throw new LinkServiceError('INVALID_CONFIG', wrong)
  }
  const source = await link.remote.topicConfigs(sourceTopicName)
  if (!source.ok) throw unreachable(source)
  if (source.errorCode !== errorCodes.NONE)
    throw new LinkServiceError(
      'NOT_AUTHORIZED',
      `the source does not show the configs of topic '${sourceTopicName}': ${errorNameOf(source.errorCode)}`,
    )
  return syncedOverrides(own, source.configs, (config, value) => validateTopicConfig(config, value) === undefined)
}
