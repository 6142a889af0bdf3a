/** Sources as old as Kafka 2.1: no topic ids, no epochs in fetches that a source would compare by itself. */
import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { compressions } from '../../protocol/records/batch.ts'
import { Fetch } from '../../protocol/apis/fetch.ts'
import { Metadata } from '../../protocol/apis/metadata.ts'
import { OffsetForLeaderEpoch } from '../../protocol/apis/offset-for-leader-epoch.ts'
import type { VerifyEvent } from '../../src/links/link-service.ts'
import { bytesOf, describe, linkName, until } from '../support/mirror.ts'
import { appendTo, restartMirror, startScriptedMirror, untilEnd } from '../support/scripted-mirror.ts'
import { releases } from '../support/scripted-source.ts'

// Mostly waiting: side by side.
suite('old sources', { concurrency: true }, () => {
  for (const release of ['2.1', '2.3', '2.7', '4.0'] as const) {
    test(`a whole mirror works from Kafka ${release}`, async (t) => {
      const pair = await startScriptedMirror(t, { source: { release, ports: [9_192, 9_193] }, partitionCount: 2 })
      const { source, mirror } = pair
      source.topics.get('orders')!.partitions[1]!.leader = 2
      let end = 0n
      for (const compression of compressions) {
        for (const partition of [0, 1]) appendTo(source, { partition, from: end, count: 20, compression })
        end += 20n
      }
      await untilEnd(pair, end)
      await untilEnd(pair, end, 1)
      for (const partition of [0, 1])
        assert.deepEqual(
          await bytesOf(mirror, 'orders', partition),
          Buffer.concat(source.topics.get('orders')!.partitions[partition]!.batches),
        )
      let last: VerifyEvent | undefined
      for await (const event of mirror.broker.links!.verify(linkName, 'orders', new AbortController().signal))
        last = event
      assert(last?.kind === 'result')
      assert.equal(last.verdict, 'identical', last.message ?? '')
      assert.equal(source.seenOf(Fetch).at(-1)!.version, releases[release].Fetch[1])
      assert.equal(describe(mirror).identity, release === '4.0' ? 'strong' : 'weak')
    })
  }

  for (const release of ['2.1', '2.7'] as const) {
    test(`after a restart the lag of an idle source is known (Kafka ${release})`, async (t) => {
      const before = await startScriptedMirror(t, { source: { release } })
      appendTo(before.source, { from: 0n, count: 3 })
      await untilEnd(before, 3n)
      const { mirror } = await restartMirror(t, before)
      await until('the lag is 0', () => describe(mirror).partitions[0]!.lag === 0n, 1_000)
    })
  }

  test('a source that cannot compare histories is asked for its epochs before anything is appended', async (t) => {
    const before = await startScriptedMirror(t, { source: { release: '2.1' } })
    const { source } = before
    appendTo(source, { from: 0n, count: 3 })
    await untilEnd(before, 3n)
    await source.kill()
    await before.mirror.broker.stop()
    const partition = source.topics.get('orders')!.partitions[0]!
    Object.assign(partition, { leaderEpoch: 1, batches: [] })
    appendTo(source, { from: 0n, count: 2, leaderEpoch: 0 })
    appendTo(source, { from: 2n, count: 9, leaderEpoch: 1 })
    await source.revive()
    const { mirror } = await restartMirror(t, before)
    await until('the mirror is FAILED', () => describe(mirror).status === 'FAILED')
    assert.equal(describe(mirror).error, 'UNEXPECTED_TRUNCATION')
    assert.match(describe(mirror).reason!, /partition 0: the source has another history: its leader epoch 0 ends at 2/)
    assert.equal(describe(mirror).partitions[0]!.logEndOffset, 3n)
    assert.ok(source.seenOf(OffsetForLeaderEpoch).length > 0)
  })

  test('a comparison of histories does not count when the leader changed while it was under way', async (t) => {
    // The leader is not the broker that is asked for metadata, so that its answer holds nothing else back.
    const before = await startScriptedMirror(t, {
      source: { release: '2.3', ports: [9_192, 9_193] },
      linkConfigs: { 'metadata.max.age.ms': '1000', 'bootstrap.servers': 'scripted.test:9192' },
      prepare: ({ topics }) => (topics.get('orders')!.partitions[0]!.leader = 2),
    })
    const { source } = before
    appendTo(source, { from: 0n, count: 2 })
    appendTo(source, { from: 2n, count: 1 })
    await untilEnd(before, 3n)
    source.lies['OffsetForLeaderEpoch'] = async (_request: never, answer) => {
      delete source.lies['OffsetForLeaderEpoch']
      const honest = answer()
      const partition = source.topics.get('orders')!.partitions[0]!
      Object.assign(partition, { leaderEpoch: 1, batches: partition.batches.slice(0, 1) })
      appendTo(source, { from: 2n, count: 5, leaderEpoch: 1 })
      const asked = source.seenOf(Metadata).length
      await until('the election is known', () => source.seenOf(Metadata).length > asked)
      await new Promise((resolve) => setTimeout(resolve, 60)) // its answer has arrived
      return honest
    }
    const { mirror } = await restartMirror(t, before)
    await until('the mirror is FAILED', () => describe(mirror).status === 'FAILED')
    assert.match(describe(mirror).reason!, /its leader epoch 0 ends at 2, the mirror has records up to 3/)
    assert.equal(describe(mirror).partitions[0]!.logEndOffset, 3n)
  })

  test('a broker of an old source that hears late of an election does not fail the mirror', async (t) => {
    const pair = await startScriptedMirror(t, {
      source: { release: '2.3' },
      linkConfigs: { 'metadata.max.age.ms': '1000' },
    })
    const { source, mirror } = pair
    const partition = source.topics.get('orders')!.partitions[0]!
    partition.leaderEpoch = 5
    appendTo(source, { from: 0n, leaderEpoch: 5 })
    await untilEnd(pair, 1n)
    partition.leaderEpoch = 4 // as that broker's metadata has it
    source.disconnect()
    const asked = source.seenOf(Metadata).length
    await until('it was seen', () => source.seenOf(Metadata).length > asked + 4)
    assert.equal(describe(mirror).status, 'ACTIVE')
    partition.leaderEpoch = 6
    appendTo(source, { from: 1n, leaderEpoch: 6 })
    await untilEnd(pair, 2n)
  })

  test('a topic without ids that was created anew never gets into its mirror', async (t) => {
    const pair = await startScriptedMirror(t, {
      source: { release: '2.3' },
      linkConfigs: { 'metadata.max.age.ms': '1000' },
    })
    const { source, mirror } = pair
    source.topics.get('orders')!.partitions[0]!.leaderEpoch = 5
    appendTo(source, { from: 0n, leaderEpoch: 5 })
    await untilEnd(pair, 1n)
    source.addTopic('orders', 1)
    appendTo(source, { from: 0n, count: 3 })
    await until('the mirror is FAILED', () => describe(mirror).status === 'FAILED', 10_000)
    assert.equal(describe(mirror).error, 'NON_MONOTONIC_SOURCE_EPOCH')
    assert.match(describe(mirror).reason!, /partition 0: the source has leader epoch 0, mirrored records have 5/)
    assert.equal(describe(mirror).partitions[0]!.logEndOffset, 1n)
  })
})
