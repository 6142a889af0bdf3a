import type { Clock } from './environment.ts'

/** `Clock.sleep` from `Clock.setTimer`: resolves after the delay, or at once when the signal aborts. */
export function sleepOn(clock: Pick<Clock, 'setTimer'>, delayMs: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal?.aborted) {
      resolve()
      return
    }
    const wake = (): void => {
      timer.cancel()
      signal?.removeEventListener('abort', wake)
      resolve()
    }
    const timer = clock.setTimer(delayMs, wake)
    signal?.addEventListener('abort', wake, { once: true })
  })
}
