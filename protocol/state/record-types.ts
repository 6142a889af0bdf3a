/**
 * Every record type of the metadata log, Kafka's and ours, by the key that frames it.
 */
import type { RecordType } from '../schema.ts'
import * as kafkaRecords from './metadata-records.ts'
import * as mirrorRecords from './mirror-records.ts'

/** In the order of their keys. */
export const metadataRecordTypes: readonly RecordType[] = [
  ...Object.values<RecordType>(kafkaRecords),
  ...Object.values<RecordType>(mirrorRecords),
].sort((a, b) => a.key - b.key)

const byKey = new Map(metadataRecordTypes.map((type) => [type.key, type]))

/** The type of records with this key, or undefined where it is not declared. */
export function metadataRecordType(key: number): RecordType | undefined {
  return byKey.get(key)
}
