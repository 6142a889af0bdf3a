/** The batches in bytes that another cluster, or a disk, gave. */
import {
  batchHeaderSizeBytes,
  dataViewOf,
  readBatchHeader,
  RecordsError,
  sizeBytesOf,
  splitWholeBatches,
  type BatchRef,
} from '../../protocol/records/batch.ts'

/** What a source sent: its whole batches, up to one that is broken. */
export function receivedBatches(bytes: Uint8Array): {
  readonly batches: readonly BatchRef[]
  readonly broken: RecordsError | undefined
} {
  try {
    return { batches: splitWholeBatches(bytes), broken: undefined }
  } catch (error) {
    if (!(error instanceof RecordsError)) throw error
    return { batches: readBatches(bytes).batches, broken: error }
  }
}

/** The batches at the start of `bytes`: up to a cut one, which is no damage, or up to bytes that can't be a batch. */
export function readBatches(bytes: Uint8Array): { readonly batches: BatchRef[]; readonly damage: string | undefined } {
  const view = dataViewOf(bytes)
  const batches: BatchRef[] = []
  let position = 0
  while (bytes.length - position > 0) {
    let batch: BatchRef | undefined
    try {
      batch = batchAt(bytes, position, view)
    } catch (error) {
      if (!(error instanceof RecordsError)) throw error
      return { batches, damage: error.message }
    }
    if (!batch) break
    batches.push(batch)
    position += batch.bytes.length
  }
  return { batches, damage: undefined }
}

function batchAt(bytes: Uint8Array, position: number, view: DataView): BatchRef | undefined {
  if (bytes.length - position < batchHeaderSizeBytes) return undefined
  const header = readBatchHeader(bytes, position, view)
  const end = position + sizeBytesOf(header)
  return end > bytes.length ? undefined : { bytes: bytes.subarray(position, end), header }
}
