/** Chooses partitions for keys as Kafka's Java client does, so that a key has one place whoever produces it. */

const seed = 0x9747b28c
const multiplier = 0x5bd1e995
const shift = 24

/** The partition of a key: MurmurHash 2, its sign bit dropped, modulo the count. */
export function partitionOfKey(key: Uint8Array, partitionCount: number): number {
  return (murmur2(key) & 0x7fffffff) % partitionCount
}

/** 32 bits, in the variant that Kafka uses. */
export function murmur2(bytes: Uint8Array): number {
  const { length } = bytes
  const view = new DataView(bytes.buffer, bytes.byteOffset, length)
  let hash = seed ^ length
  let at = 0
  for (; at + 4 <= length; at += 4) {
    let word = Math.imul(view.getInt32(at, true), multiplier)
    word = Math.imul(word ^ (word >>> shift), multiplier)
    hash = Math.imul(hash, multiplier) ^ word
  }
  let rest = 0
  for (let last = length - 1; last >= at; last--) rest = (rest << 8) | bytes[last]!
  if (at < length) hash = Math.imul(hash ^ rest, multiplier)
  hash = Math.imul(hash ^ (hash >>> 13), multiplier)
  return (hash ^ (hash >>> 15)) | 0
}
