import assert from 'node:assert/strict'
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test, type TestContext } from 'node:test'
import { buildBatch } from '../../protocol/records/build.ts'
import { comparePartition } from '../../src/cli/demo/compare-files.ts'

const batches = [0n, 2n, 4n].map((baseOffset) =>
  buildBatch({ baseOffset, leaderEpoch: 3, records: [{ value: `a ${baseOffset}` }, { value: `b ${baseOffset}` }] }),
)

/** Compares segments with each other up to offset 6. Each segment is a list of batches. */
async function compare(t: TestContext, source: readonly Uint8Array[][], mirror: readonly Uint8Array[][]) {
  const folder = await mkdtemp(join(tmpdir(), 'titorelli-compare-'))
  t.after(() => rm(folder, { recursive: true, force: true }))
  for (const [name, segments] of Object.entries({ source, mirror })) {
    await mkdir(join(folder, name, 't-0'), { recursive: true })
    for (const [at, segment] of segments.entries()) {
      await writeFile(join(folder, name, 't-0', `${String(at).padStart(20, '0')}.log`), Buffer.concat(segment))
    }
  }
  const folders = { source: join(folder, 'source'), mirror: join(folder, 'mirror') }
  return await comparePartition(folders, { label: 't-0', endOffset: 6n })
}

const [first, second, third] = batches as [Uint8Array, Uint8Array, Uint8Array]
const later = buildBatch({ baseOffset: 6n, records: [{ value: 'written here' }] })

test('identical batches are identical, however they are cut into segments, and what is written later does not count', async (t) => {
  const {
    difference,
    batches: count,
    records,
  } = await compare(t, [[first, second, third, later]], [[first], [second, third, later]])
  assert.deepEqual([difference, count, records], [undefined, 3, 6])
})

const flipped = Uint8Array.from(second)
flipped[flipped.length - 1]! ^= 1
for (const [name, mirror, pattern] of [
  ['a flipped byte', [first, flipped, third], /offset 2: the bytes differ/],
  ['a missing batch', [first, third], /offset 4: the bytes differ/],
  ['a missing tail', [first, second], /the files end at 4, the mirror at 6/],
  [
    'a batch too many',
    [first, second, third, buildBatch({ baseOffset: 5n, records: [{ value: 'x' }] })],
    /offset 5: the source has no such batch/,
  ],
] as const) {
  test(`${name} is found`, async (t) => {
    assert.match((await compare(t, [batches], [[...mirror]])).difference ?? 'identical', pattern)
  })
}
