import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { nodeClock } from '../../src/environment/node-clock.ts'
import { nodeRandom } from '../../src/environment/node-random.ts'
import { silentLogger } from '../../src/environment/logger.ts'
import { simulatedEnvironment } from '../../src/environment/simulated-environment.ts'
import { LogMetadataStore, metadataLogPath, type MetadataEnvironment } from '../../src/metadata/metadata-log.ts'
import { MetadataError, type MetadataErrorCode } from '../../src/metadata/metadata-error.ts'
import { NodeDisk } from '../../storage/node-disk.ts'
import { append, configOf, metadataStoreContract, topicOf } from '../contracts/metadata-store.ts'

function memoryEnvironment(seed = 1): MetadataEnvironment {
  return simulatedEnvironment({ seed, host: nodeClock })
}

metadataStoreContract('metadata log in memory', () => {
  const environment = memoryEnvironment()
  return { open: () => LogMetadataStore.open(environment, { nodeId: 1 }) }
})

metadataStoreContract('metadata log on disk', (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'titorelli-metadata-'))
  t.after(() => rmSync(folder, { recursive: true }))
  const environment = { disk: new NodeDisk(folder), clock: nodeClock, random: nodeRandom, logger: silentLogger }
  return { open: () => LogMetadataStore.open(environment, { nodeId: 1 }) }
})

function openLog(environment: MetadataEnvironment, options: { nodeId?: number; clusterId?: string } = {}) {
  return LogMetadataStore.open(environment, { nodeId: 1, ...options })
}

async function refusalOf(opening: Promise<LogMetadataStore>): Promise<MetadataError> {
  const error = await opening.then(
    () => assert.fail('the log opened'),
    (reason: unknown) => reason,
  )
  assert(error instanceof MetadataError)
  return error
}

async function readText(environment: MetadataEnvironment, path: string): Promise<string> {
  return Buffer.from(await environment.disk.readFile(path)).toString()
}

/** Replaces the bytes of the log. */
async function rewriteLog(environment: MetadataEnvironment, change: (bytes: Uint8Array) => Uint8Array): Promise<void> {
  const bytes = new Uint8Array(await environment.disk.readFile(metadataLogPath))
  await environment.disk.replaceFile(metadataLogPath, change(bytes))
}

test('a formatted directory says whose it is, in the format of Kafka', async () => {
  const environment = memoryEnvironment()
  const store = await openLog(environment, { clusterId: 'my-cluster', nodeId: 3 })
  assert.equal(store.image.clusterId, 'my-cluster')
  assert.equal(
    await readText(environment, 'meta.properties'),
    `cluster.id=my-cluster\ndirectory.id=${store.directoryId}\nnode.id=3\nversion=1\n`,
  )
})

test('the file of another cluster or node is refused by both names', async () => {
  const environment = memoryEnvironment()
  const store = await openLog(environment, { clusterId: 'one' })
  await store.close()
  const cluster = await refusalOf(openLog(environment, { clusterId: 'two' }))
  assert.equal(cluster.code, 'CLUSTER_ID_MISMATCH')
  assert.match(cluster.message, /cluster one\b.*\btwo\b/)
  const node = await refusalOf(openLog(environment, { nodeId: 2 }))
  assert.equal(node.code, 'NODE_ID_MISMATCH')
  assert.match(node.message, /node 1\b.*node.id is 2/)
  const again = await openLog(environment, { clusterId: 'one' })
  await again.close()
})

test('meta.properties that Kafka wrote, with its comments, is understood', async () => {
  const environment = memoryEnvironment()
  const { clusterId } = (await openLog(environment)).image
  const text = `#\n#Sat Nov 21 10:00:00 UTC 2026\nnode.id=1\ndirectory.id=AAAAAAAAAAAAAAAAAAAAAQ\nversion=1\ncluster.id=${clusterId}\n`
  await environment.disk.replaceFile('meta.properties', Buffer.from(text))
  const store = await openLog(environment)
  assert.equal(store.directoryId, 'AAAAAAAAAAAAAAAAAAAAAQ')
})

for (const [what, content, code] of [
  ['of a later version', 'version=2\ncluster.id=a\nnode.id=1\ndirectory.id=d\n', 'UNSUPPORTED'],
  ['without a cluster id', 'version=1\nnode.id=1\ndirectory.id=d\n', 'CORRUPT'],
  ['with a damaged directory id', 'version=1\ncluster.id=a\nnode.id=1\ndirectory.id=d\n', 'CORRUPT'],
] as const) {
  test(`meta.properties ${what} is refused as ${code}`, async () => {
    const environment = memoryEnvironment()
    await environment.disk.replaceFile('meta.properties', Buffer.from(content))
    assert.equal((await refusalOf(openLog(environment))).code, code satisfies MetadataErrorCode)
  })
}

test('a directory that lost its log, or its meta.properties, is refused and not formatted anew', async () => {
  const environment = memoryEnvironment()
  const store = await openLog(environment)
  await append(store, topicOf('t'))
  await store.close()
  const meta = await environment.disk.readFile('meta.properties')
  await environment.disk.remove('meta.properties')
  assert.equal((await refusalOf(openLog(environment))).code, 'INCOMPLETE')
  await environment.disk.replaceFile('meta.properties', meta)
  await (await openLog(environment)).close()
  await environment.disk.remove('__cluster_metadata-0')
  assert.equal((await refusalOf(openLog(environment))).code, 'INCOMPLETE')
})

test('a last write torn at any byte is cut off, and the log goes on', async () => {
  const environment = memoryEnvironment()
  let store = await openLog(environment)
  await append(store, topicOf('kept'))
  const kept = await environment.disk.readFile(metadataLogPath)
  await append(store, [...topicOf('torn', 2)])
  await store.close()
  const whole = await environment.disk.readFile(metadataLogPath)
  for (let sizeBytes = kept.length + 1; sizeBytes < whole.length; sizeBytes++) {
    await environment.disk.replaceFile(metadataLogPath, whole.subarray(0, sizeBytes))
    store = await openLog(environment)
    assert.deepEqual([...store.image.topics.keys()], ['kept'], `cut at byte ${sizeBytes}`)
    assert.equal((await environment.disk.readFile(metadataLogPath)).length, kept.length)
    await append(store, topicOf('next'))
    await store.close()
    store = await openLog(environment)
    assert.deepEqual([...store.image.topics.keys()], ['kept', 'next'])
    await store.close()
  }
})

test('zeros and noise behind the last batch are cut off', async () => {
  for (const tail of [new Uint8Array(100), new Uint8Array(5000).fill(2), new Uint8Array([1])]) {
    const environment = memoryEnvironment()
    const store = await openLog(environment)
    await append(store, topicOf('t'))
    await store.close()
    await rewriteLog(environment, (bytes) => Buffer.concat([bytes, tail]))
    const again = await openLog(environment)
    assert.deepEqual([...again.image.topics.keys()], ['t'])
    await append(again, topicOf('u'))
    await again.close()
    const third = await openLog(environment)
    assert.equal(third.image.topics.size, 2)
  }
})

test('what a crash left of a first start is written over', async () => {
  const environment = memoryEnvironment()
  await environment.disk.makeDirectory('__cluster_metadata-0')
  await environment.disk.replaceFile(metadataLogPath, new Uint8Array(10_000).fill(1))
  const store = await openLog(environment)
  assert((await environment.disk.readFile(metadataLogPath)).length < 1000)
  await append(store, topicOf('t'))
  await store.close()
  const again = await openLog(environment)
  assert(again.image.topics.has('t'))
})

test('damage with acknowledged changes behind it is refused, whichever byte it is', async () => {
  const environment = memoryEnvironment()
  const store = await openLog(environment)
  const first = await environment.disk.readFile(metadataLogPath)
  await append(store, topicOf('damaged'))
  const middle = await environment.disk.readFile(metadataLogPath)
  await append(store, topicOf('behind'))
  await store.close()
  const whole = await environment.disk.readFile(metadataLogPath)
  for (let at = first.length; at < middle.length; at++) {
    // The leader epoch (bytes 12 to 15 of a batch) is outside the checksum, and means nothing here.
    if (at - first.length >= 12 && at - first.length < 16) continue
    const bytes = new Uint8Array(whole)
    bytes[at]! ^= 0x40
    await environment.disk.replaceFile(metadataLogPath, bytes)
    const error = await refusalOf(openLog(environment))
    assert.equal(error.code, 'CORRUPT', `byte ${at}`)
    assert.match(error.message, new RegExp(`damaged at byte ${first.length} `))
  }
})

test('a missing or a doubled batch is refused', async () => {
  const environment = memoryEnvironment()
  const store = await openLog(environment)
  const first = (await environment.disk.readFile(metadataLogPath)).length
  await append(store, topicOf('a'))
  const second = (await environment.disk.readFile(metadataLogPath)).length
  await append(store, topicOf('b'))
  await store.close()
  const whole = new Uint8Array(await environment.disk.readFile(metadataLogPath))
  for (const parts of [
    [whole.subarray(0, first), whole.subarray(second)],
    [whole, whole.subarray(second)],
  ]) {
    await environment.disk.replaceFile(metadataLogPath, Buffer.concat(parts))
    assert.equal((await refusalOf(openLog(environment))).code, 'CORRUPT')
  }
})

test('a log of ten thousand topics opens, and a change shares all that it does not touch', async () => {
  const environment = memoryEnvironment()
  let store = await openLog(environment)
  for (let group = 0; group < 10; group++) {
    const names = Array.from({ length: 1000 }, (_, index) => `t${group * 1000 + index}`)
    await append(
      store,
      names.flatMap((name) => topicOf(name)),
    )
  }
  await store.close()
  store = await openLog(environment)
  const before = store.image
  assert.equal(before.topics.size, 10_000)
  await append(store, [configOf('t5', 'a', '1')])
  const untouched = [...before.topics.values()].filter((topic) => store.image.topics.get(topic.name) === topic)
  assert.equal(untouched.length, 9_999)
})
