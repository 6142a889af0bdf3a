/**
 * What is done to open logs from time to time: expiry of producers, retention, due syncs, a look at whether the files
 * are there.
 */
import { findLostFile } from './file-check.ts'
import { applyRetention, expiredSegments, type SaveLogStarts } from './log-operations.ts'
import { unusable } from './log-reader.ts'
import type { HousekeepingReport, Result } from './log-store.ts'
import type { PartitionLog } from './log.ts'
import { failureOf } from './outcome.ts'

export interface HousekeepingOptions {
  readonly nowMs: bigint
  /** Producers that were silent for so long are forgotten, in milliseconds. */
  readonly producerExpirationMs: bigint
  readonly saveLogStarts: SaveLogStarts
}

export async function housekeepLogs(
  logs: readonly PartitionLog[],
  { nowMs, producerExpirationMs, saveLogStarts }: HousekeepingOptions,
): Promise<HousekeepingReport> {
  const report = { deletedSegments: 0, deletedBytes: 0, rolledSegments: 0, expiredProducers: 0 }
  for (const log of logs) {
    const { state } = log
    await checkFiles(log, { all: false })
    if (state.status !== 'online') continue
    report.expiredProducers += state.producers.expire(nowMs, producerExpirationMs)
    if (expiredSegments(state, nowMs) > 0) {
      const done = await log.exclusive(() => applyRetention(log, nowMs, saveLogStarts))
      if (done.ok) {
        report.deletedSegments += done.segments
        report.deletedBytes += done.bytes
        report.rolledSegments += done.rolled
      }
    }
  }
  await flushDueLogs(logs, nowMs)
  return report
}

/** Syncs the logs whose last sync, or first look at them, is `flush.ms` ago. */
export async function flushDueLogs(logs: readonly PartitionLog[], nowMs: bigint): Promise<void> {
  for (const log of logs) {
    const { sync, state } = log
    if (sync.lastSyncMs < 0n) sync.lastSyncMs = nowMs
    if (state.status !== 'online' || !sync.isDue || nowMs - sync.lastSyncMs < state.config.flushMs) continue
    sync.lastSyncMs = nowMs
    await flushLog(log)
  }
}

/** Takes a log offline whose files were removed or cut: what it acknowledges from then on would be lost. */
export async function checkFiles(log: PartitionLog, options: { readonly all: boolean }): Promise<void> {
  const { state } = log
  if (state.status !== 'online') return
  // Alone, so that nothing of the log is being renamed or removed by itself.
  await log.exclusive(async () => {
    try {
      const lost = await findLostFile(state, { ...options, isWritten: log.sync.hasWrites })
      if (lost !== undefined) log.goOffline(lost)
    } catch (error) {
      failureOf(error) // a disk that can't be asked proves nothing
    }
    return {}
  })
}

/** Makes everything that is visible now durable. Where that fails the log is offline. */
export async function flushLog(log: PartitionLog): Promise<Result> {
  const refused = unusable(log.state)
  if (refused) return refused
  try {
    await log.sync.run()
    await log.saveEpochs()
    return { ok: true }
  } catch (error) {
    const found = failureOf(error)
    // A full disk has no room for the history of epochs. A sync never fails with that.
    if (found.code !== 'NO_SPACE') log.goOffline(found.message)
    return found
  }
}
