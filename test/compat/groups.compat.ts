/**
 * kcat and Kafka's console consumer share groups, through rebalances and a broker that is killed and started again;
 * Kafka's tools work on them. Client libraries are in the matrix.
 */
import assert from 'node:assert/strict'
import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { test, type TestContext } from 'node:test'
import type { Admin } from 'kafkajs'
import { createTopics, kafkajsClient } from './support/clients.ts'
import { consoleConsumer, kcatConsumer, type GroupConsumer, type OpenConsumer } from './support/group-consumers.ts'
import { kafkaTool, usePeer } from './support/peers.ts'
import { eventually } from './support/processes.ts'
import { startTitorelli, type TitorelliProcess } from './support/titorelli.ts'

const partitionCount = 4
const topic = 'orders'
const group = 'readers'

/** Produces so many distinct records, spread over the partitions, and returns their values. */
async function produce(bootstrap: string, label: string, count: number): Promise<string[]> {
  const producer = kafkajsClient(bootstrap).producer()
  await producer.connect()
  const values = Array.from({ length: count }, (_, index) => `${label}-${index}`)
  try {
    const messages = values.map((value, index) => ({ value, partition: index % partitionCount }))
    await producer.send({ topic, messages, acks: -1 })
  } finally {
    await producer.disconnect()
  }
  return values
}

async function withAdmin<T>(bootstrap: string, run: (admin: Admin) => Promise<T>): Promise<T> {
  const admin = kafkajsClient(bootstrap).admin()
  await admin.connect()
  try {
    return await run(admin)
  } finally {
    await admin.disconnect()
  }
}

async function membersOf(bootstrap: string): Promise<{ state: string; count: number }> {
  const { groups } = await withAdmin(bootstrap, (admin) => admin.describeGroups([group]))
  return { state: groups[0]!.state, count: groups[0]!.members.length }
}

/** What the group has committed, by partition; -1 for nothing. */
async function committedOffsets(bootstrap: string): Promise<number[]> {
  const [found] = await withAdmin(bootstrap, (admin) => admin.fetchOffsets({ groupId: group, topics: [topic] }))
  const byPartition = found!.partitions.toSorted((a, b) => a.partition - b.partition)
  return byPartition.map(({ offset }) => Number(offset))
}

async function untilSeen(values: readonly string[], consumers: readonly GroupConsumer[]): Promise<void> {
  const missing = (): string[] => {
    const seen = new Set(consumers.flatMap((consumer) => consumer.seen))
    return values.filter((value) => !seen.has(value))
  }
  try {
    await eventually('all records are read', () => Promise.resolve(missing().length === 0), 45_000)
  } catch (error) {
    const counts = consumers.map(({ seen }) => seen.length)
    throw new Error(`missing ${missing().length} of ${values.length}; consumers have ${counts.join(', ')}`, {
      cause: error,
    })
  }
}

async function untilStable(bootstrap: string, count: number): Promise<void> {
  await eventually(`the group is stable with ${count} members`, async () => {
    const members = await membersOf(bootstrap)
    return members.state === 'Stable' && members.count === count
  })
}

/**
 * Two consumers share a group while a second one joins, the broker is killed and comes back, and both leave. Every
 * record is read; what is committed at the end is all there is, so that who comes later reads only what is new.
 */
async function ride(t: TestContext, open: readonly [OpenConsumer, OpenConsumer]): Promise<TitorelliProcess> {
  const broker = await startTitorelli(t)
  const { bootstrap } = broker
  await createTopics(bootstrap, [{ topic, partitions: partitionCount }])
  const options = { bootstrap, topic, group }
  const values = await produce(bootstrap, 'first', 200)
  const first = await open[0](t, { ...options, instance: 'one' })
  await untilSeen(values, [first])
  const second = await open[1](t, { ...options, instance: 'two' })
  await untilStable(bootstrap, 2)
  const shared = await produce(bootstrap, 'shared', 200)
  await untilSeen(shared, [first, second])
  const isShared = [first, second].every(({ seen }) => seen.some((value) => value.startsWith('shared')))
  assert(isShared, 'both members have partitions')

  await broker.end('SIGKILL')
  await broker.start()
  const afterRestart = await produce(bootstrap, 'restarted', 200)
  await untilSeen([...values, ...shared, ...afterRestart], [first, second])

  await first.stop()
  await second.stop()
  assert.deepEqual(await committedOffsets(bootstrap), Array(partitionCount).fill(150))
  return broker
}

async function readsOnlyWhatIsNew(t: TestContext, broker: TitorelliProcess, open: OpenConsumer): Promise<void> {
  const values = await produce(broker.bootstrap, 'last', 8)
  const third = await open(t, { bootstrap: broker.bootstrap, topic, group, instance: 'one' })
  await untilSeen(values, [third])
  assert.deepEqual(third.seen.toSorted(), values.toSorted())
  await third.stop()
}

const withoutInstance: OpenConsumer = (t, { instance: _instance, ...options }) => kcatConsumer(t, options)

for (const [what, open] of [
  ['kcat', withoutInstance],
  ['kcat with static members', kcatConsumer],
] as const) {
  test(`consumers of ${what} share a group through a rebalance and a broker that is killed`, async (t) => {
    if (!(await usePeer(t, 'kcat'))) return
    const broker = await ride(t, [open, open])
    await readsOnlyWhatIsNew(t, broker, open)
  })
}

test("Kafka's console consumer and kcat share a group through a rebalance and a broker that is killed", async (t) => {
  if (!(await usePeer(t, 'kafka-console-consumer')) || !(await usePeer(t, 'kcat'))) return
  const broker = await ride(t, [consoleConsumer, withoutInstance])
  await readsOnlyWhatIsNew(t, broker, consoleConsumer)
})

test("Kafka's tools list, describe, reset and delete groups and their offsets", async (t) => {
  if (!(await usePeer(t, 'kafka-consumer-groups')) || !(await usePeer(t, 'kcat'))) return
  const broker = await startTitorelli(t)
  const { bootstrap } = broker
  const server = ['--bootstrap-server', bootstrap]
  const groups = (...args: readonly string[]) => kafkaTool('kafka-consumer-groups', [...server, ...args])
  await createTopics(bootstrap, [{ topic, partitions: partitionCount }])
  const values = await produce(bootstrap, 'first', 200)
  const consumer = await kcatConsumer(t, { bootstrap, topic, group })
  await untilSeen(values, [consumer])
  await eventually('all is committed', async () => (await committedOffsets(bootstrap)).every((offset) => offset === 50))

  assert.match(await groups('--list', '--state'), /^readers\s+Stable\s*$/m)
  assert.match(await kafkaTool('kafka-groups', [...server, '--list']), /^readers\s+Classic\s+consumer\s*$/m)
  assert.match(
    await groups('--describe', '--group', group),
    /^readers\s+orders\s+0\s+50\s+50\s+0\s+rdkafka-\S+\s+\/127/m,
  )
  assert.match(await groups('--describe', '--group', group, '--members', '--verbose'), /orders:\[?0/)
  assert.match(await groups('--describe', '--group', group, '--state'), /readers\s.*range\s+Stable\s+1\s*$/m)
  const refused = await groups('--delete-offsets', '--group', group, '--topic', 'orders')
  assert.match(refused, /GroupSubscribedToTopic|actively subscribed/)
  await consumer.stop()

  const reset = ['--reset-offsets', '--group', group, '--topic', topic, '--execute']
  assert.match(await groups(...reset, '--shift-by', '-10'), /^readers\s+orders\s+3\s+40\s*$/m)
  assert.deepEqual(await committedOffsets(bootstrap), [40, 40, 40, 40])
  const again = await kcatConsumer(t, { bootstrap, topic, group })
  await untilSeen(values.slice(-40), [again])
  assert.equal(again.seen.length, 40)
  await again.stop()

  await groups('--delete-offsets', '--group', group, '--topic', 'orders:1')
  assert.deepEqual(await committedOffsets(bootstrap), [50, -1, 50, 50])
  assert.match(await groups('--delete', '--group', group), /successful/)
  assert.doesNotMatch(await groups('--list'), /readers/)
})

test("Kafka's dump tool reads what is in __consumer_offsets", async (t) => {
  if (!(await usePeer(t, 'kafka-dump-log')) || !(await usePeer(t, 'kcat'))) return
  const broker = await startTitorelli(t, '--config', 'offsets.topic.num.partitions=1')
  const { bootstrap } = broker
  await createTopics(bootstrap, [{ topic, partitions: partitionCount }])
  const consumer = await kcatConsumer(t, { bootstrap, topic, group, instance: 'one' })
  await untilSeen(await produce(bootstrap, 'first', 200), [consumer])
  await consumer.stop()
  await eventually('all is committed', async () => (await committedOffsets(bootstrap)).every((offset) => offset === 50))
  await broker.end('SIGTERM')
  const folder = join(broker.dataDir, '__consumer_offsets-0')
  const [file] = (await readdir(folder)).filter((name) => name.endsWith('.log'))
  const dumped = await kafkaTool('kafka-dump-log', ['--offsets-decoder', '--files', join(folder, file!)])
  const commit = dumped.split('\n').find((line) => line.includes('"partition":2') && line.includes('"offset":50'))
  assert.match(commit ?? dumped, /"group":"readers","topic":"orders"/)
  assert.match(dumped, /"protocolType":"consumer","generation":1,"protocol":"range","leader":"one-/)
  assert.doesNotMatch(dumped, /isvalid: false|Error|Exception/)
})
