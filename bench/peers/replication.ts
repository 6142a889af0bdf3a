/** Copies one topic of a Kafka: our broker through a link, or MirrorMaker 2 into a second Kafka. */
import { batching, type Bench } from './bench.ts'
import type { Round } from './metrics.ts'
import { partitionCount, type Broker, type PeerName } from './peers.ts'
import { EndWatcher } from './processes.ts'

const linkName = 'bench'
const recordBytes = 1024

/** One way of copying, with the source paused before it. */
interface Copier {
  readonly port: number
  /** Names the copy is made under; both ways keep names. */
  readonly topicPrefix: string
  cpuSeconds(): Promise<number>
  /** From now on the topic is copied. */
  begin(topic: string): Promise<void>
  /** The copy is not needed any more. */
  forget(topic: string): Promise<void>
}

/**
 * One round: the topic is filled at the source first, then copied. The rate and the CPU count from the first copied
 * record on (so that what an idle copier does to notice the topic counts for neither), up to the last.
 */
export async function replicate(bench: Bench, peer: PeerName, bytes: number): Promise<Round> {
  const source = await bench.warmBroker('kafka')
  const records = Math.round(bytes / recordBytes)
  const copier = peer === 'mirrormaker' ? await mirrorMaker(bench, records) : await ownLink(bench, source, records)
  const round = await copy(bench, { source, copier, records })
  if (peer !== 'mirrormaker') return round
  // In use it is started for a mirror; here it runs, and takes a moment to see the new topic.
  return { ...round, firstRecordMs: (await bench.mirrorMaker(records)).firstRecordMs }
}

async function copy(
  bench: Bench,
  { source, copier, records }: { readonly source: Broker; readonly copier: Copier; readonly records: number },
): Promise<Round> {
  const topic = bench.topicName(copier.topicPrefix)
  await source.createTopic(topic, partitionCount)
  await bench.load('produce', source, { topic, records, recordBytes, more: batching })
  const watcher = await EndWatcher.open(copier.port, topic, partitionCount)
  try {
    const begunMs = performance.now()
    await copier.begin(topic)
    const firstMs = await watcher.reach(1)
    const before = await Promise.all([copier.cpuSeconds(), source.cpuSeconds(), watcher.count()])
    const fromMs = performance.now()
    const endMs = await watcher.reach(records)
    const after = await Promise.all([copier.cpuSeconds(), source.cpuSeconds()])
    const gigabytes = ((records - before[2]) * recordBytes) / 1e9
    return {
      megabytesPerSecond: (gigabytes * 1e6) / (endMs - fromMs),
      cpuSecondsPerGigabyte: (after[0] - before[0]) / gigabytes,
      sourceCpuSecondsPerGigabyte: (after[1] - before[1]) / gigabytes,
      firstRecordMs: firstMs - begunMs,
    }
  } finally {
    watcher.close()
    await copier.forget(topic)
    await source.deleteTopic(topic)
  }
}

const linked = new WeakSet<Broker>()

async function ownLink(bench: Bench, source: Broker, records: number): Promise<Copier> {
  const broker = await bench.warmBroker('titorelli')
  const copier: Copier = {
    port: broker.port,
    topicPrefix: 'titorelli',
    cpuSeconds: () => broker.cpuSeconds(),
    begin: (topic) => post(`${broker.url}/links/${linkName}/mirrors`, { source_topic_name: topic }),
    forget: (topic) => broker.deleteTopic(topic),
  }
  if (!linked.has(broker)) {
    linked.add(broker)
    const configs = [{ name: 'bootstrap.servers', value: source.bootstrap }]
    await post(`${broker.url}/links?link_name=${linkName}`, { configs })
    await copy(bench, { source, copier, records }) // as MirrorMaker, it has copied as much before it is measured
  }
  return copier
}

async function mirrorMaker(bench: Bench, records: number): Promise<Copier> {
  const maker = await bench.mirrorMaker(records)
  maker.pause() // while the topic is filled
  return {
    port: maker.target.port,
    topicPrefix: 'mirrormaker',
    cpuSeconds: () => maker.cpuSeconds(),
    begin: () => {
      maker.resume()
      return Promise.resolve()
    },
    forget: (topic) => maker.target.deleteTopic(topic),
  }
}

async function post(url: string, body: unknown): Promise<void> {
  const headers = { 'content-type': 'application/json' }
  const response = await fetch(url, { method: 'POST', headers, body: JSON.stringify(body) })
  if (!response.ok) throw new Error(`POST ${url} answered ${response.status}: ${await response.text()}`)
}
