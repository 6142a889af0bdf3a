/** What rounds are measured in, how several of them are summed up, and when a target is met. */

interface MetricRow {
  /** Head of its column, with the unit. */
  readonly label: string
  readonly digits: number
}

export const metrics = {
  megabytesPerSecond: { label: 'MB/s', digits: 0 },
  cpuSecondsPerGigabyte: { label: 'CPU s/GB', digits: 2 },
  sourceCpuSecondsPerGigabyte: { label: "source's CPU s/GB", digits: 2 },
  firstRecordMs: { label: 'first record, ms', digits: 0 },
  p50Ms: { label: 'p50, ms', digits: 1 },
  p99Ms: { label: 'p99, ms', digits: 1 },
  p999Ms: { label: 'p99.9, ms', digits: 1 },
  maxMs: { label: 'max, ms', digits: 0 },
  startMs: { label: 'start, ms', digits: 0 },
  residentMegabytes: { label: 'RSS, MB', digits: 0 },
  proportionalMegabytes: { label: 'PSS, MB', digits: 0 },
} as const satisfies Record<string, MetricRow>
export type MetricName = keyof typeof metrics

/** What one round of one peer came to. MB and GB are 10^6 and 10^9 bytes of record values. */
export type Round = Partial<Record<MetricName, number>>

/** Rounds by workload and peer. */
export type Results = Readonly<Record<string, Readonly<Record<string, readonly Round[]>>>>

export interface Spread {
  readonly min: number
  readonly median: number
  readonly max: number
}

/** Undefined where no round has the metric. */
export function spreadOf(rounds: readonly Round[], metric: MetricName): Spread | undefined {
  const sorted = rounds.flatMap((round) => round[metric] ?? []).toSorted((a, b) => a - b)
  if (sorted.length === 0) return undefined
  const middle = sorted.length >> 1
  const median = sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2
  return { min: sorted[0]!, median, max: sorted.at(-1)! }
}

/**
 * What our broker is to reach in a metric: as a multiple of a peer's median, or, without a peer, in the metric's own
 * unit.
 */
export interface Target {
  readonly metric: MetricName
  readonly against?: string
  readonly atLeast?: number
  readonly atMost?: number
}

export interface Verdict {
  readonly workload: string
  readonly metric: MetricName
  /** For people: `at most 0.125 x mirrormaker`. */
  readonly wanted: string
  /** In the unit of `wanted`. */
  readonly value: number
  readonly isMet: boolean
}

/** Undefined where the run has not measured both sides. */
export function judge(
  workload: string,
  target: Target,
  byPeer: Readonly<Record<string, readonly Round[]>>,
): Verdict | undefined {
  const own = spreadOf(byPeer['titorelli'] ?? [], target.metric)?.median
  const other = target.against === undefined ? 1 : spreadOf(byPeer[target.against] ?? [], target.metric)?.median
  if (own === undefined || other === undefined) return undefined
  const value = own / other
  const isMet = value >= (target.atLeast ?? -Infinity) && value <= (target.atMost ?? Infinity)
  const bound = target.atLeast === undefined ? `at most ${rounded(target.atMost!)}` : `at least ${target.atLeast}`
  const wanted = target.against === undefined ? bound : `${bound} x ${target.against}`
  return { workload, metric: target.metric, wanted, value, isMet }
}

function rounded(value: number): number {
  return Number(value.toFixed(3))
}
