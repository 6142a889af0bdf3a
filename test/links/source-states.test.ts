/** What describe tells of a source that is not as it should be, and that one bad partition holds up no other. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Fetch } from '../../protocol/apis/fetch.ts'
import { startTestBroker } from '../support/broker.ts'
import { CrashDisk } from '../support/crash-disk.ts'
import { bytesOf, describe, linkName, until } from '../support/mirror.ts'
import { batchOf } from '../support/records.ts'
import { appendTo, startScriptedMirror, untilEnd, type ScriptedMirror } from '../support/scripted-mirror.ts'

function partitionOf({ mirror }: ScriptedMirror, partitionIndex = 0) {
  return describe(mirror).partitions[partitionIndex]!
}

for (const release of ['2.1', '4.0'] as const) {
  test(`a source that ends before its mirror fails it, and the mirror keeps what it has (Kafka ${release})`, async (t) => {
    const pair = await startScriptedMirror(t, { source: { release } })
    const { source, mirror } = pair
    for (let offset = 0n; offset < 5n; offset++) appendTo(source, { from: offset })
    await untilEnd(pair, 5n)
    source.topics.get('orders')!.partitions[0]!.batches.length = 2
    source.disconnect()
    await until('the mirror is FAILED', () => describe(mirror).status === 'FAILED')
    assert.equal(describe(mirror).error, 'UNEXPECTED_TRUNCATION')
    assert.match(describe(mirror).reason!, /partition 0: .*the mirror has records up to 5/)
    assert.equal(partitionOf(pair).logEndOffset, 5n)
    assert.equal(partitionOf(pair).state, 'IN_ERROR')
  })
}

test('an unclean election is seen by its epochs before a byte is taken, though the source has grown beyond', async (t) => {
  const pair = await startScriptedMirror(t)
  const { source, mirror } = pair
  for (let offset = 0n; offset < 5n; offset++) appendTo(source, { from: offset })
  await untilEnd(pair, 5n)
  await source.kill()
  const partition = source.topics.get('orders')!.partitions[0]!
  Object.assign(partition, { leaderEpoch: 1, batches: partition.batches.slice(0, 3) })
  appendTo(source, { from: 3n, count: 10, leaderEpoch: 1 })
  await source.revive()
  await until('the mirror is FAILED', () => describe(mirror).status === 'FAILED')
  assert.match(describe(mirror).reason!, /partition 0: the source has another history from offset 3 on/)
  assert.equal(partitionOf(pair).logEndOffset, 5n)
})

for (const [what, leader, reason] of [
  ['no leader', -1, /the source has no leader for this partition/],
  ['a leader that nobody knows', 7, /the source has no broker 7/],
] as const) {
  test(`a partition with ${what} says so, and mirrors again when that is over`, async (t) => {
    const pair = await startScriptedMirror(t, {
      partitionCount: 2,
      linkConfigs: { 'metadata.max.age.ms': '1000' },
      prepare: ({ topics }) => (topics.get('orders')!.partitions[1]!.leader = leader),
    })
    const { source } = pair
    await until('the reason is told', () => reason.test(partitionOf(pair, 1).reason ?? ''))
    assert.equal(partitionOf(pair, 1).state, 'IN_ERROR')
    assert.ok(partitionOf(pair, 1).sinceMs !== null && partitionOf(pair, 1).nextRetryMs !== null)
    appendTo(source, { from: 0n })
    await untilEnd(pair, 1n)
    assert.equal(partitionOf(pair, 0).state, 'ACTIVE')
    source.topics.get('orders')!.partitions[1]!.leader = 1
    appendTo(source, { partition: 1, from: 0n })
    source.disconnect() // so that the link asks for leaders again
    await untilEnd(pair, 1n, 1)
    assert.equal(partitionOf(pair, 1).reason, null)
  })
}

test('a broken batch stops its partition in front of it, says why, asks seldom, and heals', async (t) => {
  const pair = await startScriptedMirror(t, { partitionCount: 2, linkConfigs: { 'reconnect.backoff.max.ms': '100' } })
  const { source } = pair
  const good = batchOf(['good'], { baseOffset: 2n, leaderEpoch: 0 })
  const broken = good.slice()
  broken[broken.length - 1]! ^= 1
  source.append(
    'orders',
    0,
    batchOf(['a'], { leaderEpoch: 0 }),
    batchOf(['b'], { baseOffset: 1n, leaderEpoch: 0 }),
    broken,
  )
  await untilEnd(pair, 2n)
  await until('the reason is told', () => partitionOf(pair).state === 'IN_ERROR')
  assert.match(partitionOf(pair).reason!, /the batch was not appended: .*CRC/i)
  const since = partitionOf(pair).sinceMs
  for (let offset = 0n; offset < 5n; offset++) appendTo(source, { partition: 1, from: offset })
  await untilEnd(pair, 5n, 1)
  const before = source.seenOf(Fetch).length
  await new Promise((resolve) => setTimeout(resolve, 400))
  // Retries of the broken partition, and long polls of 20 ms: without backing off it would be hundreds.
  assert(source.seenOf(Fetch).length - before < 60, `${source.seenOf(Fetch).length - before} fetches`)
  assert.deepEqual([partitionOf(pair).sinceMs, partitionOf(pair).state], [since, 'IN_ERROR'])
  source.topics.get('orders')!.partitions[0]!.batches[2] = good
  await untilEnd(pair, 3n)
  await until('it is over', () => partitionOf(pair).reason === null)
})

test('records of an older format than v2 fail the mirror, behind what could be mirrored', async (t) => {
  const pair = await startScriptedMirror(t)
  const { source, mirror } = pair
  appendTo(source, { from: 0n })
  await untilEnd(pair, 1n)
  const old = batchOf(['old'], { baseOffset: 1n, leaderEpoch: 0 })
  old[16] = 1
  source.lies['Fetch'] = async (_request: never, answer) => {
    const honest = (await answer()) as { responses: { partitions: { records: Uint8Array[] }[] }[] }
    for (const partition of honest.responses.flatMap(({ partitions }) => partitions))
      partition.records = [Buffer.concat([...partition.records, old])]
    return honest
  }
  appendTo(source, { from: 1n })
  await untilEnd(pair, 2n)
  source.disconnect() // a new session is told everything again
  await until('the mirror is FAILED', () => describe(mirror).status === 'FAILED')
  assert.equal(describe(mirror).error, 'UNSUPPORTED_MESSAGE_FORMAT')
  assert.equal(partitionOf(pair).logEndOffset, 2n)
})

test('lag is never negative and exact a second after the last record, also of a paused mirror', async (t) => {
  const pair = await startScriptedMirror(t, { partitionCount: 3 })
  const { source, mirror } = pair
  const lags = (): bigint[] => describe(mirror).partitions.map(({ lag }) => lag)
  for (let offset = 0n; offset < 60n; offset++) {
    appendTo(source, { partition: Number(offset % 3n), from: offset / 3n })
    if (offset % 4n === 0n) await new Promise((resolve) => setTimeout(resolve, 1))
    for (const { lag, lastSourceFetchOffset } of describe(mirror).partitions)
      assert(lag >= 0n || lastSourceFetchOffset === -1n, `lag ${lag}`)
  }
  await until('the lag is 0', () => lags().every((lag) => lag === 0n), 1_000)
  await mirror.broker.links!.changeMirrors(linkName, 'pause', { names: ['orders'] }, { validateOnly: false })
  for (let offset = 20n; offset < 25n; offset++) appendTo(source, { partition: 1, from: offset })
  await until('the lag of the paused mirror is seen', () => String(lags()) === '0,5,0', 1_000)
  await source.kill()
  await until('the source is missed', () => mirror.broker.links!.describeLink(linkName).state === 'UNAVAILABLE')
  assert.deepEqual(lags(), [0n, 5n, 0n])
})

test('another cluster at the address fails the link: every partition says why and since when, and goes on after it', async (t) => {
  const pair = await startScriptedMirror(t, { linkConfigs: { 'metadata.max.age.ms': '1000' } })
  const { source, mirror } = pair
  appendTo(source, { from: 0n })
  await untilEnd(pair, 1n)
  const createdMs = describe(mirror).stateSinceMs
  source.clusterId = 'other'
  source.disconnect()
  await until('the mirror is LINK_FAILED', () => describe(mirror).status === 'LINK_FAILED')
  const reason = `${source.bootstrapServers} belongs to cluster other, expected cluster scripted-cluster`
  assert.equal(describe(mirror).reason, reason)
  assert.ok(describe(mirror).stateSinceMs > createdMs)
  const { state, reason: told, sinceMs, nextRetryMs } = partitionOf(pair)
  assert.deepEqual([state, told, sinceMs], ['IN_ERROR', reason, describe(mirror).stateSinceMs])
  assert.ok(nextRetryMs! > sinceMs!)
  source.clusterId = 'scripted-cluster'
  appendTo(source, { from: 1n })
  await untilEnd(pair, 2n)
  await until('the link is ACTIVE', () => mirror.broker.links!.describeLink(linkName).state === 'ACTIVE')
})

test('a mirror that lost its records with the power, but not its log start within a batch, goes on there', async (t) => {
  const disk = new CrashDisk(() => 0.6) // the first batch stays, the second is torn
  let isKilled = false
  const cleanup = { after: (stop: () => unknown) => t.after(() => (isKilled ? undefined : stop())) }
  const pair = await startScriptedMirror(cleanup as typeof t, { mirror: { disk } })
  const { source, network } = pair
  appendTo(source, { from: 0n, count: 4 })
  appendTo(source, { from: 4n, count: 4 })
  await untilEnd(pair, 8n)
  const partition = source.topics.get('orders')!.partitions[0]!
  Object.assign(partition, { logStartOffset: 6n, batches: partition.batches.slice(1) })
  source.disconnect()
  await until('the log start is followed', () => partitionOf(pair).logStartOffset === 6n)
  disk.fault = () => 'IO'
  isKilled = true
  await pair.mirror.broker.stop().catch(() => undefined)
  const survivor = disk.crash()
  // The batch that reaches into the log begins a file of its own; power is lost again in the middle of its write.
  const { promise: torn, resolve: tear } = Promise.withResolvers<void>()
  survivor.fault = (operation, path) => {
    if (operation !== 'write' || !path.endsWith('04.log')) return undefined
    survivor.fault = () => 'IO'
    tear()
    return 'IO'
  }
  const first = await startTestBroker(cleanup as typeof t, { network, disk: survivor, port: 9093, seed: 23 })
  await torn
  await first.broker.stop().catch(() => undefined)
  const mirror = await startTestBroker(t, { network, disk: survivor.crash(), port: 9093, seed: 24 })
  await untilEnd({ ...pair, mirror }, 8n)
  assert.equal(describe(mirror).partitions[0]!.logStartOffset, 6n)
  assert.deepEqual(await bytesOf(mirror), Buffer.from(partition.batches[0]!))
})
