/** A source whose history grows, is cut, expires and moves at random, and which remembers every history it ever had. */
import assert from 'node:assert/strict'
import { compressions, isControl, isTransactional, lastOffsetOf, splitBatches } from '../../protocol/records/batch.ts'
import { buildBatch, type BatchInput } from '../../protocol/records/build.ts'
import { buildEndTransactionMarker } from '../../protocol/records/control.ts'
import type { Random } from '../../src/environment/environment.ts'
import type { ScriptedPartition, ScriptedSource, ScriptedTopic } from './scripted-source.ts'

const startMs = 1_700_000_000_000n

/** What was ever in one partition, and why a mirror of it may have had to stop. */
export interface PartitionPast {
  /** Everything ever appended, from offset 0 on; an unclean election begins another one. */
  readonly histories: Uint8Array[][]
  /** Every log start it had. */
  readonly logStarts: Set<bigint>
  uncleanElections: number
}

export class RandomSource {
  readonly source: ScriptedSource
  readonly topicName: string
  readonly pasts: PartitionPast[] = []
  recreations = 0
  readonly #random: Random
  #ids = 0

  constructor(source: ScriptedSource, topicName: string, random: Random) {
    this.source = source
    this.topicName = topicName
    this.#random = random
  }

  get topic(): ScriptedTopic {
    return this.source.topics.get(this.topicName)!
  }

  create(partitionCount: number): void {
    this.source.addTopic(this.topicName, 0, this.#random.uuid())
    this.addPartitions(partitionCount)
  }

  /** Another topic of the same name. What was in the old one stays known. */
  recreate(): void {
    const partitionCount = this.topic.partitions.length
    this.recreations++
    this.source.addTopic(this.topicName, 0, this.#random.uuid())
    this.#addEmpty(partitionCount)
    for (const past of this.pasts) past.histories.push([])
    this.source.wake()
  }

  addPartitions(count: number): void {
    this.#addEmpty(count)
    for (let index = 0; index < count; index++)
      this.pasts.push({ histories: [[]], logStarts: new Set([0n]), uncleanElections: 0 })
  }

  #addEmpty(count: number): void {
    for (let index = 0; index < count; index++)
      this.topic.partitions.push({
        leader: this.#anyBroker(),
        leaderEpoch: 0,
        logStartOffset: 0n,
        epochStarts: [{ leaderEpoch: 0, startOffset: 0n }],
        batches: [],
      })
  }

  anyPartition(): number {
    return this.#random.below(this.topic.partitions.length)
  }

  append(partitionIndex: number): void {
    const partition = this.topic.partitions[partitionIndex]!
    const count = 1 + this.#random.below(4)
    for (let index = 0; index < count; index++) {
      const bytes = this.#batch(partition)
      this.pasts[partitionIndex]!.histories.at(-1)!.push(bytes)
      partition.batches.push(bytes)
    }
    this.source.wake()
  }

  /** Another leader, with everything the last one had. */
  elect(partitionIndex: number): void {
    const partition = this.topic.partitions[partitionIndex]!
    partition.leader = this.#anyBroker()
    partition.leaderEpoch += 1 + this.#random.below(3)
    const startOffset = this.endOf(partitionIndex)
    const before = partition.epochStarts!.filter((epoch) => epoch.startOffset < startOffset)
    partition.epochStarts = [...before, { leaderEpoch: partition.leaderEpoch, startOffset }]
  }

  /** Another leader that lacks the last batches: they are lost. */
  electUnclean(partitionIndex: number): void {
    const partition = this.topic.partitions[partitionIndex]!
    const past = this.pasts[partitionIndex]!
    const lost = Math.min(partition.batches.length, 1 + this.#random.below(3))
    const history = past.histories.at(-1)!
    // A log start inside of the batches that go would be no log start any more.
    const kept = partition.batches.slice(0, partition.batches.length - lost)
    if (endOffsetOf(kept, partition.logStartOffset) <= partition.logStartOffset) return
    partition.batches = kept
    past.histories.push(history.slice(0, history.length - lost))
    past.uncleanElections++
    this.elect(partitionIndex)
    this.source.wake()
  }

  /** Records below the offset expire. */
  deleteBefore(partitionIndex: number, offset: bigint): void {
    const partition = this.topic.partitions[partitionIndex]!
    if (offset <= partition.logStartOffset || offset > this.endOf(partitionIndex)) return
    partition.logStartOffset = offset
    partition.batches = partition.batches.filter((bytes) => endOffsetOf([bytes], 0n) > offset)
    this.pasts[partitionIndex]!.logStarts.add(offset)
    this.source.wake()
  }

  endOf(partitionIndex: number): bigint {
    const { batches, logStartOffset } = this.topic.partitions[partitionIndex]!
    return endOffsetOf(batches, logStartOffset)
  }

  bytesOf(partitionIndex: number): Buffer {
    return Buffer.concat(this.topic.partitions[partitionIndex]!.batches)
  }

  /** The batch stands whole in front of the end in one of the histories, and behind what is in front of it. */
  #batch(partition: ScriptedPartition): Uint8Array {
    const end = endOffsetOf(partition.batches, partition.logStartOffset)
    const isGap = this.#random.below(10) === 0
    const baseOffset = isGap ? end + BigInt(1 + this.#random.below(5)) : end
    const common = { baseOffset, leaderEpoch: partition.leaderEpoch, baseTimestampMs: startMs + BigInt(this.#ids) }
    const open = openTransactionsOf(partition)
    const kind = this.#random.below(10)
    if (kind < 3 && open.length > 0) {
      const producerId = open[this.#random.below(open.length)]!
      const commit = this.#random.below(2) === 0
      const { leaderEpoch } = partition
      const marker = { producerId, producerEpoch: 0, coordinatorEpoch: 1, commit, timestampMs: startMs }
      return buildEndTransactionMarker({ ...marker, leaderEpoch, baseOffset })
    }
    if (kind < 5) {
      const isNew = open.length === 0 || this.#random.below(3) === 0
      const producerId = isNew ? BigInt(1000 + ++this.#ids) : open[this.#random.below(open.length)]!
      return this.#dataBatch({ ...common, producerId, producerEpoch: 0, baseSequence: 0, isTransactional: true })
    }
    if (kind === 5) return buildBatch({ ...common, records: [], lastOffsetDelta: this.#random.below(4) })
    if (kind === 6)
      return this.#dataBatch({ ...common, producerId: BigInt(1 + ++this.#ids), producerEpoch: 0, baseSequence: 0 })
    return this.#dataBatch(common)
  }

  #dataBatch(input: Omit<BatchInput, 'records'>): Uint8Array {
    const values = Array.from({ length: 1 + this.#random.below(8) }, () => `value ${++this.#ids}`)
    const compression = compressions[this.#random.below(compressions.length)]!
    return buildBatch({ ...input, compression, records: values.map((value) => ({ key: null, value })) })
  }

  #anyBroker(): number {
    return 1 + this.#random.below(this.source.ports.length)
  }
}

/** Whether these are batches of one history, in a row. */
export function isPartOf(history: readonly Uint8Array[], batches: readonly Uint8Array[]): boolean {
  const [first] = batches
  if (!first) return true
  const at = history.findIndex((bytes) => Buffer.compare(bytes, first) === 0)
  return at >= 0 && batches.every((bytes, index) => Buffer.compare(history[at + index] ?? noBytes, bytes) === 0)
}

const noBytes = new Uint8Array(0)

function endOffsetOf(batches: readonly Uint8Array[], empty: bigint): bigint {
  const last = batches.at(-1)
  if (!last) return empty
  const [batch] = splitBatches(last)
  assert(batch)
  return lastOffsetOf(batch.header) + 1n
}

function openTransactionsOf(partition: ScriptedPartition): bigint[] {
  const open = new Set<bigint>()
  for (const bytes of partition.batches) {
    const { header } = splitBatches(bytes)[0]!
    if (!isTransactional(header)) continue
    if (isControl(header)) open.delete(header.producerId)
    else open.add(header.producerId)
  }
  return [...open]
}
