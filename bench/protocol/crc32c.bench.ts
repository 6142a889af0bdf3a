import { createRequire } from 'node:module'
import { foldableFromBytes, openFolding } from '../../protocol/crc32c-folding.ts'
import { crc32c, crc32cOfTables } from '../../protocol/crc32c.ts'
import { benchmark, runBenchmarks } from '../support/benchmark.ts'

/** The ways to a CRC-32C, each by itself, beside `crc32c`, which picks one by length. The bytes are in the cache. */
const { crc32c: native } = createRequire(import.meta.url)('@node-rs/crc32') as { crc32c: typeof crc32cOfTables }
const ways = { tables: crc32cOfTables, native, folding: openFolding(native), picked: crc32c }

for (const sizeBytes of [64, 512, 1_024, 2_048, 4_096, 16_384, 65_536, 1_048_576]) {
  const bytes = Buffer.alloc(sizeBytes, 'checksum')
  for (const [way, sum] of Object.entries(ways)) {
    if (way === 'folding' && sizeBytes < foldableFromBytes) continue
    const large = Math.ceil((way === 'tables' ? 20_000_000 : 200_000_000) / (sizeBytes + 400))
    const work = (operations: number): number => {
      let total = 0
      for (let i = 0; i < operations; i++) total = (total + sum(bytes, 0)) % 4_294_967_296
      return total
    }
    benchmark(`crc32c of ${sizeBytes} bytes, ${way}`, { small: 4, large }, work, { bytesEach: sizeBytes })
  }
}

if (import.meta.main) await runBenchmarks()
