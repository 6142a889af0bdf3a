/**
 * A disk that loses power at the n-th call. What was not synced by then is there, torn, or gone: bytes by sectors of 64, names
 * one by one, as a seed decides: new ones may be missing, and removed ones back.
 */
import assert from 'node:assert/strict'
import type { Random } from '../../src/environment/environment.ts'
import { DiskError, type DirectoryEntry, type Disk, type DiskFile, type DiskLock } from '../../storage/disk.ts'

const sectorBytes = 64

interface Content {
  current: Uint8Array
  synced: Uint8Array
}

type Entry = Content | 'directory'

/** What is told of a call that fails. */
type FaultCode = 'IO' | 'NO_SPACE'

export class PowerCutDisk implements Disk {
  readonly root = 'power-cut-disk'
  readonly #random: Random
  readonly #entries = new Map<string, Entry>([['.', 'directory']])
  /** The names as of the last sync of their directories. */
  readonly #durable = new Map<string, Entry>([['.', 'directory']])
  #calls = 0
  #failAtCall = Infinity
  /** Whether only the one call fails, as a bad disk does, or all from it on, as without power. */
  #failsOnce = false
  #mayHaveEffect = true
  #faultCode: FaultCode = 'IO'

  constructor(random: Random) {
    this.#random = random
  }

  get calls(): number {
    return this.#calls
  }

  /** The n-th call from now on fails, and may have had its effect all the same; with `once` the later ones work again. */
  failAt(
    call: number,
    options: { readonly once?: boolean; readonly withoutEffect?: boolean; readonly code?: FaultCode } = {},
  ): void {
    this.#failAtCall = this.#calls + call
    this.#faultCode = options.code ?? 'IO'
    this.#failsOnce = options.once ?? false
    this.#mayHaveEffect = !options.withoutEffect
  }

  /** What is found after the power came back. */
  afterPowerCut(): PowerCutDisk {
    const disk = new PowerCutDisk(this.#random)
    const names = [...new Set([...this.#durable.keys(), ...this.#entries.keys()])].sort()
    for (const path of names) {
      const [before, now] = [this.#durable.get(path), this.#entries.get(path)]
      const entry = before === now || this.#flip() ? now : before
      if (entry === undefined || (path !== '.' && !disk.#entries.has(parentOf(path)))) continue
      const survivor = entry === 'directory' ? entry : this.#survivorOf(entry)
      disk.#entries.set(path, survivor)
      disk.#durable.set(path, survivor)
    }
    return disk
  }

  /** The names of all files. */
  get paths(): string[] {
    return [...this.#entries].flatMap(([path, entry]) => (entry === 'directory' ? [] : [path])).sort()
  }

  #survivorOf({ current, synced }: Content): Content {
    const lengths = [current.length, synced.length]
    const sizeBytes = Math.min(...lengths) + this.#random.below(Math.abs(lengths[0]! - lengths[1]!) + 1)
    const bytes = new Uint8Array(this.#flip() ? sizeBytes : lengths[this.#random.below(2)]!)
    for (let at = 0; at < bytes.length; at += sectorBytes) {
      const from = this.#flip() ? current : synced
      bytes.set(from.subarray(at, Math.min(at + sectorBytes, bytes.length)), at)
    }
    return { current: bytes, synced: bytes }
  }

  #flip(): boolean {
    return this.#random.below(2) === 0
  }

  /** Runs one disk call in a turn of its own. A failing one may have had its effect. */
  async #call<T>(path: string, work: () => T): Promise<T> {
    await new Promise((resolve) => setImmediate(resolve))
    this.#calls++
    const fails = this.#failsOnce ? this.#calls === this.#failAtCall : this.#calls >= this.#failAtCall
    if (!fails) return work()
    if (this.#calls === this.#failAtCall && this.#mayHaveEffect && this.#flip()) work()
    throw new DiskError(this.#faultCode, path, 'the call fails on request')
  }

  open(path: string, { create = false } = {}): Promise<DiskFile> {
    return this.#call(path, () => {
      const found = this.#entries.get(path) ?? (create ? this.#create(path) : undefined)
      if (!found) throw new DiskError('NOT_FOUND', path, `${path} is missing`)
      assert(found !== 'directory')
      return this.#fileOf(path, found)
    })
  }

  #create(path: string): Content {
    assert(this.#entries.has(parentOf(path)), `no directory for ${path}`)
    const content = { current: new Uint8Array(0), synced: new Uint8Array(0) }
    this.#entries.set(path, content)
    return content
  }

  #fileOf(path: string, content: Content): DiskFile {
    return {
      path,
      size: () => this.#call(path, () => content.current.length),
      read: (position, length) => this.#call(path, () => content.current.slice(position, position + length)),
      write: (position, chunks) =>
        this.#call(path, () => {
          const bytes = Buffer.concat(chunks)
          const grown = new Uint8Array(Math.max(content.current.length, position + bytes.length))
          grown.set(content.current)
          grown.set(bytes, position)
          content.current = grown
        }),
      truncate: (sizeBytes) =>
        this.#call(path, () => {
          const cut = new Uint8Array(sizeBytes)
          cut.set(content.current.subarray(0, sizeBytes))
          content.current = cut
        }),
      sync: () =>
        this.#call(path, () => {
          content.synced = content.current
        }),
      close: () => Promise.resolve(),
    }
  }

  readFile(path: string): Promise<Uint8Array> {
    return this.#call(path, () => {
      const content = this.#entries.get(path)
      if (!content) throw new DiskError('NOT_FOUND', path, `${path} is missing`)
      assert(content !== 'directory')
      return content.current.slice()
    })
  }

  replaceFile(path: string, content: Uint8Array): Promise<void> {
    return this.#call(path, () => {
      const bytes = content.slice()
      const entry = { current: bytes, synced: bytes }
      this.#entries.set(path, entry)
      this.#durable.set(path, entry)
    })
  }

  makeDirectory(path: string): Promise<void> {
    return this.#call(path, () => {
      if (path !== '' && !this.#entries.has(path)) this.#entries.set(path, 'directory')
    })
  }

  syncDirectory(directory: string): Promise<void> {
    const path = directory === '' ? '.' : directory
    return this.#call(path, () => {
      for (const name of this.#durable.keys()) {
        if (name !== '.' && parentOf(name) === path && !this.#entries.has(name)) this.#durable.delete(name)
      }
      for (const [name, entry] of this.#entries) {
        if (name !== '.' && parentOf(name) === path) this.#durable.set(name, entry)
      }
    })
  }

  exists(path: string): Promise<boolean> {
    return this.#call(path, () => this.#entries.has(path))
  }

  list(directory: string): Promise<readonly DirectoryEntry[]> {
    const path = directory === '' ? '.' : directory
    return this.#call(path, () =>
      [...this.#entries]
        .filter(([name]) => name !== '.' && parentOf(name) === path)
        .map(([name, entry]) => ({ name: name.slice(name.lastIndexOf('/') + 1), isDirectory: entry === 'directory' })),
    )
  }

  rename(from: string, to: string): Promise<void> {
    return this.#call(from, () => {
      const entry = this.#entries.get(from)
      if (!entry) throw new DiskError('NOT_FOUND', from, `${from} is missing`)
      this.#entries.delete(from)
      this.#entries.set(to, entry)
      for (const [name, inside] of this.#entriesIn(from)) {
        this.#entries.delete(name)
        this.#entries.set(`${to}${name.slice(from.length)}`, inside)
      }
    })
  }

  remove(path: string): Promise<void> {
    return this.#call(path, () => {
      this.#entries.delete(path)
      for (const [name] of this.#entriesIn(path)) this.#entries.delete(name)
    })
  }

  #entriesIn(directory: string): [string, Entry][] {
    return [...this.#entries].filter(([name]) => name.startsWith(`${directory}/`))
  }

  /** Whoever held it has no power any more. */
  lock(): Promise<DiskLock> {
    return Promise.resolve({ release: () => Promise.resolve() })
  }
}

function parentOf(path: string): string {
  return path.includes('/') ? path.slice(0, path.lastIndexOf('/')) : '.'
}
