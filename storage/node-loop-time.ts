/**
 * What calls without a thread may take of the event loop's time. One that is sure to be short costs far less than
 * waking another thread does, but who waits here holds up the whole process, and any call to a disk may have to wait:
 * for the disk itself, for memory, for another call. So in one turn of the loop they may take so long in all, and once
 * some have waited the next ones go to the pool, as long as it takes that no more than a tenth of the time is lost.
 */

/** Once the calls of a turn have taken so long, the rest has to go elsewhere, or to wait for the next one. */
const turnMs = 1
/** Of the time, what may be lost to waiting. */
const waitingShare = 0.1
/** So much may be lost at once before the pool has to help. */
const burstMs = 10

export interface LoopTimeOptions {
  /** A monotonous clock, in milliseconds. */
  readonly nowMs?: () => number
  /** Runs a function when the next turn of the event loop begins. */
  readonly defer?: (run: () => void) => void
}

export class LoopTime {
  readonly #nowMs: () => number
  readonly #defer: (run: () => void) => void
  /** What was lost to waiting, less what may be lost in the time since. */
  #lostMs = 0
  #knownAtMs = 0
  /** How long the calls of this turn of the event loop have taken: undefined before the first. */
  #spentMs: number | undefined
  /** What waits for a turn that has time, in the order of its calls. */
  #waiting: (() => void)[] = []

  constructor(options: LoopTimeOptions = {}) {
    this.#nowMs = options.nowMs ?? (() => performance.now())
    this.#defer = options.defer ?? ((run) => setImmediate(run))
  }

  /** Whether this turn of the event loop has had a call. */
  get isBegun(): boolean {
    return this.#spentMs !== undefined
  }

  /** What this turn may take is spent. */
  get isSpent(): boolean {
    return this.#spentMs !== undefined && this.#spentMs >= turnMs
  }

  /**
   * Runs `work` at once, or in the first turn that has time for it behind all that waits already. Each should be a call
   * that begins and ends. It must not throw.
   */
  inTurn(work: () => void): void {
    if (this.isSpent || this.#waiting.length > 0) this.#waiting.push(work)
    else work()
  }

  /** When the call begins, for `end`; undefined where it must not. */
  begin(): number | undefined {
    if (this.isSpent) return undefined
    const startMs = this.#nowMs()
    this.#lostMs = Math.max(0, this.#lostMs - (startMs - this.#knownAtMs) * waitingShare)
    this.#knownAtMs = startMs
    if (this.#lostMs >= burstMs) return undefined
    if (this.#spentMs === undefined) {
      this.#spentMs = 0
      this.#defer(() => this.#beginTurn())
    }
    return startMs
  }

  /** To be called once for each call that began. Returns how long it took; beyond `usualMs` it has waited. */
  end(startMs: number, usualMs: number): number {
    const tookMs = this.#nowMs() - startMs
    this.#spentMs = (this.#spentMs ?? 0) + tookMs
    this.#lostMs += Math.max(0, tookMs - usualMs)
    return tookMs
  }

  #beginTurn(): void {
    this.#spentMs = undefined
    let count = 0
    while (count < this.#waiting.length && !this.isSpent) this.#waiting[count++]!()
    this.#waiting = this.#waiting.slice(count)
  }
}
