/**
 * The listeners of a broker process: N node ids over one core, each with its own connections, fetch sessions and
 * groups.
 */
import { openDispatcher } from './apis/dispatch.ts'
import { askInProcess } from './apis/in-process.ts'
import { FetchSessions } from './apis/fetch-sessions.ts'
import type { Api, RequestInput, ResponseOf } from '../protocol/schema.ts'
import type { BlockPool } from '../storage/block-pool.ts'
import type { BrokerEndpoint, BrokerParts } from './apis/handler.ts'
import { handlers } from './apis/index.ts'
import type { BrokerConfig } from './config/broker-config.ts'
import { KafkaError } from './errors.ts'
import type { GroupCoordinator } from './groups/group-coordinator.ts'
import type { ListedGroup } from './groups/group-admin.ts'
import type { FetchedOffsets } from './groups/offsets.ts'
import type { FrameHandler } from './network/call.ts'
import type { Connection } from './network/connection.ts'
import { Server, type ServerLimits } from './network/server.ts'
import type { BrokerControl, BrokerState } from './topics/live-brokers.ts'

/** Connections get this long to take the answers they are owed. */
const stopGraceMs = 2_000

/** What all brokers of the process share. */
export type CoreParts = Omit<BrokerParts, 'nodeId' | 'fetchSessions' | 'groups' | 'endpoints'> & {
  readonly blocks: BlockPool
}

export interface Address {
  readonly host: string
  readonly port: number
}

export interface BrokerNodesOptions {
  /** The first broker listens there, the next ones at the ports behind it; port 0 picks free ones. */
  readonly listen: Address
  /** What clients are told, counted up in the same way; port 0 stands for the port that is listened at. */
  readonly advertised: Address | undefined
  /** By node id. */
  readonly groups: ReadonlyMap<number, GroupCoordinator>
}

interface Node {
  readonly nodeId: number
  readonly host: string
  /** The advertised one, once it is known. */
  port: number
  readonly rack: string | null
  /** New ones after each start, as a process would have them. */
  parts: BrokerParts
  server: Server | undefined
  handler: FrameHandler | undefined
}

/** What a broker has to do just now. */
export interface BrokerLoad {
  readonly nodeId: number
  readonly connectionCount: number
  /** The groups that it coordinates. */
  readonly groups: readonly ListedGroup[]
}

/** The brokers of one process. Those that are down keep their ports in mind. */
export class BrokerNodes implements BrokerControl {
  readonly #core: CoreParts
  readonly #options: BrokerNodesOptions
  readonly #nodes: readonly Node[]
  /** Where each was listening, so that it comes back there. */
  readonly #listenPorts: number[]
  #lastChange: Promise<void> = Promise.resolve()

  constructor(core: CoreParts, options: BrokerNodesOptions) {
    this.#core = core
    this.#options = options
    const { listen, advertised = listen } = options
    const racks = racksOf(core.config)
    this.#listenPorts = core.brokers.nodeIds.map((_, at) => (listen.port === 0 ? 0 : listen.port + at))
    this.#nodes = core.brokers.nodeIds.map((nodeId, at) => ({
      nodeId,
      host: advertised.host,
      port: advertised.port === 0 ? 0 : advertised.port + at,
      rack: racks.length === 0 ? null : racks[at % racks.length]!,
      parts: this.#partsOf(nodeId),
      server: undefined,
      handler: undefined,
    }))
  }

  /** Rejects with a NetworkError when one of them can't listen; `close` closes the others. */
  async open(): Promise<void> {
    for (const node of this.#nodes) await this.#listen(node)
  }

  /** The port that each listens at, in order. Meaningful once they are open. */
  get ports(): readonly number[] {
    return this.#listenPorts
  }

  connections(): readonly Connection[] {
    return this.#nodes.flatMap(({ server }) => [...(server?.connections ?? [])])
  }

  /** Those that serve, as clients reach them. */
  endpoints(): readonly BrokerEndpoint[] {
    const { brokers } = this.#core
    return this.#nodes
      .filter(({ nodeId }) => brokers.isAlive(nodeId))
      .map(({ nodeId, host, port, rack }) => ({ nodeId, host, port, rack }))
  }

  loads(): readonly BrokerLoad[] {
    return this.#nodes.map(({ nodeId, parts, server }) => ({
      nodeId,
      connectionCount: server?.connections.size ?? 0,
      groups: parts.groups.listGroups({ statesFilter: [], typesFilter: [] }),
    }))
  }

  /** The committed offsets of a group that the broker coordinates. Rejects with a KafkaError where it does not. */
  committedOffsets(nodeId: number, groupId: string): Promise<readonly FetchedOffsets[]> {
    return this.#find(nodeId).parts.groups.fetchOffsets(groupId, null, false)
  }

  /** Asks one of them as a client would, without a connection. Rejects with BROKER_NOT_AVAILABLE when it is down. */
  ask<A extends Api>(nodeId: number, api: A, request: RequestInput<A>): Promise<ResponseOf<A>> {
    const { handler, server } = this.#find(nodeId)
    if (!handler || !server) throw new KafkaError('BROKER_NOT_AVAILABLE', `broker ${nodeId} is down`)
    return askInProcess(handler, api, request)
  }

  /** The parts of the first broker. */
  get firstParts(): BrokerParts {
    return this.#nodes[0]!.parts
  }

  #partsOf(nodeId: number): BrokerParts {
    const { environment, config } = this.#core
    return {
      ...this.#core,
      nodeId,
      fetchSessions: new FetchSessions(config.maxIncrementalFetchSessionCacheSlots, environment),
      groups: this.#options.groups.get(nodeId)!,
      endpoints: () => this.endpoints(),
    }
  }

  list(): readonly BrokerState[] {
    return this.#nodes.map(({ nodeId, host, port, rack }) => {
      return { nodeId, host, port, rack, isAlive: this.#core.brokers.isAlive(nodeId) }
    })
  }

  takeDown(nodeId: number, { isClean = true }: { readonly isClean?: boolean } = {}): Promise<void> {
    return this.#change(async () => {
      const node = this.#find(nodeId)
      const { server } = node
      if (!server) return
      node.server = undefined
      if (!isClean) await server.close(0)
      this.#core.brokers.set(nodeId, false)
      await this.#follow()
      await server.close(stopGraceMs)
    })
  }

  bringUp(nodeId: number): Promise<void> {
    return this.#change(async () => {
      const node = this.#find(nodeId)
      if (node.server) return
      node.parts = this.#partsOf(nodeId)
      await this.#listen(node)
      this.#core.brokers.set(nodeId, true)
      await this.#follow()
    })
  }

  async close(): Promise<void> {
    await this.#lastChange
    const servers = this.#nodes.flatMap(({ server }) => server ?? [])
    await Promise.all(servers.map((server) => server.close(stopGraceMs)))
  }

  async #listen(node: Node): Promise<void> {
    const { environment, memory, blocks, deadlines, config } = this.#core
    const at = this.#nodes.indexOf(node)
    const handler = openDispatcher(node.parts, handlers)
    node.handler = handler
    node.server = await Server.open(
      { host: this.#options.listen.host, port: this.#listenPorts[at]! },
      { environment, memory, blocks, deadlines, handler, limits: limitsOf(config) },
    )
    this.#listenPorts[at] = node.server.port
    if (node.port === 0) node.port = node.server.port
  }

  /** Leaders and coordinators go where brokers live. */
  async #follow(): Promise<void> {
    await this.#core.topics.followBrokers()
    await this.#core.groupCoordinators.follow()
  }

  #find(nodeId: number): Node {
    const node = this.#nodes.find((one) => one.nodeId === nodeId)
    const known = this.#nodes.map((one) => one.nodeId).join(', ')
    if (!node) throw new KafkaError('BROKER_NOT_AVAILABLE', `there is no broker ${nodeId}, expected one of ${known}`)
    return node
  }

  #change(work: () => Promise<void>): Promise<void> {
    const result = this.#lastChange.then(work)
    this.#lastChange = result.catch(() => undefined)
    return result
  }
}

/** `broker.rack` names one rack, or with commas one for each broker in turn. */
function racksOf({ brokerRack }: BrokerConfig): readonly string[] {
  return brokerRack === null ? [] : brokerRack.split(',').map((rack) => rack.trim())
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
