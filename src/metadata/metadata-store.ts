/**
 * The seam of cluster metadata: topics, configs, links, mirrors. One change is one atomic, durable append of records,
 * and all reading is of an immutable image that never waits.
 *
 * Records are Apache Kafka's own `__cluster_metadata` records where Kafka has one, and ours under keys 30000-30099
 * (`protocol/state/`). docs/storage-format.md has the table.
 */
import type { RecordInput, RecordType, Uuid } from '../../protocol/schema.ts'

export interface PartitionImage {
  readonly partitionIndex: number
  readonly leader: number
  readonly leaderEpoch: number
  readonly partitionEpoch: number
  readonly replicas: readonly number[]
  readonly isr: readonly number[]
}

export interface TopicImage {
  readonly name: string
  readonly topicId: Uuid
  readonly isInternal: boolean
  /** Ordered by partition index, without holes. */
  readonly partitions: readonly PartitionImage[]
  /** Overrides only, as text; `src/config/` types them. */
  readonly configs: ReadonlyMap<string, string>
  readonly mirror: MirrorImage | undefined
}

/**
 * States of a mirror topic as persisted; those that only the running link knows (SOURCE_UNAVAILABLE, LINK_PAUSED) are
 * derived.
 */
export type MirrorStateName = 'ACTIVE' | 'PAUSED' | 'PENDING_STOPPED' | 'STOPPED' | 'FAILED'

export interface MirrorPartitionEnd {
  readonly partitionIndex: number
  /** The last mirrored leader epoch, and the offset behind the last mirrored record. */
  readonly leaderEpoch: number
  readonly endOffset: bigint
}

export interface MirrorImage {
  readonly linkId: Uuid
  readonly sourceTopicName: string
  /** The pinned id; the zero uuid where the source has no topic ids. */
  readonly sourceTopicId: Uuid
  readonly state: MirrorStateName
  readonly stateSinceMs: bigint
  /** Why it FAILED: a `mirror_topic_error` of the REST API, else NO_ERROR; and a sentence. */
  readonly error: string
  readonly reason: string
  /** Set from PENDING_STOPPED on: the decision that promote and failover follow to their end. */
  readonly stop: { readonly decisionId: Uuid; readonly kind: 'failover' | 'promote' } | undefined
  /** Set from STOPPED on. */
  readonly ends: readonly MirrorPartitionEnd[]
}

export interface LinkImage {
  readonly linkId: Uuid
  readonly name: string
  /** The pinned cluster id of the source. */
  readonly sourceClusterId: string
  /** As set by the user; defaults are not here. The value of a secret is its own name: see `secrets`. */
  readonly configs: ReadonlyMap<string, string>
  /** Secret configs by name, sealed: `link-secrets.ts` opens them. */
  readonly secrets: ReadonlyMap<string, Uint8Array>
  /** Why the link is failed, or undefined. */
  readonly failure: { readonly code: string; readonly reason: string } | undefined
}

export interface MetadataImage {
  /** The offset of the last record in it. */
  readonly offset: bigint
  readonly clusterId: string
  readonly topics: ReadonlyMap<string, TopicImage>
  readonly topicsById: ReadonlyMap<Uuid, TopicImage>
  readonly links: ReadonlyMap<string, LinkImage>
  readonly linksById: ReadonlyMap<Uuid, LinkImage>
  /** Dynamic broker configs by broker id as text; '' is the cluster-wide default. */
  readonly brokerConfigs: ReadonlyMap<string, ReadonlyMap<string, string>>
  /** Configs of client metrics subscriptions and of groups, by their names. What sets no config is not in here. */
  readonly clientMetricsConfigs: ReadonlyMap<string, ReadonlyMap<string, string>>
  readonly groupConfigs: ReadonlyMap<string, ReadonlyMap<string, string>>
  /** The first producer id that is not reserved yet. */
  readonly nextProducerId: bigint
}

/** A record to append: its declaration (`protocol/state/`), and its value. */
export interface MetadataRecord {
  readonly type: RecordType
  readonly value: Record<string, unknown>
}

/** Pairs a declaration with a value of its type: `record(TopicRecord, { name, topicId })`. */
export function record<T extends RecordType>(type: T, value: RecordInput<T>): MetadataRecord {
  return { type, value: value as Record<string, unknown> }
}

export type MetadataResult =
  | { readonly ok: true; readonly offset: bigint }
  /**
   * CONFLICT: another append came first, look at the image again. NO_SPACE: the disk is full, nothing was changed, and
   * later appends may work. FAILED: the disk; the store is closed for writes.
   */
  | { readonly ok: false; readonly code: 'CONFLICT' | 'NO_SPACE' | 'FAILED' | 'CLOSED'; readonly message: string }

export interface MetadataStore {
  readonly image: MetadataImage
  /**
   * Appends records as one atomic batch, synced before it resolves; the image already contains them then.
   * With `expectedOffset` it is refused with CONFLICT when the image has moved on.
   */
  append(records: readonly MetadataRecord[], options?: { readonly expectedOffset?: bigint }): Promise<MetadataResult>
  /** Called after each change, in order, synchronously. */
  onImage(listener: (image: MetadataImage, previous: MetadataImage) => void): Disposable
  close(): Promise<void>
}
