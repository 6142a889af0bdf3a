/**
 * Files in memory. Product code: the broker that starts in milliseconds runs on it, and so does the simulator.
 *
 * A call takes effect when it is made and completes in a later turn of the event loop, through the `defer` handed in:
 * chains of already resolved promises would starve timers. Everything given is copied, so that nobody's buffer is
 * another's.
 */
import {
  DiskError,
  type Disk,
  type DiskClass,
  type DiskFile,
  type DiskLock,
  type DirectoryEntry,
  type FileStat,
  type OpenOptions,
} from './disk.ts'
import { Turns } from './turns.ts'

const pageSizeBytes = 16 * 1024

/** The content of one file. Pages that were never written are missing, and read as zeros. */
class FileContent {
  sizeBytes = 0
  /** Whether it has a name. */
  isLinked = true
  readonly #pages: (Uint8Array | undefined)[] = []

  write(position: number, bytes: Uint8Array): void {
    let done = 0
    while (done < bytes.length) {
      const at = position + done
      const within = at % pageSizeBytes
      const length = Math.min(pageSizeBytes - within, bytes.length - done)
      this.#page(Math.floor(at / pageSizeBytes)).set(bytes.subarray(done, done + length), within)
      done += length
    }
    this.sizeBytes = Math.max(this.sizeBytes, position + bytes.length)
  }

  read(position: number, length: number): Uint8Array {
    const result = new Uint8Array(Math.max(0, Math.min(length, this.sizeBytes - position)))
    let done = 0
    while (done < result.length) {
      const at = position + done
      const within = at % pageSizeBytes
      const part = Math.min(pageSizeBytes - within, result.length - done)
      const page = this.#pages[Math.floor(at / pageSizeBytes)]
      if (page) result.set(page.subarray(within, within + part), done)
      done += part
    }
    return result
  }

  truncate(sizeBytes: number): void {
    if (sizeBytes < this.sizeBytes) {
      const pages = Math.ceil(sizeBytes / pageSizeBytes)
      if (this.#pages.length > pages) this.#pages.length = pages
      if (sizeBytes % pageSizeBytes !== 0) this.#pages[pages - 1]?.fill(0, sizeBytes % pageSizeBytes)
    }
    this.sizeBytes = sizeBytes
  }

  #page(index: number): Uint8Array {
    const page = this.#pages[index] ?? new Uint8Array(pageSizeBytes)
    this.#pages[index] = page
    return page
  }
}

/** Completes a call in a scheduled turn with what `work` gave or threw. `work` runs at once. */
type Complete = <T>(work: () => T) => Promise<T>

class MemoryFile implements DiskFile {
  readonly path: string
  readonly #content: FileContent
  readonly #complete: Complete
  readonly #readOnly: boolean
  #closed = false

  constructor(path: string, content: FileContent, options: { complete: Complete; readOnly: boolean }) {
    this.path = path
    this.#content = content
    this.#complete = options.complete
    this.#readOnly = options.readOnly
  }

  size(): Promise<number> {
    return this.#call(() => this.#content.sizeBytes)
  }

  stat(): Promise<FileStat> {
    return this.#call(() => ({ sizeBytes: this.#content.sizeBytes, isLinked: this.#content.isLinked }))
  }

  write(position: number, chunks: readonly Uint8Array[]): Promise<void> {
    return this.#call(() => {
      if (this.#readOnly) throw new DiskError('READ_ONLY', this.path, `${this.path} was opened for reading only`)
      let at = position
      for (const chunk of chunks) {
        this.#content.write(at, chunk)
        at += chunk.length
      }
    })
  }

  read(position: number, length: number, _class?: DiskClass, into?: Uint8Array): Promise<Uint8Array> {
    return this.#call(() => {
      const bytes = this.#content.read(position, length)
      if (!into) return bytes
      into.set(bytes)
      return into.subarray(0, bytes.length)
    })
  }

  truncate(sizeBytes: number): Promise<void> {
    return this.#call(() => this.#content.truncate(sizeBytes))
  }

  sync(): Promise<void> {
    return this.#call(() => undefined)
  }

  close(): Promise<void> {
    return this.#call(() => {
      this.#closed = true
    })
  }

  #call<T>(work: () => T): Promise<T> {
    return this.#complete(() => {
      if (this.#closed) throw new DiskError('CLOSED', this.path, `${this.path} is closed`)
      return work()
    })
  }
}

export class MemoryDisk implements Disk {
  readonly root = 'memory'
  readonly #defer: (run: () => void) => void
  readonly #turns: Turns
  /** By path. `null` is a directory; the root is always there. */
  readonly #entries = new Map<string, FileContent | null>([['', null]])
  #isLocked = false

  /** `defer` runs a function in a later turn of the event loop: the clock's. */
  constructor(defer: (run: () => void) => void) {
    this.#defer = defer
    this.#turns = new Turns(defer)
  }

  open(path: string, options: OpenOptions = {}): Promise<DiskFile> {
    return this.#complete(() => {
      const name = normalize(path)
      const found = this.#entries.get(name)
      if (found === null) throw new DiskError('IO', path, `${path} is a directory`)
      if (found && options.exclusive === true) throw new DiskError('EXISTS', path, `${path} exists`)
      if (!found && options.create !== true && options.exclusive !== true) throw missing(path)
      return new MemoryFile(path, found ?? this.#create(name), {
        complete: (work) => this.#complete(work),
        readOnly: options.readOnly === true,
      })
    })
  }

  readFile(path: string): Promise<Uint8Array> {
    return this.#complete(() => {
      const content = this.#entries.get(normalize(path))
      if (!content) throw missing(path)
      return content.read(0, content.sizeBytes)
    })
  }

  replaceFile(path: string, content: Uint8Array): Promise<void> {
    return this.#complete(() => {
      const name = normalize(path)
      if (this.#entries.get(name) === null) throw new DiskError('IO', path, `${path} is a directory`)
      this.#unlink(name)
      this.#create(name).write(0, content)
    })
  }

  makeDirectory(path: string): Promise<void> {
    return this.#complete(() => {
      let name = ''
      for (const part of normalize(path).split('/')) {
        name = name === '' ? part : `${name}/${part}`
        if (this.#entries.get(name)) throw new DiskError('EXISTS', path, `${name} is a file`)
        this.#entries.set(name, null)
      }
    })
  }

  list(path: string): Promise<readonly DirectoryEntry[]> {
    return this.#complete(() => {
      const name = normalize(path)
      if (this.#entries.get(name) !== null) throw missing(path)
      const prefix = name === '' ? '' : `${name}/`
      const found: DirectoryEntry[] = []
      for (const [entry, content] of this.#entries) {
        if (entry === '' || !entry.startsWith(prefix) || entry.includes('/', prefix.length)) continue
        found.push({ name: entry.slice(prefix.length), isDirectory: content === null })
      }
      return found.sort((a, b) => (a.name < b.name ? -1 : 1))
    })
  }

  exists(path: string): Promise<boolean> {
    return this.#complete(() => this.#entries.has(normalize(path)))
  }

  rename(from: string, to: string): Promise<void> {
    return this.#complete(() => {
      const [source, target] = [normalize(from), normalize(to)]
      if (!this.#entries.has(source)) throw missing(from)
      this.#requireParent(target)
      const moved = [...this.#entries].filter(([entry]) => entry === source || entry.startsWith(`${source}/`))
      for (const [entry, content] of moved) {
        this.#entries.delete(entry)
        this.#unlink(target + entry.slice(source.length))
        this.#entries.set(target + entry.slice(source.length), content)
      }
    })
  }

  remove(path: string): Promise<void> {
    return this.#complete(() => {
      const name = normalize(path)
      for (const entry of this.#entries.keys()) {
        if (entry === name || entry.startsWith(`${name}/`)) this.#unlink(entry)
      }
    })
  }

  syncDirectory(path: string): Promise<void> {
    return this.#complete(() => {
      if (this.#entries.get(normalize(path)) !== null) throw missing(path)
    })
  }

  nextTurn(): Promise<void> {
    return this.#turns.next()
  }

  lock(): Promise<DiskLock> {
    return this.#complete(() => {
      if (this.#isLocked) throw new DiskError('LOCKED', '', 'this memory disk is in use by another broker')
      this.#isLocked = true
      return {
        release: () =>
          this.#complete(() => {
            this.#isLocked = false
          }),
      }
    })
  }

  #unlink(name: string): void {
    const content = this.#entries.get(name)
    if (content) content.isLinked = false
    this.#entries.delete(name)
  }

  #create(name: string): FileContent {
    this.#requireParent(name)
    const content = new FileContent()
    this.#entries.set(name, content)
    return content
  }

  #requireParent(name: string): void {
    const parent = name.includes('/') ? name.slice(0, name.lastIndexOf('/')) : ''
    if (this.#entries.get(parent) !== null) throw missing(parent)
  }

  #complete<T>(work: () => T): Promise<T> {
    return new Promise((resolve, reject) => {
      let settle: () => void
      try {
        const value = work()
        settle = () => resolve(value)
      } catch (error) {
        settle = () => reject(error as Error)
      }
      this.#defer(settle)
    })
  }
}

function normalize(path: string): string {
  return path === '.' ? '' : path
}

function missing(path: string): DiskError {
  return new DiskError('NOT_FOUND', path, `${path} does not exist`)
}
