/**
 * One workload, run at two sizes: the small one in the test suite, so that benches never rot, the large one for
 * numbers.
 *
 *   node bench/protocol/records.bench.ts
 */
import { cpus } from 'node:os'

/** How many operations one run of the workload does. */
export interface BenchmarkSizes {
  readonly small: number
  readonly large: number
}

export interface BenchmarkOptions {
  /** Bytes that one operation goes through, for a rate in GB/s. */
  readonly bytesEach?: number
}

/** Does the operations and returns a checksum over their results, so that none of them can be left out. */
export type BenchmarkWork = (operations: number) => number | bigint | Promise<number | bigint>

interface Benchmark {
  readonly name: string
  readonly sizes: BenchmarkSizes
  readonly work: BenchmarkWork
  readonly options: BenchmarkOptions
}

const runs = 5
const registered: Benchmark[] = []

/** Registers a workload; whoever imported the file runs it. */
export function benchmark(
  name: string,
  sizes: BenchmarkSizes,
  work: BenchmarkWork,
  options: BenchmarkOptions = {},
): void {
  registered.push({ name, sizes, work, options })
}

/** The workloads registered so far. */
export function registeredBenchmarks(): readonly Benchmark[] {
  return registered
}

/** Runs every registered workload at its large size and prints the machine, the best and the median of five runs. */
export async function runBenchmarks(): Promise<void> {
  const [cpu] = cpus()
  console.log(`${cpu?.model ?? 'unknown processor'}, ${cpus().length} cores, Node ${process.version}`)
  for (const { name, sizes, work, options } of registered) {
    await work(sizes.small) // warms up
    const nanoseconds: number[] = []
    let checksum: number | bigint = 0
    for (let run = 0; run < runs; run++) {
      const start = process.hrtime.bigint()
      checksum = await work(sizes.large)
      nanoseconds.push(Number(process.hrtime.bigint() - start) / sizes.large)
    }
    nanoseconds.sort((a, b) => a - b)
    const best = nanoseconds[0]!
    const median = nanoseconds[runs >> 1]!
    const rate = options.bytesEach === undefined ? '' : `, ${(options.bytesEach / best).toFixed(2)} GB/s`
    console.log(`${name}: ${best.toFixed(1)} ns each (median ${median.toFixed(1)})${rate}, checksum ${checksum}`)
  }
}
