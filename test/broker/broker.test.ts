import assert from 'node:assert/strict'
import { test } from 'node:test'
import { CreateTopics } from '../../protocol/apis/create-topics.ts'
import { DescribeConfigs } from '../../protocol/apis/describe-configs.ts'
import { Fetch } from '../../protocol/apis/fetch.ts'
import { InitProducerId } from '../../protocol/apis/init-producer-id.ts'
import { Metadata } from '../../protocol/apis/metadata.ts'
import { Produce } from '../../protocol/apis/produce.ts'
import { errorCodes, errorNameOf } from '../../protocol/errors.ts'
import { DiskError, type Disk, type DiskFile } from '../../storage/disk.ts'
import { MemoryDisk } from '../../storage/memory-disk.ts'
import { textOf, type ConfigRow } from '../../src/config/config-table.ts'
import { topicConfigs } from '../../src/config/topic-configs.ts'
import { nodeClock } from '../../src/environment/node-clock.ts'
import { startTestBroker, type TestBroker } from '../support/broker.ts'
import { valuesOf } from '../support/records.ts'
import { createTopicsRequest, fetchRequest, metadataRequest, produceRequest } from '../support/requests.ts'

const highestEpoch = 2_147_483_647
/** Of the leader epoch in a batch. */
const epochAt = 12

function memoryDisk(): MemoryDisk {
  return new MemoryDisk((run) => nodeClock.defer(run))
}

async function fetchValues(broker: TestBroker): Promise<string[]> {
  const { responses } = await broker.send(Fetch, 11, fetchRequest())
  return valuesOf(responses[0]!.partitions[0]!.records)
}

async function leaderEpochOf(broker: TestBroker): Promise<number> {
  const { topics } = await broker.send(Metadata, 9, metadataRequest(['orders']))
  return topics[0]!.partitions[0]!.leaderEpoch
}

test('topics, records and their configs survive a stop, and leader epochs stay', async (t) => {
  const disk = memoryDisk()
  const first = await startTestBroker(t, { disk })
  const configs = new Map([['retention.ms', '12345']])
  await first.broker.parts.topics.create({ name: 'orders', partitionCount: 2, configs })
  await first.send(Produce, 9, produceRequest({ values: ['a', 'b'] }))
  await first.broker.stop()

  const second = await startTestBroker(t, { disk })
  assert.deepEqual(await fetchValues(second), ['a', 'b'])
  assert.equal(second.broker.parts.topics.find('orders')!.config.retentionMs, 12_345n)
  assert.equal(second.broker.clusterId, first.broker.clusterId)
  assert.equal(await leaderEpochOf(second), 0)
})

test('every topic config is taken, stored, and shown as set after a restart', async (t) => {
  const disk = memoryDisk()
  const first = await startTestBroker(t, { disk })
  const values = Object.entries<ConfigRow>(topicConfigs).map(
    ([name, row]) => [name, row.default === null ? '1048576' : textOf(row.type, row.default)] as const,
  )
  const { topics } = await first.send(
    CreateTopics,
    7,
    createTopicsRequest('orders', { configs: Object.fromEntries(values) }),
  )
  assert.equal(topics[0]!.errorCode, errorCodes.NONE, topics[0]!.errorMessage ?? '')
  await first.broker.stop()

  const second = await startTestBroker(t, { disk })
  const resources = [{ resourceType: 2, resourceName: 'orders', configurationKeys: null }]
  const request = { resources, includeSynonyms: false, includeDocumentation: false }
  const { results } = await second.send(DescribeConfigs, 4, request)
  const shown = results[0]!.configs.map(({ name, value, configSource }) => [name, value, configSource])
  assert.deepEqual(
    new Map(shown.map((config) => [config[0], config])),
    new Map(values.map(([name, value]) => [name, [name, value, 1]])),
  )
})

test('after an unclean stop the leader epoch is raised durably before anything is appended', async (t) => {
  const disk = memoryDisk()
  const first = await startTestBroker(t, { disk, topics: { orders: 1 } })
  await first.send(Produce, 9, produceRequest({ values: ['a'] }))
  await first.broker.stop()
  await disk.remove('.kafka_cleanshutdown') // what a crash leaves

  const second = await startTestBroker(t, { disk })
  assert.equal(await leaderEpochOf(second), 1)
  await second.send(Produce, 9, produceRequest({ values: ['b'] }))
  assert.deepEqual(await fetchValues(second), ['a', 'b'])
  await second.broker.stop()

  const third = await startTestBroker(t, { disk })
  assert.equal(await leaderEpochOf(third), 1) // clean this time, and not forgotten
})

test('a log that names the highest leader epoch there is starts, and keeps it', async (t) => {
  const disk = memoryDisk()
  const first = await startTestBroker(t, { disk, topics: { orders: 1 } })
  await first.send(Produce, 9, produceRequest({ values: ['a'] }))
  await first.broker.stop()
  const path = 'orders-0/00000000000000000000.log'
  const bytes = Buffer.from(await disk.readFile(path))
  bytes.writeInt32BE(highestEpoch, epochAt) // no checksum covers it
  await disk.replaceFile(path, bytes)
  for (const name of await noteNames(disk)) await disk.remove(name)

  for (let start = 0; start < 2; start++) {
    await disk.remove('.kafka_cleanshutdown')
    const broker = await startTestBroker(t, { disk })
    assert.equal(await leaderEpochOf(broker), highestEpoch)
    await broker.broker.stop()
  }
})

/** What the log of the partition is not read again for. */
async function noteNames(disk: Disk): Promise<string[]> {
  const entries = await disk.list('orders-0')
  const noted = entries.filter(({ name }) => !/\.log$|partition\.metadata/.test(name))
  return [...noted.map(({ name }) => `orders-0/${name}`), 'recovery-point-offset-checkpoint']
}

test('a second broker on the same disk is refused by name', async (t) => {
  const disk = memoryDisk()
  await startTestBroker(t, { disk })
  await assert.rejects(startTestBroker(t, { disk }), { code: 'LOCKED' })
})

test('producer ids are never handed out twice, also not after a restart', async (t) => {
  const disk = memoryDisk()
  const ids = new Set<bigint>()
  for (let round = 0; round < 3; round++) {
    const broker = await startTestBroker(t, { disk })
    for (let index = 0; index < 3; index++) {
      const request = { transactionalId: null, transactionTimeoutMs: 0 }
      ids.add((await broker.send(InitProducerId, 4, request)).producerId)
    }
    await broker.broker.stop()
  }
  assert.equal(ids.size, 9)
})

/** A disk that notes, in order, what happens to the log files of topics. */
class NotingDisk extends MemoryDisk {
  readonly notes: string[] = []

  override async open(path: string, options?: Parameters<Disk['open']>[1]): Promise<DiskFile> {
    const file = await super.open(path, options)
    if (!/^orders-\d+\/.*\.log$/.test(path)) return file
    const write = file.write.bind(file)
    const sync = file.sync.bind(file)
    file.write = (...args) => write(...args).then(() => void this.notes.push('written'))
    file.sync = () => sync().then(() => void this.notes.push('synced'))
    return file
  }
}

for (const isDurable of [false, true]) {
  test(`with titorelli.durable=${isDurable} an acknowledged batch was written${isDurable ? ' and synced' : ''}, and with acks 0 nobody waits for a sync`, async (t) => {
    const disk = new NotingDisk((run) => nodeClock.defer(run))
    const configs = { 'titorelli.durable': `${isDurable}` }
    const broker = await startTestBroker(t, { disk, configs, topics: { orders: 1 } })
    const client = await broker.connect()
    for (const acks of [1, -1]) {
      disk.notes.length = 0
      await client.send(Produce, 9, produceRequest({ acks }))
      assert.deepEqual(disk.notes, isDurable ? ['written', 'synced'] : ['written'])
    }
    disk.notes.length = 0
    client.post(Produce, 9, produceRequest({ acks: 0 }))
    await client.send(Metadata, 9, metadataRequest([]))
    while (disk.notes.length === 0) await new Promise((resolve) => setImmediate(resolve))
    assert.deepEqual(disk.notes, ['written'])
  })
}

/** A disk whose writes to log files wait, then fail, while `isBroken`. */
class BreakableDisk extends MemoryDisk {
  isBroken = false

  override async open(path: string, options?: Parameters<Disk['open']>[1]): Promise<DiskFile> {
    const file = await super.open(path, options)
    if (!/^orders-\d+\/.*\.log$/.test(path)) return file
    const write = file.write.bind(file)
    file.write = async (position, chunks) => {
      if (!this.isBroken) return write(position, chunks)
      await new Promise<void>((resolve) => nodeClock.defer(resolve))
      throw new DiskError('IO', path, 'the disk is broken')
    }
    return file
  }
}

test('a failing write fails it and the three requests queued behind it, and the log goes on afterwards', async (t) => {
  const disk = new BreakableDisk((run) => nodeClock.defer(run))
  const broker = await startTestBroker(t, { disk, topics: { orders: 1 } })
  await broker.send(Produce, 9, produceRequest({ values: ['before'] }))
  disk.isBroken = true
  const client = await broker.connect()
  const answers = await Promise.all(
    ['1', '2', '3', '4'].map((value) => client.send(Produce, 9, produceRequest({ values: [value] }))),
  )
  for (const { responses } of answers)
    assert.equal(errorNameOf(responses[0]!.partitionResponses[0]!.errorCode), 'KAFKA_STORAGE_ERROR')
  disk.isBroken = false
  const { responses } = await client.send(Produce, 9, produceRequest({ values: ['after'] }))
  assert.equal(responses[0]!.partitionResponses[0]!.errorCode, errorCodes.NONE)
  assert.equal(responses[0]!.partitionResponses[0]!.baseOffset, 1n)
  assert.deepEqual(await fetchValues(broker), ['before', 'after'])
})

test('a reader that stops reading holds no more than a bounded part of what it asked for', async (t) => {
  const broker = await startTestBroker(t, { topics: { orders: 1 } })
  const values = Array.from({ length: 9 }, () => 'x'.repeat(100_000))
  await broker.send(Produce, 9, produceRequest({ values }))
  const client = await broker.connect()
  client.socket.pause()
  for (let round = 0; round < 200; round++) client.post(Fetch, 11, fetchRequest())
  await broker.send(Fetch, 11, fetchRequest({ maxWaitMs: 100, minBytes: 10_000_000 })) // time enough to answer all
  const held = broker.broker.parts.memory.usedBytesOf('response')
  assert(held < 10_000_000, `${held} bytes of 180 MB are held`)
  assert.equal((await fetchValues(broker)).length, 9) // others are served
  client.close()
})

test('a stop with open connections and long polls takes less than its five seconds', async (t) => {
  const broker = await startTestBroker(t, { topics: { orders: 1 } })
  const clients = await Promise.all(Array.from({ length: 5 }, () => broker.connect()))
  const polls = clients.map((client) => client.send(Fetch, 11, fetchRequest({ maxWaitMs: 600_000 })))
  await broker.send(Fetch, 11, fetchRequest())
  const startMs = performance.now()
  await broker.broker.stop()
  assert(performance.now() - startMs < 5_000)
  assert.equal((await Promise.all(polls)).length, 5)
})
