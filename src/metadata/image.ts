/**
 * Builds metadata images by replaying records. An image never changes: each batch of records yields a new one, which
 * shares with the one before everything that no record touched.
 */
import assert from 'node:assert/strict'
import { type RecordOf, type Uuid, zeroUuid } from '../../protocol/schema.ts'
import type {
  ConfigRecord,
  PartitionChangeRecord,
  PartitionRecord,
  ProducerIdsRecord,
  RemoveTopicRecord,
  TopicRecord,
} from '../../protocol/state/metadata-records.ts'
import type {
  ClusterIdentity,
  Link,
  LinkConfig,
  LinkFailure,
  Mirror,
  MirrorState,
  ProducerIdSpace,
  RemoveLink,
  SealedSecret,
} from '../../protocol/state/mirror-records.ts'
import { nextLeaderEpoch } from '../../storage/leader-epochs.ts'
import type {
  LinkImage,
  MetadataImage,
  MetadataRecord,
  MirrorImage,
  MirrorStateName,
  PartitionImage,
  TopicImage,
} from './metadata-store.ts'

/** Topics that clients may not write, and that consumers by pattern don't see. */
const internalTopics: ReadonlySet<string> = new Set(['__consumer_offsets', '__transaction_state'])

export function isInternalTopic(name: string): boolean {
  return internalTopics.has(name)
}

/** The image of an empty log. */
export const emptyImage: MetadataImage = {
  offset: -1n,
  clusterId: '',
  topics: new Map(),
  topicsById: new Map(),
  links: new Map(),
  linksById: new Map(),
  brokerConfigs: new Map(),
  clientMetricsConfigs: new Map(),
  groupConfigs: new Map(),
  nextProducerId: 0n,
}

type Draft<T> = { -readonly [K in keyof T]: T[K] }
type TopicDraft = Omit<Draft<TopicImage>, 'partitions'> & { partitions: PartitionImage[] }

/** Kafka's numbers for what a config belongs to. */
export const resourceTypes = { topic: 2, broker: 4, clientMetrics: 16, group: 32 } as const
/** Where an image keeps the configs of what is no topic, by resource type. */
const configsOfType = { 4: 'brokerConfigs', 16: 'clientMetricsConfigs', 32: 'groupConfigs' } as const
type ConfigsOfType = Pick<MetadataImage, (typeof configsOfType)[keyof typeof configsOfType]>
const noLeaderChange = -2

/**
 * One use: replay records, then `finish`. A record that contradicts the image breaks an assertion, and nothing is kept.
 */
export class ImageBuilder {
  readonly #base: MetadataImage
  /** What was touched; undefined stands for removed. */
  readonly #topics = new Map<Uuid, TopicDraft | undefined>()
  readonly #topicIds = new Map<string, Uuid | undefined>()
  readonly #links = new Map<Uuid, Draft<LinkImage> | undefined>()
  readonly #configs: Draft<ConfigsOfType>
  #clusterId: string
  #nextProducerId: bigint

  constructor(base: MetadataImage) {
    this.#base = base
    const { brokerConfigs, clientMetricsConfigs, groupConfigs } = base
    this.#configs = { brokerConfigs, clientMetricsConfigs, groupConfigs }
    this.#clusterId = base.clusterId
    this.#nextProducerId = base.nextProducerId
  }

  replay({ type, value }: MetadataRecord): void {
    const apply = appliers[type.name]
    assert(apply !== undefined, `no rule for metadata record ${type.name}`)
    apply(this, value as never)
  }

  finish(offset: bigint): MetadataImage {
    const { topics, topicsById } = this.#finishTopics()
    const { links, linksById } = this.#finishLinks()
    const [clusterId, nextProducerId] = [this.#clusterId, this.#nextProducerId]
    return { offset, clusterId, topics, topicsById, links, linksById, ...this.#configs, nextProducerId }
  }

  #finishTopics(): Pick<MetadataImage, 'topics' | 'topicsById'> {
    if (this.#topics.size === 0) return this.#base
    const topics = new Map(this.#base.topics)
    const topicsById = new Map(this.#base.topicsById)
    for (const [topicId, draft] of this.#topics) {
      if (draft) continue
      topics.delete(topicsById.get(topicId)!.name)
      topicsById.delete(topicId)
    }
    for (const [topicId, draft] of this.#topics) {
      if (!draft) continue
      for (let index = 0; index < draft.partitions.length; index++)
        assert(draft.partitions[index] !== undefined, `topic ${draft.name} has no partition ${index}`)
      topics.set(draft.name, draft)
      topicsById.set(topicId, draft)
    }
    return { topics, topicsById }
  }

  #finishLinks(): Pick<MetadataImage, 'links' | 'linksById'> {
    if (this.#links.size === 0) return this.#base
    const linksById = new Map(this.#base.linksById)
    for (const [linkId, draft] of this.#links) {
      if (draft) linksById.set(linkId, draft)
      else linksById.delete(linkId)
    }
    const links = new Map([...linksById.values()].map((link) => [link.name, link]))
    assert.equal(links.size, linksById.size, 'two links have one name')
    return { links, linksById }
  }

  #findTopic(topicId: Uuid): TopicDraft | TopicImage | undefined {
    return this.#topics.has(topicId) ? this.#topics.get(topicId) : this.#base.topicsById.get(topicId)
  }

  /** The topic as a draft, copied from the base at the first touch. */
  #topic(topicId: Uuid): TopicDraft {
    const touched = this.#topics.get(topicId)
    if (touched) return touched
    const image = this.#findTopic(topicId)
    assert(image !== undefined, `no topic has the id ${topicId}`)
    const draft = { ...image, partitions: [...image.partitions] }
    this.#topics.set(topicId, draft)
    return draft
  }

  #topicIdOf(name: string): Uuid | undefined {
    return this.#topicIds.has(name) ? this.#topicIds.get(name) : this.#base.topics.get(name)?.topicId
  }

  #findLink(linkId: Uuid): LinkImage | undefined {
    return this.#links.has(linkId) ? this.#links.get(linkId) : this.#base.linksById.get(linkId)
  }

  #link(linkId: Uuid): Draft<LinkImage> {
    const image = this.#findLink(linkId)
    assert(image !== undefined, `no link has the id ${linkId}`)
    const draft = { ...image }
    this.#links.set(linkId, draft)
    return draft
  }

  setClusterId({ clusterId }: RecordOf<typeof ClusterIdentity>): void {
    this.#clusterId = clusterId
  }

  createTopic({ name, topicId }: RecordOf<typeof TopicRecord>): void {
    assert(this.#topicIdOf(name) === undefined, `there is a topic ${name} already`)
    assert(this.#findTopic(topicId) === undefined, `there is a topic with the id ${topicId} already`)
    this.#topicIds.set(name, topicId)
    const configs = new Map<string, string>()
    this.#topics.set(topicId, {
      name,
      topicId,
      isInternal: isInternalTopic(name),
      partitions: [],
      configs,
      mirror: undefined,
    })
  }

  removeTopic({ topicId }: RecordOf<typeof RemoveTopicRecord>): void {
    const { name } = this.#topic(topicId)
    this.#topicIds.set(name, undefined)
    if (this.#base.topicsById.has(topicId)) this.#topics.set(topicId, undefined)
    else this.#topics.delete(topicId)
  }

  /** Also replaces a partition that is there, which is how a leader epoch rises by more than one. */
  setPartition(record: RecordOf<typeof PartitionRecord>): void {
    const { partitionId: partitionIndex, leader, leaderEpoch, partitionEpoch, replicas, isr } = record
    assert(partitionIndex >= 0, `got partition ${partitionIndex}`)
    const partition = { partitionIndex, leader, leaderEpoch, partitionEpoch, replicas, isr }
    this.#topic(record.topicId).partitions[partitionIndex] = partition
  }

  /** Naming a leader raises the leader epoch; every change raises the partition epoch. */
  changePartition(record: RecordOf<typeof PartitionChangeRecord>): void {
    const topic = this.#topic(record.topicId)
    const before = topic.partitions[record.partitionId]
    assert(before !== undefined, `topic ${topic.name} has no partition ${record.partitionId}`)
    const isElection = record.leader !== noLeaderChange
    topic.partitions[record.partitionId] = {
      partitionIndex: before.partitionIndex,
      leader: isElection ? record.leader : before.leader,
      leaderEpoch: isElection ? nextLeaderEpoch(before.leaderEpoch) : before.leaderEpoch,
      partitionEpoch: before.partitionEpoch + 1,
      replicas: record.replicas ?? before.replicas,
      isr: record.isr ?? before.isr,
    }
  }

  setConfig({ resourceType, resourceName, name, value }: RecordOf<typeof ConfigRecord>): void {
    if (resourceType === resourceTypes.topic) {
      const topicId = this.#topicIdOf(resourceName)
      assert(topicId !== undefined, `config of topic ${resourceName}, which is not there`)
      const topic = this.#topic(topicId)
      topic.configs = changed(topic.configs, name, value)
      return
    }
    assert(Object.hasOwn(configsOfType, resourceType), `no rule for configs of resource type ${resourceType}`)
    const kind = configsOfType[resourceType as keyof typeof configsOfType]
    const configs = changed(this.#configs[kind].get(resourceName) ?? new Map<string, string>(), name, value)
    this.#configs[kind] = changed(this.#configs[kind], resourceName, configs.size === 0 ? null : configs)
  }

  setProducerIdSpace({ high }: RecordOf<typeof ProducerIdSpace>): void {
    assert(high > 0, `got producer id space ${high}, expected 1 or more`)
    this.#nextProducerId = BigInt(high) << 32n
  }

  reserveProducerIds({ nextProducerId }: RecordOf<typeof ProducerIdsRecord>): void {
    assert(
      nextProducerId >= this.#nextProducerId,
      `producer ids go back: got ${nextProducerId}, expected ${this.#nextProducerId} or more`,
    )
    this.#nextProducerId = nextProducerId
  }

  setLink({ linkId, name, sourceClusterId }: RecordOf<typeof Link>): void {
    const before = this.#findLink(linkId)
    const kept = before ?? { configs: new Map(), secrets: new Map(), failure: undefined }
    this.#links.set(linkId, { ...kept, linkId, name, sourceClusterId })
  }

  setLinkConfig({ linkId, name, value }: RecordOf<typeof LinkConfig>): void {
    const link = this.#link(linkId)
    link.configs = changed(link.configs, name, value)
  }

  setSecret({ linkId, name, sealed }: RecordOf<typeof SealedSecret>): void {
    const link = this.#link(linkId)
    // A copy: what was decoded is a view of the whole batch.
    link.secrets = changed(link.secrets, name, sealed && new Uint8Array(sealed))
  }

  setLinkFailure({ linkId, code, reason }: RecordOf<typeof LinkFailure>): void {
    this.#link(linkId).failure = code === '' ? undefined : { code, reason }
  }

  removeLink({ linkId }: RecordOf<typeof RemoveLink>): void {
    this.#link(linkId)
    if (this.#base.linksById.has(linkId)) this.#links.set(linkId, undefined)
    else this.#links.delete(linkId)
  }

  setMirror({ topicId, linkId, sourceTopicName, sourceTopicId }: RecordOf<typeof Mirror>): void {
    this.#topic(topicId).mirror = {
      linkId,
      sourceTopicName,
      sourceTopicId,
      state: 'ACTIVE',
      stateSinceMs: 0n,
      error: 'NO_ERROR',
      reason: '',
      stop: undefined,
      ends: [],
    }
  }

  setMirrorState(record: RecordOf<typeof MirrorState>): void {
    const topic = this.#topic(record.topicId)
    assert(topic.mirror !== undefined, `topic ${topic.name} is no mirror`)
    topic.mirror = {
      ...topic.mirror,
      state: mirrorStateName(record.state),
      stateSinceMs: record.sinceMs,
      error: record.error,
      reason: record.reason,
      stop: stopOf(record),
      ends: record.ends,
    }
  }
}

/** A copy of a map with one entry set, or removed where the value is null. */
function changed<T>(before: ReadonlyMap<string, T>, name: string, value: T | null): ReadonlyMap<string, T> {
  const after = new Map(before)
  if (value === null) after.delete(name)
  else after.set(name, value)
  return after
}

const mirrorStateNames: Record<MirrorStateName, true> = {
  ACTIVE: true,
  PAUSED: true,
  PENDING_STOPPED: true,
  STOPPED: true,
  FAILED: true,
}

function mirrorStateName(text: string): MirrorStateName {
  assert(Object.hasOwn(mirrorStateNames, text), `no state of a mirror: ${text}`)
  return text as MirrorStateName
}

function stopOf({ stopDecisionId, stopKind }: RecordOf<typeof MirrorState>): MirrorImage['stop'] {
  if (stopDecisionId === zeroUuid) return undefined
  assert(stopKind === 'failover' || stopKind === 'promote', `no kind of a stop: ${stopKind}`)
  return { decisionId: stopDecisionId, kind: stopKind }
}

/**
 * What each record does to an image. Those that say nothing an image holds are listed too. A change of ours is one
 * batch, so Kafka's records around a change of several batches have no rule: a log with them is not ours.
 */
const appliers: Readonly<Record<string, (builder: ImageBuilder, value: never) => void>> = {
  FeatureLevelRecord: nothing,
  NoOpRecord: nothing,
  RegisterBrokerRecord: nothing,
  BrokerRegistrationChangeRecord: nothing,
  ClusterIdentity: (builder, value) => builder.setClusterId(value),
  TopicRecord: (builder, value) => builder.createTopic(value),
  RemoveTopicRecord: (builder, value) => builder.removeTopic(value),
  PartitionRecord: (builder, value) => builder.setPartition(value),
  PartitionChangeRecord: (builder, value) => builder.changePartition(value),
  ConfigRecord: (builder, value) => builder.setConfig(value),
  ProducerIdSpace: (builder, value) => builder.setProducerIdSpace(value),
  ProducerIdsRecord: (builder, value) => builder.reserveProducerIds(value),
  Link: (builder, value) => builder.setLink(value),
  LinkConfig: (builder, value) => builder.setLinkConfig(value),
  SealedSecret: (builder, value) => builder.setSecret(value),
  LinkFailure: (builder, value) => builder.setLinkFailure(value),
  RemoveLink: (builder, value) => builder.removeLink(value),
  Mirror: (builder, value) => builder.setMirror(value),
  MirrorState: (builder, value) => builder.setMirrorState(value),
}

function nothing(): void {}
