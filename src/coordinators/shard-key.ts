/** Which shard coordinates a key: the rule of Kafka, so that its tools and records agree with us about the partition. */

/** Java's `String.hashCode`: over UTF-16 code units, in 32 bits. */
export function javaHashCode(text: string): number {
  let hash = 0
  for (let index = 0; index < text.length; index++) hash = (Math.imul(hash, 31) + text.charCodeAt(index)) | 0
  return hash
}

/** The partition of the internal topic that holds the key. The sign bit is cleared, as Kafka does, not the sign changed. */
export function shardOf(key: string, shardCount: number): number {
  return (javaHashCode(key) & 0x7fffffff) % shardCount
}
