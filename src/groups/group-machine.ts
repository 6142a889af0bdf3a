import type { ErrorName } from '../../protocol/errors.ts'
import type { CoordinatorRecord } from '../coordinators/coordinator-store.ts'
import type { CoordinatorMachine, Outcome } from '../coordinators/runtime.ts'
import type { Timers } from '../coordinators/shard.ts'
import { KafkaError } from '../errors.ts'
import type { Group } from './group.ts'
import { GroupDraft, joinFailure, syncFailure, timerKey, type GroupLimits, type GroupTimer } from './group-draft.ts'
import { groupTombstone } from './group-records.ts'
import { emptyShard, replayGroupRecord, type GroupShardState } from './group-shard.ts'
import { expireOffsets } from './offsets.ts'
import { completeJoin, endInitialDelay, expireSession, expireSyncs, prepareRebalance } from './rebalance.ts'

export interface GroupMachineConfig extends GroupLimits {
  readonly offsetsRetentionMinutes: number
  readonly offsetsRetentionCheckIntervalMs: bigint
}

export interface GroupMachineParts {
  readonly config: GroupMachineConfig
  readonly nowMs: () => bigint
}

/** So many tombstones go into one append: more would not fit into a batch. */
export const tombstonesPerAppend = 2000
const msPerMinute = 60_000n
const expiry: GroupTimer = { kind: 'expiry' }

/** Classic groups and committed offsets as a coordinator. */
export class GroupMachine implements CoordinatorMachine<GroupShardState, GroupTimer> {
  readonly kind = 'group'
  readonly #parts: GroupMachineParts

  constructor(parts: GroupMachineParts) {
    this.#parts = parts
  }

  create(): GroupShardState {
    return emptyShard()
  }

  replay(record: CoordinatorRecord, state: GroupShardState): void {
    replayGroupRecord(record, state)
  }

  /** Every member that the records know has a whole session to come back. Groups above the size limit join again. */
  loaded(state: GroupShardState, timers: Timers<GroupTimer>): void {
    for (const group of state.groups.values()) {
      if (group.members.size === 0) continue
      const draft = this.draftOf(group)
      for (const member of group.members.values()) draft.startSession(member.memberId, member.sessionTimeoutMs)
      if (group.members.size > this.#parts.config.groupMaxSize) prepareRebalance(draft)
      this.#apply(state, timers, draft)
    }
    this.#scheduleExpiry(timers)
  }

  fired(event: GroupTimer, state: GroupShardState, timers: Timers<GroupTimer>): Outcome<void> {
    if (event.kind === 'expiry') return this.#expire(state, timers)
    const group = state.groups.get(event.groupId)
    if (!group) return { response: undefined }
    const draft = this.draftOf(group)
    if (event.kind === 'session') expireSession(draft, event.memberId)
    else if (event.kind === 'join') completeJoin(draft)
    else if (event.kind === 'initialJoin') endInitialDelay(draft, event.delayMs, event.remainingMs)
    else expireSyncs(draft, event.generationId)
    return this.outcomeOf(state, timers, draft, undefined)
  }

  unloaded(state: GroupShardState, error: ErrorName): void {
    for (const group of state.groups.values()) {
      for (const { memberId, awaitingJoin, awaitingSync } of group.members.values()) {
        awaitingJoin?.answer(joinFailure(error, { memberId }))
        awaitingSync?.answer(syncFailure(error))
      }
    }
  }

  draftOf(group: Group): GroupDraft {
    return new GroupDraft(group, { limits: this.#parts.config, nowMs: this.#parts.nowMs() })
  }

  /** What a change of a group leads to: its records first, then the change itself, its answers and timers. */
  outcomeOf<Response>(
    state: GroupShardState,
    timers: Timers<GroupTimer>,
    draft: GroupDraft,
    response: Response,
  ): Outcome<Response> {
    const { onFailure } = draft
    return {
      records: draft.records,
      response,
      commit: () => this.#apply(state, timers, draft),
      abort: (error) => {
        if (onFailure) this.#apply(state, timers, onFailure(error))
        throw new KafkaError(error)
      },
    }
  }

  #apply(state: GroupShardState, timers: Timers<GroupTimer>, draft: GroupDraft): void {
    state.groups.set(draft.groupId, draft.group())
    for (const effect of draft.effects) {
      if (effect.kind === 'setTimer') timers.set(timerKey(effect.timer), effect.delayMs, effect.timer)
      else if (effect.kind === 'cancelTimer') timers.cancel(effect.key)
      else if (effect.kind === 'join') effect.waiter.answer(effect.response)
      else effect.waiter.answer(effect.response)
    }
  }

  #scheduleExpiry(timers: Timers<GroupTimer>): void {
    timers.set(timerKey(expiry), Number(this.#parts.config.offsetsRetentionCheckIntervalMs), expiry)
  }

  /**
   * Forgets expired offsets, and empty groups that are left without any. What does not fit into one append waits for
   * its turn.
   */
  #expire(state: GroupShardState, timers: Timers<GroupTimer>): Outcome<void> {
    const { config, nowMs } = this.#parts
    const now = { nowMs: nowMs(), retentionMs: BigInt(config.offsetsRetentionMinutes) * msPerMinute }
    const records: CoordinatorRecord[] = []
    let isCut = false
    for (const group of state.groups.values()) {
      isCut = records.length >= tombstonesPerAppend
      if (isCut) break
      const expired = expireOffsets(state, group, now)
      records.push(...expired.records)
      if (expired.isAllGone && group.state === 'Empty' && group.pendingJoins.size === 0)
        records.push(groupTombstone(group.groupId))
    }
    isCut ||= records.length > tombstonesPerAppend
    this.#scheduleExpiry(timers)
    return {
      records: records.slice(0, tombstonesPerAppend),
      response: undefined,
      commit: () => {
        if (isCut) timers.set(timerKey(expiry), 0, expiry)
      },
    }
  }
}
