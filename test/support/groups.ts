/** A group coordinator on simulated time and a store that a test holds in its hands, with members that speak to it. */
import { ConsumerProtocolSubscription } from '../../protocol/state/consumer-protocol.ts'
import { encodeRecord } from '../../protocol/compile.ts'
import { errorNameOf, type ErrorName } from '../../protocol/errors.ts'
import { zeroUuid, type Uuid } from '../../protocol/schema.ts'
import { Writer } from '../../protocol/writer.ts'
import { brokerConfigOf } from '../../src/config/broker-config.ts'
import { nodeClock } from '../../src/environment/node-clock.ts'
import { silentLogger } from '../../src/environment/logger.ts'
import { seededRandom } from '../../src/environment/seeded-random.ts'
import { SimulatedClock } from '../../src/environment/simulated-clock.ts'
import { GroupCoordinator } from '../../src/groups/group-coordinator.ts'
import type { JoinAnswer, SyncAnswer } from '../../src/groups/group.ts'
import type { MetadataImage } from '../../src/metadata/metadata-store.ts'
import { DeadlineQueue } from '../../src/network/deadline-queue.ts'
import { MemoryCoordinatorStore } from './memory-coordinator-store.ts'

export interface TestGroupsOptions {
  readonly configs?: Readonly<Record<string, string>>
  readonly store?: MemoryCoordinatorStore
  readonly clock?: SimulatedClock
  readonly seed?: number
}

export interface JoinOptions {
  readonly group?: string
  readonly memberId?: string
  readonly instance?: string | null
  readonly sessionTimeoutMs?: number
  readonly rebalanceTimeoutMs?: number
  readonly protocolType?: string
  readonly protocols?: Readonly<Record<string, readonly string[]>>
  readonly version?: number
}

export interface TestGroups {
  readonly coordinator: GroupCoordinator
  readonly store: MemoryCoordinatorStore
  readonly clock: SimulatedClock
  join(options?: JoinOptions): Promise<JoinAnswer>
  /** Joins as clients do: once more with the member id that it is given. */
  enter(options?: JoinOptions): Promise<JoinAnswer>
  sync(member: JoinAnswer, options?: SyncOptions): Promise<SyncAnswer>
  heartbeat(member: JoinAnswer, options?: MemberOptions): Promise<ErrorName>
  leave(member: Pick<JoinAnswer, 'memberId'>, options?: MemberOptions): Promise<ErrorName>
  /** Commits an offset of orders-0. */
  commit(offset: bigint, options?: CommitOptions): Promise<ErrorName>
  /** The committed offset of orders-0, or -1. */
  committed(group?: string): Promise<bigint>
  state(group?: string): string
  /** Tells that topics of these names were deleted. */
  deleteTopics(...names: string[]): void
}

export interface MemberOptions {
  readonly group?: string
  readonly instance?: string | null
}
export interface SyncOptions extends MemberOptions {
  readonly assignments?: Readonly<Record<string, string>>
}
export interface CommitOptions extends MemberOptions {
  readonly member?: Pick<JoinAnswer, 'memberId' | 'generationId'> | undefined
  readonly topic?: string
  readonly topicId?: Uuid
  readonly partitionCount?: number
  readonly retentionTimeMs?: bigint
}

export async function openTestGroups(options: TestGroupsOptions = {}): Promise<TestGroups> {
  const { store = new MemoryCoordinatorStore(), clock = new SimulatedClock(nodeClock), seed = 1 } = options
  const parsed = brokerConfigOf(new Map(Object.entries(options.configs ?? {})))
  if (!parsed.ok) throw new Error(JSON.stringify(parsed.errors))
  const metadata = new TestMetadata()
  const coordinator = new GroupCoordinator({
    environment: { clock, random: seededRandom(seed), logger: silentLogger },
    config: parsed.config,
    store,
    metadata,
    deadlines: new DeadlineQueue(clock),
  })
  await coordinator.load()
  return new Harness({ coordinator, store, clock, metadata })
}

type Listener = (image: MetadataImage, previous: MetadataImage) => void

/** Metadata of which only the topics by id matter. */
class TestMetadata {
  image = imageOf([])
  #listener: Listener | undefined

  onImage(listener: Listener): Disposable {
    this.#listener = listener
    return { [Symbol.dispose]: () => (this.#listener = undefined) }
  }

  deleteTopics(names: readonly string[]): void {
    this.#listener?.(imageOf([]), imageOf(names))
  }
}

function imageOf(names: readonly string[]): MetadataImage {
  const topicsById = new Map(names.map((name) => [`id of ${name}`, { name }]))
  return { topicsById } as unknown as MetadataImage
}

interface HarnessParts {
  readonly coordinator: GroupCoordinator
  readonly store: MemoryCoordinatorStore
  readonly clock: SimulatedClock
  readonly metadata: TestMetadata
}

class Harness implements TestGroups {
  readonly coordinator: GroupCoordinator
  readonly store: MemoryCoordinatorStore
  readonly clock: SimulatedClock
  readonly #metadata: TestMetadata

  constructor(parts: HarnessParts) {
    this.coordinator = parts.coordinator
    this.store = parts.store
    this.clock = parts.clock
    this.#metadata = parts.metadata
  }

  join(options: JoinOptions = {}): Promise<JoinAnswer> {
    const { group = 'g', memberId = '', instance = null, version = 9, protocolType = 'consumer' } = options
    const { sessionTimeoutMs = 10_000, rebalanceTimeoutMs = 60_000, protocols = { range: ['orders'] } } = options
    const request = {
      groupId: group,
      memberId,
      groupInstanceId: instance,
      sessionTimeoutMs,
      rebalanceTimeoutMs,
      protocolType,
      protocols: Object.entries(protocols).map(([name, topics]) => ({ name, metadata: subscriptionOf(topics) })),
      reason: null,
    }
    const client = { apiVersion: version, clientId: 'test', remoteAddress: '127.0.0.1' }
    return this.coordinator.joinGroup(request, client)
  }

  async enter(options: JoinOptions = {}): Promise<JoinAnswer> {
    const first = await this.join(options)
    if (nameOf(first) !== 'MEMBER_ID_REQUIRED') return first
    return this.join({ ...options, memberId: first.memberId })
  }

  sync(member: JoinAnswer, options: SyncOptions = {}): Promise<SyncAnswer> {
    const { group = 'g', instance = null, assignments = {} } = options
    return this.coordinator.syncGroup({
      groupId: group,
      generationId: member.generationId ?? -1,
      memberId: member.memberId,
      groupInstanceId: instance,
      protocolType: null,
      protocolName: null,
      assignments: Object.entries(assignments).map(([memberId, text]) => ({ memberId, assignment: Buffer.from(text) })),
    })
  }

  heartbeat(member: JoinAnswer, { group = 'g', instance = null }: MemberOptions = {}): Promise<ErrorName> {
    const { memberId, generationId = -1 } = member
    return this.coordinator.heartbeat({ groupId: group, generationId, memberId, groupInstanceId: instance })
  }

  async leave(
    { memberId }: Pick<JoinAnswer, 'memberId'>,
    { group = 'g', instance = null }: MemberOptions = {},
  ): Promise<ErrorName> {
    const members = [{ memberId, groupInstanceId: instance, reason: null }]
    const answer = await this.coordinator.leaveGroup({ groupId: group, memberId: '', members })
    return errorNameOf(answer.members[0]!.errorCode)
  }

  async commit(offset: bigint, options: CommitOptions = {}): Promise<ErrorName> {
    const { group = 'g', member, instance = null, topic = 'orders', partitionCount = 1 } = options
    const partitions = Array.from({ length: partitionCount }, (_, partitionIndex) => ({
      partitionIndex,
      committedOffset: offset,
      committedLeaderEpoch: -1,
      committedMetadata: null,
    }))
    const request = {
      groupId: group,
      generationId: member?.generationId ?? -1,
      memberId: member?.memberId ?? '',
      groupInstanceId: instance,
      retentionTimeMs: options.retentionTimeMs ?? -1n,
      topics: [{ name: topic, topicId: options.topicId ?? zeroUuid, partitions }],
    }
    try {
      const [answered] = await this.coordinator.commitOffsets(request, 9)
      return errorNameOf(answered!.partitions[0]!.errorCode)
    } catch (error) {
      if (error instanceof Error && 'errorName' in error) return error.errorName as ErrorName
      throw error
    }
  }

  async committed(group = 'g'): Promise<bigint> {
    const [topic] = await this.coordinator.fetchOffsets(group, [{ name: 'orders', partitionIndexes: [0] }], false)
    return topic?.partitions[0]?.committed?.offset ?? -1n
  }

  state(group = 'g'): string {
    return this.coordinator.describeGroup(group, 5).groupState
  }

  deleteTopics(...names: string[]): void {
    this.#metadata.deleteTopics(names)
  }
}

/** The metadata of JoinGroup for a consumer of the topics. */
export function subscriptionOf(topics: readonly string[]): Uint8Array {
  const writer = new Writer()
  writer.int16(0)
  encodeRecord(ConsumerProtocolSubscription, 0, { topics, userData: null, ownedPartitions: [] }, writer)
  return writer.toBytes()
}

export function nameOf(answer: { readonly errorCode: number }): ErrorName {
  return errorNameOf(answer.errorCode)
}

export function textOf(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString()
}

/** Lets the requests come to an answer without time passing, but for the first delay of a group, which is 0. */
export async function answered<T>(groups: TestGroups, requests: readonly Promise<T>[]): Promise<T[]> {
  await groups.clock.advance(0)
  await groups.clock.advance(0)
  return Promise.all(requests)
}

/** A stable group of so many members; the first is the leader, each is assigned its number. */
export async function stableGroup(
  groups: TestGroups,
  count = 1,
  options: (index: number) => JoinOptions = () => ({}),
): Promise<JoinAnswer[]> {
  let members: JoinAnswer[] = []
  for (let index = 0; index < count; index++) {
    const joining = groups.enter(options(index))
    await groups.clock.advance(0)
    const again = members.map((member, at) => groups.join({ ...options(at), memberId: member.memberId }))
    members = await answered(groups, [...again, joining])
  }
  const assignments = Object.fromEntries(members.map(({ memberId }, index) => [memberId, `assignment ${index}`]))
  const syncing = members.map((member, index) => {
    const isLeader = member.leader === member.memberId
    return groups.sync(member, { ...memberOptionsOf(options(index)), assignments: isLeader ? assignments : {} })
  })
  await answered(groups, syncing)
  return members
}

function memberOptionsOf({ group = 'g', instance = null }: JoinOptions): MemberOptions {
  return { group, instance }
}
