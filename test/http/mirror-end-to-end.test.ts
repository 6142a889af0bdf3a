/** Mirrors through the HTTP API and the command line, over two real brokers in memory. */
import assert from 'node:assert/strict'
import { test, type TestContext } from 'node:test'
import { splitBatches } from '../../protocol/records/batch.ts'
import { MemoryDisk } from '../../storage/memory-disk.ts'
import { startHttp } from '../../src/http/node-http.ts'
import { runCli, type Ran } from '../cli/support.ts'
import { startTestBroker, type TestBroker } from '../support/broker.ts'
import {
  describe,
  linkName,
  produce,
  startMirrorPair,
  until,
  untilMirrored,
  type MirrorPair,
} from '../support/mirror.ts'
import { fastLink } from '../support/scripted-mirror.ts'

interface World extends MirrorPair {
  readonly disk: MemoryDisk
  readonly url: string
  cli(...args: string[]): Promise<Ran>
}

/** A mirror of two partitions with three batches each, and the API of its broker. */
async function start(t: TestContext): Promise<World> {
  const disk = new MemoryDisk((run) => setImmediate(run))
  const configs = { ...fastLink, 'cluster.link.retry.timeout.ms': '100', 'metadata.max.age.ms': '1000' }
  const pair = await startMirrorPair(t, { topics: { orders: 2 }, linkConfigs: configs, mirror: { disk } })
  const { url, cli } = await serve(t, pair.mirror)
  const created = await cli('mirror', 'create', 'orders', '--link', linkName)
  assert.equal(created.status, 0, created.stderr)
  for (const partition of [0, 1]) {
    for (const value of ['a', 'b', 'c']) await produce(pair.source, { partition, values: [value, value] })
    await untilMirrored(pair, 'orders', partition)
  }
  return { ...pair, disk, url, cli }
}

/** A bit flips in the file of a mirror, in the second batch of a partition. */
async function flipBit({ disk }: World, partitionIndex: number): Promise<void> {
  const path = `orders-${partitionIndex}/00000000000000000000.log`
  const bytes = await disk.readFile(path)
  const [first, second] = splitBatches(bytes)
  const at = first!.bytes.length + second!.bytes.length - 2
  await (await disk.open(path)).write(at, [Uint8Array.of(bytes[at]! ^ 1)])
}

async function restart(t: TestContext, world: World): Promise<World> {
  await world.mirror.broker.stop()
  const mirror = await startTestBroker(t, { network: world.network, disk: world.disk, port: 9093, seed: 23 })
  return { ...world, mirror, ...(await serve(t, mirror)) }
}

async function serve(t: TestContext, { broker }: TestBroker): Promise<Pick<World, 'url' | 'cli'>> {
  const parts = { ...broker.httpParts, endpoints: () => [] }
  const server = await startHttp({ host: '127.0.0.1', port: 0, parts })
  t.after(() => server.close())
  const url = `http://127.0.0.1:${server.port}`
  return { url, cli: (...args) => runCli([...args, '--url', url]) }
}

interface VerifyLine {
  readonly kind: string
  readonly verdict?: string
  readonly partition?: number
  readonly offset?: number
  readonly first_difference?: { partition: number; offset: number; kind: string } | null
  readonly message?: string | null
}

async function verifyLines({ url, mirror }: World): Promise<VerifyLine[]> {
  const path = `/titorelli/v1/clusters/${mirror.broker.clusterId}/links/${linkName}/mirrors/orders/verify`
  const response = await fetch(`${url}${path}`, { method: 'POST' })
  assert.equal(response.status, 200)
  const text = await response.text()
  return text.split('\n').flatMap((line) => (line === '' ? [] : [JSON.parse(line) as VerifyLine]))
}

test('verify of an identical mirror tells its progress over HTTP, and ends the command with status 0', async (t) => {
  const world = await start(t)
  const lines = await verifyLines(world)
  assert.equal(lines.at(-1)!.verdict, 'identical')
  for (const partition of [0, 1])
    assert.ok(lines.some((line) => line.kind === 'progress' && line.partition === partition && line.offset === 6))
  const { status, stdout } = await world.cli('mirror', 'verify', 'orders')
  assert.equal(status, 0)
  assert.match(stdout, /^orders: identical\n {2}Partitions: +2\n {2}Batches: +6\n/)
})

for (const when of ['while consumers are answered from memory', 'before a restart'] as const) {
  test(`verify of a mirror that was damaged ${when} names partition and offset, and ends with status 1`, async (t) => {
    const running = await start(t)
    await flipBit(running, 1)
    const world = when === 'before a restart' ? await restart(t, running) : running
    const { verdict, first_difference: difference } = (await verifyLines(world)).at(-1)!
    assert.equal(verdict, 'different')
    assert.deepEqual([difference!.partition, difference!.offset, difference!.kind], [1, 2, 'bytes'])
    const { status, stdout } = await world.cli('mirror', 'verify', 'orders')
    assert.equal(status, 1)
    assert.match(stdout, /^orders: DIFFERENT\n/)
    assert.match(stdout, /First difference: +partition 1, offset 2 \(bytes\)/)
  })
}

test('verify of a topic that was created anew could not tell: status 2, also as JSON', async (t) => {
  const world = await start(t)
  const { topics } = world.source.broker.parts
  await topics.delete(topics.find('orders')!.image.topicId)
  await topics.create({ name: 'orders', partitionCount: 2 })
  await until('the mirror is FAILED', () => describe(world.mirror).status === 'FAILED', 10_000)
  const { status, stdout } = await world.cli('mirror', 'verify', 'orders', '--json')
  assert.equal(status, 2)
  const result = JSON.parse(stdout) as VerifyLine
  assert.equal(result.verdict, 'unknown')
  assert.match(result.message!, /topic/)
  const described = await world.cli('mirror', 'describe', 'orders')
  assert.match(described.stdout, /FAILED/)
  assert.match(described.stdout, /SOURCE_TOPIC_ID_CHANGED/)
})

test('after a failover by command, records written here are no difference to the source', async (t) => {
  const world = await start(t)
  const failedOver = await world.cli('mirror', 'failover', 'orders')
  assert.equal(failedOver.status, 0, failedOver.stderr)
  for (const partition of [0, 1]) assert.equal(await produce(world.mirror, { partition }), 6n)
  await produce(world.source, { partition: 0 })
  for (const { broker } of [world.mirror, world.source])
    await broker.parts.topics.addPartitions(broker.parts.topics.find('orders')!.image.topicId, 3)
  await produce(world.mirror, { partition: 2 })
  const verified = await world.cli('mirror', 'verify', 'orders')
  assert.equal(verified.status, 0, verified.stdout)
  const again = await world.cli('mirror', 'failover', 'orders')
  assert.equal(again.status, 1)
  assert.match(again.stdout, /already stopped its mirror/)
})
