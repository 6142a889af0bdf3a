/**
 * The upper bounds of the buckets that times are counted in, in milliseconds; one more bucket takes what is above them
 * all.
 */
export const timeBoundsMs = [0.1, 0.25, 0.5, 1, 2.5, 5, 10, 25, 50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000] as const
/** Quantiles are those of at least this long, and of at most twice as long. */
const windowMs = 60_000

/**
 * Requests of one API: how many of each version, and how long they took until their answer was ready, waiting included.
 */
export class RequestStats {
  readonly name: string
  /** By version; holes where nothing was asked. */
  readonly countByVersion: (number | undefined)[] = []
  count = 0
  sumMs = 0
  /** Since the start, by bucket; not cumulative. */
  readonly buckets = new Float64Array(timeBoundsMs.length + 1)
  #recent = new Float64Array(timeBoundsMs.length + 1)
  #before = new Float64Array(timeBoundsMs.length + 1)
  #windowStartMs = 0

  constructor(name: string) {
    this.name = name
  }

  /** Times are of a clock that never goes back. */
  note(apiVersion: number, { startMs, endMs }: { readonly startMs: number; readonly endMs: number }): void {
    const tookMs = endMs - startMs
    this.countByVersion[apiVersion] = (this.countByVersion[apiVersion] ?? 0) + 1
    this.count++
    this.sumMs += tookMs
    let bucket = 0
    while (bucket < timeBoundsMs.length && tookMs > timeBoundsMs[bucket]!) bucket++
    this.buckets[bucket]!++
    this.#turn(endMs)
    this.#recent[bucket]!++
  }

  /** Between the bounds of its bucket, in proportion; NaN when nothing was asked of late. */
  quantileMs(quantile: number, nowMs: number): number {
    this.#turn(nowMs)
    const counts = this.#recent.map((count, bucket) => count + this.#before[bucket]!)
    const total = counts.reduce((sum, count) => sum + count, 0)
    if (total === 0) return NaN
    let rest = quantile * total
    for (const [bucket, count] of counts.entries()) {
      if (count > 0 && rest <= count) return between(bucket, rest / count)
      rest -= count
    }
    return timeBoundsMs.at(-1)!
  }

  #turn(nowMs: number): void {
    const ageMs = nowMs - this.#windowStartMs
    if (ageMs < windowMs) return
    const oldest = this.#before
    this.#before = ageMs < 2 * windowMs ? this.#recent : oldest.fill(0)
    this.#recent = this.#before === oldest ? this.#recent.fill(0) : oldest.fill(0)
    this.#windowStartMs = nowMs
  }
}

function between(bucket: number, share: number): number {
  const from = timeBoundsMs[bucket - 1] ?? 0
  const to = timeBoundsMs[bucket] ?? from
  return from + (to - from) * share
}
