import type { Disk, DiskFile } from '../../storage/disk.ts'
import { MemoryDisk } from '../../storage/memory-disk.ts'
import { nodeClock } from '../../src/environment/node-clock.ts'

/** A disk whose writes to the logs of `orders` wait until they are let go. */
export class SlowDisk extends MemoryDisk {
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
    return file
  }
}
