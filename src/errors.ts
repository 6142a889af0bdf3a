/** Failures that a client hears by name. */
import type { StorageCode } from '../storage/log-store.ts'
import { errorCodes, type ErrorName } from '../protocol/errors.ts'

/**
 * A failure that becomes an error code in the answer. `message` reaches the client where the response has a field for
 * it.
 */
export class KafkaError extends Error {
  readonly errorName: ErrorName
  readonly errorCode: number

  constructor(errorName: ErrorName, message?: string, options?: ErrorOptions) {
    super(message ?? errorName, options)
    this.name = 'KafkaError'
    this.errorName = errorName
    this.errorCode = errorCodes[errorName]
  }
}

/** The code of a KafkaError. Anything else is a defect and is thrown again. */
export function errorCodeOf(error: unknown): number {
  if (error instanceof KafkaError) return error.errorCode
  throw error
}

/** What a client hears for each failure of the storage engine. */
export const errorNameOfStorageCode: Record<StorageCode, ErrorName> = {
  UNKNOWN_LOG: 'UNKNOWN_TOPIC_OR_PARTITION',
  LOG_OFFLINE: 'KAFKA_STORAGE_ERROR',
  STORAGE_FAILED: 'KAFKA_STORAGE_ERROR',
  NO_SPACE: 'KAFKA_STORAGE_ERROR',
  FENCED: 'NOT_LEADER_OR_FOLLOWER',
  LEADER_EPOCH_STALE: 'FENCED_LEADER_EPOCH',
  LEADER_EPOCH_UNKNOWN: 'UNKNOWN_LEADER_EPOCH',
  OFFSET_OUT_OF_RANGE: 'OFFSET_OUT_OF_RANGE',
  OFFSET_MISMATCH: 'UNKNOWN_SERVER_ERROR',
  CORRUPT_BATCH: 'CORRUPT_MESSAGE',
  INVALID_RECORD: 'INVALID_RECORD',
  INVALID_TIMESTAMP: 'INVALID_TIMESTAMP',
  UNSUPPORTED_MAGIC: 'UNSUPPORTED_FOR_MESSAGE_FORMAT',
  UNSUPPORTED_COMPRESSION: 'UNSUPPORTED_COMPRESSION_TYPE',
  BATCH_TOO_LARGE: 'MESSAGE_TOO_LARGE',
  OUT_OF_ORDER_SEQUENCE: 'OUT_OF_ORDER_SEQUENCE_NUMBER',
  UNKNOWN_PRODUCER: 'UNKNOWN_PRODUCER_ID',
  PRODUCER_EPOCH_STALE: 'INVALID_PRODUCER_EPOCH',
  INVALID_TRANSACTION_STATE: 'INVALID_TXN_STATE',
  READ_ONLY: 'INVALID_REQUEST',
  TIMED_OUT: 'REQUEST_TIMED_OUT',
  BUSY: 'REQUEST_TIMED_OUT',
}
