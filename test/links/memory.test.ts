/** What a link may hold of memory, and that nobody starves by it. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Fetch } from '../../protocol/apis/fetch.ts'
import { LinkManager } from '../../src/links/link-manager.ts'
import type { LinkParts } from '../../src/links/link-parts.ts'
import { MemoryBudget } from '../../src/network/memory-budget.ts'
import { until } from '../support/mirror.ts'
import { batchOf } from '../support/records.ts'
import { startScriptedMirror, untilEnd } from '../support/scripted-mirror.ts'
import { Gate, gatedLogs } from '../support/gate.ts'

const megabyte = 1024 * 1024

test('with a disk that stands still a link holds no more than its share, and goes on when it moves again', async (t) => {
  const memory = new MemoryBudget({ limitBytes: 16 * megabyte, linkShareBytes: 4 * megabyte })
  const gate = new Gate()
  // Of what clients leave free links may take some as well: here nothing is free.
  memory.reserve('request', 9 * megabyte)
  const openLinks = (parts: LinkParts) => LinkManager.open({ ...parts, memory, logs: gatedLogs(parts.logs, gate) })
  const partitionCount = 10
  gate.close()
  const value = 'x'.repeat(200_000)
  const pair = await startScriptedMirror(t, {
    mirror: { openLinks },
    partitionCount,
    prepare: (source) => {
      for (let partition = 0; partition < partitionCount; partition++)
        for (let offset = 0n; offset < 10n; offset++)
          source.append('orders', partition, batchOf([value], { baseOffset: offset, leaderEpoch: 0 }))
    },
  })
  let mostBytes = 0
  const watch = setInterval(() => (mostBytes = Math.max(mostBytes, memory.usedBytesOf('link'))), 1)
  t.after(() => clearInterval(watch))
  await until('the disk is waited for', () => gate.waiting > 0)
  await new Promise((resolve) => setTimeout(resolve, 300))
  const answerMostBytes = 10 * 200_100 * partitionCount // the scripted source heeds no limit: one answer may have all
  assert(mostBytes <= 4 * megabyte + answerMostBytes, `${mostBytes} bytes`)
  const fetches = pair.source.seenOf(Fetch).length
  await new Promise((resolve) => setTimeout(resolve, 100))
  assert(pair.source.seenOf(Fetch).length - fetches <= 1, 'nothing more is asked for')
  gate.open()
  for (let partition = 0; partition < partitionCount; partition++) await untilEnd(pair, 10n, partition)
  await until('all is given back', () => memory.usedBytesOf('link') <= megabyte)
})

test('idle source brokers leave room for others, though each answer may be large', async (t) => {
  const memory = new MemoryBudget({ limitBytes: 16 * megabyte, linkShareBytes: 4 * megabyte })
  memory.reserve('request', 9 * megabyte)
  const ports = Array.from({ length: 20 }, (_, index) => 9_200 + index)
  const pair = await startScriptedMirror(t, {
    source: { ports },
    partitionCount: ports.length,
    mirror: { openLinks: (parts) => LinkManager.open({ ...parts, memory }) },
    prepare: ({ topics }) => topics.get('orders')!.partitions.forEach((one, index) => (one.leader = index + 1)),
  })
  for (let offset = 0n; offset < 3n; offset++) {
    for (const partition of ports.keys())
      pair.source.append('orders', partition, batchOf(['a'], { baseOffset: offset, leaderEpoch: 0 }))
    for (const partition of ports.keys()) await untilEnd(pair, offset + 1n, partition)
  }
})

test('what was served goes behind the others in a full request', async (t) => {
  const pair = await startScriptedMirror(t, { source: { release: '2.1' }, partitionCount: 3 })
  const { source } = pair
  source.lies['Fetch'] = async (_request: never, answer) => ({ ...((await answer()) as object), sessionId: 0 }) // no sessions
  source.disconnect()
  for (let offset = 0n; offset < 5n; offset++) {
    source.append('orders', 0, batchOf(['a'], { baseOffset: offset, leaderEpoch: 0 }))
    await untilEnd(pair, offset + 1n)
    const isLast = (): boolean => {
      const topics = source.seenOf(Fetch).at(-1)!.request.topics
      return topics[0]?.partitions.at(-1)?.partition === 0 && topics[0].partitions.length === 3
    }
    await until('partition 0 is asked for last', isLast)
  }
})
