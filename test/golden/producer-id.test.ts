/**
 * One producer id that a double cannot hold, on its whole way: from the client through header, log, file, a restart and
 * JSON back to clients. `test/compat` takes such ids through the real programs.
 */
import assert from 'node:assert/strict'
import { createRequire } from 'node:module'
import { test } from 'node:test'
import { Reader as PlatformaticReader, readRecordsBatch } from '@platformatic/kafka'
import { Fetch } from '../../protocol/apis/fetch.ts'
import { Produce } from '../../protocol/apis/produce.ts'
import { errorCodes } from '../../protocol/errors.ts'
import { splitBatches } from '../../protocol/records/batch.ts'
import { MemoryDisk } from '../../storage/memory-disk.ts'
import { nodeClock } from '../../src/environment/node-clock.ts'
import { fromJson, toJson } from '../../src/json.ts'
import { startTestBroker, type TestBroker } from '../support/broker.ts'
import { batchOf } from '../support/records.ts'
import { fetchRequest, produceRequest } from '../support/requests.ts'

const require = createRequire(import.meta.url)
/** kafkajs declares no types for these. */
const KafkajsDecoder = require('kafkajs/src/protocol/decoder.js') as new (bytes: Buffer) => unknown
const kafkajsDecode = require('kafkajs/src/protocol/recordBatch/v0/decoder.js') as (
  decoder: unknown,
) => Promise<{ readonly producerId: string }>

/** Above 2^53, with odd low bits: as a double it would end with 2. */
const producerId = 0x5a5a_5a5a_0000_0001n
const producer = { producerId, producerEpoch: 3, baseSequence: 0 }
/** Where the id stands in a batch. */
const position = 43

function idIn(bytes: Uint8Array): bigint {
  return new DataView(bytes.buffer, bytes.byteOffset).getBigInt64(position)
}

async function offsetOf(broker: TestBroker, options: { readonly producerId: bigint }): Promise<bigint> {
  const records = [batchOf(['a', 'b'], { ...producer, ...options })]
  const { responses } = await broker.send(Produce, 9, produceRequest({ records }))
  const [partition] = responses[0]!.partitionResponses
  assert.equal(partition!.errorCode, errorCodes.NONE)
  return partition!.baseOffset
}

test('a producer id above 2^53 with odd low bits stays what it is in header, file, JSON and clients', async (t) => {
  const disk = new MemoryDisk((run) => nodeClock.defer(run))
  const first = await startTestBroker(t, { disk, topics: { orders: 1 } })
  assert.equal(await offsetOf(first, { producerId }), 0n)
  assert.equal(await offsetOf(first, { producerId: producerId - 1n }), 2n, 'its neighbour is another producer')
  assert.equal(await offsetOf(first, { producerId }), 0n, 'a retry is known')

  const { responses } = await first.send(Fetch, 11, fetchRequest())
  const fetched = Buffer.concat(responses[0]!.partitions[0]!.records!)
  const [batch] = splitBatches(fetched)
  assert.equal(batch!.header.producerId, producerId)
  assert.equal(idIn(fetched), producerId)
  assert.equal(readRecordsBatch(PlatformaticReader.from(fetched)).producerId, producerId)
  assert.equal((await kafkajsDecode(new KafkajsDecoder(fetched))).producerId, String(producerId))

  const json = toJson({ producerId: batch!.header.producerId })
  assert.equal(json, '{"producerId":6510615553911029761}')
  assert.deepEqual(fromJson(json), { producerId })

  await first.broker.stop()
  const file = Buffer.from(await disk.readFile('orders-0/00000000000000000000.log'))
  assert.deepEqual(file.subarray(0, fetched.length), fetched)
  assert.equal(idIn(file), producerId)

  const second = await startTestBroker(t, { disk })
  assert.equal(await offsetOf(second, { producerId }), 0n, 'a retry is known after a restart')
  assert.equal(await offsetOf(second, { producerId: producerId + 1n }), 4n)
})
