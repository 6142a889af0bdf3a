/**
 * CRC-32C (Castagnoli), the checksum of record batches, in the way that is fastest for so many bytes: below 160, where
 * a call into native code costs more than the work, and on platforms without a prebuild, our own tables; then native
 * code; and from 2 KiB on folding, which leaves 768 bytes to one of those (`protocol/crc32c-folding.ts`).
 */
import { createRequire } from 'node:module'
import { openFolding, type Crc32c } from './crc32c-folding.ts'

/** Reflected form of the Castagnoli polynomial 0x1EDC6F41. */
const polynomial = 0x82f63b78
/** Shorter inputs are cheaper in JavaScript than through a native call (measured: both take 128 ns for 160 bytes). */
const nativeFromBytes = 160
/** From here on folding wins (390 ns instead of 450); for 1,280 bytes and native code they are even. */
const foldingFromBytes = 2_048

/**
 * Loading the native code takes a start 5 ms and 4 MB: it is loaded, and folding with it, when there was this much to
 * do without.
 */
const nativeAfterBytes = 65_536

const tables = buildTables()
let bytesUntilNative = nativeAfterBytes
let sumLong: Crc32c = sumUntilNative

/**
 * The CRC-32C of the bytes, as an unsigned number. `initial` is the checksum of the bytes before these, so that a value
 * can be computed in parts: `crc32c(b, crc32c(a))` is the checksum of a and b in a row.
 */
export function crc32c(bytes: Uint8Array, initial = 0): number {
  return bytes.length < nativeFromBytes ? crc32cOfTables(bytes, initial) : sumLong(bytes, initial)
}

function sumUntilNative(bytes: Uint8Array, initial: number): number {
  bytesUntilNative -= bytes.length
  if (bytesUntilNative < 0) sumLong = loadFast()
  return crc32cOfTables(bytes, initial)
}

function loadFast(): Crc32c {
  const sumShort = loadNative() ?? crc32cOfTables
  const sumFolding = loadFolding(sumShort)
  if (!sumFolding) return sumShort
  return (bytes, initial) => (bytes.length < foldingFromBytes ? sumShort : sumFolding)(bytes, initial)
}

/**
 * The same in JavaScript: eight table look-ups per eight bytes (slicing-by-8). Exported for the test that compares
 * both.
 */
export function crc32cOfTables(bytes: Uint8Array, initial = 0): number {
  const length = bytes.length
  let crc = ~initial
  let position = 0
  for (const end = length - 7; position < end; position += 8) {
    const low =
      crc ^
      (bytes[position]! | (bytes[position + 1]! << 8) | (bytes[position + 2]! << 16) | (bytes[position + 3]! << 24))
    crc =
      tables[1792 + (low & 0xff)]! ^
      tables[1536 + ((low >>> 8) & 0xff)]! ^
      tables[1280 + ((low >>> 16) & 0xff)]! ^
      tables[1024 + (low >>> 24)]! ^
      tables[768 + bytes[position + 4]!]! ^
      tables[512 + bytes[position + 5]!]! ^
      tables[256 + bytes[position + 6]!]! ^
      tables[bytes[position + 7]!]!
  }
  for (; position < length; position++) crc = tables[(crc ^ bytes[position]!) & 0xff]! ^ (crc >>> 8)
  return ~crc >>> 0
}

/** Eight tables of 256 entries in a row; entry `256 * k + b` is the checksum of byte b followed by k zero bytes. */
function buildTables(): Int32Array {
  const built = new Int32Array(8 * 256)
  for (let byte = 0; byte < 256; byte++) {
    let crc = byte
    for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ polynomial : crc >>> 1
    built[byte] = crc
  }
  for (let entry = 256; entry < built.length; entry++) {
    const previous = built[entry - 256]!
    built[entry] = built[previous & 0xff]! ^ (previous >>> 8)
  }
  return built
}

/** A `require` in a try, because an import of a package without a prebuild for this platform would end the process. */
function loadNative(): Crc32c | undefined {
  try {
    const module = createRequire(import.meta.url)('@node-rs/crc32') as { crc32c: Crc32c }
    return isRight(module.crc32c, new Uint8Array([0x61])) ? module.crc32c : undefined
  } catch {
    return undefined
  }
}

/**
 * Not every platform has WebAssembly: a Node without a compiler (`--jitless`), an old processor, a limit on address
 * space.
 */
function loadFolding(sumRest: Crc32c): Crc32c | undefined {
  try {
    const sum = openFolding(sumRest)
    return isRight(sum, new Uint8Array(foldingFromBytes).fill(0x61)) ? sum : undefined
  } catch {
    return undefined
  }
}

function isRight(sum: Crc32c, bytes: Uint8Array): boolean {
  return sum(bytes, 0) === crc32cOfTables(bytes)
}
