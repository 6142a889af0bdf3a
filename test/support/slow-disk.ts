import type { Disk, DiskFile } from '../../storage/disk.ts'
import { MemoryDisk } from '../../storage/memory-disk.ts'
import { nodeClock } from '../../src/environment/node-clock.ts'

/** Reads of this size and more are of record batches, not of headers. */
const largeReadBytes = 100_000

/** A disk whose writes to the logs of `orders`, and large reads of them, wait until they are let go. */
export class SlowDisk extends MemoryDisk {
  /** Bytes of large reads that wait. */
  waitingReadBytes = 0
  #gate: PromiseWithResolvers<void> | undefined

  constructor() {
    super((run) => nodeClock.defer(run))
  }

  hold(): void {
    this.#gate = Promise.withResolvers()
  }

  letGo(): void {
    this.#gate?.resolve()
    this.#gate = undefined
  }

  override async open(path: string, options?: Parameters<Disk['open']>[1]): Promise<DiskFile> {
    const file = await super.open(path, options)
    if (!/^orders-\d+\/.*\.log$/.test(path)) return file
    const write = file.write.bind(file)
    file.write = async (position, chunks) => {
      await this.#gate?.promise
      return write(position, chunks)
    }
    const read = file.read.bind(file)
    file.read = async (position, length, diskClass) => {
      const isLarge = length >= largeReadBytes
      if (isLarge) this.waitingReadBytes += length
      if (isLarge) await this.#gate?.promise
      if (isLarge) this.waitingReadBytes -= length
      return read(position, length, diskClass)
    }
    return file
  }
}
