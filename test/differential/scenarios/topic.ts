/** What most scenarios begin with. */
import { CreateTopics } from '../../../protocol/apis/create-topics.ts'
import { ListOffsets } from '../../../protocol/apis/list-offsets.ts'
import { Produce } from '../../../protocol/apis/produce.ts'
import type { Uuid } from '../../../protocol/schema.ts'
import { createTopicsRequest, produceRequest } from '../../support/requests.ts'
import { batchOf } from '../../support/records.ts'
import type { Peer } from '../peer.ts'

/** One time for both brokers, and near enough to theirs. */
export const nowMs = BigInt(Date.now())
/** An id that no topic has. */
export const unknownId = 'AAAAAAAAAAAAAAAAAAAAAQ'

/** A name for the topic of a row, that says which. */
export function topicNameOf(prefix: string, label: string): string {
  return `${prefix}-${label.replaceAll('-', 'minus').replaceAll(/[^a-z0-9]+/gi, '-')}`
}

export interface TopicOptions {
  readonly partitions?: number
  readonly configs?: Readonly<Record<string, string>> | undefined
}

/** Creates a topic, and waits until its partitions are open: Kafka answers a moment before. */
export async function createTopic(peer: Peer, name: string, options: TopicOptions = {}): Promise<Uuid> {
  const { partitions = 1, configs = {} } = options
  const request = createTopicsRequest(name, { numPartitions: partitions, configs })
  const { topics } = await peer.prepare(CreateTopics, 7, request)
  const [created] = topics
  if (!created || created.errorCode !== 0)
    throw new Error(`creating ${name}: ${created?.errorCode} ${created?.errorMessage}`)
  const indexes = Array.from({ length: partitions }, (_, partitionIndex) => partitionIndex)
  const latest = indexes.map((partitionIndex) => ({ partitionIndex, currentLeaderEpoch: -1, timestamp: -1n }))
  await peer.prepareUntil(ListOffsets, 10, {
    request: { replicaId: -1, isolationLevel: 0, topics: [{ name, partitions: latest }], timeoutMs: 0 },
    isGood: (answer) => answer.topics[0]!.partitions.every(({ errorCode }) => errorCode === 0),
  })
  return created.topicId
}

/** Appends one batch per list of values, all with the same time but for what is given. */
export async function produce(
  peer: Peer,
  topicId: Uuid,
  batches: readonly (readonly string[])[],
  options: { readonly partition?: number; readonly timestamps?: readonly bigint[] } = {},
): Promise<void> {
  const { partition = 0, timestamps = [] } = options
  for (const [index, values] of batches.entries()) {
    const records = [batchOf(values, { baseTimestampMs: timestamps[index] ?? nowMs })]
    const { responses } = await peer.prepare(Produce, 13, produceRequest({ topicId, partition, records }))
    const [result] = responses[0]!.partitionResponses
    if (result!.errorCode !== 0) throw new Error(`produce: ${result!.errorCode} ${result!.errorMessage}`)
  }
}
