/** Links and mirrors as people and the REST API see them: what is persisted, joined with what runs. */
import { zeroUuid } from '../../protocol/schema.ts'
import type { LinkImage, MirrorImage, TopicImage } from '../metadata/metadata-store.ts'
import type { Link } from './link.ts'
import type { LinkParts } from './link-parts.ts'
import type {
  LinkDescription,
  LinkErrorName,
  MirrorDescription,
  MirrorPartitionDescription,
  MirrorStatus,
  MirrorTopicError,
} from './link-service.ts'

export interface MirrorTopicImage extends TopicImage {
  readonly mirror: MirrorImage
}

export function describeLink(
  image: LinkImage,
  link: Link | undefined,
  mirrors: readonly MirrorDescription[],
): LinkDescription {
  const unavailable = link?.unavailable
  const states = mirrors.flatMap(({ partitions }) => partitions.map(({ state }) => state))
  const count = (state: MirrorPartitionDescription['state']): number => states.filter((one) => one === state).length
  return {
    name: image.name,
    linkId: image.linkId,
    sourceClusterId: image.sourceClusterId,
    state: image.failure ? 'FAILED' : unavailable ? 'UNAVAILABLE' : 'ACTIVE',
    error: image.failure ? (image.failure.code as LinkErrorName) : (unavailable?.error ?? 'NO_ERROR'),
    errorMessage: image.failure?.reason ?? unavailable?.message ?? null,
    mirrorTopicNames: mirrors.map(({ mirrorTopicName }) => mirrorTopicName),
    partitionCounts: {
      active: count('ACTIVE'),
      paused: count('PAUSED'),
      inError: count('IN_ERROR'),
      pending: count('PENDING'),
    },
  }
}

export function describeMirror(
  parts: LinkParts,
  {
    topic,
    link,
    image,
  }: { readonly topic: MirrorTopicImage; readonly link: Link | undefined; readonly image: LinkImage },
): MirrorDescription {
  const { mirror } = topic
  const status = statusOf(topic, link, image)
  const runtime = link?.mirror(topic.topicId)
  const problem = mirror.state === 'ACTIVE' ? runtime?.problem : undefined
  return {
    linkName: image.name,
    mirrorTopicName: topic.name,
    sourceTopicName: mirror.sourceTopicName,
    sourceTopicId: mirror.sourceTopicId,
    status,
    error: (problem?.error ?? mirror.error) as MirrorTopicError,
    reason: reasonOf(mirror, { problem: problem?.reason, link, image, status }),
    stateSinceMs: stateSince(mirror, link, status),
    identity: mirror.sourceTopicId === zeroUuid ? 'weak' : 'strong',
    partitions: topic.partitions.map(({ partitionIndex }) =>
      describePartition(parts, { topic, link, image, partitionIndex, status }),
    ),
  }
}

function statusOf({ mirror }: MirrorTopicImage, link: Link | undefined, image: LinkImage): MirrorStatus {
  if (mirror.state !== 'ACTIVE') return mirror.state
  if (image.failure) return 'LINK_FAILED'
  return link?.unavailable ? 'SOURCE_UNAVAILABLE' : 'ACTIVE'
}

function stateSince(mirror: MirrorImage, link: Link | undefined, status: MirrorStatus): number {
  const unavailableSinceMs = isLinkDown(status) ? link?.unavailable?.sinceMs : undefined
  return unavailableSinceMs ?? Number(mirror.stateSinceMs)
}

function reasonOf(
  mirror: MirrorImage,
  what: { problem: string | undefined; link: Link | undefined; image: LinkImage; status: MirrorStatus },
): string | null {
  if (mirror.reason !== '') return mirror.reason
  if (what.status === 'LINK_FAILED') return what.image.failure!.reason
  if (what.status === 'SOURCE_UNAVAILABLE') return what.link?.unavailable?.message ?? null
  return what.problem ?? null
}

function isLinkDown(status: MirrorStatus): boolean {
  return status === 'SOURCE_UNAVAILABLE' || status === 'LINK_FAILED'
}

const restingStates: Partial<Record<MirrorStatus, MirrorPartitionDescription['state']>> = {
  PAUSED: 'PAUSED',
  LINK_PAUSED: 'PAUSED',
  PENDING_STOPPED: 'PENDING',
  STOPPED: 'STOPPED',
  FAILED: 'IN_ERROR',
  LINK_FAILED: 'IN_ERROR',
  SOURCE_UNAVAILABLE: 'IN_ERROR',
}

function describePartition(
  { logs, topics }: LinkParts,
  about: {
    topic: MirrorTopicImage
    link: Link | undefined
    image: LinkImage
    partitionIndex: number
    status: MirrorStatus
  },
): MirrorPartitionDescription {
  const { topic, link, image, partitionIndex, status } = about
  const { mirror } = topic
  const running = link?.mirror(topic.topicId)?.partitions[partitionIndex]
  const log = topics.findById(topic.topicId)?.partitions[partitionIndex]?.log
  const view = log ? logs.view(log) : { logStartOffset: -1n, logEndOffset: -1n, leaderEpoch: -1 }
  const ended =
    mirror.state === 'STOPPED' ? mirror.ends.find((end) => end.partitionIndex === partitionIndex) : undefined
  const lastSourceFetchOffset = ended?.endOffset ?? running?.sourceHighWatermark ?? -1n
  const trouble = status === 'ACTIVE' ? running?.trouble : undefined
  const outage = isLinkDown(status) ? link?.unavailable : undefined
  return {
    partitionIndex,
    state: restingStates[status] ?? (trouble ? 'IN_ERROR' : 'ACTIVE'),
    lag: ended ? 0n : lagOf(lastSourceFetchOffset, view.logEndOffset),
    lastSourceFetchOffset,
    logStartOffset: view.logStartOffset,
    logEndOffset: view.logEndOffset,
    leaderEpoch: view.leaderEpoch,
    lastFetchMs: running?.lastFetchMs,
    reason: trouble?.reason ?? reasonOf(mirror, { problem: undefined, link, image, status }),
    sinceMs: trouble?.sinceMs ?? outage?.sinceMs ?? (status === 'ACTIVE' ? null : Number(mirror.stateSinceMs)),
    nextRetryMs: trouble?.nextRetryMs ?? outage?.nextRetryMs ?? null,
  }
}

function lagOf(sourceHighWatermark: bigint, logEndOffset: bigint): bigint {
  if (sourceHighWatermark < 0n) return -1n
  return sourceHighWatermark > logEndOffset ? sourceHighWatermark - logEndOffset : 0n
}
