/** What the HTTP API needs of a broker. */
import type { Api, RequestInput, ResponseOf } from '../../protocol/schema.ts'
import type { LogStore } from '../../storage/log-store.ts'
import type { Environment } from '../environment/environment.ts'
import type { ListedGroup } from '../groups/group-admin.ts'
import type { FetchedOffsets } from '../groups/offsets.ts'
import type { GroupCoordinators } from '../groups/group-coordinators.ts'
import type { LinkService } from '../links/link-service.ts'
import type { MetadataStore } from '../metadata/metadata-store.ts'
import type { BrokerMetrics } from '../metrics/broker-metrics.ts'
import type { ProcessMetrics } from '../metrics/node-process-metrics.ts'
import type { MemoryBudget } from '../network/memory-budget.ts'
import type { BrokerControl } from '../topics/live-brokers.ts'
import type { Topics } from '../topics/topics.ts'

export interface HttpParts {
  readonly environment: Pick<Environment, 'logger' | 'clock'>
  readonly metadata: MetadataStore
  readonly topics: Topics
  readonly logs: LogStore
  readonly links: LinkService
  readonly memory: MemoryBudget
  readonly metrics: BrokerMetrics
  /** Left out where the process is not watched. */
  readonly processMetrics?: ProcessMetrics
  /** The brokers of the process, to be taken down and up. */
  readonly control: BrokerControl
  readonly groupCoordinators: Pick<GroupCoordinators, 'brokerOf'>
  /** The Kafka APIs of the brokers, by node id. */
  readonly kafka: {
    ask<A extends Api>(nodeId: number, api: A, request: RequestInput<A>): Promise<ResponseOf<A>>
  }
  /** What each broker has to do just now. */
  loads(): readonly {
    readonly nodeId: number
    readonly connectionCount: number
    readonly groups: readonly ListedGroup[]
  }[]
  /** Of a group that the broker coordinates. Rejects with a KafkaError where it does not any more. */
  committedOffsets(nodeId: number, groupId: string): Promise<readonly FetchedOffsets[]>
  /** The brokers that live, as clients reach them. */
  endpoints(): readonly { readonly nodeId: number; readonly host: string; readonly port: number }[]
}
