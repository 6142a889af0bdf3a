/**
 * Batches cross the codecs of the JavaScript clients in both directions; other clients meet in the compatibility tests.
 */
import assert from 'node:assert/strict'
import { createRequire } from 'node:module'
import test from 'node:test'
import { createRecordsBatch, Reader, readRecordsBatch } from '@platformatic/kafka'
import { compressions, splitBatches, verifyCrc } from '../../../protocol/records/batch.ts'
import { buildBatch } from '../../../protocol/records/build.ts'
import { decodeRecords } from '../../../protocol/records/record.ts'

const require = createRequire(import.meta.url)
/** kafkajs declares no types for these. */
const kafkajsDecoder = require('kafkajs/src/protocol/decoder.js') as new (bytes: Buffer) => unknown
const kafkajsDecode = require('kafkajs/src/protocol/recordBatch/v0/decoder.js') as (
  decoder: unknown,
) => Promise<KafkajsBatch>
const { RecordBatch: kafkajsEncode } = require('kafkajs/src/protocol/recordBatch/v0/index.js') as {
  RecordBatch: (input: object) => Promise<{ buffer: Buffer }>
}
const kafkajsRecord = require('kafkajs/src/protocol/recordBatch/record/v0/index.js') as (input: object) => unknown
const Long = require('kafkajs/src/utils/long.js') as { fromValue(value: string): unknown }

interface KafkajsBatch {
  readonly producerId: string
  readonly firstOffset: string
  readonly records: readonly { readonly offset: string; readonly key: Buffer; readonly value: Buffer }[]
}

const producerId = 9007199254740993n
const values = ['a', 'b'.repeat(100_000), 'c']
const records = values.map((value, i) => ({ key: `k${i}`, value, timestampMs: 1_700_000_000_000n + BigInt(i) }))
const written = { baseOffset: 4611686018427387905n, producerId, producerEpoch: 1, baseSequence: 7, leaderEpoch: 2 }

for (const compression of compressions) {
  test(`@platformatic/kafka reads a batch built here with ${compression}, and we one of its own`, () => {
    const read = readRecordsBatch(Reader.from(Buffer.from(buildBatch({ ...written, records, compression }))))
    assert.equal(read.producerId, producerId)
    assert.equal(read.firstOffset, written.baseOffset)
    assert.deepEqual(
      read.records.map((record) => record.value?.toString()),
      values,
    )

    const messages = records.map(({ key, value, timestampMs }) => ({
      topic: 't',
      key: Buffer.from(key),
      value: Buffer.from(value),
      timestamp: timestampMs,
    }))
    const [batch] = splitBatches(createRecordsBatch(messages, { compression, producerId, producerEpoch: 1 }).buffer)
    assert.ok(batch && verifyCrc(batch))
    assert.equal(batch.header.producerId, producerId)
    assert.deepEqual(
      decodeRecords(batch).map((record) => [text(record.key), text(record.value), record.timestampMs]),
      records.map(({ key, value, timestampMs }) => [key, value, timestampMs]),
    )
  })
}

// kafkajs brings gzip only; the other codecs are plug-ins.
for (const [number, compression] of [
  [0, 'none'],
  [1, 'gzip'],
] as const) {
  test(`kafkajs reads a batch built here with ${compression}, and we one of its own`, async () => {
    const bytes = Buffer.from(buildBatch({ ...written, records, compression }))
    const read = await kafkajsDecode(new kafkajsDecoder(bytes))
    assert.equal(read.producerId, `${producerId}`)
    assert.equal(read.records[2]?.offset, `${written.baseOffset + 2n}`)
    assert.deepEqual(
      read.records.map((record) => record.value.toString()),
      values,
    )

    const encoded = await kafkajsEncode({
      compression: number,
      producerId: Long.fromValue(`${producerId}`),
      firstTimestamp: 5,
      maxTimestamp: 7,
      lastOffsetDelta: 2,
      records: records.map(({ key, value }, i) =>
        kafkajsRecord({ offsetDelta: i, timestampDelta: i, key: Buffer.from(key), value: Buffer.from(value) }),
      ),
    })
    const [batch] = splitBatches(encoded.buffer)
    assert.ok(batch && verifyCrc(batch))
    assert.equal(batch.header.producerId, producerId)
    assert.deepEqual(
      decodeRecords(batch).map((record) => [text(record.key), text(record.value), record.timestampMs]),
      records.map(({ key, value }, i) => [key, value, 5n + BigInt(i)]),
    )
  })
}

function text(bytes: Uint8Array | null): string | null {
  return bytes === null ? null : Buffer.from(bytes).toString()
}
