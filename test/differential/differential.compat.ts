/**
 * Sends the same requests to Apache Kafka and to our broker, and compares the answers field by field. With
 * DIFFERENTIAL=text only the scenarios whose name contains the text run.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { openBroker } from '../../src/broker.ts'
import { brokerConfigOf } from '../../src/config/broker-config.ts'
import { nodeEnvironment } from '../../src/environment/node-environment.ts'
import { nodeLogger } from '../../src/environment/node-logger.ts'
import { startKafka } from '../compat/support/kafka.ts'
import { usePeer } from '../compat/support/peers.ts'
import { accepted } from './accepted.ts'
import { Comparison, differenceText, refused, type Accepted } from './compare.ts'
import { Peer, type Scenario } from './peer.ts'
import { scenarios } from './scenarios/index.ts'

/** What the other broker is started with too (test/compat/peers/kafka-run), and what makes ours as strict as Kafka. */
const configs = {
  'node.id': '1',
  'process.roles': 'broker,controller',
  'controller.listener.names': 'CONTROLLER',
  'listener.security.protocol.map': 'PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT',
  'group.initial.rebalance.delay.ms': '0',
  'transaction.state.log.replication.factor': '1',
  'transaction.state.log.min.isr': '1',
  'transaction.state.log.num.partitions': '4',
  'offsets.topic.num.partitions': '4',
  'offsets.topic.replication.factor': '1',
  'log.retention.hours': '100',
  'titorelli.relaxed.replication.factor': 'false',
}

test('answers equal those of Kafka', async (t) => {
  if (!(await usePeer(t, 'kafka'))) return
  const logger = nodeLogger({ level: 'warn', destination: { write: () => undefined } })
  const environment = nodeEnvironment({ logger })
  const config = brokerConfigOf(new Map(Object.entries(configs)))
  assert(config.ok)
  const broker = await openBroker(environment, { config: config.config, host: '127.0.0.1', port: 0 })
  t.after(() => broker.stop())
  const kafka = await startKafka(t, 'log.retention.hours=100')

  const answersOf = async ({ run }: Scenario, port: number) => {
    const peer = new Peer(environment.network, port)
    try {
      await run(peer)
    } finally {
      peer.close()
    }
    return peer.answers
  }
  const part = process.env['DIFFERENTIAL'] ?? ''
  const comparison = new Comparison()
  const used = new Set<Accepted>()
  for (const scenario of scenarios.filter(({ name }) => name.includes(part))) {
    await t.test(scenario.name, async () => {
      const theirs = await answersOf(scenario, kafka.port)
      const ours = await answersOf(scenario, broker.port)
      const differences = refused(comparison.compare(theirs, ours), accepted, used)
      assert.equal(differences.map(differenceText).join('\n'), '')
    })
  }
  if (part !== '') return
  await t.test('every accepted difference is met', () => {
    const unmet = accepted.filter((row) => !used.has(row)).map(({ api, path }) => `${api} ${path}`)
    assert.deepEqual(unmet, [])
  })
})
