/**
 * Has logs synced a little at a time, long before they have to be: what many logs write in one go keeps the disk, and
 * writers that wait for it, for as long. One log of a store at a time, and not so often that a store under full load is
 * slowed by it.
 */

/** Between the beginnings of two syncs. With a few ms each, a tenth of the time of the disk. */
const intervalMs = 50n

export class EarlySyncs {
  #lastMs = -intervalMs
  #isRunning = false

  /**
   * Runs `sync`, which tells of its failure itself, now or not at all: whoever has much to sync asks again. `nowMs`:
   * when it asks.
   */
  offer(nowMs: bigint, sync: () => Promise<void>): void {
    const sinceMs = nowMs - this.#lastMs
    if (this.#isRunning || (sinceMs >= 0n && sinceMs < intervalMs)) return
    this.#lastMs = nowMs
    this.#isRunning = true
    const onEnd = (): void => void (this.#isRunning = false)
    sync().then(onEnd, onEnd)
  }
}
