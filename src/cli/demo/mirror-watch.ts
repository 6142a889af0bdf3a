/** Follows a mirror through the HTTP API and shows lag and rate. */
import { segment, type ApiClient } from '../api-client.ts'
import { CliFailure, type Cli } from '../cli.ts'
import type { MirrorDetails } from '../mirror-text.ts'
import { LiveLine } from './live-line.ts'

const everyMs = 100

export interface Watched {
  readonly link: string
  readonly topic: string
}

export async function describeMirror(api: ApiClient, { link, topic }: Watched): Promise<MirrorDetails> {
  return (await api.own('GET', `/links/${segment(link)}/mirrors/${segment(topic)}`)) as MirrorDetails
}

/** Shows a line until `isDone` says so. Throws when the mirror fails. Returns the last description. */
export async function watchMirror(
  api: ApiClient,
  cli: Cli,
  watched: Watched & { isDone(mirror: MirrorDetails): boolean },
): Promise<MirrorDetails> {
  const line = new LiveLine(cli)
  const rate = new Rate()
  try {
    for (;;) {
      const mirror = await describeMirror(api, watched)
      if (mirror.mirror_status === 'FAILED') throw new CliFailure(`the mirror FAILED: ${mirror.reason}`)
      const end = sumOf(mirror, 'log_end_offset')
      const lag = mirror.partitions.some((one) => one.lag < 0) ? 'not known yet' : `${sumOf(mirror, 'lag')}`
      const perSecond = Math.round(rate.next(end))
      line.show(
        `  ${watched.topic}: ${mirror.mirror_status}, mirrored ${end} records, lag ${lag}, ${perSecond} records/s`,
      )
      if (watched.isDone(mirror)) return mirror
      await new Promise((resolve) => setTimeout(resolve, everyMs))
    }
  } finally {
    line.close()
  }
}

/** True when no partition is behind its source as last seen. */
export function isCaughtUp(mirror: MirrorDetails): boolean {
  return mirror.partitions.length > 0 && mirror.partitions.every((one) => BigInt(one.lag) === 0n)
}

export function sumOf(mirror: MirrorDetails, field: 'lag' | 'log_end_offset'): bigint {
  return mirror.partitions.reduce((sum, one) => sum + BigInt(one[field]), 0n)
}

/** The slope over the last second. */
class Rate {
  readonly #points: { readonly atMs: number; readonly value: bigint }[] = []

  next(value: bigint): number {
    const atMs = Date.now()
    this.#points.push({ atMs, value })
    while (this.#points.length > 2 && atMs - this.#points[0]!.atMs > 1_000) this.#points.shift()
    const [first] = this.#points
    const elapsedMs = atMs - first!.atMs
    return elapsedMs === 0 ? 0 : (Number(value - first!.value) * 1_000) / elapsedMs
  }
}
