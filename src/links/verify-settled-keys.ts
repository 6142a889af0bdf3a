/** Which records that only one of two compacted logs has are accounted for: by a later record of their key, or an abort. */
import type { BatchRef } from '../../protocol/records/batch.ts'
import type { DecodedRecord } from '../../protocol/records/record.ts'

export type Side = 'source' | 'mirror'

/** One record of a log, with the batch that holds it. */
export interface PlacedRecord extends DecodedRecord {
  readonly batch: BatchRef
}

/** A record that only one side has, as long as nothing accounts for it. */
export interface Lonely {
  readonly key: string
  readonly offset: bigint
  readonly side: Side
  readonly isTombstone: boolean
}

interface Undecided {
  readonly key: string
  readonly before: Lonely | undefined
  readonly own: Lonely | undefined
}

export class SettledKeys {
  readonly #lonely = new Map<string, Lonely>()
  /** What the records of open transactions did, by producer: an abort takes it back. */
  readonly #undecided = new Map<bigint, Undecided[]>()
  #undecidedCount = 0

  /** How much is remembered. */
  get count(): number {
    return this.#lonely.size + this.#undecidedCount
  }

  get isEmpty(): boolean {
    return this.#lonely.size === 0 && this.#undecidedCount === 0
  }

  /** What is left, by offset. */
  get rest(): Lonely[] {
    return [...this.#lonely.values()].sort((a, b) => (a.offset < b.offset ? -1 : 1))
  }

  /** Records come in the order of their offsets, each once. `side`: the one that alone has it. */
  note(
    record: { key: string; offset: bigint; isTombstone: boolean; producerId: bigint | undefined },
    side?: Side,
  ): void {
    const { key, offset, isTombstone, producerId } = record
    const before = this.#lonely.get(key)
    const own = side && { key, offset, side, isTombstone }
    if (own) this.#lonely.set(key, own)
    else this.#lonely.delete(key)
    if (producerId === undefined || (!before && !own)) return
    const undecided = this.#undecided.get(producerId)
    if (undecided) undecided.push({ key, before, own })
    else this.#undecided.set(producerId, [{ key, before, own }])
    this.#undecidedCount += 1
  }

  /** The records of an aborted transaction supersede nothing, and compaction removes them. */
  end(producerId: bigint, outcome: 'COMMIT' | 'ABORT'): void {
    const undecided = this.#undecided.get(producerId) ?? []
    this.#undecided.delete(producerId)
    this.#undecidedCount -= undecided.length
    if (outcome === 'COMMIT') return
    for (const { key, before, own } of undecided.reverse()) {
      if (this.#lonely.get(key) !== own) continue // superseded by what is not of this transaction
      if (before) this.#lonely.set(key, before)
      else this.#lonely.delete(key)
    }
  }
}
