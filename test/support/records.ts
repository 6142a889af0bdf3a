/** Batches for requests, and what is in answers. */
import { splitBatches } from '../../protocol/records/batch.ts'
import { buildBatch, type BatchInput } from '../../protocol/records/build.ts'
import { decodeRecords } from '../../protocol/records/record.ts'

/** A batch with one record per value, as a client would send it. */
export function batchOf(values: readonly string[], options: Partial<BatchInput> = {}): Uint8Array {
  return buildBatch({
    baseTimestampMs: BigInt(Date.now()),
    ...options,
    records: options.records ?? values.map((value) => ({ key: null, value })),
  })
}

/** The values of all records in fetched bytes, as text. */
export function valuesOf(chunks: readonly Uint8Array[] | null): string[] {
  const bytes = Buffer.concat(chunks ?? [])
  return splitBatches(bytes).flatMap((batch) =>
    decodeRecords(batch).map(({ value }) => (value === null ? 'null' : Buffer.from(value).toString())),
  )
}
