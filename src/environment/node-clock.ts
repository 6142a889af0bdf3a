/** The clock of this machine. */
import { sleepOn } from './sleep.ts'
import type { Clock, Timer } from './environment.ts'

/** The longest delay that one Node timer can hold: beyond it, it would fire at once. */
const timerDelayMaxMs = 2 ** 31 - 1

export const nodeClock: Clock = {
  nowMs: () => Date.now(),
  monotonicMs: () => performance.now(),
  setTimer: (delayMs, run) => new NodeTimer(Math.max(0, Math.ceil(delayMs)), run), // Node would cut the fraction off
  defer: (run) => {
    setImmediate(run)
  },
  sleep: (delayMs, signal) => sleepOn(nodeClock, delayMs, signal),
}

/** Long delays are a chain of timers. None of them keeps the process alive. */
class NodeTimer implements Timer {
  #timeout: NodeJS.Timeout
  readonly #run: () => void

  constructor(delayMs: number, run: () => void) {
    this.#run = run
    this.#timeout = this.#arm(delayMs)
  }

  cancel(): void {
    clearTimeout(this.#timeout)
  }

  #arm(delayMs: number): NodeJS.Timeout {
    if (delayMs <= timerDelayMaxMs) return setTimeout(this.#run, delayMs).unref()
    const restMs = delayMs - timerDelayMaxMs
    return setTimeout(() => {
      this.#timeout = this.#arm(restMs)
    }, timerDelayMaxMs).unref()
  }
}
