/**
 * A disk that loses power at the n-th call. What was not synced by then is there, torn, or gone: bytes by sectors of 64, names
 * one by one, as a seed decides. Only what the metadata log uses is here; the rest throws.
 */
import assert from 'node:assert/strict'
import type { Random } from '../../src/environment/environment.ts'
import { DiskError, type Disk, type DiskFile } from '../../storage/disk.ts'

const sectorBytes = 64

interface Content {
  current: Uint8Array
  synced: Uint8Array
}

interface Entry {
  readonly content: Content | 'directory'
  isDurable: boolean
}

export class CrashDisk implements Disk {
  readonly root = 'crash-disk'
  readonly #random: Random
  readonly #entries = new Map<string, Entry>([['.', { content: 'directory', isDurable: true }]])
  #calls = 0
  #failAtCall = Infinity
  /** Whether only the one call fails, as a bad disk does, or all from it on, as without power. */
  #failsOnce = false
  #mayHaveEffect = true

  constructor(random: Random) {
    this.#random = random
  }

  get calls(): number {
    return this.#calls
  }

  /** The n-th call from now on fails, and may have had its effect all the same; with `once` the later ones work again. */
  failAt(call: number, options: { readonly once?: boolean; readonly withoutEffect?: boolean } = {}): void {
    this.#failAtCall = this.#calls + call
    this.#failsOnce = options.once ?? false
    this.#mayHaveEffect = !options.withoutEffect
  }

  /** What is found after the power came back. */
  afterPowerCut(): CrashDisk {
    const disk = new CrashDisk(this.#random)
    for (const [path, { content, isDurable }] of this.#entries) {
      const parent = parentOf(path)
      if (path !== '.' && !disk.#entries.has(parent)) continue
      if (!isDurable && this.#flip()) continue
      disk.#entries.set(path, {
        content: content === 'directory' ? content : this.#survivorOf(content),
        isDurable: true,
      })
    }
    return disk
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
    throw new DiskError('IO', path, 'the power is off')
  }

  open(path: string, { create = false } = {}): Promise<DiskFile> {
    return this.#call(path, () => {
      const found = this.#entries.get(path)?.content ?? (create ? this.#create(path) : undefined)
      if (!found) throw new DiskError('NOT_FOUND', path, `${path} is missing`)
      assert(found !== 'directory')
      return this.#fileOf(path, found)
    })
  }

  #create(path: string): Content {
    assert(this.#entries.has(parentOf(path)), `no directory for ${path}`)
    const content = { current: new Uint8Array(0), synced: new Uint8Array(0) }
    this.#entries.set(path, { content, isDurable: false })
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
      const content = this.#entries.get(path)?.content
      if (!content) throw new DiskError('NOT_FOUND', path, `${path} is missing`)
      assert(content !== 'directory')
      return content.current.slice()
    })
  }

  replaceFile(path: string, content: Uint8Array): Promise<void> {
    return this.#call(path, () => {
      const bytes = content.slice()
      this.#entries.set(path, { content: { current: bytes, synced: bytes }, isDurable: true })
    })
  }

  makeDirectory(path: string): Promise<void> {
    return this.#call(path, () => {
      if (!this.#entries.has(path)) this.#entries.set(path, { content: 'directory', isDurable: false })
    })
  }

  syncDirectory(path: string): Promise<void> {
    return this.#call(path, () => {
      for (const [name, entry] of this.#entries) if (name !== '.' && parentOf(name) === path) entry.isDurable = true
    })
  }

  exists(path: string): Promise<boolean> {
    return this.#call(path, () => this.#entries.has(path))
  }

  list(): Promise<never> {
    throw new Error('not needed here')
  }

  rename(): Promise<never> {
    throw new Error('not needed here')
  }

  remove(): Promise<never> {
    throw new Error('not needed here')
  }

  lock(): Promise<never> {
    throw new Error('not needed here')
  }
}

function parentOf(path: string): string {
  return path.includes('/') ? path.slice(0, path.lastIndexOf('/')) : '.'
}
