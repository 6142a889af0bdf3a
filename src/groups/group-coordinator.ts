import { Buffer } from 'node:buffer'
import type { ErrorName } from '../../protocol/errors.ts'
import type { ListGroups } from '../../protocol/apis/list-groups.ts'
import type { RequestOf, Uuid } from '../../protocol/schema.ts'
import type { BrokerConfig } from '../config/broker-config.ts'
import type { CoordinatorStore } from '../coordinators/coordinator-store.ts'
import { CoordinatorRuntime, type Outcome } from '../coordinators/runtime.ts'
import { shardOf } from '../coordinators/shard-key.ts'
import type { Timers } from '../coordinators/shard.ts'
import type { Environment } from '../environment/environment.ts'
import { KafkaError } from '../errors.ts'
import type { MetadataImage, MetadataStore } from '../metadata/metadata-store.ts'
import type { DeadlineQueue } from '../network/deadline-queue.ts'
import { emptyGroup, type JoinAnswer, type SyncAnswer, type Waiter } from './group.ts'
import { describeGroup, listGroups, type DescribedGroup, type ListedGroup } from './group-admin.ts'
import { joinFailure, timerKey, type GroupDraft, type GroupTimer } from './group-draft.ts'
import { GroupMachine, tombstonesPerAppend } from './group-machine.ts'
import { groupTombstone } from './group-records.ts'
import type { GroupShardState } from './group-shard.ts'
import { join, type JoinRequest } from './join.ts'
import { heartbeatErrorOf, leave, sync } from './members.ts'
import type { HeartbeatRequest, LeaveAnswer, LeaveRequest, SyncRequest } from './members.ts'
import * as offsets from './offsets.ts'

export interface GroupCoordinatorParts {
  readonly environment: Pick<Environment, 'clock' | 'random' | 'logger'>
  readonly config: BrokerConfig
  readonly store: CoordinatorStore
  readonly metadata: Pick<MetadataStore, 'image' | 'onImage'>
  readonly deadlines: Pick<DeadlineQueue, 'add'>
  /** Shared by the coordinators between which shards move. */
  readonly nextTerm?: () => number
}

/** Who sends a request of the group protocol. */
export interface GroupClient {
  readonly apiVersion: number
  readonly clientId: string | null
  readonly remoteAddress: string
}

type State = GroupShardState
type GroupTimers = Timers<GroupTimer>

/**
 * Coordinates classic consumer groups and keeps committed offsets. Requests name topics, not their ids. Methods reject
 * with a KafkaError for what fails as a whole; JoinGroup and SyncGroup answer with the error in their answer.
 */
export class GroupCoordinator {
  readonly #parts: GroupCoordinatorParts
  readonly #machine: GroupMachine
  readonly #runtime: CoordinatorRuntime<State, GroupTimer>
  readonly #subscription: Disposable

  constructor(parts: GroupCoordinatorParts) {
    this.#parts = parts
    const { config, store, deadlines, environment } = parts
    this.#machine = new GroupMachine({ config, nowMs: () => BigInt(environment.clock.nowMs()) })
    this.#runtime = new CoordinatorRuntime({
      machine: this.#machine,
      store,
      deadlines,
      logger: environment.logger,
      shardCount: config.offsetsTopicNumPartitions,
      ...(parts.nextTerm && { nextTerm: parts.nextTerm }),
    })
    this.#subscription = parts.metadata.onImage((image, previous) => this.#forgetDeletedTopics(image, previous))
  }

  /** Rebuilds the groups of these shards, or all. To be awaited before clients are let in. */
  async load(shards?: readonly number[]): Promise<void> {
    await this.#runtime.loadAll(shards)
    const { topicsById } = this.#parts.metadata.image
    // The broker may have ended, or the shard moved, between the end of a topic and that of its offsets.
    this.#forgetTopicsSoon((state) => offsets.offsetsOfGoneTopics(state, topicsById), shards)
  }

  /**
   * Serves these shards no more: members are sent to look for their coordinator. Resolves when no append is under way.
   */
  async unload(shards: readonly number[]): Promise<void> {
    await Promise.all(shards.map((shard) => this.#runtime.unload(shard)))
  }

  /** Sends away whoever waits. */
  close(): void {
    this.#subscription[Symbol.dispose]()
    this.#runtime.close()
  }

  get runtime(): CoordinatorRuntime<State, GroupTimer> {
    return this.#runtime
  }

  /** The partition of `__consumer_offsets` that a group belongs to. */
  shardOf(groupId: string): number {
    return shardOf(groupId, this.#parts.config.offsetsTopicNumPartitions)
  }

  /** `onParked` is called when the request waits for other members. */
  async joinGroup(request: JoinRequest, client: GroupClient, onParked?: () => void): Promise<JoinAnswer> {
    const { groupId, memberId, sessionTimeoutMs } = request
    const { groupMinSessionTimeoutMs, groupMaxSessionTimeoutMs } = this.#parts.config
    if (groupId === '') return joinFailure('INVALID_GROUP_ID', { memberId })
    if (sessionTimeoutMs < groupMinSessionTimeoutMs || sessionTimeoutMs > groupMaxSessionTimeoutMs)
      return joinFailure('INVALID_SESSION_TIMEOUT', { memberId })
    const parked = park<JoinAnswer>()
    const clientId = client.clientId ?? ''
    const context = {
      apiVersion: client.apiVersion,
      clientId,
      clientHost: `/${client.remoteAddress}`,
      newMemberId: `${request.groupInstanceId ?? clientId}-${this.#randomText()}`,
      waiter: parked.waiter,
    }
    const write = this.#runtime.write(this.shardOf(groupId), (state, timers) => {
      const known = state.groups.get(groupId)
      if (!known && memberId !== '') {
        parked.waiter.answer(joinFailure('UNKNOWN_MEMBER_ID', { memberId }))
        return { response: undefined }
      }
      const draft = this.#machine.draftOf(known ?? emptyGroup(groupId, BigInt(this.#parts.environment.clock.nowMs())))
      // A group is written down when it comes into being, as the empty group that it was before this member.
      if (!known) draft.persist()
      join(draft, request, context)
      return this.#machine.outcomeOf(state, timers, draft, undefined)
    })
    return parked.answerAfter(write, onParked)
  }

  /** `onParked` is called when the request waits for the leader. */
  async syncGroup(request: SyncRequest, onParked?: () => void): Promise<SyncAnswer> {
    checkGroupId(request.groupId)
    const parked = park<SyncAnswer>()
    const write = this.#changeGroup(request.groupId, (draft) => sync(draft, request, parked.waiter))
    return parked.answerAfter(write, onParked)
  }

  heartbeat(request: HeartbeatRequest): Promise<ErrorName> {
    checkGroupId(request.groupId)
    return this.#runtime.write(this.shardOf(request.groupId), (state, timers) => {
      const group = state.groups.get(request.groupId)
      if (!group) return { response: 'UNKNOWN_MEMBER_ID' }
      const error = heartbeatErrorOf(group, request)
      if (error === 'NONE' || error === 'REBALANCE_IN_PROGRESS') prolongSession(state, timers, request)
      return { response: error }
    })
  }

  async leaveGroup(request: LeaveRequest): Promise<LeaveAnswer> {
    checkGroupId(request.groupId)
    return this.#changeGroup(request.groupId, (draft) => leave(draft, request))
  }

  /** Resolves when the offsets are committed: a restart finds them. */
  async commitOffsets(
    request: offsets.OffsetCommitRequest,
    apiVersion: number,
  ): Promise<readonly offsets.TopicErrors[]> {
    const nowMs = BigInt(this.#parts.environment.clock.nowMs())
    const { offsetMetadataMaxBytes } = this.#parts.config
    return this.#runtime.write(
      this.shardOf(request.groupId),
      (state, timers) => {
        const group = state.groups.get(request.groupId)
        offsets.checkOffsetCommit(group, request, apiVersion)
        if (group?.state === 'Stable' || group?.state === 'PreparingRebalance') prolongSession(state, timers, request)
        const { records, topics } = offsets.commitOffsets(request, { offsetMetadataMaxBytes, nowMs })
        return { records, response: topics }
      },
      { isPipelined: true },
    )
  }

  /** `isStable` waits for commits in flight. */
  async fetchOffsets(
    groupId: string,
    topics: Parameters<typeof offsets.fetchOffsets>[2],
    isStable: boolean,
  ): Promise<readonly offsets.FetchedOffsets[]> {
    const look = (state: State) => offsets.fetchOffsets(state, groupId, topics)
    const shard = this.shardOf(groupId)
    if (!isStable) return this.#runtime.read(shard, look)
    return this.#runtime.write(shard, (state) => ({ response: look(state) }))
  }

  async deleteOffsets(
    groupId: string,
    topics: Parameters<typeof offsets.deleteOffsets>[2],
  ): Promise<readonly offsets.TopicErrors[]> {
    checkGroupId(groupId)
    return this.#runtime.write(this.shardOf(groupId), (state) => {
      const { records, topics: answers } = offsets.deleteOffsets(state, groupId, topics)
      return { records, response: answers }
    })
  }

  /** @throws KafkaError where the shard of the group is not served. */
  describeGroup(groupId: string, apiVersion: number): DescribedGroup {
    return this.#runtime.read(this.shardOf(groupId), (state) =>
      describeGroup(groupId, state.groups.get(groupId), apiVersion),
    )
  }

  /** The groups of the shards that this broker serves. */
  listGroups(request: RequestOf<typeof ListGroups>): ListedGroup[] {
    return this.#runtime
      .activeShards()
      .flatMap((shard) => this.#runtime.read(shard, (state) => listGroups(state.groups.values(), request)))
  }

  /** Forgets an empty group and its offsets. Rejects with GROUP_ID_NOT_FOUND or NON_EMPTY_GROUP. */
  async deleteGroup(groupId: string): Promise<void> {
    for (let isGone = false; !isGone;) isGone = await this.#deleteGroupStep(groupId)
  }

  /** Forgets as many offsets as one append can hold; the last step forgets the group. True when it is gone. */
  #deleteGroupStep(groupId: string): Promise<boolean> {
    return this.#runtime.write(this.shardOf(groupId), (state, timers): Outcome<boolean> => {
      const group = state.groups.get(groupId)
      if (!group) throw new KafkaError('GROUP_ID_NOT_FOUND')
      if (group.state !== 'Empty') throw new KafkaError('NON_EMPTY_GROUP')
      const records = offsets.forgetAllOffsets(state, groupId)
      if (records.length >= tombstonesPerAppend)
        return { records: records.slice(0, tombstonesPerAppend), response: false }
      const endPending = (): void => {
        for (const memberId of group.pendingJoins) timers.cancel(timerKey({ kind: 'session', groupId, memberId }))
      }
      return { records: [...records, groupTombstone(groupId)], response: true, commit: endPending }
    })
  }

  /**
   * Changes a group that is there. @throws KafkaError UNKNOWN_MEMBER_ID: nobody can be a member of a group that is not.
   */
  #changeGroup<Response>(groupId: string, change: (draft: GroupDraft) => Response): Promise<Response> {
    return this.#runtime.write(this.shardOf(groupId), (state, timers) => {
      const group = state.groups.get(groupId)
      if (!group) throw new KafkaError('UNKNOWN_MEMBER_ID')
      const draft = this.#machine.draftOf(group)
      const response = change(draft)
      return this.#machine.outcomeOf(state, timers, draft, response)
    })
  }

  /** Offsets of a topic that was deleted mean nothing for one that comes under its name. */
  #forgetDeletedTopics(image: MetadataImage, previous: MetadataImage): void {
    if (image.topicsById === previous.topicsById) return
    const topics = new Map<string, Uuid>()
    for (const [topicId, { name }] of previous.topicsById) if (!image.topicsById.has(topicId)) topics.set(name, topicId)
    if (topics.size === 0) return
    this.#forgetTopicsSoon((state) => offsets.offsetsOfTopics(state, topics))
  }

  /** Forgets what `find` finds in these shards, or in all that are served. */
  #forgetTopicsSoon(find: (state: State) => offsets.OffsetEntry[], shards?: readonly number[]): void {
    for (const shard of this.#runtime.activeShards()) {
      if (shards && !shards.includes(shard)) continue
      this.#forgetTopics(shard, find).catch((err: unknown) =>
        this.#parts.environment.logger.warn({ shard, err }, 'offsets of deleted topics stay'),
      )
    }
  }

  async #forgetTopics(shard: number, find: (state: State) => offsets.OffsetEntry[]): Promise<void> {
    let doomed: offsets.OffsetEntry[] | undefined
    let from = 0
    do {
      await this.#runtime.write(shard, (state) => {
        doomed ??= find(state)
        const chunk = doomed.slice(from, from + tombstonesPerAppend)
        from += tombstonesPerAppend
        return { records: offsets.forgetOffsets(state, chunk), response: undefined }
      })
    } while (doomed !== undefined && from < doomed.length)
  }

  /** A random UUID in hexadecimal, as member ids end with. */
  #randomText(): string {
    const bytes = Buffer.from(this.#parts.environment.random.bytes(16))
    bytes[6] = (bytes[6]! & 0x0f) | 0x40
    bytes[8] = (bytes[8]! & 0x3f) | 0x80
    const hex = bytes.toString('hex')
    return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join('-')
  }
}

function checkGroupId(groupId: string): void {
  if (groupId === '') throw new KafkaError('INVALID_GROUP_ID')
}

/** A member that is heard of has a whole session before it again. */
function prolongSession(
  state: State,
  timers: GroupTimers,
  { groupId, memberId }: { readonly groupId: string; readonly memberId: string },
): void {
  const member = state.groups.get(groupId)?.members.get(memberId)
  if (!member) return
  const timer = { kind: 'session', groupId, memberId } as const
  timers.set(timerKey(timer), member.sessionTimeoutMs, timer)
}

interface Parked<Response> {
  readonly waiter: Waiter<Response>
  /** The answer, also where the operation failed and answered nevertheless. */
  answerAfter(write: Promise<unknown>, onParked: (() => void) | undefined): Promise<Response>
}

function park<Response>(): Parked<Response> {
  const { promise, resolve } = Promise.withResolvers<Response>()
  let isAnswered = false
  const answer = (response: Response): void => {
    isAnswered = true
    resolve(response)
  }
  return {
    waiter: { answer },
    async answerAfter(write, onParked) {
      try {
        await write
      } catch (error) {
        if (!isAnswered) throw error
      }
      if (!isAnswered) onParked?.()
      return promise
    },
  }
}
