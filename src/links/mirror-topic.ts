/**
 * One mirror topic while its link runs: its partitions, what the source says of its topic, and what keeps it from
 * mirroring. What is for good (FAILED, PAUSED, PENDING_STOPPED) is in the metadata image; what passes by itself is
 * here.
 */
import { zeroUuid, type Uuid } from '../../protocol/schema.ts'
import { errorCodes, errorNameOf } from '../../protocol/errors.ts'
import type { Fence } from '../../storage/log-store.ts'
import { validateTopicConfig } from '../config/topic-config.ts'
import type { MirrorImage, TopicImage } from '../metadata/metadata-store.ts'
import type { RemoteTopic } from '../remote/remote.ts'
import type { Topic } from '../topics/topics.ts'
import { startTimeOf } from './link-configs.ts'
import type { LinkContext, LinkParts } from './link-parts.ts'
import type { MirrorTopicError } from './link-service.ts'
import { MirrorPartition, type PartitionOwner } from './mirror-partition.ts'
import { sameOverrides, syncedOverrides } from './mirrored-configs.ts'
import { findWhyOutOfRange, validateHistory } from './source-history.ts'

/** The fence of a link's appends. The stop of a mirror fences with a later one. */
export const linkFenceEpoch = 1n
export const stopFenceEpoch = 2n

export function fenceOf(topicId: Uuid, fenceEpoch: bigint): Fence {
  return { lease: `mirror-${topicId}`, fenceEpoch }
}

/** A leader epoch below that of mirrored records is believed when it lasts this long. */
const epochBackBelievedMs = 3_000

/** The source does not show the topic, or does not let us read it. */
interface SourceProblem {
  readonly error: MirrorTopicError
  readonly reason: string
  readonly sinceMs: number
  /** How often in a row. */
  readonly count: number
}

export class MirrorTopic implements PartitionOwner {
  readonly topicId: Uuid
  readonly #parts: LinkParts
  readonly #link: LinkContext
  readonly #partitions: MirrorPartition[] = []
  #source: RemoteTopic | undefined
  #problem: SourceProblem | undefined
  #isPositioned = false
  #adding: Promise<void> | undefined
  #isStopped = false
  #lastConfigSyncMs = -Infinity
  /** On the monotonic clock. */
  #epochBackSinceMs: number | undefined

  constructor(topicId: Uuid, parts: LinkParts, link: LinkContext) {
    this.topicId = topicId
    this.#parts = parts
    this.#link = link
    this.#addPartitions()
  }

  get configs(): LinkContext['configs'] {
    return this.#link.configs
  }

  get partitions(): readonly MirrorPartition[] {
    return this.#partitions
  }

  /** As the source last described it. */
  get source(): RemoteTopic | undefined {
    return this.#source
  }

  get isStopped(): boolean {
    return this.#isStopped
  }

  get problem(): SourceProblem | undefined {
    return this.#problem
  }

  /** The topic and its mirror, or undefined when it was deleted. */
  get image(): (TopicImage & { readonly mirror: MirrorImage }) | undefined {
    const image = this.#parts.metadata.image.topicsById.get(this.topicId)
    return image?.mirror ? { ...image, mirror: image.mirror } : undefined
  }

  #topic(): Topic | undefined {
    return this.#parts.topics.findById(this.topicId)
  }

  #addPartitions(): void {
    const topic = this.#topic()
    if (!topic) return
    const { logs, environment, metrics } = this.#parts
    for (const { partitionIndex, log } of topic.partitions.slice(this.#partitions.length)) {
      this.#partitions.push(
        new MirrorPartition({
          logs,
          metrics,
          clock: environment.clock,
          random: environment.random,
          logger: environment.logger,
          owner: this,
          log,
          fence: fenceOf(this.topicId, linkFenceEpoch),
          partitionIndex,
        }),
      )
    }
  }

  /** Stops to fetch and waits for appends and for new partitions that are under way. */
  async stop(): Promise<void> {
    this.#isStopped = true
    for (const partition of this.#partitions) partition.stop()
    await this.#adding?.catch(() => undefined) // whoever adds them hears of it
    await Promise.all(this.#partitions.map((partition) => partition.idle()))
  }

  /** Takes what the source says of the topic now; starts, moves and adds partitions. */
  async apply(remote: RemoteTopic | undefined): Promise<void> {
    const image = this.image
    if (!image || this.#isStopped) return
    if (!remote || remote.errorCode !== errorCodes.NONE) return this.#missing(remote)
    const wrong = this.#wrongIdentity(image, remote)
    if (wrong) return this.fail(wrong.error, wrong.reason)
    this.#problem = undefined
    this.#source = remote
    if (image.mirror.state !== 'ACTIVE') return
    await this.#grow(image, remote)
    if (!(await this.#choosePositions(remote))) return
    for (const partition of this.#partitions) this.#lead(partition, remote)
    await this.#syncConfigs(image)
  }

  /** For mirrors that don't fetch: how far the source is. */
  async noteSourceEnds(remote: RemoteTopic): Promise<void> {
    this.#source = remote
    const latest = await this.#link.remote.listOffsets(remote, -1n)
    if (!latest.ok) return
    for (const partition of this.#partitions) {
      const end = latest.offsets.get(partition.partitionIndex)
      if (end?.errorCode === 0) partition.sourceHighWatermark = end.offset
    }
  }

  /** Two misses in a row are believed; the mirror fails when they last. */
  #missing(remote: RemoteTopic | undefined): void {
    const name = remote ? errorNameOf(remote.errorCode) : 'UNKNOWN_TOPIC_OR_PARTITION'
    const isGone = name === 'UNKNOWN_TOPIC_OR_PARTITION' || name === 'UNKNOWN_TOPIC_ID'
    if (!isGone && name !== 'TOPIC_AUTHORIZATION_FAILED') return // a passing error: asked again soon
    const sourceName = this.image?.mirror.sourceTopicName ?? ''
    const nowMs = this.#parts.environment.clock.nowMs()
    const error = isGone ? 'SOURCE_TOPIC_MAY_BE_DELETED' : 'UNKNOWN'
    const reason = isGone
      ? `the source does not know topic ${sourceName}`
      : `the source does not allow to read topic ${sourceName}`
    const before = this.#problem
    this.#problem = { error, reason, sinceMs: before?.sinceMs ?? nowMs, count: (before?.count ?? 0) + 1 }
    const timeoutMs = this.configs.clusterLinkRetryTimeoutMs
    if (this.#problem.count < 2 || BigInt(Math.floor(nowMs - this.#problem.sinceMs)) < timeoutMs) return
    this.fail(error, `${reason}, for ${timeoutMs} ms`)
  }

  #wrongIdentity(
    { partitions, mirror }: { partitions: TopicImage['partitions']; mirror: MirrorImage },
    remote: RemoteTopic,
  ): { error: MirrorTopicError; reason: string } | undefined {
    const isPinned = mirror.sourceTopicId !== zeroUuid && remote.topicId !== zeroUuid
    if (isPinned && mirror.sourceTopicId !== remote.topicId)
      return {
        error: 'SOURCE_TOPIC_ID_CHANGED',
        reason: `source topic ${remote.name} was created anew: got topic id ${remote.topicId}, expected ${mirror.sourceTopicId}`,
      }
    if (remote.partitions.length < partitions.length)
      return {
        error: 'SOURCE_PARTITIONS_DECREASED',
        reason: `source topic ${remote.name} has ${remote.partitions.length} partitions, the mirror ${partitions.length}`,
      }
    return isPinned ? undefined : this.#epochWentBack(remote)
  }

  /**
   * Without topic ids, a leader epoch that goes back tells a topic that was created anew. A broker that hears late of
   * an election tells the same, so that it is believed only when it lasts; meanwhile nothing is taken before histories
   * were compared.
   */
  #epochWentBack(remote: RemoteTopic): { error: MirrorTopicError; reason: string } | undefined {
    const { partitionIndex, leaderEpoch } =
      remote.partitions.find((one) => one.leaderEpoch >= 0 && one.leaderEpoch < this.#lastEpochOf(one)) ?? {}
    if (partitionIndex === undefined) {
      this.#epochBackSinceMs = undefined
      return undefined
    }
    const nowMs = this.#parts.environment.clock.monotonicMs()
    this.#epochBackSinceMs ??= nowMs
    const partition = this.#partitions[partitionIndex]!
    partition.forgetValidation()
    this.#link.refreshSoon()
    if (nowMs - this.#epochBackSinceMs < epochBackBelievedMs) return undefined
    const reason = `partition ${partitionIndex}: the source has leader epoch ${leaderEpoch}, mirrored records have ${partition.lastEpoch}`
    return { error: 'NON_MONOTONIC_SOURCE_EPOCH', reason }
  }

  #lastEpochOf({ partitionIndex }: { readonly partitionIndex: number }): number {
    return this.#partitions[partitionIndex]?.lastEpoch ?? -1
  }

  /** Follows partitions that were added at the source. */
  async #grow(image: TopicImage, remote: RemoteTopic): Promise<void> {
    if (remote.partitions.length > image.partitions.length && !this.#adding) {
      this.#adding = this.#parts.topics.addPartitions(this.topicId, remote.partitions.length)
      try {
        await this.#adding
        this.#isPositioned = false
      } finally {
        this.#adding = undefined
      }
    }
    if (this.#isStopped) return
    this.#addPartitions()
    // Written down a moment ago, and its logs are still being opened: look again soon.
    if (this.#partitions.length < remote.partitions.length) this.#link.refreshSoon()
  }

  /** Chooses where empty partitions begin. True when that is settled. */
  async #choosePositions(remote: RemoteTopic): Promise<boolean> {
    if (this.#isPositioned) return true
    const startTime = startTimeOf(this.configs)
    const fresh = this.#partitions.filter((partition) => partition.isFresh)
    // From the earliest on: fetching at 0 is right, or the source says where it begins.
    if (startTime !== -2n && fresh.length > 0) {
      const starts = await this.#startOffsets(remote, startTime)
      if (!starts) return false
      for (const partition of fresh) {
        const offset = starts.get(partition.partitionIndex)
        if (offset === undefined) return false
        if (offset > 0n && !(await this.startAt(partition, offset))) return false
      }
    }
    this.#isPositioned = true
    return true
  }

  async #startOffsets(remote: RemoteTopic, startTime: bigint): Promise<Map<number, bigint> | undefined> {
    const asked = await this.#link.remote.listOffsets(remote, startTime)
    const latest = startTime === -1n ? asked : await this.#link.remote.listOffsets(remote, -1n)
    if (!asked.ok || !latest.ok) return undefined
    const starts = new Map<number, bigint>()
    for (const [partitionIndex, { offset, errorCode }] of asked.offsets) {
      const end = latest.offsets.get(partitionIndex)
      if (errorCode !== 0 || !end || end.errorCode !== 0) continue
      starts.set(partitionIndex, offset < 0n ? end.offset : offset) // nothing that late yet: from the end on
    }
    return starts
  }

  /** Empties a partition and makes it begin at an offset. */
  async startAt(partition: MirrorPartition, offset: bigint): Promise<boolean> {
    const { logs, environment } = this.#parts
    const result = await logs.startAt(partition.log, offset, fenceOf(this.topicId, linkFenceEpoch))
    if (!result.ok)
      environment.logger.warn(
        { partition: partition.log.label, offset, code: result.code, reason: result.message },
        'mirror partition not positioned',
      )
    return result.ok
  }

  /** Gives a partition to the fetcher of its leader. */
  #lead(partition: MirrorPartition, remote: RemoteTopic): void {
    const { leader, leaderEpoch } = remote.partitions[partition.partitionIndex]!
    if (leader !== partition.leaderId || leaderEpoch !== partition.leaderEpoch) partition.forgetValidation()
    partition.leaderEpoch = leaderEpoch
    if (!partition.isRunning && !partition.trouble && !this.#isStopped) partition.start()
    if (leader >= 0) this.#link.assign(partition, leader, remote)
    else partition.unreached('the source has no leader for this partition', this.#link.refreshMs)
  }

  async #syncConfigs({ name, configs, mirror }: TopicImage & { readonly mirror: MirrorImage }): Promise<void> {
    const { environment, topics } = this.#parts
    const nowMs = environment.clock.monotonicMs()
    if (nowMs - this.#lastConfigSyncMs < this.configs.topicConfigSyncMs) return
    this.#lastConfigSyncMs = nowMs
    const source = await this.#link.remote.topicConfigs(mirror.sourceTopicName)
    if (!source.ok || source.errorCode !== 0 || this.#isStopped) return
    const isValid = (config: string, value: string): boolean => validateTopicConfig(config, value) === undefined
    const overrides = syncedOverrides(configs, source.configs, isValid)
    if (sameOverrides(configs, overrides)) return
    await topics.setConfigs(this.topicId, overrides)
    environment.logger.info({ topic: name }, 'configs of a mirror follow their source')
  }

  readinessChanged(partition: MirrorPartition): void {
    this.#link.readinessChanged(partition)
  }

  refreshSource(): void {
    this.#link.refreshSoon()
  }

  fail(error: MirrorTopicError, reason: string): void {
    if (this.#isStopped) return
    this.#isStopped = true
    for (const partition of this.#partitions) partition.stop()
    this.#link.failMirror(this.topicId, error, reason)
  }

  outOfRange(partition: MirrorPartition): void {
    this.#check(partition, findWhyOutOfRange(this.#historyOf(partition)))
  }

  beginsWithin(partition: MirrorPartition): void {
    this.#check(partition, this.#beginWithin(partition))
  }

  /**
   * An empty log that was made to begin somewhere takes a batch that reaches in there; one that was emptied does not.
   */
  async #beginWithin(partition: MirrorPartition): Promise<void> {
    await partition.idle()
    const { logEndOffset } = this.#parts.logs.view(partition.log)
    if (await this.startAt(partition, logEndOffset)) partition.rewind()
    else partition.retryLater(`the log could not be made to begin at ${logEndOffset}`)
  }

  validate(partition: MirrorPartition): void {
    this.#check(partition, validateHistory(this.#historyOf(partition)))
  }

  #historyOf(partition: MirrorPartition): Parameters<typeof findWhyOutOfRange>[0] {
    return { mirror: this, partition, source: this.#source!, remote: this.#link.remote, parts: this.#parts }
  }

  #check(partition: MirrorPartition, work: Promise<void>): void {
    work.catch((error: unknown) => {
      this.#parts.environment.logger.error(
        { partition: partition.log.label, err: error },
        'a check of a mirror broke off',
      )
      partition.breakDown(`broken invariant: ${error instanceof Error ? error.message : String(error)}`)
    })
  }
}
