/** Reading a topic record by record, for those who hold the broker in their process. */
import { isControl, isTransactional, lastOffsetOf, splitBatches } from '../../protocol/records/batch.ts'
import { decodeRecords, type DecodedRecord } from '../../protocol/records/record.ts'
import type { LogHandle } from '../../storage/log-store.ts'
import { errorNameOfStorageCode, KafkaError } from '../errors.ts'
import type { ReadParts } from './read.ts'
import { waitForData } from './fetch-waiter.ts'
import type { Topic } from './topics.ts'

/** How much is read at a time. */
const readMaxBytes = 1_048_576
/** A follower looks again after so long, though nothing told it to. */
const followMaxWaitMs = 60_000

/** A record with its place. The bytes are the receiver's own. */
export interface TopicRecord extends Omit<DecodedRecord, 'sizeBytes'> {
  readonly topic: string
  readonly partition: number
}

export interface ReadTopicOptions {
  /** Only this partition. Default: all, one after the other. */
  readonly partition?: number
  /** Go on with what is produced later, until the signal aborts. Default: end behind what is there at the call. */
  readonly follow?: boolean
  readonly signal: AbortSignal
}

interface Cursor {
  readonly log: LogHandle
  readonly partitionIndex: number
  offset: bigint
}

/**
 * The committed records of a topic from its log start on, in the order of each partition. Control records and those of
 * aborted transactions are left out.
 * @throws KafkaError UNKNOWN_TOPIC_OR_PARTITION when the topic goes away meanwhile.
 */
export async function* readTopic(
  parts: ReadParts,
  topic: Topic,
  options: ReadTopicOptions,
): AsyncGenerator<TopicRecord, void, undefined> {
  const { logs } = parts
  const cursors: Cursor[] = topic.partitions
    .filter(({ partitionIndex }) => options.partition === undefined || partitionIndex === options.partition)
    .map(({ log, partitionIndex }) => ({ log, partitionIndex, offset: logs.view(log).logStartOffset }))
  const ends = cursors.map(({ log }) => logs.view(log).lastStableOffset)
  for (const [index, cursor] of cursors.entries()) {
    while (cursor.offset < ends[index]! && !options.signal.aborted) yield* readSome(parts, topic, cursor)
  }
  while (options.follow && !options.signal.aborted) {
    const before = cursors.map(({ offset }) => offset)
    for (const cursor of cursors) yield* readSome(parts, topic, cursor)
    if (cursors.some(({ offset }, index) => offset !== before[index])) continue
    const requests = cursors.map(({ log, offset }) => requestOf(log, offset))
    await waitForData(parts, requests, { minBytes: 1, maxWaitMs: followMaxWaitMs, signal: options.signal })
  }
}

/** Reads once from a partition, and moves its cursor. */
async function* readSome(parts: ReadParts, topic: Topic, cursor: Cursor): AsyncGenerator<TopicRecord, void, undefined> {
  const { partitionIndex } = cursor
  const options = { maxBytes: readMaxBytes, minOneBatch: true }
  const [result] = await parts.logs.read([requestOf(cursor.log, cursor.offset)], options)
  if (!result!.ok) throw new KafkaError(errorNameOfStorageCode[result!.code], result!.message)
  const { chunks, aborted } = result!
  const undecided = [...aborted]
  const abortedProducers = new Set<bigint>()
  for (const batch of chunks.flatMap((chunk) => splitBatches(chunk))) {
    const { header } = batch
    const from = cursor.offset
    cursor.offset = lastOffsetOf(header) + 1n
    while (undecided.length > 0 && undecided[0]!.firstOffset <= lastOffsetOf(header))
      abortedProducers.add(undecided.shift()!.producerId)
    if (isControl(header)) {
      abortedProducers.delete(header.producerId) // its marker: what follows belongs to another transaction
      continue
    }
    if (isTransactional(header) && abortedProducers.has(header.producerId)) continue
    for (const { offset, timestampMs, key, value, headers } of decodeRecords(batch)) {
      if (offset < from) continue
      yield {
        topic: topic.image.name,
        partition: partitionIndex,
        offset,
        timestampMs,
        key: key && key.slice(),
        value: value && value.slice(),
        headers: headers.map((header) => ({ key: header.key, value: header.value && header.value.slice() })),
      }
    }
  }
}

function requestOf(log: LogHandle, offset: bigint) {
  return { log, offset, maxBytes: readMaxBytes, isolation: 'committed' } as const
}
