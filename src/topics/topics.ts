/**
 * Topics as the rest of the broker sees them: the metadata image and the open logs, resolved to each other once per
 * change.
 */
import type { Uuid } from '../../protocol/schema.ts'
import type { LogHandle } from '../../storage/log-store.ts'
import type { BrokerConfig } from '../config/broker-config.ts'
import type { TopicConfig } from '../config/topic-config.ts'
import type { MetadataRecord, TopicImage } from '../metadata/metadata-store.ts'

/**
 * One partition with its open log. A new object after each change of its topic; resolve it per request, never keep it.
 */
export interface Partition {
  readonly topic: Topic
  readonly partitionIndex: number
  readonly log: LogHandle
}

export interface Topic {
  readonly image: TopicImage
  /** Overrides over broker defaults, typed. */
  readonly config: TopicConfig
  /** By partition index. */
  readonly partitions: readonly Partition[]
  /** True from the creation of a mirror until it is STOPPED: only its link writes. */
  readonly isReadOnly: boolean
}

export interface NewTopic {
  readonly name: string
  /** Given only by mirrors and tests; else random. */
  readonly topicId?: Uuid
  readonly partitionCount: number
  readonly replicationFactor?: number
  /** Manual assignment, by partition index. */
  readonly assignments?: readonly (readonly number[])[]
  /** Overrides as text, already validated against the table of topic configs. */
  readonly configs?: ReadonlyMap<string, string>
  /**
   * Records to append in the same atomic batch (the mirror record of a mirror topic). `topicId` is filled in by the
   * caller.
   */
  readonly extraRecords?: readonly MetadataRecord[]
  readonly validateOnly?: boolean
}

/**
 * Creates, deletes and finds topics. Changes resolve when they are durable, the logs are open and `find` sees them, so
 * that a client which was answered can produce at once. They reject with a KafkaError.
 */
export interface Topics {
  /** The broker's configuration, with what was set while it runs: the defaults of topics follow it. */
  readonly brokerConfig: BrokerConfig
  find(name: string): Topic | undefined
  findById(topicId: Uuid): Topic | undefined
  list(): Iterable<Topic>
  create(topic: NewTopic): Promise<TopicImage>
  delete(topicId: Uuid): Promise<void>
  addPartitions(
    topicId: Uuid,
    partitionCount: number,
    assignments?: readonly (readonly number[])[],
    options?: { readonly validateOnly?: boolean },
  ): Promise<void>
  /** Elects leaders, and notes what is in sync, after brokers came or went. */
  followBrokers(): Promise<void>
  /**
   * Rejects with ELECTION_NOT_NEEDED for the leader that it has, ELIGIBLE_LEADERS_NOT_AVAILABLE for one that is not in
   * sync.
   */
  electLeader(topicId: Uuid, partitionIndex: number, leader: number): Promise<void>
  /** Names other brokers for a partition: they have its records already. */
  reassign(topicId: Uuid, partitionIndex: number, replicas: readonly number[]): Promise<void>
  /** Replaces the overrides of a topic (text, validated). */
  setConfigs(topicId: Uuid, configs: ReadonlyMap<string, string>): Promise<void>
  /**
   * Changes the overrides of a topic. `next` gets those that it has once all changes before this one are done, so that
   * none of two changes is lost; what it throws rejects.
   */
  changeConfigs(topicId: Uuid, next: (now: ReadonlyMap<string, string>) => ReadonlyMap<string, string>): Promise<void>
}
