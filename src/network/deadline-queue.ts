import type { Clock, Timer } from '../environment/environment.ts'

/** Something that happens at a time, unless it is cancelled before. */
export interface Deadline {
  /** It will not run. Fine to call at any time, also after it has run. */
  cancel(): void
}

/** Cancelled entries are thrown out together when they are this many and the majority. */
const sweepMinCount = 64

class Entry implements Deadline {
  readonly atMs: number
  readonly order: number
  run: (() => void) | undefined
  isQueued = true
  readonly #onCancel: () => void

  constructor(due: { atMs: number; order: number }, run: () => void, onCancel: () => void) {
    this.atMs = due.atMs
    this.order = due.order
    this.run = run
    this.#onCancel = onCancel
  }

  cancel(): void {
    if (!this.run) return
    this.run = undefined
    if (this.isQueued) this.#onCancel()
  }
}

/**
 * All deadlines of a broker behind one timer: a heap by due time. Most deadlines (long polls, sessions) are cancelled
 * before they are due, so cancelling only marks the entry, and the timer stays set for the earliest time it ever was
 * set for.
 */
export class DeadlineQueue {
  readonly #clock: Clock
  #heap: Entry[] = []
  #cancelledCount = 0
  #nextOrder = 0
  #timer: Timer | undefined
  #timerAtMs = Infinity
  #isClosed = false

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** How many entries the heap holds, cancelled ones that were not thrown out yet included. */
  get entryCount(): number {
    return this.#heap.length
  }

  /** Runs `run` once, `delayMs` from now, never inside this call. After `close` it never runs. */
  add(delayMs: number, run: () => void): Deadline {
    const entry = new Entry({ atMs: this.#clock.monotonicMs() + delayMs, order: this.#nextOrder++ }, run, () =>
      this.#noteCancelled(),
    )
    if (this.#isClosed) return entry
    this.#push(entry)
    this.#arm()
    return entry
  }

  /** Forgets all deadlines without running them. */
  close(): void {
    this.#isClosed = true
    this.#heap = []
    this.#timer?.cancel()
    this.#timer = undefined
  }

  #noteCancelled(): void {
    this.#cancelledCount++
    if (this.#cancelledCount < sweepMinCount || this.#cancelledCount * 2 < this.#heap.length) return
    this.#heap = this.#heap.filter((entry) => entry.run)
    this.#cancelledCount = 0
    for (let index = (this.#heap.length >> 1) - 1; index >= 0; index--) siftDown(this.#heap, index)
  }

  #arm(): void {
    const first = this.#heap[0]
    if (!first || this.#isClosed || first.atMs >= this.#timerAtMs) return
    this.#timer?.cancel()
    this.#timerAtMs = first.atMs
    this.#timer = this.#clock.setTimer(Math.max(0, first.atMs - this.#clock.monotonicMs()), () => this.#fire())
  }

  #fire(): void {
    this.#timer = undefined
    this.#timerAtMs = Infinity
    const due = this.#takeDue(this.#clock.monotonicMs())
    let ranCount = 0
    try {
      for (const entry of due) {
        ranCount++
        const run = entry.run
        entry.run = undefined
        run?.()
      }
    } finally {
      // Empty, but where one threw: that is a defect, and no reason to lose the others.
      for (const entry of due.slice(ranCount)) this.#push(entry)
      this.#arm()
    }
  }

  /** Takes what is due before anything of it runs: what that adds, with no delay at all, waits for the next turn. */
  #takeDue(nowMs: number): Entry[] {
    const due: Entry[] = []
    for (let first = this.#heap[0]; first && (!first.run || first.atMs <= nowMs); first = this.#heap[0]) {
      removeFirst(this.#heap)
      first.isQueued = false
      if (first.run) due.push(first)
      else this.#cancelledCount--
    }
    return due
  }

  #push(entry: Entry): void {
    entry.isQueued = true
    this.#heap.push(entry)
    siftUp(this.#heap, this.#heap.length - 1)
  }
}

/** Those of the same time keep the order in which they were added. */
function isBefore(left: Entry, right: Entry): boolean {
  return left.atMs < right.atMs || (left.atMs === right.atMs && left.order < right.order)
}

function siftUp(heap: Entry[], from: number): void {
  const entry = heap[from] as Entry
  let index = from
  while (index > 0) {
    const parentIndex = (index - 1) >> 1
    const parent = heap[parentIndex] as Entry
    if (isBefore(parent, entry)) break
    heap[index] = parent
    index = parentIndex
  }
  heap[index] = entry
}

function siftDown(heap: Entry[], from: number): void {
  const entry = heap[from] as Entry
  let index = from
  for (;;) {
    let childIndex = 2 * index + 1
    if (childIndex >= heap.length) break
    const right = heap[childIndex + 1]
    if (right && isBefore(right, heap[childIndex] as Entry)) childIndex++
    const child = heap[childIndex] as Entry
    if (isBefore(entry, child)) break
    heap[index] = child
    index = childIndex
  }
  heap[index] = entry
}

function removeFirst(heap: Entry[]): void {
  const last = heap.pop() as Entry
  if (heap.length === 0) return
  heap[0] = last
  siftDown(heap, 0)
}
