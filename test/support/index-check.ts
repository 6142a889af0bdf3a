/** Compares the index files of a stopped log with the batches of its segments. */
import { strict as assert } from 'node:assert'
import { lastOffsetOf, splitBatches, type BatchRef } from '../../protocol/records/batch.ts'
import type { Disk } from '../../storage/disk.ts'
import { decodeOffsetEntries, decodeTimeEntries } from '../../storage/index-files.ts'

/** Each entry of both indexes speaks of a batch of the segment, as Kafka's check of indexes demands. */
export async function checkIndexFiles(disk: Disk, folder: string): Promise<void> {
  const names = (await disk.list(folder)).map(({ name }) => name)
  for (const name of names.filter((one) => one.endsWith('.log'))) {
    const base = BigInt(name.slice(0, 20))
    const path = `${folder}/${name.slice(0, 20)}`
    const batches = splitBatches(await disk.readFile(`${path}.log`))
    checkOffsetIndex(decodeOffsetEntries(await disk.readFile(`${path}.index`)), batches, base)
    checkTimeIndex(decodeTimeEntries(await disk.readFile(`${path}.timeindex`)), batches, base)
  }
}

function checkOffsetIndex(entries: ReturnType<typeof decodeOffsetEntries>, batches: readonly BatchRef[], base: bigint) {
  const lastOffsets = new Map<number, number>()
  let position = 0
  for (const { bytes, header } of batches) {
    lastOffsets.set(position, Number(lastOffsetOf(header) - base))
    position += bytes.length
  }
  for (const [at, entry] of entries.entries()) {
    assert.equal(entry.relativeOffset, lastOffsets.get(entry.position))
    assert(at === 0 || entry.position > entries[at - 1]!.position)
  }
}

function checkTimeIndex(entries: ReturnType<typeof decodeTimeEntries>, batches: readonly BatchRef[], base: bigint) {
  for (const [at, { timestampMs, relativeOffset }] of entries.entries()) {
    const upTo = batches.filter(({ header }) => Number(header.baseOffset - base) <= relativeOffset)
    assert.equal(timestampMs, largestTime(upTo))
    assert(at === 0 || timestampMs > entries[at - 1]!.timestampMs)
  }
  if (batches.length > 0) assert.equal(entries.at(-1)?.timestampMs, largestTime(batches))
}

function largestTime(batches: readonly BatchRef[]): bigint {
  return batches.reduce(
    (largest, { header: { maxTimestamp } }) => (maxTimestamp > largest ? maxTimestamp : largest),
    -1n,
  )
}
