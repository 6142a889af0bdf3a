/**
 * Kafka's dump tool reads a segment of batches that were built here: every codec, several blocks, a transaction and its
 * marker.
 */
import assert from 'node:assert/strict'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { compressions, readBatchHeader } from '../../protocol/records/batch.ts'
import { buildBatch, rebuild, type RecordInput } from '../../protocol/records/build.ts'
import { buildEndTransactionMarker } from '../../protocol/records/control.ts'
import { kafkaTool, usePeer } from './support/peers.ts'

const producer = { producerId: 9007199254740993n, producerEpoch: 3 }

test('Kafka reads the batches built here, of every codec', async (t) => {
  if (!(await usePeer(t, 'kafka'))) return
  const folder = await mkdtemp(join(tmpdir(), 'batches-'))
  t.after(() => rm(folder, { recursive: true, force: true }))
  const { batches, expected } = segmentOfAllCodecs()
  const file = join(folder, '00000000000000000000.log')
  await writeFile(file, Buffer.concat(batches))

  const lines = (await kafkaTool('kafka-dump-log', ['--print-data-log', '--files', file])).split('\n')

  const headers = lines.filter((line) => line.startsWith('baseOffset: '))
  assert.equal(headers.length, batches.length)
  for (const header of headers) assert.match(header, /isvalid: true$/)
  assert.deepEqual(
    headers.map((header) => /compresscodec: (\w+)/.exec(header)?.[1]),
    [...compressions, ...compressions, 'none'],
  )
  assert.ok(headers.every((header) => header.includes(`producerId: ${producer.producerId} `)))
  assert.match(headers.at(-1)!, /isTransactional: true isControl: true/)
  assert.match(
    lines.findLast((line) => line.includes('endTxnMarker'))!,
    /endTxnMarker: COMMIT coordinatorEpoch: 12/,
  )
  const read = lines
    .map((line) => /^\| offset: (\d+) CreateTime: (\d+) .* headerKeys: (\S*) key: (\S+) payload: (\S+)$/.exec(line))
    .filter((match) => match !== null)
    .map((match) => match.slice(1).join(' '))
  assert.deepEqual(read, expected)
})

/** A batch for each codec, each of them again with the next codec, and a commit marker. */
function segmentOfAllCodecs(): { readonly batches: readonly Uint8Array[]; readonly expected: readonly string[] } {
  const batches: Uint8Array[] = []
  const expected: string[] = []
  let baseOffset = 0n
  let baseSequence = 0
  for (const isRebuilt of [false, true]) {
    for (const [i, compression] of compressions.entries()) {
      const records = recordsOf(compression)
      const first = isRebuilt ? compressions[(i + 1) % compressions.length]! : compression
      const options = { ...producer, isTransactional: true, leaderEpoch: 1, baseOffset, baseSequence }
      const built = buildBatch({ ...options, records, compression: first })
      batches.push(isRebuilt ? rebuild({ bytes: built, header: readBatchHeader(built) }, { compression }) : built)
      for (const [delta, { key, value, timestampMs }] of records.entries()) {
        expected.push(`${baseOffset + BigInt(delta)} ${timestampMs} [trace] ${key as string} ${value as string}`)
      }
      baseOffset += BigInt(records.length)
      baseSequence += records.length
    }
  }
  const marker = { ...producer, coordinatorEpoch: 12, commit: true, timestampMs: 1_700_000_000_000n, leaderEpoch: 1 }
  batches.push(buildEndTransactionMarker({ ...marker, baseOffset }))
  return { batches, expected }
}

/** 90 KB: some that compress well, some that do not, so that LZ4 stores a block and snappy needs several chunks. */
function recordsOf(compression: string): RecordInput[] {
  let seed = 7
  const noise = Array.from({ length: 70_000 }, () => {
    seed = (seed * 48_271) % 2_147_483_647
    return String.fromCharCode(33 + (seed % 90))
  }).join('')
  const values = [noise, 'abc'.repeat(7_000), compression, 'x']
  return values.map((value, i) => ({
    key: `${compression}-${i}`,
    value,
    timestampMs: 1_700_000_000_000n + BigInt((i * 5) % 4),
    headers: [{ key: 'trace', value: null }],
  }))
}
