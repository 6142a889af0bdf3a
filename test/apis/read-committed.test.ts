/**
 * What a reader of committed records sees of open, committed and aborted transactions: those of a mirror, as its source
 * wrote them.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Fetch } from '../../protocol/apis/fetch.ts'
import { ListOffsets } from '../../protocol/apis/list-offsets.ts'
import { zeroUuid } from '../../protocol/schema.ts'
import { Mirror } from '../../protocol/state/mirror-records.ts'
import { readBatchHeader } from '../../protocol/records/batch.ts'
import { buildEndTransactionMarker } from '../../protocol/records/control.ts'
import { record } from '../../src/metadata/metadata-store.ts'
import { startTestBroker, versionsOf, type TestBroker } from '../support/broker.ts'
import { batchOf, valuesOf } from '../support/records.ts'
import { fetchRequest, listOffsetsRequest } from '../support/requests.ts'

const topicId = 'AAAAAAAAAAAAAAAAAAAABQ'
const committed = 1
const timestampMs = 1_700_000_000_000n

/**
 * Offsets 0 plain, 1 of producer 1, 2 of producer 2, 3 aborts 1, 4 of producer 1 anew, 5 commits 2, 6 plain. Producer 1
 * stays open.
 */
function history(): readonly Uint8Array[] {
  const ofProducer = (producerId: bigint, baseOffset: bigint, baseSequence: number) => ({
    producerId,
    producerEpoch: 0,
    baseOffset,
    baseSequence,
    isTransactional: true,
    leaderEpoch: 0,
    baseTimestampMs: timestampMs + baseOffset,
  })
  const plain = (baseOffset: bigint) => ({ baseOffset, leaderEpoch: 0, baseTimestampMs: timestampMs + baseOffset })
  const marker = { producerEpoch: 0, coordinatorEpoch: 0, timestampMs, leaderEpoch: 0 }
  return [
    batchOf(['before'], plain(0n)),
    batchOf(['aborted'], ofProducer(1n, 1n, 0)),
    batchOf(['committed'], ofProducer(2n, 2n, 0)),
    buildEndTransactionMarker({ ...marker, producerId: 1n, commit: false, baseOffset: 3n }),
    batchOf(['open'], ofProducer(1n, 4n, 1)),
    buildEndTransactionMarker({ ...marker, producerId: 2n, commit: true, baseOffset: 5n }),
    batchOf(['behind'], plain(6n)),
  ]
}

async function startWithHistory(t: Parameters<typeof startTestBroker>[0]): Promise<TestBroker> {
  const broker = await startTestBroker(t)
  const { topics, logs } = broker.broker.parts
  const mirror = { topicId, linkId: topicId, sourceTopicName: 'orders', sourceTopicId: zeroUuid }
  await topics.create({ name: 'orders', topicId, partitionCount: 1, extraRecords: [record(Mirror, mirror)] })
  const { log } = topics.find('orders')!.partitions[0]!
  const batches = history().map((bytes) => ({ bytes, header: readBatchHeader(bytes) }))
  const mode = { kind: 'preserve', expectedLogEndOffset: 0n } as const
  const [appended] = await logs.append([{ log, batches, mode, origin: 'mirror' }], { nowMs: timestampMs })
  assert(appended!.ok, appended!.ok ? '' : appended!.message)
  return broker
}

for (const version of versionsOf(Fetch)) {
  test(`Fetch v${version} of committed records ends at the last stable offset and names aborted transactions`, async (t) => {
    const broker = await startWithHistory(t)
    const ask = async (isolationLevel: number, fetchOffset = 0n) => {
      const partitions = [{ partition: 0, fetchOffset }]
      const request = fetchRequest({ topicId, isolationLevel, partitions })
      return (await broker.send(Fetch, version, request)).responses[0]!.partitions[0]!
    }
    const all = await ask(0)
    assert.deepEqual([all.highWatermark, all.lastStableOffset, all.abortedTransactions], [7n, 4n, null])
    assert.equal(readableValues(all.records).length, 5)

    const stable = await ask(committed)
    assert.deepEqual([stable.highWatermark, stable.lastStableOffset], [7n, 4n])
    assert.deepEqual(stable.abortedTransactions, [{ producerId: 1n, firstOffset: 1n }])
    assert.deepEqual(readableValues(stable.records), ['before', 'aborted', 'committed'])
    const atEnd = await ask(committed, 4n)
    assert.deepEqual([atEnd.errorCode, atEnd.abortedTransactions, atEnd.records], [0, [], []])
  })
}

/** The values of data batches; those of markers are no text. */
function readableValues(chunks: readonly Uint8Array[] | null): string[] {
  return valuesOf(chunks).filter((value) => /^[a-z]+$/.test(value))
}

for (const version of versionsOf(ListOffsets).filter((one) => one >= 2)) {
  test(`ListOffsets v${version} of committed records knows nothing behind the last stable offset`, async (t) => {
    const broker = await startWithHistory(t)
    const ask = async (isolationLevel: number, timestamp: bigint) => {
      const request = { ...listOffsetsRequest(timestamp), isolationLevel }
      return (await broker.send(ListOffsets, version, request)).topics[0]!.partitions[0]!.offset
    }
    assert.deepEqual([await ask(0, -1n), await ask(committed, -1n)], [7n, 4n])
    assert.deepEqual([await ask(0, timestampMs + 4n), await ask(committed, timestampMs + 4n)], [4n, -1n])
    assert.deepEqual([await ask(0, timestampMs + 2n), await ask(committed, timestampMs + 2n)], [2n, 2n])
  })
}

test('a waiting fetch of committed records is not woken by what is not decided', async (t) => {
  const broker = await startWithHistory(t)
  const client = await broker.connect()
  const partitions = [{ partition: 0, fetchOffset: 4n }]
  let isAnswered = false
  const polled = client
    .send(Fetch, 12, fetchRequest({ isolationLevel: committed, partitions, maxWaitMs: 60_000 }))
    .finally(() => (isAnswered = true))
  const { logs, topics } = broker.broker.parts
  const { log } = topics.find('orders')!.partitions[0]!
  const append = async (bytes: Uint8Array) => {
    const mode = { kind: 'preserve', expectedLogEndOffset: logs.view(log).logEndOffset } as const
    const batches = [{ bytes, header: readBatchHeader(bytes) }]
    await logs.append([{ log, batches, mode, origin: 'mirror' }], { nowMs: timestampMs })
  }
  await append(batchOf(['plain'], { baseOffset: 7n, leaderEpoch: 0 }))
  await broker.send(Fetch, 12, fetchRequest({ maxWaitMs: 20, partitions: [{ partition: 0, fetchOffset: 8n }] }))
  assert.equal(isAnswered, false)
  const marker = { producerEpoch: 0, coordinatorEpoch: 0, timestampMs, leaderEpoch: 0 }
  await append(buildEndTransactionMarker({ ...marker, producerId: 1n, commit: true, baseOffset: 8n }))
  const { lastStableOffset, records } = (await polled).responses[0]!.partitions[0]!
  assert.equal(lastStableOffset, 9n)
  assert.deepEqual(readableValues(records), ['open', 'behind', 'plain'])
})
