import { isControl, lastOffsetOf, RecordsError, verifyCrc, type BatchRef } from '../../protocol/records/batch.ts'
import { decodeRecords } from '../../protocol/records/record.ts'
import type { BatchCursor } from './verify-cursor.ts'
import type { Failed, Moved } from './verify-parts.ts'
import type { PlacedRecord } from './verify-settled-keys.ts'

/** What of a log can't be read as records. */
export interface Unreadable {
  readonly kind: 'unreadable'
  readonly offset: bigint
  readonly message: string
}

/** The records of one log in a range, control records among them, in the order of their offsets. */
export class RecordCursor {
  readonly #batches: BatchCursor
  readonly #fromOffset: bigint
  #records: PlacedRecord[] = []
  #next = 0
  #endOffset = -1n
  batches = 0
  bytes = 0

  constructor(batches: BatchCursor, fromOffset: bigint) {
    this.#batches = batches
    this.#fromOffset = fromOffset
  }

  /** The next record, after a `fill`; undefined at the end. */
  peek(): PlacedRecord | undefined {
    return this.#records[this.#next]
  }

  take(): void {
    this.#next += 1
  }

  /** Holds the next record afterwards, or none is left. */
  async fill(): Promise<Failed | Moved | Unreadable | undefined> {
    while (this.#next >= this.#records.length) {
      const stop = await this.#batches.fill(1)
      if (stop) return stop
      const batch = this.#batches.peek()
      if (!batch) {
        const { damage } = this.#batches
        return damage === undefined ? undefined : this.#unreadable(this.#endOffset + 1n, damage)
      }
      const wrong = this.#open(batch)
      if (wrong) return wrong
      this.#batches.take()
    }
    return undefined
  }

  close(): Promise<void> {
    return this.#batches.close()
  }

  #open(batch: BatchRef): Unreadable | undefined {
    const { baseOffset } = batch.header
    if (baseOffset <= this.#endOffset) return this.#unreadable(baseOffset, `it stands behind offset ${this.#endOffset}`)
    if (!verifyCrc(batch)) return this.#unreadable(baseOffset, 'its checksum does not hold')
    this.#endOffset = lastOffsetOf(batch.header)
    try {
      const records = decodeRecords(batch)
      this.#records = records.flatMap((record) => (record.offset < this.#fromOffset ? [] : [{ ...record, batch }]))
      this.#next = 0
    } catch (error) {
      if (!(error instanceof RecordsError)) throw error
      return this.#unreadable(baseOffset, error.message)
    }
    this.batches += 1
    this.bytes += batch.bytes.length
    return undefined
  }

  #unreadable(offset: bigint, why: string): Unreadable {
    return { kind: 'unreadable', offset, message: `the batch at offset ${offset} can't be read: ${why}` }
  }
}

export function isControlRecord({ batch }: PlacedRecord): boolean {
  return isControl(batch.header)
}
