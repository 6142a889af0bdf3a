/**
 * The two checkpoints that cover a whole data directory, in Kafka's format: `log-start-offset-checkpoint`, without
 * which deleted records would be back after a restart, and `recovery-point-offset-checkpoint`, which says what was
 * synced.
 */
import { formatOffsets, loadFile, parseOffsets, type PartitionOffset } from './checkpoint-files.ts'
import type { Disk } from './disk.ts'
import type { PartitionLog } from './log.ts'

const logStartsName = 'log-start-offset-checkpoint'
const recoveryPointsName = 'recovery-point-offset-checkpoint'

type Offsets = Map<string, bigint>

export class DirectoryCheckpoints {
  readonly #disk: Disk
  readonly #directory: string
  /** As read when the store was opened: for logs that are not open yet. */
  readonly #logStarts: Offsets
  readonly #recoveryPoints: Offsets
  readonly #logs: () => Iterable<PartitionLog>
  readonly #savingLogStarts = new SharedSave(() => this.#writeLogStarts())
  readonly #savingRecoveryPoints = new SharedSave(() => this.#writeRecoveryPoints())
  /** What the file of recovery points says, or may say: of each log the highest since it was last written for sure. */
  #writtenPoints: Offsets
  #writtenBytes: Uint8Array | undefined

  private constructor(
    place: { readonly disk: Disk; readonly directory: string },
    found: { readonly logStarts: Offsets; readonly recoveryPoints: Offsets },
    logs: () => Iterable<PartitionLog>,
  ) {
    this.#disk = place.disk
    this.#directory = place.directory
    this.#logStarts = found.logStarts
    this.#recoveryPoints = found.recoveryPoints
    this.#writtenPoints = new Map(found.recoveryPoints)
    this.#logs = logs
  }

  /** `logs` gives the open logs, whenever something is saved. */
  static async load(disk: Disk, directory: string, logs: () => Iterable<PartitionLog>): Promise<DirectoryCheckpoints> {
    const read = async (name: string): Promise<Offsets> => {
      const offsets = (await loadFile(disk, joined(directory, name), parseOffsets)) ?? []
      return new Map(offsets.map((each) => [labelOf(each), each.offset]))
    }
    const found = { logStarts: await read(logStartsName), recoveryPoints: await read(recoveryPointsName) }
    return new DirectoryCheckpoints({ disk, directory }, found, logs)
  }

  logStartOf(label: string): bigint | undefined {
    return this.#logStarts.get(label)
  }

  recoveryPointOf(label: string): bigint | undefined {
    return this.#recoveryPoints.get(label)
  }

  /** The log is open now: what it says counts from here on. */
  forget(label: string): void {
    this.#logStarts.delete(label)
    this.#recoveryPoints.delete(label)
  }

  /** Writes the log starts of all partitions, durably. */
  saveLogStarts(): Promise<void> {
    return this.#savingLogStarts.run()
  }

  /** Writes the recovery points of all partitions, durably, if one has moved. */
  saveRecoveryPoints(): Promise<void> {
    return this.#savingRecoveryPoints.run()
  }

  /**
   * To be called when a log loses its end, or has another than the one before it, before anything is appended behind
   * that: a start believes everything below the recovery point on the disk. Durable when it resolves. That of a log
   * which is open is `offset` or less.
   */
  async lowerRecoveryPoint(label: string, offset: bigint): Promise<void> {
    if ((this.#recoveryPoints.get(label) ?? 0n) > offset) this.#recoveryPoints.set(label, offset)
    if ((this.#writtenPoints.get(label) ?? 0n) > offset) await this.saveRecoveryPoints()
  }

  async #writeRecoveryPoints(): Promise<void> {
    const offsets = this.#offsets(this.#recoveryPoints, (log) => log.sync.recoveryPoint)
    const bytes = formatOffsets(offsets)
    if (this.#writtenBytes && Buffer.compare(this.#writtenBytes, bytes) === 0) return
    this.#writtenBytes = undefined
    const written = new Map(offsets.map((each) => [labelOf(each), each.offset]))
    for (const [label, offset] of written) {
      if (offset > (this.#writtenPoints.get(label) ?? 0n)) this.#writtenPoints.set(label, offset)
    }
    await this.#disk.replaceFile(joined(this.#directory, recoveryPointsName), bytes)
    this.#writtenPoints = written
    this.#writtenBytes = bytes
  }

  async #writeLogStarts(): Promise<void> {
    const bytes = formatOffsets(this.#offsets(this.#logStarts, (log) => log.state.logStartOffset))
    await this.#disk.replaceFile(joined(this.#directory, logStartsName), bytes)
  }

  #offsets(closed: Offsets, offsetOf: (log: PartitionLog) => bigint): PartitionOffset[] {
    const offsets: PartitionOffset[] = []
    for (const log of this.#logs()) {
      const offset = offsetOf(log)
      const { topicName, id } = log.state
      if (offset > 0n) offsets.push({ topicName, partitionIndex: id.partitionIndex, offset })
    }
    for (const [label, offset] of closed) {
      const dash = label.lastIndexOf('-')
      offsets.push({ topicName: label.slice(0, dash), partitionIndex: Number(label.slice(dash + 1)), offset })
    }
    return offsets
  }
}

/** Saves one after the other; calls that come while one is under way share the next. */
class SharedSave {
  readonly #save: () => Promise<void>
  #running: Promise<void> | undefined
  #next: Promise<void> | undefined

  constructor(save: () => Promise<void>) {
    this.#save = save
  }

  run(): Promise<void> {
    if (!this.#running) {
      this.#running = this.#save().finally(() => (this.#running = undefined))
      return this.#running
    }
    this.#next ??= this.#running
      .catch(() => undefined)
      .then(() => {
        this.#next = undefined
        return this.run()
      })
    return this.#next
  }
}

function labelOf({ topicName, partitionIndex }: PartitionOffset): string {
  return `${topicName}-${partitionIndex}`
}

export function joined(directory: string, name: string): string {
  return directory === '' ? name : `${directory}/${name}`
}
