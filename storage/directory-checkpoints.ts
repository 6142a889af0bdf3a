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
  #saving: Promise<void> | undefined
  #next: Promise<void> | undefined
  #savedPoints: Uint8Array | undefined

  private constructor(
    place: { readonly disk: Disk; readonly directory: string },
    found: { readonly logStarts: Offsets; readonly recoveryPoints: Offsets },
    logs: () => Iterable<PartitionLog>,
  ) {
    this.#disk = place.disk
    this.#directory = place.directory
    this.#logStarts = found.logStarts
    this.#recoveryPoints = found.recoveryPoints
    this.#logs = logs
  }

  /** `logs` gives the open logs, whenever something is saved. */
  static async load(disk: Disk, directory: string, logs: () => Iterable<PartitionLog>): Promise<DirectoryCheckpoints> {
    const read = async (name: string): Promise<Offsets> => {
      const offsets = (await loadFile(disk, joined(directory, name), parseOffsets)) ?? []
      return new Map(offsets.map((each) => [`${each.topicName}-${each.partitionIndex}`, each.offset]))
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

  /** Writes the log starts of all partitions, durably; calls that come while one write is under way share the next. */
  saveLogStarts(): Promise<void> {
    if (!this.#saving) {
      this.#saving = this.#writeLogStarts().finally(() => (this.#saving = undefined))
      return this.#saving
    }
    this.#next ??= this.#saving
      .catch(() => undefined)
      .then(() => {
        this.#next = undefined
        return this.saveLogStarts()
      })
    return this.#next
  }

  /** Writes the recovery points of all partitions, if one has moved. Calls never overlap. */
  async saveRecoveryPoints(): Promise<void> {
    const bytes = this.#format(this.#recoveryPoints, (log) => log.sync.recoveryPoint)
    if (this.#savedPoints && Buffer.compare(this.#savedPoints, bytes) === 0) return
    await this.#disk.replaceFile(joined(this.#directory, recoveryPointsName), bytes)
    this.#savedPoints = bytes
  }

  async #writeLogStarts(): Promise<void> {
    const bytes = this.#format(this.#logStarts, (log) => log.state.logStartOffset)
    await this.#disk.replaceFile(joined(this.#directory, logStartsName), bytes)
  }

  #format(closed: Offsets, offsetOf: (log: PartitionLog) => bigint): Uint8Array {
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
    return formatOffsets(offsets)
  }
}

export function joined(directory: string, name: string): string {
  return directory === '' ? name : `${directory}/${name}`
}
