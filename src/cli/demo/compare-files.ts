/** Compares the segment files of a mirror with a copy of its source's, batch by batch, without asking either broker. */
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { lastOffsetOf, splitWholeBatches, type BatchRef } from '../../../protocol/records/batch.ts'

export interface Compared {
  readonly batches: number
  readonly records: number
  readonly bytes: number
  /** The first difference in words, or undefined. */
  readonly difference: string | undefined
}

/**
 * Compares one partition up to `endOffset`: every batch of the mirror below it must be the source's, all bytes, in
 * order.
 */
export async function comparePartition(
  folders: { readonly source: string; readonly mirror: string },
  partition: { readonly label: string; readonly endOffset: bigint },
): Promise<Compared> {
  const source = await batchesOf(join(folders.source, partition.label))
  const all = await batchesOf(join(folders.mirror, partition.label))
  const mirror = all.filter(({ header }) => header.baseOffset < partition.endOffset)
  let records = 0
  let bytes = 0
  for (const [at, batch] of mirror.entries()) {
    const expected = source[at]
    const where = `${partition.label}, offset ${batch.header.baseOffset}`
    if (!expected) return { batches: at, records, bytes, difference: `${where}: the source has no such batch` }
    if (Buffer.compare(batch.bytes, expected.bytes) !== 0) {
      return { batches: at, records, bytes, difference: `${where}: the bytes differ` }
    }
    records += batch.header.recordCount
    bytes += batch.bytes.length
  }
  const last = mirror.at(-1)
  const end = last ? lastOffsetOf(last.header) + 1n : 0n
  const difference =
    end === partition.endOffset
      ? undefined
      : `${partition.label}: the files end at ${end}, the mirror at ${partition.endOffset}`
  return { batches: mirror.length, records, bytes, difference }
}

/** All whole batches of a partition's folder, in the order of its segments. */
async function batchesOf(folder: string): Promise<BatchRef[]> {
  const segments = (await readdir(folder)).filter((name) => name.endsWith('.log')).sort()
  const batches: BatchRef[] = []
  for (const segment of segments) batches.push(...splitWholeBatches(await readFile(join(folder, segment))))
  return batches
}
