/** Reading for fetches: at once, or when there is enough. */
import type { LogStore, ReadRequest, ReadResult } from '../../storage/log-store.ts'
import type { Clock } from '../environment/environment.ts'
import type { DeadlineQueue } from '../network/deadline-queue.ts'
import type { MemoryBudget } from '../network/memory-budget.ts'
import { waitForData } from './fetch-waiter.ts'

export interface ReadParts {
  readonly logs: LogStore
  readonly clock: Clock
  readonly deadlines: DeadlineQueue
  readonly memory: MemoryBudget
}

export interface PollOptions {
  readonly minBytes: number
  readonly maxBytes: number
  readonly maxWaitMs: number
  readonly signal: AbortSignal
  /** Called once, when the read has to wait. */
  onWait(): void
}

/**
 * Reads until there are `minBytes`, or something that the reader must hear at once, or `maxWaitMs` have passed. Same
 * length and order as `requests`.
 */
export async function poll(
  parts: ReadParts,
  requests: readonly ReadRequest[],
  options: PollOptions,
): Promise<readonly ReadResult[]> {
  const { logs, clock, memory } = parts
  const { signal } = options
  const endMs = clock.monotonicMs() + options.maxWaitMs
  for (let isFirst = true; ; isFirst = false) {
    const maxBytes = Math.min(options.maxBytes, memory.fetchAllowance())
    const minBytes = Math.min(options.minBytes, maxBytes) // nobody waits for more than may come
    const expectedBytes = expectedBytesOf(logs, requests, maxBytes)
    const results = await readCounted(parts, requests, { maxBytes, expectedBytes })
    const maxWaitMs = endMs - clock.monotonicMs()
    if (requests.length === 0 || maxWaitMs <= 0 || signal.aborted) return results
    if (isEnough(results, { minBytes, expectedBytes })) return results
    releaseReads(results)
    if (isFirst) options.onWait()
    await waitForData(parts, requests, { minBytes: Math.max(minBytes, expectedBytes + 1), maxWaitMs, signal })
  }
}

/**
 * What a read may bring into memory counts while it is under way: many that wait for the disk together would else hold
 * more than anybody knows. From then on its answer is counted by its connection.
 */
async function readCounted(
  { logs, memory }: ReadParts,
  requests: readonly ReadRequest[],
  { maxBytes, expectedBytes }: { readonly maxBytes: number; readonly expectedBytes: number },
): Promise<readonly ReadResult[]> {
  memory.reserve('response', expectedBytes)
  try {
    return await logs.read(requests, { maxBytes, minOneBatch: true })
  } finally {
    memory.release('response', expectedBytes)
  }
}

function expectedBytesOf(logs: LogStore, requests: readonly ReadRequest[], limitBytes: number): number {
  let expectedBytes = 0
  for (const { log, offset, isolation, maxBytes } of requests) {
    if (logs.find(log.id)) expectedBytes += Math.min(logs.availableBytes(log, offset, isolation), maxBytes)
    if (expectedBytes >= limitBytes) return limitBytes
  }
  return expectedBytes
}

/** To be called when nobody looks at what was read any more. */
export function releaseReads(results: readonly ReadResult[]): void {
  for (const result of results) if (result.ok) result.release?.()
}

export function sizeBytesOf(chunks: readonly Uint8Array[]): number {
  let sizeBytes = 0
  for (const chunk of chunks) sizeBytes += chunk.length
  return sizeBytes
}

/** Whole batches may come to less than was there: what the limits leave is answered, as waiting would bring no more. */
function isEnough(
  results: readonly ReadResult[],
  { minBytes, expectedBytes }: { readonly minBytes: number; readonly expectedBytes: number },
): boolean {
  let sizeBytes = 0
  for (const result of results) {
    if (!result.ok || result.diverging) return true
    sizeBytes += sizeBytesOf(result.chunks)
  }
  return sizeBytes >= minBytes || (sizeBytes > 0 && expectedBytes >= minBytes)
}
