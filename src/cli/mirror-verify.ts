/** `titorelli mirror verify`: follows a verification that runs inside the broker. */
import { toJson } from '../json.ts'
import { segment, type ApiClient } from './api-client.ts'
import { CliFailure, exitStatus, print, type Cli } from './cli.ts'
import { listOf, sizeOf } from './table.ts'

type Verdict = 'identical' | 'identical-by-record' | 'different' | 'unknown'
interface Progress {
  readonly kind: 'progress'
  readonly partition: number
  readonly from_offset: number | bigint
  readonly offset: number | bigint
  readonly to_offset: number | bigint
  readonly batches: number
  readonly bytes: number
}
interface Result {
  readonly kind: 'result'
  readonly verdict: Verdict
  readonly partitions?: number
  readonly batches?: number
  readonly bytes?: number
  readonly duration_ms?: number
  readonly first_difference?: {
    readonly partition: number
    readonly offset: number | bigint
    readonly kind: string
    readonly message: string
  } | null
  readonly message?: string | null
}

const statusOf: Record<Verdict, number> = {
  identical: exitStatus.ok,
  'identical-by-record': exitStatus.ok,
  different: exitStatus.failed,
  unknown: exitStatus.couldNotTell,
}
const verdictText: Record<Verdict, string> = {
  identical: 'identical',
  'identical-by-record': 'identical by record (batches differ as compaction leaves them)',
  different: 'DIFFERENT',
  unknown: 'could not tell',
}

/** Streams the job, shows progress on a terminal, prints the result. Returns the exit status. */
export async function verifyMirror(
  api: ApiClient,
  cli: Cli,
  mirror: { readonly link: string; readonly topic: string; readonly json: boolean },
): Promise<number> {
  const { link, topic, json } = mirror
  const shown = new ProgressLine(cli)
  let result: Result | undefined
  try {
    for await (const event of api.stream(`/links/${segment(link)}/mirrors/${segment(topic)}/verify`)) {
      const known = event as Progress | Result
      if (known.kind === 'progress') shown.show(known)
      else result = known
    }
  } catch (error) {
    if (error instanceof CliFailure) throw error
    throw new CliFailure('the broker ended the verification before it was done', exitStatus.couldNotTell, {
      cause: error,
    })
  } finally {
    shown.clear()
  }
  if (!result) throw new CliFailure('the broker ended the verification without a result', exitStatus.couldNotTell)
  print(cli, ...(json ? [toJson(result, 2)] : resultLines(topic, result)))
  return statusOf[result.verdict]
}

function resultLines(topic: string, result: Result): string[] {
  const { first_difference: difference } = result
  const where = difference && `partition ${difference.partition}, offset ${difference.offset} (${difference.kind})`
  return [
    `${topic}: ${verdictText[result.verdict]}`,
    ...listOf([
      ['  Partitions', result.partitions],
      ['  Batches', result.batches],
      ['  Bytes', result.bytes === undefined ? undefined : sizeOf(result.bytes)],
      ['  Took', result.duration_ms === undefined ? undefined : `${(result.duration_ms / 1000).toFixed(2)} s`],
      ['  First difference', where],
      ['  What differs', difference?.message],
      ['  Reason', result.message],
    ]),
  ]
}

/** One line on a terminal that is written over; nothing elsewhere. */
class ProgressLine {
  readonly #cli: Cli
  readonly #done = new Map<number, Progress>()

  constructor(cli: Cli) {
    this.#cli = cli
  }

  show(progress: Progress): void {
    if (!this.#cli.stderr.isTTY) return
    this.#done.set(progress.partition, progress)
    let offsets = 0n
    let total = 0n
    let bytes = 0
    for (const one of this.#done.values()) {
      offsets += BigInt(one.offset) - BigInt(one.from_offset)
      total += BigInt(one.to_offset) - BigInt(one.from_offset)
      bytes += one.bytes
    }
    const percent = total === 0n ? 100 : Number((offsets * 100n) / total)
    this.#write(`comparing: ${percent} % of ${this.#done.size} partitions, ${sizeOf(bytes)}`)
  }

  clear(): void {
    if (this.#cli.stderr.isTTY && this.#done.size > 0) this.#write('')
  }

  #write(text: string): void {
    const width = this.#cli.stderr.columns ?? 80
    this.#cli.stderr.write(`\r${text.slice(0, width - 1)}\x1b[K`)
  }
}
