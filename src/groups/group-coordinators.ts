import type { BrokerConfig } from '../config/broker-config.ts'
import type { Logger } from '../environment/environment.ts'
import type { MetadataImage, MetadataStore } from '../metadata/metadata-store.ts'
import type { LiveBrokers } from '../topics/live-brokers.ts'
import type { GroupCoordinator } from './group-coordinator.ts'
import { shardOf } from '../coordinators/shard-key.ts'

export interface GroupCoordinatorsParts {
  readonly config: BrokerConfig
  readonly metadata: Pick<MetadataStore, 'image' | 'onImage'>
  readonly brokers: LiveBrokers
  readonly logger: Logger
  /** The coordinator of each broker, by node id. */
  readonly coordinators: ReadonlyMap<number, GroupCoordinator>
}

const offsetsTopic = '__consumer_offsets'

/**
 * Spreads the shards of the group coordinator over the brokers of this process: each belongs to the broker that leads
 * its partition of `__consumer_offsets`, and moves with it. A shard is served nowhere while it moves, never in two
 * places.
 */
export class GroupCoordinators {
  readonly #parts: GroupCoordinatorsParts
  /** Who serves a shard; undefined for nobody. */
  readonly #servers: (number | undefined)[]
  readonly #subscription: Disposable
  #lastMove: Promise<void> = Promise.resolve()
  #isClosed = false

  /** Nothing is served before `follow`. */
  constructor(parts: GroupCoordinatorsParts) {
    this.#parts = parts
    this.#servers = Array.from({ length: parts.config.offsetsTopicNumPartitions })
    this.#subscription = parts.metadata.onImage((image, previous) => {
      if (leadersOf(image) !== leadersOf(previous)) this.#moveSoon()
    })
  }

  /** The node id of the broker that coordinates a group, or undefined while none does. */
  brokerOf(groupId: string): number | undefined {
    return this.#ownerOf(shardOf(groupId, this.#servers.length))
  }

  /** Moves the shards to where they belong by now. Never rejects. */
  follow(): Promise<void> {
    this.#moveSoon()
    return this.#lastMove
  }

  #moveSoon(): void {
    this.#enqueue(async () => {
      const moves = new Map<number | undefined, number[]>()
      for (const [shard, server] of this.#servers.entries()) {
        if (server !== this.#ownerOf(shard)) listIn(moves, server).push(shard)
      }
      for (const [server, shards] of moves) {
        if (server !== undefined) await this.#parts.coordinators.get(server)?.unload(shards)
      }
      await this.#load([...moves.values()].flat())
    })
  }

  /** Begins anew, without any group, once `forget` has done away with the records. Until then no group is served. */
  async reset(forget: () => Promise<void>): Promise<void> {
    const forgetting = Promise.withResolvers<void>()
    this.#enqueue(async () => {
      for (const coordinator of this.#parts.coordinators.values())
        await coordinator.unload(this.#servers.map((_, at) => at))
      await forget().then(forgetting.resolve, forgetting.reject)
      await this.#load(this.#servers.map((_, shard) => shard))
    })
    await this.#lastMove
    await forgetting.promise
  }

  /** Sends away whoever waits. */
  close(): void {
    this.#isClosed = true
    this.#subscription[Symbol.dispose]()
    for (const coordinator of this.#parts.coordinators.values()) coordinator.close()
  }

  async #load(shards: readonly number[]): Promise<void> {
    const loads = new Map<number | undefined, number[]>()
    for (const shard of shards) {
      const owner = this.#ownerOf(shard)
      this.#servers[shard] = owner
      listIn(loads, owner).push(shard)
    }
    for (const [owner, owned] of loads) {
      if (owner !== undefined) await this.#parts.coordinators.get(owner)?.load(owned)
    }
  }

  /** Before the topic is there, a shard belongs to the broker that would lead its partition if it came now. */
  #ownerOf(shard: number): number | undefined {
    const { metadata, brokers } = this.#parts
    const alive = brokers.alive()
    const partitions = leadersOf(metadata.image)
    if (!partitions) return alive[shard % alive.length]
    const leader = partitions[shard]?.leader
    return leader !== undefined && alive.includes(leader) ? leader : undefined
  }

  #enqueue(work: () => Promise<void>): void {
    this.#lastMove = this.#lastMove.then(async () => {
      if (this.#isClosed) return
      try {
        await work()
      } catch (error) {
        this.#parts.logger.error({ err: error }, 'group coordinators not moved')
      }
    })
  }
}

function leadersOf(image: MetadataImage) {
  return image.topics.get(offsetsTopic)?.partitions
}

function listIn<K, V>(lists: Map<K, V[]>, key: K): V[] {
  const known = lists.get(key)
  if (known) return known
  const list: V[] = []
  lists.set(key, list)
  return list
}
