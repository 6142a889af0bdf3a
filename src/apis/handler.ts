/**
 * What a Kafka API is to the broker: a declaration (`protocol/apis/`) and a handler. `dispatch` decodes, calls,
 * encodes.
 */
import type { Api, RequestOf, ResponseInput } from '../../protocol/schema.ts'
import type { LentMemory, LogStore } from '../../storage/log-store.ts'
import type { BrokerConfig } from '../config/broker-config.ts'
import type { Environment } from '../environment/environment.ts'
import type { KafkaError } from '../errors.ts'
import type { GroupCoordinator } from '../groups/group-coordinator.ts'
import type { GroupCoordinators } from '../groups/group-coordinators.ts'
import type { MetadataStore } from '../metadata/metadata-store.ts'
import type { BrokerMetrics } from '../metrics/broker-metrics.ts'
import type { MemoryBudget } from '../network/memory-budget.ts'
import type { LiveBrokers } from '../topics/live-brokers.ts'
import type { ProducerIds } from '../topics/producer-ids.ts'
import type { Topics } from '../topics/topics.ts'
import type { DeadlineQueue } from '../network/deadline-queue.ts'
import type { FetchSessions } from './fetch-sessions.ts'

/** Where clients reach a broker. */
export interface BrokerEndpoint {
  readonly nodeId: number
  readonly host: string
  readonly port: number
  readonly rack: string | null
}

/** The parts of one broker that handlers use. */
export interface BrokerParts {
  readonly nodeId: number
  readonly environment: Environment
  readonly config: BrokerConfig
  readonly metadata: MetadataStore
  readonly logs: LogStore
  readonly topics: Topics
  readonly producerIds: ProducerIds
  readonly memory: MemoryBudget
  /** What is counted for whoever watches the process. */
  readonly metrics: BrokerMetrics
  readonly deadlines: DeadlineQueue
  readonly fetchSessions: FetchSessions
  /** The groups that this broker coordinates. */
  readonly groups: GroupCoordinator
  /** Which broker coordinates which group. */
  readonly groupCoordinators: GroupCoordinators
  readonly brokers: LiveBrokers
  /** The brokers that live; the first is the controller as far as clients can tell. */
  endpoints(): readonly BrokerEndpoint[]
}

/** What is known of a connection; ApiVersions and SASL fill it in. */
export interface ConnectionInfo {
  readonly id: number
  readonly remoteAddress: string
  clientSoftwareName: string
  clientSoftwareVersion: string
  principal: string
}

/** One request on its way. */
export interface Context {
  readonly broker: BrokerParts
  readonly connection: ConnectionInfo
  readonly apiVersion: number
  readonly clientId: string | null
  /** Aborts when the client is gone or the broker stops. Waiters end then. */
  readonly signal: AbortSignal
  /**
   * Lets the next request of this connection start: call it once the effects of this one are ordered, that is when its
   * append was handed to the store, or when it waits (a long poll). Without a call the next one starts when `handle` is
   * done.
   */
  admitNext(): void
  /** The request was handed to the store: the memory of its frame counts as a queued append until it is answered. */
  countAsAppend(): void
  /**
   * Where the request lies, if that memory may be used again: released by whoever keeps no view of it. Nobody has to.
   */
  readonly frameMemory: LentMemory | undefined
  /**
   * `run` is called once nobody needs what the answer holds any more. It may never be called: then all of it is
   * collected.
   */
  afterAnswer(run: () => void): void
  /** Throws KafkaError for what the principal may not do. Everything is allowed until there is an authorizer. */
  authorize(operation: string, resourceType: string, resourceName: string): void
}

export interface Handler<A extends Api = Api> {
  readonly api: A
  /** What this broker serves, for example `'3-13'`. */
  readonly versions: string
  /** What ApiVersions advertises where it differs from `versions` (Produce, KAFKA-18659). */
  readonly advertised?: string
  /**
   * It tells how things are now, so it is not asked before everything ahead of it on its connection is answered: behind
   * a long poll its answer would be old when it leaves, and clients would go back to leaders that have moved.
   */
  readonly isCurrent?: boolean
  /** Nothing of the connection starts before this one is answered: ApiVersions and the SASL exchange. */
  readonly isBarrier?: boolean
  /** The answer, or undefined where none is sent (Produce with acks 0). */
  handle(request: RequestOf<A>, context: Context): Promise<ResponseInput<A> | undefined> | ResponseInput<A> | undefined
  /**
   * The answer when `handle` throws a KafkaError. Derived where the response has a top-level `errorCode` (and
   * `errorMessage`); only APIs whose codes sit deeper write it.
   */
  fail?(request: RequestOf<A>, error: KafkaError, context: Context): ResponseInput<A> | undefined
}

/** Declares a handler; the identity function, for inference. */
export function defineHandler<A extends Api>(handler: Handler<A>): Handler<A> {
  return handler
}

/**
 * Thrown by a handler that can tell the client about a failure in no other way than by closing its connection: a
 * produce without an answer that failed.
 */
export class CloseConnectionError extends Error {
  constructor(message: string, options?: ErrorOptions) {
    super(message, options)
    this.name = 'CloseConnectionError'
  }
}
