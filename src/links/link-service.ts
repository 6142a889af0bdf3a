/**
 * Links and mirror topics as HTTP and the CLI see them. Names, states and errors are those of Confluent's REST v3 API.
 */
import type { Uuid } from '../../protocol/schema.ts'

export type LinkState = 'ACTIVE' | 'FAILED' | 'UNAVAILABLE' | 'PAUSED'
export type LinkErrorName =
  | 'NO_ERROR'
  | 'UNKNOWN'
  | 'AUTHENTICATION_ERROR'
  | 'UNRESOLVABLE_BOOTSTRAP_ERROR'
  | 'BOOTSTRAP_TCP_CONNECTION_FAILED_ERROR'
  | 'TIMEOUT_ERROR'
export type MirrorStatus =
  'ACTIVE' | 'PAUSED' | 'LINK_PAUSED' | 'PENDING_STOPPED' | 'STOPPED' | 'SOURCE_UNAVAILABLE' | 'LINK_FAILED' | 'FAILED'
export type MirrorTopicError =
  | 'NO_ERROR'
  | 'UNKNOWN'
  | 'SOURCE_TOPIC_MAY_BE_DELETED'
  | 'SOURCE_TOPIC_ID_CHANGED'
  | 'SOURCE_PARTITIONS_DECREASED'
  | 'NON_MONOTONIC_SOURCE_EPOCH'
  | 'UNEXPECTED_TRUNCATION'
  | 'UNSUPPORTED_MESSAGE_FORMAT'
  | 'ILLEGAL_STATE'

export type ServiceErrorCode =
  | 'LINK_NOT_FOUND'
  | 'LINK_EXISTS'
  | 'LINK_HAS_MIRRORS'
  | 'MIRROR_NOT_FOUND'
  | 'TOPIC_EXISTS'
  | 'SOURCE_TOPIC_NOT_FOUND'
  | 'SOURCE_UNREACHABLE'
  | 'CLUSTER_ID_MISMATCH'
  | 'RENAMING_NOT_SUPPORTED'
  | 'INVALID_CONFIG'
  | 'INVALID_REQUEST'
  | 'NOT_AUTHORIZED'

/** A refused command. The HTTP layer maps the code to status and error_code in a Record. */
export class LinkServiceError extends Error {
  readonly code: ServiceErrorCode

  constructor(code: ServiceErrorCode, message: string, options?: ErrorOptions) {
    super(message, options)
    this.name = 'LinkServiceError'
    this.code = code
  }
}

export interface LinkDescription {
  readonly name: string
  readonly linkId: Uuid
  readonly sourceClusterId: string
  readonly state: LinkState
  readonly error: LinkErrorName
  readonly errorMessage: string | null
  readonly mirrorTopicNames: readonly string[]
  readonly partitionCounts: {
    readonly active: number
    readonly paused: number
    readonly inError: number
    readonly pending: number
  }
}

export interface LinkConfigEntry {
  readonly name: string
  /** null for sensitive values. */
  readonly value: string | null
  readonly isDefault: boolean
  readonly isReadOnly: boolean
  readonly isSensitive: boolean
}

export interface MirrorPartitionDescription {
  readonly partitionIndex: number
  readonly state: 'ACTIVE' | 'PAUSED' | 'PENDING' | 'IN_ERROR' | 'STOPPED'
  /**
   * Records between the mirror's end and the source's high watermark as last seen; -1 before the first fetch; never
   * below -1.
   */
  readonly lag: bigint
  /** The source's high watermark as last seen: every offset below the mirror's end is readable here. */
  readonly lastSourceFetchOffset: bigint
  readonly logStartOffset: bigint
  readonly logEndOffset: bigint
  readonly leaderEpoch: number
  readonly lastFetchMs: number | undefined
  /** Set where the partition is not ACTIVE: why, since when, and when it tries again (wall clock, ms). */
  readonly reason: string | null
  readonly sinceMs: number | null
  readonly nextRetryMs: number | null
}

export interface MirrorDescription {
  readonly linkName: string
  readonly mirrorTopicName: string
  readonly sourceTopicName: string
  readonly sourceTopicId: Uuid
  readonly status: MirrorStatus
  readonly error: MirrorTopicError
  readonly reason: string | null
  readonly stateSinceMs: number
  /** 'weak' where the source has no topic ids, so that a recreation is told by heuristics only. */
  readonly identity: 'strong' | 'weak'
  readonly partitions: readonly MirrorPartitionDescription[]
}

export interface MirrorChange {
  readonly mirrorTopicName: string
  /** null when accepted; 400 or 404 with a message when not. */
  readonly errorCode: number | null
  readonly errorMessage: string | null
  readonly partitions: readonly MirrorPartitionDescription[]
}

export interface CreateLink {
  readonly name: string
  /** The expected cluster id of the source, or undefined: then the one that answers is pinned. */
  readonly sourceClusterId?: string
  readonly configs: ReadonlyMap<string, string>
  readonly validateOnly?: boolean
  /** Connect to the source before creating. Default true. */
  readonly validateLink?: boolean
}

export interface CreateMirror {
  readonly sourceTopicName: string
  readonly mirrorTopicName?: string
  readonly replicationFactor?: number
  readonly configs?: ReadonlyMap<string, string>
}

export interface VerifyDifference {
  readonly partitionIndex: number
  readonly offset: bigint
  readonly kind: 'header' | 'bytes' | 'missing' | 'extra' | 'order' | 'record'
  readonly message: string
}

/** What a verification tells while it runs; the last one is a 'result'. */
export type VerifyEvent =
  | {
      readonly kind: 'progress'
      readonly partitionIndex: number
      readonly fromOffset: bigint
      readonly offset: bigint
      readonly toOffset: bigint
      readonly batches: number
      readonly bytes: number
    }
  | {
      readonly kind: 'result'
      readonly verdict: 'identical' | 'identical-by-record' | 'different' | 'unknown'
      readonly partitions: number
      readonly batches: number
      readonly bytes: number
      readonly durationMs: number
      readonly ranges: readonly {
        readonly partitionIndex: number
        readonly fromOffset: bigint
        readonly toOffset: bigint
      }[]
      readonly firstDifference: VerifyDifference | null
      /** Why it could not tell. */
      readonly message: string | null
    }

export type MirrorVerb = 'failover' | 'pause' | 'resume'

/** The commands. All but `verify` reject with a LinkServiceError; changes resolve when they are durable. */
export interface LinkService {
  createLink(link: CreateLink): Promise<LinkDescription>
  listLinks(): readonly LinkDescription[]
  describeLink(name: string): LinkDescription
  listLinkConfigs(name: string): readonly LinkConfigEntry[]
  deleteLink(name: string, options: { readonly force: boolean; readonly validateOnly: boolean }): Promise<void>

  createMirror(linkName: string, mirror: CreateMirror): Promise<MirrorDescription>
  /** Of one link, or of all. */
  listMirrors(linkName?: string): readonly MirrorDescription[]
  describeMirror(linkName: string, mirrorTopicName: string): MirrorDescription
  /** One result per topic, in order; a refused topic does not stop the others. */
  changeMirrors(
    linkName: string,
    verb: MirrorVerb,
    topics: { readonly names: readonly string[] } | { readonly pattern: string },
    options: { readonly validateOnly: boolean },
  ): Promise<readonly MirrorChange[]>
  /** Compares a mirror with its source while mirroring goes on, in bounded memory. */
  verify(linkName: string, mirrorTopicName: string, signal: AbortSignal): AsyncIterable<VerifyEvent>
  /** Stops all loops; mirrors resume at the next start. */
  close(): Promise<void>
}
