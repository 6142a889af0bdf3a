/** Twenty rounds of kill -9 under load, from a seed that is printed; after each, everything mirrored is identical. */
import assert from 'node:assert/strict'
import { test, type TestContext } from 'node:test'
import { seededRandom } from '../../src/environment/seeded-random.ts'
import { codecs, createTopics, platformaticProducer, recordsOf, sendWithPlatformatic } from './support/clients.ts'
import { startKafka, type KafkaProcess } from './support/kafka.ts'
import { verify, waitUntilMirrored } from './support/mirrors.ts'
import { usePeer } from './support/peers.ts'
import { startTitorelli } from './support/titorelli.ts'

const rounds = 20
const topics = ['codecs', 'compacted', 'transactions']

/** Produces to all topics until it is told to stop, then waits until what it sends is answered. */
function startLoad(t: TestContext, kafka: KafkaProcess): { stop(): Promise<void> } {
  let isStopping = false
  const producer = platformaticProducer(t, kafka.bootstrap)
  const everyCodec = async () => {
    for (let at = 0; !isStopping; at++) {
      const codec = codecs[at % codecs.length]!
      await sendWithPlatformatic(producer, 'codecs', {
        codec,
        records: recordsOf(`${codec}-${at}`, 20),
        partition: at % 3,
      })
      const records = recordsOf('key', 5).map(({ key }) => ({ key, value: `${at}` }))
      await sendWithPlatformatic(producer, 'compacted', { codec, records })
    }
  }
  const transactions = async () => {
    const transactional = kafka.client().producer({ transactionalId: 'load', idempotent: true, maxInFlightRequests: 1 })
    await transactional.connect()
    for (let at = 0; !isStopping; at++) {
      const transaction = await transactional.transaction()
      await transaction.send({ topic: 'transactions', messages: recordsOf(`transaction-${at}`, 5) })
      await (at % 3 === 0 ? transaction.abort() : transaction.commit())
    }
    await transactional.disconnect()
  }
  const running = Promise.all([everyCodec(), transactions()])
  return {
    async stop() {
      isStopping = true
      await running
    },
  }
}

test(
  `after each of ${rounds} rounds of kill -9 under load the mirrors are identical`,
  { timeout: 600_000 },
  async (t) => {
    if (!(await usePeer(t, 'kafka'))) return
    const seed = Number(process.env['COMPAT_SEED'] ?? Date.now() % 1_000_000)
    console.log(`kill -9 rounds: seed ${seed} (COMPAT_SEED=${seed} runs them again)`)
    const random = seededRandom(seed)
    const kafka = await startKafka(t, 'log.cleaner.backoff.ms=200')
    const broker = await startTitorelli(t)
    await createTopics(kafka.bootstrap, [
      { topic: 'codecs', partitions: 3 },
      { topic: 'transactions' },
      {
        topic: 'compacted',
        configs: { 'cleanup.policy': 'compact', 'segment.ms': '1000', 'min.cleanable.dirty.ratio': '0.01' },
      },
    ])
    await broker.mustCli('link', 'create', 'west', '--source-bootstrap-server', kafka.bootstrap)
    for (const topic of topics) await broker.mustCli('mirror', 'create', topic, '--link', 'west')

    for (let round = 0; round < rounds; round++) {
      const load = startLoad(t, kafka)
      await new Promise((resolve) => setTimeout(resolve, 100 + random.below(900)))
      assert.equal(await broker.end('SIGKILL'), null)
      if (random.below(2) === 0) await new Promise((resolve) => setTimeout(resolve, random.below(300)))
      await broker.start()
      await load.stop()
      for (const topic of topics) {
        await waitUntilMirrored(kafka.bootstrap, broker, topic)
        await verify(broker, topic)
      }
    }
  },
)
