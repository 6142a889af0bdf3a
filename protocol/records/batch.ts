/**
 * A read-only view of one record batch, format v2 (magic 2), without decoding its records.
 */

/** The header fields of a batch, parsed once where the bytes enter. */
export interface BatchHeader {
  readonly baseOffset: bigint
  /** Bytes that follow the length field: the whole batch is 12 bytes longer. */
  readonly batchLength: number
  readonly partitionLeaderEpoch: number
  readonly magic: number
  readonly crc: number
  readonly attributes: number
  readonly lastOffsetDelta: number
  readonly baseTimestamp: bigint
  readonly maxTimestamp: bigint
  readonly producerId: bigint
  readonly producerEpoch: number
  readonly baseSequence: number
  readonly recordCount: number
}

/** One v2 batch: its bytes and its header. An append that assigns offsets ignores the batch's own base offset. */
export interface BatchRef {
  readonly bytes: Uint8Array
  readonly header: BatchHeader
}
