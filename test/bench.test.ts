import assert from 'node:assert/strict'
import { globSync } from 'node:fs'
import test from 'node:test'
import { registeredBenchmarks } from '../bench/support/benchmark.ts'

const root = new URL('../', import.meta.url)
for (const file of globSync('bench/**/*.bench.ts', { cwd: root }).toSorted()) await import(new URL(file, root).href)

for (const { name, sizes, work } of registeredBenchmarks()) {
  test(`the bench "${name}" works at its small size, with the same checksum each time`, async () => {
    const checksum = await work(sizes.small)
    assert.equal(await work(sizes.small), checksum)
  })
}

test('there are benches to run', () => {
  assert.ok(registeredBenchmarks().length > 0)
})
