/**
 * Small files that are read at a start, one decoder at a time, and properties. They give a value or say that there is
 * none.
 */
import assert from 'node:assert/strict'
import { crc32c } from '../../protocol/crc32c.ts'
import { configErrorText } from '../../src/config/broker-config.ts'
import { brokerConfigs } from '../../src/config/broker-configs.ts'
import { formatProperties, parseProperties } from '../../src/config/properties.ts'
import { startOptionsOf } from '../../src/config/sources.ts'
import type { Random } from '../../src/environment/environment.ts'
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
} from '../../storage/index-files.ts'
import { formatNote, parseNote } from '../../storage/log-note.ts'
import { decodeSnapshot, encodeSnapshot } from '../../storage/producer-snapshot.ts'
import { chance, mutated, oddBigints, oddIntegers, oddText, pick } from './mutate.ts'
import { pureTarget } from './target.ts'

/** What the checkpoints of Kafka hold, as text, with numbers at their borders. */
const part = { entries: 3, crc: 0xdeadbeef }
const segment = {
  baseOffset: 0n,
  nextOffset: 5n,
  sizeBytes: 500,
  maxTimestampMs: 3n,
  firstTimestampMs: 1n,
  offsets: part,
  times: part,
  aborted: part,
}
const batch = { lastSequence: 4, lastOffset: 4n, offsetDelta: 0, timestampMs: 3n }
const producer = {
  producerId: 9n,
  producerEpoch: 1,
  batches: [batch],
  lastTimestampMs: 3n,
  coordinatorEpoch: -1,
  currentTransactionStartOffset: -1n,
}

type Parse = (bytes: Uint8Array) => unknown

const small: readonly (readonly [Uint8Array, Parse, Parse?])[] = [
  [formatEpochs([{ leaderEpoch: 3, startOffset: 9n }]), parseEpochs, (value) => formatEpochs(value as never)],
  [
    formatOffsets([{ topicName: 'a', partitionIndex: 1, offset: 9n }]),
    parseOffsets,
    (value) => formatOffsets(value as never),
  ],
  [formatBaseOffsets([0n, 9n]), parseBaseOffsets, (value) => formatBaseOffsets(value as never)],
  [formatPartitionMetadata('AAAAAAAAAAAAAAAAAAAAAQ'), parsePartitionMetadata],
  [
    formatNote({ endOffset: 5n, producerCount: 1, segments: [segment], batches: [{ producerId: 9n, batch }] }),
    parseNote,
    (value) => formatNote(value as never),
  ],
  [encodeSnapshot([producer, producer]), decodeSnapshot],
  [
    encodeAbortedEntries([{ producerId: 1n, firstOffset: 0n, lastOffset: 4n, lastStableOffset: 5n }]),
    decodeAbortedEntries,
  ],
  [new Uint8Array(48), decodeOffsetEntries],
  [new Uint8Array(48), decodeTimeEntries],
]

export const smallFiles = pureTarget('small files', 16, () => (random) => {
  const [bytes, parse, format] = pick(random, small)
  let changed = mutated(random, bytes)
  if (parse === decodeSnapshot && changed.length > 6) {
    changed = Uint8Array.from(changed) // with a checksum that holds
    new DataView(changed.buffer).setUint32(2, crc32c(changed.subarray(6)))
  }
  const value = parse(changed)
  if (value !== undefined && format) assert.deepEqual(parse(format(value as never) as Uint8Array), value)
})

const configNames = Object.keys(brokerConfigs)

function oddValue(random: Random): string {
  const numbers = [...oddIntegers.map(String), ...oddBigints.map(String), '1e9', '0x10', '99999999999999999999', 'NaN']
  return chance(random, 2) ? pick(random, numbers) : oddText(random)
}

export const properties = pureTarget('properties', 8, () => (random) => {
  const names = Array.from({ length: 1 + random.below(6) }, () =>
    chance(random, 8) ? oddText(random) : pick(random, configNames),
  )
  const values = Object.fromEntries(names.map((name) => [name, oddValue(random)]))
  const written = formatProperties(values)
  assert.deepEqual(Object.fromEntries(parseProperties(written)), values)
  const text = Buffer.from(mutated(random, Buffer.from(written))).toString('latin1')
  const file = { path: 'server.properties', text: chance(random, 3) ? written : text }
  const result = startOptionsOf({ flags: {}, env: {}, file })
  assert.ok(result.ok || result.errors.every((error) => configErrorText(error) !== ''))
})
