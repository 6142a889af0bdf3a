/**
 * Compares what a mirror partition holds with what its source says of its own history, before anything more is
 * appended.
 */
import { errorCodes, errorNameOf } from '../../protocol/errors.ts'
import type { Remote, RemoteTopic } from '../remote/remote.ts'
import type { LinkParts } from './link-parts.ts'
import type { MirrorPartition } from './mirror-partition.ts'
import type { MirrorTopic } from './mirror-topic.ts'

export interface HistoryQuestion {
  readonly mirror: MirrorTopic
  readonly partition: MirrorPartition
  readonly source: RemoteTopic
  readonly remote: Remote
  readonly parts: LinkParts
}

/**
 * The source refused the fetch offset. Either its log begins behind it (a gap, or a mirror that has not begun), or it
 * ends before it (the source lost records), or it does not know the epoch that was named with it.
 */
export async function findWhyOutOfRange(question: HistoryQuestion): Promise<void> {
  const { partition, source, remote } = question
  const [earliest, latest] = [await remote.listOffsets(source, -2n), await remote.listOffsets(source, -1n)]
  if (!earliest.ok) return partition.retryLater(earliest.message)
  if (!latest.ok) return partition.retryLater(latest.message)
  const start = earliest.offsets.get(partition.partitionIndex)
  const end = latest.offsets.get(partition.partitionIndex)
  const errorCode = start?.errorCode || end?.errorCode || errorCodes.NONE
  if (!start || !end || errorCode !== errorCodes.NONE)
    return partition.retryLater(`the source answers ${errorNameOf(errorCode)} for its offsets`)
  await settle(question, { start: start.offset, end: end.offset })
}

async function settle(question: HistoryQuestion, source: { start: bigint; end: bigint }): Promise<void> {
  const { partition } = question
  const { nextOffset } = partition
  if (nextOffset < source.start) return passGap(question, source.start)
  if (nextOffset > source.end) {
    if (!partition.confirmTruncation())
      return partition.retryLater(`the source ends at ${source.end}, the mirror at ${nextOffset}`)
    return truncated(question, source.end)
  }
  // The source trimmed the history that our last record belongs to: its log begins exactly where ours ends.
  if (nextOffset === source.start) return partition.rewindWithoutEpoch()
  if (partition.confirmTruncation()) return truncated(question, source.end)
  partition.retryLater(`the source refuses offset ${nextOffset}, and says it has ${source.start} to ${source.end}`)
}

async function passGap({ mirror, partition, parts }: HistoryQuestion, sourceStart: bigint): Promise<void> {
  const { nextOffset, partitionIndex } = partition
  const { logger } = parts.environment
  if (!partition.isFresh) {
    const gap = `offsets ${nextOffset} to ${sourceStart - 1n} of partition ${partitionIndex}`
    if (mirror.configs.gapPolicy === 'fail')
      return mirror.fail('UNEXPECTED_TRUNCATION', `gap: the source deleted ${gap} before they were mirrored`)
    logger.warn(
      { partition: partition.log.label, from: nextOffset, to: sourceStart - 1n },
      'gap skipped: the source deleted records before they were mirrored',
    )
  }
  await partition.idle()
  if (await mirror.startAt(partition, sourceStart)) partition.rewind()
  else partition.retryLater(`the log could not be made to begin at ${sourceStart}`)
}

function truncated({ mirror, partition }: HistoryQuestion, sourceEnd: bigint): void {
  const { nextOffset, partitionIndex } = partition
  mirror.fail(
    'UNEXPECTED_TRUNCATION',
    `partition ${partitionIndex}: the source ends at ${sourceEnd}, the mirror has records up to ${nextOffset}`,
  )
}

/**
 * For sources that do not compare histories in a fetch (before Fetch v12): asks where the epoch of our last record
 * ends.
 */
export async function validateHistory({ mirror, partition, source, remote }: HistoryQuestion): Promise<void> {
  const { partitionIndex, lastEpoch, nextOffset, historyChanges } = partition
  const answer = await remote.endOffsetForEpoch(source, partitionIndex, lastEpoch)
  if (!answer.ok && answer.code !== 'UNSUPPORTED_VERSION') return partition.retryLater(answer.message)
  if (answer.ok && answer.errorCode !== errorCodes.NONE)
    return partition.retryLater(`the source answers ${errorNameOf(answer.errorCode)} for its epochs`)
  const isKnown = answer.ok && answer.leaderEpoch >= 0
  const sourceEpoch = source.partitions[partitionIndex]?.leaderEpoch ?? -1
  // A topic that was created anew, or a broker that has not heard of the last election: its metadata will tell.
  if (answer.ok && !isKnown && sourceEpoch >= 0 && sourceEpoch < lastEpoch)
    return partition.retryLater(`the source has leader epoch ${sourceEpoch}, mirrored records have ${lastEpoch}`)
  if (isKnown && (answer.leaderEpoch < lastEpoch || answer.endOffset < nextOffset))
    return mirror.fail(
      'UNEXPECTED_TRUNCATION',
      `partition ${partitionIndex}: the source has another history: its leader epoch ${answer.leaderEpoch} ends at ` +
        `${answer.endOffset}, the mirror has records up to ${nextOffset} with leader epoch ${lastEpoch}`,
    )
  partition.validated(historyChanges)
}
