/**
 * Small writes without the thread pool. They are in the page cache sooner than another thread has been woken for them,
 * and for a fraction of the processor time (measured for 4 KiB: 5 us instead of 16, and 6 instead of 36 until the
 * caller hears).
 *
 * Larger ones go to the pool. So do small ones that would keep the event loop busy while threads could do them side by
 * side: those beyond a limit of time in one turn, and, but for the first of a turn, those worth waking a thread. What a
 * write takes is foretold from what others took of late: memory that a virtual machine has never used costs ten times
 * as much.
 *
 * What meets a running sync goes to the pool too: it may have to wait for that. For all others there is `LoopTime`.
 */
import * as fs from 'node:fs'
import { LoopTime } from './node-loop-time.ts'

/** Above this size the copy itself takes long enough to be worth another thread. */
const largestBytes = 128 * 1024
/** One call writes so much: for more, Linux takes page cache in pieces that a virtual machine seldom has at hand. */
const pieceBytes = 64 * 1024
/** What one `writev` takes at most on Linux and macOS. */
const maxVectors = 1024
/** What will take longer than this is worth waking a thread, unless it is the first of its turn. */
const handOverMs = 0.05
/** What a write costs, at best: the call, and its bytes. */
const callMs = 0.003
const byteMs = 0.000_000_22
/** How much what a write has cost says of the next ones, and what counts at most: so many times the best. */
const newsShare = 0.1
const slowest = 20
/** What takes longer, for up to `usualBytes`, has waited for something. */
const usualMs = 0.1
const usualBytes = 32 * 1024

export interface DirectWritesOptions {
  /** What the writes take of the event loop is counted here. */
  readonly loopTime?: LoopTime
  /** What writes, as `fs.writevSync` does. */
  readonly write?: Write
}

type Write = (fd: number, chunks: readonly Uint8Array[], position: number) => number

export class DirectWrites {
  readonly #time: LoopTime
  readonly #write: Write
  #runningSyncs = 0
  /** How many times what they cost at best writes have cost of late. */
  #slowness = 1

  constructor(options: DirectWritesOptions = {}) {
    this.#time = options.loopTime ?? new LoopTime()
    this.#write = options.write ?? writeInPieces
  }

  /**
   * Writes, and returns how many bytes it were: fewer than there are where there is no room for more. Undefined, and
   * nothing is written, where the pool has to do it.
   *
   * @throws what `fs.writevSync` throws. Some bytes may be written then.
   */
  tryWrite(fd: number, chunks: readonly Uint8Array[], at: { position: number; sizeBytes: number }): number | undefined {
    if (at.sizeBytes > largestBytes || chunks.length > maxVectors || this.#runningSyncs > 0) return undefined
    const bestMs = callMs + at.sizeBytes * byteMs
    if (this.#time.isBegun && bestMs * this.#slowness > handOverMs) return undefined
    const startMs = this.#time.begin()
    if (startMs === undefined) return undefined
    try {
      return this.#write(fd, chunks, at.position)
    } finally {
      const tookMs = this.#time.end(startMs, usualMs * Math.max(1, at.sizeBytes / usualBytes))
      this.#slowness += (Math.min(tookMs / bestMs, slowest) - this.#slowness) * newsShare
    }
  }

  syncBegins(): void {
    this.#runningSyncs += 1
  }

  syncEnds(): void {
    this.#runningSyncs -= 1
  }
}

function writeInPieces(fd: number, chunks: readonly Uint8Array[], position: number): number {
  const [first] = chunks
  if (first && chunks.length === 1 && first.length <= pieceBytes) {
    return fs.writeSync(fd, first, 0, first.length, position) // costs less than a vector of one
  }
  let done = 0
  for (const piece of piecesOf(chunks)) {
    const written = fs.writevSync(fd, piece, position + done)
    done += written
    if (written < piece.reduce((sum, { length }) => sum + length, 0)) break
  }
  return done
}

/** The same bytes in pieces of `pieceBytes` and a rest. */
function piecesOf(chunks: readonly Uint8Array[]): readonly (readonly Uint8Array[])[] {
  const pieces: Uint8Array[][] = [[]]
  let roomBytes = pieceBytes
  for (const chunk of chunks) {
    for (let at = 0; at < chunk.length;) {
      if (roomBytes === 0) {
        pieces.push([])
        roomBytes = pieceBytes
      }
      const part = at === 0 && chunk.length <= roomBytes ? chunk : chunk.subarray(at, at + roomBytes)
      pieces.at(-1)!.push(part)
      roomBytes -= part.length
      at += part.length
    }
  }
  return pieces
}
