/**
 * Control batches: transaction markers, and the records that KRaft keeps between those of the metadata.
 *
 *   key     version int16, type int16
 *   value   of a marker: version int16, coordinatorEpoch int32; of the others: a message of protocol/state
 *
 * Clients skip control records, but every one of them takes an offset. A marker's value has 6 bytes and is never null:
 * clients read it without asking.
 */
import { s16be, s32be, struct } from '@solana/buffer-layout'
import { type BatchRef, isControl, RecordsError } from './batch.ts'
import { type BatchInput, buildBatch } from './build.ts'
import { type DecodedRecord, defaultRecordLimits, decodeRecord, readRecords, type RecordLimits } from './record.ts'

/** Types by their number in the key. */
export const controlTypes = [
  'ABORT',
  'COMMIT',
  'LEADER_CHANGE',
  'SNAPSHOT_HEADER',
  'SNAPSHOT_FOOTER',
  'KRAFT_VERSION',
  'KRAFT_VOTERS',
] as const
export type ControlType = (typeof controlTypes)[number]

export interface ControlRecord extends DecodedRecord {
  readonly typeNumber: number
  /** UNKNOWN for a number of a later Kafka: such records are kept and skipped. */
  readonly type: ControlType | 'UNKNOWN'
  /** Of ABORT and COMMIT only. */
  readonly coordinatorEpoch?: number
}

interface ControlKey {
  readonly version: number
  readonly type: number
}
interface MarkerValue {
  readonly version: number
  readonly coordinatorEpoch: number
}

const keyLayout = struct<ControlKey>([s16be('version'), s16be('type')])
const markerLayout = struct<MarkerValue>([s16be('version'), s32be('coordinatorEpoch')])

/** The marker that ends a transaction of this producer in one partition. */
export function buildEndTransactionMarker(marker: {
  readonly producerId: bigint
  readonly producerEpoch: number
  readonly coordinatorEpoch: number
  readonly commit: boolean
  readonly timestampMs: bigint
  readonly leaderEpoch?: number
  readonly baseOffset?: bigint
}): Uint8Array {
  const value = new Uint8Array(markerLayout.span)
  markerLayout.encode({ version: 0, coordinatorEpoch: marker.coordinatorEpoch }, value)
  return buildControlBatch({
    records: [{ type: marker.commit ? 'COMMIT' : 'ABORT', value }],
    timestampMs: marker.timestampMs,
    leaderEpoch: marker.leaderEpoch ?? -1,
    baseOffset: marker.baseOffset ?? 0n,
    producerId: marker.producerId,
    producerEpoch: marker.producerEpoch,
    isTransactional: true,
  })
}

/** A control batch of any type. Those of KRaft are not transactional and have no producer. */
export function buildControlBatch(
  input: Pick<BatchInput, 'leaderEpoch' | 'baseOffset' | 'producerId' | 'producerEpoch' | 'isTransactional'> & {
    readonly records: readonly { readonly type: ControlType; readonly value: Uint8Array }[]
    readonly timestampMs: bigint
  },
): Uint8Array {
  const { records, timestampMs, ...rest } = input
  return buildBatch({
    ...rest,
    isControl: true,
    baseTimestampMs: timestampMs,
    records: records.map(({ type, value }) => ({ key: keyOf(type), value, timestampMs })),
  })
}

/**
 * The first record of a control batch: markers have just one. Undefined for a batch that compaction has emptied.
 * @throws RecordsError INVALID_RECORD when the batch is none of control records or a key or a marker is too short or of
 * a negative version, and as `readRecords`.
 */
export function readControlRecord(
  batch: BatchRef,
  limits: RecordLimits = defaultRecordLimits,
): ControlRecord | undefined {
  return readControlRecords(batch, limits)[0]
}

/** All records of a control batch. @throws RecordsError as `readControlRecord`. */
export function readControlRecords(batch: BatchRef, limits: RecordLimits = defaultRecordLimits): ControlRecord[] {
  if (!isControl(batch.header)) throw invalid('the batch holds no control records')
  const records: ControlRecord[] = []
  for (const record of readRecords(batch, limits)) records.push(interpret(decodeRecord(batch.header, record)))
  return records
}

function interpret(record: DecodedRecord): ControlRecord {
  const typeNumber = typeNumberOf(record.key)
  const type = controlTypes[typeNumber] ?? 'UNKNOWN'
  if (type !== 'ABORT' && type !== 'COMMIT') return { ...record, typeNumber, type }
  if (record.value === null || record.value.length < markerLayout.span) {
    throw invalid(`marker has a value of ${record.value?.length ?? -1} bytes, expected ${markerLayout.span} or more`)
  }
  const { version, coordinatorEpoch } = markerLayout.decode(record.value)
  if (version < 0) throw invalid(`marker has version ${version}, expected 0 or more`)
  return { ...record, typeNumber, type, coordinatorEpoch }
}

function typeNumberOf(key: Uint8Array | null): number {
  if (key === null || key.length < keyLayout.span) {
    throw invalid(`control record has a key of ${key?.length ?? -1} bytes, expected ${keyLayout.span} or more`)
  }
  const { version, type } = keyLayout.decode(key)
  if (version < 0) throw invalid(`control record has a key of version ${version}, expected 0 or more`)
  return type
}

function keyOf(type: ControlType): Uint8Array {
  const key = new Uint8Array(keyLayout.span)
  keyLayout.encode({ version: 0, type: controlTypes.indexOf(type) }, key)
  return key
}

function invalid(message: string): RecordsError {
  return new RecordsError('INVALID_RECORD', message)
}
