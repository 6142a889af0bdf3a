/**
 * Runs coordinators: state machines whose state is rebuilt from records, one state per shard.
 *
 * An operation is a look at the state that says which records to append and what to answer. Once the records are
 * committed they are replayed into the state and the answer leaves; until then nobody sees them. When the append fails
 * there is nothing to roll back, because nothing was changed.
 */
import { KafkaError } from '../errors.ts'
import type { ErrorName } from '../../protocol/errors.ts'
import type { Logger } from '../environment/environment.ts'
import type { DeadlineQueue } from '../network/deadline-queue.ts'
import type { CoordinatorKind, CoordinatorRecord, CoordinatorStore } from './coordinator-store.ts'
import { Shard, type Timers } from './shard.ts'

/** What an operation leads to. */
export interface Outcome<Response> {
  readonly response: Response
  /** Appended as one atomic batch, and replayed into the state once they are committed. */
  readonly records?: readonly CoordinatorRecord[]
  /**
   * Changes what no record carries (waiters, timers): runs after the replay, in the same turn; at once if there are no
   * records.
   */
  readonly commit?: () => void
  /**
   * Instead of `commit` and the response when the records could not be written. May throw a KafkaError, and without it
   * the operation rejects with that of `error`.
   */
  readonly abort?: (error: ErrorName) => Response
}

/** A coordinator: groups, transactions. Everything here is synchronous. */
export interface CoordinatorMachine<State, TimerEvent> {
  readonly kind: CoordinatorKind
  /** An empty shard. */
  create(): State
  replay(record: CoordinatorRecord, state: State): void
  /** All records of the shard were replayed: sets the timers that the state asks for. */
  loaded(state: State, timers: Timers<TimerEvent>): void
  /** A timer ran out. Runs as an operation of its own. */
  fired(event: TimerEvent, state: State, timers: Timers<TimerEvent>): Outcome<void>
  /** The shard is served no more from here on: ends everything that waits in it with the error. */
  unloaded(state: State, error: ErrorName): void
}

export interface RuntimeParts<State, TimerEvent> {
  readonly machine: CoordinatorMachine<State, TimerEvent>
  readonly store: CoordinatorStore
  readonly deadlines: Pick<DeadlineQueue, 'add'>
  readonly logger: Logger
  readonly shardCount: number
  /**
   * Numbers the loadings of a shard, so that appends of an earlier one are fenced off. Brokers between which shards
   * move share one. Default: counts by itself.
   */
  readonly nextTerm?: () => number
}

/** How many shards are read at the same time. */
const loadingLanes = 4

export class CoordinatorRuntime<State, TimerEvent> {
  readonly #shards: readonly Shard<State, TimerEvent>[]
  readonly #parts: RuntimeParts<State, TimerEvent>

  constructor(parts: RuntimeParts<State, TimerEvent>) {
    this.#parts = parts
    this.#shards = Array.from({ length: parts.shardCount }, (_, index) => new Shard(parts, index))
  }

  /**
   * Rebuilds these shards, or every one. To be awaited before the first client is let in: some clients do not try again
   * after COORDINATOR_LOAD_IN_PROGRESS. A shard that can't be read is logged and not served; the others are.
   */
  async loadAll(shards: readonly number[] = this.#shards.map((_, index) => index)): Promise<void> {
    let next = 0
    const lane = async (): Promise<void> => {
      for (let at = next++; at < shards.length; at = next++) await this.load(shards[at]!)
    }
    await Promise.all(Array.from({ length: loadingLanes }, lane))
  }

  /** Rebuilds one shard and serves it. Resolves also where it can't be read: then it is not served. */
  async load(shard: number): Promise<void> {
    await this.#shard(shard).load()
  }

  /**
   * Stops serving a shard: its operations are answered NOT_COORDINATOR from now on, never as if it were empty. Resolves
   * when no append of it is under way any more: whoever reads the records then reads all of them.
   */
  unload(shard: number, error: ErrorName = 'NOT_COORDINATOR'): Promise<void> {
    return this.#shard(shard).unload(error)
  }

  /**
   * Runs an operation that may append. It sees everything that was done before it; what comes behind it waits until its
   * records are committed. Pipelined operations do not wait for each other: they must look only at what exclusive ones
   * change. Rejects with a KafkaError.
   */
  write<Response>(
    shard: number,
    run: (state: State, timers: Timers<TimerEvent>) => Outcome<Response>,
    options: { readonly isPipelined?: boolean } = {},
  ): Promise<Response> {
    return this.#shard(shard).write(run, options.isPipelined ?? false)
  }

  /** Looks at committed state, at once. @throws KafkaError where the shard is not served. */
  read<T>(shard: number, look: (state: State) => T): T {
    return look(this.#shard(shard).state())
  }

  /** The shards that are served. */
  activeShards(): number[] {
    return this.#shards.flatMap((shard, index) => (shard.isActive ? [index] : []))
  }

  /** Ends everything that waits. Appends in flight settle without effect. */
  close(): void {
    for (const shard of this.#shards) shard.end('COORDINATOR_NOT_AVAILABLE')
  }

  #shard(index: number): Shard<State, TimerEvent> {
    const shard = this.#shards[index]
    if (!shard) throw new KafkaError('NOT_COORDINATOR', `shard ${index} is not one of ${this.#parts.shardCount}`)
    return shard
  }
}
