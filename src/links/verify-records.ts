import { failed, type VerifyJob } from './verify-parts.ts'
import type { PartitionRun, PartitionVerdict, VerifyProgress } from './verify-run.ts'
import type { VerifySource } from './verify-source.ts'

// eslint-disable-next-line require-yield
export async function* settleByRecord(
  _job: VerifyJob,
  _source: VerifySource,
  run: PartitionRun,
): AsyncGenerator<VerifyProgress, PartitionVerdict, undefined> {
  return failed(
    'partition',
    `batches of partition ${run.partition.partitionIndex} differ, which compaction may have done`,
  )
}
