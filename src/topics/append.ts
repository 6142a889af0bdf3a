/** The way of client batches into a log: what is checked before the log store sees them. */
import {
  compressionOf,
  isTransactional,
  RecordsError,
  splitWholeBatches,
  type BatchRef,
  type RecordsErrorCode,
} from '../../protocol/records/batch.ts'
import { KafkaError } from '../errors.ts'
import type { ErrorName } from '../../protocol/errors.ts'
import type { Partition, Topic } from './topics.ts'

/** From this version on producers may send zstd (KIP-110). */
const zstdFromVersion = 7

const errorNameOfRecordsCode: Record<RecordsErrorCode, ErrorName> = {
  CORRUPT: 'CORRUPT_MESSAGE',
  UNSUPPORTED_MAGIC: 'INVALID_RECORD',
  TOO_LARGE: 'MESSAGE_TOO_LARGE',
  UNSUPPORTED_COMPRESSION: 'UNSUPPORTED_COMPRESSION_TYPE',
  INVALID_RECORD: 'INVALID_RECORD',
}

/**
 * @throws KafkaError INVALID_REQUEST for a mirror, INVALID_TOPIC_EXCEPTION for a topic that the cluster keeps for
 * itself.
 */
export function checkWritable(topic: Topic): void {
  const { name, isInternal } = topic.image
  if (topic.isReadOnly)
    throw new KafkaError('INVALID_REQUEST', `Cannot append records to read-only mirror topic '${name}'`)
  if (isInternal) throw new KafkaError('INVALID_TOPIC_EXCEPTION', `Cannot append to internal topic ${name}`)
}

/**
 * For a produce with acks -1. As many replicas as the partition has are always enough, as in Kafka.
 * @throws KafkaError NOT_ENOUGH_REPLICAS when fewer are in sync than `min.insync.replicas` of the topic.
 */
export function checkInSync({ topic, partitionIndex }: Partition): void {
  const { isr, replicas } = topic.image.partitions[partitionIndex]!
  const wanted = Math.min(topic.config.minInsyncReplicas, replicas.length)
  if (isr.length >= wanted) return
  const label = `${topic.image.name}-${partitionIndex}`
  throw new KafkaError('NOT_ENOUGH_REPLICAS', `${label} has ${isr.length} replicas in sync, expected ${wanted} or more`)
}

/**
 * The one batch that a client sent for a partition, as a view of its bytes.
 * @throws KafkaError as Kafka's validation of produce requests.
 */
export function parseProducedBatch(records: readonly Uint8Array[] | null, apiVersion: number): BatchRef {
  const batches = split(records)
  const [batch] = batches
  if (!batch) throw new KafkaError('INVALID_RECORD', 'got no record batch for the partition, expected exactly one')
  if (batches.length > 1)
    throw new KafkaError(
      'INVALID_RECORD',
      `got ${batches.length} record batches for the partition, expected exactly one`,
    )
  if (apiVersion < zstdFromVersion && compression(batch) === 'zstd')
    throw new KafkaError(
      'UNSUPPORTED_COMPRESSION_TYPE',
      `zstd needs version ${zstdFromVersion} of the Produce request or later, got ${apiVersion}`,
    )
  return batch
}

/** @throws KafkaError while there are no transactions: every answer is final, so that no client tries for ever. */
export function refuseTransactions(batch: BatchRef, transactionalId: string | null): void {
  if (transactionalId !== null) throw noTransactions()
  if (isTransactional(batch.header))
    throw new KafkaError('TRANSACTIONAL_ID_AUTHORIZATION_FAILED', 'transactional records without a transactional id')
}

export function noTransactions(): KafkaError {
  return new KafkaError('INVALID_REQUEST', 'this broker has no transactions: produce without a transactional id')
}

function split(records: readonly Uint8Array[] | null): BatchRef[] {
  const bytes = records?.[0]
  if (!bytes) return []
  try {
    return splitWholeBatches(bytes) // a batch that is cut is none, as in Kafka
  } catch (error) {
    throw kafkaErrorOf(error)
  }
}

function compression(batch: BatchRef): string {
  try {
    return compressionOf(batch.header)
  } catch (error) {
    throw kafkaErrorOf(error)
  }
}

function kafkaErrorOf(error: unknown): unknown {
  if (!(error instanceof RecordsError)) return error
  return new KafkaError(errorNameOfRecordsCode[error.code], error.message, { cause: error })
}
