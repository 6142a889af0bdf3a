/**
 * What a log knows of its producers: the last five batches of each (duplicates and sequences), their epochs, and the
 * transactions that are open. Entries are replaced, never changed, so that an append stages its changes and drops them
 * all when one of its batches is refused.
 *
 * The rules are those of Kafka's ProducerStateManager. State is ahead of what is written: the log feeds it when an
 * append is queued and rebuilds it when a write fails.
 */
import { isControl, isTransactional, lastOffsetOf, type BatchRef } from '../protocol/records/batch.ts'
import { readControlRecord } from '../protocol/records/control.ts'
import { lastSequenceOf, sequenceAfter } from '../protocol/records/sequence.ts'
import type { AbortedTransaction, AppendEntry } from './log-store.ts'
import { StorageError } from './outcome.ts'

/** Duplicates are recognized among so many batches per producer: what clients keep in flight at most. */
const windowSize = 5

export interface WrittenBatch {
  readonly lastSequence: number
  readonly lastOffset: bigint
  readonly offsetDelta: number
  readonly timestampMs: bigint
}

export interface ProducerEntry {
  readonly producerId: bigint
  readonly producerEpoch: number
  /** -1 before the first marker. */
  readonly coordinatorEpoch: number
  readonly lastTimestampMs: bigint
  /** -1 when no transaction is open. */
  readonly currentTransactionStartOffset: bigint
  /** Oldest first, up to five. */
  readonly batches: readonly WrittenBatch[]
}

/** A transaction that a marker has ended. */
export interface EndedTransaction {
  readonly producerId: bigint
  readonly firstOffset: bigint
  /** That of the marker. */
  readonly lastOffset: bigint
  readonly isAborted: boolean
}

/** One line of the aborted index. `lastStableOffset` is that of the log right after the marker. */
export interface AbortedEntry extends AbortedTransaction {
  readonly lastOffset: bigint
  readonly lastStableOffset: bigint
}

type Origin = AppendEntry['origin']

/** The first sequence of a remembered batch. */
function firstSequenceOf(batch: WrittenBatch): number {
  return sequenceAfter(batch.lastSequence, 2_147_483_648 - batch.offsetDelta)
}

function emptyEntry(producerId: bigint): ProducerEntry {
  return {
    producerId,
    producerEpoch: -1,
    coordinatorEpoch: -1,
    lastTimestampMs: -1n,
    currentTransactionStartOffset: -1n,
    batches: [],
  }
}

export class ProducerState {
  #entries = new Map<bigint, ProducerEntry>()
  /** First offset to producer id, in rising order. */
  #open = new Map<bigint, bigint>()
  /** Ended, but the marker is not visible yet: they still hold the last stable offset back. */
  #ending: EndedTransaction[] = []
  #aborted: AbortedEntry[] = []

  get producers(): Iterable<ProducerEntry> {
    return this.#entries.values()
  }

  get aborted(): readonly AbortedEntry[] {
    return this.#aborted
  }

  find(producerId: bigint): ProducerEntry | undefined {
    return this.#entries.get(producerId)
  }

  /** The remembered batch that this one repeats. */
  findDuplicate(batch: BatchRef): WrittenBatch | undefined {
    const { header } = batch
    if (header.producerId < 0n) return undefined
    const entry = this.#entries.get(header.producerId)
    if (!entry || entry.producerEpoch !== header.producerEpoch) return undefined
    const lastSequence = lastSequenceOf(header)
    return entry.batches.find(
      (known) => known.lastSequence === lastSequence && firstSequenceOf(known) === header.baseSequence,
    )
  }

  /** Begins the changes of one append. Nothing counts before `commit`. */
  stage(origin: Origin): StagedProducers {
    return new StagedProducers(this, origin)
  }

  commit(staged: StagedProducers): void {
    for (const entry of staged.entries.values()) this.#entries.set(entry.producerId, entry)
    for (const change of staged.transactions) {
      if (change.kind === 'began') {
        this.#open.set(change.firstOffset, change.producerId)
        continue
      }
      const { ended } = change
      this.#open.delete(ended.firstOffset)
      this.#ending.push(ended)
      if (!ended.isAborted) continue
      const stillOpen = this.#open.keys().next().value
      this.#aborted.push({
        producerId: ended.producerId,
        firstOffset: ended.firstOffset,
        lastOffset: ended.lastOffset,
        lastStableOffset: stillOpen ?? ended.lastOffset + 1n,
      })
    }
  }

  /** Where the last stable offset is, given what is visible. */
  lastStableOffset(highWatermark: bigint): bigint {
    let stable = highWatermark
    const open = this.#open.keys().next().value
    if (open !== undefined && open < stable) stable = open
    for (const ended of this.#ending) {
      if (ended.lastOffset >= highWatermark && ended.firstOffset < stable) stable = ended.firstOffset
    }
    return stable
  }

  /** What is below `highWatermark` is visible now. */
  onVisible(highWatermark: bigint): void {
    if (this.#ending.length === 0) return
    this.#ending = this.#ending.filter((ended) => ended.lastOffset >= highWatermark)
  }

  /** The producers with an open transaction, by its first offset. */
  openTransactions(): ProducerEntry[] {
    return [...this.#open.values()].map((producerId) => this.#entries.get(producerId)!)
  }

  /**
   * The aborted transactions that a reader of [fromOffset, upperBound) must know. The index is ordered by marker; once
   * an entry was written when everything before the bound was decided, no later one can reach below it.
   */
  abortedIn(fromOffset: bigint, upperBound: bigint): AbortedTransaction[] {
    const found: AbortedTransaction[] = []
    for (const entry of this.#aborted) {
      if (entry.lastOffset >= fromOffset && entry.firstOffset < upperBound) {
        found.push({ producerId: entry.producerId, firstOffset: entry.firstOffset })
      }
      if (entry.lastStableOffset >= upperBound) break
    }
    return found.sort((a, b) => (a.firstOffset < b.firstOffset ? -1 : a.firstOffset > b.firstOffset ? 1 : 0))
  }

  /** The log begins at `logStartOffset` now. */
  onLogStart(logStartOffset: bigint): void {
    if (this.#aborted.length === 0 || this.#aborted[0]!.lastOffset >= logStartOffset) return
    this.#aborted = this.#aborted.filter((entry) => entry.lastOffset >= logStartOffset)
  }

  /** The entries whose markers lie in [from, to). */
  abortedMarkedIn(range: { readonly from: bigint; readonly to: bigint }): AbortedEntry[] {
    return this.#aborted.filter((entry) => entry.lastOffset >= range.from && entry.lastOffset < range.to)
  }

  /** Replaces what is known of markers in [from, to): the cleaner has dropped some. */
  replaceAborted(range: { readonly from: bigint; readonly to: bigint }, entries: readonly AbortedEntry[]): void {
    const before = this.#aborted.filter((entry) => entry.lastOffset < range.from)
    const behind = this.#aborted.filter((entry) => entry.lastOffset >= range.to)
    this.#aborted = [...before, ...entries, ...behind]
  }

  /** Forgets producers that have been silent so long, unless a transaction of theirs is open. Returns how many. */
  expire(nowMs: bigint, expirationMs: bigint): number {
    let count = 0
    for (const entry of this.#entries.values()) {
      if (entry.currentTransactionStartOffset >= 0n || nowMs - entry.lastTimestampMs < expirationMs) continue
      this.#entries.delete(entry.producerId)
      count += 1
    }
    return count
  }

  /** Takes over what a snapshot says. */
  restore(entries: readonly ProducerEntry[], aborted: readonly AbortedEntry[]): void {
    this.#entries = new Map(entries.map((entry) => [entry.producerId, entry]))
    const open = entries.filter((entry) => entry.currentTransactionStartOffset >= 0n)
    open.sort((a, b) => (a.currentTransactionStartOffset < b.currentTransactionStartOffset ? -1 : 1))
    this.#open = new Map(open.map((entry) => [entry.currentTransactionStartOffset, entry.producerId]))
    this.#ending = []
    this.#aborted = [...aborted]
  }

  clear(): void {
    this.restore([], [])
  }
}

type TransactionChange =
  | { readonly kind: 'began'; readonly producerId: bigint; readonly firstOffset: bigint }
  | { readonly kind: 'ended'; readonly ended: EndedTransaction }

/** The changes of one append, batch by batch. */
export class StagedProducers {
  readonly entries = new Map<bigint, ProducerEntry>()
  readonly transactions: TransactionChange[] = []
  readonly #state: ProducerState
  readonly #origin: Origin

  constructor(state: ProducerState, origin: Origin) {
    this.#state = state
    this.#origin = origin
  }

  /**
   * Adds one batch that will have the offsets from `baseOffset` on.
   * @throws StorageError by the sequence and epoch rules; for mirrors these hold no check, as for a Kafka follower.
   */
  add(batch: BatchRef, baseOffset: bigint): void {
    if (batch.header.producerId < 0n) return
    if (isControl(batch.header)) this.#addMarker(batch, baseOffset)
    else this.#addData(batch, baseOffset)
  }

  #entryOf(producerId: bigint): ProducerEntry {
    return this.entries.get(producerId) ?? this.#state.find(producerId) ?? emptyEntry(producerId)
  }

  #addData(batch: BatchRef, baseOffset: bigint): void {
    const { header } = batch
    const entry = this.#entryOf(header.producerId)
    this.#checkEpoch(entry, header.producerEpoch)
    if (this.#origin === 'client') checkSequence(entry, batch)
    const isOpen = entry.currentTransactionStartOffset >= 0n
    if (isOpen && !isTransactional(header)) {
      throw new StorageError(
        'INVALID_TRANSACTION_STATE',
        `producer ${header.producerId} wrote outside of its transaction that is open since offset ${entry.currentTransactionStartOffset}`,
      )
    }
    if (!isOpen && isTransactional(header)) {
      this.transactions.push({ kind: 'began', producerId: header.producerId, firstOffset: baseOffset })
    }
    const written: WrittenBatch = {
      lastSequence: lastSequenceOf(header),
      lastOffset: lastOffsetOf(header) - header.baseOffset + baseOffset,
      offsetDelta: header.lastOffsetDelta,
      timestampMs: header.maxTimestamp,
    }
    const isSameEpoch = entry.producerEpoch === header.producerEpoch
    this.entries.set(header.producerId, {
      ...entry,
      producerEpoch: header.producerEpoch,
      lastTimestampMs: header.maxTimestamp,
      currentTransactionStartOffset:
        !isOpen && isTransactional(header) ? baseOffset : entry.currentTransactionStartOffset,
      batches: isSameEpoch ? [...entry.batches.slice(1 - windowSize), written] : [written],
    })
  }

  #addMarker(batch: BatchRef, baseOffset: bigint): void {
    const { header } = batch
    const record = readControlRecord(batch)
    // Compaction can empty a marker, and KRaft's own control records end no transaction.
    if (!record || (record.type !== 'ABORT' && record.type !== 'COMMIT')) return
    const entry = this.#entryOf(header.producerId)
    const coordinatorEpoch = record.coordinatorEpoch ?? -1
    this.#checkEpoch(entry, header.producerEpoch)
    if (entry.coordinatorEpoch > coordinatorEpoch && this.#origin !== 'mirror') {
      throw new StorageError(
        'FENCED',
        `marker of coordinator epoch ${coordinatorEpoch}, but ${entry.coordinatorEpoch} was seen for producer ${header.producerId}`,
      )
    }
    if (entry.currentTransactionStartOffset >= 0n) {
      this.transactions.push({
        kind: 'ended',
        ended: {
          producerId: header.producerId,
          firstOffset: entry.currentTransactionStartOffset,
          lastOffset: baseOffset,
          isAborted: record.type === 'ABORT',
        },
      })
    }
    this.entries.set(header.producerId, {
      ...entry,
      producerEpoch: header.producerEpoch,
      coordinatorEpoch,
      lastTimestampMs: record.timestampMs,
      currentTransactionStartOffset: -1n,
      batches: entry.producerEpoch === header.producerEpoch ? entry.batches : [],
    })
  }

  #checkEpoch(entry: ProducerEntry, producerEpoch: number): void {
    if (producerEpoch >= entry.producerEpoch || this.#origin === 'mirror') return
    throw new StorageError(
      'PRODUCER_EPOCH_STALE',
      `producer ${entry.producerId} has epoch ${producerEpoch}, but the log has seen ${entry.producerEpoch}`,
    )
  }
}

/** @throws StorageError OUT_OF_ORDER_SEQUENCE */
function checkSequence(entry: ProducerEntry, batch: BatchRef): void {
  const { producerId, producerEpoch, baseSequence } = batch.header
  if (entry.producerEpoch === -1) return // unknown, or forgotten with its records: any sequence may follow
  const lastSequence = entry.batches.at(-1)?.lastSequence ?? -1
  const expected = entry.producerEpoch !== producerEpoch || lastSequence === -1 ? 0 : sequenceAfter(lastSequence, 1)
  if (baseSequence === expected) return
  throw new StorageError(
    'OUT_OF_ORDER_SEQUENCE',
    `producer ${producerId} of epoch ${producerEpoch} sent sequence ${baseSequence}, expected ${expected}`,
  )
}
