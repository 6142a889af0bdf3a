import assert from 'node:assert/strict'
import type { Uuid } from '../../protocol/schema.ts'
import {
  ConfigRecord,
  PartitionChangeRecord,
  PartitionRecord,
  RemoveTopicRecord,
  TopicRecord,
} from '../../protocol/state/metadata-records.ts'
import { nextLeaderEpoch } from '../../storage/leader-epochs.ts'
import type { LogHandle, LogStore } from '../../storage/log-store.ts'
import { withDynamicConfigs, type BrokerConfig } from '../config/broker-config.ts'
import { topicConfigOf } from '../config/topic-config.ts'
import type { Environment } from '../environment/environment.ts'
import { errorNameOfStorageCode, KafkaError } from '../errors.ts'
import {
  record,
  type MetadataImage,
  type MetadataRecord,
  type MetadataStore,
  type PartitionImage,
  type TopicImage,
} from '../metadata/metadata-store.ts'
import { followBrokers, reassign, type PartitionChange } from './elections.ts'
import type { LiveBrokers } from './live-brokers.ts'
import { placeMore, placeTopic, type PlacementOptions } from './placement.ts'
import { checkNewName } from './topic-names.ts'
import type { NewTopic, Topic, Topics } from './topics.ts'

export interface TopicRegistryParts {
  readonly environment: Pick<Environment, 'random' | 'logger'>
  readonly brokers: LiveBrokers
  readonly config: BrokerConfig
  readonly metadata: MetadataStore
  readonly logs: LogStore
}

const topicResource = 2
/** Elections after a broker went are written in pieces: each is one batch of the metadata log. */
const changesPerAppend = 1_000

/** Only the link of a mirror that was not stopped writes to it. */
export function isReadOnly(image: TopicImage): boolean {
  return image.mirror !== undefined && image.mirror.state !== 'STOPPED'
}

/**
 * The topics of the metadata image, with their open logs. A topic is found from when its logs are open until its
 * removal is durable. Changes run one after the other, so that each is checked against the image it will change.
 */
export class TopicRegistry implements Topics {
  readonly #parts: TopicRegistryParts
  readonly #byName = new Map<string, Topic>()
  readonly #byId = new Map<Uuid, Topic>()
  readonly #subscription: Disposable
  #brokerConfig: BrokerConfig
  #lastChange: Promise<unknown> = Promise.resolve()

  /**
   * Opens the logs of all topics. After an unclean stop the leader epoch of each log of our own is raised before
   * anything can be appended: what was lost must never be written again under the same epoch.
   *
   * @throws KafkaError KAFKA_STORAGE_ERROR when the metadata log does not take the new epochs.
   */
  static async open(parts: TopicRegistryParts, options: { readonly wasClean: boolean }): Promise<TopicRegistry> {
    const registry = new TopicRegistry(parts)
    for (const image of parts.metadata.image.topics.values()) await registry.#openLogs(image)
    if (!options.wasClean) await registry.#raiseLeaderEpochs()
    await registry.followBrokers()
    return registry
  }

  private constructor(parts: TopicRegistryParts) {
    this.#parts = parts
    this.#brokerConfig = configWith(parts.metadata.image, parts.config)
    this.#subscription = parts.metadata.onImage((image, previous) => this.#follow(image, previous))
  }

  get brokerConfig(): BrokerConfig {
    return this.#brokerConfig
  }

  find(name: string): Topic | undefined {
    return this.#byName.get(name)
  }

  findById(topicId: Uuid): Topic | undefined {
    return this.#byId.get(topicId)
  }

  list(): Iterable<Topic> {
    return this.#byName.values()
  }

  close(): void {
    this.#subscription[Symbol.dispose]()
  }

  create(topic: NewTopic): Promise<TopicImage> {
    return this.#change(() => this.#create(topic))
  }

  delete(topicId: Uuid): Promise<void> {
    return this.#change(async () => {
      const image = this.#imageOf(topicId)
      await this.#append([record(RemoveTopicRecord, { topicId: image.topicId })])
      const dropped = await this.#parts.logs.drop(topicId)
      // The topic is gone for good; what stays of its folders is no log of any topic.
      if (!dropped.ok)
        this.#parts.environment.logger.warn(
          { topic: image.name, code: dropped.code, reason: dropped.message },
          'files of a deleted topic stay',
        )
    })
  }

  addPartitions(
    topicId: Uuid,
    partitionCount: number,
    assignments?: readonly (readonly number[])[],
    options: { readonly validateOnly?: boolean } = {},
  ): Promise<void> {
    return this.#change(async () => {
      const image = this.#imageOf(topicId)
      const before = { partitionCount: image.partitions.length, replicaCount: image.partitions[0]!.replicas.length }
      if (partitionCount <= before.partitionCount) throw tooFewPartitions(image, partitionCount)
      const replicas = placeMore(before, partitionCount, assignments, this.#placement())
      if (options.validateOnly) return
      await this.#append(
        replicas.map((nodeIds, index) => partitionRecord(topicId, before.partitionCount + index, nodeIds)),
      )
      await this.#openLogs(this.#imageOf(topicId))
    })
  }

  setConfigs(topicId: Uuid, configs: ReadonlyMap<string, string>): Promise<void> {
    return this.changeConfigs(topicId, () => configs)
  }

  changeConfigs(topicId: Uuid, next: (now: ReadonlyMap<string, string>) => ReadonlyMap<string, string>): Promise<void> {
    return this.#change(async () => {
      const image = this.#imageOf(topicId)
      const configs = next(image.configs)
      const records: MetadataRecord[] = []
      for (const name of image.configs.keys()) {
        if (!configs.has(name)) records.push(configRecord(image.name, name, null))
      }
      for (const [name, value] of configs) {
        if (image.configs.get(name) !== value) records.push(configRecord(image.name, name, value))
      }
      if (records.length > 0) await this.#append(records)
    })
  }

  followBrokers(): Promise<void> {
    return this.#change(async () => {
      const { metadata, brokers } = this.#parts
      const changes = [...metadata.image.topicsById.values()].flatMap((topic) =>
        topic.partitions.flatMap((partition) => followBrokers(topic, partition, brokers) ?? []),
      )
      await this.#changePartitions(changes)
    })
  }

  reassign(topicId: Uuid, partitionIndex: number, replicas: readonly number[]): Promise<void> {
    return this.#change(async () => {
      const { brokers } = this.#parts
      const change = reassign(this.#imageOf(topicId), this.#partitionOf(topicId, partitionIndex), replicas, brokers)
      if (change) await this.#changePartitions([change])
    })
  }

  electLeader(topicId: Uuid, partitionIndex: number, leader: number): Promise<void> {
    return this.#change(async () => {
      const partition = this.#partitionOf(topicId, partitionIndex)
      if (partition.leader === leader) throw new KafkaError('ELECTION_NOT_NEEDED')
      if (!partition.isr.includes(leader) || !this.#parts.brokers.isAlive(leader)) {
        const isr = partition.isr.join(', ')
        throw new KafkaError('ELIGIBLE_LEADERS_NOT_AVAILABLE', `got leader ${leader}, expected one in sync: ${isr}`)
      }
      await this.#changePartitions([{ topicId, partitionIndex, leader, isr: partition.isr }])
    })
  }

  #partitionOf(topicId: Uuid, partitionIndex: number): PartitionImage {
    const { name, partitions } = this.#imageOf(topicId)
    const partition = partitions[partitionIndex]
    if (partition) return partition
    const message = `topic ${name} has ${partitions.length} partitions, got partition ${partitionIndex}`
    throw new KafkaError('UNKNOWN_TOPIC_OR_PARTITION', message)
  }

  /** Resolves when the new leaders can append under their epochs. */
  async #changePartitions(changes: readonly PartitionChange[]): Promise<void> {
    for (let from = 0; from < changes.length; from += changesPerAppend) {
      const some = changes.slice(from, from + changesPerAppend)
      await this.#append(
        some.map(({ topicId, partitionIndex: partitionId, ...changed }) =>
          record(PartitionChangeRecord, { topicId, partitionId, ...changed }),
        ),
      )
      for (const { topicId, partitionIndex, leader } of some) {
        const topic = this.#byId.get(topicId)
        const partition = topic?.partitions[partitionIndex]
        if (leader === undefined || !topic || topic.isReadOnly || !partition) continue
        await this.#raiseLogEpoch(partition.log, topic.image.partitions[partitionIndex]!.leaderEpoch)
      }
    }
  }

  #change<T>(work: () => Promise<T>): Promise<T> {
    const result = this.#lastChange.then(work)
    this.#lastChange = result.catch(() => undefined)
    return result
  }

  async #create(topic: NewTopic): Promise<TopicImage> {
    const { metadata, environment } = this.#parts
    if (metadata.image.topics.has(topic.name))
      throw new KafkaError('TOPIC_ALREADY_EXISTS', `Topic '${topic.name}' already exists.`)
    checkNewName(topic.name, metadata.image.topics.keys())
    const replicas = placeTopic(topic, this.#placement())
    const topicId = topic.topicId ?? environment.random.uuid()
    if (topic.validateOnly) return imageOfDraft(topic, topicId, replicas)
    await this.#append([
      record(TopicRecord, { name: topic.name, topicId }),
      ...replicas.map((nodeIds, index) => partitionRecord(topicId, index, nodeIds)),
      ...[...(topic.configs ?? [])].map(([name, value]) => configRecord(topic.name, name, value)),
      ...(topic.extraRecords ?? []),
    ])
    const image = this.#imageOf(topicId)
    try {
      await this.#openLogs(image)
    } catch (error) {
      await this.#append([record(RemoveTopicRecord, { topicId })])
      await this.#parts.logs.drop(topicId)
      throw error
    }
    return image
  }

  #placement(): PlacementOptions {
    const { config, brokers } = this.#parts
    return {
      nodeIds: brokers.alive(),
      replicationFactorDefault: config.defaultReplicationFactor,
      isRelaxed: config.relaxedReplicationFactor,
    }
  }

  #imageOf(topicId: Uuid): TopicImage {
    const image = this.#parts.metadata.image.topicsById.get(topicId)
    if (!image) throw new KafkaError('UNKNOWN_TOPIC_ID')
    return image
  }

  async #append(records: readonly MetadataRecord[]): Promise<void> {
    const result = await this.#parts.metadata.append(records)
    if (!result.ok) throw new KafkaError('KAFKA_STORAGE_ERROR', result.message)
  }

  /** Creates the logs of a topic, or opens what is there, and makes the topic found. */
  async #openLogs(image: TopicImage): Promise<void> {
    const { logs } = this.#parts
    const created = await logs.create({
      topicId: image.topicId,
      name: image.name,
      partitions: image.partitions.map(({ partitionIndex, leaderEpoch }) => ({ partitionIndex, leaderEpoch })),
      config: topicConfigOf(image.configs, this.#brokerConfig),
      isMirror: isReadOnly(image),
    })
    if (!created.ok) throw new KafkaError(errorNameOfStorageCode[created.code], created.message)
    const latest = this.#parts.metadata.image.topicsById.get(image.topicId)
    if (latest) this.#resolve(latest)
  }

  /** Takes over what the metadata log says. A topic that is new there is found once its logs are open. */
  #follow(image: MetadataImage, previous: MetadataImage): void {
    const hasNewDefaults = image.brokerConfigs !== previous.brokerConfigs
    if (hasNewDefaults) this.#brokerConfig = configWith(image, this.#parts.config)
    if (image.topicsById === previous.topicsById && !hasNewDefaults) return
    for (const [topicId, topic] of previous.topicsById) {
      if (!image.topicsById.has(topicId)) this.#forget(topic)
    }
    for (const [topicId, topic] of image.topicsById) {
      const known = this.#byId.get(topicId)
      if (known && (known.image !== topic || hasNewDefaults)) this.#resolve(topic, hasNewDefaults)
    }
  }

  #forget({ name, topicId }: TopicImage): void {
    if (this.#byName.get(name)?.image.topicId === topicId) this.#byName.delete(name)
    this.#byId.delete(topicId)
  }

  /** Builds the topic anew from its image and the logs that are open. */
  #resolve(image: TopicImage, hasNewDefaults = false): void {
    const { logs } = this.#parts
    const before = this.#byId.get(image.topicId)
    const isSame = before && before.image.configs === image.configs && !hasNewDefaults
    const typed = isSame ? before.config : topicConfigOf(image.configs, this.#brokerConfig)
    if (before && typed !== before.config) logs.configure(image.topicId, typed)
    const partitions: Topic['partitions'][number][] = []
    const topic: Topic = { image, config: typed, partitions, isReadOnly: isReadOnly(image) }
    for (const { partitionIndex, leaderEpoch } of image.partitions) {
      const log = logs.find({ topicId: image.topicId, partitionIndex })
      if (!log) break // added a moment ago: its log is being created
      partitions.push({ topic, partitionIndex, log })
      if (!topic.isReadOnly && logs.view(log).leaderEpoch < leaderEpoch) this.#raiseLogEpochLater(log, leaderEpoch)
    }
    this.#byName.set(image.name, topic)
    this.#byId.set(image.topicId, topic)
  }

  #raiseLogEpochLater(log: LogHandle, leaderEpoch: number): void {
    this.#lastChange = this.#lastChange.then(() => this.#raiseLogEpoch(log, leaderEpoch))
  }

  async #raiseLogEpoch(log: LogHandle, leaderEpoch: number): Promise<void> {
    const raised = await this.#parts.logs.raiseLeaderEpoch(log, leaderEpoch)
    if (!raised.ok && raised.code !== 'UNKNOWN_LOG')
      this.#parts.environment.logger.error(
        { partition: log.label, leaderEpoch, code: raised.code, reason: raised.message },
        'leader epoch not raised',
      )
  }

  async #raiseLeaderEpochs(): Promise<void> {
    const { logs } = this.#parts
    const own = [...this.#byId.values()].filter((topic) => !topic.isReadOnly).flatMap((topic) => topic.partitions)
    const records = own.map(({ topic, partitionIndex, log }) => {
      const { topicId } = topic.image
      const partition = topic.image.partitions[partitionIndex]!
      const lastEpoch = logs.view(log).leaderEpoch
      const { leader } = partition
      if (partition.leaderEpoch >= lastEpoch)
        return record(PartitionChangeRecord, { partitionId: partitionIndex, topicId, leader })
      // The log knows later epochs (those of a mirror's source): a change record raises by one only.
      const epochs = { leaderEpoch: nextLeaderEpoch(lastEpoch), partitionEpoch: partition.partitionEpoch + 1 }
      const { replicas, isr } = partition
      return record(PartitionRecord, {
        ...partitionValue(topicId, partitionIndex, replicas),
        leader,
        isr,
        ...epochs,
      })
    })
    if (records.length === 0) return
    await this.#append(records)
    for (const { topic, partitionIndex, log } of own) {
      const { leaderEpoch } = this.#imageOf(topic.image.topicId).partitions[partitionIndex]!
      const raised = await logs.raiseLeaderEpoch(log, leaderEpoch)
      if (!raised.ok) throw new KafkaError(errorNameOfStorageCode[raised.code], raised.message)
      assert(raised.leaderEpoch >= leaderEpoch)
    }
  }
}

/** Brokers of one process share their logs: the values of the first one count beside those of all. */
function configWith({ brokerConfigs }: MetadataImage, config: BrokerConfig): BrokerConfig {
  return withDynamicConfigs(config, [brokerConfigs.get(''), brokerConfigs.get(String(config.nodeId))])
}

function partitionValue(topicId: Uuid, partitionIndex: number, replicas: readonly number[]) {
  return {
    partitionId: partitionIndex,
    topicId,
    replicas,
    isr: replicas,
    removingReplicas: [],
    addingReplicas: [],
    leader: replicas[0]!,
    leaderEpoch: 0,
    partitionEpoch: 0,
    directories: [], // filled in by the metadata log
  }
}

function partitionRecord(topicId: Uuid, partitionIndex: number, replicas: readonly number[]): MetadataRecord {
  return record(PartitionRecord, partitionValue(topicId, partitionIndex, replicas))
}

function configRecord(topicName: string, name: string, value: string | null): MetadataRecord {
  return record(ConfigRecord, { resourceType: topicResource, resourceName: topicName, name, value })
}

/** What a topic would be, for a creation that only validates. */
function imageOfDraft(topic: NewTopic, topicId: Uuid, replicas: readonly (readonly number[])[]): TopicImage {
  const partitions = replicas.map((nodeIds, partitionIndex) => ({
    partitionIndex,
    leader: nodeIds[0]!,
    leaderEpoch: 0,
    partitionEpoch: 0,
    replicas: nodeIds,
    isr: nodeIds,
  }))
  return {
    name: topic.name,
    topicId,
    isInternal: false,
    partitions,
    configs: topic.configs ?? new Map(),
    mirror: undefined,
  }
}

function tooFewPartitions(image: TopicImage, partitionCount: number): KafkaError {
  const count = image.partitions.length
  if (partitionCount === count) return new KafkaError('INVALID_PARTITIONS', `Topic already has ${count} partition(s).`)
  return new KafkaError(
    'INVALID_PARTITIONS',
    `The topic ${image.name} currently has ${count} partition(s); ${partitionCount} would not be an increase.`,
  )
}
