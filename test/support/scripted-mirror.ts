/** A scripted source, a broker, the link `west` between them, and a mirror of its topic `orders`. */
import type { Compression } from '../../protocol/records/batch.ts'
import { MemoryNetwork } from '../../src/environment/memory-network.ts'
import { nodeClock } from '../../src/environment/node-clock.ts'
import { LinkManager, type LinkManagerOptions } from '../../src/links/link-manager.ts'
import { startTestBroker, type Cleanup, type TestBroker, type TestBrokerOptions } from './broker.ts'
import { linkName, until } from './mirror.ts'
import { batchOf } from './records.ts'
import { ScriptedSource, type ScriptedSourceOptions } from './scripted-source.ts'

export const fastLink = {
  'reconnect.backoff.ms': '1',
  'reconnect.backoff.max.ms': '20',
  'replica.fetch.wait.max.ms': '20',
  'request.timeout.ms': '1000',
}

export interface ScriptedMirror {
  readonly network: MemoryNetwork
  readonly source: ScriptedSource
  readonly mirror: TestBroker
}

export interface ScriptedMirrorOptions {
  readonly source?: Omit<Partial<ScriptedSourceOptions>, 'network'>
  readonly partitionCount?: number
  readonly linkConfigs?: Readonly<Record<string, string>>
  readonly mirror?: TestBrokerOptions
  readonly links?: LinkManagerOptions
  /** Called before the mirror is created. */
  readonly prepare?: (source: ScriptedSource) => void
}

export async function startScriptedMirror(t: Cleanup, options: ScriptedMirrorOptions = {}): Promise<ScriptedMirror> {
  const network = new MemoryNetwork(nodeClock)
  const source = await ScriptedSource.start(t, { network, ...options.source })
  source.addTopic('orders', options.partitionCount ?? 1)
  options.prepare?.(source)
  const mirror = await startTestBroker(t, {
    network,
    host: 'mirror.test',
    port: 9093,
    seed: 22,
    openLinks: (parts) => LinkManager.open(parts, options.links),
    ...options.mirror,
  })
  const configs = { 'bootstrap.servers': source.bootstrapServers, ...fastLink, ...options.linkConfigs }
  await mirror.broker.links!.createLink({ name: linkName, configs: new Map(Object.entries(configs)) })
  await mirror.broker.links!.createMirror(linkName, { sourceTopicName: 'orders' })
  return { network, source, mirror }
}

/** Appends one batch of so many records behind what is there. */
export function appendTo(
  source: ScriptedSource,
  batch: { partition?: number; from: bigint; count?: number; leaderEpoch?: number; compression?: Compression },
): Uint8Array {
  const { partition = 0, from, count = 1, leaderEpoch = 0, compression = 'none' } = batch
  const values = Array.from({ length: count }, (_, index) => `value ${from + BigInt(index)}`)
  const bytes = batchOf(values, { baseOffset: from, leaderEpoch, compression })
  source.append('orders', partition, bytes)
  return bytes
}

export function untilEnd({ mirror }: ScriptedMirror, end: bigint, partitionIndex = 0): Promise<void> {
  const { logs, topics } = mirror.broker.parts
  return until(`partition ${partitionIndex} ends at ${end}`, () => {
    const log = topics.find('orders')?.partitions[partitionIndex]?.log
    return log !== undefined && logs.view(log).logEndOffset === end
  })
}

/** The broker of a mirror again, after it was stopped. */
export async function restartMirror(t: Cleanup, pair: ScriptedMirror): Promise<ScriptedMirror> {
  const { disk } = pair.mirror.environment
  await pair.mirror.broker.stop()
  const mirror = await startTestBroker(t, { network: pair.network, disk, host: 'mirror.test', port: 9093, seed: 23 })
  return { ...pair, mirror }
}
