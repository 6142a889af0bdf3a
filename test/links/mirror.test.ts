import assert from 'node:assert/strict'
import { test } from 'node:test'
import { CreatePartitions } from '../../protocol/apis/create-partitions.ts'
import { DeleteRecords } from '../../protocol/apis/delete-records.ts'
import { Produce } from '../../protocol/apis/produce.ts'
import { compressions, splitBatches } from '../../protocol/records/batch.ts'
import { LinkServiceError } from '../../src/links/link-service.ts'
import { startTestBroker, type Cleanup } from '../support/broker.ts'
import {
  bytesOf,
  describe,
  endOf,
  linkName,
  produce,
  startMirrorPair,
  until,
  untilMirrored,
  type MirrorPair,
  type MirrorPairOptions,
} from '../support/mirror.ts'
import { batchOf } from '../support/records.ts'
import { produceRequest } from '../support/requests.ts'

const fast = { 'reconnect.backoff.ms': '1', 'reconnect.backoff.max.ms': '20', 'replica.fetch.wait.max.ms': '20' }

async function startMirror(t: Cleanup, options: MirrorPairOptions = {}): Promise<MirrorPair> {
  const pair = await startMirrorPair(t, { ...options, linkConfigs: { ...fast, ...options.linkConfigs } })
  for (const sourceTopicName of Object.keys(options.topics ?? { orders: 1 }))
    await pair.mirror.broker.links!.createMirror(linkName, { sourceTopicName })
  return pair
}

function linkOf({ mirror }: MirrorPair) {
  return mirror.broker.links!
}

async function failOver(pair: MirrorPair, topic = 'orders'): Promise<void> {
  const [change] = await linkOf(pair).changeMirrors(linkName, 'failover', { names: [topic] }, { validateOnly: false })
  assert.equal(change!.errorCode, null, change!.errorMessage ?? '')
  await until('the mirror is STOPPED', () => describe(pair.mirror, topic).status === 'STOPPED')
}

for (const compression of compressions) {
  test(`a mirror has the bytes of its source, compressed with ${compression}`, async (t) => {
    const pair = await startMirror(t)
    const values = Array.from({ length: 50 }, (_, index) => `value ${index}`)
    for (let count = 0; count < 5; count++) await produce(pair.source, { records: [batchOf(values, { compression })] })
    await untilMirrored(pair)
    assert.deepEqual(await bytesOf(pair.mirror), await bytesOf(pair.source))
  })
}

test('a mirror has the bytes of its source when the memory of one large answer takes the next ones', async (t) => {
  const pair = await startMirrorPair(t, { linkConfigs: { ...fast, 'replica.fetch.max.bytes': '200000' } })
  for (let count = 0; count < 60; count++)
    await produce(pair.source, { records: [batchOf([`${count}`, 'x'.repeat(count * 1_000)])] })
  await linkOf(pair).createMirror(linkName, { sourceTopicName: 'orders' })
  await untilMirrored(pair)
  assert.deepEqual(await bytesOf(pair.mirror), await bytesOf(pair.source))
})

test('a mirror that is created later has all that its source had', async (t) => {
  const pair = await startMirrorPair(t, { linkConfigs: fast, topics: { orders: 3 } })
  for (let count = 0; count < 30; count++) await produce(pair.source, { partition: count % 3 })
  await linkOf(pair).createMirror(linkName, { sourceTopicName: 'orders' })
  for (const partition of [0, 1, 2]) {
    await untilMirrored(pair, 'orders', partition)
    assert.deepEqual(await bytesOf(pair.mirror, 'orders', partition), await bytesOf(pair.source, 'orders', partition))
  }
})

test('a produce to a mirror is refused with INVALID_REQUEST and its message', async (t) => {
  const pair = await startMirror(t)
  const response = await pair.mirror.send(Produce, 8, produceRequest())
  const partition = response.responses[0]!.partitionResponses[0]!
  assert.equal(partition.errorCode, 42)
  assert.equal(partition.errorMessage, "Cannot append records to read-only mirror topic 'orders'")
})

test('lag is the source end minus the mirror end, and 0 when all is mirrored', async (t) => {
  const pair = await startMirror(t)
  for (let count = 0; count < 3; count++) await produce(pair.source)
  await untilMirrored(pair)
  await until('lag is 0', () => describe(pair.mirror).partitions[0]!.lag === 0n)
  assert.equal(describe(pair.mirror).partitions[0]!.lastSourceFetchOffset, 3n)
})

test('a paused mirror takes nothing, tells its lag, and goes on where it was', async (t) => {
  const pair = await startMirror(t)
  await produce(pair.source)
  await untilMirrored(pair)
  await linkOf(pair).changeMirrors(linkName, 'pause', { names: ['orders'] }, { validateOnly: false })
  assert.equal(describe(pair.mirror).status, 'PAUSED')
  await produce(pair.source)
  await until('the lag is seen', () => describe(pair.mirror).partitions[0]!.lag === 1n)
  assert.equal(endOf(pair.mirror), 1n)
  await linkOf(pair).changeMirrors(linkName, 'resume', { names: ['orders'] }, { validateOnly: false })
  await untilMirrored(pair)
  assert.deepEqual(await bytesOf(pair.mirror), await bytesOf(pair.source))
})

test('partitions that are added at the source are mirrored from their first record', async (t) => {
  const pair = await startMirror(t)
  const topics = [{ name: 'orders', count: 3, assignments: null }]
  await pair.source.send(CreatePartitions, 3, { topics, timeoutMs: 1000, validateOnly: false })
  await produce(pair.source, { partition: 2 })
  await untilMirrored(pair, 'orders', 2)
  assert.equal(describe(pair.mirror).partitions.length, 3)
})

test('a mirror follows the log start of its source, also into the middle of a batch', async (t) => {
  const pair = await startMirror(t)
  await produce(pair.source, { values: ['a', 'b', 'c', 'd'] })
  await untilMirrored(pair)
  const topics = [{ name: 'orders', partitions: [{ partitionIndex: 0, offset: 2n }] }]
  await pair.source.send(DeleteRecords, 2, { topics, timeoutMs: 1000 })
  await produce(pair.source)
  await until('the log start is followed', () => describe(pair.mirror).partitions[0]!.logStartOffset === 2n)
})

test('a mirror of a log that does not begin at 0 begins where its source does', async (t) => {
  const pair = await startMirrorPair(t, { linkConfigs: fast })
  for (let count = 0; count < 4; count++) await produce(pair.source, { values: ['a', 'b', 'c'] })
  const topics = [{ name: 'orders', partitions: [{ partitionIndex: 0, offset: 7n }] }]
  await pair.source.send(DeleteRecords, 2, { topics, timeoutMs: 1000 })
  await linkOf(pair).createMirror(linkName, { sourceTopicName: 'orders' })
  await untilMirrored(pair)
  assert.equal(describe(pair.mirror).partitions[0]!.logStartOffset, 7n)
  const mirrored = splitBatches(await bytesOf(pair.mirror))
  assert.equal(mirrored[0]!.header.baseOffset, 6n)
})

async function makeGap(pair: MirrorPair): Promise<void> {
  await produce(pair.source)
  await untilMirrored(pair)
  await linkOf(pair).changeMirrors(linkName, 'pause', { names: ['orders'] }, { validateOnly: false })
  for (let count = 0; count < 4; count++) await produce(pair.source)
  const topics = [{ name: 'orders', partitions: [{ partitionIndex: 0, offset: 3n }] }]
  await pair.source.send(DeleteRecords, 2, { topics, timeoutMs: 1000 })
  await linkOf(pair).changeMirrors(linkName, 'resume', { names: ['orders'] }, { validateOnly: false })
}

test('a gap fails the mirror with its exact range, and nothing is appended', async (t) => {
  const pair = await startMirror(t)
  await makeGap(pair)
  await until('the mirror is FAILED', () => describe(pair.mirror).status === 'FAILED')
  assert.match(describe(pair.mirror).reason!, /offsets 1 to 2 of partition 0/)
  assert.equal(endOf(pair.mirror), 1n)
})

test('with the gap policy skip the mirror goes on behind the gap', async (t) => {
  const pair = await startMirror(t, { linkConfigs: { 'titorelli.gap.policy': 'skip' } })
  await makeGap(pair)
  await untilMirrored(pair)
  assert.equal(describe(pair.mirror).partitions[0]!.logStartOffset, 3n)
  assert.ok(pair.mirror.log.some(({ message }) => message.startsWith('gap skipped')))
})

test('a source topic that is created anew fails the mirror and never shortens it', async (t) => {
  const pair = await startMirror(t)
  for (let count = 0; count < 3; count++) await produce(pair.source)
  await untilMirrored(pair)
  const before = await bytesOf(pair.mirror)
  const { topics } = pair.source.broker.parts
  await topics.delete(topics.find('orders')!.image.topicId)
  await topics.create({ name: 'orders', partitionCount: 1 })
  for (let count = 0; count < 5; count++) await produce(pair.source)
  await until('the mirror is FAILED', () => describe(pair.mirror).status === 'FAILED')
  assert.equal(describe(pair.mirror).error, 'SOURCE_TOPIC_ID_CHANGED')
  assert.deepEqual(await bytesOf(pair.mirror), before)
})

test('a deleted source topic fails the mirror after the retry timeout of the link', async (t) => {
  const pair = await startMirror(t, { linkConfigs: { 'cluster.link.retry.timeout.ms': '100' } })
  await produce(pair.source)
  await untilMirrored(pair)
  const { topics } = pair.source.broker.parts
  await topics.delete(topics.find('orders')!.image.topicId)
  await until('the mirror is FAILED', () => describe(pair.mirror).status === 'FAILED', 15_000)
  assert.equal(describe(pair.mirror).error, 'SOURCE_TOPIC_MAY_BE_DELETED')
  assert.equal(endOf(pair.mirror), 1n)
})

test('a failover makes the mirror writable, behind what was mirrored, with a higher leader epoch', async (t) => {
  const pair = await startMirror(t)
  for (let count = 0; count < 3; count++) await produce(pair.source)
  await untilMirrored(pair)
  const mirrored = await bytesOf(pair.mirror)
  const epochBefore = describe(pair.mirror).partitions[0]!.leaderEpoch
  await pair.source.broker.stop()
  await failOver(pair)
  assert.equal(await produce(pair.mirror), 3n)
  const after = await bytesOf(pair.mirror)
  assert.deepEqual(after.subarray(0, mirrored.length), mirrored)
  assert.ok(describe(pair.mirror).partitions[0]!.leaderEpoch > epochBefore)
  assert.equal(splitBatches(after).at(-1)!.header.partitionLeaderEpoch, epochBefore + 1)
})

test('a failover aborts the transactions that were open at the cut', async (t) => {
  const pair = await startMirror(t)
  const { logs, topics } = pair.source.broker.parts
  const { log } = topics.find('orders')!.partitions[0]!
  const bytes = batchOf(['a'], { producerId: 77n, producerEpoch: 0, baseSequence: 0, isTransactional: true })
  const mode = { kind: 'assign', leaderEpoch: logs.view(log).leaderEpoch } as const
  const batches = splitBatches(bytes)
  const [appended] = await logs.append([{ log, batches, mode, origin: 'coordinator' }], { nowMs: BigInt(Date.now()) })
  assert.ok(appended!.ok, JSON.stringify(appended?.ok === false && appended.message))
  await untilMirrored(pair)
  await failOver(pair)
  const mirrorLog = pair.mirror.broker.parts.topics.find('orders')!.partitions[0]!.log
  const view = pair.mirror.broker.parts.logs.view(mirrorLog)
  assert.equal(view.lastStableOffset, view.highWatermark)
  assert.equal(view.highWatermark, 2n)
})

test('a second failover is refused: the mirror has stopped already', async (t) => {
  const pair = await startMirror(t)
  await failOver(pair)
  const [change] = await linkOf(pair).changeMirrors(
    linkName,
    'failover',
    { names: ['orders'] },
    { validateOnly: false },
  )
  assert.equal(change!.errorCode, 400)
  assert.equal(change!.errorMessage, `Topic 'orders' has already stopped its mirror from '${linkName}'`)
})

test('a source that goes away makes the mirror SOURCE_UNAVAILABLE, and ACTIVE again when it is back', async (t) => {
  const pair = await startMirror(t)
  await produce(pair.source)
  await untilMirrored(pair)
  const { disk } = pair.source.environment
  await pair.source.broker.stop()
  await until('it is noticed', () => describe(pair.mirror).status === 'SOURCE_UNAVAILABLE')
  assert.ok(describe(pair.mirror).partitions[0]!.nextRetryMs !== null)
  const { network } = pair
  const source = await startTestBroker(t, { network, disk, host: 'source.test', port: 9092, seed: 12 })
  await produce(source)
  await untilMirrored({ ...pair, source })
  await until('it is back', () => describe(pair.mirror).status === 'ACTIVE')
  assert.deepEqual(await bytesOf(pair.mirror), await bytesOf(source))
})

test('another cluster at the address of the source fails the link before a byte is fetched', async (t) => {
  const pair = await startMirror(t)
  await produce(pair.source)
  await untilMirrored(pair)
  await pair.source.broker.stop()
  const { network } = pair
  const other = await startTestBroker(t, { network, host: 'source.test', port: 9092, seed: 99, topics: { orders: 1 } })
  for (let count = 0; count < 5; count++) await produce(other)
  await until('the link is FAILED', () => linkOf(pair).describeLink(linkName).state === 'FAILED')
  assert.equal(describe(pair.mirror).status, 'LINK_FAILED')
  assert.equal(endOf(pair.mirror), 1n)
})

test('a mirror goes on after a restart of its broker', async (t) => {
  const pair = await startMirror(t)
  await produce(pair.source)
  await untilMirrored(pair)
  const { disk } = pair.mirror.environment
  await pair.mirror.broker.stop()
  await produce(pair.source)
  const mirror = await startTestBroker(t, { network: pair.network, disk, host: 'mirror.test', port: 9093 })
  await untilMirrored({ ...pair, mirror })
  assert.deepEqual(await bytesOf(mirror), await bytesOf(pair.source))
})

for (const step of ['decided', 'fenced', 'promoted', 'stopped'] as const) {
  test(`a crash after the step '${step}' of a failover ends as if there had been none`, async (t) => {
    let crash: (() => void) | undefined
    const crashed = new Promise<void>((resolve) => (crash = resolve))
    const onStopStep = (reached: string): void => {
      if (reached !== step) return
      crash!()
      throw new Error('crash')
    }
    const pair = await startMirror(t, { links: { onStopStep } })
    for (let count = 0; count < 3; count++) await produce(pair.source)
    await untilMirrored(pair)
    const epoch = describe(pair.mirror).partitions[0]!.leaderEpoch
    const { disk } = pair.mirror.environment
    await linkOf(pair)
      .changeMirrors(linkName, 'failover', { names: ['orders'] }, { validateOnly: false })
      .catch(() => undefined)
    await crashed
    await pair.mirror.broker.stop()
    const mirror = await startTestBroker(t, { network: pair.network, disk, host: 'mirror.test', port: 9093 })
    await until('the mirror is STOPPED', () => describe(mirror).status === 'STOPPED')
    assert.equal(describe(mirror).partitions[0]!.leaderEpoch, epoch + 1)
    assert.equal(await produce(mirror), 3n)
  })
}

test('a link with live mirrors is only deleted by force, which stops them', async (t) => {
  const pair = await startMirror(t)
  await produce(pair.source)
  await untilMirrored(pair)
  const links = linkOf(pair)
  await assert.rejects(
    links.deleteLink(linkName, { force: false, validateOnly: false }),
    (error) => error instanceof LinkServiceError && error.code === 'LINK_HAS_MIRRORS',
  )
  await links.deleteLink(linkName, { force: true, validateOnly: false })
  assert.deepEqual(links.listLinks(), [])
  assert.equal(await produce(pair.mirror), 1n)
})

test('a mirror of a link that is deleted while its source is asked is not created', async (t) => {
  const pair = await startMirrorPair(t, { linkConfigs: fast })
  const links = linkOf(pair)
  const creation = links.createMirror(linkName, { sourceTopicName: 'orders' })
  const refused = assert.rejects(
    creation,
    (error) => error instanceof LinkServiceError && ['LINK_NOT_FOUND', 'SOURCE_UNREACHABLE'].includes(error.code),
  )
  await links.deleteLink(linkName, { force: false, validateOnly: false })
  await refused
  assert.equal(pair.mirror.broker.parts.topics.find('orders'), undefined)
})

for (const [what, request, code] of [
  ['of a topic the source does not have', { sourceTopicName: 'nothing' }, 'SOURCE_TOPIC_NOT_FOUND'],
  ['under another name than its source', { sourceTopicName: 'orders', mirrorTopicName: 'x' }, 'RENAMING_NOT_SUPPORTED'],
  [
    'with a config that follows the source',
    { sourceTopicName: 'orders', configs: new Map([['retention.ms', '5']]) },
    'INVALID_CONFIG',
  ],
] as const) {
  test(`a mirror ${what} is refused`, async (t) => {
    const pair = await startMirrorPair(t, { linkConfigs: fast })
    await assert.rejects(
      linkOf(pair).createMirror(linkName, request),
      (error) => error instanceof LinkServiceError && error.code === code,
    )
  })
}

test('a mirror over a topic that is there is refused', async (t) => {
  const pair = await startMirrorPair(t, { linkConfigs: fast, mirror: { topics: { orders: 1 } } })
  await assert.rejects(
    linkOf(pair).createMirror(linkName, { sourceTopicName: 'orders' }),
    (error) => error instanceof LinkServiceError && error.code === 'TOPIC_EXISTS',
  )
})

test('configs that always follow the source are taken over, and change with it', async (t) => {
  const pair = await startMirrorPair(t, { linkConfigs: { ...fast, 'topic.config.sync.ms': '1000' } })
  const source = pair.source.broker.parts.topics
  const { topicId } = source.find('orders')!.image
  await source.setConfigs(topicId, new Map([['retention.ms', '123456']]))
  await linkOf(pair).createMirror(linkName, { sourceTopicName: 'orders' })
  const retention = () => pair.mirror.broker.parts.topics.find('orders')!.image.configs.get('retention.ms')
  assert.equal(retention(), '123456')
  await source.setConfigs(topicId, new Map([['retention.ms', '654321']]))
  await until('the change is followed', () => retention() === '654321', 10_000)
})

test('a chain of mirrors has the bytes of its first source', async (t) => {
  const pair = await startMirror(t)
  const last = await startTestBroker(t, { network: pair.network, host: 'last.test', port: 9094, seed: 33 })
  const configs = new Map(Object.entries({ 'bootstrap.servers': 'mirror.test:9093', ...fast }))
  await last.broker.links!.createLink({ name: linkName, configs })
  await last.broker.links!.createMirror(linkName, { sourceTopicName: 'orders' })
  for (let count = 0; count < 3; count++) await produce(pair.source)
  await untilMirrored({ ...pair, mirror: last })
  assert.deepEqual(await bytesOf(last), await bytesOf(pair.source))
})
