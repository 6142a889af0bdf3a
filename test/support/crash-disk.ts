/**
 * The disk that loses power, fails and fills up, for tests.
 *
 * It is a file system in memory, of files and directories with what they hold now and what of that is durable. Calls
 * take effect one after the other, each but `writeNow` in a turn of the event loop of its own. At a power cut, what no
 * sync has covered is lost or kept as a seed decides, within what a journaling file system on a real disk may do:
 *
 * - Bytes. `sync` of a file makes durable what was written to it before the call, nothing that comes meanwhile. Of
 *   later writes nothing may be left, or all, or a beginning that ends at any byte, or each sector in any of the states
 *   that it had. The size is one of those that the file had, or lies between two of them; what is missing reads as
 *   zeros. So a name can outlive the content of its file.
 * - Names. Creating, renaming and removing each happen whole or not at all: after a cut in a rename of a file or a
 *   directory the one name or the other is there, never both or none, and a name that is renamed over has the old or
 *   the new file. Operations on different names and files are lost independently of each other, also within one
 *   directory (a journal would keep their order: code that holds here needs none); of those on the same name, or the
 *   same file, a later one never outlives an earlier one. Removing a directory is an operation per file in it.
 *   `syncDirectory` makes the operations on names in that directory durable that were complete before the call, but
 *   neither the content of the files nor the name of the directory itself.
 *
 * Closing never fails, and is no call that counts.
 */
import {
  DiskError,
  type Disk,
  type DiskErrorCode,
  type DiskFile,
  type DiskLock,
  type DirectoryEntry,
  type OpenOptions,
} from '../../storage/disk.ts'
import { replaceByRename } from '../../storage/replace-file.ts'
import { Turns } from '../../storage/turns.ts'

const sectorBytes = 64

export type DiskOperation = 'open' | 'write' | 'read' | 'truncate' | 'sync' | 'rename' | 'remove' | 'list' | 'other'

/**
 * Whether a call fails: with this code, or not. `share` in [0, 1]: how much of its effect it has all the same; what has
 * no parts has its effect only at 1. Default: none, and for writes the disk's `tornShare`.
 */
export type Fault = (
  operation: DiskOperation,
  path: string,
  callNumber: number,
) => DiskErrorCode | { readonly code: DiskErrorCode; readonly share: number } | undefined

/** What a power cut does to what is not durable. All of it by default. */
export interface PowerCutModel {
  /** Unsynced bytes are lost, at least some. Otherwise they all stay. */
  readonly forgetsBytes: boolean
  /** The last write that stays ends at any byte. Otherwise writes stay whole or not at all. */
  readonly tearsWrites: boolean
  /** Unsynced writes to a file stay or go in any order, sector by sector. Otherwise a beginning of them stays. */
  readonly reordersWrites: boolean
  /** Unsynced operations on names are lost. Otherwise they all stay. */
  readonly losesNames: boolean
}

export interface FailOptions {
  /** Only this call fails, as on a bad disk; otherwise all later ones too, as without power. */
  readonly once?: boolean
  /** It has no part of its effect. Otherwise it may have none, some or all. */
  readonly withoutEffect?: boolean
  readonly code?: DiskErrorCode
}

/** A write at a position, or a cut or extension to a size. */
type Change = { readonly position: number; readonly bytes: Uint8Array } | { readonly sizeBytes: number }

class FileNode {
  readonly current: Content
  readonly durable: Content
  /** What the durable content lacks, in order. */
  readonly pending: Change[] = []
  /** Of all that ever happened. */
  changeCount = 0

  constructor(content = new Content()) {
    this.current = content
    this.durable = content.copy()
  }

  change(change: Change): void {
    this.current.change(change)
    this.pending.push(change)
    this.changeCount += 1
  }

  /** Makes the first so many of all changes durable. */
  sync(changeCount: number): void {
    const count = this.pending.length - (this.changeCount - changeCount)
    for (const change of this.pending.splice(0, Math.max(0, count))) this.durable.change(change)
  }
}

class DirectoryNode {
  readonly entries: Map<string, Node>
  readonly durable: Map<string, Node>

  constructor(entries = new Map<string, Node>()) {
    this.entries = entries
    this.durable = new Map(entries)
  }
}

type Node = FileNode | DirectoryNode

/** One operation on names: what each becomes. */
interface NameChange {
  readonly edits: readonly {
    readonly directory: DirectoryNode
    readonly name: string
    readonly node: Node | undefined
  }[]
  /** What had or gets these names. */
  readonly nodes: readonly Node[]
}

/** What the machine has: all disks of one process after the other look at the same. */
interface Volume {
  readonly root: DirectoryNode
  /** Not durable, in order. */
  readonly names: Set<NameChange>
}

export class CrashDisk implements Disk {
  readonly root = 'crash'
  /** Calls so far, of every kind. */
  callCount = 0
  fault: Fault = () => undefined
  /** A failing write leaves this share of its bytes. */
  tornShare = 0
  /** A write that needs more than this fails with NO_SPACE, and so does a new file on a disk that has no room. */
  capacityBytes = Infinity
  /** Whether `writeNow` ever writes. */
  writesNow = true
  readonly #random: () => number
  readonly #model: PowerCutModel
  readonly #volume: Volume
  readonly #turns = new Turns((run) => setImmediate(run))
  #isLocked = false
  /** The process is gone: it does nothing any more. */
  #isDead = false

  /** `random` gives numbers in [0, 1): with zeros only, a power cut takes all that is not durable. */
  constructor(random: () => number, model: Partial<PowerCutModel> = {}, volume?: Volume) {
    this.#random = random
    this.#model = { forgetsBytes: true, tearsWrites: true, reordersWrites: true, losesNames: true, ...model }
    this.#volume = volume ?? { root: new DirectoryNode(), names: new Set() }
  }

  /** The paths of all files. */
  get paths(): string[] {
    return [...filesUnder(this.#volume.root, '')].map(([path]) => path).sort()
  }

  /** The n-th call from now on fails. */
  failAt(call: number, { once = false, withoutEffect = false, code = 'IO' }: FailOptions = {}): void {
    const failing = this.callCount + call
    this.fault = (_operation, _path, callNumber) => {
      if (callNumber < failing || (once && callNumber > failing)) return undefined
      if (withoutEffect || callNumber > failing) return { code, share: 0 }
      return { code, share: [0, this.#random(), 1][Math.floor(this.#random() * 3)]! }
    }
  }

  /** What is found after the power was lost now and came back. This disk goes on as if it had not been. */
  crash(): CrashDisk {
    const root = new DirectoryNode()
    const survivors = new Map<Node, Node>([[this.#volume.root, root]])
    const entriesOf = this.#survivingNames()
    const fill = (from: DirectoryNode, to: DirectoryNode): void => {
      for (const [name, node] of entriesOf(from)) {
        const known = survivors.get(node)
        const survivor = known ?? (node instanceof FileNode ? this.#survivorOf(node) : new DirectoryNode())
        survivors.set(node, survivor)
        to.entries.set(name, survivor)
        to.durable.set(name, survivor)
        if (!known && node instanceof DirectoryNode) fill(node, survivor as DirectoryNode)
      }
    }
    fill(this.#volume.root, root)
    return new CrashDisk(this.#random, this.#model, { root, names: new Set() })
  }

  /**
   * The process ends and the machine goes on: all that was written stays, and what was not durable is not. The result
   * is the disk to go on with; calls on this one fail from now on.
   */
  kill(): CrashDisk {
    this.#isDead = true
    return new CrashDisk(this.#random, this.#model, this.#volume)
  }

  open(path: string, options: OpenOptions = {}): Promise<DiskFile> {
    return this.#call('open', path, () => {
      const { directory, name } = this.#place(path)
      let node = directory.entries.get(name)
      if (node && options.exclusive === true) throw new DiskError('EXISTS', path, `${path} exists`)
      if (node instanceof DirectoryNode) throw new DiskError('IO', path, `${path} is a directory`)
      if (!node) {
        if (options.create !== true && options.exclusive !== true) throw missing(path)
        if (this.#roomBytes() <= 0) throw full(path)
        node = new FileNode()
        this.#changeNames([{ directory, name, node }])
      }
      return this.#fileOf(path, node, options.readOnly === true)
    })
  }

  readFile(path: string): Promise<Uint8Array> {
    return this.#call('read', path, () => {
      const node = this.#find(path)
      if (!(node instanceof FileNode)) throw missing(path)
      return node.current.read(0, node.current.sizeBytes)
    })
  }

  /** In the steps of the real disk, each of them a call. */
  replaceFile(path: string, content: Uint8Array, options?: Pick<OpenOptions, 'isPrivate'>): Promise<void> {
    return replaceByRename(this, path, content, options)
  }

  makeDirectory(path: string): Promise<void> {
    return this.#call('other', path, () => {
      let directory = this.#volume.root
      for (const name of partsOf(path)) {
        const found = directory.entries.get(name)
        if (found instanceof FileNode) throw new DiskError('EXISTS', path, `${path} is a file`)
        const next = found ?? new DirectoryNode()
        if (!found) this.#changeNames([{ directory, name, node: next }])
        directory = next
      }
    })
  }

  list(path: string): Promise<readonly DirectoryEntry[]> {
    return this.#call('list', path, () => {
      const entries = [...this.#directory(path).entries].map(([name, node]) => ({
        name,
        isDirectory: node instanceof DirectoryNode,
      }))
      return entries.sort((a, b) => (a.name < b.name ? -1 : 1))
    })
  }

  exists(path: string): Promise<boolean> {
    return this.#call('other', path, () => this.#find(path) !== undefined)
  }

  rename(from: string, to: string): Promise<void> {
    return this.#call('rename', from, () => {
      const [source, target] = [this.#place(from), this.#place(to)]
      const node = source.directory.entries.get(source.name)
      if (!node) throw missing(from)
      const replaced = target.directory.entries.get(target.name)
      const isTaken = replaced instanceof DirectoryNode ? replaced.entries.size > 0 : node instanceof DirectoryNode
      if (replaced && isTaken) throw new DiskError('IO', to, `${to} is in the way of ${from}`)
      this.#changeNames([
        { ...source, node: undefined },
        { ...target, node },
      ])
    })
  }

  remove(path: string): Promise<void> {
    return this.#call('remove', path, (share) => {
      const node = this.#find(path)
      if (!node) return
      const { directory, name } = this.#place(path)
      const removals = [
        ...(node instanceof DirectoryNode ? removalsIn(node) : []),
        { directory, name, node: undefined },
      ]
      for (const removal of removals.slice(0, Math.floor(removals.length * share))) this.#changeNames([removal])
    })
  }

  syncDirectory(path: string): Promise<void> {
    const covered = [...this.#volume.names] // what is complete now
    return this.#call('sync', path, () => this.#syncNames(this.#directory(path), covered))
  }

  nextTurn(): Promise<void> {
    return this.#turns.next()
  }

  /** The lock of a process that was killed is nobody's: each disk has its own. */
  lock(): Promise<DiskLock> {
    return this.#call('other', '', () => {
      if (this.#isLocked) throw new DiskError('LOCKED', '', 'this crash disk is in use by another broker')
      this.#isLocked = true
      return { release: () => Promise.resolve(void (this.#isLocked = false)) }
    })
  }

  #fileOf(path: string, file: FileNode, isReadOnly: boolean): DiskFile {
    let isClosed = false
    const call = <T>(operation: DiskOperation, work: (share: number) => T): Promise<T> => {
      if (isClosed) return Promise.reject(new DiskError('CLOSED', path, `${path} is closed`))
      return this.#call(operation, path, work)
    }
    const put = (position: number, chunks: readonly Uint8Array[], share: number): void => {
      if (isReadOnly) throw new DiskError('READ_ONLY', path, `${path} was opened for reading only`)
      const wanted = Buffer.concat(chunks)
      const bytes = wanted.subarray(0, Math.floor(wanted.length * share))
      const fitting = bytes.subarray(0, Math.max(0, file.current.sizeBytes - position + this.#roomBytes()))
      if (fitting.length > 0) file.change({ position, bytes: new Uint8Array(fitting) })
      if (fitting.length < bytes.length) throw full(path)
    }
    return {
      path,
      size: () => call('other', () => file.current.sizeBytes),
      stat: () => call('other', () => ({ sizeBytes: file.current.sizeBytes, isLinked: this.#isLinked(file) })),
      read: (position, length) => call('read', () => file.current.read(position, length)),
      write: (position, chunks) => call('write', (share) => put(position, chunks, share)),
      writeNow: (position, chunks) => {
        if (isClosed) throw new DiskError('CLOSED', path, `${path} is closed`)
        const share = this.writesNow ? this.#shareNow() : 0
        if (share > 0) this.#callNow('write', path, (failing) => put(position, chunks, failing * share))
        return share === 1
      },
      truncate: (sizeBytes) => call('truncate', () => file.change({ sizeBytes })),
      sync: () => {
        const { changeCount } = file // what is complete now
        return call('sync', () => file.sync(changeCount))
      },
      close: async () => {
        if (isClosed) throw new DiskError('CLOSED', path, `${path} is closed`)
        isClosed = true
      },
    }
  }

  /** Runs one call in a turn of its own. One that fails may have had a share of its effect. */
  async #call<T>(operation: DiskOperation, path: string, work: (share: number) => T): Promise<T> {
    await new Promise((resolve) => setImmediate(resolve))
    return this.#callNow(operation, path, work)
  }

  /** How much of a write is done at once: mostly all, else nothing or a part. */
  #shareNow(): number {
    if (this.#random() < 0.7) return 1
    return this.#random() < 0.5 ? 0 : this.#random()
  }

  #callNow<T>(operation: DiskOperation, path: string, work: (share: number) => T): T {
    if (this.#isDead) throw new DiskError('IO', path, 'the process that calls was killed')
    this.callCount += 1
    const fault = this.fault(operation, path, this.callCount)
    if (fault === undefined) return work(1)
    const failing =
      typeof fault === 'string' ? { code: fault, share: operation === 'write' ? this.tornShare : 0 } : fault
    const hasParts = operation === 'write' || operation === 'remove'
    if (failing.share === 1 || (hasParts && failing.share > 0)) work(failing.share)
    throw new DiskError(failing.code, path, `${operation} of ${path} fails on request`)
  }

  #roomBytes(): number {
    if (this.capacityBytes === Infinity) return Infinity
    let usedBytes = 0
    for (const [, file] of filesUnder(this.#volume.root, '')) usedBytes += file.current.sizeBytes
    return this.capacityBytes - usedBytes
  }

  #isLinked(file: FileNode): boolean {
    for (const [, each] of filesUnder(this.#volume.root, '')) if (each === file) return true
    return false
  }

  #changeNames(edits: NameChange['edits']): void {
    const nodes = edits.flatMap(({ directory, name, node }) => {
      const before = directory.entries.get(name)
      return [before, node].filter((each) => each !== undefined)
    })
    for (const { directory, name, node } of edits) setEntry(directory.entries, name, node)
    this.#volume.names.add({ edits, nodes })
  }

  #syncNames(directory: DirectoryNode, covered: readonly NameChange[]): void {
    const durable: NameChange[] = []
    for (const change of covered.toReversed()) {
      if (!this.#volume.names.has(change)) continue // another sync was faster
      const isAsked = change.edits.some((edit) => edit.directory === directory)
      if (isAsked || durable.some((later) => rests(later, change))) durable.push(change)
    }
    for (const change of durable.toReversed()) {
      for (const edit of change.edits) setEntry(edit.directory.durable, edit.name, edit.node)
      this.#volume.names.delete(change)
    }
  }

  /** The entries of directories after a power cut. */
  #survivingNames(): (directory: DirectoryNode) => ReadonlyMap<string, Node> {
    const share = this.#model.losesNames ? [0, this.#random(), 1][Math.floor(this.#random() * 3)]! : 1
    const lost: NameChange[] = []
    const found = new Map<DirectoryNode, Map<string, Node>>()
    const entriesOf = (directory: DirectoryNode): Map<string, Node> => {
      const entries = found.get(directory) ?? new Map(directory.durable)
      found.set(directory, entries)
      return entries
    }
    for (const change of this.#volume.names) {
      const isKept = this.#random() < share && !lost.some((earlier) => rests(change, earlier))
      if (!isKept) lost.push(change)
      else for (const { directory, name, node } of change.edits) setEntry(entriesOf(directory), name, node)
    }
    return entriesOf
  }

  #survivorOf(file: FileNode): FileNode {
    if (!this.#model.forgetsBytes) return new FileNode(file.current.copy())
    const way = this.#model.reordersWrites ? Math.floor(this.#random() * 4) : 2
    if (way === 0 || file.pending.length === 0) return new FileNode(file.durable.copy())
    if (way === 1) return new FileNode(file.current.copy())
    return new FileNode(way === 2 ? this.#beginningOf(file) : this.#mixOf(file))
  }

  /** The content after a beginning of the unsynced changes. */
  #beginningOf({ durable, pending }: FileNode): Content {
    const content = durable.copy()
    const weightOf = (change: Change): number => ('bytes' in change ? change.bytes.length : 1)
    let kept = Math.floor(this.#random() * (pending.reduce((sum, change) => sum + weightOf(change), 0) + 1))
    for (const change of pending) {
      if (kept >= weightOf(change)) content.change(change)
      else if ('bytes' in change && this.#model.tearsWrites)
        content.change({ ...change, bytes: change.bytes.subarray(0, kept) })
      kept -= weightOf(change)
      if (kept <= 0) break
    }
    return content
  }

  /** Each sector as it was after some of the changes, and a size that the file had, or one between two of them. */
  #mixOf({ durable, pending }: FileNode): Content {
    const sizes = [durable.sizeBytes]
    const whole = durable.copy()
    for (const change of pending) {
      whole.change(change)
      sizes.push(whole.sizeBytes)
    }
    const versionOfSize = Math.floor(this.#random() * sizes.length)
    const sizeBytes = sizes[versionOfSize]!
    const spareBytes = (sizes[versionOfSize + 1] ?? sizeBytes) - sizeBytes
    const tornBytes = this.#model.tearsWrites ? Math.trunc(this.#random() * spareBytes) : 0
    const content = new Content()
    content.change({ sizeBytes: sizeBytes + tornBytes })
    for (let from = 0; from < content.sizeBytes; from += sectorBytes) {
      const version = Math.floor(this.#random() * sizes.length)
      const sector = sectorAfter({ durable, pending: pending.slice(0, version) }, from)
      content.change({ position: from, bytes: sector.subarray(0, content.sizeBytes - from) })
    }
    return content
  }

  #find(path: string): Node | undefined {
    let node: Node | undefined = this.#volume.root
    for (const name of partsOf(path)) node = node instanceof DirectoryNode ? node.entries.get(name) : undefined
    return node
  }

  #directory(path: string): DirectoryNode {
    const node = this.#find(path)
    if (!(node instanceof DirectoryNode)) throw missing(path)
    return node
  }

  #place(path: string): { directory: DirectoryNode; name: string } {
    const parts = partsOf(path)
    const name = parts.pop() ?? ''
    const directory = this.#find(parts.join('/'))
    if (!(directory instanceof DirectoryNode)) throw missing(path)
    return { directory, name }
  }
}

/** Whether the later operation touches a name or a file of the earlier one. */
function rests(later: NameChange, earlier: NameChange): boolean {
  return (
    later.nodes.some((node) => earlier.nodes.includes(node)) ||
    later.edits.some(({ directory, name }) =>
      earlier.edits.some((edit) => edit.directory === directory && edit.name === name),
    )
  )
}

function setEntry(entries: Map<string, Node>, name: string, node: Node | undefined): void {
  if (node) entries.set(name, node)
  else entries.delete(name)
}

/** The deepest first. */
function removalsIn(directory: DirectoryNode): NameChange['edits'][number][] {
  return [...directory.entries].flatMap(([name, node]) => [
    ...(node instanceof DirectoryNode ? removalsIn(node) : []),
    { directory, name, node: undefined },
  ])
}

function* filesUnder(directory: DirectoryNode, prefix: string): Generator<[string, FileNode]> {
  for (const [name, node] of directory.entries) {
    if (node instanceof FileNode) yield [prefix + name, node]
    else yield* filesUnder(node, `${prefix}${name}/`)
  }
}

function partsOf(path: string): string[] {
  return path.split('/').filter((part) => part !== '' && part !== '.')
}

/** The bytes of a file. */
class Content {
  sizeBytes = 0
  #bytes = new Uint8Array(0)

  copy(): Content {
    const copy = new Content()
    copy.#bytes = this.#bytes.slice(0, this.sizeBytes)
    copy.sizeBytes = this.sizeBytes
    return copy
  }

  read(position: number, length: number): Uint8Array {
    return this.#bytes.slice(position, Math.max(position, Math.min(position + length, this.sizeBytes)))
  }

  change(change: Change): void {
    if ('bytes' in change) {
      if (change.bytes.length > 0) this.#grow(change.position + change.bytes.length)
      this.#bytes.set(change.bytes, change.position)
      return
    }
    if (change.sizeBytes < this.sizeBytes) this.#bytes.fill(0, change.sizeBytes, this.sizeBytes)
    this.#grow(change.sizeBytes)
    this.sizeBytes = change.sizeBytes
  }

  #grow(sizeBytes: number): void {
    if (sizeBytes > this.#bytes.length) {
      const grown = new Uint8Array(Math.max(sizeBytes, 2 * this.#bytes.length))
      grown.set(this.#bytes)
      this.#bytes = grown
    }
    this.sizeBytes = Math.max(this.sizeBytes, sizeBytes)
  }
}

function sectorAfter({ durable, pending }: Pick<FileNode, 'durable' | 'pending'>, from: number): Uint8Array {
  const sector = new Uint8Array(sectorBytes)
  sector.set(durable.read(from, sectorBytes))
  for (const change of pending) {
    if ('bytes' in change) {
      const start = Math.max(change.position, from)
      const end = Math.min(change.position + change.bytes.length, from + sectorBytes)
      if (start < end) sector.set(change.bytes.subarray(start - change.position, end - change.position), start - from)
    } else if (change.sizeBytes < from + sectorBytes) sector.fill(0, Math.max(0, change.sizeBytes - from))
  }
  return sector
}

function missing(path: string): DiskError {
  return new DiskError('NOT_FOUND', path, `${path} does not exist`)
}

function full(path: string): DiskError {
  return new DiskError('NO_SPACE', path, `no space for ${path}`)
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
