/** Folders of deleted partitions: each has lost its name at once, and loses its files after `file.delete.delay.ms`. */
import type { Disk } from './disk.ts'

export class DeletedFolders {
  readonly #disk: Disk
  /** When they may go is known from the first round on, because a deletion has no clock. */
  readonly #folders = new Map<string, { readonly delayMs: bigint; dueMs?: bigint }>()

  constructor(disk: Disk) {
    this.#disk = disk
  }

  /** Takes a folder that was renamed. Without a delay it is gone when this resolves. */
  async add(folder: string, delayMs: bigint): Promise<void> {
    if (delayMs > 0n) this.#folders.set(folder, { delayMs })
    else await this.#disk.remove(folder)
  }

  async removeDue(nowMs: bigint): Promise<void> {
    for (const [folder, deleted] of this.#folders) {
      deleted.dueMs ??= nowMs + deleted.delayMs
      if (nowMs < deleted.dueMs) continue
      this.#folders.delete(folder)
      await this.#disk.remove(folder)
    }
  }
}
