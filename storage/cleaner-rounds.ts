/**
 * Which log is compacted next, and up to where each is: `cleaner-offset-checkpoint` in the data directory, in Kafka's
 * format.
 *
 * Where a log has no line, or one that does not fit it, all of it counts as dirty. Compacting again what is compacted
 * costs time only; taking for compacted what is not would bring deleted keys back. So a line goes, durably, before the
 * log is cut below it.
 */
import { formatOffsets, loadFile, parseOffsets } from './checkpoint-files.ts'
import { cleanableOf, cleanLog, mustClean, type CleanerParts } from './cleaner.ts'
import type { Disk } from './disk.ts'
import type { PartitionLog } from './log.ts'
import type { CleaningReport, CleanOptions, StorageCode } from './log-store.ts'

/** Trying again changes nothing: bytes that cannot be read, and records that are too large to be looked into. */
const finalCodes: readonly StorageCode[] = ['CORRUPT_BATCH']

interface CleanedOffset {
  readonly topicName: string
  readonly partitionIndex: number
  readonly offset: bigint
}

export class CleanerRounds {
  readonly #disk: Disk
  readonly #path: string
  /** By label. */
  readonly #cleaned: Map<string, CleanedOffset>
  readonly #uncleanable = new WeakSet<PartitionLog>()
  #saving: Promise<void> = Promise.resolve()
  /** The file may have lines that hold no more: the last attempt to write it failed. */
  #isUnsaved = false
  #round: Promise<unknown> = Promise.resolve()

  private constructor(disk: Disk, path: string, cleaned: Map<string, CleanedOffset>) {
    this.#disk = disk
    this.#path = path
    this.#cleaned = cleaned
  }

  static async open(disk: Disk, path: string): Promise<CleanerRounds> {
    const entries = (await loadFile(disk, path, parseOffsets)) ?? []
    return new CleanerRounds(disk, path, new Map(entries.map((entry) => [labelOf(entry), entry])))
  }

  /** Everything below is compacted; undefined where nothing is known to be. */
  cleanedOffset(log: PartitionLog): bigint | undefined {
    return this.#cleaned.get(log.label)?.offset
  }

  /** To be called with each log that was opened, before it is used. */
  async check(log: PartitionLog): Promise<void> {
    if ((this.cleanedOffset(log) ?? 0n) > log.state.highWatermark) await this.forget([log])
  }

  /** To be called before a log is cut at `offset`, and with its new end when that is done. */
  async cut(log: PartitionLog, offset: bigint): Promise<void> {
    await this.forget((this.cleanedOffset(log) ?? 0n) > offset ? [log] : [])
  }

  /** To be called before logs are deleted or emptied. */
  async forget(logs: readonly PartitionLog[]): Promise<void> {
    const known = logs.filter((log) => this.#cleaned.delete(log.label))
    if (known.length > 0 || this.#isUnsaved) await this.#save()
  }

  /** Compacts the log with the largest share of dirty bytes among those that are worth it or due. */
  clean(logs: readonly PartitionLog[], options: CleanOptions & CleanerParts): Promise<CleaningReport> {
    const mine = this.#round.then(() => this.#cleanNext(logs, options))
    this.#round = mine.catch(() => undefined)
    return mine
  }

  /** Resolves when no cleaning is under way. */
  async idle(): Promise<void> {
    await this.#round
  }

  async #cleanNext(logs: readonly PartitionLog[], options: CleanOptions & CleanerParts): Promise<CleaningReport> {
    const due = logs
      .filter((log) => log.state.config.cleanupPolicy.compact && !this.#uncleanable.has(log))
      .map((log) => ({ log, cleanable: cleanableOf(log.state, this.cleanedOffset(log) ?? 0n, options.nowMs) }))
      .filter(({ log, cleanable }) => mustClean(log.state, cleanable))
      .sort((a, b) => b.cleanable.dirtyRatio - a.cleanable.dirtyRatio)
    const failures: CleaningReport['failures'][number][] = []
    for (const { log, cleanable } of due) {
      if (options.signal?.aborted) break
      const result = await cleanLog(log, cleanable, options)
      if (!result.ok) {
        const isFinal = finalCodes.includes(result.code)
        if (isFinal) this.#uncleanable.add(log)
        failures.push({ ...result, label: log.label, isFinal })
        continue
      }
      const { cleanedOffset, bytesBefore, bytesAfter } = result
      await this.#note(log, cleanedOffset)
      return { cleaned: { label: log.label, bytesBefore, bytesAfter }, failures }
    }
    return { failures }
  }

  /** A log that was cut or deleted meanwhile has no line. */
  async #note(log: PartitionLog, offset: bigint): Promise<void> {
    if (log.state.status !== 'online' || offset > log.state.highWatermark) return
    const { topicName, id } = log.state
    this.#cleaned.set(log.label, { topicName, partitionIndex: id.partitionIndex, offset })
    await this.#save()
  }

  /** Writes all lines; calls follow each other, and each writes what is known when it begins. */
  #save(): Promise<void> {
    const mine = this.#saving.then(() => this.#write())
    this.#saving = mine.catch(() => undefined)
    return mine
  }

  async #write(): Promise<void> {
    this.#isUnsaved = true
    await this.#disk.replaceFile(this.#path, formatOffsets([...this.#cleaned.values()]))
    this.#isUnsaved = false
  }
}

function labelOf({ topicName, partitionIndex }: CleanedOffset): string {
  return `${topicName}-${partitionIndex}`
}
