/**
 * Several ways to do the same, run in turn in many short rounds: what else the machine does at the time meets all of
 * them alike. Compare medians of rounds, and processor time before wall time: others on the machine take little of the
 * first.
 */

export interface Lane {
  readonly name: string
  /**
   * Does one operation; `number` counts up from 0 over all rounds. Returns bytes gone through, or anything else to sum
   * up.
   */
  readonly work: (number: number) => Promise<number>
  /** So many times as many operations in each round: for what is over too soon to be measured. Default: 1. */
  readonly weight?: number
}

export interface LaneResult {
  readonly name: string
  /** Medians over the rounds, in microseconds per operation: until it is done, and of all threads of the process. */
  readonly wallUs: number
  readonly cpuUs: number
  /** Of the event loop's thread alone. */
  readonly loopUs: number
  readonly operations: number
  /** Everything that the operations returned. */
  readonly sum: number
}

export interface LaneOptions {
  /** Operations under way at the same time. */
  readonly concurrency: number
  readonly rounds: number
  readonly operationsPerRound: number
}

interface Round {
  readonly wallUs: number
  readonly cpuUs: number
  readonly loopUs: number
}

/** Runs every lane in every round, after one round that nobody counts. */
export async function runLanes(lanes: readonly Lane[], options: LaneOptions): Promise<LaneResult[]> {
  const measured = lanes.map(() => ({ rounds: [] as Round[], next: 0, sum: 0 }))
  for (let round = 0; round <= options.rounds; round++) {
    for (const [index, lane] of lanes.entries()) {
      const mine = measured[index]!
      const count = options.operationsPerRound * (lane.weight ?? 1)
      const end = mine.next + count
      const loop = async () => {
        while (mine.next < end) {
          const got = await lane.work(mine.next++)
          mine.sum += got
        }
      }
      const time = await timed(() => Promise.all(Array.from({ length: options.concurrency }, loop)))
      if (round > 0) mine.rounds.push(perOperation(time, count))
    }
  }
  return lanes.map(({ name }, index) => {
    const { rounds, sum, next } = measured[index]!
    const median = (of: (round: Round) => number) => rounds.map(of).sort((a, b) => a - b)[rounds.length >> 1]!
    return {
      name,
      wallUs: median((round) => round.wallUs),
      cpuUs: median((round) => round.cpuUs),
      loopUs: median((round) => round.loopUs),
      operations: next,
      sum,
    }
  })
}

async function timed(work: () => Promise<unknown>): Promise<Round> {
  const [loop, cpu, start] = [process.threadCpuUsage(), process.cpuUsage(), performance.now()]
  await work()
  const wallUs = (performance.now() - start) * 1000
  const [loopSpent, cpuSpent] = [process.threadCpuUsage(loop), process.cpuUsage(cpu)]
  return { wallUs, cpuUs: cpuSpent.user + cpuSpent.system, loopUs: loopSpent.user + loopSpent.system }
}

function perOperation({ wallUs, cpuUs, loopUs }: Round, count: number): Round {
  return { wallUs: wallUs / count, cpuUs: cpuUs / count, loopUs: loopUs / count }
}

/** One line: how fast, how much of the first lane's rate, and what it costs. */
export function describeLane(lane: LaneResult, first: LaneResult, bytesEach: number): string {
  const perSecond = Math.round(1e6 / lane.wallUs)
  const mebibytes = Math.round((perSecond * bytesEach) / 2 ** 20)
  const share = Math.round((100 * first.wallUs) / lane.wallUs)
  const cost = `${lane.cpuUs.toFixed(1)} us of CPU each (${lane.loopUs.toFixed(1)} on the event loop)`
  return `  ${lane.name}: ${perSecond}/s (${mebibytes} MiB/s), ${share} % of ${first.name}, ${cost}`
}
