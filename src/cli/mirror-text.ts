/** A mirror topic as text. */
import { listOf, tableOf, timeOf } from './table.ts'

export interface MirrorDetails {
  readonly link_name: string
  readonly mirror_topic_name: string
  readonly source_topic_name: string
  readonly source_topic_id: string
  readonly mirror_status: string
  readonly mirror_topic_error: string
  readonly reason: string | null
  readonly state_time_ms: number
  readonly identity: 'strong' | 'weak'
  readonly partitions: readonly MirrorPartitionDetails[]
}
interface MirrorPartitionDetails {
  readonly partition: number
  readonly state: string
  readonly lag: number | bigint
  readonly last_source_fetch_offset: number | bigint
  readonly log_start_offset: number | bigint
  readonly log_end_offset: number | bigint
  readonly leader_epoch: number
  readonly reason: string | null
  readonly since_ms: number | null
  readonly next_retry_ms: number | null
}

/** The mirror, a row for each partition, and a line for each that is not ACTIVE. */
export function describeMirror(mirror: MirrorDetails): string[] {
  const head = listOf([
    ['Mirror topic', mirror.mirror_topic_name],
    ['Link', mirror.link_name],
    ['Source topic', mirror.source_topic_name],
    [
      'Source topic id',
      mirror.identity === 'weak' ? 'weak identity: the source has no topic ids' : mirror.source_topic_id,
    ],
    ['Status', mirror.mirror_status],
    ['Since', timeOf(mirror.state_time_ms)],
    ['Error', mirror.mirror_topic_error === 'NO_ERROR' ? null : mirror.mirror_topic_error],
    ['Reason', mirror.reason],
  ])
  const rows = mirror.partitions.map((one) => [
    one.partition,
    one.state,
    one.lag,
    one.last_source_fetch_offset,
    one.log_start_offset,
    one.log_end_offset,
    one.leader_epoch,
  ])
  const header = ['Partition', 'State', 'Lag', 'Source end', 'Mirror start', 'Mirror end', 'Leader epoch']
  return [...head, '', ...tableOf(header, rows), ...mirror.partitions.flatMap(reasonLines)]
}

function reasonLines(partition: MirrorPartitionDetails): string[] {
  if (partition.reason === null) return []
  const since = timeOf(partition.since_ms)
  const retry = timeOf(partition.next_retry_ms)
  const when = [since && `since ${since}`, retry ? `tries again at ${retry}` : 'does not try again by itself']
  return [`Partition ${partition.partition}: ${partition.reason} (${when.filter(Boolean).join(', ')})`]
}
