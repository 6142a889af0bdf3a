/** What the HTTP API needs of a broker. */
import type { LogStore } from '../../storage/log-store.ts'
import type { Environment } from '../environment/environment.ts'
import type { LinkService } from '../links/link-service.ts'
import type { MetadataStore } from '../metadata/metadata-store.ts'
import type { BrokerControl } from '../topics/live-brokers.ts'
import type { Topics } from '../topics/topics.ts'

export interface HttpParts {
  readonly environment: Pick<Environment, 'logger'>
  readonly metadata: MetadataStore
  readonly topics: Topics
  readonly logs: LogStore
  readonly links: LinkService
  /** The brokers of the process, to be taken down and up. */
  readonly control: BrokerControl
  /** The brokers that live, as clients reach them. */
  endpoints(): readonly { readonly nodeId: number; readonly host: string; readonly port: number }[]
}
