/** The demo without anything else: two brokers, a load, a mirror, the source killed, failover, and the proof. */
import { cp } from 'node:fs/promises'
import { join } from 'node:path'
import { nodeNetwork } from '../../environment/node-network.ts'
import { silentLogger } from '../../environment/logger.ts'
import { ApiClient } from '../api-client.ts'
import { CliFailure, print, type Cli } from '../cli.ts'
import { sizeOf } from '../table.ts'
import { ChildBroker } from './child-broker.ts'
import { comparePartition, type Compared } from './compare-files.ts'
import { demoBatch, DemoClient, Load } from './load.ts'
import { describeMirror, sumOf, watchMirror } from './mirror-watch.ts'

const topic = { name: 'heathscapes', partitionCount: 3 }
const link = 'from-source'
const watched = { link, topic: topic.name }
const loadMs = 6_000
const stoppedWithinMs = 10_000

/** Runs the whole demo in `folder`. Throws a CliFailure that says what failed. */
export async function runOffline(cli: Cli, folder: string): Promise<void> {
  print(cli, 'Starting two brokers: the source and the destination.')
  const started = await Promise.allSettled([
    ChildBroker.start(cli, 'source', join(folder, 'source')),
    ChildBroker.start(cli, 'destination', join(folder, 'destination')),
  ])
  const brokers = started.filter((one) => one.status === 'fulfilled').map((one) => one.value)
  try {
    for (const one of started) if (one.status === 'rejected') throw one.reason
    const [source, destination] = brokers as [ChildBroker, ChildBroker]
    print(cli, `  source at ${source.bootstrap}, destination at ${destination.bootstrap}`)
    const ends = await mirrorUntilKilled(cli, source, destination)
    await writeToMirror(cli, destination)
    await prove(cli, { source, destination, folder, ends })
  } finally {
    await Promise.all(brokers.map((broker) => broker.end('SIGTERM')))
  }
}

/** Load, link, mirror, kill, failover. Returns the end offset of each partition when mirroring stopped. */
async function mirrorUntilKilled(cli: Cli, source: ChildBroker, destination: ChildBroker): Promise<readonly bigint[]> {
  const client = await DemoClient.connect(nodeNetwork(silentLogger), source.ready.port)
  await client.createTopic(topic.name, topic.partitionCount)
  print(cli, `Writing to ${topic.name} at the source: every codec, ${topic.partitionCount} partitions.`)
  const load = new Load(client, topic)
  const api = new ApiClient(destination.url)
  try {
    const configs = [{ name: 'bootstrap.servers', value: source.bootstrap }]
    await api.kafka('POST', '/links', { query: { link_name: link }, body: { configs } })
    await api.kafka('POST', `/links/${link}/mirrors`, { body: { source_topic_name: topic.name } })
    print(cli, `The destination links to the source and mirrors ${topic.name}:`)
    const untilMs = Date.now() + loadMs
    await watchMirror(api, cli, { ...watched, isDone: () => Date.now() > untilMs })
  } finally {
    await source.end('SIGKILL')
    await load.stop()
    client.close()
  }
  print(cli, `Killed the source with SIGKILL, after it had acknowledged ${load.acknowledged} records.`)
  return await failOver(cli, api)
}

async function failOver(cli: Cli, api: ApiClient): Promise<readonly bigint[]> {
  const startedMs = Date.now()
  await api.kafka('POST', `/links/${link}/mirrors:failover`, { body: { mirror_topic_names: [topic.name] } })
  for (;;) {
    const mirror = await describeMirror(api, watched)
    if (mirror.mirror_status === 'STOPPED') {
      print(
        cli,
        `Failed over in ${Date.now() - startedMs} ms: ${sumOf(mirror, 'log_end_offset')} records are mirrored, and the topic can be written to.`,
      )
      return mirror.partitions.map((one) => BigInt(one.log_end_offset))
    }
    if (Date.now() - startedMs > stoppedWithinMs)
      throw new CliFailure(`failover: still ${mirror.mirror_status} after ${stoppedWithinMs} ms`)
    await new Promise((resolve) => setTimeout(resolve, 10))
  }
}

async function writeToMirror(cli: Cli, destination: ChildBroker): Promise<void> {
  const client = await DemoClient.connect(nodeNetwork(silentLogger), destination.ready.port)
  const offset = await client.produce(topic.name, 0, demoBatch(0))
  client.close()
  print(cli, `Wrote to what was the mirror: partition 0 goes on at offset ${offset}.`)
}

interface Proof {
  readonly source: ChildBroker
  readonly destination: ChildBroker
  readonly folder: string
  readonly ends: readonly bigint[]
}

async function prove(cli: Cli, { source, destination, folder, ends }: Proof): Promise<void> {
  print(cli, "Comparing the mirror's files with a copy of the source's:")
  const copy = join(folder, 'copy-of-source')
  await cp(source.dataDir, copy, { recursive: true, filter: (path) => !path.endsWith('.sock') })
  const totals = { batches: 0, records: 0, bytes: 0 }
  for (const [partitionIndex, endOffset] of ends.entries()) {
    const label = `${topic.name}-${partitionIndex}`
    const compared: Compared = await comparePartition(
      { source: copy, mirror: destination.dataDir },
      { label, endOffset },
    )
    if (compared.difference !== undefined) throw new CliFailure(`different: ${compared.difference}`)
    totals.batches += compared.batches
    totals.records += compared.records
    totals.bytes += compared.bytes
  }
  if (totals.records === 0) throw new CliFailure('nothing was mirrored')
  print(
    cli,
    `  identical: ${totals.records} records in ${totals.batches} batches, ${sizeOf(totals.bytes)}, byte for byte.`,
  )
}
