/**
 * Which shard coordinates a key: the rule of Kafka, so that its tools and records agree with us about the partition.
 */

/** Java's `String.hashCode`: over UTF-16 code units, in 32 bits. */
export function javaHashCode(text: string): number {
  let hash = 0
  for (let index = 0; index < text.length; index++) hash = (Math.imul(hash, 31) + text.charCodeAt(index)) | 0
  return hash
}

/**
 * The partition of the internal topic that holds the key. The one hash whose opposite does not fit into 32 bits counts
 * as 0.
 */
export function shardOf(key: string, shardCount: number): number {
  const hash = javaHashCode(key)
  return hash === -2_147_483_648 ? 0 : Math.abs(hash) % shardCount
}
