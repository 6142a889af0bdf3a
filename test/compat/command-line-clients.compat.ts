/**
 * kcat and Kafka's console clients produce to our broker and read back what they wrote. Client libraries are in the
 * matrix.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { codecs, createTopics, recordsOf, type Codec, type TestRecord } from './support/clients.ts'
import { describeTopic } from './support/mirrors.ts'
import { kafkaTool, runKafkaTool, usePeer } from './support/peers.ts'
import { mustRun, runCommand } from './support/processes.ts'
import { startTitorelli } from './support/titorelli.ts'

/** Reads a whole partition with kcat: every record as key and value. */
async function readWithKcat(bootstrap: string, topic: string): Promise<TestRecord[]> {
  const args = [
    '-b',
    bootstrap,
    '-C',
    '-t',
    topic,
    '-p',
    '0',
    '-o',
    'beginning',
    '-e',
    '-q',
    '-X',
    'check.crcs=true',
    '-f',
    '%k\\t%s\\n',
  ]
  const { stdout } = await mustRun('kcat', args, { timeoutMs: 30_000 })
  return stdout
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => ({ key: line.split('\t')[0]!, value: line.split('\t')[1]! }))
}

async function consoleProduce(
  bootstrap: string,
  topic: string,
  options: { readonly codec: Codec; readonly records: readonly TestRecord[] },
): Promise<void> {
  const input = options.records.map(({ key, value }) => `${key}\t${value}\n`).join('')
  const flags = ['--compression-codec', options.codec, '--reader-property', 'parse.key=true']
  await kafkaTool('kafka-console-producer', ['--bootstrap-server', bootstrap, '--topic', topic, ...flags], input)
}

async function kcatProduce(
  bootstrap: string,
  topic: string,
  options: { readonly codec: Codec; readonly records: readonly TestRecord[] },
): Promise<void> {
  const input = options.records.map(({ key, value }) => `${key}\t${value}\n`).join('')
  const flags = ['-P', '-t', topic, '-p', '0', '-K', '\t', '-z', options.codec, '-X', 'acks=all']
  await mustRun('kcat', ['-b', bootstrap, ...flags], { input, timeoutMs: 30_000 })
}

test('kcat produces and consumes with every codec, idempotent too', async (t) => {
  if (!(await usePeer(t, 'kcat'))) return
  const broker = await startTitorelli(t)
  for (const codec of codecs) {
    const records = recordsOf(`kcat-${codec}`, 200)
    await kcatProduce(broker.bootstrap, `kcat-${codec}`, { codec, records })
    assert.deepEqual(await readWithKcat(broker.bootstrap, `kcat-${codec}`), records, codec)
  }
  const input = recordsOf('idempotent', 100)
    .map(({ value }) => `${value}\n`)
    .join('')
  const flags = ['-P', '-t', 'kcat-idempotent', '-p', '0', '-X', 'enable.idempotence=true']
  await mustRun('kcat', ['-b', broker.bootstrap, ...flags], { input, timeoutMs: 30_000 })
  assert.equal((await readWithKcat(broker.bootstrap, 'kcat-idempotent')).length, 100)
})

test('kcat lists the cluster and asks for offsets by time', async (t) => {
  if (!(await usePeer(t, 'kcat'))) return
  const broker = await startTitorelli(t)
  await kcatProduce(broker.bootstrap, 'listed', { codec: 'none', records: recordsOf('listed', 3) })
  const { stdout } = await mustRun('kcat', ['-b', broker.bootstrap, '-L', '-J'])
  const listing = JSON.parse(stdout) as { topics: { topic: string; partitions: unknown[] }[] }
  assert.deepEqual(
    listing.topics.map(({ topic }) => topic),
    ['listed'],
  )
  const byTime = await mustRun('kcat', ['-b', broker.bootstrap, '-Q', '-t', 'listed:0:0'])
  assert.match(byTime.stdout, /listed \[0\] offset 0/)
})

test("Kafka's console producer produces with every codec", async (t) => {
  if (!(await usePeer(t, 'kafka-console-producer')) || !(await usePeer(t, 'kcat'))) return
  const broker = await startTitorelli(t)
  for (const codec of codecs) {
    const records = recordsOf(`console-${codec}`, 200)
    await consoleProduce(broker.bootstrap, `console-${codec}`, { codec, records })
    assert.deepEqual(await readWithKcat(broker.bootstrap, `console-${codec}`), records, codec)
  }
})

test("Kafka's console consumer reads a partition without a group, and its tools list topics and offsets", async (t) => {
  if (!(await usePeer(t, 'kafka-console-producer'))) return
  const broker = await startTitorelli(t)
  const records = recordsOf('read', 100)
  await consoleProduce(broker.bootstrap, 'read', { codec: 'zstd', records })
  const server = ['--bootstrap-server', broker.bootstrap]
  const from = ['--topic', 'read', '--partition', '0', '--offset', 'earliest', '--max-messages', '100']
  const printed = await kafkaTool('kafka-console-consumer', [...server, ...from, '--timeout-ms', '20000'])
  assert.deepEqual(
    printed.split('\n').slice(0, -1),
    records.map(({ value }) => value),
  )
  assert.equal(await kafkaTool('kafka-get-offsets', [...server, '--topic', 'read']), 'read:0:100\n')
  assert.match(await kafkaTool('kafka-topics', [...server, '--describe']), /Topic: read\s.*PartitionCount: 1\s/)
})

test('kcat and the console producer are refused at once when they write to a mirror, with the reason where they show it', async (t) => {
  if (!(await usePeer(t, 'kcat')) || !(await usePeer(t, 'kafka-console-producer'))) return
  const source = await startTitorelli(t)
  const mirror = await startTitorelli(t)
  await createTopics(source.bootstrap, [{ topic: 'orders' }])
  await mirror.mustCli('link', 'create', 'west', '--source-bootstrap-server', source.bootstrap)
  await mirror.mustCli('mirror', 'create', 'orders', '--link', 'west')
  const input = 'x\n'

  const flags = ['-P', '-t', 'orders', '-p', '0', '-X', 'message.timeout.ms=8000']
  const kcat = await runCommand('kcat', ['-b', mirror.bootstrap, ...flags], { input })
  assert.match(kcat.stderr, /Invalid request/i)
  const args = ['--bootstrap-server', mirror.bootstrap, '--topic', 'orders']
  const { stdout, stderr } = await runKafkaTool('kafka-console-producer', args, input)
  assert.match(stdout + stderr, /InvalidRequestException/)
  assert.match(stdout + stderr, /Cannot append records to read-only mirror topic 'orders'/)
  const { partitions } = await describeTopic(mirror, 'orders')
  assert.equal(partitions[0]?.high_watermark, 0, 'nothing was appended')
})
