/** Two brokers on one network, and a link between them. */
import assert from 'node:assert/strict'
import { Produce } from '../../protocol/apis/produce.ts'
import { lastOffsetOf, splitBatches } from '../../protocol/records/batch.ts'
import { LinkManager, type LinkManagerOptions } from '../../src/links/link-manager.ts'
import type { MirrorDescription } from '../../src/links/link-service.ts'
import { MemoryNetwork } from '../../src/environment/memory-network.ts'
import { nodeClock } from '../../src/environment/node-clock.ts'
import { startTestBroker, type Cleanup, type TestBroker, type TestBrokerOptions } from './broker.ts'
import { produceRequest, type ProduceOptions } from './requests.ts'

export interface MirrorPair {
  readonly network: MemoryNetwork
  readonly source: TestBroker
  readonly mirror: TestBroker
}

export interface MirrorPairOptions {
  readonly topics?: Readonly<Record<string, number>>
  readonly linkConfigs?: Readonly<Record<string, string>>
  readonly source?: TestBrokerOptions
  readonly mirror?: TestBrokerOptions
  readonly links?: LinkManagerOptions
}

export const linkName = 'west'

/** Starts a source and a destination with the link `west` between them. */
export async function startMirrorPair(t: Cleanup, options: MirrorPairOptions = {}): Promise<MirrorPair> {
  const network = new MemoryNetwork(nodeClock)
  const source = await startTestBroker(t, {
    network,
    host: 'source.test',
    port: 9092,
    seed: 11,
    topics: options.topics ?? { orders: 1 },
    ...options.source,
  })
  const mirror = await startTestBroker(t, {
    network,
    host: 'mirror.test',
    port: 9093,
    seed: 22,
    openLinks: (parts) => LinkManager.open(parts, options.links),
    ...options.mirror,
  })
  const configs = new Map(Object.entries({ 'bootstrap.servers': 'source.test:9092', ...options.linkConfigs }))
  await mirror.broker.links!.createLink({ name: linkName, configs })
  return { network, source, mirror }
}

export async function produce(to: TestBroker, options: ProduceOptions = {}): Promise<bigint> {
  const response = await to.send(Produce, 9, produceRequest(options))
  const partition = response.responses[0]!.partitionResponses[0]!
  assert.equal(partition.errorCode, 0, partition.errorMessage ?? '')
  return partition.baseOffset
}

/** All visible bytes of a partition, as its log store gives them. */
export async function bytesOf({ broker }: TestBroker, topic = 'orders', partitionIndex = 0): Promise<Buffer> {
  const { logs, topics } = broker.parts
  const { log } = topics.find(topic)!.partitions[partitionIndex]!
  const chunks: Uint8Array[] = []
  const { logStartOffset, highWatermark } = logs.view(log)
  let offset = logStartOffset
  while (offset < highWatermark) {
    const request = { log, offset, maxBytes: 1 << 20, isolation: 'uncommitted' } as const
    const [result] = await logs.read([request], { maxBytes: 1 << 20, minOneBatch: true })
    assert(result?.ok, JSON.stringify(result?.ok === false && result.message))
    const bytes = Buffer.concat(result.chunks)
    assert(bytes.length > 0)
    chunks.push(bytes)
    offset = lastOffsetOf(splitBatches(bytes).at(-1)!.header) + 1n
  }
  return Buffer.concat(chunks)
}

export function describe({ broker }: TestBroker, topic = 'orders'): MirrorDescription {
  return broker.links!.describeMirror(linkName, topic)
}

/** Resolves when the condition holds. Asked again in each turn of the event loop; fails loudly after a while. */
export async function until(
  what: string,
  condition: () => boolean | Promise<boolean>,
  timeoutMs = 5_000,
): Promise<void> {
  const deadlineMs = performance.now() + timeoutMs
  while (!(await condition())) {
    if (performance.now() > deadlineMs) assert.fail(`still not: ${what}`)
    await new Promise((resolve) => setTimeout(resolve, 2))
  }
}

export function endOf({ broker }: TestBroker, topic = 'orders', partitionIndex = 0): bigint {
  const { logs, topics } = broker.parts
  return logs.view(topics.find(topic)!.partitions[partitionIndex]!.log).logEndOffset
}

/** Resolves when the mirror ends where its source does. */
export function untilMirrored({ source, mirror }: MirrorPair, topic = 'orders', partitionIndex = 0): Promise<void> {
  const isMirrored = (): boolean => {
    const partition = mirror.broker.parts.topics.find(topic)?.partitions[partitionIndex]
    return partition !== undefined && endOf(mirror, topic, partitionIndex) === endOf(source, topic, partitionIndex)
  }
  return until(`${topic}-${partitionIndex} is mirrored`, isMirrored)
}
