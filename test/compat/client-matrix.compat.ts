/**
 * Every client library with a driver, through the same scenarios against our broker. What a client can't do is listed
 * in support/exclusions.ts; docs/compatibility.md is made of what passes here.
 */
import assert from 'node:assert/strict'
import { after, test, type TestContext } from 'node:test'
import { compressionOf } from '../../protocol/records/batch.ts'
import { codecs, createTopics, kafkajsClient, recordsOf, type Codec } from './support/clients.ts'
import { DriverError, type DriverRecord } from './support/driver.ts'
import { keysOf, readBatches } from './support/logs.ts'
import {
  attempt,
  clients,
  driverOf,
  endClients,
  forEveryClient,
  isExcluded,
  startClients,
  unusedExclusions,
  type Client,
} from './support/matrix.ts'
import { operations, withAdminRide } from './support/matrix-admin.ts'
import {
  assignors,
  comeBackAsStaticMember,
  committedOffsets,
  eagerAssignorOf,
  groupPartitions,
  groupTopic,
  sessionTimeoutMs,
  shareGroup,
} from './support/matrix-groups.ts'
import { describeTopic, waitUntilMirrored } from './support/mirrors.ts'
import { usePeer } from './support/peers.ts'
import { eventually, mustRun } from './support/processes.ts'
import { startTitorelli, type TitorelliProcess } from './support/titorelli.ts'

after(endClients)

test('every driver is built and says who it is', { timeout: 1_200_000 }, startClients)

const recordCount = 100

/** What a client wrote with a codec, as a reader of its partition sees it. */
function expectedOf(client: Client, codec: Codec): object[] {
  return recordsOf(`${client.name}-${codec}`, recordCount).map((record, offset) => ({ offset, ...record }))
}

async function writeWith(client: Client, broker: TitorelliProcess, codec: Codec): Promise<void> {
  const topic = `codec-${codec}`
  const partition = clients.indexOf(client)
  const what = { topic, partition, codec, idempotent: false, label: `${client.name}-${codec}`, count: recordCount }
  const answer = await driverOf(client).send({ do: 'produce', bootstrap: broker.bootstrap, ...what })
  assert.deepEqual(answer, { acknowledged: recordCount })
  const batches = await readBatches(broker, topic, partition)
  assert(batches.length < recordCount, 'a batch has several records')
  for (const { header } of batches) assert.equal(compressionOf(header), codec)
  for (const { header } of batches) assert.equal(header.producerId, -1n)
}

/** Compares what was read with what each of these clients wrote to its partition. */
function expectRecords(records: readonly DriverRecord[], writers: readonly Client[], codec: Codec): void {
  for (const writer of writers) {
    const own = records.filter(({ partition }) => partition === clients.indexOf(writer))
    const read = own.map(({ offset, key, value }) => ({ offset, key, value }))
    assert.deepEqual(read, expectedOf(writer, codec), `what ${writer.name} wrote`)
  }
  assert.equal(records.length, writers.length * recordCount)
}

async function readWithKcat(broker: TitorelliProcess, topic: string): Promise<DriverRecord[]> {
  const format = ['-f', '%p\\t%o\\t%k\\t%s\\n', '-X', 'check.crcs=true']
  const { stdout } = await mustRun('kcat', ['-b', broker.bootstrap, '-C', '-t', topic, '-e', '-q', ...format])
  const lines = stdout.split('\n').filter((line) => line !== '')
  return lines.map((line) => {
    const [partition, offset, key, value] = line.split('\t') as [string, string, string, string]
    return { partition: Number(partition), offset: Number(offset), key, value }
  })
}

forEveryClient(
  'every client, and kcat, reads what every client wrote with every codec',
  { concurrency: 3 },
  async (t) => {
    const broker = await startTitorelli(t)
    await createTopics(
      broker.bootstrap,
      codecs.map((codec) => ({ topic: `codec-${codec}`, partitions: Math.max(clients.length, 1) })),
    )
    const pairs = clients.flatMap((client) => codecs.map((codec) => ({ client, codec })))
    const writersOf: Record<Codec, Client[]> = { none: [], gzip: [], snappy: [], lz4: [], zstd: [] }
    const write = async ({ client, codec }: (typeof pairs)[number]): Promise<void> => {
      const scenario = { scenario: `write ${codec}`, column: 'codecs written' } as const
      if (await attempt(t, client, scenario, () => writeWith(client, broker, codec))) writersOf[codec].push(client)
    }
    await Promise.all(pairs.map(write))
    const read = async ({ client, codec }: (typeof pairs)[number]): Promise<void> => {
      await attempt(t, client, { scenario: `read ${codec}`, column: 'codecs read' }, async () => {
        const what = { topic: `codec-${codec}`, count: writersOf[codec].length * recordCount, timeoutMs: 20_000 }
        const command = { do: 'consume', bootstrap: broker.bootstrap, ...what } as const
        const { records } = await driverOf(client).send<{ records: DriverRecord[] }>(command)
        expectRecords(records, writersOf[codec], codec)
      })
    }
    await Promise.all(pairs.map(read))
    await t.test('kcat reads what every client wrote with every codec', async (t) => {
      if (!(await usePeer(t, 'kcat'))) return
      for (const codec of codecs) expectRecords(await readWithKcat(broker, `codec-${codec}`), writersOf[codec], codec)
    })
  },
)

// One after the other: two producers of a client in a row get ids one of which is odd, and is lost in a double.
forEveryClient('idempotent producers number what they send, under ids above 2^53', { concurrency: 1 }, async (t) => {
  const broker = await startTitorelli(t)
  await createTopics(broker.bootstrap, [{ topic: 'idempotent', partitions: Math.max(clients.length, 1) }])
  for (const [partition, client] of clients.entries()) {
    await attempt(t, client, { scenario: 'idempotent produce', column: 'idempotent' }, async () => {
      const what = { topic: 'idempotent', partition, codec: 'none', idempotent: true, count: recordCount }
      for (const label of ['one', 'two']) {
        const command = { do: 'produce', bootstrap: broker.bootstrap, label, ...what } as const
        assert.deepEqual(await driverOf(client).send(command), { acknowledged: recordCount })
      }
      const batches = await readBatches(broker, 'idempotent', partition)
      const expected = ['one', 'two'].flatMap((label) => recordsOf(label, recordCount).map(({ key }) => key))
      assert.deepEqual(keysOf(batches), expected)
      const next = new Map<bigint, number>()
      for (const { header } of batches) {
        assert.equal(header.baseSequence, next.get(header.producerId) ?? 0)
        next.set(header.producerId, header.baseSequence + header.recordCount)
      }
      const ids = [...next.keys()]
      assert.equal(ids.length, 2)
      assert(ids.every((id) => id > 2n ** 53n) && ids.some((id) => id % 2n === 1n), ids.join())
    })
  }
})

for (const assignor of assignors) {
  forEveryClient(`members of a group share, join and leave: ${assignor}`, { concurrency: 9 }, async (t) => {
    const broker = await startTitorelli(t)
    await createGroupTopics(broker, assignor)
    const scenario = { scenario: `group ${assignor}`, column: 'groups' } as const
    const run = (client: Client): Promise<void> => shareGroup(client, broker.bootstrap, assignor)
    await Promise.all(clients.map((client) => attempt(t, client, scenario, () => run(client))))
  })
}

forEveryClient('a static member that dies and comes back has its partitions', { concurrency: 9 }, async (t) => {
  const broker = await startTitorelli(t)
  await createGroupTopics(broker, 'static')
  const run = (client: Client): Promise<void> => comeBackAsStaticMember(client, broker.bootstrap)
  const scenario = { scenario: 'static member', column: 'groups' } as const
  await Promise.all(clients.map((client) => attempt(t, client, scenario, () => run(client))))
})

async function createGroupTopics(broker: TitorelliProcess, what: Parameters<typeof groupTopic>[1]): Promise<void> {
  const topics = clients.map((client) => ({ topic: groupTopic(client, what), partitions: groupPartitions }))
  await createTopics(broker.bootstrap, topics)
}

forEveryClient('admin clients create, change, look and delete', { concurrency: 9 }, async (t) => {
  const broker = await startTitorelli(t)
  const runAll = (client: Client): Promise<void> =>
    withAdminRide(client, broker, async (ride) => {
      for (const { name, run, instead } of operations) {
        const hasPassed = await attempt(t, client, { scenario: `admin ${name}`, column: 'admin' }, () => run(ride))
        if (!hasPassed) await instead?.(ride)
      }
    })
  await Promise.all(clients.map(runAll))
})

async function endOf(broker: TitorelliProcess, topic: string): Promise<number> {
  return (await describeTopic(broker, topic)).partitions[0]!.high_watermark
}

/**
 * Every record of the stream is there in order and, from an idempotent producer, once. Of others the first appearance
 * counts: what they send again after a lost answer is there twice.
 */
function expectStream(client: Client, keys: readonly string[], sent: { acknowledged: number; failed: number }): void {
  const numbers = keys.map((key) => Number(key.split('-').at(-1)))
  const distinct = [...new Set(numbers)]
  if (!isExcluded(client, 'idempotent produce')) assert.deepEqual(numbers, distinct, 'nothing is there twice')
  assert.deepEqual(
    distinct,
    distinct.toSorted((a, b) => a - b),
    'all is in order',
  )
  assert(distinct.length >= sent.acknowledged, `${distinct.length} of ${sent.acknowledged} acknowledged are there`)
  assert(distinct.length <= sent.acknowledged + sent.failed, `${distinct.length} are there, ${JSON.stringify(sent)}`)
  if (sent.failed === 0) assert.equal(distinct.at(-1), sent.acknowledged - 1, 'there are no gaps')
}

/**
 * What runs while the broker is killed and started again, once: when all that began, or failed before, have come here.
 */
class Restart {
  readonly #broker: TitorelliProcess
  #missing: number
  readonly #done = Promise.withResolvers<undefined>()

  constructor(broker: TitorelliProcess, count: number) {
    this.#broker = broker
    this.#missing = count
  }

  /** Resolves when the broker is back. */
  async pass(begin: () => Promise<void>): Promise<void> {
    await begin().finally(() => {
      if (--this.#missing === 0) this.#done.resolve(this.#restart())
    })
    await this.#done.promise
  }

  async #restart(): Promise<undefined> {
    await this.#broker.end('SIGKILL')
    await this.#broker.start()
  }
}

/** A producer and a group of one member on a topic, and what they share. */
interface StreamRide {
  readonly client: Client
  readonly broker: TitorelliProcess
  readonly topic: string
  readonly restart: Restart
}

async function untilWritten({ client, broker, topic }: StreamRide, end: number): Promise<void> {
  await eventually(`${client.name} has written ${end}`, async () => (await endOf(broker, topic)) >= end)
}

async function streamThroughRestart(ride: StreamRide): Promise<void> {
  const { client, broker, topic, restart } = ride
  const where = { bootstrap: broker.bootstrap, handle: 'stream' }
  await restart.pass(async () => {
    await driverOf(client).send({ do: 'stream', topic, label: client.name, ...where })
    await untilWritten(ride, 50)
  })
  await untilWritten(ride, (await endOf(broker, topic)) + 100)
  const sent = await driverOf(client).send<{ acknowledged: number; failed: number }>({ do: 'endStream', ...where })
  expectStream(client, keysOf(await readBatches(broker, topic, 0)), sent)
}

async function followThroughRestart(ride: StreamRide, streaming: Promise<unknown>): Promise<void> {
  const { client, broker, topic, restart } = ride
  const where = { bootstrap: broker.bootstrap, handle: 'follower', topic, group: topic }
  const driver = driverOf(client)
  const { records } = driver.member('follower')
  await restart.pass(async () => {
    await driver.send({ do: 'join', assignor: eagerAssignorOf(client), sessionTimeoutMs, ...where })
    await driver.until('records are read', () => records.length > 0)
  })
  await streaming
  const keys = keysOf(await readBatches(broker, topic, 0))
  const unseen = (): string[] => {
    const seen = new Set(records.map(({ key }) => key))
    return keys.filter((key) => !seen.has(key))
  }
  const state = (): string => `${unseen().length} of ${keys.length} were not`
  await driver.until('all records are read', () => unseen().length === 0, { state })
  await driver.send({ do: 'leave', ...where })
  assert.deepEqual(await committedOffsets(broker.bootstrap, topic, topic), [keys.length])
}

forEveryClient('producers and groups ride through kill -9 and a restart', { concurrency: 18 }, async (t) => {
  const broker = await startTitorelli(t)
  const topicOf = (client: Client): string => `stream-${client.name}`
  await createTopics(
    broker.bootstrap,
    clients.map((client) => ({ topic: topicOf(client) })),
  )
  const restart = new Restart(broker, 2 * clients.length)
  const runBoth = async (client: Client): Promise<void> => {
    const ride = { client, broker, topic: topicOf(client), restart }
    const produce = { scenario: 'produce through a restart', column: 'restart' } as const
    const consume = { scenario: 'group through a restart', column: 'restart' } as const
    const streaming = attempt(t, client, produce, () => streamThroughRestart(ride))
    await Promise.all([streaming, attempt(t, client, consume, () => followThroughRestart(ride, streaming))])
  }
  await Promise.all(clients.map(runBoth))
})

/** A topic with records, and its mirror at another broker. */
async function startMirror(t: TestContext): Promise<TitorelliProcess> {
  const source = await startTitorelli(t)
  const mirror = await startTitorelli(t)
  await createTopics(source.bootstrap, [{ topic: 'orders' }])
  const producer = kafkajsClient(source.bootstrap).producer()
  await producer.connect()
  await producer.send({ topic: 'orders', messages: recordsOf('orders', recordCount) })
  await producer.disconnect()
  await mirror.mustCli('link', 'create', 'west', '--source-bootstrap-server', source.bootstrap)
  await mirror.mustCli('mirror', 'create', 'orders', '--link', 'west')
  await waitUntilMirrored(source.bootstrap, mirror, 'orders')
  return mirror
}

forEveryClient(
  'clients read a mirror, and are refused at once when they write to it',
  { concurrency: 9 },
  async (t) => {
    const mirror = await startMirror(t)
    const where = { bootstrap: mirror.bootstrap, topic: 'orders' }
    const read = async (client: Client): Promise<void> => {
      const command = { do: 'consume', ...where, count: recordCount, timeoutMs: 20_000 } as const
      const { records } = await driverOf(client).send<{ records: DriverRecord[] }>(command)
      assert.deepEqual(
        records.map(({ key, value }) => ({ key, value })),
        recordsOf('orders', recordCount),
      )
    }
    const write = async (client: Client, idempotent: boolean): Promise<void> => {
      const command = {
        do: 'produce',
        ...where,
        partition: 0,
        codec: 'none',
        idempotent,
        label: 'x',
        count: 10,
      } as const
      const startedMs = performance.now()
      const failure = await driverOf(client)
        .send(command)
        .then(
          () => undefined,
          (error: unknown) => error,
        )
      if (failure instanceof DriverError && failure.kafka === 'UNSUPPORTED') throw failure
      assert(failure instanceof DriverError, `it was refused: ${String(failure)}`)
      assert.equal(failure.kafka, 'INVALID_REQUEST', failure.message)
      assert(performance.now() - startedMs < 8_000, 'it was refused at once')
    }
    const runAll = async (client: Client): Promise<void> => {
      await attempt(t, client, { scenario: 'mirror is read', column: 'mirror' }, () => read(client))
      for (const how of ['plain', 'idempotent']) {
        const scenario = { scenario: `mirror refuses ${how} produce`, column: 'mirror' } as const
        await attempt(t, client, scenario, () => write(client, how === 'idempotent'))
      }
    }
    await Promise.all(clients.map(runAll))
    assert.equal(await endOf(mirror, 'orders'), recordCount, 'nothing was appended')
  },
)

test('every exclusion names a scenario that was run', () => {
  assert.deepEqual(unusedExclusions(), [])
})
