/** A broker process: opens its parts in order, and closes them in the opposite one. */
import type { LogStore } from '../storage/log-store.ts'
import { SegmentLogStore } from '../storage/segment-log-store.ts'
import { BlockPool } from '../storage/block-pool.ts'
import { TailBudget } from '../storage/tail-cache.ts'
import type { BrokerParts } from './apis/handler.ts'
import { BrokerNodes, type CoreParts } from './broker-nodes.ts'
import { withDynamicConfigs, type BrokerConfig } from './config/broker-config.ts'
import type { Environment, Logger } from './environment/environment.ts'
import { internalTopicsOf, LogCoordinatorStore } from './coordinators/log-coordinator-store.ts'
import { GroupCoordinator } from './groups/group-coordinator.ts'
import { GroupCoordinators } from './groups/group-coordinators.ts'
import { startHttp, type HttpOptions, type HttpServer } from './http/node-http.ts'
import type { HttpParts } from './http/parts.ts'
import { LinkManager } from './links/link-manager.ts'
import type { LinkService } from './links/link-service.ts'
import { logChanges } from './metadata/change-log.ts'
import { LogMetadataStore } from './metadata/metadata-log.ts'
import { BrokerMetrics } from './metrics/broker-metrics.ts'
import { openProcessMetrics } from './metrics/node-process-metrics.ts'
import type { Connection } from './network/connection.ts'
import { DeadlineQueue } from './network/deadline-queue.ts'
import { MemoryBudget } from './network/memory-budget.ts'
import { LiveBrokers, type BrokerControl } from './topics/live-brokers.ts'
import { ProducerIds } from './topics/producer-ids.ts'
import { CurrentConfig } from './topics/current-config.ts'
import { cleanerPartsOf, keepClean } from './topics/log-cleaning.ts'
import { keepFlushed, keepHouse } from './topics/log-housekeeping.ts'
import { TopicRegistry } from './topics/topic-registry.ts'

/** The part of the memory budget that cached log tails may fill. */
const tailShare = 1 / 4
/** The part that may lie ready for large frames and cold reads. */
const unusedBlocksShare = 1 / 8

export interface BrokerOptions {
  readonly config: BrokerConfig
  readonly host: string
  /** 0 picks a free one. */
  readonly port: number
  /** How many brokers the process shows; they listen at this port and the ones behind it. Default: 1. */
  readonly brokerCount?: number | undefined
  /** What clients are told to connect to; port 0 stands for the port that is listened at. Default: host and port. */
  readonly advertised?: { readonly host: string; readonly port: number } | undefined
  /** The id of a new cluster, which an old one must have. Default: random, or what it is. */
  readonly clusterId?: string | undefined
  /** Overwrite what clients have been sent, so that whoever still looks at it is found out: for tests. */
  readonly poisonsReads?: boolean | undefined
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
  const { host, port, advertised, http } = options
  const { core, topics, groups, wasClean } = await openCore(environment, options, closers)
  const nodes = new BrokerNodes(core, { listen: { host, port }, advertised, groups })
  const parts = nodes.firstParts
  const links = await openLinks(parts)
  closers.push(() => links.close())
  closers.push(() => nodes.close())
  await nodes.open()
  const housekeeping = keepHouse(parts)
  closers.push(() => housekeeping.stop())
  const flushing = keepFlushed(parts)
  closers.push(() => flushing.stop())
  const cleaning = keepClean(parts)
  closers.push(() => cleaning.stop())
  const httpParts = {
    ...parts,
    links,
    control: nodes,
    kafka: nodes,
    loads: () => nodes.loads(),
    committedOffsets: nodes.committedOffsets.bind(nodes),
  }
  const httpServer = http ? await startHttpWatched({ ...http, parts: httpParts }, closers) : undefined
  const broker = new Broker({ nodes, topics, host, links, httpParts, httpServer, closers })
  sayStarted(core, { broker, wasClean }, closers)
  return broker
}

/** What changes from here on is said in the log, down to the stop. */
function sayStarted(
  { environment, metadata }: CoreParts,
  { broker, wasClean }: { readonly broker: Broker; readonly wasClean: boolean },
  closers: Closer[],
): void {
  const { logger } = environment
  const { clusterId, port, httpPort } = broker
  logger.info({ clusterId, port, httpPort, wasClean }, 'broker started')
  const changes = logChanges(metadata, logger)
  closers.push(() => changes[Symbol.dispose]())
  closers.unshift(() => logger.info({}, 'broker stopped'))
}

/** The process is watched only where somebody can ask for what was seen. */
async function startHttpWatched(options: HttpOptions, closers: Closer[]): Promise<HttpServer> {
  const processMetrics = openProcessMetrics()
  closers.push(() => processMetrics.close())
  const server = await startHttp({ ...options, parts: { ...options.parts, processMetrics } })
  closers.push(() => server.close())
  return server
}

async function openCore(
  environment: Environment,
  { config: startConfig, clusterId, brokerCount = 1, poisonsReads = false }: BrokerOptions,
  closers: Closer[],
): Promise<{
  core: CoreParts
  topics: TopicRegistry
  groups: ReadonlyMap<number, GroupCoordinator>
  wasClean: boolean
}> {
  const { disk, clock, logger } = environment
  const { nodeId } = startConfig
  const lock = await disk.lock()
  closers.push(() => lock.release())
  const metadata = await LogMetadataStore.open(environment, {
    nodeId,
    clusterId,
    bytesBetweenSnapshots: Number(startConfig.metadataLogMaxRecordBytesBetweenSnapshots),
  })
  closers.push(() => metadata.close())
  // What was set while it ran before holds from here on.
  const { brokerConfigs } = metadata.image
  const config = withDynamicConfigs(startConfig, [brokerConfigs.get(''), brokerConfigs.get(String(nodeId))])
  const memory = new MemoryBudget({ limitBytes: Number(config.memoryBudgetBytes) })
  const configs = new CurrentConfig(metadata, config)
  const blocks = openBlocks(memory, poisonsReads)
  const logs = await openLogs(environment, { configs, memory, blocks, poisonsReads })
  closers.push(() => closeLogs(logs, logger))
  const wasClean = !logs.wasUnclean
  const deadlines = new DeadlineQueue(clock)
  closers.push(() => deadlines.close())
  const brokers = new LiveBrokers(Array.from({ length: brokerCount }, (_, at) => nodeId + at))
  const topics = await TopicRegistry.open({ environment, brokers, config, metadata, logs }, { wasClean })
  closers.push(() => topics.close())
  const producerIds = new ProducerIds(metadata, nodeId)
  const metrics = new BrokerMetrics()
  const internalTopics = internalTopicsOf(config)
  const store = new LogCoordinatorStore({ logs, topics, clock, brokers, internalTopics, metrics })
  let term = 0
  const nextTerm = (): number => ++term
  const groups = new Map(
    brokers.nodeIds.map((id) => [
      id,
      new GroupCoordinator({ environment, config, store, metadata, deadlines, nextTerm }),
    ]),
  )
  const groupCoordinators = new GroupCoordinators({ config, metadata, brokers, logger, coordinators: groups })
  closers.push(() => groupCoordinators.close())
  await groupCoordinators.follow()
  const core = {
    environment,
    config,
    metadata,
    logs,
    topics,
    producerIds,
    memory,
    blocks,
    metrics,
    deadlines,
    brokers,
    groupCoordinators,
  }
  return { core, topics, groups, wasClean }
}

function openLogs(
  { disk, logger }: Environment,
  parts: {
    readonly configs: CurrentConfig
    readonly memory: MemoryBudget
    readonly blocks: BlockPool
    readonly poisonsReads: boolean
  },
): Promise<SegmentLogStore> {
  const { configs, memory, blocks, poisonsReads } = parts
  const config = configs.value
  const cleaner = cleanerPartsOf(configs, memory)
  return SegmentLogStore.open({
    disk,
    ...(cleaner ? { cleaner } : {}),
    tailBudget: openTails(memory, poisonsReads),
    blocks,
    durable: config.durable,
    producerExpirationMs: BigInt(config.producerIdExpirationMs),
    onLoss: ({ label: partition, ...loss }) =>
      logger.warn({ partition, ...loss }, 'a log lost its end when the broker stopped'),
    onOffline: ({ label: partition, reason }) =>
      logger.error({ partition, reason }, 'a log is offline until a restart'),
  })
}

/** The cached tails of logs count in the memory budget, and shrink when it is short. */
function openTails(memory: MemoryBudget, poisons: boolean): TailBudget {
  const limitBytes = Math.floor(memory.limitBytes * tailShare)
  const tails = new TailBudget(limitBytes, (grownBytes) => memory.change('tail', grownBytes), poisons)
  memory.addCache(tails)
  return tails
}

/** So does the memory that waits for the next large frame or cold read. */
function openBlocks(memory: MemoryBudget, poisons: boolean): BlockPool {
  const limitBytes = Math.floor(memory.limitBytes * unusedBlocksShare)
  const blocks = new BlockPool({ limitBytes, poisons, onChange: (grownBytes) => memory.change('tail', grownBytes) })
  memory.addCache(blocks)
  return blocks
}

/**
 * What could not be synced at the end is said in the log, too: whoever stops a broker in the background sees nothing
 * else.
 */
async function closeLogs(logs: LogStore, logger: Logger): Promise<void> {
  try {
    await logs.close()
  } catch (error) {
    logger.error({ err: error }, 'the logs did not stop cleanly')
    throw error
  }
}

interface Opened {
  readonly nodes: BrokerNodes
  readonly topics: TopicRegistry
  readonly host: string
  readonly links: LinkService
  readonly httpParts: HttpParts
  readonly httpServer: HttpServer | undefined
  readonly closers: Closer[]
}

/** A broker process that serves. */
export class Broker {
  /** The parts of its first broker. */
  readonly parts: BrokerParts
  readonly topics: TopicRegistry
  readonly links: LinkService
  /** What an HTTP API over it works with. */
  readonly httpParts: HttpParts
  /** Its brokers, to be taken down and up. */
  readonly control: BrokerControl
  readonly host: string
  /** Of the first broker. */
  readonly port: number
  /** Of each broker. */
  readonly ports: readonly number[]
  /** Undefined without an HTTP API. */
  readonly httpPort: number | undefined
  readonly #nodes: BrokerNodes
  readonly #closers: Closer[]
  #stopped: Promise<void> | undefined

  constructor({ nodes, topics, links, host, httpParts, httpServer, closers }: Opened) {
    this.parts = nodes.firstParts
    this.topics = topics
    this.links = links
    this.httpParts = httpParts
    this.control = nodes
    this.#nodes = nodes
    this.host = host
    this.ports = nodes.ports
    this.port = nodes.ports[0]!
    this.httpPort = httpServer?.port
    this.#closers = closers
  }

  /** The open connections of all its brokers. */
  get connections(): readonly Connection[] {
    return this.#nodes.connections()
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
