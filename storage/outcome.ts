/**
 * How an engine says that something did not work: values with a code for callers, StorageError between its own parts.
 */
import { DiskError } from './disk.ts'
import type { Failure, StorageCode } from './log-store.ts'

/** Whether the same call may work later without anybody doing anything. */
const isRetriable: Record<StorageCode, boolean> = {
  UNKNOWN_LOG: true,
  LOG_OFFLINE: true,
  STORAGE_FAILED: true,
  NO_SPACE: true,
  FENCED: false,
  LEADER_EPOCH_STALE: true,
  LEADER_EPOCH_UNKNOWN: true,
  OFFSET_OUT_OF_RANGE: false,
  OFFSET_MISMATCH: true,
  CORRUPT_BATCH: true,
  INVALID_RECORD: false,
  INVALID_TIMESTAMP: false,
  UNSUPPORTED_MAGIC: false,
  UNSUPPORTED_COMPRESSION: false,
  BATCH_TOO_LARGE: false,
  OUT_OF_ORDER_SEQUENCE: false,
  UNKNOWN_PRODUCER: false,
  PRODUCER_EPOCH_STALE: false,
  INVALID_TRANSACTION_STATE: false,
  READ_ONLY: false,
  TIMED_OUT: true,
  BUSY: true,
}

export function failure(code: StorageCode, message: string): Failure {
  return { ok: false, code, retriable: isRetriable[code], message }
}

/** A failure on its way to the seam, where it becomes a value. */
export class StorageError extends Error {
  readonly code: StorageCode

  constructor(code: StorageCode, message: string, options?: ErrorOptions) {
    super(message, options)
    this.name = 'StorageError'
    this.code = code
  }
}

/**
 * Runs what must not end half way, or may not be tried again: a disk that is full counts as one that fails then, so
 * that nobody takes the log for unharmed.
 */
export async function wholly<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (error) {
    if (!(error instanceof DiskError) || error.code !== 'NO_SPACE') throw error
    throw new DiskError('IO', error.path, error.message, { cause: error })
  }
}

/** The failure that an error of the engine or of its disk stands for. Anything else is a defect and is thrown again. */
export function failureOf(error: unknown): Failure {
  if (error instanceof StorageError) return failure(error.code, error.message)
  if (error instanceof DiskError) {
    return failure(error.code === 'NO_SPACE' ? 'NO_SPACE' : 'STORAGE_FAILED', error.message)
  }
  throw error
}
