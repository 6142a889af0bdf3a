/**
 * The files under a log, as the storage engine sees them. NodeDisk is the real one; MemoryDisk is product code too:
 * with it the same engine is the broker that starts in milliseconds and the one that the simulator crashes.
 *
 * Paths are relative to the disk's root, with `/` between parts and no `..`. Every call that fails rejects with a
 * DiskError. Memory disks complete in a scheduled turn, never as an already resolved promise, and copy what they are
 * given.
 */

/**
 * What the caller waits for, so that one kind of work can't hold all threads: each class has its own cap of calls in
 * flight.
 */
export type DiskClass = 'append' | 'sync' | 'read' | 'housekeeping'

export type DiskErrorCode = 'NOT_FOUND' | 'EXISTS' | 'NO_SPACE' | 'READ_ONLY' | 'DENIED' | 'CLOSED' | 'LOCKED' | 'IO'

/** A failed disk call. `path` is relative to the disk's root. */
export class DiskError extends Error {
  readonly code: DiskErrorCode
  readonly path: string

  constructor(code: DiskErrorCode, path: string, message: string, options?: ErrorOptions) {
    super(message, options)
    this.name = 'DiskError'
    this.code = code
    this.path = path
  }
}

export interface DirectoryEntry {
  readonly name: string
  readonly isDirectory: boolean
}

export interface FileStat {
  readonly sizeBytes: number
  /** A name leads to it. Without one it is gone as soon as nobody has it open. */
  readonly isLinked: boolean
}

/** An open file. Calls of one caller may overlap; each write is at an explicit position. */
export interface DiskFile {
  readonly path: string
  /** The size in bytes. */
  size(): Promise<number>
  stat(diskClass?: DiskClass): Promise<FileStat>
  /**
   * Writes all chunks one after the other from `position` (bytes), in one vectored write where that is possible. Not
   * durable before a `sync` that was started later.
   */
  write(position: number, chunks: readonly Uint8Array[]): Promise<void>
  /**
   * The same at once: true when all is written. False where that could take longer than handing it over, or always:
   * then `write` is to be called, over whatever of it has been written. For callers who let others have their turn in
   * between (`Disk.nextTurn`).
   *
   * @throws DiskError
   */
  writeNow?(position: number, chunks: readonly Uint8Array[]): boolean
  /**
   * Reads up to `length` bytes from `position`. Shorter at the end of the file, empty behind it. The result is the
   * caller's own; a disk may put it into `into`, which has room for `length` bytes.
   */
  read(position: number, length: number, diskClass?: DiskClass, into?: Uint8Array): Promise<Uint8Array>
  /** Cuts or extends (with zeros) to `sizeBytes`. */
  truncate(sizeBytes: number): Promise<void>
  /**
   * Makes content and size durable, as far as writes that had completed before the call. A failed sync is never
   * retried.
   */
  sync(): Promise<void>
  close(): Promise<void>
}

export interface OpenOptions {
  /** Create the file when it is missing. Its directory entry is durable only after `syncDirectory`. */
  readonly create?: boolean
  /** Fail with EXISTS when it is there. Implies `create`. */
  readonly exclusive?: boolean
  readonly readOnly?: boolean
  /** Where it is created, only its owner may read and write it (mode 0600), for secrets. */
  readonly isPrivate?: boolean
}

export interface Disk {
  /** What the operator would call the root, for messages: an absolute path, or `memory`. */
  readonly root: string
  open(path: string, options?: OpenOptions): Promise<DiskFile>
  /** The whole content of a small file. NOT_FOUND when it is missing. */
  readFile(path: string): Promise<Uint8Array>
  /**
   * Replaces a small file so that after a crash it has either its old or its new content: write aside, sync, rename,
   * sync the directory.
   */
  replaceFile(path: string, content: Uint8Array, options?: Pick<OpenOptions, 'isPrivate'>): Promise<void>
  /** Creates a directory and its parents; an existing one is fine. */
  makeDirectory(path: string): Promise<void>
  /** The entries of a directory, ordered by name. NOT_FOUND when it is missing. */
  list(path: string): Promise<readonly DirectoryEntry[]>
  exists(path: string): Promise<boolean>
  /**
   * Renames a file or a directory; an existing file at `to` is replaced. Durable after `syncDirectory` of both parents.
   */
  rename(from: string, to: string): Promise<void>
  /** Removes a file or a directory with all that is in it. A missing one is fine. */
  remove(path: string): Promise<void>
  /** Makes the entries of a directory durable. */
  syncDirectory(path: string): Promise<void>
  /**
   * Resolves when what runs now has run, in another turn of the event loop, for all who ask until then: so they find
   * together what came in one turn.
   */
  nextTurn(): Promise<void>
  /** Takes the root for this process. LOCKED, with a message that says who holds it, while another process has it. */
  lock(): Promise<DiskLock>
}

export interface DiskLock {
  release(): Promise<void>
}
