/** A frame on its way from its client to its answer: what a handler sees of it, and what its connection keeps. */
import type { LentMemory } from '../../storage/log-store.ts'
import type { FrameMemory } from './frame-memory.ts'
import { sizePrefixBytes } from './frame-reader.ts'

/** Who sends a frame. */
export interface Peer {
  readonly id: number
  readonly remoteAddress: string
}

/** What a handler is given with each frame. */
export interface FrameCall {
  readonly connection: Peer
  /** Aborts when the client is gone, or when the connection is about to end: waiters answer at once then. */
  readonly signal: AbortSignal
  /**
   * Lets the next frame of this connection start: the effects of this one are ordered, or it waits for something to
   * happen.
   */
  admitNext(): void
  /**
   * The memory of this frame belongs to an append from now on: it waits for the disk, and no longer for its handler.
   */
  countAsAppend(): void
  /**
   * Where the frame lies, if that memory may be used again. Whoever keeps no view of the frame releases it; the frame
   * is the handler's own for as long as nobody does.
   */
  readonly memory: LentMemory | undefined
  /** `run` is called once the chunks of the answer are needed no more: they have left, or never will. */
  afterAnswer(run: () => void): void
  /** Resolves when all frames before it are answered, or nobody waits for them any more: at once for the first. */
  turn(): Promise<void>
  /** No further frame starts before this one and all before it are answered; `admitNext` does nothing. */
  setBarrier(): void
}

/**
 * Answers one frame. Resolves with the chunks of the framed answer, size included; undefined: none is sent. A rejection
 * closes the connection with one log line, after the answers before it.
 *
 * The frame is the handler's own and never changes before its memory is released: what the handler keeps may be views
 * of it.
 */
export interface FrameHandler {
  (frame: Uint8Array, call: FrameCall): Promise<readonly Uint8Array[] | undefined>
}

/** A frame that is there, and where. */
export interface Received {
  readonly frame: Uint8Array
  readonly memory: FrameMemory | undefined
}

/** One frame on its way to its answer. */
export class Call implements FrameCall {
  readonly connection: Peer
  readonly signal: AbortSignal
  readonly memory: LentMemory | undefined
  /** The memory the frame holds until it is answered. */
  readonly frameBytes: number
  /** What the memory is counted as. */
  memoryKind: 'request' | 'append' = 'request'
  isBarrier = false
  isDone = false
  /** A frame before it failed: there is no place for its answer any more. */
  isDropped = false
  answer: readonly Uint8Array[] | undefined
  answerBytes = 0
  readonly #afterAnswer: (() => void)[] = []
  readonly #turn = Promise.withResolvers<void>()
  readonly #onAdmit: (call: Call) => void
  readonly #onAppend: (call: Call) => void

  constructor(
    parts: { readonly connection: Peer; readonly signal: AbortSignal; readonly received: Received },
    on: { readonly admit: (call: Call) => void; readonly append: (call: Call) => void },
  ) {
    this.connection = parts.connection
    this.signal = parts.signal
    this.memory = parts.received.memory
    this.frameBytes = parts.received.frame.byteLength + sizePrefixBytes
    this.#onAdmit = on.admit
    this.#onAppend = on.append
  }

  admitNext(): void {
    this.#onAdmit(this)
  }

  countAsAppend(): void {
    this.#onAppend(this)
  }

  afterAnswer(run: () => void): void {
    this.#afterAnswer.push(run)
  }

  /** Nobody needs the chunks of its answer any more. */
  readonly forgetAnswer = (): void => {
    this.answer = undefined
    for (const run of this.#afterAnswer.splice(0)) run()
  }

  turn(): Promise<void> {
    return this.#turn.promise
  }

  takeTurn(): void {
    this.#turn.resolve()
  }

  setBarrier(): void {
    this.isBarrier = true
  }
}
