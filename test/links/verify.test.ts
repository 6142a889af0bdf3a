import assert from 'node:assert/strict'
import { test } from 'node:test'
import { readBatchHeader, sealInPlace, type BatchRef } from '../../protocol/records/batch.ts'
import type { VerifyDifference } from '../../src/links/link-service.ts'
import { MemoryBudget } from '../../src/network/memory-budget.ts'
import { testBatch, testTopicId } from '../support/logs.ts'
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

test('a batch of its own that the mirror has in between, or at the end, is found', async () => {
  const gapped = batchesInARow(8).filter((_, index) => index !== 4)
  const within = await differenceOf(batchesInARow(8), gapped)
  assert.deepEqual([within.kind, within.offset], ['extra', 40n])
  const beyond = await differenceOf(batchesInARow(9))
  assert.deepEqual([beyond.kind, beyond.offset], ['extra', 80n])
})

test('every header field is compared', async () => {
  for (const [position, field] of [
    [16, 'magic'],
    [22, 'attributes'],
    [26, 'lastOffsetDelta'],
    [34, 'baseTimestamp'],
    [42, 'maxTimestamp'],
    [50, 'producerId'],
    [52, 'producerEpoch'],
    [56, 'baseSequence'],
    [60, 'recordCount'],
  ] as const) {
    const ours = batchesInARow(8)
    const bytes = ours[3]!.bytes.slice()
    bytes[position]! ^= 1
    ours[3] = field === 'magic' ? { bytes, header: ours[3]!.header } : { bytes, header: readBatchHeader(bytes) }
    const difference = await differenceOf(ours)
    assert.equal(difference.offset, 30n, field)
    if (field !== 'magic') assert.match(difference.message, new RegExp(`^${field} is `))
  }
})

test('the range is from the higher log start to the lower end as of the start', async () => {
  const batches = batchesInARow(20)
  for (const [theirs, ours, from, to] of [
    [batches.slice(3), batches.slice(0, 15), 30n, 150n], // the source deleted, the mirror lags
    [batches, batches.slice(5), 50n, 200n],
    [batches, [], 0n, 0n],
  ] as const) {
    const world = new VerifyWorld({ source: [new ScriptedLog(theirs)], mirror: [new ScriptedLog(ours)] })
    const { result } = await world.verify()
    assert.equal(result.verdict, 'identical', result.message ?? '')
    assert.deepEqual(result.ranges, [{ partitionIndex: 0, fromOffset: from, toOffset: to }])
  }
})

test('logs without an offset in common cannot be compared', async () => {
  const batches = batchesInARow(20)
  const world = new VerifyWorld({
    source: [new ScriptedLog(batches.slice(12))],
    mirror: [new ScriptedLog(batches.slice(0, 10))],
  })
  const { result } = await world.verify()
  assert.equal(result.verdict, 'unknown')
  assert.match(result.message!, /no offset in common: 0 to 100 here, 120 to 200 there/)
})

test('after a failover the mirror counts up to its stop offset, and not without it', async () => {
  const source = [new ScriptedLog(batchesInARow(8))]
  const own = batchesInARow(1, { from: 50n, leaderEpoch: 9 })
  const mirror = [new ScriptedLog([...batchesInARow(5), ...own])]
  const stopped = await new VerifyWorld({ source, mirror, endOffsets: [50n] }).verify()
  assert.equal(stopped.result.verdict, 'identical')
  assert.deepEqual(stopped.result.ranges, [{ partitionIndex: 0, fromOffset: 0n, toOffset: 50n }])
  const { result } = await new VerifyWorld({
    source,
    mirror: [new ScriptedLog(batchesInARow(4))],
    endOffsets: [50n],
  }).verify()
  assert.deepEqual(
    [result.verdict, result.firstDifference?.kind, result.firstDifference?.offset],
    ['different', 'missing', 40n],
  )
})

test('mirroring goes on meanwhile, and what comes is not looked at', async () => {
  const source = new ScriptedLog(batchesInARow(10))
  const mirror = new ScriptedLog(batchesInARow(10))
  const world = new VerifyWorld({ source: [source], mirror: [mirror], limits: smallChunks })
  const more = batchesInARow(100, { from: 100n })
  world.onFetch = () => {
    source.append(...more.splice(0, 3))
    mirror.append(...source.batches.slice(mirror.batches.length, -1))
  }
  const { result } = await world.verify()
  assert.equal(result.verdict, 'identical')
  assert.deepEqual(result.ranges, [{ partitionIndex: 0, fromOffset: 0n, toOffset: 100n }])
})

test('retention of either side meanwhile shortens the range, and is no difference', async () => {
  for (const side of ['source', 'mirror'] as const) {
    const logs = { source: new ScriptedLog(batchesInARow(20)), mirror: new ScriptedLog(batchesInARow(20)) }
    const world = new VerifyWorld({ source: [logs.source], mirror: [logs.mirror], limits: smallChunks })
    world.onFetch = (fetches) => {
      if (fetches === 3) logs[side].startAt(120n)
    }
    const { result } = await world.verify()
    assert.equal(result.verdict, 'identical', result.message ?? result.firstDifference?.message)
    assert.deepEqual(result.ranges[0], { partitionIndex: 0, fromOffset: 120n, toOffset: 200n })
  }
})

test('memory stays within a few chunks, however large the logs are', async () => {
  const memory = new MemoryBudget()
  let mostBytes = 0
  const batches = batchesInARow(400)
  const world = new VerifyWorld({ source: [new ScriptedLog(batches)], memory, limits: smallChunks })
  world.onFetch = world.onRead = () => (mostBytes = Math.max(mostBytes, memory.usedBytesOf('link')))
  const { result } = await world.verify()
  assert.equal(result.verdict, 'identical')
  assert(mostBytes > 0 && mostBytes <= 6 * 1024, `got ${mostBytes} bytes of ${result.bytes}`)
})

test('a source that goes away in the middle for good could not be told, and one that comes back could', async () => {
  for (const isBack of [false, true]) {
    const world = new VerifyWorld({ source: [new ScriptedLog(batchesInARow(20))], limits: smallChunks })
    const failure = { ok: false, code: 'UNREACHABLE', retriable: true, message: 'nobody listens there' } as const
    let callsLeft = 8
    world.onFetch = (fetches) => {
      if (fetches === 4) world.sourceFailure = failure
    }
    world.onCall = () => {
      if (isBack && world.sourceFailure && --callsLeft === 0) world.sourceFailure = undefined
    }
    const { result } = await world.verify()
    assert.equal(result.verdict, isBack ? 'identical' : 'unknown')
    if (!isBack) assert.match(result.message!, /nobody listens there/)
  }
})

test('a mirror that is deleted in the middle could not be told', async () => {
  const world = new VerifyWorld({ source: [new ScriptedLog(batchesInARow(20))], limits: smallChunks })
  world.onRead = (reads) => {
    if (reads === 3) world.isMirrorGone = true
  }
  const { result } = await world.verify()
  assert.equal(result.verdict, 'unknown')
  assert.equal(result.firstDifference, null)
})

test('a source topic that is another one, deleted or cut meanwhile could not be told', async () => {
  for (const [change, expected] of [
    [(world: VerifyWorld) => (world.topicId = testTopicId(9)), /recreated/],
    [(world: VerifyWorld) => (world.topicErrorCode = 3), /may have been deleted/],
    [(world: VerifyWorld) => (world.source[0]!.batches.length = 2), /truncated/],
  ] as const) {
    const world = new VerifyWorld({ source: [new ScriptedLog(batchesInARow(20))], limits: smallChunks })
    world.onFetch = (fetches) => {
      if (fetches === 4) change(world)
    }
    const { result } = await world.verify()
    assert.equal(result.verdict, 'unknown', result.firstDifference?.message)
    assert.match(result.message!, expected)
  }
})

test('passing errors of the source are tried again, and lasting ones could not be told', async () => {
  const world = new VerifyWorld({ source: [new ScriptedLog(batchesInARow(20))], limits: smallChunks })
  world.fetchErrors = [6, undefined, 74, 6]
  assert.equal((await world.verify()).result.verdict, 'identical')
  const denied = new VerifyWorld({ source: [new ScriptedLog(batchesInARow(20))] })
  denied.fetchErrors = [29]
  const { result } = await denied.verify()
  assert.equal(result.verdict, 'unknown')
  assert.match(result.message!, /TOPIC_AUTHORIZATION_FAILED/)
})

test('an abort ends the job with a result', async () => {
  const job = new AbortController()
  const world = new VerifyWorld({ source: [new ScriptedLog(batchesInARow(20))], limits: smallChunks })
  world.onFetch = (fetches) => {
    if (fetches === 3) job.abort()
  }
  const { result } = await world.verify(job.signal)
  assert.equal(result.verdict, 'unknown')
  assert.match(result.message!, /stopped/)
})

test('a batch larger than a chunk is compared whole', async () => {
  const large = [testBatch({ valueBytes: 50_000 }), testBatch({ baseOffset: 1n, valueBytes: 90_000 })]
  const world = new VerifyWorld({ source: [new ScriptedLog(large)], limits: smallChunks })
  assert.equal((await world.verify()).result.verdict, 'identical')
})

test('one partition that cannot be told does not hide a difference in another', async () => {
  const ours = batchesInARow(8)
  ours[7] = changed(ours[7]!, (_, view) => view.setInt32(12, 4))
  const batches = batchesInARow(20)
  const world = new VerifyWorld({
    source: [new ScriptedLog(batches.slice(12)), new ScriptedLog(batchesInARow(8))],
    mirror: [new ScriptedLog(batches.slice(0, 10)), new ScriptedLog(ours)],
  })
  const { result } = await world.verify()
  assert.deepEqual([result.verdict, result.firstDifference?.partitionIndex], ['different', 1])
})
