/**
 * What the cleaner knows of transactions while it walks over a log in the order of its offsets: which data was aborted,
 * and which markers nobody needs any more because no data of their transactions is left.
 *
 * Batches below the last stable offset only: the outcome of each transaction is known.
 */
import { isTransactional, lastOffsetOf, type BatchRef } from '../protocol/records/batch.ts'
import { readControlRecord } from '../protocol/records/control.ts'
import type { RecordLimits } from '../protocol/records/record.ts'
import type { AbortedEntry } from './producer-state.ts'

interface OngoingAbort {
  readonly entry: AbortedEntry
  isSeen: boolean
}

export class CleanedTransactions {
  /** By first offset. */
  readonly #waiting: AbortedEntry[]
  #nextWaiting = 0
  readonly #aborted = new Map<bigint, OngoingAbort>()
  /** Producers of committed transactions that had a batch so far. */
  readonly #committed = new Set<bigint>()
  #kept: AbortedEntry[] = []

  /** `aborted`: the transactions whose markers lie in what will be walked over. */
  constructor(aborted: readonly AbortedEntry[]) {
    this.#waiting = [...aborted].sort((a, b) => (a.firstOffset < b.firstOffset ? -1 : 1))
  }

  /** Whether the data of this batch was aborted. */
  isAborted(batch: BatchRef): boolean {
    const { header } = batch
    this.#beginUpTo(lastOffsetOf(header))
    if (!isTransactional(header)) return false
    const ongoing = this.#aborted.get(header.producerId)
    if (ongoing) ongoing.isSeen = true
    else this.#committed.add(header.producerId)
    return ongoing !== undefined
  }

  /** Whether no batch of the transaction that this control batch ends was met: the marker has served. */
  isEmptied(batch: BatchRef, limits: RecordLimits): boolean {
    const { header } = batch
    this.#beginUpTo(lastOffsetOf(header))
    const marker = readControlRecord(batch, limits)
    if (!marker) return true
    if (marker.type === 'COMMIT') return !this.#committed.delete(header.producerId)
    if (marker.type !== 'ABORT') return false
    const ongoing = this.#aborted.get(header.producerId)
    this.#aborted.delete(header.producerId)
    if (!ongoing?.isSeen) return true
    this.#kept.push(ongoing.entry)
    return false
  }

  /** The aborted transactions that readers must still be told of, whose markers were met since the last call. */
  takeKept(): AbortedEntry[] {
    const kept = this.#kept
    this.#kept = []
    return kept
  }

  #beginUpTo(offset: bigint): void {
    while (this.#nextWaiting < this.#waiting.length) {
      const entry = this.#waiting[this.#nextWaiting]!
      if (entry.firstOffset > offset) return
      this.#nextWaiting += 1
      if (!this.#aborted.has(entry.producerId)) this.#aborted.set(entry.producerId, { entry, isSeen: false })
    }
  }
}
