import { strict as assert } from 'node:assert'
import { test } from 'node:test'
import { readBatchHeader } from '../../protocol/records/batch.ts'
import type { Disk } from '../../storage/disk.ts'
import type { PartitionLog } from '../../storage/log.ts'
import { Segment } from '../../storage/segment.ts'
import { replaceSegments } from '../../storage/segment-swap.ts'
import { append, openTestLog, openTestStore, readAllValues, testBatch, testDisk } from '../support/logs.ts'
import { cutEverywhere, seedsOf } from '../support/power-cuts.ts'

const config = { segmentBytes: 180 }
const everything = Array.from({ length: 9 }, (_, index) => `value-${index}`)

/** A log of nine batches in segments of two; `kept` names those that a cleaner left of the first two segments. */
async function filledLog(disk: Disk): Promise<PartitionLog> {
  const store = await openTestStore({ disk })
  const log = (await openTestLog(store, { config })) as PartitionLog
  for (const value of everything) assert((await append(store, log, { batches: [testBatch({ values: [value] })] })).ok)
  assert((await store.flush(log)).ok)
  return log
}

async function replaceFirst(log: PartitionLog, keptOffsets: readonly bigint[]) {
  const { state } = log
  const old = state.segments.slice(0, 2)
  const options = { baseOffset: old[0]!.baseOffset, indexIntervalBytes: 100, isNew: true, suffix: '.cleaned' } as const
  const cleaned = await Segment.open(state.disk, state.folder, options)
  for (const segment of old) {
    for await (const batches of segment.scan()) {
      for (const { bytes } of batches) {
        const header = readBatchHeader(bytes)
        if (!keptOffsets.includes(header.baseOffset)) continue
        const position = cleaned.sizeBytes
        await cleaned.write(position, [bytes])
        cleaned.note(position, bytes.length, header)
      }
    }
  }
  await cleaned.seal()
  return log.exclusive(async () => {
    await replaceSegments(log, { old, cleaned })
    return {}
  })
}

async function valuesAfterRestart(disk: Disk): Promise<string[]> {
  const store = await openTestStore({ disk })
  const log = await openTestLog(store, { config })
  const values = await readAllValues(store, log)
  assert((await append(store, log, { batches: [testBatch({ values: ['next'] })] })).ok)
  assert.deepEqual(await readAllValues(store, log), [...values, 'next'])
  const names = (await disk.list('orders-0')).map((entry) => entry.name)
  assert.deepEqual(
    names.filter((name) => /\.(?:cleaned|swap|deleted|replaces)$/.test(name)),
    [],
  )
  return values
}

for (const [what, keptOffsets] of [
  ['the last records of the old ones', [0n, 3n]],
  ['everything but the first', [0n]],
  ['all records', []],
] as const) {
  const rest = everything.slice(4)
  const cleanedValues = [...keptOffsets.map((offset) => `value-${offset}`), ...rest]

  test(`a segment takes the place of two, also when the cleaner dropped or kept ${what}`, async () => {
    const disk = testDisk()
    const log = await filledLog(disk)
    assert.equal(log.state.segments[2]!.baseOffset, 4n)
    assert((await replaceFirst(log, keptOffsets)).ok)
    assert.deepEqual(await valuesAfterRestart(disk), cleanedValues)
  })

  for (const seed of seedsOf(1)) {
    test(`a power cut at any disk call of a swap leaves the old segments or the new one (${what}, seed ${seed})`, async (t) => {
      let [olds, news] = [0, 0]
      const cuts = await cutEverywhere(seed, {
        prepare: async (disk, promised) => (promised.log = await filledLog(disk)),
        run: async (_, promised) => {
          assert((await replaceFirst(promised.log!, keptOffsets)).ok)
          promised.isDone = true
        },
        promises: (): { log?: PartitionLog; isDone: boolean } => ({ isDone: false }),
        reopen: async (disk) => openTestLog(await openTestStore({ disk }), { config }),
        check: async (disk, { isDone }) => {
          const values = await valuesAfterRestart(disk)
          const isOld = values.length === everything.length
          assert.deepEqual(values, isOld ? everything : cleanedValues)
          assert(!isDone || !isOld, 'what was replaced stays replaced')
          if (isOld) olds += 1
          else news += 1
        },
      })
      assert(olds > 3 && news > 3, `${olds} runs kept the old segments, ${news} the new one`)
      t.diagnostic(`${cuts} cuts`)
    })
  }
}

test("a swap that Kafka began is finished by Kafka's rule, and one that it had not decided is dropped", async () => {
  for (const isDecided of [true, false]) {
    const disk = testDisk()
    const log = await filledLog(disk)
    assert.equal(log.state.segments[1]!.baseOffset, 2n)
    const [first, second] = await Promise.all(
      ['0'.repeat(20), '2'.padStart(20, '0')].map((name) => disk.readFile(`orders-0/${name}.log`)),
    )
    const suffix = isDecided ? 'swap' : 'cleaned'
    const both = Buffer.concat([first!.subarray(0, readBatchHeader(first!).batchLength + 12), second!])
    await disk.replaceFile(`orders-0/${'0'.repeat(20)}.log.${suffix}`, both)
    await disk.replaceFile(`orders-0/${'0'.repeat(20)}.index.${suffix}`, new Uint8Array(16))
    await disk.replaceFile(`orders-0/${'2'.padStart(20, '0')}.log.deleted`, second!)
    const expected = isDecided ? everything.filter((value) => value !== 'value-1') : everything
    assert.deepEqual(await valuesAfterRestart(disk), expected)
  }
})
