import assert from 'node:assert/strict'
import { test } from 'node:test'
import { startTestBroker, type LogLine, type TestBroker } from '../support/broker.ts'
import { linkName, startMirrorPair, until } from '../support/mirror.ts'

/** What was said at level info, without what differs from run to run. */
function linesOf({ log }: TestBroker): unknown[][] {
  return log.filter(({ level }) => level === 'info').map(({ message, fields }: LogLine) => [message, shown(fields)])
}

function shown(fields: LogLine['fields']): object {
  const differs = ['clusterId', 'sourceClusterId', 'port', 'httpPort']
  return Object.fromEntries(Object.entries(fields).filter(([name]) => !differs.includes(name)))
}

test('the log tells what became of a broker and its topics, names of configs without their values', async (t) => {
  const broker = await startTestBroker(t)
  const { topics } = broker.broker.parts
  const { topicId } = await topics.create({ name: 'orders', partitionCount: 2 })
  await topics.addPartitions(topicId, 3)
  await topics.setConfigs(topicId, new Map([['retention.ms', '1234']]))
  await topics.delete(topicId)
  await broker.broker.stop()
  assert.deepEqual(linesOf(broker), [
    ['broker started', { wasClean: true }],
    ['topic created', { topic: 'orders', partitions: 2 }],
    ['partitions added to a topic', { topic: 'orders', partitions: 3 }],
    ['configs of a topic changed', { topic: 'orders', configs: ['retention.ms'] }],
    ['topic deleted', { topic: 'orders' }],
    ['broker stopped', {}],
  ])
})

test('the log tells what became of links and mirrors, and no secret', async (t) => {
  const { mirror } = await startMirrorPair(t)
  const { links } = mirror.broker
  const topics = { names: ['orders'] }
  const stateOf = () => mirror.broker.parts.topics.find('orders')?.image.mirror?.state
  await links!.createMirror(linkName, { sourceTopicName: 'orders' })
  await links!.changeMirrors(linkName, 'pause', topics, { validateOnly: false })
  await links!.changeMirrors(linkName, 'failover', topics, { validateOnly: false })
  await until('the mirror is writable', () => stateOf() === 'STOPPED')
  await links!.deleteLink(linkName, { force: true, validateOnly: false })
  const lines = linesOf(mirror).filter(([message]) => message !== 'configs of a mirror follow their source')
  assert.deepEqual(lines, [
    ['broker started', { wasClean: true }],
    ['link created', { link: 'west' }],
    ['mirror topic created', { topic: 'orders', partitions: 1, link: 'west', sourceTopic: 'orders' }],
    ['state of a mirror changed', { topic: 'orders', state: 'PAUSED' }],
    ['state of a mirror changed', { topic: 'orders', state: 'PENDING_STOPPED' }],
    ['state of a mirror changed', { topic: 'orders', state: 'STOPPED' }],
    ['mirror stopped, the topic is writable', { topic: 'orders', partitions: 1, abortedTransactions: 0 }],
    ['link deleted', { link: 'west' }],
  ])
})
