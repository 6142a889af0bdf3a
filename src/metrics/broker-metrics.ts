/**
 * What the broker counts as it works: plain fields, read when somebody asks. What can be looked up (logs, topics,
 * groups, links) is not counted here.
 */
import type { Uuid } from '../../protocol/schema.ts'
import { RequestStats } from './request-stats.ts'

/** Of one topic, or of all together. */
export class TopicTraffic {
  messagesIn = 0
  bytesIn = 0
  bytesOut = 0
  /** Partitions that produce requests and fetches named, and those of them that were refused. */
  produceRequests = 0
  fetchRequests = 0
  failedProduceRequests = 0
  failedFetchRequests = 0
}

/** Appends that went into logs, by who made them. */
export interface AppendCounts {
  batches: number
  records: number
  bytes: number
  failures: number
}

export const appendOrigins = ['client', 'coordinator', 'mirror'] as const
export type AppendOrigin = (typeof appendOrigins)[number]

export const verifyVerdicts = ['identical', 'identical-by-record', 'different', 'unknown'] as const
export type VerifyVerdict = (typeof verifyVerdicts)[number]

interface CountedBatch {
  readonly bytes: Uint8Array
  readonly header: { readonly recordCount: number }
}

export class BrokerMetrics {
  /** By API key; holes where nothing was asked yet. */
  readonly requests: (RequestStats | undefined)[] = []
  /** Requests that ended in a defect of the broker: each has a line in its log. */
  defects = 0
  readonly all = new TopicTraffic()
  readonly appends: Readonly<Record<AppendOrigin, AppendCounts>> = {
    client: { batches: 0, records: 0, bytes: 0, failures: 0 },
    coordinator: { batches: 0, records: 0, bytes: 0, failures: 0 },
    mirror: { batches: 0, records: 0, bytes: 0, failures: 0 },
  }
  readonly verifications: Record<VerifyVerdict, number> = {
    identical: 0,
    'identical-by-record': 0,
    different: 0,
    unknown: 0,
  }
  readonly #byTopic = new Map<Uuid, TopicTraffic>()

  noteRequest(
    api: { readonly key: number; readonly name: string },
    apiVersion: number,
    times: { readonly startMs: number; readonly endMs: number },
  ): void {
    const stats = (this.requests[api.key] ??= new RequestStats(api.name))
    stats.note(apiVersion, times)
  }

  /** A partition of a produce request; `isNew` is false where the log had the batch already. */
  noteProduced(topicId: Uuid, batch: CountedBatch, isNew: boolean): void {
    const topic = this.#topic(topicId)
    topic.produceRequests++
    this.all.produceRequests++
    if (!isNew) return
    const { recordCount } = batch.header
    const { length } = batch.bytes
    topic.messagesIn += recordCount
    topic.bytesIn += length
    this.all.messagesIn += recordCount
    this.all.bytesIn += length
    this.noteAppended('client', [batch])
  }

  /** A partition of a produce request that was refused. */
  noteProduceFailed(topicId: Uuid | undefined): void {
    this.all.produceRequests++
    this.all.failedProduceRequests++
    if (topicId === undefined) return
    const topic = this.#topic(topicId)
    topic.produceRequests++
    topic.failedProduceRequests++
  }

  /** A partition of a fetch. */
  noteFetched(topicId: Uuid, sizeBytes: number): void {
    const topic = this.#topic(topicId)
    topic.fetchRequests++
    topic.bytesOut += sizeBytes
    this.all.fetchRequests++
    this.all.bytesOut += sizeBytes
  }

  /** A partition of a fetch that was refused. */
  noteFetchFailed(topicId: Uuid | undefined): void {
    this.all.fetchRequests++
    this.all.failedFetchRequests++
    if (topicId === undefined) return
    const topic = this.#topic(topicId)
    topic.fetchRequests++
    topic.failedFetchRequests++
  }

  noteAppended(origin: AppendOrigin, batches: readonly CountedBatch[]): void {
    const counts = this.appends[origin]
    for (const { bytes, header } of batches) {
      counts.batches++
      counts.records += header.recordCount
      counts.bytes += bytes.length
    }
  }

  /** What is known of a topic, if anybody produced to it or fetched from it. */
  ofTopic(topicId: Uuid): TopicTraffic | undefined {
    return this.#byTopic.get(topicId)
  }

  /** Forgets topics that are not there any more. */
  keepTopics(isThere: (topicId: Uuid) => boolean): void {
    for (const topicId of this.#byTopic.keys()) if (!isThere(topicId)) this.#byTopic.delete(topicId)
  }

  #topic(topicId: Uuid): TopicTraffic {
    const known = this.#byTopic.get(topicId)
    if (known) return known
    const topic = new TopicTraffic()
    this.#byTopic.set(topicId, topic)
    return topic
  }
}
