/** What a verification is made of: its parts, its task, its limits, and how each step can end. */
import type { BatchRef } from '../../protocol/records/batch.ts'
import type { Uuid } from '../../protocol/schema.ts'
import type { LogHandle, LogStore } from '../../storage/log-store.ts'
import type { Clock, Logger } from '../environment/environment.ts'
import type { BrokerMetrics } from '../metrics/broker-metrics.ts'
import type { MemoryBudget } from '../network/memory-budget.ts'
import type { Remote } from '../remote/remote.ts'
import type { VerifyDifference } from './link-service.ts'

export interface VerifyParts {
  readonly remote: Remote
  readonly logs: LogStore
  readonly clock: Clock
  readonly logger: Logger
  readonly memory: MemoryBudget
  readonly metrics?: BrokerMetrics | undefined
}

export interface VerifyPartition {
  readonly partitionIndex: number
  readonly log: LogHandle
  /** The recorded stop offset after a failover: from there on the log is no mirror any more. Else undefined. */
  readonly endOffset: bigint | undefined
}

export interface VerifyTask {
  readonly sourceTopicName: string
  /** The pinned one; the zero uuid where the source has no topic ids. */
  readonly sourceTopicId: Uuid
  readonly isCompacted: boolean
  readonly partitions: readonly VerifyPartition[]
}

export interface VerifyLimits {
  /** Asked from each side at a time; each side holds two such chunks at most, or two batches that are larger. */
  readonly chunkBytes: number
  /** What fails retriably is tried again for so long without progress. */
  readonly stalledMs: number
  /** So long must a source answer with nothing where there should be records, or deny its topic, to be believed. */
  readonly believedMs: number
  /** Keys of a compacted partition that are kept in memory at a time; the rest has to wait for another pass. */
  readonly keysPerPass: number
  /** The most passes over a compacted partition, so that keys up to the product of both can be settled. */
  readonly maxPasses: number
  /** Between two progress events of a partition. */
  readonly progressMs: number
}

export const defaultVerifyLimits: VerifyLimits = {
  chunkBytes: 1_048_576,
  stalledMs: 30_000,
  believedMs: 5_000,
  keysPerPass: 262_144,
  maxPasses: 64,
  progressMs: 250,
}

/** What every part of a job has at hand. */
export interface VerifyJob {
  readonly parts: VerifyParts
  readonly task: VerifyTask
  readonly limits: VerifyLimits
  readonly signal: AbortSignal
}

/** It could not be told. After a failure of the 'source' no other partition needs to be asked. */
export interface Failed {
  readonly kind: 'failed'
  readonly scope: 'partition' | 'source'
  readonly message: string
}

/** Retention has taken what was asked for: one of the logs begins here now. */
export interface Moved {
  readonly kind: 'moved'
  readonly logStartOffset: bigint
}

export interface Different {
  readonly kind: 'different'
  readonly difference: VerifyDifference
}

/** Whole batches in the order in which the log has them. */
export interface Chunk {
  readonly kind: 'chunk'
  readonly batches: readonly BatchRef[]
  /** Counted in the memory budget for whoever takes the chunk. */
  readonly reservedBytes: number
  /** Where to read on. */
  readonly nextOffset: bigint
  /** What follows the batches is none, and why. */
  readonly damage: string | undefined
}

/** `end`: there is nothing from the asked offset on. */
export type ChunkResult = Chunk | Moved | Failed | { readonly kind: 'end' }

/** Reads one log in chunks. Calls never overlap. */
export interface ChunkReader {
  /** Batches from the one that holds `offset`, or follows it, on. An abort of the signal is a failure as well. */
  read(offset: bigint, signal: AbortSignal): Promise<ChunkResult>
}

export function failed(scope: Failed['scope'], message: string): Failed {
  return { kind: 'failed', scope, message }
}

/** Waits for memory of the links' share. */
export async function reserveForVerify(
  job: VerifyJob,
  bytes: number,
  signal: AbortSignal,
): Promise<Failed | undefined> {
  const { clock, memory } = job.parts
  const deadlineMs = clock.monotonicMs() + job.limits.stalledMs
  while (!memory.tryReserveForLinks(bytes)) {
    if (signal.aborted) return failed('source', 'the verification was stopped')
    if (clock.monotonicMs() >= deadlineMs) return failed('source', `no memory was free for ${bytes} bytes of batches`)
    await clock.sleep(50, signal)
  }
  return undefined
}
