import assert from 'node:assert/strict'
import { test } from 'node:test'
import { readBatchHeader, sealInPlace, type BatchRef } from '../../protocol/records/batch.ts'
import type { VerifyDifference } from '../../src/links/link-service.ts'
import { batchesInARow, ScriptedLog, VerifyWorld } from '../support/verify-logs.ts'

/** About two batches at a time, so that differences lie at the edges of chunks as well. */
const smallChunks = { chunkBytes: 700 }

function changed(batch: BatchRef, change: (bytes: Uint8Array, view: DataView) => void): BatchRef {
  const bytes = batch.bytes.slice()
  change(bytes, new DataView(bytes.buffer))
  return { bytes, header: readBatchHeader(bytes) }
}

/** What is told of a mirror that begins at 0, whole or in small chunks. */
async function differenceOf(ours: readonly BatchRef[], theirs = batchesInARow(8)): Promise<VerifyDifference> {
  const found: VerifyDifference[] = []
  for (const limits of [{}, smallChunks]) {
    const world = new VerifyWorld({ source: [new ScriptedLog(theirs)], mirror: [new ScriptedLog(ours, 0n)], limits })
    const { result } = await world.verify()
    assert.equal(result.verdict, 'different', result.message ?? '')
    assert(result.firstDifference)
    found.push(result.firstDifference)
  }
  assert.deepEqual(found[0], found[1])
  return found[0]!
}

for (const limits of [{}, smallChunks]) {
  test(`equal logs are identical (${JSON.stringify(limits)})`, async () => {
    const source = [new ScriptedLog(batchesInARow(20)), new ScriptedLog(batchesInARow(5, { from: 1000n }))]
    const { result, events } = await new VerifyWorld({ source, limits }).verify()
    assert.equal(result.verdict, 'identical')
    assert.deepEqual(result.ranges, [
      { partitionIndex: 0, fromOffset: 0n, toOffset: 200n },
      { partitionIndex: 1, fromOffset: 1000n, toOffset: 1050n },
    ])
    assert.equal(result.partitions, 2)
    assert.equal(result.batches, 25)
    assert.equal(
      result.bytes,
      source.flatMap((log) => log.batches).reduce((sum, { bytes }) => sum + bytes.length, 0),
    )
    assert.equal(result.firstDifference, null)
    assert.equal(result.message, null)
    const progress = events.filter((event) => event.kind === 'progress' && event.partitionIndex === 0)
    assert.deepEqual(progress.at(-1), {
      kind: 'progress',
      partitionIndex: 0,
      fromOffset: 0n,
      offset: 200n,
      toOffset: 200n,
      batches: 20,
      bytes: source[0]!.batches.reduce((sum, batch) => sum + batch.bytes.length, 0),
    })
  })
}

test('a flipped byte in the records is found under an unchanged header', async () => {
  const ours = batchesInARow(8)
  ours[5] = changed(ours[5]!, (bytes) => (bytes[100]! ^= 1))
  const difference = await differenceOf(ours)
  assert.equal(difference.kind, 'bytes')
  assert.equal(difference.offset, 50n)
  assert.match(difference.message, /byte 100 .*the checksum does not hold at the mirror$/)
})

test('a byte that was changed together with the checksum is found', async () => {
  const ours = batchesInARow(8)
  ours[5] = changed(ours[5]!, (bytes) => {
    bytes[100]! ^= 1
    sealInPlace(bytes)
  })
  const difference = await differenceOf(ours)
  assert.equal(difference.kind, 'header')
  assert.match(difference.message, /^crc is \d+, at the source \d+$/)
})

test('a wrong leader epoch is found, which no checksum covers', async () => {
  const ours = batchesInARow(8)
  ours[7] = changed(ours[7]!, (_, view) => view.setInt32(12, 4))
  assert.deepEqual(await differenceOf(ours), {
    partitionIndex: 0,
    offset: 70n,
    kind: 'header',
    message: 'partitionLeaderEpoch is 4, at the source 3',
  })
})

test('a missing batch is found', async () => {
  for (const at of [0, 3, 6]) {
    const difference = await differenceOf(batchesInARow(8).filter((_, index) => index !== at))
    assert.equal(difference.kind, 'missing')
    assert.equal(difference.offset, BigInt(at * 10))
  }
})

test('a doubled batch is found', async () => {
  for (const at of [0, 1, 2, 3, 6, 7]) {
    const ours = batchesInARow(8)
    ours.splice(at, 0, ours[at]!)
    const difference = await differenceOf(ours)
    assert.equal(difference.kind, 'extra')
    assert.equal(difference.offset, BigInt(at * 10))
    assert.match(difference.message, /twice/)
  }
})

test('swapped batches are found', async () => {
  for (const at of [0, 1, 2, 3, 6]) {
    const ours = batchesInARow(8)
    ours.splice(at, 2, ours[at + 1]!, ours[at]!)
    const mirror = new ScriptedLog(ours, 0n)
    const world = new VerifyWorld({ source: [new ScriptedLog(batchesInARow(8))], mirror: [mirror] })
    const { result } = await world.verify()
    assert.equal(result.firstDifference?.kind, 'order')
    assert.equal(result.firstDifference?.offset, BigInt(at * 10))
  }
})
