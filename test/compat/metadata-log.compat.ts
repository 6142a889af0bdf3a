/**
 * Kafka's dump tool reads a metadata log and snapshots that were written here: its own records in full, ours as keys
 * that it skips.
 */
import assert from 'node:assert/strict'
import { mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { PartitionChangeRecord, ProducerIdsRecord, RemoveTopicRecord } from '../../protocol/state/metadata-records.ts'
import { Link, Mirror, MirrorState } from '../../protocol/state/mirror-records.ts'
import { silentLogger } from '../../src/environment/logger.ts'
import { nodeClock } from '../../src/environment/node-clock.ts'
import { nodeRandom } from '../../src/environment/node-random.ts'
import { LogMetadataStore, metadataLogPath } from '../../src/metadata/metadata-log.ts'
import { record } from '../../src/metadata/metadata-store.ts'
import { NodeDisk } from '../../storage/node-disk.ts'
import { append, configOf, idOf, topicOf } from '../contracts/metadata-store.ts'
import { kafkaTool, usePeer } from './support/peers.ts'

test("Kafka's metadata decoder reads the metadata log", async (t) => {
  if (!(await usePeer(t, 'kafka'))) return
  const folder = await mkdtemp(join(tmpdir(), 'metadata-'))
  t.after(() => rm(folder, { recursive: true, force: true }))
  const environment = { disk: new NodeDisk(folder), clock: nodeClock, random: nodeRandom, logger: silentLogger }
  const store = await LogMetadataStore.open(environment, { nodeId: 1 })
  const [topicId, linkId] = [idOf('orders'), idOf('link')]
  await append(store, [...topicOf('orders', 2), configOf('orders', 'retention.ms', '5')])
  await append(store, [record(PartitionChangeRecord, { topicId, partitionId: 1, leader: 1 })])
  const nextProducerId = store.image.nextProducerId + 1000n
  await append(store, [record(ProducerIdsRecord, { brokerId: 1, nextProducerId })])
  await append(store, [
    record(Link, { linkId, name: 'l', sourceClusterId: 'c' }),
    record(Mirror, { topicId, linkId, sourceTopicName: 'orders', sourceTopicId: topicId }),
    record(MirrorState, { topicId, state: 'ACTIVE', sinceMs: 1n }),
  ])
  await append(store, [record(RemoveTopicRecord, { topicId })])
  const { offset } = store.image
  await store.close()

  const output = await kafkaTool('kafka-dump-log', [
    '--cluster-metadata-decoder',
    '--files',
    join(folder, metadataLogPath),
  ])
  const lines = output.split('\n')
  const headers = lines.filter((line) => line.startsWith('baseOffset: '))
  assert.equal(headers.length, 6)
  for (const header of headers) assert.match(header, /isvalid: true$/)
  const payloads = lines.filter((line) => line.startsWith('| offset: ')).map((line) => line.replace(/.*payload: /, ''))
  assert.equal(payloads.length, Number(offset) + 1)
  const read = payloads.filter((text) => text.startsWith('{'))
  const skipped = payloads.map((text) => /Unknown metadata id (\d+)/.exec(text)?.[1]).filter((key) => key !== undefined)
  assert.deepEqual(
    read.map((text) => /"type":"(\w+)"/.exec(text)?.[1]),
    [
      'FEATURE_LEVEL_RECORD',
      'TOPIC_RECORD',
      'PARTITION_RECORD',
      'PARTITION_RECORD',
      'CONFIG_RECORD',
      'PARTITION_CHANGE_RECORD',
      'PRODUCER_IDS_RECORD',
      'REMOVE_TOPIC_RECORD',
    ],
  )
  assert.deepEqual(skipped, ['30008', '30006', '30000', '30004', '30005'])
  assert(read.some((text) => text.includes(`"nextProducerId":${nextProducerId}`)))
  assert(read.some((text) => text.includes(`"directories":["${store.directoryId}"]`)))
})

test("Kafka's metadata decoder reads a snapshot and the log behind it", async (t) => {
  if (!(await usePeer(t, 'kafka'))) return
  const folder = await mkdtemp(join(tmpdir(), 'metadata-'))
  t.after(() => rm(folder, { recursive: true, force: true }))
  const environment = { disk: new NodeDisk(folder), clock: nodeClock, random: nodeRandom, logger: silentLogger }
  const snapshotting = await LogMetadataStore.open(environment, { nodeId: 1, bytesBetweenSnapshots: 1 })
  await append(snapshotting, [...topicOf('orders', 2), configOf('orders', 'retention.ms', '5')])
  const endOffset = snapshotting.image.offset + 1n
  await snapshotting.close()
  const store = await LogMetadataStore.open(environment, { nodeId: 1 })
  await append(store, topicOf('behind'))
  await store.close()

  const directory = join(folder, '__cluster_metadata-0')
  const names = (await readdir(directory)).filter((name) => name.startsWith(`${endOffset}`.padStart(20, '0')))
  const [checkpoint, log] = names.sort()
  const dump = (name: string) =>
    kafkaTool('kafka-dump-log', ['--cluster-metadata-decoder', '--files', join(directory, name)])
  const snapshot = await dump(checkpoint!)
  assert.match(snapshot, new RegExp(`^Snapshot end offset: ${endOffset}, epoch: 1$`, 'm'))
  const headers = snapshot.split('\n').filter((line) => line.startsWith('baseOffset: '))
  assert.equal(headers.length, 3)
  for (const header of headers) assert.match(header, /partitionLeaderEpoch: 1 .*isvalid: true$/)
  assert.match(snapshot, /offset: 0 .*SnapshotHeader \{"version":0,"lastContainedLogTimestamp":\d{13}\}/)
  assert.deepEqual(typesIn(snapshot), [
    'FEATURE_LEVEL_RECORD',
    'PRODUCER_IDS_RECORD',
    'TOPIC_RECORD',
    'PARTITION_RECORD',
    'PARTITION_RECORD',
    'CONFIG_RECORD',
  ])
  assert.match(snapshot, /SnapshotFooter \{"version":0\}\s*$/)
  assert.deepEqual(typesIn(await dump(log!)), ['TOPIC_RECORD', 'PARTITION_RECORD'])
})

function typesIn(output: string): string[] {
  return [...output.matchAll(/"type":"(\w+)"/g)].map(([, type]) => type!)
}
