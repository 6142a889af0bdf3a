/**
 * Long polls: a fetch that found too little waits here until there is enough, or until asking again would show
 * something else than data (an error, a truncation, a new leader epoch).
 */
import type { LogHandle, LogStore, ReadRequest, WakeCause } from '../../storage/log-store.ts'
import type { Clock } from '../environment/environment.ts'
import type { DeadlineQueue } from '../network/deadline-queue.ts'

export interface WaitParts {
  readonly logs: LogStore
  readonly clock: Pick<Clock, 'defer'>
  readonly deadlines: DeadlineQueue
}

export interface WaitOptions {
  /** Wakes as soon as so many bytes can be read over all requests, none counted above its own `maxBytes`. */
  readonly minBytes: number
  readonly maxWaitMs: number
  /** Ends the wait: the client is gone, or the broker stops. */
  readonly signal: AbortSignal
}

/**
 * Resolves when it is worth to read again, at the latest after `maxWaitMs`. However often the logs change, they are
 * looked at no more than once per turn of the event loop.
 */
export function waitForData(parts: WaitParts, requests: readonly ReadRequest[], options: WaitOptions): Promise<void> {
  return new Promise((resolve) => new Waiter(parts, requests, options, resolve).start())
}

class Waiter {
  readonly #parts: WaitParts
  readonly #requests: readonly ReadRequest[]
  readonly #options: WaitOptions
  readonly #resolve: () => void
  readonly #ends: (() => void)[] = []
  #isCheckDue = false
  /** Something else than new records happened. */
  #mustReadAgain = false
  #isOver = false

  constructor(parts: WaitParts, requests: readonly ReadRequest[], options: WaitOptions, resolve: () => void) {
    this.#parts = parts
    this.#requests = requests
    this.#options = options
    this.#resolve = resolve
  }

  start(): void {
    const { logs, deadlines } = this.#parts
    const { maxWaitMs, signal } = this.#options
    const handles = [...new Set(this.#requests.map((request) => request.log))]
    const subscription = logs.subscribe(handles, (log, cause) => this.#wake(log, cause))
    const deadline = deadlines.add(maxWaitMs, this.#finish)
    signal.addEventListener('abort', this.#finish, { once: true })
    this.#ends.push(
      () => subscription.close(),
      () => deadline.cancel(),
      () => signal.removeEventListener('abort', this.#finish),
    )
    // What came between the read and the subscription would otherwise be missed.
    if (signal.aborted || this.#hasEnough()) this.#finish()
  }

  #wake(_log: LogHandle, cause: WakeCause): void {
    if (this.#isOver) return
    if (cause !== 'appended') this.#mustReadAgain = true
    if (this.#isCheckDue) return
    this.#isCheckDue = true
    this.#parts.clock.defer(() => {
      this.#isCheckDue = false
      if (this.#mustReadAgain || this.#hasEnough()) this.#finish()
    })
  }

  #hasEnough(): boolean {
    const { logs } = this.#parts
    let availableBytes = 0
    for (const { log, offset, maxBytes, isolation } of this.#requests) {
      if (!logs.find(log.id)) return true // dropped: reading says so
      const { logStartOffset, logEndOffset } = logs.view(log)
      if (offset < logStartOffset || offset > logEndOffset) return true
      availableBytes += Math.min(logs.availableBytes(log, offset, isolation), maxBytes)
      if (availableBytes >= this.#options.minBytes) return true
    }
    return false
  }

  readonly #finish = (): void => {
    if (this.#isOver) return
    this.#isOver = true
    for (const end of this.#ends) end()
    this.#resolve()
  }
}
