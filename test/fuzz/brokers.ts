/**
 * Whole brokers in memory: what clients send, what HTTP clients send, and what a disk has after something else wrote on
 * it.
 */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import type { FastifyInstance } from 'fastify'
import { ApiVersions } from '../../protocol/apis/api-versions.ts'
import { CreatePartitions } from '../../protocol/apis/create-partitions.ts'
import { CreateTopics } from '../../protocol/apis/create-topics.ts'
import { Fetch } from '../../protocol/apis/fetch.ts'
import { Produce } from '../../protocol/apis/produce.ts'
import { compressions, sealInPlace } from '../../protocol/records/batch.ts'
import { buildBatch } from '../../protocol/records/build.ts'
import { buildHttpApp } from '../../src/http/server.ts'
import { handlers } from '../../src/apis/index.ts'
import type { Random, Socket } from '../../src/environment/environment.ts'
import { nodeClock } from '../../src/environment/node-clock.ts'
import { MetadataError } from '../../src/metadata/metadata-error.ts'
import { partitionMaxCount } from '../../src/topics/placement.ts'
import { DiskError } from '../../storage/disk.ts'
import { MemoryDisk } from '../../storage/memory-disk.ts'
import { loadCaptures } from './captures.ts'
import { startTestBroker, type Cleanup, type TestBroker } from '../support/broker.ts'
import { fetchRequest, produceRequest } from '../support/requests.ts'
import { randomRequest, randomVersion } from './messages.ts'
import { chance, joined, mutated, mutatedJson, oddText, pick } from './mutate.ts'
import type { OpenTarget, Target } from './target.ts'

const software = { clientSoftwareName: 'fuzz', clientSoftwareVersion: '1' }
const topics = { orders: 2, clicks: 1 }
/** What one broker of these cases may keep for its clients. */
const memoryLimitBytes = 64 * 1024 * 1024

/** What `after` collected, run backwards. */
class Cleanups implements Cleanup {
  readonly #runs: (() => Promise<void> | void)[] = []

  after(run: () => Promise<void> | void): void {
    this.#runs.push(run)
  }

  async run(): Promise<void> {
    for (let run = this.#runs.pop(); run; run = this.#runs.pop()) await run()
  }
}

function assertNoDefect({ log }: TestBroker): void {
  const defects = log.filter(({ level }) => level === 'error')
  assert.deepEqual(
    defects.map(({ message, fields }) => [
      message,
      fields['api'],
      fields['url'],
      Reflect.get(Object(fields['err']), 'stack'),
    ]),
    [],
  )
}

// --- Connections ---

/** Requests of real clients, without their sizes. */
const recorded: readonly Uint8Array[] = [
  ...readFileSync(new URL('../golden/frames/kafka-4.4.0.tsv', import.meta.url), 'utf8')
    .trimEnd()
    .split('\n')
    .map((line) => line.split('\t'))
    .filter(([, , , kind]) => kind === 'request')
    .map(([, , , , hex]) => new Uint8Array(Buffer.from(hex!, 'hex'))),
  ...loadCaptures().flatMap((frames) => frames.map((frame) => frame.subarray(4))),
]

function framed(content: Uint8Array, sizeBytes = content.length): Uint8Array {
  const prefix = Buffer.alloc(4)
  prefix.writeInt32BE(sizeBytes)
  return joined(prefix, content)
}

function createsPartitions(frame: Uint8Array): boolean {
  const apiKey = (frame[0]! << 8) | frame[1]!
  return apiKey === CreateTopics.key || apiKey === CreatePartitions.key
}

/** A frame of a real client or of our own codecs, mostly damaged, now and then with a size that lies. */
function randomFrame(random: Random): Uint8Array {
  const handler = pick(random, handlers)
  const request = chance(random, 2)
    ? pick(random, recorded)
    : randomRequest(random, handler.api, randomVersion(random, handler.versions))
  const changed = chance(random, 5) ? request : mutated(random, request, chance(random, 6) ? 0 : 8)
  // With another number in it, it may ask for ten thousand partitions, which it would get.
  const content = createsPartitions(changed) ? (createsPartitions(request) ? request : recorded[0]!) : changed
  const lie = pick(random, [-1, 0, 1, 0x7fffffff, -0x80000000, content.length + 1, content.length - 1, 104_857_601])
  return framed(content, chance(random, 12) ? lie : content.length)
}

/** Writes in pieces that the sender's kernel chose, down to single bytes. */
async function sendInPieces(socket: Socket, bytes: Uint8Array, random: Random): Promise<void> {
  const pieceMaxBytes = pick(random, [1, 7, 100, 100_000])
  for (let at = 0, count = 0; at < bytes.length; count++) {
    const end = count > 200 ? bytes.length : Math.min(bytes.length, at + 1 + random.below(pieceMaxBytes))
    socket.write([bytes.slice(at, end)])
    if (chance(random, 20)) await new Promise((resolve) => nodeClock.defer(() => resolve(undefined)))
    at = end
  }
}

/** A client that takes no notice of answers. */
async function connect({ environment, broker }: TestBroker): Promise<Socket> {
  const address = { host: broker.host, port: broker.port }
  const socket = await environment.network.connect(address, { timeoutMs: 1_000 })
  socket.start({ onData: () => undefined, onDrain: () => undefined, onClose: () => undefined })
  return socket
}

async function runConnections(broker: TestBroker, random: Random): Promise<void> {
  const sockets = await Promise.all(Array.from({ length: 1 + random.below(3) }, () => connect(broker)))
  const sending = sockets.map(async (socket) => {
    const frames = Array.from({ length: 1 + random.below(4) }, () => randomFrame(random))
    const bytes = joined(...frames)
    const end = chance(random, 4) ? random.below(bytes.length) : bytes.length // the rest never comes
    await sendInPieces(socket, bytes.subarray(0, end), random)
  })
  await Promise.all(sending)
  const { errorCode } = await broker.send(ApiVersions, 3, software)
  assert.equal(errorCode, 0)
  for (const socket of sockets) socket.destroy()
  assertNoDefect(broker)
  assert.ok(broker.broker.parts.memory.usedBytes <= memoryLimitBytes)
  await removeLargeTopics(broker)
}

/** Some cases are allowed to create thousands of partitions: they are not to add up. */
async function removeLargeTopics({ broker }: TestBroker): Promise<void> {
  const { topics } = broker.parts
  const large = Array.from(topics.list(), ({ image }) => image).filter(({ partitions }) => partitions.length > 100)
  for (const { topicId, isInternal } of large) if (!isInternal) await topics.delete(topicId)
}

async function openConnections(): Promise<OpenTarget> {
  const cleanups = new Cleanups()
  const configs = { 'titorelli.memory.budget.bytes': `${memoryLimitBytes}`, 'auto.create.topics.enable': 'false' }
  const broker = await startTestBroker(cleanups, { topics, configs })
  return {
    run: (random) => runConnections(broker, random),
    async close() {
      await cleanups.run()
      const { memory } = broker.broker.parts
      for (const kind of ['request', 'append', 'response'] as const) assert.equal(memory.usedBytesOf(kind), 0, kind)
      assertNoDefect(broker)
    },
  }
}

export const connections: Target = {
  name: 'connections',
  weight: 10,
  deadlineMs: 10_000,
  casesPerOpening: 100,
  open: openConnections,
}

// --- HTTP ---

interface HttpRequest {
  readonly method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE'
  readonly path: string
  readonly body?: unknown
}

const own = '/titorelli/v1/clusters/CLUSTER'
const rest = '/kafka/v3/clusters/CLUSTER'
const data = { type: 'STRING', data: 'x' }
const configData = { data: [{ name: 'retention.ms', value: '1', operation: 'SET' }], validate_only: true }

/** One request of each kind that takes a body or a parameter, as they are when they are right. */
const httpRequests: readonly HttpRequest[] = [
  {
    method: 'POST',
    path: `${rest}/topics`,
    body: {
      topic_name: 'new',
      partitions_count: 2,
      configs: [{ name: 'retention.ms', value: '1' }],
      replicas_assignments: null,
      validate_only: true,
    },
  },
  { method: 'PATCH', path: `${rest}/topics/orders`, body: { partitions_count: 2 } },
  {
    method: 'POST',
    path: `${rest}/topics/orders/records`,
    body: {
      partition_id: 0,
      headers: [{ name: 'h', value: 'eA==' }],
      key: data,
      value: data,
      timestamp: '2026-01-01T00:00:00Z',
    },
  },
  { method: 'POST', path: `${rest}/topics/orders/configs:alter`, body: configData },
  { method: 'PUT', path: `${rest}/topics/orders/configs/retention.ms`, body: { value: '5' } },
  { method: 'POST', path: `${rest}/brokers/1/configs:alter`, body: configData },
  { method: 'PUT', path: `${rest}/broker-configs/log.retention.ms`, body: { value: '5' } },
  {
    method: 'POST',
    path: `${rest}/links?link_name=west&validate_only=true&validate_link=false`,
    body: { source_cluster_id: 'w', configs: [{ name: 'bootstrap.servers', value: 'west:9092' }] },
  },
  {
    method: 'POST',
    path: `${rest}/links/west/mirrors`,
    body: { source_topic_name: 'orders', mirror_topic_name: 'm', replication_factor: 1, configs: [] },
  },
  {
    method: 'POST',
    path: `${rest}/links/west/mirrors:failover`,
    body: { mirror_topic_names: ['orders'], mirror_topic_name_pattern: null },
  },
  {
    method: 'POST',
    path: `${own}/groups/g/offsets`,
    body: { offsets: [{ topic_name: 'orders', partition_id: 0, offset: 0 }] },
  },
  { method: 'POST', path: `${own}/topics/orders/partitions/0/leader`, body: { broker_id: 1 } },
  { method: 'GET', path: `${rest}/topics/orders/partitions/0` },
  { method: 'GET', path: `${rest}/consumer-groups/g/lags` },
  { method: 'GET', path: `${own}/topics/orders` },
  { method: 'GET', path: '/metrics' },
]

function urlOf(path: string, clusterId: string, random: Random): string {
  const whole = path.replace('CLUSTER', clusterId)
  if (!chance(random, 4)) return whole
  const parts = whole.split('/')
  parts[1 + random.below(parts.length - 1)] = encodeURIComponent(oddText(random).toWellFormed())
  return parts.join('/')
}

/** Thousands of partitions are allowed, and take the seconds that they take: not what is looked for here. */
function withFewPartitions(body: unknown): unknown {
  const count = Number(Reflect.get(Object(body), 'partitions_count'))
  return count > 500 && count <= partitionMaxCount ? { ...(body as object), partitions_count: 500 } : body
}

async function runHttp(broker: TestBroker, app: FastifyInstance, random: Random): Promise<void> {
  const { method, path, body } = pick(random, httpRequests)
  const changed = body === undefined ? undefined : withFewPartitions(mutatedJson(random, body))
  const text = changed === undefined ? '' : JSON.stringify(changed)
  const payload = Buffer.from(chance(random, 3) ? mutated(random, Buffer.from(text)) : text)
  const type = chance(random, 20) ? oddText(random).replaceAll(/[^\x20-\x7e]/g, '') : 'application/json'
  const url = urlOf(path, broker.broker.clusterId, random)
  const headers = body === undefined ? {} : { 'content-type': type }
  const answer = await app.inject({ method, url, headers, ...(body !== undefined && { payload }) })
  assertNoDefect(broker)
  assert.ok(answer.statusCode < 500, `${method} ${url} ${text.slice(0, 500)}: ${answer.statusCode} ${answer.body}`)
}

async function openHttp(): Promise<OpenTarget> {
  const cleanups = new Cleanups()
  const broker = await startTestBroker(cleanups, { topics })
  const app = buildHttpApp(broker.broker.httpParts, new AbortController().signal)
  cleanups.after(() => app.close())
  return { run: (random) => runHttp(broker, app, random), close: () => cleanups.run() }
}

export const http: Target = { name: 'http', weight: 10, deadlineMs: 10_000, casesPerOpening: 200, open: openHttp }

// --- Disks ---

type Files = ReadonlyMap<string, Uint8Array>

function newDisk(): MemoryDisk {
  return new MemoryDisk((run) => nodeClock.defer(run))
}

async function filesOf(disk: MemoryDisk, folder = ''): Promise<Map<string, Uint8Array>> {
  const files = new Map<string, Uint8Array>()
  for (const { name, isDirectory } of await disk.list(folder)) {
    const path = folder === '' ? name : `${folder}/${name}`
    if (!isDirectory) files.set(path, await disk.readFile(path))
    else for (const [inner, bytes] of await filesOf(disk, path)) files.set(inner, bytes)
  }
  return files
}

async function diskOf(files: Files): Promise<MemoryDisk> {
  const disk = newDisk()
  for (const [path, bytes] of files) {
    if (path.includes('/')) await disk.makeDirectory(path.slice(0, path.lastIndexOf('/')))
    await disk.replaceFile(path, bytes)
  }
  return disk
}

/** The files of a broker with a bit of everything, stopped cleanly and not. */
async function brokerFiles(): Promise<readonly Files[]> {
  const cleanups = new Cleanups()
  const disk = newDisk()
  const configs = {
    'log.index.interval.bytes': '200',
    'offsets.topic.num.partitions': '2',
  }
  const broker = await startTestBroker(cleanups, { disk, topics, configs })
  for (let round = 0; round < 12; round++) {
    const compression = pick({ below: () => round % compressions.length } as unknown as Random, compressions)
    const producer = { producerId: 5n, producerEpoch: 0, baseSequence: round * 2 }
    const values = [{ key: 'k', value: 'x'.repeat(300) }, { value: null }]
    const batch = buildBatch({ records: values, compression, ...(round % 2 === 0 ? {} : producer) })
    await broker.send(Produce, 9, produceRequest({ records: [batch], partition: round % 2 }))
  }
  const app = buildHttpApp(broker.broker.httpParts, new AbortController().signal)
  for (const { method, path, body } of httpRequests.filter(({ path }) => /offsets|configs\//.test(path)))
    await app.inject({ method, url: path.replace('CLUSTER', broker.broker.clusterId), payload: body as object })
  await app.close()
  const running = await filesOf(disk)
  await cleanups.run()
  return [running, await filesOf(disk)]
}

/** Damages up to three files; of batches, often so that their checksum holds. */
function damaged(random: Random, files: Files): Map<string, Uint8Array> {
  const changed = new Map(files)
  const paths = [...files.keys()]
  for (let count = 1 + random.below(3); count > 0; count--) {
    const path = pick(random, paths)
    const bytes = changed.get(path)
    if (!bytes) continue
    const kind = random.below(15)
    if (kind === 0) changed.delete(path)
    else if (kind === 1) changed.set(path, new Uint8Array(random.below(200)))
    else {
      const after = mutated(random, bytes)
      const isBatch = after.length === bytes.length && path.endsWith('.log') && bytes.length > 61
      changed.set(path, isBatch && chance(random, 2) ? withFirstSealed(after) : after)
    }
  }
  return changed
}

/** Makes the checksum of the first batch hold. */
function withFirstSealed(bytes: Uint8Array): Uint8Array {
  const sizeBytes = 12 + new DataView(bytes.buffer, bytes.byteOffset).getInt32(8)
  if (sizeBytes < 61 || sizeBytes > bytes.length) return bytes
  return joined(sealInPlace(bytes.slice(0, sizeBytes)), bytes.subarray(sizeBytes))
}

/** It opens, or says what is wrong with the files. What opens can be read, stops, and opens again. */
async function runDisk(random: Random, files: Files): Promise<void> {
  const disk = await diskOf(damaged(random, files))
  for (let opening = 0; opening < 2; opening++) {
    const cleanups = new Cleanups()
    let broker: TestBroker
    try {
      broker = await startTestBroker(cleanups, { disk })
    } catch (error) {
      if (error instanceof DiskError || error instanceof MetadataError) return
      throw error
    }
    const partitions = [0, 1].map((partition) => ({ partition }))
    await broker.send(Fetch, 11, fetchRequest({ partitions }))
    await broker.send(Produce, 9, produceRequest({ partition: random.below(2) }))
    await cleanups.run()
  }
}

async function openDisks(): Promise<OpenTarget> {
  const kinds = await brokerFiles()
  return { run: (random) => runDisk(random, pick(random, kinds)) }
}

export const disks: Target = { name: 'disks', weight: 3, deadlineMs: 10_000, casesPerOpening: 1_000, open: openDisks }
