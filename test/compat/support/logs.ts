/** What a broker has written, read from its files. */
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { splitWholeBatches, type BatchRef } from '../../../protocol/records/batch.ts'
import { decodeRecords } from '../../../protocol/records/record.ts'
import type { TitorelliProcess } from './titorelli.ts'

/** The batches of the first segment of a partition. */
export async function readBatches(broker: TitorelliProcess, topic: string, partition: number): Promise<BatchRef[]> {
  return splitWholeBatches(await readFile(join(broker.dataDir, `${topic}-${partition}`, '00000000000000000000.log')))
}

/** The keys of all records of these batches, in order. */
export function keysOf(batches: readonly BatchRef[]): string[] {
  return batches.flatMap((batch) => decodeRecords(batch).map(({ key }) => Buffer.from(key!).toString()))
}
