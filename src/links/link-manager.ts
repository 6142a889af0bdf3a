/** All links of a broker, and the commands on them. */
import { type Uuid } from '../../protocol/schema.ts'
import {
  Link as LinkRecord,
  LinkConfig,
  SealedSecret,
  LinkFailure,
  MirrorState,
  RemoveLink,
} from '../../protocol/state/mirror-records.ts'
import { LinkSecrets } from '../metadata/link-secrets.ts'
import { record, type LinkImage, type MetadataRecord, type TopicImage } from '../metadata/metadata-store.ts'
import type { Remote } from '../remote/remote.ts'
import { parseBootstrapServers, RemoteCluster } from '../remote/remote-cluster.ts'
import { createMirrorTopic, unreachable } from './create-mirror.ts'
import { describeLink, describeMirror, type MirrorTopicImage } from './describe.ts'
import { Link } from './link.ts'
import { canonicalName, describeLinkConfigs, isSecret, parseLinkConfigs, type LinkConfigs } from './link-configs.ts'
import type { LinkParts } from './link-parts.ts'
import {
  LinkServiceError,
  type CreateLink,
  type CreateMirror,
  type LinkConfigEntry,
  type LinkDescription,
  type LinkService,
  type MirrorChange,
  type MirrorDescription,
  type MirrorTopicError,
  type MirrorVerb,
  type VerifyEvent,
} from './link-service.ts'
import { mirrorMoves } from './mirror-state.ts'
import { completeStop, decideStop, type StopListener } from './stop-mirror.ts'
import { verifyMirror, type VerifyPartition } from './verify.ts'

/** How long until an unfinished stop is taken up again: at first, and at most. */
const stopRetryMs = { first: 10, most: 1_000 }
const linkNamePattern = /^[a-zA-Z0-9._-]{1,200}$/

export interface LinkManagerOptions {
  /** Makes the client of a source. Default: over the environment's network. */
  readonly openRemote?: (configs: LinkConfigs, expectedClusterId: string | undefined) => Remote
  readonly onStopStep?: StopListener
}

export class LinkManager implements LinkService {
  readonly #parts: LinkParts
  readonly #secrets: LinkSecrets
  readonly #options: LinkManagerOptions
  readonly #links = new Map<Uuid, Link>()
  readonly #subscription: Disposable
  readonly #stops = new Map<Uuid, Promise<void>>()
  readonly #background = new Set<Promise<unknown>>()
  readonly #abort = new AbortController()
  #lastChange: Promise<unknown> = Promise.resolve()

  /** Starts all links, and completes the stops that were decided before. */
  static open(parts: LinkParts, options: LinkManagerOptions = {}): Promise<LinkManager> {
    const manager = new LinkManager(parts, options)
    for (const image of parts.metadata.image.links.values()) manager.#startLink(image)
    manager.#takeUpStops()
    return Promise.resolve(manager)
  }

  private constructor(parts: LinkParts, options: LinkManagerOptions) {
    this.#secrets = new LinkSecrets(parts.environment)
    this.#parts = parts
    this.#options = options
    this.#subscription = parts.metadata.onImage((image, previous) => {
      if (image.topicsById !== previous.topicsById) for (const link of this.#links.values()) link.reconcile()
    })
  }

  async close(): Promise<void> {
    this.#abort.abort()
    this.#subscription[Symbol.dispose]()
    await Promise.all([...this.#links.values()].map((link) => link.stop()))
    this.#links.clear()
    await Promise.allSettled([...this.#stops.values(), ...this.#background])
  }

  async createLink(request: CreateLink): Promise<LinkDescription> {
    if (!linkNamePattern.test(request.name))
      throw invalid(`got link name '${request.name}', expected 1 to 200 of the characters a-z A-Z 0-9 . _ -`)
    this.#checkNewName(request)
    const texts = new Map([...request.configs].map(([name, value]) => [canonicalName(name), value]))
    const configs = parseLinkConfigs(texts)
    parseServers(configs)
    this.#checkPrefix(configs)
    const sourceClusterId = await this.#sourceClusterId(request, configs)
    const linkId = this.#parts.environment.random.uuid()
    const image: LinkImage = {
      linkId,
      name: request.name,
      sourceClusterId,
      configs: texts,
      secrets: new Map(),
      failure: undefined,
    }
    if (request.validateOnly) return describeLink(image, undefined, [])
    await this.#change(async () => {
      this.#checkNewName(request)
      this.#checkPrefix(configs)
      const records = await Promise.all([...texts].map((config) => this.#recordsOf(linkId, config)))
      await this.#append([record(LinkRecord, { linkId, name: request.name, sourceClusterId }), ...records.flat()])
      this.#startLink(this.#image(request.name))
    })
    return this.describeLink(request.name)
  }

  /** A secret goes into the metadata sealed, and its config names it only. */
  async #recordsOf(linkId: Uuid, [name, value]: readonly [string, string]): Promise<MetadataRecord[]> {
    if (!isSecret(name)) return [record(LinkConfig, { linkId, name, value })]
    const sealed = await this.#secrets.seal({ linkId, name }, value)
    return [record(SealedSecret, { linkId, name, sealed }), record(LinkConfig, { linkId, name, value: name })]
  }

  listLinks(): readonly LinkDescription[] {
    return [...this.#parts.metadata.image.links.keys()].map((name) => this.describeLink(name))
  }

  describeLink(name: string): LinkDescription {
    const image = this.#image(name)
    return describeLink(image, this.#links.get(image.linkId), this.listMirrors(name))
  }

  listLinkConfigs(name: string): readonly LinkConfigEntry[] {
    return describeLinkConfigs(this.#image(name).configs)
  }

  async deleteLink(name: string, options: { readonly force: boolean; readonly validateOnly: boolean }): Promise<void> {
    const live = this.#liveMirrors(this.#image(name).linkId)
    if (live.length > 0 && !options.force)
      throw new LinkServiceError(
        'LINK_HAS_MIRRORS',
        `link '${name}' has mirror topics that are not stopped: ${live.map((topic) => topic.name).join(', ')}`,
      )
    if (options.validateOnly) return
    for (const topic of live) await this.#failOver(topic)
    for (const { topicId } of live) await this.#stops.get(topicId)
    await this.#change(async () => {
      const { linkId } = this.#image(name)
      if (this.#liveMirrors(linkId).length > 0)
        throw new LinkServiceError('LINK_HAS_MIRRORS', `link '${name}' has mirror topics that did not stop`)
      const link = this.#links.get(linkId)
      this.#links.delete(linkId)
      await link?.stop()
      await this.#append([record(RemoveLink, { linkId })])
    })
  }

  async createMirror(linkName: string, request: CreateMirror): Promise<MirrorDescription> {
    const image = this.#image(linkName)
    const link = this.#links.get(image.linkId)
    if (!link || image.failure)
      throw new LinkServiceError('INVALID_REQUEST', `link '${linkName}' is failed: ${image.failure?.reason ?? ''}`)
    const inTurn = <T>(work: () => Promise<T>): Promise<T> => this.#change(work)
    const name = await createMirrorTopic(this.#parts, { link, image, inTurn }, request)
    return this.describeMirror(linkName, name)
  }

  listMirrors(linkName?: string): readonly MirrorDescription[] {
    const wanted = linkName === undefined ? undefined : this.#image(linkName).linkId
    const descriptions: MirrorDescription[] = []
    for (const topic of this.#parts.metadata.image.topics.values()) {
      if (!isMirror(topic) || (wanted !== undefined && topic.mirror.linkId !== wanted)) continue
      const description = this.#describe(topic)
      if (description) descriptions.push(description)
    }
    return descriptions
  }

  describeMirror(linkName: string, mirrorTopicName: string): MirrorDescription {
    const topic = this.#mirrorTopic(linkName, mirrorTopicName)
    const description = topic && this.#describe(topic)
    if (!description) throw mirrorNotFound(linkName, mirrorTopicName)
    return description
  }

  async changeMirrors(
    linkName: string,
    verb: MirrorVerb,
    topics: { readonly names: readonly string[] } | { readonly pattern: string },
    options: { readonly validateOnly: boolean },
  ): Promise<readonly MirrorChange[]> {
    const names = 'names' in topics ? topics.names : this.#matching(linkName, topics.pattern)
    const changes: MirrorChange[] = []
    this.#image(linkName)
    for (const name of names) changes.push(await this.#changeMirror(linkName, name, { verb, ...options }))
    return changes
  }

  verify(linkName: string, mirrorTopicName: string, signal: AbortSignal): AsyncIterable<VerifyEvent> {
    const topic = this.#mirrorTopic(linkName, mirrorTopicName)
    const link = topic && this.#links.get(topic.mirror.linkId)
    const open = topic && this.#parts.topics.findById(topic.topicId)
    if (!topic || !link || !open) throw mirrorNotFound(linkName, mirrorTopicName)
    const { environment, logs, memory, metrics } = this.#parts
    const { mirror } = topic
    const isEnded = mirror.state === 'STOPPED' || mirror.state === 'PENDING_STOPPED'
    const partitions = open.partitions.flatMap(({ partitionIndex, log }): VerifyPartition[] => {
      if (!isEnded) return [{ partitionIndex, log, endOffset: undefined }]
      // A partition that was added after the stop never was a mirror.
      const ended = mirror.ends.find((end) => end.partitionIndex === partitionIndex)
      return ended ? [{ partitionIndex, log, endOffset: ended.endOffset }] : []
    })
    const task = {
      sourceTopicName: mirror.sourceTopicName,
      sourceTopicId: mirror.sourceTopicId,
      isCompacted: open.config.cleanupPolicy.compact,
      partitions,
    }
    const parts = { remote: link.remote, logs, clock: environment.clock, logger: environment.logger, memory, metrics }
    return verifyMirror(parts, task, signal)
  }

  #image(name: string): LinkImage {
    const image = this.#parts.metadata.image.links.get(name)
    if (image) return image
    throw new LinkServiceError(
      'LINK_NOT_FOUND',
      `The cluster link doesn't exist: Cluster link '${name}' does not exist.`,
    )
  }

  #mirrorTopic(linkName: string, name: string): MirrorTopicImage | undefined {
    const { linkId } = this.#image(linkName)
    const topic = this.#parts.metadata.image.topics.get(name)
    return topic && isMirror(topic) && topic.mirror.linkId === linkId ? topic : undefined
  }

  #describe(topic: MirrorTopicImage): MirrorDescription | undefined {
    const image = this.#parts.metadata.image.linksById.get(topic.mirror.linkId)
    return image && describeMirror(this.#parts, { topic, link: this.#links.get(image.linkId), image })
  }

  #liveMirrors(linkId: Uuid): TopicImage[] {
    const topics = [...this.#parts.metadata.image.topics.values()]
    return topics.filter(({ mirror }) => mirror?.linkId === linkId && mirror.state !== 'STOPPED')
  }

  /** A pattern matches whole names, as in Confluent's API. */
  #matching(linkName: string, pattern: string): string[] {
    let expression: RegExp
    try {
      expression = new RegExp(`^(?:${pattern})$`, 'u')
    } catch (error) {
      throw invalid(`got pattern '${pattern}', expected a regular expression: ${String(error)}`)
    }
    const names = this.listMirrors(linkName).map(({ mirrorTopicName }) => mirrorTopicName)
    return names.filter((name) => expression.test(name))
  }

  #checkNewName({ name }: CreateLink): void {
    if (this.#parts.metadata.image.links.has(name))
      throw new LinkServiceError('LINK_EXISTS', `Cluster link '${name}' already exists.`)
  }

  /** Two links with one prefix would want the same mirror names. */
  #checkPrefix({ clusterLinkPrefix: prefix }: LinkConfigs): void {
    if (prefix === '') return
    for (const { name, configs } of this.#parts.metadata.image.links.values()) {
      if (configs.get('cluster.link.prefix') === prefix)
        throw new LinkServiceError('INVALID_CONFIG', `prefix '${prefix}' of link '${name}': prefix already exists`)
    }
  }

  async #sourceClusterId({ sourceClusterId, validateLink = true }: CreateLink, configs: LinkConfigs): Promise<string> {
    if (sourceClusterId === this.#parts.metadata.image.clusterId) throw ownCluster(sourceClusterId)
    if (!validateLink) return sourceClusterId ?? ''
    const remote = this.#openRemote(configs, sourceClusterId)
    try {
      const result = await remote.refresh([], this.#abort.signal)
      if (!result.ok) throw unreachable(result)
      const { clusterId } = result.metadata
      if (clusterId === this.#parts.metadata.image.clusterId) throw ownCluster(clusterId)
      return clusterId
    } finally {
      remote.close()
    }
  }

  #openRemote(configs: LinkConfigs, expectedClusterId: string | undefined): Remote {
    if (this.#options.openRemote) return this.#options.openRemote(configs, expectedClusterId)
    return new RemoteCluster(this.#parts.environment, {
      bootstrapServers: parseServers(configs),
      clientId: configs.clientId,
      ...(expectedClusterId && { expectedClusterId }),
      requestTimeoutMs: configs.requestTimeoutMs,
      reconnectBackoffMs: Number(configs.reconnectBackoffMs),
      reconnectBackoffMaxMs: Number(configs.reconnectBackoffMaxMs),
    })
  }

  #startLink(image: LinkImage): void {
    const configs = parseLinkConfigs(image.configs)
    const remote = this.#openRemote(configs, image.sourceClusterId === '' ? undefined : image.sourceClusterId)
    const link = new Link(image, this.#parts, {
      remote,
      events: {
        onWrongCluster: (failed, reason) => this.#inBackground(this.#failLink(failed, reason)),
        onClusterId: (reached, clusterId) => this.#inBackground(this.#noteReached(reached, clusterId)),
        onMirrorFailed: (topicId, error, reason) => this.#inBackground(this.#failMirror(topicId, error, reason)),
      },
    })
    this.#links.set(image.linkId, link)
    link.reconcile()
    link.start()
  }

  /** Another cluster answers at the source's address: nothing of it may get into a mirror. */
  #failLink(link: Link, reason: string): Promise<void> {
    return this.#change(async () => {
      const image = this.#parts.metadata.image.linksById.get(link.linkId)
      if (!image || image.failure?.reason === reason) return
      this.#parts.environment.logger.error({ link: image.name, reason }, 'link failed')
      await this.#append([record(LinkFailure, { linkId: link.linkId, code: 'UNKNOWN', reason })])
    })
  }

  /** Pins the cluster id of a link that was created without looking; clears the failure of one that is right again. */
  async #noteReached(link: Link, clusterId: string): Promise<void> {
    const image = this.#parts.metadata.image.linksById.get(link.linkId)
    if (!image || (image.sourceClusterId !== '' && !image.failure)) return
    await this.#change(async () => {
      const records: MetadataRecord[] = []
      if (image.sourceClusterId === '')
        records.push(record(LinkRecord, { linkId: link.linkId, name: image.name, sourceClusterId: clusterId }))
      if (image.failure) records.push(record(LinkFailure, { linkId: link.linkId, code: '' }))
      await this.#append(records)
    })
  }

  #failMirror(topicId: Uuid, error: MirrorTopicError, reason: string): Promise<void> {
    return this.#change(async () => {
      const topic = this.#parts.metadata.image.topicsById.get(topicId)
      if (!topic?.mirror || mirrorMoves[topic.mirror.state].fail === undefined) return
      this.#parts.environment.logger.error({ topic: topic.name, code: error, reason }, 'mirror failed')
      await this.#append([record(MirrorState, { topicId, state: 'FAILED', sinceMs: this.#nowMs(), error, reason })])
    })
  }

  async #changeMirror(
    linkName: string,
    name: string,
    { verb, validateOnly }: { verb: MirrorVerb; validateOnly: boolean },
  ): Promise<MirrorChange> {
    const refused = (errorCode: number, errorMessage: string): MirrorChange => ({
      mirrorTopicName: name,
      errorCode,
      errorMessage,
      partitions: [],
    })
    const topic = this.#mirrorTopic(linkName, name)
    if (!topic) return refused(404, mirrorNotFound(linkName, name).message)
    const { state } = topic.mirror
    if (state === 'STOPPED') return refused(400, `Topic '${name}' has already stopped its mirror from '${linkName}'`)
    if (mirrorMoves[state][verb] === undefined) return refused(400, `Topic '${name}' is ${state}: cannot ${verb} it`)
    if (!validateOnly) {
      if (verb === 'failover') await this.#failOver(topic)
      else await this.#setState(topic, verb)
    }
    const after = this.#parts.metadata.image.topicsById.get(topic.topicId)
    const partitions = after && isMirror(after) ? (this.#describe(after)?.partitions ?? []) : []
    return { mirrorTopicName: name, errorCode: null, errorMessage: null, partitions }
  }

  #setState({ topicId }: TopicImage, verb: 'pause' | 'resume'): Promise<void> {
    return this.#change(async () => {
      const mirror = this.#parts.metadata.image.topicsById.get(topicId)?.mirror
      const state = mirror && mirrorMoves[mirror.state][verb]
      if (!state || state === mirror.state) return
      await this.#append([record(MirrorState, { topicId, state, sinceMs: this.#nowMs() })])
    })
  }

  /** Decides the stop; the steps after the decision follow in the background. */
  async #failOver({ topicId }: TopicImage): Promise<void> {
    const link = this.#linkOf(topicId)
    await link?.release(topicId)
    await this.#change(async () => {
      const topic = this.#parts.metadata.image.topicsById.get(topicId)
      if (!topic?.mirror || topic.mirror.state === 'PENDING_STOPPED' || topic.mirror.state === 'STOPPED') return
      const id = this.#parts.environment.random.uuid()
      const result = await decideStop(this.#parts, topic, { id, kind: 'failover' })
      if (!result.ok) {
        link?.takeBack(topicId)
        throw invalid(`the decision could not be stored: ${result.message}`)
      }
      this.#options.onStopStep?.('decided', topicId)
    })
    this.#takeUpStops()
  }

  #linkOf(topicId: Uuid): Link | undefined {
    const linkId = this.#parts.metadata.image.topicsById.get(topicId)?.mirror?.linkId
    return linkId === undefined ? undefined : this.#links.get(linkId)
  }

  #takeUpStops(): void {
    for (const { topicId, mirror } of this.#parts.metadata.image.topics.values()) {
      if (mirror?.state !== 'PENDING_STOPPED' || this.#stops.has(topicId)) continue
      const stop = this.#completeStop(topicId).finally(() => this.#stops.delete(topicId))
      this.#stops.set(topicId, stop)
      this.#inBackground(stop)
    }
  }

  async #completeStop(topicId: Uuid): Promise<void> {
    const { clock, logger } = this.#parts.environment
    const { signal } = this.#abort
    for (let retryInMs = stopRetryMs.first; !signal.aborted; retryInMs = Math.min(retryInMs * 2, stopRetryMs.most)) {
      const failure = await completeStop(this.#parts, topicId, this.#options.onStopStep)
      if (failure === undefined) return
      logger.error({ topicId, reason: failure, retryInMs }, 'mirror not stopped yet')
      await clock.sleep(retryInMs, signal)
    }
  }

  #nowMs(): bigint {
    return BigInt(Math.floor(this.#parts.environment.clock.nowMs()))
  }

  /** Changes run one after the other: each sees the image that the one before left. */
  #change<T>(work: () => Promise<T>): Promise<T> {
    const result = this.#lastChange.then(work)
    this.#lastChange = result.catch(() => undefined)
    return result
  }

  async #append(records: readonly MetadataRecord[]): Promise<void> {
    const result = await this.#parts.metadata.append(records)
    if (!result.ok) throw invalid(`the change could not be stored: ${result.message}`)
  }

  #inBackground(work: Promise<unknown>): void {
    const watched = work
      .catch((error: unknown) => this.#parts.environment.logger.error({ err: error }, 'work of a link broke off'))
      .finally(() => this.#background.delete(watched))
    this.#background.add(watched)
  }
}

function isMirror(topic: TopicImage): topic is MirrorTopicImage {
  return topic.mirror !== undefined
}

function parseServers(configs: LinkConfigs): ReturnType<typeof parseBootstrapServers> {
  if (configs.bootstrapServers.length === 0)
    throw new LinkServiceError(
      'INVALID_CONFIG',
      'bootstrap.servers is missing: expected host:port, several with commas',
    )
  try {
    return parseBootstrapServers(configs.bootstrapServers.join(','))
  } catch (error) {
    throw new LinkServiceError('INVALID_CONFIG', error instanceof Error ? error.message : String(error), {
      cause: error,
    })
  }
}

function mirrorNotFound(linkName: string, name: string): LinkServiceError {
  return new LinkServiceError('MIRROR_NOT_FOUND', `there is no mirror topic '${name}' at link '${linkName}'`)
}

function ownCluster(clusterId: string): LinkServiceError {
  return new LinkServiceError(
    'INVALID_REQUEST',
    `cluster ${clusterId} is this one: a link needs another cluster as source`,
  )
}

function invalid(message: string): LinkServiceError {
  return new LinkServiceError('INVALID_REQUEST', message)
}
