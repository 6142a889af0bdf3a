import type { ErrorName } from '../../protocol/errors.ts'
import type { Fence, Result } from '../../storage/log-store.ts'
import { errorNameOfStorageCode, KafkaError } from '../errors.ts'
import type { Deadline } from '../network/deadline-queue.ts'
import type { Outcome, RuntimeParts } from './runtime.ts'

/** The timers of a shard, by key. They end with the shard. */
export interface Timers<TimerEvent> {
  /** Sets the timer of that key anew. */
  set(key: string, delayMs: number, event: TimerEvent): void
  cancel(key: string): void
}

/** An operation in the queue. */
interface Operation {
  readonly isPipelined: boolean
  start(): void
  fail(error: unknown): void
}

/** An append whose outcome is to be taken over in the order of the appends. */
interface Append {
  result: Result | undefined
  committed(): void
  failed(error: KafkaError): void
}

/**
 * What clients hear when the records of an operation could not be written: what makes them look for the coordinator
 * again.
 */
const coordinatorErrors: Partial<Record<ErrorName, ErrorName>> = {
  UNKNOWN_TOPIC_OR_PARTITION: 'COORDINATOR_NOT_AVAILABLE',
  NOT_ENOUGH_REPLICAS: 'COORDINATOR_NOT_AVAILABLE',
  REQUEST_TIMED_OUT: 'COORDINATOR_NOT_AVAILABLE',
  NOT_LEADER_OR_FOLLOWER: 'NOT_COORDINATOR',
  KAFKA_STORAGE_ERROR: 'NOT_COORDINATOR',
  MESSAGE_TOO_LARGE: 'UNKNOWN_SERVER_ERROR',
  RECORD_LIST_TOO_LARGE: 'UNKNOWN_SERVER_ERROR',
  INVALID_FETCH_SIZE: 'UNKNOWN_SERVER_ERROR',
}

/**
 * One shard: its state while it is served, its queue, its timers. Each loading is a term; nothing of one reaches
 * another.
 */
export class Shard<State, TimerEvent> {
  readonly #parts: RuntimeParts<State, TimerEvent>
  readonly #index: number
  #status: 'inactive' | 'loading' | 'active' = 'inactive'
  #state: State | undefined
  #term = 0
  #queue: Operation[] = []
  #appends: Append[] = []
  #isExclusive = false
  /** The first append brings the internal topic into being; until it is there, appends would not keep their order. */
  #hasAppended = false
  readonly #inFlight = new Set<Promise<void>>()
  readonly #timers = new Map<string, Deadline>()

  constructor(parts: RuntimeParts<State, TimerEvent>, index: number) {
    this.#parts = parts
    this.#index = index
  }

  get isActive(): boolean {
    return this.#status === 'active'
  }

  /** @throws KafkaError where the shard is not served. */
  state(): State {
    if (this.#status === 'loading') throw new KafkaError('COORDINATOR_LOAD_IN_PROGRESS')
    if (this.#state === undefined || !this.isActive) throw new KafkaError('NOT_COORDINATOR')
    return this.#state
  }

  async load(): Promise<void> {
    const { machine, store, logger } = this.#parts
    const ended = this.#status === 'inactive' ? undefined : this.unload('NOT_COORDINATOR')
    const term = this.#nextTerm()
    this.#status = 'loading'
    await ended
    if (term !== this.#term) return
    const state = machine.create()
    try {
      for await (const records of store.load(machine.kind, this.#index))
        for (const record of records) machine.replay(record, state)
    } catch (error) {
      if (term !== this.#term) return
      this.#status = 'inactive'
      logger.error({ kind: machine.kind, shard: this.#index, err: error }, 'coordinator state not loaded')
      return
    }
    if (term !== this.#term) return
    this.#state = state
    this.#status = 'active'
    machine.loaded(state, this.#timersOf(term))
  }

  /** Ends the term. Resolves when no append of it is under way any more. */
  async unload(error: ErrorName): Promise<void> {
    this.end(error)
    await Promise.all(this.#inFlight)
  }

  #nextTerm(): number {
    this.#term = this.#parts.nextTerm?.() ?? this.#term + 1
    return this.#term
  }

  /** Ends the term, and with the error everything that waits in it. */
  end(error: ErrorName): void {
    const state = this.#state
    this.#nextTerm()
    this.#status = 'inactive'
    this.#state = undefined
    const queue = this.#queue
    const appends = this.#appends
    this.#queue = []
    this.#appends = []
    this.#isExclusive = false
    for (const deadline of this.#timers.values()) deadline.cancel()
    this.#timers.clear()
    const failure = new KafkaError(error)
    for (const append of appends) append.failed(failure)
    for (const operation of queue) operation.fail(failure)
    if (state !== undefined) this.#parts.machine.unloaded(state, error)
  }

  write<Response>(
    run: (state: State, timers: Timers<TimerEvent>) => Outcome<Response>,
    isPipelined: boolean,
  ): Promise<Response> {
    return new Promise<Response>((resolve, reject) => {
      this.state() // throws, and so rejects, where the shard is not served
      this.#queue.push({
        isPipelined,
        start: () => this.#start(run, isPipelined, { resolve, reject }),
        fail: reject,
      })
      this.#drain()
    })
  }

  #drain(): void {
    for (let next = this.#queue[0]; next && this.#mayStart(next); next = this.#queue[0]) {
      this.#queue.shift()
      try {
        next.start()
      } catch (error) {
        next.fail(error)
      }
    }
  }

  #mayStart(operation: Operation): boolean {
    return !this.#isExclusive && (operation.isPipelined || this.#appends.length === 0)
  }

  #start<Response>(
    run: (state: State, timers: Timers<TimerEvent>) => Outcome<Response>,
    isPipelined: boolean,
    promise: { resolve(response: Response): void; reject(error: unknown): void },
  ): void {
    const state = this.state()
    const { records = [], response, commit, abort } = run(state, this.#timersOf(this.#term))
    if (records.length === 0) {
      commit?.()
      promise.resolve(response)
      return
    }
    const { machine } = this.#parts
    this.#append(records, !isPipelined || !this.#hasAppended, {
      result: undefined,
      committed: () => {
        for (const record of records) machine.replay(record, state)
        commit?.()
        promise.resolve(response)
      },
      failed: (error) => {
        try {
          if (!abort) throw error
          promise.resolve(abort(error.errorName))
        } catch (reason) {
          promise.reject(reason)
        }
      },
    })
  }

  #append(records: Required<Outcome<unknown>>['records'], isExclusive: boolean, append: Append): void {
    const { machine, store, logger } = this.#parts
    const term = this.#term
    this.#appends.push(append)
    if (isExclusive) this.#isExclusive = true
    const settle = (result: Result): void => {
      if (term !== this.#term) return // it was answered when the shard was unloaded
      append.result = result
      this.#takeOver()
    }
    const appending = store.append(machine.kind, this.#index, records, this.#fence())
    const settled: Promise<void> = appending
      .then(settle, (error: unknown) => {
        logger.error({ kind: machine.kind, shard: this.#index, err: error }, 'coordinator append failed')
        settle({ ok: false, code: 'TIMED_OUT', retriable: true, message: 'the append threw' })
      })
      .finally(() => this.#inFlight.delete(settled))
    this.#inFlight.add(settled)
  }

  /** Takes over what has settled, in the order of the appends. */
  #takeOver(): void {
    const term = this.#term
    for (let append = this.#appends[0]; append?.result; append = this.#appends[0]) {
      this.#appends.shift()
      if (this.#appends.length === 0) this.#isExclusive = false
      this.#settle(append, append.result)
      if (term !== this.#term) return
    }
    this.#drain()
  }

  #settle(append: Append, result: Result): void {
    if (result.ok) {
      this.#hasAppended = true
      append.committed()
      return
    }
    const { machine, logger } = this.#parts
    const name = errorNameOfStorageCode[result.code]
    const error = new KafkaError(coordinatorErrors[name] ?? name, result.message)
    logger.warn({ kind: machine.kind, shard: this.#index, code: result.code }, 'coordinator records not written')
    append.failed(error)
    if (result.code === 'FENCED') this.end('NOT_COORDINATOR')
    // Nobody knows whether the records are there: only reading them again tells.
    if (result.code === 'TIMED_OUT')
      this.load().catch((err: unknown) => logger.error({ kind: machine.kind, err }, 'coordinator state not loaded'))
  }

  #fence(): Fence {
    return { lease: `${this.#parts.machine.kind}-coordinator-${this.#index}`, fenceEpoch: BigInt(this.#term) }
  }

  #timersOf(term: number): Timers<TimerEvent> {
    return {
      set: (key, delayMs, event) => {
        if (term !== this.#term) return
        this.#timers.get(key)?.cancel()
        const deadline: Deadline = this.#parts.deadlines.add(delayMs, () => this.#fire(key, event, () => deadline))
        this.#timers.set(key, deadline)
      },
      cancel: (key) => {
        if (term !== this.#term) return
        this.#timers.get(key)?.cancel()
        this.#timers.delete(key)
      },
    }
  }

  /** Runs what the timer stands for, unless it was set anew or cancelled while it waited in the queue. */
  #fire(key: string, event: TimerEvent, deadlineOf: () => Deadline): void {
    const { machine, logger } = this.#parts
    const run = (state: State, timers: Timers<TimerEvent>): Outcome<void> => {
      if (this.#timers.get(key) !== deadlineOf()) return { response: undefined }
      this.#timers.delete(key)
      return machine.fired(event, state, timers)
    }
    this.write(run, false).catch((error: unknown) => {
      if (error instanceof KafkaError) {
        logger.warn({ kind: machine.kind, shard: this.#index, code: error.errorName }, 'coordinator timer failed')
        return
      }
      logger.error({ kind: machine.kind, shard: this.#index, err: error }, 'coordinator timer failed')
    })
  }
}
