/**
 * A memory disk that misbehaves on request: it fails the n-th call or every call of a kind, fills up, and at a crash forgets
 * what was not synced, but for a random part of the last write.
 */
import {
  DiskError,
  type Disk,
  type DiskErrorCode,
  type DiskFile,
  type DiskLock,
  type OpenOptions,
} from '../../storage/disk.ts'
import { MemoryDisk } from '../../storage/memory-disk.ts'

export type DiskOperation =
  'open' | 'write' | 'read' | 'truncate' | 'sync' | 'replaceFile' | 'rename' | 'remove' | 'list' | 'other'

/** Whether a call fails: with this code, or not. */
export type Fault = (operation: DiskOperation, path: string, callNumber: number) => DiskErrorCode | undefined

/** A write that no sync has covered. */
interface Unsynced {
  readonly before: Uint8Array
  readonly after: Uint8Array
}

export class CrashDisk implements Disk {
  readonly root = 'crash'
  /** Calls so far, of every kind. */
  callCount = 0
  fault: Fault = () => undefined
  /** A failing write leaves this share of its bytes. */
  tornShare = 0
  readonly #inner: MemoryDisk
  readonly #random: () => number
  #isLocked = false
  /** Content as of the last sync, of files with unsynced writes. */
  readonly #unsynced = new Map<string, Unsynced>()

  /** `random` gives numbers in [0, 1). */
  constructor(random: () => number, inner = new MemoryDisk((run) => setImmediate(run))) {
    this.#random = random
    this.#inner = inner
  }

  async open(path: string, options?: OpenOptions): Promise<DiskFile> {
    await this.#call('open', path)
    return new CrashFile(this, await this.#inner.open(path, options))
  }

  /**
   * Power is lost: each file goes back to what was synced, plus a random beginning of what came after. The names of files are
   * taken as durable. Stores that were opened before must not be used any more; the result is the disk after the restart.
   */
  async crash(): Promise<CrashDisk> {
    for (const [path, { before, after }] of this.#unsynced) {
      if (!(await this.#inner.exists(path))) continue
      const kept = before.length + Math.floor(this.#random() * (after.length - before.length + 1))
      await this.#inner.replaceFile(path, after.length >= before.length ? after.subarray(0, kept) : before)
    }
    return new CrashDisk(this.#random, this.#inner)
  }

  /** The process ends and the machine goes on: all that was written stays. As after `crash`, the result is the disk to go on with. */
  kill(): CrashDisk {
    return new CrashDisk(this.#random, this.#inner)
  }

  async readFile(path: string): Promise<Uint8Array> {
    await this.#call('read', path)
    return this.#inner.readFile(path)
  }

  async replaceFile(path: string, content: Uint8Array): Promise<void> {
    await this.#call('replaceFile', path)
    await this.#inner.replaceFile(path, content)
  }

  async makeDirectory(path: string): Promise<void> {
    await this.#call('other', path)
    await this.#inner.makeDirectory(path)
  }

  async list(path: string) {
    await this.#call('list', path)
    return this.#inner.list(path)
  }

  async exists(path: string): Promise<boolean> {
    await this.#call('other', path)
    return this.#inner.exists(path)
  }

  async rename(from: string, to: string): Promise<void> {
    await this.#call('rename', from)
    await this.#inner.rename(from, to)
    const moved = this.#unsynced.get(from)
    this.#unsynced.delete(from)
    this.#unsynced.delete(to)
    if (moved) this.#unsynced.set(to, moved)
  }

  async remove(path: string): Promise<void> {
    await this.#call('remove', path)
    this.#unsynced.delete(path)
    await this.#inner.remove(path)
  }

  async syncDirectory(path: string): Promise<void> {
    await this.#call('sync', path)
  }

  /** The lock of a process that was killed is nobody's: each disk has its own. */
  lock(): Promise<DiskLock> {
    if (this.#isLocked)
      return Promise.reject(new DiskError('LOCKED', '', 'this memory disk is in use by another broker'))
    this.#isLocked = true
    return Promise.resolve({ release: () => Promise.resolve(void (this.#isLocked = false)) })
  }

  /** For the files of this disk. */
  async noteCall(operation: DiskOperation, path: string): Promise<void> {
    await this.#call(operation, path)
  }

  async noteWrite(path: string, before: Uint8Array): Promise<void> {
    const known = this.#unsynced.get(path)
    if (await this.#inner.exists(path)) {
      this.#unsynced.set(path, { before: known?.before ?? before, after: await this.#inner.readFile(path) })
    }
  }

  noteSynced(path: string): void {
    this.#unsynced.delete(path)
  }

  async #call(operation: DiskOperation, path: string): Promise<void> {
    this.callCount += 1
    const code = this.fault(operation, path, this.callCount)
    if (code === undefined) return
    await new Promise((resolve) => setImmediate(resolve))
    throw new DiskError(code, path, `${operation} of ${path} fails on request`)
  }
}

class CrashFile implements DiskFile {
  readonly path: string
  readonly #disk: CrashDisk
  readonly #inner: DiskFile

  constructor(disk: CrashDisk, inner: DiskFile) {
    this.#disk = disk
    this.#inner = inner
    this.path = inner.path
  }

  size(): Promise<number> {
    return this.#inner.size()
  }

  async write(position: number, chunks: readonly Uint8Array[]): Promise<void> {
    const before = await this.#inner.read(0, await this.#inner.size())
    try {
      await this.#disk.noteCall('write', this.path)
    } catch (error) {
      const bytes = Buffer.concat(chunks)
      await this.#inner.write(position, [bytes.subarray(0, Math.floor(bytes.length * this.#disk.tornShare))])
      throw error
    }
    await this.#inner.write(position, chunks)
    await this.#disk.noteWrite(this.path, before)
  }

  async read(position: number, length: number): Promise<Uint8Array> {
    await this.#disk.noteCall('read', this.path)
    return this.#inner.read(position, length)
  }

  async truncate(sizeBytes: number): Promise<void> {
    await this.#disk.noteCall('truncate', this.path)
    await this.#inner.truncate(sizeBytes)
  }

  async sync(): Promise<void> {
    await this.#disk.noteCall('sync', this.path)
    this.#disk.noteSynced(this.path)
    await this.#inner.sync()
  }

  close(): Promise<void> {
    return this.#inner.close()
  }
}

/** Numbers in [0, 1) from a seed. */
export function seededNumbers(seed: number): () => number {
  let state = (seed * 2_654_435_761 + 1) >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296
  }
}
