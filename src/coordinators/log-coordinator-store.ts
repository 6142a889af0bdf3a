/**
 * The embedded CoordinatorStore: `__consumer_offsets` and `__transaction_state`, read and written through LogStore.
 * Those topics come into being with the first append; a shard without a topic is empty.
 */
import { buildBatchRef } from '../../protocol/records/build.ts'
import { isControl, lastOffsetOf, splitBatches } from '../../protocol/records/batch.ts'
import { readRecords } from '../../protocol/records/record.ts'
import type { Failure, Fence, LogHandle, LogStore, Result } from '../../storage/log-store.ts'
import type { BrokerConfig } from '../config/broker-config.ts'
import type { Clock } from '../environment/environment.ts'
import { KafkaError } from '../errors.ts'
import type { BrokerMetrics } from '../metrics/broker-metrics.ts'
import type { LiveBrokers } from '../topics/live-brokers.ts'
import type { Topics } from '../topics/topics.ts'
import type { CoordinatorKind, CoordinatorRecord, CoordinatorStore } from './coordinator-store.ts'

/** How much one read of `load` asks for. */
const loadBytes = 1_048_576

export interface InternalTopic {
  readonly name: string
  readonly partitionCount: number
  /** Lowered to the number of brokers that live when the topic comes into being. */
  readonly replicationFactor: number
  readonly configs: ReadonlyMap<string, string>
}

/**
 * The internal topics as Kafka creates them. They belong to the broker: their replication factor is not the user's to
 * fail on.
 */
export function internalTopicsOf(config: BrokerConfig): Record<CoordinatorKind, InternalTopic> {
  const compacted = (segmentBytes: number) =>
    new Map([
      ['cleanup.policy', 'compact'],
      ['compression.type', 'producer'],
      ['segment.bytes', String(segmentBytes)],
    ])
  return {
    group: {
      name: '__consumer_offsets',
      partitionCount: config.offsetsTopicNumPartitions,
      replicationFactor: config.offsetsTopicReplicationFactor,
      configs: compacted(config.offsetsTopicSegmentBytes),
    },
    transaction: {
      name: '__transaction_state',
      partitionCount: config.transactionStateLogNumPartitions,
      replicationFactor: config.transactionStateLogReplicationFactor,
      configs: compacted(config.transactionStateLogSegmentBytes),
    },
  }
}

export interface LogCoordinatorStoreParts {
  readonly logs: LogStore
  readonly topics: Topics
  readonly clock: Clock
  readonly brokers: Pick<LiveBrokers, 'alive'>
  readonly internalTopics: Readonly<Record<CoordinatorKind, InternalTopic>>
  readonly metrics?: BrokerMetrics | undefined
}

export class LogCoordinatorStore implements CoordinatorStore {
  readonly #parts: LogCoordinatorStoreParts
  readonly #creating = new Map<CoordinatorKind, Promise<void>>()

  constructor(parts: LogCoordinatorStoreParts) {
    this.#parts = parts
  }

  async *load(kind: CoordinatorKind, shard: number): AsyncIterable<readonly CoordinatorRecord[]> {
    const log = this.#find(kind, shard)
    if (!log) return
    const { logs } = this.#parts
    let offset = logs.view(log).logStartOffset
    while (offset < logs.view(log).highWatermark) {
      const request = { log, offset, maxBytes: loadBytes, isolation: 'uncommitted' } as const
      const [result] = await logs.read([request], { maxBytes: loadBytes, minOneBatch: true })
      if (!result?.ok)
        throw new Error(`${log.label}: cannot read at offset ${offset}: ${result?.message ?? 'no result'}`)
      const batches = result.chunks.flatMap((chunk) => splitBatches(chunk))
      if (batches.length === 0) return
      const records: CoordinatorRecord[] = []
      for (const batch of batches) {
        const skipped = Number(offset - batch.header.baseOffset) // of a batch that is cut by the log start
        if (!isControl(batch.header)) {
          for (const { key, value, offsetDelta } of readRecords(batch))
            if (key !== null && offsetDelta >= skipped) records.push({ key, value })
        }
        offset = lastOffsetOf(batch.header) + 1n
      }
      yield records
    }
  }

  async append(
    kind: CoordinatorKind,
    shard: number,
    records: readonly CoordinatorRecord[],
    fence: Fence,
  ): Promise<Result> {
    if (records.length === 0) return { ok: true }
    const log = this.#find(kind, shard) ?? (await this.#create(kind, shard))
    if ('code' in log) return log
    const { logs, clock, metrics } = this.#parts
    const nowMs = BigInt(clock.nowMs())
    const batch = buildBatchRef({ records: records.map(({ key, value }) => ({ key, value, timestampMs: nowMs })) })
    const mode = { kind: 'assign', leaderEpoch: logs.view(log).leaderEpoch } as const
    const [result] = await logs.append([{ log, batches: [batch], mode, origin: 'coordinator', fence }], { nowMs })
    if (result!.ok) metrics?.noteAppended('coordinator', [batch])
    else if (metrics) metrics.appends.coordinator.failures++
    return result!
  }

  #find(kind: CoordinatorKind, shard: number): LogHandle | undefined {
    return this.#parts.topics.find(this.#parts.internalTopics[kind].name)?.partitions[shard]?.log
  }

  /** Creates the internal topic once, whoever asks first. */
  async #create(kind: CoordinatorKind, shard: number): Promise<LogHandle | Failure> {
    let creating = this.#creating.get(kind)
    if (!creating) {
      creating = this.#createTopic(kind).finally(() => this.#creating.delete(kind))
      this.#creating.set(kind, creating)
    }
    await creating
    const { name, partitionCount } = this.#parts.internalTopics[kind]
    const message = `shard ${shard} of ${name} does not exist: expected 0 to ${partitionCount - 1}`
    return this.#find(kind, shard) ?? { ok: false, code: 'UNKNOWN_LOG', retriable: false, message }
  }

  async #createTopic(kind: CoordinatorKind): Promise<void> {
    try {
      const topic = this.#parts.internalTopics[kind]
      const replicationFactor = Math.min(topic.replicationFactor, this.#parts.brokers.alive().length)
      await this.#parts.topics.create({ ...topic, replicationFactor })
    } catch (error) {
      if (!(error instanceof KafkaError && error.errorName === 'TOPIC_ALREADY_EXISTS')) throw error
    }
  }
}
