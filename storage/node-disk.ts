/**
 * The real disk: callback `node:fs`, with a cap of calls in flight per class of work; small writes, and looks at names
 * and small files, go without a thread.
 *
 * libuv runs file calls on few threads, shared with name look-ups. Appends may use them all; reads, syncs and
 * housekeeping together leave at least one free, so that a crowd of cold readers never stands between an append and the
 * disk.
 */
import * as fs from 'node:fs'
import * as path from 'node:path'
import {
  DiskError,
  type Disk,
  type DiskClass,
  type DiskErrorCode,
  type DiskFile,
  type DiskLock,
  type DirectoryEntry,
  type FileStat,
  type OpenOptions,
} from './disk.ts'
import { DirectWrites } from './node-direct-writes.ts'
import { lockDirectory } from './node-lock.ts'
import { LoopTime } from './node-loop-time.ts'
import { replaceByRename } from './replace-file.ts'
import { Turns } from './turns.ts'

/** What one `writev` takes at most on Linux and macOS. */
const maxVectors = 1024
/** Linux moves at most 0x7ffff000 bytes in one call; stay well below. */
const maxCallBytes = 1 << 30

export interface NodeDiskOptions {
  /** The size of libuv's thread pool: UV_THREADPOOL_SIZE as the process was started with, 4 by default. */
  readonly threadPoolSize?: number
  /** What calls without a thread may take of the event loop: looks at names and small files, and small writes. */
  readonly loopTime?: LoopTime
  /** How small writes are done. */
  readonly directWrites?: DirectWrites
}

/** A file or a directory of up to this size is small (ext4: some 1,500 names). */
const smallBytes = 64 * 1024
/** A look that takes longer has waited for the disk. */
const usualLookMs = 0.1

/** How many calls of each class may be in flight, for a pool of `threadPoolSize` threads. */
export function classCaps(threadPoolSize: number): Record<DiskClass, number> {
  const others = Math.max(0, threadPoolSize - 1)
  const housekeeping = Math.max(1, Math.floor(others / 5))
  const read = Math.max(1, Math.floor((others - housekeeping) / 2))
  const sync = Math.max(1, others - housekeeping - read)
  return { append: Math.max(1, threadPoolSize), sync, read, housekeeping }
}

/** Lets so many calls run at once; the rest wait in order. */
class Gate {
  #free: number
  #waiting: (() => void)[] = []
  /** So many of those have begun. */
  #begun = 0

  constructor(cap: number) {
    this.#free = cap
  }

  enter(start: () => void): void {
    if (this.#free === 0) {
      this.#waiting.push(start)
      return
    }
    this.#free -= 1
    start()
  }

  leave(): void {
    const next = this.#waiting[this.#begun]
    if (!next) {
      this.#free += 1
      return
    }
    this.#begun += 1
    if (this.#begun * 2 > this.#waiting.length) {
      this.#waiting = this.#waiting.slice(this.#begun) // now and then: taking them off one by one moves all others
      this.#begun = 0
    }
    next()
  }
}

type Callback<T> = (error: NodeJS.ErrnoException | null, value: T) => void

export class NodeDisk implements Disk {
  readonly root: string
  readonly #gates: Record<DiskClass, Gate>
  readonly #direct: DirectWrites
  readonly #loopTime: LoopTime
  readonly #turns = new Turns((run) => setImmediate(run))

  constructor(root: string, options: NodeDiskOptions = {}) {
    this.root = path.resolve(root)
    this.#loopTime = options.loopTime ?? new LoopTime()
    this.#direct = options.directWrites ?? new DirectWrites({ loopTime: this.#loopTime })
    const caps = classCaps(options.threadPoolSize ?? 4)
    this.#gates = {
      append: new Gate(caps.append),
      sync: new Gate(caps.sync),
      read: new Gate(caps.read),
      housekeeping: new Gate(caps.housekeeping),
    }
  }

  async open(name: string, options: OpenOptions = {}): Promise<DiskFile> {
    const { O_RDONLY, O_RDWR, O_CREAT, O_EXCL } = fs.constants
    let flags = options.readOnly === true ? O_RDONLY : O_RDWR
    if (options.create === true || options.exclusive === true) flags |= O_CREAT
    if (options.exclusive === true) flags |= O_EXCL
    const run = this.#runner(name)
    const look: Look = (lookNow) => this.#look(name, lookNow)
    const mode = options.isPrivate === true ? 0o600 : 0o644
    const path = this.#resolve(name)
    const isLook = (flags & O_CREAT) === 0
    const fd =
      (isLook ? await look(() => fs.openSync(path, flags)) : undefined) ??
      (await run<number>('append', (done) => fs.open(path, flags, mode, done)))
    return new NodeFile(name, fd, { run, look, direct: this.#direct, turns: this.#turns })
  }

  async readFile(name: string): Promise<Uint8Array> {
    const path = this.#resolve(name)
    const small = await this.#look(name, () => readSmallFile(path))
    return small ?? this.#runner(name)<Uint8Array>('housekeeping', (done) => fs.readFile(path, done))
  }

  replaceFile(name: string, content: Uint8Array, options: Pick<OpenOptions, 'isPrivate'> = {}): Promise<void> {
    return replaceByRename(this, name, content, options)
  }

  async makeDirectory(name: string): Promise<void> {
    await this.#runner(name)<string | undefined>('housekeeping', (done) =>
      fs.mkdir(this.#resolve(name), { recursive: true }, done as Callback<string | undefined>),
    )
  }

  async list(name: string): Promise<readonly DirectoryEntry[]> {
    const path = this.#resolve(name)
    const options = { withFileTypes: true } as const
    const entries =
      (await this.#look(name, () =>
        fs.statSync(path).size <= smallBytes ? fs.readdirSync(path, options) : undefined,
      )) ?? (await this.#runner(name)<fs.Dirent[]>('housekeeping', (done) => fs.readdir(path, options, done)))
    return entries
      .map((entry) => ({ name: entry.name, isDirectory: entry.isDirectory() }))
      .sort((a, b) => (a.name < b.name ? -1 : 1))
  }

  async exists(name: string): Promise<boolean> {
    const found = await this.#look(name, () => fs.statSync(this.#resolve(name), { throwIfNoEntry: false }) ?? null)
    if (found !== undefined) return found !== null
    try {
      await this.#runner(name)<fs.Stats>('housekeeping', (done) => fs.stat(this.#resolve(name), done))
      return true
    } catch (error) {
      if (error instanceof DiskError && error.code === 'NOT_FOUND') return false
      throw error
    }
  }

  async rename(from: string, to: string): Promise<void> {
    await this.#runner(from)<void>('housekeeping', (done) =>
      fs.rename(this.#resolve(from), this.#resolve(to), done as fs.NoParamCallback),
    )
  }

  async remove(name: string): Promise<void> {
    await this.#runner(name)<void>('housekeeping', (done) =>
      fs.rm(this.#resolve(name), { recursive: true, force: true }, done as fs.NoParamCallback),
    )
  }

  async syncDirectory(name: string): Promise<void> {
    const run = this.#runner(name)
    const fd = await run<number>('sync', (done) => fs.open(this.#resolve(name), fs.constants.O_RDONLY, done))
    try {
      await run<void>('sync', (done) => fs.fsync(fd, done as fs.NoParamCallback))
    } finally {
      await run<void>('sync', (done) => fs.close(fd, done as fs.NoParamCallback))
    }
  }

  nextTurn(): Promise<void> {
    return this.#turns.next()
  }

  async lock(): Promise<DiskLock> {
    await this.makeDirectory('')
    return lockDirectory(this.root)
  }

  /**
   * What a call without a thread finds, as soon as the event loop has time for it. Undefined where that says so, or
   * where the pool should do it, as such calls had to wait for the disk of late.
   */
  #look<T>(name: string, lookNow: () => T | undefined): Promise<T | undefined> {
    return new Promise((resolve, reject) =>
      this.#loopTime.inTurn(() => {
        const startMs = this.#loopTime.begin()
        if (startMs === undefined) return resolve(undefined)
        try {
          resolve(lookNow())
        } catch (error) {
          reject(error instanceof DiskError ? error : diskErrorOf(error as NodeJS.ErrnoException, name))
        } finally {
          this.#loopTime.end(startMs, usualLookMs)
        }
      }),
    )
  }

  #resolve(name: string): string {
    return path.join(this.root, name)
  }

  /** Runs one callback-style call of a class behind its gate, and turns its error into a DiskError for `name`. */
  #runner(name: string): Runner {
    return <T>(diskClass: DiskClass, call: (done: Callback<T>) => void) =>
      new Promise<T>((resolve, reject) => {
        const gate = this.#gates[diskClass]
        gate.enter(() => {
          const done = (error: NodeJS.ErrnoException | null, value?: T) => {
            gate.leave()
            if (error) reject(diskErrorOf(error, name))
            else resolve(value as T)
          }
          try {
            call(done)
          } catch (error) {
            done(error as NodeJS.ErrnoException) // an argument that Node refuses: a name with a NUL, for one
          }
        })
      })
  }
}

type Runner = <T>(diskClass: DiskClass, call: (done: Callback<T>) => void) => Promise<T>
type Look = <T>(lookNow: () => T | undefined) => Promise<T | undefined>

/** The content of a file, or undefined where that is large. */
function readSmallFile(path: string): Uint8Array | undefined {
  const fd = fs.openSync(path, fs.constants.O_RDONLY)
  try {
    const { size } = fs.fstatSync(fd)
    if (size > smallBytes) return undefined
    // One byte more than there is tells whether that is all, also of a file that has grown meanwhile.
    const bytes = new Uint8Array(size + 1)
    const sizeBytes = fs.readSync(fd, bytes, 0, bytes.length, 0)
    return sizeBytes > size ? undefined : bytes.subarray(0, sizeBytes)
  } finally {
    fs.closeSync(fd)
  }
}

/** What the files of a disk share. */
interface FileParts {
  readonly run: Runner
  readonly look: Look
  readonly direct: DirectWrites
  readonly turns: Turns
}

class NodeFile implements DiskFile {
  readonly path: string
  readonly #fd: number
  readonly #run: Runner
  readonly #look: Look
  readonly #direct: DirectWrites
  readonly #turns: Turns
  #closed = false

  constructor(name: string, fd: number, how: FileParts) {
    this.path = name
    this.#fd = fd
    this.#run = how.run
    this.#look = how.look
    this.#direct = how.direct
    this.#turns = how.turns
  }

  async size(): Promise<number> {
    return (await this.stat()).sizeBytes
  }

  async stat(diskClass: DiskClass = 'read'): Promise<FileStat> {
    const { size, nlink } = (await this.#look(() => this.#statNow())) ?? (await this.#statInPool(diskClass))
    return { sizeBytes: size, isLinked: nlink > 0 }
  }

  #statNow(): fs.Stats {
    this.#requireOpen()
    return fs.fstatSync(this.#fd)
  }

  #statInPool(diskClass: DiskClass): Promise<fs.Stats> {
    this.#requireOpen()
    return this.#run<fs.Stats>(diskClass, (done) => fs.fstat(this.#fd, done))
  }

  async write(position: number, chunks: readonly Uint8Array[]): Promise<void> {
    this.#requireOpen()
    const written = this.#writeDirectly(position, chunks)
    if (written < sizeBytesOf(chunks)) return this.#writeInPool(position, chunks, written)
    return this.#turns.next() // what follows a write never starves timers and sockets
  }

  writeNow(position: number, chunks: readonly Uint8Array[]): boolean {
    this.#requireOpen()
    return this.#writeDirectly(position, chunks) === sizeBytesOf(chunks)
  }

  /** How many bytes could be written without the pool. */
  #writeDirectly(position: number, chunks: readonly Uint8Array[]): number {
    try {
      return this.#direct.tryWrite(this.#fd, chunks, { position, sizeBytes: sizeBytesOf(chunks) }) ?? 0
    } catch (error) {
      throw diskErrorOf(error as NodeJS.ErrnoException, this.path)
    }
  }

  /** Writes what follows the bytes that are done. */
  async #writeInPool(position: number, chunks: readonly Uint8Array[], doneBytes: number): Promise<void> {
    let done = doneBytes
    const sizeBytes = sizeBytesOf(chunks)
    while (done < sizeBytes) {
      const written = await this.#writeSome(position + done, done === 0 ? chunks : skipBytes(chunks, done))
      if (written === 0) throw new DiskError('IO', this.path, `a write to ${this.path} made no progress`)
      done += written
    }
  }

  /** One call, which may write less than all. A single piece costs less than a vector of one. */
  #writeSome(position: number, chunks: readonly Uint8Array[]): Promise<number> {
    const part = takeVectors(chunks)
    const [only] = part
    return this.#run<number>('append', (done) => {
      if (only && part.length === 1) fs.write(this.#fd, only, 0, only.length, position, done)
      else fs.writev(this.#fd, part, position, done)
    })
  }

  async read(position: number, length: number, diskClass: DiskClass = 'read', into?: Uint8Array): Promise<Uint8Array> {
    this.#requireOpen()
    const target = into ?? Buffer.allocUnsafeSlow(length)
    let done = 0
    while (done < length) {
      const [start, from] = [done, position + done]
      const count = Math.min(length - start, maxCallBytes)
      const got = await this.#run<number>(diskClass, (end) => fs.read(this.#fd, target, start, count, from, end))
      if (got === 0) break
      done += got
    }
    return target.subarray(0, done)
  }

  async truncate(sizeBytes: number): Promise<void> {
    this.#requireOpen()
    await this.#run<void>('append', (done) => fs.ftruncate(this.#fd, sizeBytes, done as fs.NoParamCallback))
  }

  async sync(): Promise<void> {
    this.#requireOpen()
    this.#direct.syncBegins()
    try {
      await this.#run<void>('sync', (done) => fs.fdatasync(this.#fd, done as fs.NoParamCallback))
    } finally {
      this.#direct.syncEnds()
    }
  }

  async close(): Promise<void> {
    this.#requireOpen()
    this.#closed = true
    await this.#run<void>('housekeeping', (done) => fs.close(this.#fd, done as fs.NoParamCallback))
  }

  /** The operating system reuses descriptor numbers: a call after `close` could reach another file. */
  #requireOpen(): void {
    if (this.#closed) throw new DiskError('CLOSED', this.path, `${this.path} is closed`)
  }
}

function sizeBytesOf(chunks: readonly Uint8Array[]): number {
  let sizeBytes = 0
  for (const chunk of chunks) sizeBytes += chunk.length
  return sizeBytes
}

function takeVectors(chunks: readonly Uint8Array[]): Uint8Array[] {
  const part: Uint8Array[] = []
  let sizeBytes = 0
  for (const chunk of chunks) {
    if (part.length === maxVectors || sizeBytes >= maxCallBytes) break
    const piece = chunk.length > maxCallBytes - sizeBytes ? chunk.subarray(0, maxCallBytes - sizeBytes) : chunk
    part.push(piece)
    sizeBytes += piece.length
  }
  return part
}

function skipBytes(chunks: readonly Uint8Array[], count: number): Uint8Array[] {
  let index = 0
  let left = count
  while (index < chunks.length && left >= chunks[index]!.length) {
    left -= chunks[index]!.length
    index += 1
  }
  const rest = chunks.slice(index)
  if (left > 0 && rest.length > 0) rest[0] = rest[0]!.subarray(left)
  return rest
}

const codeByErrno: Record<string, DiskErrorCode> = {
  ENOENT: 'NOT_FOUND',
  ENOTDIR: 'NOT_FOUND', // a name below a file
  EEXIST: 'EXISTS',
  ENOSPC: 'NO_SPACE',
  EDQUOT: 'NO_SPACE',
  EROFS: 'READ_ONLY',
  EBADF: 'READ_ONLY', // a write through a descriptor opened for reading: closed files are caught before
  EACCES: 'DENIED',
  EPERM: 'DENIED',
}

function diskErrorOf(error: NodeJS.ErrnoException, name: string): DiskError {
  return new DiskError(codeByErrno[error.code ?? ''] ?? 'IO', name, error.message, { cause: error })
}
