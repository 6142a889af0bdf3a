/** A coordinator store whose disk a test holds in its hands. */
import type { CoordinatorKind, CoordinatorRecord, CoordinatorStore } from '../../src/coordinators/coordinator-store.ts'
import type { Failure, Fence, Result, StorageCode } from '../../storage/log-store.ts'

/** What becomes of an append: it is written, it fails, or it waits for `release`. */
export type AppendFate = 'write' | 'hold' | StorageCode

/** As many as `__consumer_offsets` has by default. */
const shardCount = 50

/** Appends settle in a later turn, in order. `records` outlives the store: a second one over it is a restart. */
export class MemoryCoordinatorStore implements CoordinatorStore {
  readonly records: Map<string, CoordinatorRecord[]>
  /** Asked for each append; default: it is written. */
  fate: () => AppendFate = () => 'write'
  /** How many records each append had, in order. */
  readonly appendSizes: number[] = []
  readonly #held: ((code?: StorageCode) => void)[] = []

  constructor(records = new Map<string, CoordinatorRecord[]>()) {
    this.records = records
  }

  async *load(kind: CoordinatorKind, shard: number): AsyncIterable<readonly CoordinatorRecord[]> {
    await Promise.resolve()
    yield [...(this.records.get(`${kind}-${shard}`) ?? [])]
  }

  async append(
    kind: CoordinatorKind,
    shard: number,
    records: readonly CoordinatorRecord[],
    _fence: Fence,
  ): Promise<Result> {
    if (records.length === 0) return { ok: true }
    if (shard >= shardCount) return failureOf('UNKNOWN_LOG')
    const fate = this.fate()
    this.appendSizes.push(records.length)
    if (fate !== 'write' && fate !== 'hold') {
      await Promise.resolve()
      return failureOf(fate)
    }
    if (fate === 'hold') {
      const { promise, resolve } = Promise.withResolvers<StorageCode | undefined>()
      this.#held.push(resolve)
      const code = await promise
      if (code !== undefined) return failureOf(code)
    } else await Promise.resolve()
    const key = `${kind}-${shard}`
    const log = this.records.get(key) ?? []
    log.push(...records)
    this.records.set(key, log)
    return { ok: true }
  }

  get heldCount(): number {
    return this.#held.length
  }

  /** Lets the oldest append that is held end: written, or with a failure. */
  release(code?: StorageCode): void {
    this.#held.shift()?.(code)
  }

  /** All records, of all shards. */
  all(): CoordinatorRecord[] {
    return [...this.records.values()].flat()
  }
}

function failureOf(code: StorageCode): Failure {
  return { ok: false, code, retriable: true, message: code }
}
