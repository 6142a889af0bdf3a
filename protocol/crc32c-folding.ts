/**
 * CRC-32C by folding: twice as fast as the processor's own CRC instruction, in WebAssembly, with nothing but XOR.
 *
 * A CRC is a remainder. Read the message as one long polynomial over GF(2), first bit first; its CRC is what is left of
 * it modulo the Castagnoli polynomial P = 0x11EDC6F41. The instruction (8 bytes in 3 cycles) waits for its own last
 * result, so nothing runs beside it. But any multiple of P may be added to the message without changing the remainder,
 * and a multiple with few terms makes that cheap. This one has eight:
 *
 *   Q(x) = x^646 + x^203 + x^155 + x^123 + x^96 + x^48 + x^16 + 1
 *
 * Squaring over GF(2) doubles the exponents and does nothing else (Frobenius: (a + b)^2 = a^2 + b^2), so Q(x)^8 =
 * Q(x^8) is a multiple of P too, and the exponents of Q can be read as bytes. Added at the right place and times a byte
 * of the message, it takes that byte away and XORs it into those 443, 491, 523, 550, 598, 630 and 646 bytes further on.
 * Seen from where it arrives:
 *
 *   folded[i] = data[i] ^ folded[i - 443] ^ folded[i - 491] ^ ... ^ folded[i - 646]
 *
 * Nothing waits for a result younger than 443 bytes, so sixteen bytes at a time go as fast as they can be loaded. The
 * last 768 bytes get what the others hand on and stay: they have the CRC of the whole, and those are for the
 * instruction (or for tables). The bits of a byte are in reverse order in this CRC; folding moves whole bytes and need
 * not know.
 *
 * Why this Q: loads are what the loop waits for, two in a cycle. Of the seven distances three are 443 and 3 or 5 steps
 * of 16 bytes more, four are 550 and 3, 5 or 6 steps more: what was loaded once is wanted again some steps later and
 * stays in a register, so a step has three loads instead of eight. No other multiple with two such windows and seven
 * taps lies between 256 and 1,400 bytes: a search through all pairs takes a moment, and the test does it again.
 *
 * Measured with 16 KiB on an EPYC 9004 (Zen 4), best of 20: the instruction 2.75 us; five taps, all of them loaded,
 * 1.84; five taps in three windows (436 and 484, 856 and 888, 574) 1.27; this 1.20, of which 0.25 are the copy into
 * WebAssembly's memory. For 1 MiB: 167, 110, 77 and 71 us. WebAssembly has 128-bit XOR, but neither the CRC instruction
 * nor carry-less multiplication.
 *
 * Sparse multiples instead of tables are the idea of Chorba (Sam Russell, 2024, https://arxiv.org/abs/2412.16398).
 */
import { strict as assert } from 'node:assert'

/** The CRC-32C of bytes behind others whose CRC-32C is `initial`. */
export type Crc32c = (bytes: Uint8Array, initial: number) => number

/** Distances in bytes that share their loads: `fromBytes`, and as many steps of 16 bytes more as `laterSteps` has. */
interface Window {
  readonly fromBytes: number
  readonly laterSteps: readonly number[]
}

/** Exported for the test that proves them to be the terms of a multiple of P. */
export const windows: readonly Window[] = [
  { fromBytes: 443, laterSteps: [3, 5] },
  { fromBytes: 550, laterSteps: [3, 5, 6] },
]

const vectorBytes = 16
/**
 * Steps in one pass of the loop. More than the largest of `laterSteps`, so that no register is needed again after it
 * was reused.
 */
const stepCount = 8
const passBytes = stepCount * vectorBytes
/** What is left when the rest is folded: the largest distance (646), rounded up to whole passes. */
const restBytes = 768

/** One page of memory: the rest, as many zeros (what lies before a message), then a piece of the message. */
const memoryBytes = 65_536
const zerosAt = restBytes
const pieceAt = 2 * restBytes
/** Whole passes, so that the zeros which fill up the first one find room. */
const pieceMaxBytes = memoryBytes - pieceAt

/** Shorter messages are not worth it. */
export const foldableFromBytes = restBytes + passBytes

/**
 * Returns CRC-32C for messages of `foldableFromBytes` or more. `sumRest` is asked for that of the 768 bytes that are
 * left of each piece of up to 62 KiB. The function keeps 64 KiB of memory (V8 reserves gigabytes of addresses for it)
 * and is not reentrant.
 *
 * @throws where this platform has no WebAssembly, no SIMD in it, or no memory for it.
 */
export function openFolding(sumRest: Crc32c): Crc32c {
  const { memory, fold } = instantiate()
  const bytesOfMemory = new Uint8Array(memory.buffer)
  const view = new DataView(memory.buffer)
  const rest = bytesOfMemory.subarray(0, restBytes)

  return (bytes, initial) => {
    assert(bytes.length >= foldableFromBytes)
    let crc = initial
    let at = 0
    for (let left = bytes.length; left > pieceMaxBytes; left = bytes.length - at) {
      const pieceBytes = Math.min(pieceMaxBytes, Math.floor(left / 2)) // the last two share, so that none is too short
      crc = sumPiece(bytes.subarray(at, at + pieceBytes), crc)
      at += pieceBytes
    }
    return sumPiece(at === 0 ? bytes : bytes.subarray(at), crc)
  }

  function sumPiece(bytes: Uint8Array, initial: number): number {
    const padBytes = -bytes.length & (passBytes - 1) // zeros in front of a polynomial are nothing
    const at = pieceAt + padBytes
    bytesOfMemory.fill(0, pieceAt, at)
    bytesOfMemory.set(bytes, at)
    view.setInt32(at, view.getInt32(at, true) ^ ~initial, true) // the state so far belongs to the first four bytes
    fold(zerosAt, zerosAt + padBytes + bytes.length - restBytes)
    return sumRest(rest, 0xffffffff) // which stands for the state 0
  }
}

interface Exports {
  readonly memory: { readonly buffer: ArrayBuffer }
  /** Both are addresses `restBytes` before the data that they mean: the first to fold, and the first of the rest. */
  readonly fold: (from: number, to: number) => void
}

/** As much of it as is used here; the types of Node have none. */
interface WebAssemblyHost {
  readonly WebAssembly: {
    readonly Module: new (bytes: Uint8Array) => object
    readonly Instance: new (module: object) => { readonly exports: object }
  }
}

function instantiate(): Exports {
  const { WebAssembly } = globalThis as unknown as WebAssemblyHost
  return new WebAssembly.Instance(new WebAssembly.Module(assembleModule())).exports as Exports
}

/**
 * Locals of the function: its two parameters (`from` moves), where in the rest it writes, and vectors. Those start as
 * zero.
 */
const from = 0
const to = 1
const restAt = 2
const zero = 3
const vectorCount = 1 + windows.length * stepCount

/**
 * What the window loaded in this step; steps before the first are those of the pass before, whose registers are not yet
 * reused.
 */
function loadedIn(window: number, step: number): number {
  return zero + 1 + window * stepCount + ((step + stepCount) % stepCount)
}

/**
 * Two loops. The first folds in place. The second does the same with the last bytes, but puts them into the rest and
 * zeros in their place: they are not taken away, so nothing of them may be found further on.
 */
function assembleFold(): number[] {
  const code = new Code()
  code.loop()
  for (let step = 0; step < stepCount; step++) {
    code.localGet(from)
    putFolded(code, step)
    code.v128Store(restBytes + step * vectorBytes)
  }
  code.localGet(from).i32Const(passBytes).i32Add().localSet(from)
  code.localGet(from).localGet(to).i32LessThan().branchToLoopIf().end()

  code.loop()
  for (let step = 0; step < stepCount; step++) {
    code.localGet(restAt)
    putFolded(code, step)
    code.v128Store(step * vectorBytes)
    code.localGet(from).localGet(zero)
    code.v128Store(restBytes + step * vectorBytes)
  }
  code.localGet(from).i32Const(passBytes).i32Add().localSet(from)
  code.localGet(restAt).i32Const(passBytes).i32Add().localSet(restAt)
  code.localGet(restAt).i32Const(restBytes).i32LessThan().branchToLoopIf().end()
  return code.end().bytes
}

/** Leaves the folded vector of one step on the stack. */
function putFolded(code: Code, step: number): void {
  const dataAt = restBytes + step * vectorBytes // from `from`
  code.localGet(from).v128Load(dataAt)
  for (const [window, { fromBytes, laterSteps }] of windows.entries()) {
    code.localGet(from).v128Load(dataAt - fromBytes)
    code.localTee(loadedIn(window, step)).v128Xor()
    for (const later of laterSteps) code.localGet(loadedIn(window, step - later)).v128Xor()
  }
}

/**
 * Instructions in a row: each method appends one. Loads and stores add `offset` to the address that they take from the
 * stack.
 */
class Code {
  readonly bytes: number[] = []

  readonly loop = (): this => this.#put([0x03, 0x40])
  readonly end = (): this => this.#put([0x0b])
  readonly branchToLoopIf = (): this => this.#put([0x0d], 0)
  readonly localGet = (local: number): this => this.#put([0x20], local)
  readonly localSet = (local: number): this => this.#put([0x21], local)
  /** Sets, and leaves the value on the stack. */
  readonly localTee = (local: number): this => this.#put([0x22], local)
  readonly i32Const = (value: number): this => this.#put([0x41], value)
  readonly i32LessThan = (): this => this.#put([0x49])
  readonly i32Add = (): this => this.#put([0x6a])
  readonly v128Load = (offset: number): this => this.#put([0xfd, 0x00, 0], offset)
  readonly v128Store = (offset: number): this => this.#put([0xfd, 0x0b, 0], offset)
  readonly v128Xor = (): this => this.#put([0xfd, 0x51])

  #put(opcode: readonly number[], immediate?: number): this {
    this.bytes.push(...opcode)
    if (immediate !== undefined) this.bytes.push(...leb128(immediate))
    return this
  }
}

/**
 * A module with one page of memory and the function. Format:
 * https://webassembly.github.io/spec/core/binary/modules.html
 */
function assembleModule(): Uint8Array {
  const i32 = 0x7f
  const v128 = 0x7b
  const locals = [2, 1, i32, vectorCount, v128] // two kinds of them, behind the parameters
  return Uint8Array.from(
    [0x00, 0x61, 0x73, 0x6d, 1, 0, 0, 0].concat(
      section(1, [1, 0x60, 2, i32, i32, 0]), // one type: a function of two integers that returns nothing
      section(3, [1, 0]), // one function, of that type
      section(5, [1, 1, 1, 1]), // one memory: it has a limit, of one page at first and at most
      section(7, [2, ...sized([...Buffer.from('memory')]), 2, 0, ...sized([...Buffer.from('fold')]), 0, 0]), // two exports
      section(10, [1].concat(sized(locals.concat(assembleFold())))), // one body
    ),
  )
}

function section(id: number, content: readonly number[]): number[] {
  return [id].concat(sized(content))
}

function sized(bytes: readonly number[]): number[] {
  return leb128(bytes.length).concat(bytes)
}

/**
 * Seven bits a byte, lowest first. The top bit of the last seven stays clear, so that it reads the same signed and
 * unsigned.
 */
function leb128(value: number): number[] {
  return value < 64 ? [value] : [(value & 127) | 128].concat(leb128(value >>> 7))
}
