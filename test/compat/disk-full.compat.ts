/** A real file system that fills up under the running broker, and has room again. */
import assert from 'node:assert/strict'
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test, type TestContext } from 'node:test'
import { inspect } from 'node:util'
import {
  createTopics,
  kafkajsClient,
  platformaticConsumer,
  platformaticProducer,
  sendWithPlatformatic,
} from './support/clients.ts'
import { usePeer } from './support/peers.ts'
import { mustRun, runCommand } from './support/processes.ts'
import { TitorelliProcess } from './support/titorelli.ts'

const sizeMiB = 6
const filling = 'x'.repeat(50_000)

/** Mounts a file system of a few MiB, or says why it can't. */
async function mountSmall(folder: string): Promise<string | undefined> {
  const args = ['-t', 'tmpfs', '-o', `size=${sizeMiB}m`, 'tmpfs', folder]
  const mounted = await runCommand('mount', args).catch((error: unknown) => ({ status: -1, stderr: String(error) }))
  return mounted.status === 0 ? undefined : `no tmpfs can be mounted here: ${mounted.stderr.trim()}`
}

/**
 * A broker on a small file system that is half full. Undefined where this machine allows no mount: the test is skipped.
 */
async function startOnSmallDisk(t: TestContext): Promise<{ broker: TitorelliProcess; ballast: string } | undefined> {
  const folder = await mkdtemp(join(tmpdir(), 'titorelli-full-'))
  const reason = await mountSmall(folder)
  if (reason !== undefined) {
    await rm(folder, { recursive: true })
    console.log(`SKIPPED, a disk that is really full: ${reason}`)
    t.skip(reason)
    return undefined
  }
  const ballast = join(folder, 'ballast')
  const broker = new TitorelliProcess(join(folder, 'broker', 'data'), ['--log-level', 'error'])
  t.after(async () => {
    await broker.end('SIGKILL')
    await mustRun('umount', ['-l', folder])
    await rm(folder, { recursive: true })
  })
  await writeFile(ballast, Buffer.alloc((sizeMiB / 2) * 1_048_576))
  await mkdir(join(folder, 'broker'))
  await broker.start()
  return { broker, ballast }
}

/**
 * The first words of all values of a topic with one partition, in order. Without a group, which would have to be
 * written down.
 */
async function readAll(t: TestContext, bootstrap: string, topic: string): Promise<string[]> {
  const consumer = platformaticConsumer(t, bootstrap)
  const metadata = await consumer.metadata({ topics: [topic] })
  const { id: topicId, partitions } = metadata.topics.get(topic)!
  const [end] = (await consumer.listOffsets({ topics: [topic] })).get(topic)!
  const values: string[] = []
  for (let fetchOffset = 0n; fetchOffset < end!;) {
    const wanted = {
      partition: 0,
      currentLeaderEpoch: -1,
      fetchOffset,
      lastFetchedEpoch: -1,
      partitionMaxBytes: 1_048_576,
    }
    const response = await consumer.fetch({
      node: partitions[0]!.leader,
      topics: [{ topicId, partitions: [wanted] }],
    })
    const batches = response.responses[0]!.partitions[0]!.records ?? []
    assert(batches.length > 0, 'a fetch below the end brings records')
    for (const batch of batches) {
      values.push(...batch.records.map(({ value }) => String(value).split(' ')[0]!))
      fetchOffset = batch.firstOffset + BigInt(batch.lastOffsetDelta) + 1n
    }
  }
  return values
}

async function endOf(bootstrap: string, topic: string): Promise<number> {
  const admin = kafkajsClient(bootstrap).admin()
  await admin.connect()
  try {
    return Number((await admin.fetchTopicOffsets(topic))[0]!.high)
  } finally {
    await admin.disconnect()
  }
}

test('a full disk refuses records, loses none, and takes them again by itself once there is room', async (t) => {
  if (!(await usePeer(t, 'platformatic')) || !(await usePeer(t, 'kafkajs'))) return
  const started = await startOnSmallDisk(t)
  if (!started) return
  const { broker, ballast } = started
  await createTopics(broker.bootstrap, [{ topic: 'full' }])
  const producer = platformaticProducer(t, broker.bootstrap)
  const acknowledged: string[] = []
  const send = async (value: string): Promise<void> => {
    const records = [{ key: 'k', value: `${value} ${filling}` }]
    await sendWithPlatformatic(producer, 'full', { codec: 'none', records })
    acknowledged.push(value)
  }

  let refusal: unknown
  for (let at = 0; at < 200 && refusal === undefined; at++) {
    await send(`before-${at}`).catch((error: unknown) => (refusal = error))
  }
  assert.match(inspect(refusal, { depth: 8 }), /KAFKA_STORAGE_ERROR/)
  assert(acknowledged.length > 20, `${acknowledged.length} records fit`)
  assert.equal(await endOf(broker.bootstrap, 'full'), acknowledged.length)
  await assert.rejects(send('still full'))
  assert.deepEqual(await readAll(t, broker.bootstrap, 'full'), acknowledged)
  await createTopics(broker.bootstrap, [{ topic: 'another' }]).catch(() => undefined) // may find room for its few bytes

  await rm(ballast)
  for (let at = 0; at < 10; at++) await send(`after-${at}`)
  await createTopics(broker.bootstrap, [{ topic: 'later' }])
  await sendWithPlatformatic(producer, 'later', { codec: 'none', records: [{ key: 'k', value: 'v' }] })

  assert.equal(await broker.end('SIGKILL'), null)
  await broker.start()
  assert.deepEqual(await readAll(t, broker.bootstrap, 'full'), acknowledged)
  assert.equal(await endOf(broker.bootstrap, 'full'), acknowledged.length)
  assert.equal(await endOf(broker.bootstrap, 'later'), 1)
})
