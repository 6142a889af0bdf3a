/**
 * The seam of coordinator state (groups, transactions): an append-only log of keyed records per shard. The embedded
 * engine keeps them in `__consumer_offsets` and `__transaction_state`, in Kafka's formats.
 */
import type { Fence, Result } from '../../storage/log-store.ts'

export type CoordinatorKind = 'group' | 'transaction'

export interface CoordinatorRecord {
  /** The serialised key, version first. */
  readonly key: Uint8Array
  /** The serialised value, version first; null is a tombstone. */
  readonly value: Uint8Array | null
}

export interface CoordinatorStore {
  /**
   * Every record of a shard that is not compacted away, in order, many at a time: waiting for each would take half of
   * the time.
   */
  load(kind: CoordinatorKind, shard: number): AsyncIterable<readonly CoordinatorRecord[]>
  /** Atomic per call: after a crash all of the records are there, or none. */
  append(kind: CoordinatorKind, shard: number, records: readonly CoordinatorRecord[], fence: Fence): Promise<Result>
}
