/** What links use of the broker, and what the parts of a link use of each other. */
import type { Uuid } from '../../protocol/schema.ts'
import type { LogStore } from '../../storage/log-store.ts'
import type { Environment } from '../environment/environment.ts'
import type { MetadataStore } from '../metadata/metadata-store.ts'
import type { BrokerMetrics } from '../metrics/broker-metrics.ts'
import type { MemoryBudget } from '../network/memory-budget.ts'
import type { Remote, RemoteTopic } from '../remote/remote.ts'
import type { Topics } from '../topics/topics.ts'
import type { LinkConfigs } from './link-configs.ts'
import type { MirrorTopicError } from './link-service.ts'
import type { MirrorPartition } from './mirror-partition.ts'

export interface LinkParts {
  readonly nodeId: number
  readonly environment: Environment
  readonly metadata: MetadataStore
  readonly logs: LogStore
  readonly topics: Topics
  readonly memory: MemoryBudget
  readonly metrics?: BrokerMetrics | undefined
}

/** A link as its mirrors see it. */
export interface LinkContext {
  readonly configs: LinkConfigs
  readonly remote: Remote
  /** How often the source is asked for its topics and leaders, in ms. */
  readonly refreshMs: number
  /** Makes the fetcher of a source broker fetch the partition, and no other. */
  assign(partition: MirrorPartition, brokerId: number, topic: RemoteTopic): void
  readinessChanged(partition: MirrorPartition): void
  /** Asks the source for its topics and leaders before the next period is over. */
  refreshSoon(): void
  /** Makes the mirror FAILED, durably. */
  failMirror(topicId: Uuid, error: MirrorTopicError, reason: string): void
}
