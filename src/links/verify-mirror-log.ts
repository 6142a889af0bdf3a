import { lastOffsetOf, type BatchRef } from '../../protocol/records/batch.ts'
import { readBatches } from './received-batches.ts'
import type { LogHandle, LogView, ReadFound } from '../../storage/log-store.ts'
import {
  type Chunk,
  type ChunkReader,
  type ChunkResult,
  failed,
  reserveForVerify,
  type VerifyJob,
} from './verify-parts.ts'

/**
 * Reads the mirror's own log. Each read begins once more with the last batch of the one before: a batch that stands in
 * the log twice, or too late, lies behind it, and a search for the next offset would pass it by.
 */
export class MirrorLogReader implements ChunkReader {
  readonly #job: VerifyJob
  readonly #log: LogHandle
  #last: { readonly baseOffset: bigint; readonly nextOffset: bigint; readonly sizeBytes: number } | undefined

  constructor(job: VerifyJob, log: LogHandle) {
    this.#job = job
    this.#log = log
  }

  async read(offset: bigint, signal: AbortSignal): Promise<ChunkResult> {
    const last = this.#last?.nextOffset === offset ? this.#last : undefined
    if (last) {
      const result = await this.#readAt(last.nextOffset - 1n, this.#job.limits.chunkBytes + 2 * last.sizeBytes, signal)
      if (result.kind === 'chunk') {
        const [first] = result.batches
        const batches = first?.header.baseOffset === last.baseOffset ? result.batches.slice(1) : result.batches
        if (batches.length > 0 || result.damage !== undefined) return this.#noted({ ...result, batches }, offset)
        this.#job.parts.memory.release('link', result.reservedBytes)
      } else if (result.kind !== 'moved' || result.logStartOffset > offset) {
        return result // a log that now begins at the asked offset, or below, has lost nothing of what was asked
      }
    }
    const result = await this.#readAt(offset, this.#job.limits.chunkBytes, signal)
    return result.kind === 'chunk' ? this.#noted(result, offset) : result
  }

  #noted(result: Chunk, offset: bigint): ChunkResult {
    const last = result.batches.at(-1)
    const nextOffset = nextOffsetOf(result.batches, offset)
    this.#last = last && {
      baseOffset: last.header.baseOffset,
      nextOffset,
      sizeBytes: last.bytes.length,
    }
    return { ...result, nextOffset }
  }

  async #readAt(offset: bigint, maxBytes: number, signal: AbortSignal): Promise<ChunkResult> {
    const { parts, limits } = this.#job
    const refused = await reserveForVerify(this.#job, maxBytes, signal)
    if (refused) return refused
    let heldBytes = maxBytes
    try {
      const result = await this.#readUntil(parts.clock.monotonicMs() + limits.stalledMs, { offset, maxBytes }, signal)
      if (!('chunks' in result)) return result
      const sizeBytes = result.chunks.reduce((sum, chunk) => sum + chunk.length, 0)
      if (sizeBytes === 0) return { kind: 'end' }
      parts.memory.change('link', sizeBytes - heldBytes)
      const { batches, damage } = batchesOf(result.chunks)
      heldBytes = 0
      return { kind: 'chunk', batches, damage, reservedBytes: sizeBytes, nextOffset: nextOffsetOf(batches, offset) }
    } finally {
      parts.memory.release('link', heldBytes)
    }
  }

  async #readUntil(
    deadlineMs: number,
    request: { readonly offset: bigint; readonly maxBytes: number },
    signal: AbortSignal,
  ): Promise<ReadFound | ChunkResult> {
    const { clock, logs } = this.#job.parts
    for (;;) {
      if (signal.aborted) return failed('source', 'the verification was stopped')
      const [result] = await logs.read([{ log: this.#log, isolation: 'uncommitted', ...request }], {
        maxBytes: request.maxBytes,
        minOneBatch: true,
        isFromFiles: true, // what consumers are answered from memory may be lost in its file
      })
      if (!result) throw new Error(`a read of ${this.#log.label} was not answered`)
      if (result.ok) return result
      if (result.code === 'OFFSET_OUT_OF_RANGE' && result.view)
        return outOfRange(result.view, request.offset, this.#log)
      if (result.code === 'CORRUPT_BATCH') return damaged(result.message, request.offset)
      const isGone = result.code === 'UNKNOWN_LOG' || result.code === 'LOG_OFFLINE' // deleted, or until a restart
      if (isGone || !result.retriable || clock.monotonicMs() >= deadlineMs) {
        return failed('partition', `the mirror can't be read: ${result.message}`)
      }
      await clock.sleep(100, signal)
    }
  }
}

/** Where to read on: behind the highest offset so far. A batch out of its place never leads back. */
export function nextOffsetOf(batches: readonly BatchRef[], offset: bigint): bigint {
  let nextOffset = offset
  for (const { header } of batches) {
    const next = lastOffsetOf(header) + 1n
    if (next > nextOffset) nextOffset = next
  }
  return nextOffset
}

function outOfRange(view: LogView, offset: bigint, log: LogHandle): ChunkResult {
  if (offset < view.logStartOffset) return { kind: 'moved', logStartOffset: view.logStartOffset }
  return failed(
    'partition',
    `${log.label} was cut while it was compared: it ends at ${view.highWatermark}, got ${offset}`,
  )
}

function damaged(damage: string, offset: bigint): Chunk {
  return { kind: 'chunk', batches: [], reservedBytes: 0, nextOffset: offset, damage }
}

function batchesOf(chunks: readonly Uint8Array[]): { batches: BatchRef[]; damage: string | undefined } {
  const batches: BatchRef[] = []
  for (const chunk of chunks) {
    const read = readBatches(chunk)
    batches.push(...read.batches)
    if (read.damage !== undefined) return { batches, damage: read.damage }
    const wholeBytes = read.batches.reduce((sum, batch) => sum + batch.bytes.length, 0)
    if (wholeBytes < chunk.length)
      return { batches, damage: `${chunk.length - wholeBytes} bytes follow the last whole batch` }
  }
  return { batches, damage: undefined }
}
