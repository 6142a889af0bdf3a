/**
 * How a mirror becomes an ordinary topic: one durable decision, then steps that can be taken again after a crash at any
 * place and end the same.
 *
 *   decided   MirrorState PENDING_STOPPED, with what is mirrored of each partition
 *   fenced    the link can append nothing more
 *   promoted  per log: the leader epoch is raised, open transactions are aborted, the log is synced
 *   stopped   MirrorState STOPPED with the new leader epochs: the topic is writable
 *
 * The order matters: aborts carry the new epoch, so that a source that comes back can tell them from its own records.
 */
import assert from 'node:assert/strict'
import type { Uuid } from '../../protocol/schema.ts'
import { MirrorState } from '../../protocol/state/mirror-records.ts'
import { PartitionRecord } from '../../protocol/state/metadata-records.ts'
import { nextLeaderEpoch } from '../../storage/leader-epochs.ts'
import type { Promoted } from '../../storage/log-store.ts'
import {
  record,
  type MetadataRecord,
  type MetadataResult,
  type MirrorImage,
  type MirrorPartitionEnd,
  type TopicImage,
} from '../metadata/metadata-store.ts'
import type { LinkParts } from './link-parts.ts'
import { fenceOf, stopFenceEpoch } from './mirror-topic.ts'

export const stopSteps = ['decided', 'fenced', 'promoted', 'stopped'] as const
export type StopStep = (typeof stopSteps)[number]

/** Called after each step; a test that throws here is a crash at that place. */
export type StopListener = (step: StopStep, topicId: Uuid) => void

/**
 * Decides the stop. The caller has made sure that nothing is fetched any more and no append is under way, so that the
 * ends which the decision names are final.
 */
export async function decideStop(
  parts: LinkParts,
  topic: TopicImage,
  decision: { readonly id: Uuid; readonly kind: 'failover' | 'promote' },
): Promise<MetadataResult> {
  const { logs, metadata, environment } = parts
  const found = topic.partitions.map(({ partitionIndex }) => logs.find({ topicId: topic.topicId, partitionIndex }))
  // A crash of the machine after the decision must not take what the decision names. A log whose disk fails is decided
  // as it is.
  await Promise.all(found.flatMap((log) => (log ? [logs.flush(log)] : [])))
  const ends: MirrorPartitionEnd[] = topic.partitions.map(({ partitionIndex }, index) => {
    const log = found[index]
    if (!log) return { partitionIndex, leaderEpoch: -1, endOffset: 0n }
    // The log's epoch is that of the last mirrored record, also where all records have expired since.
    const { logEndOffset, leaderEpoch } = logs.view(log)
    return { partitionIndex, leaderEpoch, endOffset: logEndOffset }
  })
  return metadata.append([
    record(MirrorState, {
      topicId: topic.topicId,
      state: 'PENDING_STOPPED',
      sinceMs: BigInt(Math.floor(environment.clock.nowMs())),
      stopDecisionId: decision.id,
      stopKind: decision.kind,
      ends,
    }),
  ])
}

/**
 * Takes all steps after the decision. Resolves with undefined when the mirror is STOPPED, else with why not: the caller
 * tries again later.
 */
export async function completeStop(
  parts: LinkParts,
  topicId: Uuid,
  onStep: StopListener = () => undefined,
): Promise<string | undefined> {
  const topic = parts.metadata.image.topicsById.get(topicId)
  const mirror = topic?.mirror
  if (!topic || mirror?.state !== 'PENDING_STOPPED') return undefined
  assert(mirror.stop !== undefined, 'a pending stop has a decision')
  for (const { partitionIndex } of topic.partitions) {
    const log = parts.logs.find({ topicId, partitionIndex })
    if (log) parts.logs.fence(log, fenceOf(topicId, stopFenceEpoch))
  }
  onStep('fenced', topicId)
  const promoted = await promoteLogs(parts, topic, mirror)
  if (typeof promoted === 'string') return promoted
  onStep('promoted', topicId)
  const result = await parts.metadata.append(stoppedRecords(parts, topic, { mirror, promoted }))
  if (!result.ok) return result.message
  logStop(parts, topic, promoted)
  onStep('stopped', topicId)
  return undefined
}

async function promoteLogs(
  { logs, environment }: LinkParts,
  { topicId, partitions }: TopicImage,
  mirror: MirrorImage,
): Promise<ReadonlyMap<number, Promoted> | string> {
  const nowMs = BigInt(Math.floor(environment.clock.nowMs()))
  const promoted = new Map<number, Promoted>()
  const failures: string[] = []
  const works = partitions.map(async ({ partitionIndex, leaderEpoch: ownEpoch }) => {
    const log = logs.find({ topicId, partitionIndex })
    if (!log) return void failures.push(`partition ${partitionIndex} has no log`)
    // From durable facts only, so that a second try after a crash asks for the same epoch.
    const mirrored = mirror.ends.find((end) => end.partitionIndex === partitionIndex)
    const leaderEpoch = nextLeaderEpoch(Math.max(ownEpoch, mirrored?.leaderEpoch ?? -1))
    const decision = { id: mirror.stop!.decisionId, leaderEpoch, nowMs }
    const result = await logs.promote(log, decision, fenceOf(topicId, stopFenceEpoch))
    if (result.ok) promoted.set(partitionIndex, result)
    else failures.push(result.message)
  })
  await Promise.all(works)
  return failures.length > 0 ? failures.join('; ') : promoted
}

function stoppedRecords(
  { environment }: LinkParts,
  topic: TopicImage,
  { mirror, promoted }: { mirror: MirrorImage; promoted: ReadonlyMap<number, Promoted> },
): MetadataRecord[] {
  const { topicId } = topic
  const partitionRecords = topic.partitions.map(({ partitionIndex, partitionEpoch, replicas, isr, leader }) =>
    record(PartitionRecord, {
      partitionId: partitionIndex,
      topicId,
      replicas,
      isr,
      removingReplicas: [],
      addingReplicas: [],
      leader,
      leaderEpoch: promoted.get(partitionIndex)!.leaderEpoch,
      partitionEpoch: partitionEpoch + 1,
      directories: [],
    }),
  )
  const state = record(MirrorState, {
    topicId,
    state: 'STOPPED',
    sinceMs: BigInt(Math.floor(environment.clock.nowMs())),
    stopDecisionId: mirror.stop!.decisionId,
    stopKind: mirror.stop!.kind,
    ends: mirror.ends,
  })
  return [...partitionRecords, state]
}

function logStop({ environment }: LinkParts, topic: TopicImage, promoted: ReadonlyMap<number, Promoted>): void {
  const aborted = [...promoted.values()].reduce((count, { aborted: open }) => count + open.length, 0)
  environment.logger.info(
    { topic: topic.name, partitions: promoted.size, abortedTransactions: aborted },
    'mirror stopped, the topic is writable',
  )
}
