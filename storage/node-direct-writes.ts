/**
 * Small writes without the thread pool. They are in the page cache sooner than another thread has been woken for them, and for a
 * fraction of the processor time (measured for 4 KiB: 5 us instead of 16, and 6 instead of 36 until the caller hears).
 *
 * The pool does what is larger, and of the writes of one turn of the event loop, which it can do side by side: those that are worth
 * waking a thread by what writes have cost of late (memory that a virtual machine has never used costs ten times as much), and
 * those beyond a limit of time.
 *
 * Who waits here holds up the whole process, and a write may have to wait: for a disk that can't keep up with dirty pages, for
 * memory, for a running sync. So what meets a running sync goes to the pool, and so do the next ones when some have waited, as
 * long as it takes that no more than a tenth of the time is lost to waiting.
 */
import * as fs from 'node:fs'

/** Above this size the copy itself takes long enough to be worth another thread. */
const largestBytes = 128 * 1024
/** One call writes so much at most: for more Linux takes page cache in pieces that a virtual machine seldom has at hand. */
const pieceBytes = 64 * 1024
/** What one `writev` takes at most on Linux and macOS. */
const maxVectors = 1024
/** What will take longer than this is worth waking a thread, unless it is the first of its turn. */
const handOverMs = 0.05
/** Once the writes of a turn have taken so long, the pool does the rest. */
const turnMs = 1
/** What a write costs, at best: the call, and its bytes. */
const callMs = 0.003
const byteMs = 0.000_000_22
/** How much what a write has cost says of the next ones, and what counts at most: so many times the best. */
const newsShare = 0.1
const slowest = 20
/** What takes longer, for up to `usualBytes`, has waited for something. */
const usualMs = 0.1
const usualBytes = 32 * 1024
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
  /** How long the writes of this turn of the event loop have taken. */
  #spentMs = 0
  /** How many times what they cost at best writes have cost of late. */
  #slowness = 1

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
    if (at.sizeBytes > largestBytes || chunks.length > maxVectors) return undefined
    if (this.#runningSyncs > 0 || this.#spentMs >= turnMs) return undefined
    const bestMs = callMs + at.sizeBytes * byteMs
    if (this.#spentMs > 0 && bestMs * this.#slowness > handOverMs) return undefined
    const startMs = this.#nowMs()
    this.#lostMs = Math.max(0, this.#lostMs - (startMs - this.#knownAtMs) * waitingShare)
    this.#knownAtMs = startMs
    if (this.#lostMs >= burstMs) return undefined
    try {
      return this.#write(fd, chunks, at.position)
    } finally {
      const tookMs = this.#nowMs() - startMs
      this.#spentMs += tookMs
      this.#slowness += (Math.min(tookMs / bestMs, slowest) - this.#slowness) * newsShare
      this.#lostMs += Math.max(0, tookMs - usualMs * Math.max(1, at.sizeBytes / usualBytes))
    }
  }

  /** To be called when another turn of the event loop begins. */
  turnBegins(): void {
    this.#spentMs = 0
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
  if (!only || chunks.length > 1) return fs.writevSync(fd, chunks, position)
  let done = 0
  while (done < only.length) {
    const wanted = Math.min(pieceBytes, only.length - done)
    const written = fs.writeSync(fd, only, done, wanted, position + done)
    done += written
    if (written < wanted) break
  }
  return done
}
