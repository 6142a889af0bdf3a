import type { BlockPool } from '../../storage/block-pool.ts'
import type { Environment, Socket } from '../environment/environment.ts'
import { Call, type FrameHandler, type Received } from './call.ts'
import type { Deadline, DeadlineQueue } from './deadline-queue.ts'
import { FrameMemory } from './frame-memory.ts'
import { FrameError, FrameReader } from './frame-reader.ts'
import type { MemoryBudget, MemoryReader } from './memory-budget.ts'

export interface ConnectionLimits {
  /** `socket.request.max.bytes`. */
  readonly frameMaxBytes: number
  /** Frames that were started and are not answered; at the limit nothing more is read. */
  readonly inFlightMaxCount: number
  /** `connections.max.idle.ms`: a connection that sends nothing and waits for nothing is closed after this long. */
  readonly idleMaxMs: number
  /** A client that takes nothing of what waits for it is given up after this long. */
  readonly unsentMaxMs: number
}

export interface ConnectionParts {
  readonly environment: Pick<Environment, 'clock' | 'logger'>
  readonly memory: MemoryBudget
  /** Where large frames are read to. */
  readonly blocks: BlockPool
  readonly deadlines: DeadlineQueue
  readonly handler: FrameHandler
  readonly limits: ConnectionLimits
  onClosed(connection: Connection): void
}

/** Why a connection is not read just now; a bit each. */
const pausedBy = { inFlight: 1, unsent: 2, memory: 4, ending: 8 } as const
/** Bytes that may lie here while the frame before them is not admitted. Beyond it they stay with the kernel. */
const readAheadMaxBytes = 256 * 1024

/**
 * One client. Frames start in order, one after the other finished, was ordered (`admitNext`) or waits; answers leave in
 * the order of their frames. It knows nothing of what is in a frame.
 */
export class Connection implements MemoryReader {
  readonly id: number
  readonly remoteAddress: string
  readonly remotePort: number
  readonly #socket: Socket
  readonly #parts: ConnectionParts
  readonly #reader: FrameReader
  /** Of the frame under way. */
  #readMemory: FrameMemory | undefined
  /** What has not come of it and is held all the same: the memory is there. */
  #aheadBytes = 0
  /** Frames that are there and have not started. */
  readonly #received: Received[] = []
  /** What came behind them is no frame. */
  #failure: FrameError | undefined
  readonly #abort = new AbortController()
  /** Started and not answered, in order. */
  readonly #calls: Call[] = []
  /** The frame that keeps later ones from starting. */
  #blocking: Call | undefined
  #pauseReasons = 0
  /** Bytes of frames counted in the memory budget, and the part of them that belongs to frames that have started. */
  #heldBytes = 0
  #startedBytes = 0
  /** Bytes of answers that wait for the answer before them, and all bytes of answers counted in the memory budget. */
  #waitingBytes = 0
  #unsentBytes = 0
  #writtenBytes = 0
  #takenBytes = 0
  #isStarting = false
  #isEnding = false
  #isClosed = false
  #lastActiveMs: number
  #idleDeadline: Deadline | undefined
  #unsentDeadline: Deadline | undefined
  #memoryDeadline: Deadline | undefined

  constructor(id: number, socket: Socket, parts: ConnectionParts) {
    this.id = id
    this.remoteAddress = socket.remoteAddress
    this.remotePort = socket.remotePort
    this.#socket = socket
    this.#parts = parts
    this.#reader = new FrameReader({
      frameMaxBytes: parts.limits.frameMaxBytes,
      memoryFor: (sizeBytes, presentBytes) => this.#memoryFor(sizeBytes, presentBytes),
      onFrame: (frame) => this.#onFrame(frame),
    })
    this.#lastActiveMs = parts.environment.clock.monotonicMs()
  }

  /** Bytes of frames that came, or have their memory, and are not answered, and of answers that have not left. */
  get heldBytes(): number {
    return this.#heldBytes + this.#unsentBytes
  }

  /** Frames that were started and not answered. */
  get inFlightCount(): number {
    return this.#calls.length
  }

  /** Bytes that came and belong to no frame that has started. */
  get #unstartedBytes(): number {
    return this.#heldBytes - this.#startedBytes
  }

  /** Begins to read. */
  open(): void {
    this.#parts.memory.addReader(this)
    this.#watchIdle(this.#parts.limits.idleMaxMs)
    this.#socket.start({
      onData: (bytes) => this.#read(bytes.byteLength, () => this.#reader.push(bytes)),
      reader: {
        room: () => this.#reader.room(),
        filled: (sizeBytes) => this.#read(sizeBytes, () => this.#reader.filled(sizeBytes)),
      },
      onDrain: () => this.#onDrain(),
      onClose: (error) => this.#onClose(error),
    })
  }

  /** Starts nothing more, tells waiters to answer, sends what is in flight, and closes. */
  end(): void {
    if (this.#isEnding || this.#isClosed) return
    this.#isEnding = true
    this.#pause(pausedBy.ending)
    this.#abort.abort()
    this.#sendAnswers()
  }

  /** Closes at once. */
  destroy(): void {
    this.#socket.destroy()
  }

  /** Called by the memory budget. */
  stopReading(): void {
    this.#pause(pausedBy.memory)
    this.#memoryDeadline = this.#parts.deadlines.add(this.#parts.limits.unsentMaxMs, () => this.#giveUpCutFrame())
  }

  /** Called by the memory budget. */
  goOnReading(): void {
    this.#memoryDeadline?.cancel()
    this.#resume(pausedBy.memory)
  }

  #read(sizeBytes: number, take: () => void): void {
    if (this.#isEnding || this.#failure) return
    this.#lastActiveMs = this.#parts.environment.clock.monotonicMs()
    const countedBytes = Math.min(sizeBytes, this.#aheadBytes)
    this.#aheadBytes -= countedBytes
    this.#hold(sizeBytes - countedBytes)
    try {
      take()
    } catch (error) {
      if (!(error instanceof FrameError)) throw error
      this.#failure = error
    }
    this.#startFrames()
  }

  #memoryFor(sizeBytes: number, presentBytes: number): Uint8Array | undefined {
    const aheadBytes = Math.max(0, sizeBytes - presentBytes)
    if (!this.#parts.memory.hasRoomFor(aheadBytes)) return undefined // it grows with what comes
    this.#readMemory = FrameMemory.take(this.#parts.blocks, sizeBytes, presentBytes)
    if (this.#readMemory) this.#countAhead(aheadBytes)
    return this.#readMemory?.bytes
  }

  #onFrame(frame: Uint8Array): void {
    this.#received.push({ frame, memory: this.#readMemory })
    this.#readMemory = undefined
    this.#countAhead(0) // where more of it was there than was said
  }

  /** Memory of so many bytes is there for what has not come. */
  #countAhead(sizeBytes: number): void {
    const grownBytes = sizeBytes - this.#aheadBytes
    this.#aheadBytes = sizeBytes
    this.#hold(grownBytes)
  }

  #hold(grownBytes: number): void {
    if (grownBytes === 0) return
    this.#heldBytes += grownBytes
    this.#parts.memory.change('request', grownBytes)
  }

  /** Starts what may start. Never nests: a handler that admits the next frame at once makes the loop go round again. */
  #startFrames(): void {
    if (this.#isStarting) return
    this.#isStarting = true
    while (this.#mayStart()) {
      const received = this.#received.shift()
      if (!received) break
      this.#startFrame(received)
    }
    this.#isStarting = false
    if (this.#failure && this.#mayStart()) {
      this.#logClose({ reason: this.#failure.message })
      this.end()
    }
    this.#pauseWhenFull()
  }

  #mayStart(): boolean {
    if (this.#blocking || this.#isEnding || this.#isClosed) return false
    return this.#calls.length < this.#parts.limits.inFlightMaxCount && !(this.#pauseReasons & pausedBy.unsent)
  }

  #startFrame(received: Received): void {
    const call = new Call({ connection: this, signal: this.#abort.signal, received }, this.#callEvents)
    this.#startedBytes += call.frameBytes
    this.#calls.push(call)
    if (this.#calls.length === 1) call.takeTurn()
    this.#blocking = call
    this.#parts.handler(received.frame, call).then(
      (answer) => this.#finish(call, answer),
      (error: unknown) => this.#fail(call, error),
    )
  }

  readonly #callEvents = {
    admit: (call: Call): void => {
      if (this.#blocking !== call || call.isBarrier) return
      this.#blocking = undefined
      this.#startFrames()
    },
    append: (call: Call): void => {
      if (call.isDone || call.memoryKind === 'append') return
      this.#parts.memory.move(call.frameBytes, call.memoryKind, 'append')
      call.memoryKind = 'append'
    },
  }

  /** What lies here while it may not start is bounded: the rest stays in the kernel and slows the sender. */
  #pauseWhenFull(): void {
    const isFull =
      this.#calls.length >= this.#parts.limits.inFlightMaxCount ||
      (this.#blocking !== undefined && this.#unstartedBytes >= readAheadMaxBytes)
    if (isFull) this.#pause(pausedBy.inFlight)
    else this.#resume(pausedBy.inFlight)
  }

  #finish(call: Call, answer: readonly Uint8Array[] | undefined): void {
    this.#releaseFrame(call)
    call.isDone = true
    if (this.#isClosed || call.isDropped) return call.forgetAnswer()
    if (answer) {
      call.answer = answer
      call.answerBytes = sizeBytesOf(answer)
    } else {
      call.forgetAnswer()
    }
    if (this.#blocking === call && !call.isBarrier) this.#blocking = undefined
    if (this.#calls[0] === call) {
      this.#sendAnswers()
    } else {
      this.#waitingBytes += call.answerBytes
      this.#countUnsent()
    }
    this.#startFrames()
  }

  #fail(call: Call, error: unknown): void {
    this.#releaseFrame(call)
    call.isDone = true
    call.forgetAnswer()
    if (this.#isClosed || call.isDropped) return
    this.#logClose({ err: error })
    // Answers of later frames would be taken for the one that is missing.
    for (const later of this.#calls.splice(this.#calls.indexOf(call) + 1)) {
      later.isDropped = true
      later.takeTurn()
      this.#waitingBytes -= later.answerBytes
      if (later.isDone) later.forgetAnswer()
    }
    this.end()
  }

  /** Sends the answers whose turn it is. */
  #sendAnswers(): void {
    let isRoom = true
    let sentCount = 0
    for (const call of this.#calls) {
      if (!call.isDone) break
      if (sentCount > 0) this.#waitingBytes -= call.answerBytes
      sentCount++
      if (this.#blocking === call) this.#blocking = undefined
      if (!call.answer) continue
      this.#writtenBytes += call.answerBytes
      isRoom = this.#socket.write(call.answer, call.forgetAnswer)
    }
    if (sentCount === 1) this.#calls.shift()
    else if (sentCount > 0) this.#calls.splice(0, sentCount)
    this.#calls[0]?.takeTurn()
    if (!isRoom) this.#waitForDrain()
    this.#countUnsent()
    if (this.#isEnding && this.#calls.length === 0) this.#endSocket()
  }

  #waitForDrain(): void {
    if (this.#pauseReasons & pausedBy.unsent) return
    this.#pause(pausedBy.unsent)
    this.#watchUnsent()
  }

  #onDrain(): void {
    this.#unsentDeadline?.cancel()
    this.#resume(pausedBy.unsent)
    this.#countUnsent()
    this.#startFrames()
  }

  /**
   * Counts what the client keeps us waiting with: answers behind an unfinished one, and what the kernel does not take.
   */
  #countUnsent(): void {
    const stuckBytes = this.#pauseReasons & pausedBy.unsent ? this.#socket.bufferedBytes : 0
    const unsentBytes = this.#isClosed ? 0 : this.#waitingBytes + stuckBytes
    const grownBytes = unsentBytes - this.#unsentBytes
    this.#unsentBytes = unsentBytes
    if (grownBytes > 0) this.#parts.memory.reserve('response', grownBytes)
    else if (grownBytes < 0) this.#parts.memory.release('response', -grownBytes)
  }

  /** A reader that is slow but moves is let be, unless memory is short. */
  #watchUnsent(): void {
    const { deadlines, limits, memory } = this.#parts
    this.#takenBytes = this.#writtenBytes - this.#socket.bufferedBytes
    this.#unsentDeadline = deadlines.add(limits.unsentMaxMs, () => {
      this.#countUnsent()
      const hasMoved = this.#writtenBytes - this.#socket.bufferedBytes > this.#takenBytes
      if (hasMoved && memory.pressure !== 'stop') return this.#watchUnsent()
      this.#logClose({ reason: 'the client does not take its answers', unsentBytes: this.#socket.bufferedBytes })
      this.destroy()
    })
  }

  /** Its client may be waiting for us, while we wait for memory that its half frame holds. */
  #giveUpCutFrame(): void {
    if (this.#unstartedBytes === 0) return
    this.#logClose({ reason: 'memory is short, and the rest of a frame could not be read', heldBytes: this.#heldBytes })
    this.destroy()
  }

  #watchIdle(delayMs: number): void {
    const { deadlines, limits, environment } = this.#parts
    this.#idleDeadline = deadlines.add(delayMs, () => {
      const idleMs = environment.clock.monotonicMs() - this.#lastActiveMs
      if (this.#calls.length > 0) return this.#watchIdle(limits.idleMaxMs)
      if (idleMs < limits.idleMaxMs) return this.#watchIdle(limits.idleMaxMs - idleMs)
      environment.logger.debug({ connection: this.id, remoteAddress: this.remoteAddress }, 'idle connection closed')
      this.end()
    })
  }

  /**
   * After the last answer. What the client still sends is read and dropped, so that its end of the connection is seen.
   */
  #endSocket(): void {
    this.#socket.end()
    this.#pauseReasons = 0
    this.#socket.resume()
    this.#unsentDeadline?.cancel()
    this.#unsentDeadline = this.#parts.deadlines.add(this.#parts.limits.unsentMaxMs, () => this.destroy())
  }

  #onClose(error: Error | undefined): void {
    if (this.#isClosed) return
    this.#isClosed = true
    this.#parts.environment.logger.debug({ connection: this.id, err: error }, 'connection closed')
    this.#idleDeadline?.cancel()
    this.#unsentDeadline?.cancel()
    this.#memoryDeadline?.cancel()
    this.#countUnsent()
    this.#parts.memory.release('request', this.#unstartedBytes)
    this.#heldBytes = this.#startedBytes // released one by one as their handlers let go of them
    this.#parts.memory.removeReader(this)
    this.#abort.abort()
    for (const call of this.#calls) {
      call.takeTurn()
      if (call.isDone) call.forgetAnswer()
    }
    this.#parts.onClosed(this)
  }

  #releaseFrame(call: Call): void {
    this.#heldBytes -= call.frameBytes
    this.#startedBytes -= call.frameBytes
    this.#parts.memory.release(call.memoryKind, call.frameBytes)
  }

  #pause(reason: number): void {
    if (this.#pauseReasons === 0) this.#socket.pause()
    this.#pauseReasons |= reason
  }

  #resume(reason: number): void {
    if (!(this.#pauseReasons & reason)) return
    this.#pauseReasons &= ~reason
    if (this.#pauseReasons === 0 && !this.#isClosed) this.#socket.resume()
  }

  #logClose(fields: object): void {
    const { logger } = this.#parts.environment
    logger.warn({ connection: this.id, remoteAddress: this.remoteAddress, ...fields }, 'connection given up')
  }
}

function sizeBytesOf(chunks: readonly Uint8Array[]): number {
  let sizeBytes = 0
  for (const chunk of chunks) sizeBytes += chunk.byteLength
  return sizeBytes
}
