/** The worked examples of docs/storage-format.md are what the code reads and writes. */
import { strict as assert } from 'node:assert'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { readBatchHeader, verifyCrc } from '../../protocol/records/batch.ts'
import { buildBatch } from '../../protocol/records/build.ts'
import {
  formatBaseOffsets,
  formatEpochs,
  formatOffsets,
  formatPartitionMetadata,
  parseBaseOffsets,
  parseEpochs,
  parseOffsets,
  parsePartitionMetadata,
} from '../../storage/checkpoint-files.ts'
import {
  decodeAbortedEntries,
  decodeOffsetEntries,
  decodeTimeEntries,
  encodeAbortedEntries,
  encodeOffsetEntries,
  encodeTimeEntries,
} from '../../storage/index-files.ts'
import { formatNote, parseNote } from '../../storage/log-note.ts'
import { decodeSnapshot, encodeSnapshot } from '../../storage/producer-snapshot.ts'

const page = readFileSync(new URL('../../docs/storage-format.md', import.meta.url), 'utf8')

/** The text of an example, up to the next one or the next section. */
function exampleOf(title: string): string {
  const start = page.indexOf(`Worked example: ${title}`)
  assert(start >= 0, `an example of ${title}`)
  return page.slice(start).split(/\n(?=Worked example|## )/)[0]!
}

/** The bytes of an example that is a table; its rows follow each other and add up to the size that it says. */
function bytesOf(title: string): Uint8Array {
  const example = exampleOf(title)
  let next = 0
  const parts: Buffer[] = []
  for (const [, from, to, hex] of example.matchAll(/^\| (\d+)(?:-(\d+))? +\| `([0-9a-f]+)` +\|/gm)) {
    const part = Buffer.from(hex!, 'hex')
    assert.deepEqual([Number(from), Number(to ?? from)], [next, next + part.length - 1], `row ${from} of ${title}`)
    next += part.length
    parts.push(part)
  }
  assert(example.includes(` ${next} bytes:`), `${title} has ${next} bytes`)
  return Buffer.concat(parts)
}

function textOf(title: string): Uint8Array {
  const [, text] = /```\n([^`]+)```/.exec(exampleOf(title))!
  return new TextEncoder().encode(text)
}

const timestampMs = 1_700_000_000_000n

test('the example of a batch is what is written for that record', () => {
  const bytes = bytesOf('a batch of one record')
  const records = [{ key: 'k', value: 'v' }]
  const built = buildBatch({ records, baseTimestampMs: timestampMs, baseOffset: 100n, leaderEpoch: 5 })
  assert.deepEqual(Buffer.from(built), bytes)
  assert(verifyCrc({ bytes, header: readBatchHeader(bytes) }))
})

test('the examples of index entries are read and written as they stand there', () => {
  const offsets = [{ relativeOffset: 8, position: 4180 }]
  assert.deepEqual(decodeOffsetEntries(bytesOf('an entry of `00000000000000000100.index`')), offsets)
  assert.deepEqual(Buffer.from(encodeOffsetEntries(offsets)), bytesOf('an entry of `00000000000000000100.index`'))
  const times = [{ timestampMs, relativeOffset: 8 }]
  assert.deepEqual(decodeTimeEntries(bytesOf('an entry of `00000000000000000100.timeindex`')), times)
  assert.deepEqual(Buffer.from(encodeTimeEntries(times)), bytesOf('an entry of `00000000000000000100.timeindex`'))
  const aborted = [{ producerId: 7n, firstOffset: 100n, lastOffset: 108n, lastStableOffset: 109n }]
  assert.deepEqual(decodeAbortedEntries(bytesOf('an entry of `00000000000000000100.txnindex`')), aborted)
  assert.deepEqual(Buffer.from(encodeAbortedEntries(aborted)), bytesOf('an entry of `00000000000000000100.txnindex`'))
})

test('the example of a snapshot is read and written as it stands there', () => {
  const bytes = bytesOf('a snapshot')
  const entries = decodeSnapshot(bytes)
  assert.deepEqual(entries, [
    {
      producerId: 7n,
      producerEpoch: 1,
      coordinatorEpoch: 3,
      lastTimestampMs: timestampMs,
      currentTransactionStartOffset: -1n,
      batches: [{ lastSequence: 2, lastOffset: 107n, offsetDelta: 2, timestampMs }],
    },
  ])
  assert.deepEqual(Buffer.from(encodeSnapshot(entries)), bytes)
  for (let at = 0; at < bytes.length; at++) {
    assert.equal(decodeSnapshot(bytes.map((byte, index) => (index === at ? byte ^ 1 : byte))), undefined, `byte ${at}`)
  }
})

test('the examples of text files are read and written as they stand there', () => {
  const epochs = textOf('`leader-epoch-checkpoint`')
  assert.deepEqual(formatEpochs(parseEpochs(epochs)!), epochs)
  const offsets = textOf('`recovery-point-offset-checkpoint`')
  assert.deepEqual(parseOffsets(offsets), [{ topicName: 'orders', partitionIndex: 0, offset: 180n }])
  assert.deepEqual(formatOffsets(parseOffsets(offsets)!), offsets)
  const metadata = textOf('`partition.metadata`').subarray(0, -1) // its last line has no end
  assert.deepEqual(formatPartitionMetadata(parsePartitionMetadata(metadata)!), metadata)
  const replaced = textOf('`00000000000000000100.replaces`')
  assert.deepEqual(parseBaseOffsets(replaced), [100n, 180n])
  assert.deepEqual(formatBaseOffsets([100n, 180n]), replaced)
  const note = textOf('`log-note`')
  const parsed = parseNote(note)
  assert(parsed)
  assert.deepEqual([parsed.endOffset, parsed.segments[0]!.sizeBytes], [180n, 9000])
  assert.deepEqual(formatNote(parsed), note)
  for (const broken of [
    '0\n1\nlog 180\n',
    '0\n2\nlog 180 1\n',
    '0\n2\nlog 1 0\nsegment 1 2 3\n',
    '0\n1\nlog - 0\n',
    '0\n2\nlog 1 0\nsegment 0 5 500 3 1 1 2 - 4 5 6\n',
    '0\n2\nlog 1 0\nbatch 9 4 - 0 3\n',
    '1\n1\nlog 1 0\n',
    '',
  ]) {
    assert.equal(parseNote(new TextEncoder().encode(broken)), undefined)
  }
})
