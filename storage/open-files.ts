/**
 * Files that are open only while they are used: over a limit, those that were used longest ago are closed, and opened
 * again when they are needed. A broker has far more segments than a process may have descriptors.
 */
import { DiskError, type Disk, type DiskClass, type DiskFile, type FileStat } from './disk.ts'

const closingAtOnce = 256

/**
 * What is open among some files. The limit is exceeded only while more files than that are in use at the same moment,
 * and by those that are being closed, a few hundred at most.
 */
export class OpenFiles {
  readonly limit: number
  /** Open files, the longest unused first. */
  readonly #open = new Set<PooledFile>()
  #newest: PooledFile | undefined
  #room: Promise<void> | undefined
  /** Closing, so that tests and a closing store can wait for it. */
  readonly #closing = new Set<Promise<void>>()

  constructor(limit: number) {
    this.limit = limit
  }

  get openCount(): number {
    return this.#open.size
  }

  /** For pooled files: this one is used now. */
  touch(file: PooledFile): void {
    if (this.#newest === file) return
    this.#newest = file
    this.#open.delete(file)
    this.#open.add(file)
    this.trim()
  }

  /** Closes what is too much and not in use. */
  trim(): void {
    if (this.#open.size <= this.limit) return
    for (const oldest of this.#open) {
      if (this.#open.size <= this.limit) return
      if (oldest.isUsed) continue
      this.forget(oldest)
      const closing = oldest.letGo().finally(() => this.#closing.delete(closing))
      this.#closing.add(closing)
    }
  }

  forget(file: PooledFile): void {
    if (this.#newest === file) this.#newest = undefined
    this.#open.delete(file)
  }

  /**
   * What the next opening has to wait for: files that are being closed hold descriptors too, and a disk may be slow at
   * it.
   */
  get room(): Promise<void> | undefined {
    if (this.#closing.size <= closingAtOnce) return undefined
    this.#room ??= this.settled().finally(() => (this.#room = undefined)) // one wait for all that come meanwhile
    return this.#room
  }

  /** Resolves when the files that were let go are closed. */
  async settled(): Promise<void> {
    await Promise.all(this.#closing)
  }
}

/** A file that exists, open or not. */
export class PooledFile implements DiskFile {
  path: string
  readonly #disk: Disk
  readonly #pool: OpenFiles
  #opening: Promise<DiskFile> | undefined
  /** The same, once it is there. */
  #file: DiskFile | undefined
  #users = 0
  #isClosed = false
  /** Called when the file is closed for being unused: the moment to let go of what belongs to it. */
  onUnused: () => void = () => {}

  constructor(disk: Disk, pool: OpenFiles, path: string) {
    this.#disk = disk
    this.#pool = pool
    this.path = path
  }

  get isUsed(): boolean {
    return this.#users > 0
  }

  /** Opens a new, empty file, whatever was there. */
  async create(): Promise<void> {
    await this.#pool.room
    this.#opening = this.#disk.open(this.path, { create: true })
    await this.#use((file) => file.truncate(0))
  }

  size(): Promise<number> {
    return this.#use((file) => file.size())
  }

  stat(diskClass?: DiskClass): Promise<FileStat> {
    return this.#use((file) => file.stat(diskClass))
  }

  write(position: number, chunks: readonly Uint8Array[]): Promise<void> {
    return this.#use((file) => file.write(position, chunks))
  }

  writeNow(position: number, chunks: readonly Uint8Array[]): boolean {
    const file = this.#file
    if (this.#isClosed || !file?.writeNow) return false
    this.#pool.touch(this)
    return file.writeNow(position, chunks)
  }

  read(position: number, length: number, diskClass?: DiskClass, into?: Uint8Array): Promise<Uint8Array> {
    return this.#use((file) => file.read(position, length, diskClass, into))
  }

  truncate(sizeBytes: number): Promise<void> {
    return this.#use((file) => file.truncate(sizeBytes))
  }

  sync(): Promise<void> {
    return this.#use((file) => file.sync())
  }

  async close(): Promise<void> {
    this.#isClosed = true
    this.#pool.forget(this)
    if (this.#users === 0) await this.#closeHandle()
  }

  /** For the pool: closes the file until it is used again. */
  async letGo(): Promise<void> {
    this.onUnused()
    // What a close says of a file that is only put aside is told by its next use or sync.
    await this.#closeHandle().catch(() => undefined)
  }

  async #closeHandle(): Promise<void> {
    const opening = this.#opening
    this.#opening = undefined
    this.#file = undefined
    if (opening) await (await opening).close()
  }

  #use<T>(work: (file: DiskFile) => Promise<T>): Promise<T> {
    if (this.#isClosed) return Promise.reject(new DiskError('CLOSED', this.path, `${this.path} is closed`))
    this.#users += 1
    this.#pool.touch(this)
    const done = this.#file ? work(this.#file) : this.#open().then(work)
    return done.then(
      (value) => {
        const closed = this.#endUse()
        return closed ? closed.then(() => value) : value
      },
      async (error: unknown) => {
        await this.#endUse()
        throw error
      },
    )
  }

  /** Returns what the last user of a closed file has to wait for. */
  #endUse(): Promise<void> | undefined {
    this.#users -= 1
    this.#pool.trim()
    return this.#users === 0 && this.#isClosed ? this.#closeHandle() : undefined
  }

  async #open(): Promise<DiskFile> {
    const { room } = this.#pool
    if (!this.#opening && room) await room
    const opening = (this.#opening ??= this.#disk.open(this.path))
    try {
      const file = await opening
      if (this.#opening === opening) this.#file = file
      return file
    } catch (error) {
      if (this.#opening === opening) this.#opening = undefined
      this.#pool.forget(this)
      throw error
    }
  }
}
