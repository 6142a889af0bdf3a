/** Compacted topics: what cleaning does to one side is no difference, and nothing else is excused by it. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { buildEndTransactionMarker } from '../../protocol/records/control.ts'
import { readBatchHeader, type BatchRef } from '../../protocol/records/batch.ts'
import type { VerifyLimits } from '../../src/links/verify-parts.ts'
import { testBatch, testNowMs, type TestBatch } from '../support/logs.ts'
import { ScriptedLog, VerifyWorld, type VerifyResult } from '../support/verify-logs.ts'

type Entry = readonly [offset: number, key: string, value: string | null]

/** One batch from these records, which keeps its place when compaction has taken some of them. */
function batchOf(baseOffset: number, lastOffset: number, entries: readonly Entry[], rest: TestBatch = {}): BatchRef {
  return testBatch({
    baseOffset: BigInt(baseOffset),
    leaderEpoch: 3,
    lastOffsetDelta: lastOffset - baseOffset,
    records: entries.map(([offset, key, value]) => ({ key, value, offsetDelta: offset - baseOffset })),
    ...rest,
  })
}

function marker(offset: number, commit: boolean, producerId = 7n): BatchRef {
  const bytes = buildEndTransactionMarker({
    producerId,
    producerEpoch: 0,
    coordinatorEpoch: 1,
    commit,
    timestampMs: testNowMs,
    leaderEpoch: 3,
    baseOffset: BigInt(offset),
  })
  return { bytes, header: readBatchHeader(bytes) }
}

const transaction: TestBatch = { producerId: 7n, producerEpoch: 0, baseSequence: 0, isTransactional: true }

async function verify(
  theirs: readonly BatchRef[],
  ours: readonly BatchRef[],
  options: { limits?: Partial<VerifyLimits>; sourceStart?: bigint } = {},
): Promise<VerifyResult> {
  const source = [new ScriptedLog(theirs, options.sourceStart ?? 0n)]
  const world = new VerifyWorld({
    source,
    mirror: [new ScriptedLog(ours, 0n)],
    isCompacted: true,
    ...(options.limits && { limits: options.limits }),
  })
  return (await world.verify()).result
}

const whole = [
  batchOf(0, 2, [
    [0, 'a', '1'],
    [1, 'b', '1'],
    [2, 'c', '1'],
  ]),
  batchOf(3, 5, [
    [3, 'a', '2'],
    [4, 'd', '1'],
    [5, 'b', null],
  ]),
  batchOf(6, 7, [
    [6, 'e', '1'],
    [7, 'f', '1'],
  ]),
]
const cleaned = [batchOf(0, 2, [[2, 'c', '1']]), whole[1]!, whole[2]!]

for (const [what, theirs, ours] of [
  ['the source was cleaned', cleaned, whole],
  ['the mirror was cleaned', whole, cleaned],
  ['a batch is gone at one side', whole, [whole[1]!, whole[2]!]],
] as const) {
  test(`equal records are identical-by-record where ${what}`, async () => {
    const isLost = what.startsWith('a batch') // with it the only record of c
    const result = await verify(theirs, ours)
    assert.equal(result.verdict, isLost ? 'different' : 'identical-by-record', result.message ?? '')
    if (isLost) assert.deepEqual([result.firstDifference!.offset, result.firstDifference!.kind], [2n, 'missing'])
    else assert.deepEqual(result.ranges, [{ partitionIndex: 0, fromOffset: 0n, toOffset: 8n }])
  })
}

test('equal batches of a compacted topic are identical, and no record is looked at', async () => {
  assert.equal((await verify(whole, whole)).verdict, 'identical')
})

test('a record that only one side has, and no later one of its key, is a difference', async () => {
  const without = [...whole.slice(0, 2), batchOf(6, 7, [[7, 'f', '1']])]
  const lost = await verify(whole, without)
  assert.deepEqual([lost.firstDifference!.offset, lost.firstDifference!.kind], [6n, 'missing'])
  const extra = await verify(without, whole)
  assert.deepEqual([extra.firstDifference!.offset, extra.firstDifference!.kind], [6n, 'extra'])
})

for (const [what, change] of [
  ['value', { records: [{ key: 'c', value: 'x', offsetDelta: 2 }] }],
  ['timestamp', { records: [{ key: 'c', value: '1', offsetDelta: 2, timestampMs: testNowMs + 1n }] }],
  ['headers', { records: [{ key: 'c', value: '1', offsetDelta: 2, headers: [{ key: 'h', value: 'x' }] }] }],
  ['partitionLeaderEpoch', { leaderEpoch: 4 }],
  ['producerId', { producerId: 9n, producerEpoch: 0, baseSequence: 0 }],
] as const satisfies readonly (readonly [string, TestBatch])[]) {
  test(`a record with another ${what} is a difference, though batches were cleaned`, async () => {
    const ours = [batchOf(0, 2, [[2, 'c', '1']], change), whole[1]!, whole[2]!]
    const { verdict, firstDifference } = await verify(whole, ours)
    assert.equal(verdict, 'different')
    assert.deepEqual([firstDifference!.offset, firstDifference!.kind], [2n, 'record'])
    assert.match(firstDifference!.message, new RegExp(what))
  })
}

test('a later record of the key counts also beyond the compared range', async () => {
  const later = batchOf(8, 8, [[8, 'c', '2']])
  const theirs = [batchOf(0, 2, []), whole[1]!, whole[2]!, later] // cleaned because of the record at 8
  const result = await verify(theirs, whole)
  assert.equal(result.verdict, 'identical-by-record', result.firstDifference?.message)
  assert.equal(result.ranges[0]!.toOffset, 8n)
})

test('a tombstone that is gone at one side takes all of its key with it', async () => {
  const withoutB = batchOf(3, 5, [
    [3, 'a', '2'],
    [4, 'd', '1'],
  ])
  assert.equal((await verify([cleaned[0]!, withoutB, whole[2]!], whole)).verdict, 'identical-by-record')
})

test('a key that lives on where its tombstone was never seen is found', async () => {
  const ours = [
    whole[0]!,
    batchOf(3, 5, [
      [3, 'a', '2'],
      [4, 'd', '1'],
    ]),
    whole[2]!,
  ] // b is still there, its tombstone is not
  const { verdict, firstDifference } = await verify(cleaned, ours)
  assert.equal(verdict, 'different')
  assert.equal(firstDifference!.offset, 1n)
  // Also where the source has forgotten the tombstone as well.
  const gone = [cleaned[0]!, ours[1]!, whole[2]!]
  const zombie = await verify(gone, ours)
  assert.deepEqual([zombie.firstDifference!.offset, zombie.firstDifference!.kind], [1n, 'extra'])
})

test('records of an aborted transaction may be gone, and supersede nothing', async () => {
  const aborted = [batchOf(0, 0, [[0, 'a', '1']]), batchOf(1, 1, [[1, 'x', '1']], transaction), marker(2, false)]
  const without = [aborted[0]!, batchOf(1, 1, [], transaction), aborted[2]!]
  assert.equal((await verify(without, aborted)).verdict, 'identical-by-record')
  const superseded = [batchOf(0, 0, []), batchOf(1, 1, [[1, 'a', '2']], transaction), marker(2, false)]
  const kept = [aborted[0]!, ...superseded.slice(1)]
  const { firstDifference } = await verify(kept, superseded)
  assert.deepEqual([firstDifference!.offset, firstDifference!.kind], [0n, 'missing'])
  const committed = [...superseded.slice(0, 2), marker(2, true)]
  assert.equal((await verify([kept[0]!, ...committed.slice(1)], committed)).verdict, 'identical-by-record')
})

test('more keys than fit are settled in several passes, and too many cannot be told', async () => {
  const entries = Array.from({ length: 40 }, (_, at): Entry => [at, `key ${at}`, '1'])
  const again = entries.map(([at, key]): Entry => [at + 40, key, '2'])
  const theirs = [batchOf(0, 39, entries), batchOf(40, 79, again)]
  const ours = [batchOf(0, 39, []), theirs[1]!]
  assert.equal((await verify(theirs, ours, { limits: { keysPerPass: 12 } })).verdict, 'identical-by-record')
  const result = await verify(theirs, ours, { limits: { keysPerPass: 12, maxPasses: 1 } })
  assert.equal(result.verdict, 'unknown')
  assert.match(result.message!, /orders-0 has too many keys/)
  const lost = [batchOf(0, 39, []), batchOf(40, 79, again.slice(0, 39))]
  const { firstDifference } = await verify(theirs, lost, { limits: { keysPerPass: 12 } })
  assert.deepEqual([firstDifference!.offset, firstDifference!.kind], [79n, 'missing'])
})

test('damage in a compacted mirror is a difference, and in its source cannot be told', async () => {
  const bytes = cleaned[0]!.bytes.slice()
  bytes[bytes.length - 1]! ^= 1
  const damaged = { bytes, header: cleaned[0]!.header }
  const mirror = await verify(whole, [damaged, ...cleaned.slice(1)])
  assert.deepEqual([mirror.firstDifference!.offset, mirror.firstDifference!.kind], [0n, 'bytes'])
  const doubled = await verify(whole, [whole[0]!, cleaned[1]!, cleaned[1]!, cleaned[2]!])
  assert.deepEqual([doubled.firstDifference!.offset, doubled.verdict], [3n, 'different'])
  const source = await verify([damaged, ...cleaned.slice(1)], whole)
  assert.equal(source.verdict, 'unknown')
  assert.match(source.message!, /^the source: the batch at offset 0 can't be read: its checksum does not hold/)
})
