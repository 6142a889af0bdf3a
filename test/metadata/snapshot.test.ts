import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  ConfigRecord,
  NoOpRecord,
  PartitionChangeRecord,
  ProducerIdsRecord,
} from '../../protocol/state/metadata-records.ts'
import {
  Link,
  LinkConfig,
  LinkFailure,
  Mirror,
  MirrorState,
  SealedSecret,
} from '../../protocol/state/mirror-records.ts'
import { nodeClock } from '../../src/environment/node-clock.ts'
import { simulatedEnvironment } from '../../src/environment/simulated-environment.ts'
import { MetadataError } from '../../src/metadata/metadata-error.ts'
import { LogMetadataStore, type MetadataEnvironment } from '../../src/metadata/metadata-log.ts'
import { record, type MetadataRecord } from '../../src/metadata/metadata-store.ts'
import { writeSnapshot } from '../../src/metadata/snapshot.ts'
import { append, brokerConfigOf, configOf, idOf, metadataStoreContract, topicOf } from '../contracts/metadata-store.ts'

const folder = '__cluster_metadata-0'

function memoryEnvironment(): MetadataEnvironment {
  return simulatedEnvironment({ seed: 1, host: nodeClock })
}

function openLog(environment: MetadataEnvironment, bytesBetweenSnapshots = 1): Promise<LogMetadataStore> {
  return LogMetadataStore.open(environment, { nodeId: 1, bytesBetweenSnapshots })
}

async function filesOf({ disk }: MetadataEnvironment): Promise<string[]> {
  return (await disk.list(folder)).map(({ name }) => name)
}

function namesOf(...offsets: readonly number[]): { log: string[]; checkpoint: string[] } {
  const names = offsets.map((offset) => String(offset).padStart(20, '0'))
  return {
    log: names.map((name) => `${name}.log`),
    checkpoint: names.map((name) => `${name}-0000000001.checkpoint`),
  }
}

metadataStoreContract('metadata log with a snapshot after each change', () => {
  const environment = memoryEnvironment()
  return { open: () => openLog(environment) }
})

/** One record or more of every type that an image keeps. */
const [topicId, linkId] = [idOf('mirror'), idOf('link')]
const everything: readonly MetadataRecord[] = [
  ...topicOf('plain', 3),
  configOf('plain', 'retention.ms', '7'),
  record(PartitionChangeRecord, { topicId: idOf('plain'), partitionId: 1, leader: 1 }),
  brokerConfigOf('', 'log.retention.ms', '1'),
  brokerConfigOf('1', 'log.retention.ms', '2'),
  record(ConfigRecord, { resourceType: 16, resourceName: 'metrics', name: 'interval.ms', value: '3' }),
  record(ConfigRecord, { resourceType: 32, resourceName: 'group', name: 'consumer.session.timeout.ms', value: '4' }),
  ...topicOf('mirror', 2),
  ...topicOf('stopped'),
  record(Link, { linkId, name: 'west', sourceClusterId: 'c' }),
  record(LinkConfig, { linkId, name: 'client.id', value: 'me' }),
  record(LinkConfig, { linkId, name: 'sasl.jaas.config', value: 'sasl.jaas.config' }),
  record(SealedSecret, { linkId, name: 'sasl.jaas.config', sealed: Buffer.from('sealed bytes') }),
  record(LinkFailure, { linkId, code: 'UNKNOWN', reason: 'why' }),
  record(Mirror, { topicId, linkId, sourceTopicName: 'source', sourceTopicId: idOf('source') }),
  record(Mirror, { topicId: idOf('stopped'), linkId, sourceTopicName: 's', sourceTopicId: idOf('s') }),
  record(MirrorState, {
    topicId: idOf('stopped'),
    state: 'STOPPED',
    sinceMs: 5n,
    error: 'NO_ERROR',
    reason: 'a sentence',
    stopDecisionId: idOf('decision'),
    stopKind: 'promote',
    ends: [{ partitionIndex: 0, leaderEpoch: 4, endOffset: 9_007_199_254_740_993n }],
  }),
]

test('a snapshot holds all that an image does', async () => {
  const environment = memoryEnvironment()
  const store = await openLog(environment)
  const nextProducerId = store.image.nextProducerId + 1000n
  await append(store, [...everything, record(ProducerIdsRecord, { brokerId: 1, nextProducerId })])
  const before = store.image
  await store.close()
  // Without the segments before it, the snapshot is all there is.
  await environment.disk.remove(`${folder}/${namesOf(0).log[0]}`)
  const again = await openLog(environment)
  assert.deepEqual(again.image, before)
})

test('the log goes on in a new segment at each snapshot, and what two snapshots do not need is deleted', async () => {
  const environment = memoryEnvironment()
  const store = await openLog(environment, 100)
  const ends: number[] = []
  for (const name of ['a', 'b', 'c', 'd']) {
    await append(store, topicOf(name, 3)) // more than 100 bytes each
    ends.push(Number(store.image.offset) + 1)
  }
  await store.close()
  const kept = ends.slice(-2)
  assert.deepEqual(await filesOf(environment), [...namesOf(...kept).checkpoint, ...namesOf(...kept).log].sort())
})

test('a snapshot is taken when enough bytes came since the last one, also across restarts', async () => {
  const environment = memoryEnvironment()
  const openings = 12
  for (let at = 0; at < openings; at++) {
    const store = await openLog(environment, 1000)
    await append(store, topicOf(`topic-${at}`))
    await store.close()
  }
  const snapshots = (await filesOf(environment)).filter((name) => name.endsWith('.checkpoint'))
  assert(snapshots.length > 0 && snapshots.length <= 3, `${snapshots.length} snapshots`)
  assert.equal((await openLog(environment)).image.topics.size, openings)
})

/** A log with two snapshots and changes behind them; its last image. */
async function logWithSnapshots(environment: MetadataEnvironment) {
  const store = await openLog(environment)
  for (const name of ['a', 'b', 'c']) await append(store, topicOf(name))
  await store.close()
  const last = await openLog(environment, 1_000_000)
  await append(last, topicOf('behind'))
  const { image } = last
  await last.close()
  const [older, newer] = (await filesOf(environment)).filter((name) => name.endsWith('.checkpoint'))
  return { image, older: `${folder}/${older}`, newer: `${folder}/${newer}` }
}

test('a damaged snapshot is passed over for the one before it, whichever byte is wrong, and removed', async () => {
  const environment = memoryEnvironment()
  const { image, newer } = await logWithSnapshots(environment)
  const whole = new Uint8Array(await environment.disk.readFile(newer))
  const damages: Uint8Array[] = [new Uint8Array(0), whole.subarray(0, 61), Buffer.concat([whole, new Uint8Array(1)])]
  for (let sizeBytes = 10; sizeBytes < whole.length; sizeBytes += 40) damages.push(whole.subarray(0, sizeBytes))
  for (let at = 16; at < whole.length; at += 3) {
    const bytes = whole.slice()
    bytes[at]! ^= 0x40
    damages.push(bytes)
  }
  for (const [index, bytes] of damages.entries()) {
    await environment.disk.replaceFile(newer, bytes)
    const store = await openLog(environment, 1_000_000)
    assert.deepEqual(store.image, image, `damage ${index}`)
    assert.equal(await environment.disk.exists(newer), false)
    await store.close()
  }
})

test('a log that needs what is not there any more is refused', async () => {
  for (const lose of ['both snapshots', 'the log']) {
    const environment = memoryEnvironment()
    const { older, newer } = await logWithSnapshots(environment)
    const logs = (await filesOf(environment)).filter((name) => name.endsWith('.log')).map((name) => `${folder}/${name}`)
    for (const path of lose === 'the log' ? logs : [older, newer]) await environment.disk.remove(path)
    await assert.rejects(openLog(environment), (error: unknown) => {
      assert(error instanceof MetadataError)
      assert.equal(error.code, lose === 'the log' ? 'INCOMPLETE' : 'CORRUPT')
      return true
    })
  }
})

test('a log whose segments do not follow each other is refused', async () => {
  const environment = memoryEnvironment()
  const { newer } = await logWithSnapshots(environment)
  await environment.disk.remove(newer)
  const logs = (await filesOf(environment)).filter((name) => name.endsWith('.log'))
  const bytes = await environment.disk.readFile(`${folder}/${logs.at(-2)}`)
  await environment.disk.replaceFile(`${folder}/${logs.at(-2)}`, bytes.subarray(0, bytes.length - 1))
  await assert.rejects(openLog(environment), { code: 'CORRUPT', message: /the segment before it ends at/ })
})

test('what a crash left of a snapshot and of a new segment is removed', async () => {
  const environment = memoryEnvironment()
  const { image } = await logWithSnapshots(environment)
  const left = [namesOf(99).log[0], `${namesOf(99).checkpoint[0]}.part`]
  for (const name of left) await environment.disk.replaceFile(`${folder}/${name}`, new Uint8Array(0))
  const store = await openLog(environment, 1_000_000)
  assert.deepEqual(store.image, image)
  const names = await filesOf(environment)
  assert(left.every((name) => !names.includes(name!)))
})

test('a directory with snapshots but no meta.properties is not formatted anew', async () => {
  const environment = memoryEnvironment()
  await logWithSnapshots(environment)
  await environment.disk.remove('meta.properties')
  await assert.rejects(openLog(environment), { code: 'INCOMPLETE' })
})

test('records that change nothing but the offset lead to snapshots too', async () => {
  const environment = memoryEnvironment()
  const store = await openLog(environment, 100)
  for (let at = 0; at < 4; at++) await append(store, [record(NoOpRecord, {})])
  const { image } = store
  await store.close()
  assert((await filesOf(environment)).some((name) => name.endsWith('.checkpoint')))
  assert.deepEqual((await openLog(environment)).image, image)
})

/** The first and the last batch of a snapshot that Kafka 4.3.1 wrote: at offset 33, with 9 records in between. */
const kafkaHeader =
  '00000000000000000000004700000001023dba73a4002000000000000001a1fdfc5522000001a1fdfc5522ffffffffffffff' +
  'ffffffffffffff000000012a0000000800000003160000000001a1fdfc55060000'
const kafkaFooter =
  '000000000000000a0000003f000000010214b44d64002000000000000001a1fdfc5525000001a1fdfc5525ffffffffffffff' +
  'ffffffffffffff000000011a00000008000000040600000000'

test("header and footer of a snapshot are Kafka's, byte by byte", async () => {
  const values = Array.from({ length: 9 }, () => Uint8Array.of(1))
  const written = async (nowMs: bigint): Promise<string> => {
    const { disk } = memoryEnvironment()
    await disk.makeDirectory(folder)
    await writeSnapshot(disk, { endOffset: 33n, lastTimestampMs: 1_795_262_534_918n, values }, nowMs)
    return Buffer.from(await disk.readFile(`${folder}/${namesOf(33).checkpoint[0]}`)).toString('hex')
  }
  assert.equal((await written(1_795_262_534_946n)).slice(0, kafkaHeader.length), kafkaHeader)
  assert.equal((await written(1_795_262_534_949n)).slice(-kafkaFooter.length), kafkaFooter)
})
