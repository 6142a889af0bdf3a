/**
 * One link while it runs: asks its source for topics and leaders, gives each partition to the fetcher of its leader,
 * and says whether the source can be reached.
 */
import { zeroUuid, type Uuid } from '../../protocol/schema.ts'
import type { LinkImage } from '../metadata/metadata-store.ts'
import type { Remote, RemoteCode, RemoteFailure, RemoteMetadata, RemoteTopic } from '../remote/remote.ts'
import { BrokerFetcher } from './broker-fetcher.ts'
import { parseLinkConfigs, type LinkConfigs } from './link-configs.ts'
import type { LinkContext, LinkParts } from './link-parts.ts'
import type { LinkErrorName, MirrorTopicError } from './link-service.ts'
import type { MirrorPartition } from './mirror-partition.ts'
import { MirrorTopic } from './mirror-topic.ts'

/** Leaders and new partitions are seen this soon, however long `metadata.max.age.ms` is. */
const refreshMaxMs = 3_000
/** A refresh that was asked for comes no sooner than this after the last one. */
const refreshMinMs = 50
/** How often the ends of sources are asked for whose mirrors don't fetch. */
const pausedRefreshMs = 500

export interface Unavailable {
  readonly error: LinkErrorName
  readonly message: string
  readonly sinceMs: number
  readonly nextRetryMs: number
}

export interface LinkEvents {
  /** The source is another cluster: the link fails until someone acts. */
  onWrongCluster(link: Link, reason: string): void
  /** The source said its cluster id for the first time. */
  onClusterId(link: Link, clusterId: string): void
  onMirrorFailed(topicId: Uuid, error: MirrorTopicError, reason: string): void
}

const linkErrors: Record<RemoteCode, LinkErrorName> = {
  UNRESOLVABLE: 'UNRESOLVABLE_BOOTSTRAP_ERROR',
  UNREACHABLE: 'BOOTSTRAP_TCP_CONNECTION_FAILED_ERROR',
  TIMED_OUT: 'TIMEOUT_ERROR',
  DISCONNECTED: 'BOOTSTRAP_TCP_CONNECTION_FAILED_ERROR',
  WRONG_CLUSTER: 'UNKNOWN',
  UNSUPPORTED_VERSION: 'UNKNOWN',
  PROTOCOL: 'UNKNOWN',
  UNKNOWN_BROKER: 'UNKNOWN',
  ABORTED: 'UNKNOWN',
}

export function linkErrorOf(code: RemoteCode): LinkErrorName {
  return linkErrors[code]
}

export class Link implements LinkContext {
  readonly linkId: Uuid
  readonly configs: LinkConfigs
  readonly remote: Remote
  readonly #parts: LinkParts
  readonly #events: LinkEvents
  readonly #mirrors = new Map<Uuid, MirrorTopic>()
  readonly #fetchers = new Map<number, BrokerFetcher>()
  readonly #fetcherOf = new Map<MirrorPartition, BrokerFetcher>()
  readonly #stopping = new Set<Promise<void>>()
  /** Being stopped for good: not to be started again while the image still calls them ACTIVE. */
  readonly #released = new Set<Uuid>()
  readonly #abort = new AbortController()
  #unavailable: Unavailable | undefined
  #backoffMs = 0
  #wake: (() => void) | undefined
  #isAwake = false
  #done: Promise<void> = Promise.resolve()

  constructor(image: LinkImage, parts: LinkParts, options: { readonly remote: Remote; readonly events: LinkEvents }) {
    this.linkId = image.linkId
    this.configs = parseLinkConfigs(image.configs)
    this.remote = options.remote
    const { environment } = parts
    // Every line of the link, its mirrors and their partitions says whose it is.
    const logger = environment.logger.child({ link: image.name })
    this.#parts = { ...parts, environment: { ...environment, logger } }
    this.#events = options.events
  }

  get unavailable(): Unavailable | undefined {
    return this.#unavailable
  }

  get refreshMs(): number {
    return Math.min(refreshMaxMs, Number(this.configs.metadataMaxAgeMs))
  }

  mirror(topicId: Uuid): MirrorTopic | undefined {
    return this.#mirrors.get(topicId)
  }

  start(): void {
    this.#done = this.#run()
  }

  /** Follows the metadata image: mirrors that are new, that pause, resume, stop or go. */
  reconcile(): void {
    const { metadata } = this.#parts
    const wanted = new Set<Uuid>()
    for (const { topicId, mirror } of metadata.image.topics.values()) {
      if (mirror?.linkId !== this.linkId || mirror.state === 'STOPPED' || this.#released.has(topicId)) continue
      wanted.add(topicId)
      if (mirror.state === 'ACTIVE') this.#activate(topicId)
      else this.#keepStopped(topicId)
    }
    for (const topicId of this.#mirrors.keys()) if (!wanted.has(topicId)) this.#track(this.#drop(topicId))
  }

  /** Stops copying a mirror, for good unless it is taken back; resolves when nothing of it is under way. */
  async release(topicId: Uuid): Promise<void> {
    this.#released.add(topicId)
    await this.#drop(topicId)
    await Promise.all(this.#stopping) // also what a pause just before left to be written
  }

  /** Follows the image again for a mirror that was released. */
  takeBack(topicId: Uuid): void {
    this.#released.delete(topicId)
    this.reconcile()
  }

  async #drop(topicId: Uuid): Promise<void> {
    const mirror = this.#mirrors.get(topicId)
    this.#mirrors.delete(topicId)
    if (mirror) await this.#stop(mirror)
  }

  async stop(): Promise<void> {
    this.#abort.abort()
    this.#wake?.()
    const mirrors = [...this.#mirrors.values()]
    await Promise.all(mirrors.map((mirror) => this.#stop(mirror)))
    await Promise.all([...this.#fetchers.values()].map((fetcher) => fetcher.stop()))
    this.remote.close()
    await this.#done
    await Promise.all(this.#stopping)
  }

  assign(partition: MirrorPartition, brokerId: number, topic: RemoteTopic): void {
    const before = this.#fetcherOf.get(partition)
    if (before && before.brokerId !== brokerId) before.delete(partition)
    partition.leaderId = brokerId
    const fetcher = this.#fetcher(brokerId)
    this.#fetcherOf.set(partition, fetcher)
    fetcher.set(partition, topic)
  }

  readinessChanged(partition: MirrorPartition): void {
    this.#fetcherOf.get(partition)?.notify()
  }

  refreshSoon(): void {
    this.#isAwake = true
    this.#wake?.()
  }

  failMirror(topicId: Uuid, error: MirrorTopicError, reason: string): void {
    const mirror = this.#mirrors.get(topicId)
    if (mirror) this.#track(this.#stop(mirror))
    this.#events.onMirrorFailed(topicId, error, reason)
  }

  #activate(topicId: Uuid): void {
    const known = this.#mirrors.get(topicId)
    if (known && !known.isStopped) return
    this.#mirrors.set(topicId, new MirrorTopic(topicId, this.#parts, this))
    this.refreshSoon()
  }

  /** Paused and failed mirrors stay, so that describe can tell what the source has meanwhile. */
  #keepStopped(topicId: Uuid): void {
    let mirror = this.#mirrors.get(topicId)
    if (!mirror) this.#mirrors.set(topicId, (mirror = new MirrorTopic(topicId, this.#parts, this)))
    if (!mirror.isStopped) this.#track(this.#stop(mirror))
    this.refreshSoon()
  }

  #stop(mirror: MirrorTopic): Promise<void> {
    for (const partition of mirror.partitions) {
      this.#fetcherOf.get(partition)?.delete(partition)
      this.#fetcherOf.delete(partition)
    }
    return mirror.stop()
  }

  #track(work: Promise<void>): void {
    const tracked = work.finally(() => this.#stopping.delete(tracked))
    this.#stopping.add(tracked)
    tracked.catch((error: unknown) => this.#parts.environment.logger.error({ err: error }, 'a mirror did not stop'))
  }

  #fetcher(brokerId: number): BrokerFetcher {
    let fetcher = this.#fetchers.get(brokerId)
    if (!fetcher) {
      const { environment, memory } = this.#parts
      fetcher = new BrokerFetcher(brokerId, {
        remote: this.remote,
        clock: environment.clock,
        logger: environment.logger,
        memory,
        configs: this.configs,
        onFailure: (failure) => this.#onFetchFailure(failure),
      })
      this.#fetchers.set(brokerId, fetcher)
    }
    return fetcher
  }

  #onFetchFailure(failure: RemoteFailure): number {
    if (failure.code !== 'ABORTED') {
      this.#parts.environment.logger.debug(
        { code: failure.code, reason: failure.message },
        'a fetch from the source failed',
      )
      this.refreshSoon()
    }
    return Math.max(refreshMinMs, Math.min(this.#backoffMs * 2, Number(this.configs.reconnectBackoffMaxMs)))
  }

  async #run(): Promise<void> {
    const { signal } = this.#abort
    while (!signal.aborted) {
      this.#isAwake = false
      const delayMs = await this.#round(signal)
      await this.#parts.environment.clock.sleep(Math.min(refreshMinMs, delayMs), signal)
      await this.#sleep(delayMs - refreshMinMs)
    }
  }

  /** Asks once and acts on the answer. Returns how long to wait before the next time, in ms. */
  async #round(signal: AbortSignal): Promise<number> {
    try {
      const names = [...this.#mirrors.values()].flatMap(({ image }) => (image ? [image.mirror.sourceTopicName] : []))
      const result = await this.remote.refresh([...new Set(names)], signal)
      if (signal.aborted) return 0
      if (!result.ok) return this.#onUnreachable(result)
      this.#onReached(result.metadata)
      const isPaused = await this.#apply(result.metadata)
      return isPaused ? Math.min(this.refreshMs, pausedRefreshMs) : this.refreshMs
    } catch (error) {
      this.#parts.environment.logger.error({ err: error }, 'a round of a link broke off')
      return refreshMaxMs
    }
  }

  #onUnreachable(failure: RemoteFailure): number {
    const { clock, random, logger } = this.#parts.environment
    const isWrong = failure.code === 'WRONG_CLUSTER'
    const { reconnectBackoffMs, reconnectBackoffMaxMs } = this.configs
    this.#backoffMs = Math.min(Number(reconnectBackoffMaxMs), this.#backoffMs * 2 || Number(reconnectBackoffMs))
    const delayMs = isWrong ? this.refreshMs : this.#backoffMs * (0.8 + random.below(400) / 1000)
    const nowMs = clock.nowMs()
    if (!this.#unavailable)
      logger.warn({ code: failure.code, reason: failure.message }, 'the source of a link cannot be reached')
    this.#unavailable = {
      error: linkErrorOf(failure.code),
      message: failure.message,
      sinceMs: this.#unavailable?.sinceMs ?? nowMs,
      nextRetryMs: nowMs + delayMs,
    }
    if (isWrong) this.#events.onWrongCluster(this, failure.message)
    return delayMs
  }

  #onReached(metadata: RemoteMetadata): void {
    if (this.#unavailable) this.#parts.environment.logger.info({}, 'the source of a link is back')
    this.#unavailable = undefined
    this.#backoffMs = 0
    this.#events.onClusterId(this, metadata.clusterId)
    for (const [brokerId, fetcher] of this.#fetchers) {
      if (metadata.brokers.has(brokerId) || fetcher.partitionCount > 0) continue
      this.#fetchers.delete(brokerId)
      this.#track(fetcher.stop())
    }
  }

  /** True when there are mirrors that don't fetch, so that their lag has to be asked for. */
  async #apply(metadata: RemoteMetadata): Promise<boolean> {
    let isPaused = false
    for (const mirror of this.#mirrors.values()) {
      const image = mirror.image
      if (!image || this.#abort.signal.aborted) continue
      const topic = metadata.topics.get(image.mirror.sourceTopicName)
      if (image.mirror.state === 'ACTIVE') {
        await mirror.apply(topic)
      } else if (topic?.errorCode === 0 && isSameTopic(topic, image.mirror.sourceTopicId)) {
        isPaused = true
        await mirror.noteSourceEnds(topic)
      }
    }
    return isPaused
  }

  #sleep(delayMs: number): Promise<void> {
    if (this.#isAwake || this.#abort.signal.aborted || delayMs <= 0) return Promise.resolve()
    const { clock } = this.#parts.environment
    return new Promise((resolve) => {
      const timer = clock.setTimer(delayMs, () => this.#wake?.())
      this.#wake = () => {
        this.#wake = undefined
        timer.cancel()
        resolve()
      }
    })
  }
}

function isSameTopic(topic: RemoteTopic, pinned: Uuid): boolean {
  return pinned === zeroUuid || topic.topicId === zeroUuid || topic.topicId === pinned
}
