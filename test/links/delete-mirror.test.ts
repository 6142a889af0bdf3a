/** Deleting a mirror topic: mirroring stops for good, the source is untouched, the name is free. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { CreatePartitions } from '../../protocol/apis/create-partitions.ts'
import { DeleteRecords } from '../../protocol/apis/delete-records.ts'
import { DeleteTopics } from '../../protocol/apis/delete-topics.ts'
import { Fetch } from '../../protocol/apis/fetch.ts'
import { IncrementalAlterConfigs } from '../../protocol/apis/incremental-alter-configs.ts'
import { Produce } from '../../protocol/apis/produce.ts'
import { zeroUuid } from '../../protocol/schema.ts'
import { LinkManager } from '../../src/links/link-manager.ts'
import type { LinkParts } from '../../src/links/link-parts.ts'
import type { VerifyEvent } from '../../src/links/link-service.ts'
import type { TestBroker } from '../support/broker.ts'
import { Gate, gatedLogs } from '../support/gate.ts'
import { describe, endOf, linkName, produce, until } from '../support/mirror.ts'
import { produceRequest } from '../support/requests.ts'
import { appendTo, startScriptedMirror, untilEnd } from '../support/scripted-mirror.ts'

async function deleteTopic(mirror: TestBroker): Promise<void> {
  const topics = [{ name: 'orders', topicId: zeroUuid }]
  const { responses } = await mirror.send(DeleteTopics, 6, { topics, topicNames: [], timeoutMs: 1_000 })
  assert.equal(responses[0]!.errorCode, 0)
}

test('a mirror is deleted like any topic, while its link writes, and a topic of its name gets nothing mirrored', async (t) => {
  const gate = new Gate()
  const openLinks = (parts: LinkParts) => LinkManager.open({ ...parts, logs: gatedLogs(parts.logs, gate) })
  const pair = await startScriptedMirror(t, { mirror: { openLinks } })
  const { source, mirror } = pair
  appendTo(source, { from: 0n, count: 3 })
  await untilEnd(pair, 3n)
  gate.close()
  appendTo(source, { from: 3n })
  await until('an append waits for the disk', () => gate.waiting === 1)
  await deleteTopic(mirror)
  gate.open()
  await mirror.broker.parts.topics.create({ name: 'orders', partitionCount: 1 })
  const fetches = source.seenOf(Fetch).length
  appendTo(source, { from: 4n })
  await new Promise((resolve) => setTimeout(resolve, 100))
  assert(source.seenOf(Fetch).length <= fetches + 1, 'one may have been under way')
  assert.equal(endOf(mirror), 0n)
  assert.equal(await produce(mirror), 0n)
  assert.deepEqual(mirror.broker.links!.listMirrors(), [])
  assert.deepEqual(
    mirror.log.filter(({ level }) => level === 'error').map(({ message }) => message),
    [],
  )
  await mirror.broker.links!.deleteLink(linkName, { force: false, validateOnly: false })
})

test('a mirror that was deleted can be created anew, with all of its history', async (t) => {
  const pair = await startScriptedMirror(t)
  const { source, mirror } = pair
  appendTo(source, { from: 0n, count: 3 })
  await untilEnd(pair, 3n)
  await deleteTopic(mirror)
  await mirror.broker.links!.createMirror(linkName, { sourceTopicName: 'orders' })
  await untilEnd(pair, 3n)
  assert.equal(describe(mirror).status, 'ACTIVE')
})

test('a verification whose mirror is deleted ends with a result', async (t) => {
  const pair = await startScriptedMirror(t, { partitionCount: 2 })
  const { source, mirror } = pair
  for (const partition of [0, 1]) appendTo(source, { partition, from: 0n, count: 3 })
  await untilEnd(pair, 3n)
  await untilEnd(pair, 3n, 1)
  let last: VerifyEvent | undefined
  for await (const event of mirror.broker.links!.verify(linkName, 'orders', new AbortController().signal)) {
    if (!last) await deleteTopic(mirror)
    last = event
  }
  assert(last?.kind === 'result')
  assert.equal(last.verdict, 'unknown')
})

test('nothing but its link changes what is in a mirror', async (t) => {
  const pair = await startScriptedMirror(t)
  const { source, mirror } = pair
  appendTo(source, { from: 0n, count: 3 })
  await untilEnd(pair, 3n)
  const states = ['pause', 'resume'] as const
  for (const verb of states) {
    await mirror.broker.links!.changeMirrors(linkName, verb, { names: ['orders'] }, { validateOnly: false })
    const produced = await mirror.send(Produce, 9, produceRequest())
    assert.equal(produced.responses[0]!.partitionResponses[0]!.errorCode, 42)
    const cut = [{ name: 'orders', partitions: [{ partitionIndex: 0, offset: 2n }] }]
    const deleted = await mirror.send(DeleteRecords, 2, { topics: cut, timeoutMs: 1_000 })
    assert.equal(deleted.topics[0]!.partitions[0]!.errorCode, 42)
    const more = [{ name: 'orders', count: 4, assignments: null }]
    const added = await mirror.send(CreatePartitions, 3, { topics: more, timeoutMs: 1_000, validateOnly: false })
    assert.equal(added.results[0]!.errorCode, 42)
    const configs = [{ name: 'retention.ms', configOperation: 0, value: '1' }]
    const resources = [{ resourceType: 2, resourceName: 'orders', configs }]
    const altered = await mirror.send(IncrementalAlterConfigs, 1, { resources, validateOnly: false })
    assert.equal(altered.responses[0]!.errorCode, 42)
    assert.match(altered.responses[0]!.errorMessage!, /'retention.ms' are set to always sync/)
  }
  assert.deepEqual([describe(mirror).partitions.length, endOf(mirror)], [1, 3n])
})
