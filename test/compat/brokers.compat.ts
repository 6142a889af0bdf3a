/**
 * Unmodified clients ride through brokers that shut down, die and come back, and through leaders that move: nothing
 * lost, nothing twice.
 */
import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test, type TestContext } from 'node:test'
import { isDeepStrictEqual } from 'node:util'
import { splitBatches } from '../../protocol/records/batch.ts'
import { decodeRecords } from '../../protocol/records/record.ts'
import type { Random } from '../../src/environment/environment.ts'
import { seededRandom } from '../../src/environment/seeded-random.ts'
import { createTopics, kafkajsClient } from './support/clients.ts'
import { usePeer } from './support/peers.ts'
import { eventually } from './support/processes.ts'
import { partitionCount, riders, type Acknowledged, type Consuming, type Ride, type Rider } from './support/riders.ts'
import { startTitorelli, type TitorelliProcess } from './support/titorelli.ts'

const topic = 'rides'
const groupId = 'riders'
const nodeIds = [1, 2, 3]
const stepNames = ['shut down', 'kill', 'move a leader', 'move the coordinator'] as const
type Step = (typeof stepNames)[number]
const seed = Number(process.env['COMPAT_SEED'] ?? Date.now() % 1_000_000)

for (const [at, rider] of riders.entries()) {
  test(`${rider.peer} loses and doubles nothing while brokers go, come back and hand over`, async (t) => {
    if (!(await usePeer(t, rider.peer))) return
    console.log(`${rider.peer} while brokers come and go: seed ${seed} (COMPAT_SEED=${seed} runs it again)`)
    const cluster = await startCluster(t)
    const random = seededRandom(seed + at)
    const { acknowledged, consuming } = await travel(cluster, rider, random)
    const records = await readLogs(cluster.broker)
    checkRecords(records, acknowledged)
    await eventually('the group has read everything', () =>
      Promise.resolve(records.flat().every((value) => consuming.values.has(value))),
    )
    const ends = records.map((values) => values.length)
    await eventually('the group has committed everything', async () =>
      isDeepStrictEqual(await committedOffsets(cluster.ride), ends),
    )
    await consuming.stop()
    assert.deepEqual(await committedOffsets(cluster.ride), ends)
    t.diagnostic(`${acknowledged.length} records acknowledged`)
  })
}

interface Cluster {
  readonly broker: TitorelliProcess
  readonly ride: Ride
}

async function startCluster(t: TestContext): Promise<Cluster> {
  const configs = ['default.replication.factor=3', 'offsets.topic.num.partitions=1']
  const endings: (() => unknown)[] = []
  t.after(() => Promise.allSettled(endings.map(async (end) => await end())))
  const broker = await startTitorelli(t, '--brokers', '3', ...configs.flatMap((one) => ['--config', one]))
  await createTopics(broker.bootstrap, [{ topic, partitions: partitionCount, replicas: 3 }])
  const brokers = broker.ready.ports.map((port) => `127.0.0.1:${port}`)
  await commitSomething(broker.bootstrap)
  const atEnd = (end: () => unknown): void => void endings.push(end)
  return { broker, ride: { brokers, topic, groupId, folder: join(broker.dataDir, '..'), atEnd } }
}

/** Lets the client produce and consume through two decks of steps, at once or one after the other. */
async function travel(
  { broker, ride }: Cluster,
  rider: Rider,
  random: Random,
): Promise<{ readonly acknowledged: readonly Acknowledged[]; readonly consuming: Consuming }> {
  const producing = await rider.produce(ride)
  await eventually('something was produced', async () => (await readLogs(broker)).flat().length > 0)
  if (rider.isInTurn) {
    await takeSteps(broker, random)
    const acknowledged = await producing.stop()
    const consuming = await startConsuming(rider, ride)
    await takeSteps(broker, random)
    return { acknowledged, consuming }
  }
  const consuming = await startConsuming(rider, ride)
  await takeSteps(broker, random)
  await takeSteps(broker, random)
  return { acknowledged: await producing.stop(), consuming }
}

async function startConsuming(rider: Rider, ride: Ride): Promise<Consuming> {
  const consuming = await rider.consume(ride)
  await eventually('something was consumed', () => Promise.resolve(consuming.values.size > 0))
  return consuming
}

/** One step of each kind, in any order. All brokers are up in the end. */
async function takeSteps(broker: TitorelliProcess, random: Random): Promise<void> {
  const deck = [...stepNames]
  while (deck.length > 0) {
    const [step] = deck.splice(random.below(deck.length), 1)
    await sleep(100 + random.below(300))
    await takeStep(broker, step!, random)
  }
}

async function takeStep(broker: TitorelliProcess, step: Step, random: Random): Promise<void> {
  if (step === 'move a leader') return await moveLeader(broker, topic, random.below(partitionCount), random)
  if (step === 'move the coordinator') return await moveLeader(broker, '__consumer_offsets', 0, random)
  const coordinator = await leaderOf(broker, '__consumer_offsets', 0)
  const first = random.below(2) === 0 ? coordinator : nodeIds[random.below(3)]!
  const gone = [first, ...nodeIds.filter((nodeId) => nodeId !== first && random.below(4) === 0).slice(0, 1)]
  const body = { clean: step === 'shut down' }
  await Promise.all(gone.map((nodeId) => ask(broker, `/titorelli/v1/clusters/ID/brokers/${nodeId}/down`, body)))
  await sleep(200 + random.below(500))
  await Promise.all(gone.map((nodeId) => ask(broker, `/titorelli/v1/clusters/ID/brokers/${nodeId}/up`, {})))
}

async function moveLeader(broker: TitorelliProcess, name: string, partition: number, random: Random): Promise<void> {
  const leader = await leaderOf(broker, name, partition)
  const others = nodeIds.filter((nodeId) => nodeId !== leader)
  const path = `/titorelli/v1/clusters/ID/topics/${name}/partitions/${partition}/leader`
  await ask(broker, path, { broker_id: others[random.below(2)] })
}

async function leaderOf(broker: TitorelliProcess, name: string, partition: number): Promise<number> {
  const described = await ask(broker, `/kafka/v3/clusters/ID/topics/${name}/partitions/${partition}`)
  const { leader } = described as { leader: { related: string } }
  return Number(leader.related.split('/').at(-1))
}

async function ask(broker: TitorelliProcess, path: string, body?: object): Promise<unknown> {
  const url = `${broker.httpUrl}${path.replace('/ID/', `/${broker.ready.clusterId}/`)}`
  const post = { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) }
  const response = await fetch(url, body && post)
  const text = await response.text()
  assert(response.ok, `${path} answered ${response.status}: ${text}`)
  return text === '' ? undefined : JSON.parse(text)
}

function sleep(delayMs: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, delayMs))
}

/** The values of each partition, from the first on, as its segment has them. */
async function readLogs(broker: TitorelliProcess): Promise<string[][]> {
  return await Promise.all(
    Array.from({ length: partitionCount }, async (_, partition) => {
      const bytes = await readFile(join(broker.dataDir, `${topic}-${partition}`, '00000000000000000000.log'))
      const records = splitBatches(bytes).flatMap((batch) => decodeRecords(batch))
      for (const [at, { offset }] of records.entries()) assert.equal(offset, BigInt(at))
      return records.map(({ value }) => Buffer.from(value!).toString())
    }),
  )
}

function checkRecords(records: readonly (readonly string[])[], acknowledged: readonly Acknowledged[]): void {
  const found = new Map<number, { readonly partition: number; readonly offset: number }>()
  for (const [partition, values] of records.entries()) {
    let previous = -1
    for (const [offset, value] of values.entries()) {
      const number = Number(value)
      const where = `partition ${partition}, offset ${offset}, record ${value}`
      assert(!found.has(number), `${where}: it is there twice, also at ${JSON.stringify(found.get(number))}`)
      assert(number > previous, `${where}: it comes behind record ${previous}`)
      found.set(number, { partition, offset })
      previous = number
    }
  }
  assert(acknowledged.length > 300, `only ${acknowledged.length} records were acknowledged`)
  for (const { number, partition, offset } of acknowledged) {
    const place = found.get(number)
    assert(place, `record ${number} was acknowledged and is not there`)
    if (partition !== undefined) assert.deepEqual(place, { partition, offset }, `record ${number}`)
  }
}

/** The first commit creates the topic of committed offsets: its leader can be moved from then on. */
async function commitSomething(bootstrap: string): Promise<void> {
  const admin = kafkajsClient(bootstrap).admin()
  await admin.connect()
  try {
    await admin.setOffsets({ groupId: 'another', topic, partitions: [{ partition: 0, offset: '0' }] })
  } finally {
    await admin.disconnect()
  }
}

/** What the group has committed, by partition; -1 for nothing. */
async function committedOffsets({ brokers }: Ride): Promise<number[]> {
  const admin = kafkajsClient(brokers[0]!).admin()
  await admin.connect()
  try {
    const [committed] = await admin.fetchOffsets({ groupId, topics: [topic] })
    return committed!.partitions.toSorted((a, b) => a.partition - b.partition).map(({ offset }) => Number(offset))
  } finally {
    await admin.disconnect()
  }
}
