/**
 * Which records that only one of two compacted logs has are accounted for: by a later record of their key, or an abort.
 */
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

/** What happened to a key, and whose transaction has to decide about it. */
interface Step {
  /** Undefined for a record that both sides have: it accounts for what is below it. */
  readonly own: Lonely | undefined
  /** Undefined once it is decided. */
  producerId: bigint | undefined
}

export class SettledKeys {
  /** By key: what is not accounted for, and what may yet account for it. The last step is the latest. */
  readonly #steps = new Map<string, Step[]>()
  /** The keys of open transactions, by producer. */
  readonly #undecided = new Map<bigint, Set<string>>()
  #count = 0

  /** How much is remembered. */
  get count(): number {
    return this.#count
  }

  get isEmpty(): boolean {
    return this.#count === 0
  }

  /** What is left, by offset. */
  get rest(): Lonely[] {
    const lonely = [...this.#steps.values()].flatMap((steps) => steps.flatMap(({ own }) => (own ? [own] : [])))
    return lonely.sort((a, b) => (a.offset < b.offset ? -1 : 1))
  }

  /** Records come in the order of their offsets, each once. `side`: the one that alone has it. */
  note(
    record: { key: string; offset: bigint; isTombstone: boolean; producerId: bigint | undefined },
    side?: Side,
  ): void {
    const { key, offset, isTombstone, producerId } = record
    const own = side && { key, offset, side, isTombstone }
    const before = this.#steps.get(key) ?? []
    if (producerId === undefined) return this.#set(key, own ? [{ own, producerId }] : [])
    if (before.length === 0 && !own) return
    this.#set(key, [...before, { own, producerId }])
    const keys = this.#undecided.get(producerId)
    if (keys) keys.add(key)
    else this.#undecided.set(producerId, new Set([key]))
  }

  /** The records of an aborted transaction supersede nothing, and compaction removes them. */
  end(producerId: bigint, outcome: 'COMMIT' | 'ABORT'): void {
    const keys = this.#undecided.get(producerId) ?? []
    this.#undecided.delete(producerId)
    for (const key of keys) {
      const steps = this.#steps.get(key) ?? []
      if (outcome === 'ABORT')
        this.#set(
          key,
          steps.filter((step) => step.producerId !== producerId),
        )
      else this.#set(key, committed(steps, producerId))
    }
  }

  #set(key: string, steps: Step[]): void {
    this.#count += steps.length - (this.#steps.get(key)?.length ?? 0)
    if (steps.length > 0) this.#steps.set(key, steps)
    else this.#steps.delete(key)
  }
}

/** The last step of the producer accounts for all before it. */
function committed(steps: readonly Step[], producerId: bigint): Step[] {
  const at = steps.findLastIndex((step) => step.producerId === producerId)
  if (at < 0) return [...steps]
  const [last, ...later] = steps.slice(at)
  return last!.own ? [{ own: last!.own, producerId: undefined }, ...later] : later
}
