/** Failing over: what is decided stays decided, whatever happens meanwhile, and clients go on where they were. */
import assert from 'node:assert/strict'
import { test, type TestContext } from 'node:test'
import { Fetch } from '../../protocol/apis/fetch.ts'
import { Produce } from '../../protocol/apis/produce.ts'
import type { LogStore } from '../../storage/log-store.ts'
import { LinkManager } from '../../src/links/link-manager.ts'
import type { LinkParts } from '../../src/links/link-parts.ts'
import { startTestBroker, type Cleanup, type TestBroker } from '../support/broker.ts'
import { CrashDisk, seededNumbers } from '../support/crash-disk.ts'
import { describe, endOf, linkName, produce, startMirrorPair, until, untilMirrored } from '../support/mirror.ts'
import { Gate, gatedLogs, withMethods } from '../support/gate.ts'
import { seedsOf } from '../support/power-cuts.ts'
import { batchOf } from '../support/records.ts'
import { produceRequest } from '../support/requests.ts'
import { appendTo, fastLink, startScriptedMirror, untilEnd } from '../support/scripted-mirror.ts'

async function failOver({ broker }: TestBroker): Promise<void> {
  const [change] = await broker.links!.changeMirrors(
    linkName,
    'failover',
    { names: ['orders'] },
    { validateOnly: false },
  )
  assert.equal(change!.errorCode, null, change!.errorMessage ?? '')
}

function untilStopped(mirror: TestBroker): Promise<void> {
  return until('the mirror is STOPPED', () => describe(mirror).status === 'STOPPED', 1_000)
}

test('a mirror that is failing over is not started again by another change of the cluster', async (t) => {
  const gate = new Gate()
  const openLinks = (parts: LinkParts) => LinkManager.open({ ...parts, logs: gatedLogs(parts.logs, gate) })
  const pair = await startScriptedMirror(t, { mirror: { openLinks } })
  const { source, mirror } = pair
  appendTo(source, { from: 0n })
  await untilEnd(pair, 1n)
  gate.close()
  appendTo(source, { from: 1n })
  await until('an append waits for the disk', () => gate.waiting === 1)
  const failedOver = failOver(mirror)
  await new Promise((resolve) => setTimeout(resolve, 50)) // fetches that were under way are over
  const fetches = source.seenOf(Fetch).length
  await mirror.broker.parts.topics.create({ name: 'another', partitionCount: 1 })
  appendTo(source, { from: 2n })
  await new Promise((resolve) => setTimeout(resolve, 50))
  assert.equal(source.seenOf(Fetch).length, fetches)
  gate.open()
  await failedOver
  await untilStopped(mirror)
  assert.equal(endOf(mirror), 2n)
  assert.equal(describe(mirror).partitions[0]!.lastSourceFetchOffset, 2n)
})

test('a partition that is being added while a mirror fails over becomes writable with it', async (t) => {
  const gate = new Gate()
  const openLinks = (parts: LinkParts) => {
    const addPartitions: typeof parts.topics.addPartitions = async (...args) => {
      await gate.pass()
      return parts.topics.addPartitions(...args)
    }
    return LinkManager.open({ ...parts, topics: withMethods(parts.topics, { addPartitions }) })
  }
  const pair = await startScriptedMirror(t, { mirror: { openLinks }, linkConfigs: { 'metadata.max.age.ms': '1000' } })
  const { source, mirror } = pair
  appendTo(source, { from: 0n })
  await untilEnd(pair, 1n)
  gate.close()
  const { partitions } = source.topics.get('orders')!
  partitions.push({ ...partitions[0]!, batches: [] })
  source.disconnect()
  await until('the partition is being added', () => gate.waiting === 1)
  const failedOver = failOver(mirror)
  gate.open()
  await failedOver
  await untilStopped(mirror)
  assert.equal(describe(mirror).partitions.length, 2)
  assert.equal(await produce(mirror, { partition: 1 }), 0n)
})

for (const step of ['decided', 'fenced', 'promoted', 'stopped'] as const) {
  test(`power that is lost after the step '${step}' of a failover takes nothing that was decided`, async (t) => {
    const disk = new CrashDisk(() => 0)
    const { promise: crashed, resolve: crash } = Promise.withResolvers<void>()
    const onStopStep = (reached: string): void => {
      if (reached !== step) return
      disk.fault = () => 'IO'
      crash()
      throw new Error('power is lost')
    }
    const stopped = new Set<unknown>()
    const cleanup = { after: (run: () => unknown) => t.after(() => (stopped.has(disk) ? undefined : run())) }
    const pair = await startScriptedMirror(cleanup as typeof t, { mirror: { disk }, links: { onStopStep } })
    for (let offset = 0n; offset < 5n; offset++) appendTo(pair.source, { from: offset })
    await untilEnd(pair, 5n)
    await failOver(pair.mirror).catch(() => undefined)
    await crashed
    stopped.add(disk)
    await pair.mirror.broker.stop().catch(() => undefined)
    const survivor = disk.crash()
    const { network } = pair
    const mirror = await startTestBroker(t, { network, disk: survivor, host: 'mirror.test', port: 9093, seed: 23 })
    await untilStopped(mirror)
    assert.equal(endOf(mirror), 5n)
    assert.equal(describe(mirror).partitions[0]!.lastSourceFetchOffset, 5n)
    assert.equal(await produce(mirror), 5n)
  })
}

/**
 * Loses power at a disk call of a failover, and looks what the next broker makes of it. False when there was no such
 * call.
 */
async function losePowerAt(t: TestContext, { call, seed }: { call: number; seed: number }): Promise<boolean> {
  const disk = new CrashDisk(seededNumbers(seed * 1_000 + call))
  let isLost = false
  const cleanup: Cleanup = { after: (run) => t.after(() => (isLost ? undefined : run())) }
  const pair = await startScriptedMirror(cleanup, { mirror: { disk } })
  for (let offset = 0n; offset < 5n; offset++) appendTo(pair.source, { from: offset })
  await untilEnd(pair, 5n)
  const failing = disk.callCount + call
  disk.failAt(call)
  const isAnswered = await failOver(pair.mirror).then(
    () => true,
    () => false,
  )
  const isDone = () => disk.callCount >= failing || describe(pair.mirror).status === 'STOPPED'
  await until('the failover has ended or the power is lost', isDone, 1_000)
  const wasCut = disk.callCount >= failing
  isLost = true
  await pair.mirror.broker.stop().catch(() => undefined)
  const { network } = pair
  const mirror = await startTestBroker(t, { network, disk: disk.crash(), host: 'mirror.test', port: 9093 })
  if (!isAnswered && describe(mirror).status === 'ACTIVE') {
    await untilEnd({ ...pair, mirror }, 5n)
    await failOver(mirror)
  }
  await untilStopped(mirror)
  assert.equal(endOf(mirror), 5n)
  assert.equal(describe(mirror).partitions[0]!.lastSourceFetchOffset, 5n)
  assert.equal(await produce(mirror), 5n)
  await mirror.broker.stop()
  await pair.source.kill()
  return wasCut
}

for (const seed of seedsOf(1)) {
  test(`power that is lost at any disk call of a failover takes nothing that was decided (seed ${seed})`, async (t) => {
    const step = process.env['POWER_CUT_SEEDS'] === undefined ? 5 : 1 // all of them by hand
    let cuts = 0
    for (let call = 1; await losePowerAt(t, { call, seed }); call += step) {
      cuts += 1
      assert(cuts < 500)
    }
    assert(cuts > 3, `${cuts} cuts`)
    t.diagnostic(`${cuts} cuts`)
  })
}

test('the last batch of a producer is known after a failover: its retry is a duplicate, its next batch goes on', async (t) => {
  const pair = await startMirrorPair(t, { linkConfigs: fastLink })
  await pair.mirror.broker.links!.createMirror(linkName, { sourceTopicName: 'orders' })
  const batch = (baseSequence: number) => [
    batchOf(['a', 'b'], { producerId: 77n, producerEpoch: 3, baseSequence, baseTimestampMs: 1_700_000_000_000n }),
  ]
  await produce(pair.source, { records: batch(0) })
  assert.equal(await produce(pair.source, { records: batch(2) }), 2n)
  await untilMirrored(pair)
  await pair.source.broker.stop()
  await failOver(pair.mirror)
  await untilStopped(pair.mirror)
  assert.equal(await produce(pair.mirror, { records: batch(2) }), 2n)
  assert.equal(endOf(pair.mirror), 4n)
  assert.equal(await produce(pair.mirror, { records: batch(4) }), 4n)
  const gap = await pair.mirror.send(Produce, 9, produceRequest({ records: batch(8) }))
  assert.equal(gap.responses[0]!.partitionResponses[0]!.errorCode, 45)
})

test('many partitions with open transactions are writable within a second of the answer, with the source dead', async (t) => {
  const partitionCount = 100
  const pair = await startScriptedMirror(t, { partitionCount })
  const { source, mirror } = pair
  const values = ['a', 'b']
  const open = { producerId: 9n, producerEpoch: 0, baseSequence: 0, isTransactional: true, leaderEpoch: 0 }
  for (let partition = 0; partition < partitionCount; partition++)
    source.append('orders', partition, batchOf(values, { ...open, baseOffset: 0n }))
  for (let partition = 0; partition < partitionCount; partition++) await untilEnd(pair, 2n, partition)
  await source.kill()
  await failOver(mirror)
  await untilStopped(mirror)
  const { logs, topics } = mirror.broker.parts
  for (const { partitionIndex, log } of topics.find('orders')!.partitions) {
    const { lastStableOffset, highWatermark, leaderEpoch } = logs.view(log)
    assert.deepEqual([lastStableOffset, highWatermark, leaderEpoch], [3n, 3n, 1])
    assert.equal(await produce(mirror, { partition: partitionIndex }), 3n)
  }
})

test('until it is STOPPED a mirror that fails over refuses records', async (t) => {
  const answers: Promise<number>[] = []
  const onStopStep = (step: string): void => {
    if (step === 'stopped') return
    const answer = mirror.send(Produce, 9, produceRequest())
    answers.push(answer.then(({ responses }) => responses[0]!.partitionResponses[0]!.errorCode))
    assert.equal(describe(mirror).status, 'PENDING_STOPPED')
  }
  // The steps follow each other at once: the disk holds them up until the answers are there.
  const gate = new Gate()
  const openLinks = (parts: LinkParts) => {
    const promote: LogStore['promote'] = async (...args) => {
      await gate.pass()
      return parts.logs.promote(...args)
    }
    return LinkManager.open({ ...parts, logs: withMethods(parts.logs, { promote }) }, { onStopStep })
  }
  const pair = await startScriptedMirror(t, { mirror: { openLinks } })
  const { mirror } = pair
  gate.close()
  await failOver(mirror)
  assert.deepEqual(await Promise.all(answers), [42, 42])
  gate.open()
  await untilStopped(mirror)
  assert.equal(await produce(mirror), 0n)
})

test('a mirror whose records have all expired fails over, and its leader epoch does not go back', async (t) => {
  const pair = await startScriptedMirror(t, {
    prepare: ({ topics }) => (topics.get('orders')!.partitions[0]!.leaderEpoch = 3),
  })
  const { source, mirror } = pair
  appendTo(source, { from: 0n, count: 5, leaderEpoch: 3 })
  await untilEnd(pair, 5n)
  Object.assign(source.topics.get('orders')!.partitions[0]!, { logStartOffset: 5n, batches: [] })
  source.disconnect()
  await until('the log start is followed', () => describe(mirror).partitions[0]!.logStartOffset === 5n)
  await failOver(mirror)
  await untilStopped(mirror)
  assert.equal(describe(mirror).partitions[0]!.leaderEpoch, 4)
  assert.equal(await produce(mirror), 5n)
})
