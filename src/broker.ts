/** One broker: opens its parts in order, and closes them in the opposite one. */
import { SegmentLogStore } from '../storage/segment-log-store.ts'
import { TailBudget } from '../storage/tail-cache.ts'
import { openDispatcher } from './apis/dispatch.ts'
import { FetchSessions } from './apis/fetch-sessions.ts'
import type { BrokerEndpoint, BrokerParts } from './apis/handler.ts'
import { handlers } from './apis/index.ts'
import type { BrokerConfig } from './config/broker-config.ts'
import type { Environment, Timer } from './environment/environment.ts'
import { internalTopicsOf, LogCoordinatorStore } from './coordinators/log-coordinator-store.ts'
import { GroupCoordinator } from './groups/group-coordinator.ts'
import { startHttp, type HttpServer } from './http/node-http.ts'
import { LinkManager } from './links/link-manager.ts'
import type { LinkService } from './links/link-service.ts'
import { LogMetadataStore } from './metadata/metadata-log.ts'
import { DeadlineQueue } from './network/deadline-queue.ts'
import { MemoryBudget } from './network/memory-budget.ts'
import { Server, type ServerLimits } from './network/server.ts'
import { ProducerIds } from './topics/producer-ids.ts'
import { TopicRegistry } from './topics/topic-registry.ts'

/** Connections get this long to take the answers they are owed. */
const stopGraceMs = 2_000
/** The part of the memory budget that cached log tails may fill. */
const tailShare = 1 / 4

export interface BrokerOptions {
  readonly config: BrokerConfig
  readonly host: string
  /** 0 picks a free one. */
  readonly port: number
  /** What clients are told to connect to; port 0 stands for the port that is listened at. Default: host and port. */
  readonly advertised?: { readonly host: string; readonly port: number } | undefined
  /** The id of a new cluster, which an old one must have. Default: random, or what it is. */
  readonly clusterId?: string | undefined
  /** Serve the HTTP API there. Left out: there is none, and its code is not loaded. */
  readonly http?: { readonly host: string; readonly port: number } | undefined
}

/** Opens the links and mirrors of a broker. */
export type OpenLinks = (parts: BrokerParts) => Promise<LinkService>

/**
 * Opens a broker on what its disk holds. It serves clients, and then HTTP, when this resolves.
 *
 * @throws DiskError LOCKED, MetadataError, NetworkError. Whatever was opened until then is closed again.
 */
export async function openBroker(
  environment: Environment,
  options: BrokerOptions,
  openLinks: OpenLinks = (parts) => LinkManager.open(parts),
): Promise<Broker> {
  const closers: Closer[] = []
  try {
    return await open(environment, options, openLinks, closers)
  } catch (error) {
    await closeAll(closers)
    throw error
  }
}

type Closer = () => Promise<void> | void

/** Closes everything, also when something can't be closed: the first failure is thrown at the end. */
async function closeAll(closers: Closer[]): Promise<void> {
  const failures: unknown[] = []
  for (let close = closers.pop(); close; close = closers.pop()) {
    try {
      await close()
    } catch (error) {
      failures.push(error)
    }
  }
  if (failures.length > 0) throw failures[0]
}

async function open(
  environment: Environment,
  options: BrokerOptions,
  openLinks: OpenLinks,
  closers: Closer[],
): Promise<Broker> {
  const { config, host } = options
  let port = options.port
  const { parts, topics } = await openParts(environment, options, closers, () => {
    const { host: advertisedHost, port: advertisedPort } = options.advertised ?? { host, port }
    return [
      {
        nodeId: config.nodeId,
        host: advertisedHost,
        port: advertisedPort === 0 ? port : advertisedPort,
        rack: config.brokerRack,
      },
    ]
  })
  const links = await openLinks(parts)
  closers.push(() => links.close())
  const server = await Server.open(
    { host, port },
    {
      environment,
      memory: parts.memory,
      deadlines: parts.deadlines,
      handler: openDispatcher(parts, handlers),
      limits: limitsOf(config),
    },
  )
  port = server.port
  closers.push(() => server.close(stopGraceMs))
  const housekeeping = keepHouse(parts)
  closers.push(() => housekeeping.stop())
  const { http } = options
  const httpServer = http ? await startHttp({ ...http, parts: { ...parts, links } }) : undefined
  if (httpServer) closers.push(() => httpServer.close())
  return new Broker({ parts, topics, host, server, links, httpServer, closers })
}

async function openParts(
  environment: Environment,
  { config, clusterId }: BrokerOptions,
  closers: Closer[],
  endpoints: () => readonly BrokerEndpoint[],
): Promise<{ parts: BrokerParts; topics: TopicRegistry }> {
  const { disk, clock } = environment
  const { nodeId } = config
  const lock = await disk.lock()
  closers.push(() => lock.release())
  const metadata = await LogMetadataStore.open(environment, { nodeId, clusterId })
  closers.push(() => metadata.close())
  const memory = new MemoryBudget({ limitBytes: Number(config.memoryBudgetBytes) })
  const logs = await SegmentLogStore.open({
    disk,
    tailBudget: openTails(memory),
    durable: config.durable,
    producerExpirationMs: BigInt(config.producerIdExpirationMs),
    onLoss: (loss) => environment.logger.warn({ loss }, 'a log lost its end when the broker stopped'),
  })
  closers.push(() => logs.close())
  const deadlines = new DeadlineQueue(clock)
  closers.push(() => deadlines.close())
  const topics = await TopicRegistry.open(
    { environment, nodeId, config, metadata, logs },
    { wasClean: !logs.wasUnclean },
  )
  closers.push(() => topics.close())
  const producerIds = new ProducerIds(metadata, nodeId)
  const fetchSessions = new FetchSessions(config.maxIncrementalFetchSessionCacheSlots, environment)
  const store = new LogCoordinatorStore({ logs, topics, clock, internalTopics: internalTopicsOf(config) })
  const groups = new GroupCoordinator({ environment, config, store, metadata, deadlines })
  closers.push(() => groups.close())
  await groups.load()
  const parts: BrokerParts = {
    nodeId,
    environment,
    config,
    metadata,
    logs,
    topics,
    producerIds,
    memory,
    deadlines,
    fetchSessions,
    groups,
    endpoints,
  }
  return { parts, topics }
}

/** The cached tails of logs count in the memory budget, and shrink when it is short. */
function openTails(memory: MemoryBudget): TailBudget {
  const tails = new TailBudget(Math.floor(memory.limitBytes * tailShare), (grownBytes) =>
    memory.change('tail', grownBytes),
  )
  memory.addCache(tails)
  return tails
}

function limitsOf(config: BrokerConfig): Partial<ServerLimits> {
  const idleMaxMs = Number(config.connectionsMaxIdleMs)
  return {
    frameMaxBytes: config.socketRequestMaxBytes,
    inFlightMaxCount: config.maxInFlightRequestsPerConnection,
    unsentMaxMs: config.unsentResponseTimeoutMs,
    connectionMaxCount: config.maxConnections,
    connectionMaxCountPerAddress: config.maxConnectionsPerIp,
    idleMaxMs: idleMaxMs < 0 ? Infinity : idleMaxMs,
  }
}

/** Retention, rolling, expiry of producers: one round after the other, the next an interval after the end of the last. */
function keepHouse({ environment, logs, config }: BrokerParts): { stop(): Promise<void> } {
  const { clock, logger } = environment
  const intervalMs = Number(config.logRetentionCheckIntervalMs)
  let timer: Timer | undefined
  let isStopped = false
  let round: Promise<void> = Promise.resolve()
  const run = async (): Promise<void> => {
    try {
      const report = await logs.housekeep(BigInt(clock.nowMs()))
      if (report.deletedSegments > 0) logger.info({ report }, 'old segments deleted')
    } catch (error) {
      logger.error({ err: error }, 'housekeeping failed')
    }
    schedule()
  }
  const schedule = (): void => {
    if (isStopped) return
    timer = clock.setTimer(intervalMs, () => {
      round = run()
    })
  }
  schedule()
  return {
    async stop() {
      isStopped = true
      timer?.cancel()
      await round
    },
  }
}

interface Opened {
  readonly parts: BrokerParts
  readonly topics: TopicRegistry
  readonly host: string
  readonly server: Server
  readonly links: LinkService
  readonly httpServer: HttpServer | undefined
  readonly closers: Closer[]
}

/** A broker that serves. */
export class Broker {
  readonly parts: BrokerParts
  readonly topics: TopicRegistry
  readonly server: Server
  readonly links: LinkService
  readonly host: string
  readonly port: number
  /** Undefined without an HTTP API. */
  readonly httpPort: number | undefined
  readonly #closers: Closer[]
  #stopped: Promise<void> | undefined

  constructor(opened: Opened) {
    this.parts = opened.parts
    this.topics = opened.topics
    this.server = opened.server
    this.links = opened.links
    this.host = opened.host
    this.port = opened.server.port
    this.httpPort = opened.httpServer?.port
    this.#closers = opened.closers
  }

  get clusterId(): string {
    return this.parts.metadata.image.clusterId
  }

  /** Lets clients have the answers they are owed, syncs, and closes. Calling again waits for the same end. */
  stop(): Promise<void> {
    this.#stopped ??= closeAll(this.#closers)
    return this.#stopped
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.stop()
  }
}
