/**
 * Compaction in tests: what a cleaning works with, and a log whose every record is remembered, to compare what is left.
 */
import { strict as assert } from 'node:assert'
import { hash } from 'node:crypto'
import {
  compressions,
  isControl,
  isTransactional,
  lastOffsetOf,
  splitBatches,
  verifyCrc,
  type BatchRef,
} from '../../protocol/records/batch.ts'
import { buildEndTransactionMarker, readControlRecord } from '../../protocol/records/control.ts'
import { readBatchHeader } from '../../protocol/records/batch.ts'
import { decodeRecords, type DecodedRecord } from '../../protocol/records/record.ts'
import type { CleanerParts } from '../../storage/cleaner.ts'
import type { CleaningReport, CleanOptions, LogHandle, LogStore } from '../../storage/log-store.ts'
import { append, mirror, read, testBatch, testNowMs } from './logs.ts'

export const testCleaner: CleanerParts = {
  digest: (key) => hash('sha256', key, 'buffer'),
  bufferBytes: 1024 * 1024,
  loadFactor: 0.9,
}

export function clean(store: LogStore, options: Partial<CleanOptions> = {}): Promise<CleaningReport> {
  return store.clean({ nowMs: testNowMs, pace: () => Promise.resolve(), ...options })
}

/** A record that was written, whatever became of it. */
interface Written {
  readonly offset: bigint
  readonly key: string
  /** Null for a tombstone. */
  readonly value: string | null
  readonly producerId: bigint | undefined
}

/** Where a transaction of a producer ended. */
interface Ended {
  readonly offset: bigint
  readonly producerId: bigint
  readonly isAborted: boolean
}

const keyCount = 12
const producerIds = [71n, 72n, 73n] as const

/** Writes at random, and knows what a compacted log must still have of it. */
export class CompactedModel {
  nowMs = testNowMs
  readonly #random: () => number
  readonly #isMirror: boolean
  #written: Written[] = []
  #ended: Ended[] = []
  /** One behind the last sequence, by producer, at each of its batches. */
  #sequences: { readonly offset: bigint; readonly producerId: bigint; readonly next: number }[] = []
  #values = 0

  constructor(random: () => number, options: { readonly isMirror: boolean }) {
    this.#random = random
    this.#isMirror = options.isMirror
  }

  get recordCount(): number {
    return this.#written.length
  }

  /** One batch of a plain client, or of a transaction, or a marker. */
  async write(store: LogStore, log: LogHandle): Promise<void> {
    const producerId = this.#random() < 0.6 ? this.#any(producerIds) : undefined
    if (producerId !== undefined && this.#isOpen(producerId) && this.#random() < 0.4) {
      await this.#end(store, log, producerId)
    } else {
      await this.#writeBatch(store, log, producerId)
    }
  }

  async endAll(store: LogStore, log: LogHandle): Promise<void> {
    for (const producerId of producerIds) if (this.#isOpen(producerId)) await this.#end(store, log, producerId)
  }

  /** The log came back with this end: what lay behind it never was. */
  cutAt(endOffset: bigint): void {
    this.#written = this.#written.filter((record) => record.offset < endOffset)
    this.#ended = this.#ended.filter((marker) => marker.offset < endOffset)
    this.#sequences = this.#sequences.filter((batch) => batch.offset < endOffset)
  }

  /** The newest committed value of each key; null where that is a tombstone. */
  newest(): Map<string, string | null> {
    const newest = new Map<string, string | null>()
    for (const record of this.#written)
      if (this.#outcomeOf(record) === 'committed') newest.set(record.key, record.value)
    return newest
  }

  /** Compares what readers get. */
  async check(store: LogStore, log: LogHandle): Promise<void> {
    const byOffset = new Map(this.#written.map((record) => [record.offset, record]))
    const batches = await readWholeLog(store, log)
    const found = new Set<bigint>()
    for (const record of batches.flatMap((batch) => (isControl(batch.header) ? [] : decodeRecords(batch)))) {
      const written = byOffset.get(record.offset)
      assert(written, `nobody wrote a record at ${record.offset}`)
      assert.equal(textOf(record.key), written.key)
      assert.equal(record.value === null ? null : textOf(record.value), written.value)
      assert(!found.has(record.offset), `offset ${record.offset} is there twice`)
      found.add(record.offset)
    }
    for (const record of this.#written) {
      const isUndecided = this.#outcomeOf(record) === 'open'
      assert(!isUndecided || found.has(record.offset), `offset ${record.offset} is of an open transaction, and gone`)
    }
    const committed = this.newest()
    const stable = store.view(log).lastStableOffset
    const visible = new Map<string, string | null>()
    for (const record of await readCommitted(store, log)) {
      assert(record.offset < stable)
      assert.equal(this.#outcomeOf(byOffset.get(record.offset)!), 'committed', `offset ${record.offset}`)
      visible.set(textOf(record.key), record.value === null ? null : textOf(record.value))
    }
    const isDecided = !producerIds.some((producerId) => this.#isOpen(producerId))
    if (isDecided) assert.deepEqual(liveOf(visible), liveOf(committed))
    const known = new Map(
      store.activeProducers(log).map((producer) => [producer.producerId, producer.lastSequence + 1]),
    )
    for (const producerId of producerIds) {
      assert.equal(known.get(producerId) ?? 0, this.#nextSequence(producerId), `the sequence of producer ${producerId}`)
      assert.equal(
        store.openTransactions(log).some((transaction) => transaction.producerId === producerId),
        this.#isOpen(producerId),
        `the transaction of producer ${producerId}`,
      )
    }
  }

  #any<T>(values: readonly T[]): T {
    return values[Math.floor(this.#random() * values.length)]!
  }

  #isOpen(producerId: bigint): boolean {
    const last = this.#written.findLast((record) => record.producerId === producerId)
    return last !== undefined && this.#outcomeOf(last) === 'open'
  }

  #outcomeOf(record: Written): 'committed' | 'aborted' | 'open' {
    if (record.producerId === undefined) return 'committed'
    const ended = this.#ended.find(
      ({ producerId, offset }) => producerId === record.producerId && offset > record.offset,
    )
    return ended === undefined ? 'open' : ended.isAborted ? 'aborted' : 'committed'
  }

  #nextSequence(producerId: bigint): number {
    return this.#sequences.findLast((batch) => batch.producerId === producerId)?.next ?? 0
  }

  async #writeBatch(store: LogStore, log: LogHandle, producerId: bigint | undefined): Promise<void> {
    const baseSequence = producerId === undefined ? -1 : this.#nextSequence(producerId)
    const records = Array.from({ length: 1 + Math.floor(this.#random() * 4) }, () => ({
      key: `key-${Math.floor(this.#random() * keyCount)}`,
      value: this.#random() < 0.25 ? null : `value-${(this.#values += 1)}`,
      timestampMs: this.nowMs - BigInt(Math.floor(this.#random() * 50)),
      headers: this.#random() < 0.2 ? [{ key: 'trace', value: 'x' }] : [],
    }))
    const batch = {
      records,
      compression: this.#any(compressions),
      ...(producerId === undefined ? {} : { producerId, producerEpoch: 3, isTransactional: true, baseSequence }),
    }
    const { baseOffset, place } = this.#next(store, log)
    for (const [index, { key, value }] of records.entries()) {
      this.#written.push({ offset: baseOffset + BigInt(index), key, value, producerId })
    }
    if (producerId !== undefined)
      this.#sequences.push({ offset: baseOffset, producerId, next: baseSequence + records.length })
    assert.equal(await this.#append(store, log, testBatch({ ...batch, ...place }), 'client'), baseOffset)
  }

  async #end(store: LogStore, log: LogHandle, producerId: bigint): Promise<void> {
    const isAborted = this.#random() < 0.5
    const { baseOffset, place } = this.#next(store, log)
    const bytes = buildEndTransactionMarker({
      producerId,
      producerEpoch: 3,
      coordinatorEpoch: 1,
      commit: !isAborted,
      timestampMs: this.nowMs,
      ...place,
    })
    this.#ended.push({ offset: baseOffset, producerId, isAborted })
    const marker = { bytes, header: readBatchHeader(bytes) }
    assert.equal(await this.#append(store, log, marker, 'coordinator'), baseOffset)
  }

  /**
   * Where the next batch goes. It is noted before it is written: one that fails may be there all the same, see `cutAt`.
   */
  #next(store: LogStore, log: LogHandle): { baseOffset: bigint; place: { baseOffset?: bigint; leaderEpoch?: number } } {
    const { logEndOffset } = store.view(log)
    if (!this.#isMirror) return { baseOffset: logEndOffset, place: {} }
    const gap = this.#random() < 0.15 ? BigInt(1 + Math.floor(this.#random() * 5)) : 0n
    const baseOffset = logEndOffset + gap
    return { baseOffset, place: { baseOffset, leaderEpoch: 0 } }
  }

  async #append(store: LogStore, log: LogHandle, batch: BatchRef, origin: 'client' | 'coordinator'): Promise<bigint> {
    const result = this.#isMirror
      ? await mirror(store, log, [batch])
      : await append(store, log, { batches: [batch], origin, nowMs: this.nowMs })
    assert(result.ok, result.ok ? '' : result.message)
    return this.#isMirror ? batch.header.baseOffset : result.baseOffset
  }
}

/** All batches, checked: whole, in order, with CRCs that hold. */
export async function readWholeLog(store: LogStore, log: LogHandle): Promise<BatchRef[]> {
  const batches: BatchRef[] = []
  let offset = store.view(log).logStartOffset
  while (offset < store.view(log).highWatermark) {
    const result = await read(store, log, { offset, maxBytes: 700 })
    assert(result.ok, result.ok ? '' : result.message)
    const got = result.chunks.flatMap((chunk) => splitBatches(chunk))
    if (got.length === 0) break
    for (const batch of got) {
      assert(verifyCrc(batch), `the CRC at ${batch.header.baseOffset}`)
      assert(lastOffsetOf(batch.header) >= offset)
      offset = lastOffsetOf(batch.header) + 1n
      batches.push(batch)
    }
  }
  return batches
}

/** What a read_committed consumer sees: it drops what the aborted transactions of each answer tell it to. */
export async function readCommitted(store: LogStore, log: LogHandle): Promise<DecodedRecord[]> {
  const records: DecodedRecord[] = []
  let offset = store.view(log).logStartOffset
  while (offset < store.view(log).lastStableOffset) {
    const result = await read(store, log, { offset, maxBytes: 700, isolation: 'committed' })
    assert(result.ok, result.ok ? '' : result.message)
    const batches = result.chunks.flatMap((chunk) => splitBatches(chunk))
    if (batches.length === 0) break
    const waiting = [...result.aborted]
    const aborted = new Set<bigint>()
    for (const batch of batches) {
      const { header } = batch
      while (waiting[0] && waiting[0].firstOffset <= lastOffsetOf(header)) aborted.add(waiting.shift()!.producerId)
      if (isControl(header)) {
        if (readControlRecord(batch)?.type === 'ABORT') aborted.delete(header.producerId)
      } else if (!isTransactional(header) || !aborted.has(header.producerId)) {
        records.push(...decodeRecords(batch).filter((record) => record.offset >= offset))
      }
      offset = lastOffsetOf(header) + 1n
    }
  }
  return records
}

function liveOf(values: ReadonlyMap<string, string | null>): Record<string, string> {
  const live = [...values].filter((entry): entry is [string, string] => entry[1] !== null)
  return Object.fromEntries(live.sort(([a], [b]) => (a < b ? -1 : 1)))
}

function textOf(bytes: Uint8Array | null): string {
  assert(bytes)
  return new TextDecoder().decode(bytes)
}
