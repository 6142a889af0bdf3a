import { Fetch } from '../../../protocol/apis/fetch.ts'
import { InitProducerId } from '../../../protocol/apis/init-producer-id.ts'
import { Produce } from '../../../protocol/apis/produce.ts'
import { sealInPlace } from '../../../protocol/records/batch.ts'
import type { Uuid } from '../../../protocol/schema.ts'
import { batchOf } from '../../support/records.ts'
import { fetchRequest, produceRequest } from '../../support/requests.ts'
import type { Peer, Scenario } from '../peer.ts'
import { commonVersionsOf } from '../versions.ts'
import { createTopic, nowMs, topicNameOf, unknownId } from './topic.ts'

/** Both brokers get the same bytes: every batch has this time, unless a row says otherwise. */
const at = { baseTimestampMs: nowMs }
const latest = 13

function batch(...values: readonly string[]): Uint8Array {
  return batchOf(values, at)
}

/** A batch with a byte that differs, and the checksum that belongs to it where it is to be accepted. */
function patched(bytes: Uint8Array, position: number, value: number, options: { readonly seal?: boolean } = {}) {
  bytes[position] = value
  return options.seal ? sealInPlace(bytes) : bytes
}

interface Row {
  readonly label: string
  readonly records: readonly Uint8Array[] | null
  readonly configs?: Readonly<Record<string, string>>
  readonly acks?: number
  readonly partition?: number
  readonly version?: number
}

const dayMs = 86_400_000n

/** Each row goes to a topic of its own, and what it left there is compared too. */
const rows: readonly Row[] = [
  { label: 'one batch', records: [batch('a', 'b')] },
  { label: 'acks 1', records: [batch('a')], acks: 1 },
  { label: 'acks 2', records: [batch('a')], acks: 2 },
  { label: 'acks -2', records: [batch('a')], acks: -2 },
  { label: 'null records', records: null },
  { label: 'no bytes', records: [new Uint8Array(0)] },
  { label: 'a bad checksum', records: [patched(batch('a'), 70, 1)] },
  { label: 'magic 1', records: [patched(batch('a'), 16, 1)] },
  { label: 'magic 0', records: [patched(batch('a'), 16, 0)] },
  { label: 'magic 3', records: [patched(batch('a'), 16, 3)] },
  { label: 'two batches', records: [Buffer.concat([batch('a'), batch('b')])] },
  { label: 'a batch and a cut one', records: [Buffer.concat([batch('a'), batch('b').subarray(0, 30)])] },
  { label: 'a cut batch', records: [batch('a').subarray(0, 62)] },
  { label: 'a cut header', records: [batch('a').subarray(0, 20)] },
  { label: 'an unknown codec', records: [patched(batch('a'), 22, 5, { seal: true })] },
  { label: 'gzip that is none', records: [patched(batch('a'), 22, 1, { seal: true })] },
  { label: 'a control batch', records: [patched(batch('a'), 22, 0x20, { seal: true })] },
  { label: 'a batch that says LogAppendTime', records: [patched(batch('a'), 22, 0x08, { seal: true })] },
  { label: 'a wrong last offset delta', records: [patched(batch('a', 'b'), 26, 7, { seal: true })] },
  { label: 'a wrong record count', records: [patched(batch('a', 'b'), 60, 3, { seal: true })] },
  { label: 'no records in the batch', records: [patched(patched(batch('a'), 60, 0), 26, 0xff, { seal: true })] },
  { label: 'an offset of its own', records: [batchOf(['a'], { ...at, baseOffset: 77n })] },
  { label: 'a leader epoch of its own', records: [batchOf(['a'], { ...at, leaderEpoch: 7 })] },
  { label: 'gzip', records: [batchOf(['a', 'b'], { ...at, compression: 'gzip' })] },
  { label: 'snappy', records: [batchOf(['a', 'b'], { ...at, compression: 'snappy' })] },
  { label: 'lz4', records: [batchOf(['a', 'b'], { ...at, compression: 'lz4' })] },
  { label: 'zstd', records: [batchOf(['a', 'b'], { ...at, compression: 'zstd' })] },
  { label: 'zstd at version 6', records: [batchOf(['a'], { ...at, compression: 'zstd' })], version: 6 },
  { label: 'too large', records: [batch('x'.repeat(2_000))], configs: { 'max.message.bytes': '1000' } },
  { label: 'a null key where compacted', records: [batch('a')], configs: { 'cleanup.policy': 'compact' } },
  {
    label: 'one null key of three where compacted',
    records: [batchOf([], { ...at, records: [{ key: 'k', value: 'v' }, { value: 'v' }, { key: 'l', value: 'v' }] })],
    configs: { 'cleanup.policy': 'compact,delete' },
  },
  {
    label: 'a tombstone where compacted',
    records: [batchOf([], { ...at, records: [{ key: 'k', value: null }] })],
    configs: { 'cleanup.policy': 'compact' },
  },
  { label: 'far in the future', records: [batchOf(['a'], { baseTimestampMs: nowMs + 2n * dayMs })] },
  {
    label: 'one record far in the future',
    records: [batchOf([], { ...at, records: [{ value: 'a' }, { value: 'b', timestampMs: nowMs + 2n * dayMs }] })],
  },
  {
    label: 'too old',
    records: [batchOf(['a', 'b'], { baseTimestampMs: nowMs - 10n * dayMs })],
    configs: { 'message.timestamp.before.max.ms': '1000' },
  },
  { label: 'no timestamp', records: [batchOf(['a'], { baseTimestampMs: -1n })] },
  { label: 'a negative timestamp', records: [batchOf(['a', 'b'], { baseTimestampMs: -5n })] },
  {
    label: 'a maximum timestamp that is none of its records',
    records: [batchOf(['a', 'b'], { ...at, maxTimestampMs: nowMs + 5n })],
  },
  { label: 'LogAppendTime', records: [batch('a', 'b')], configs: { 'message.timestamp.type': 'LogAppendTime' } },
  {
    label: 'LogAppendTime, far in the future',
    records: [batchOf(['a'], { baseTimestampMs: nowMs + 2n * dayMs })],
    configs: { 'message.timestamp.type': 'LogAppendTime' },
  },
  { label: 'an unknown partition', records: [batch('a')], partition: 7 },
  { label: 'a negative partition', records: [batch('a')], partition: -1 },
]

async function runRow(peer: Peer, { label, records, configs, acks, partition, version = latest }: Row): Promise<void> {
  const topic = topicNameOf('produce', label)
  const topicId = await createTopic(peer, topic, { configs })
  const own = records && records.map((bytes) => Uint8Array.from(bytes))
  await peer.ask(
    label,
    Produce,
    version,
    produceRequest({
      topic,
      topicId,
      records: own,
      ...(acks !== undefined && { acks }),
      ...(partition !== undefined && { partition }),
    }),
  )
  await peer.ask(`${label}, fetched`, Fetch, 12, fetchRequest({ topic }))
}

interface Step {
  readonly label: string
  readonly sequence: number
  readonly epoch?: number
  readonly values?: readonly string[]
  readonly topic?: string
}

/** Sequences in the order in which one producer sends them. */
const idempotent: readonly Step[] = [
  { label: 'the first batch', sequence: 0, values: ['a', 'b'] },
  { label: 'the second', sequence: 2, values: ['c'] },
  { label: 'the first again', sequence: 0, values: ['a', 'b'] },
  { label: 'the second again', sequence: 2, values: ['c'] },
  { label: 'a gap', sequence: 9 },
  { label: 'half of the first again', sequence: 0, values: ['a'] },
  { label: 'the third', sequence: 3 },
  { label: 'the fourth', sequence: 4 },
  { label: 'the fifth', sequence: 5 },
  { label: 'the sixth', sequence: 6 },
  { label: 'the seventh', sequence: 7 },
  { label: 'the first once more, beyond the window', sequence: 0, values: ['a', 'b'] },
  { label: 'a new epoch that does not begin at 0', sequence: 5, epoch: 1 },
  { label: 'a new epoch', sequence: 0, epoch: 1 },
  { label: 'the old epoch', sequence: 8, epoch: 0 },
  {
    label: 'a topic that does not know the producer, not from 0',
    sequence: 4,
    epoch: 1,
    topic: 'produce-idempotent-2',
  },
  { label: 'and then from 0', sequence: 0, epoch: 1, topic: 'produce-idempotent-2' },
  { label: 'a negative sequence', sequence: -1, epoch: 1 },
  { label: 'a negative epoch', sequence: 0, epoch: -1 },
  {
    label: 'a negative epoch, to a topic that does not know the producer',
    sequence: 0,
    epoch: -1,
    topic: 'produce-idempotent-3',
  },
]

const idempotence: Scenario = {
  name: 'Produce: sequences of an idempotent producer',
  async run(peer) {
    const topics = new Map<string, Uuid>()
    for (const topic of ['produce-idempotent-1', 'produce-idempotent-2', 'produce-idempotent-3'])
      topics.set(topic, await createTopic(peer, topic))
    const { producerId } = await peer.prepareUntil(InitProducerId, 5, {
      request: { transactionalId: null, transactionTimeoutMs: 1_000, producerId: -1n, producerEpoch: -1 },
      isGood: ({ errorCode }) => errorCode === 0, // Kafka has no block of ids at once
    })
    for (const { label, sequence, epoch = 0, values = ['x'], topic = 'produce-idempotent-1' } of idempotent) {
      const records = [batchOf(values, { ...at, producerId, producerEpoch: epoch, baseSequence: sequence })]
      await peer.ask(label, Produce, latest, produceRequest({ topic, topicId: topics.get(topic)!, records }))
    }
    for (const topic of topics.keys()) await peer.ask('fetched', Fetch, 12, fetchRequest({ topic }))
  },
}

const versions: Scenario = {
  name: 'Produce: every version',
  async run(peer) {
    for (const version of commonVersionsOf(Produce)) {
      const topic = `produce-v${version}`
      const topicId = await createTopic(peer, topic)
      await peer.ask('a batch', Produce, version, produceRequest({ topic, topicId, records: [batch('a')] }))
      await peer.ask(
        'refused',
        Produce,
        version,
        produceRequest({ topic, topicId, records: [patched(batch('a'), 70, 1)] }),
      )
      const unknown = { topic: 'produce-nowhere', topicId: unknownId }
      await peer.ask('an unknown topic', Produce, version, produceRequest({ ...unknown, records: [batch('a')] }))
    }
  },
}

const several: Scenario = {
  name: 'Produce: one bad partition among good ones, acks 0',
  async run(peer) {
    const topicId = await createTopic(peer, 'produce-several', { partitions: 3 })
    const partitionData = (index: number, records: Uint8Array) => ({ index, records: [records] })
    const topicData = [
      {
        name: 'produce-several',
        topicId,
        partitionData: [
          partitionData(0, batch('a')),
          partitionData(1, patched(batch('b'), 70, 1)),
          partitionData(2, batch('c')),
        ],
      },
      { name: 'produce-nowhere', topicId: unknownId, partitionData: [partitionData(0, batch('d'))] },
    ]
    await peer.ask('mixed', Produce, latest, { transactionalId: null, acks: -1, timeoutMs: 1_000, topicData })
    await peer.ask('no topics', Produce, latest, { transactionalId: null, acks: -1, timeoutMs: 1_000, topicData: [] })
    await peer.post(Produce, latest, produceRequest({ topicId, acks: 0, records: [batch('e')] }))
    await peer.askUntil('after acks 0', Fetch, 12, {
      request: fetchRequest({ topic: 'produce-several' }),
      isGood: ({ responses }) => responses[0]!.partitions[0]!.highWatermark === 2n,
    })
    await peer.post(Produce, latest, produceRequest({ topicId: unknownId, acks: 0, records: [batch('e')] }))
    await peer.ask('after acks 0 that failed', Fetch, 12, fetchRequest({ topic: 'produce-several' }))
  },
}

export const produceScenarios: readonly Scenario[] = [
  ...rows.map((row) => ({ name: `Produce: ${row.label}`, run: (peer: Peer) => runRow(peer, row) })),
  idempotence,
  versions,
  several,
]
