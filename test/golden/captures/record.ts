/**
 * Records what clients send, connection by connection, into clients.json beside it: `node
 * test/golden/captures/record.ts`. A proxy stands between them and a broker of ours. The librdkafka client needs Python
 * 3.
 */
import { spawn } from 'node:child_process'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { createServer, connect, type AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Consumer, Producer, stringSerializers } from '@platformatic/kafka'
import { Kafka, logLevel } from 'kafkajs'
import { peerScript } from '../../compat/support/peers.ts'
import { eventually, freePorts } from '../../compat/support/processes.ts'
import { TitorelliProcess } from '../../compat/support/titorelli.ts'

const longestBytes = 6_000

async function kafkajs(bootstrap: string): Promise<void> {
  const kafka = new Kafka({ clientId: 'kafkajs', brokers: [bootstrap], logLevel: logLevel.NOTHING })
  const admin = kafka.admin()
  await admin.connect()
  await admin.createTopics({ topics: [{ topic: 'orders', numPartitions: 2 }] })
  await admin.fetchTopicOffsets('orders')
  await admin.disconnect()
  const producer = kafka.producer({ idempotent: true, maxInFlightRequests: 1 })
  await producer.connect()
  await producer.send({ topic: 'orders', messages: [{ key: 'a', value: '1', headers: { h: 'x' } }, { value: '2' }] })
  await producer.disconnect()
  const consumer = kafka.consumer({ groupId: 'kafkajs' })
  await consumer.connect()
  await consumer.subscribe({ topics: ['orders'], fromBeginning: true })
  const read = Promise.withResolvers<void>()
  await consumer.run({ eachMessage: async () => read.resolve() })
  await read.promise
  await consumer.disconnect()
}

async function platformatic(bootstrap: string): Promise<void> {
  const options = { clientId: 'platformatic', bootstrapBrokers: [bootstrap] }
  const producer = new Producer({ ...options, serializers: stringSerializers, idempotent: true })
  const messages = [{ topic: 'orders', partition: 0, key: 'a', value: '3'.repeat(200) }]
  for (const compression of ['none', 'gzip', 'snappy', 'lz4', 'zstd'] as const)
    await producer.send({ messages, compression })
  await producer.close(true)
  const consumer = new Consumer({ ...options, groupId: 'platformatic' })
  const stream = await consumer.consume({ topics: ['orders'], mode: 'earliest', autocommit: true })
  await new Promise((resolve) => stream.once('data', resolve))
  await consumer.close(true)
}

async function librdkafka(bootstrap: string): Promise<void> {
  for (const args of [
    ['produce', bootstrap, 'orders', '2'],
    ['consume', bootstrap, 'orders', 'librdkafka'],
  ]) {
    const child = spawn(peerScript('librdkafka-client'), args, { stdio: ['pipe', 'pipe', 'inherit'] })
    await new Promise((resolve) => child.stdout.once('data', resolve))
    child.stdin.end()
    await new Promise((resolve) => child.once('exit', resolve))
  }
}

const folder = await mkdtemp(join(tmpdir(), 'titorelli-captures-'))
const [proxyPort] = (await freePorts(1)) as [number]
const broker = new TitorelliProcess(join(folder, 'data'), ['--advertised', `127.0.0.1:${proxyPort}`])
await broker.start()
let streams: Buffer[][] = []
const proxy = createServer((client) => {
  const server = connect(broker.ready.port, '127.0.0.1')
  const sent: Buffer[] = []
  streams.push(sent)
  client.on('data', (bytes: Buffer) => sent.push(bytes))
  client.pipe(server).pipe(client)
  client.on('error', () => server.destroy())
  server.on('error', () => client.destroy())
}).listen(proxyPort, '127.0.0.1')
await eventually('the proxy listens', async () => (proxy.address() as AddressInfo).port === proxyPort)

const captures: { client: string; streams: string[] }[] = []
for (const [client, run] of Object.entries({ kafkajs, platformatic, librdkafka })) {
  streams = []
  await run(`127.0.0.1:${proxyPort}`)
  const texts = streams.map((sent) => Buffer.concat(sent)).filter(({ length }) => length > 0 && length <= longestBytes)
  captures.push({ client, streams: texts.map((bytes) => bytes.toString('base64')) })
}
await writeFile(new URL('clients.json', import.meta.url), `${JSON.stringify(captures, null, 2)}\n`)
console.log(captures.map(({ client, streams }) => `${client}: ${streams.length} connections`).join('\n'))
proxy.close()
await broker.end('SIGTERM')
await rm(folder, { recursive: true, force: true })
process.exit()
