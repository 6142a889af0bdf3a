import type { Clock, Timer } from './environment.ts'
import { sleepOn } from './sleep.ts'

interface SimulatedTimer extends Timer {
  readonly atMs: number
  readonly order: number
  readonly run: () => void
}

/**
 * Time that stands still until it is told to go on, so that a test or a simulation of hours takes milliseconds and runs
 * the same way each time. Timers fire in the order of their times, those of the same time in the order they were set.
 *
 * Deferred work needs no time: it runs in the host's next turns, in order, also while time stands still.
 */
export class SimulatedClock implements Clock {
  readonly #host: Pick<Clock, 'defer'>
  readonly #startMs: number
  #elapsedMs = 0
  #nextOrder = 0
  #deferredCount = 0
  readonly #timers = new Set<SimulatedTimer>()

  /** `host` gives the turns of the event loop, `startMs` is the wall clock's time at the start. */
  constructor(host: Pick<Clock, 'defer'>, startMs = 1_700_000_000_000) {
    this.#host = host
    this.#startMs = startMs
  }

  nowMs(): number {
    return this.#startMs + Math.floor(this.#elapsedMs)
  }

  monotonicMs(): number {
    return this.#elapsedMs
  }

  setTimer(delayMs: number, run: () => void): Timer {
    const timer: SimulatedTimer = {
      atMs: this.#elapsedMs + Math.max(0, delayMs),
      order: this.#nextOrder++,
      run,
      cancel: () => {
        this.#timers.delete(timer)
      },
    }
    this.#timers.add(timer)
    return timer
  }

  defer(run: () => void): void {
    this.#deferredCount++
    this.#host.defer(() => {
      this.#deferredCount--
      run()
    })
  }

  sleep(delayMs: number, signal?: AbortSignal): Promise<void> {
    return sleepOn(this, delayMs, signal)
  }

  /** How many timers are set. */
  get timerCount(): number {
    return this.#timers.size
  }

  /**
   * Lets time pass: fires what becomes due on the way, and after each timer lets everything it started come to rest.
   */
  async advance(byMs: number): Promise<void> {
    const untilMs = this.#elapsedMs + byMs
    await this.settle()
    for (;;) {
      const timer = this.#findNext(untilMs)
      if (!timer) break
      this.#timers.delete(timer)
      this.#elapsedMs = timer.atMs
      timer.run()
      await this.settle()
    }
    this.#elapsedMs = untilMs
  }

  /** Waits until no deferred work and no promise is left that can go on without time passing. */
  async settle(): Promise<void> {
    do {
      await new Promise<void>((resolve) => this.#host.defer(resolve))
    } while (this.#deferredCount > 0)
  }

  #findNext(untilMs: number): SimulatedTimer | undefined {
    let next: SimulatedTimer | undefined
    for (const timer of this.#timers) {
      if (timer.atMs > untilMs) continue
      if (!next || timer.atMs < next.atMs || (timer.atMs === next.atMs && timer.order < next.order)) next = timer
    }
    return next
  }
}
