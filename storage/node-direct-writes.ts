/**
 * Small writes without the thread pool. A few KiB are in the page cache sooner than another thread has been woken for them, and
 * for a fraction of the processor time (measured for 4 KiB: 5 us instead of 16, and 6 instead of 36 until the caller hears).
 *
 * A write may have to wait all the same: for a disk that can't keep up with dirty pages, for memory, for a running sync. Who
 * waits here holds up the whole process. So larger writes, and all that meet a running sync, go to the pool; and so do the next
 * ones when some have waited, as long as it takes that no more than a tenth of the time is lost to waiting.
 */
import * as fs from 'node:fs'

/** Above this size the copy itself takes long enough to be worth another thread. */
const largestBytes = 32 * 1024
/** What one `writev` takes at most on Linux and macOS. */
const maxVectors = 1024
/** What takes longer has waited for something. */
const usualMs = 0.1
/** Of the time, what may be lost to waiting. */
const waitingShare = 0.1
/** So much may be lost at once before the pool has to help. */
const burstMs = 10

export interface DirectWritesOptions {
  /** A monotonous clock, in milliseconds. */
  readonly nowMs?: () => number
  /** What writes, as `fs.writevSync` does. */
  readonly write?: (fd: number, chunks: readonly Uint8Array[], position: number) => number
}

export class DirectWrites {
  readonly #nowMs: () => number
  readonly #write: (fd: number, chunks: readonly Uint8Array[], position: number) => number
  #runningSyncs = 0
  /** What was lost to waiting, less what may be lost in the time since. */
  #lostMs = 0
  #knownAtMs = 0
  #turn: Promise<void> | undefined

  constructor(options: DirectWritesOptions = {}) {
    this.#nowMs = options.nowMs ?? (() => performance.now())
    this.#write = options.write ?? writeNow
  }

  /**
   * Writes, and returns how many bytes it were, as the system's own call: fewer than there are where there is no room for more.
   * Undefined, and nothing is written, where the pool has to do it.
   *
   * @throws what `fs.writevSync` throws.
   */
  tryWrite(fd: number, chunks: readonly Uint8Array[], at: { position: number; sizeBytes: number }): number | undefined {
    if (at.sizeBytes > largestBytes || chunks.length > maxVectors || this.#runningSyncs > 0) return undefined
    const startMs = this.#nowMs()
    this.#lostMs = Math.max(0, this.#lostMs - (startMs - this.#knownAtMs) * waitingShare)
    this.#knownAtMs = startMs
    if (this.#lostMs >= burstMs) return undefined
    try {
      return this.#write(fd, chunks, at.position)
    } finally {
      this.#lostMs += Math.max(0, this.#nowMs() - startMs - usualMs)
    }
  }

  /** Resolves in a turn of its own, so that what follows a write never starves timers and sockets. */
  nextTurn(): Promise<void> {
    this.#turn ??= new Promise((resolve) => {
      setImmediate(() => {
        this.#turn = undefined
        resolve()
      })
    })
    return this.#turn
  }

  syncBegins(): void {
    this.#runningSyncs += 1
  }

  syncEnds(): void {
    this.#runningSyncs -= 1
  }
}

function writeNow(fd: number, chunks: readonly Uint8Array[], position: number): number {
  const [only] = chunks
  if (only && chunks.length === 1) return fs.writeSync(fd, only, 0, only.length, position)
  return fs.writevSync(fd, chunks, position)
}
