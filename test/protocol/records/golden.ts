/** Batches that Kafka's own classes wrote, with what the same classes read out of them. */
import { readFileSync } from 'node:fs'
import type { Compression } from '../../../protocol/records/batch.ts'

export interface GoldenRecord {
  readonly offset: string
  readonly timestampMs: string
  /** Hex, as all bytes of a record. */
  readonly key: string | null
  readonly value: string | null
  readonly headers: readonly (readonly [string, string | null])[]
}

export interface GoldenBatch {
  /** Begins with the codec. */
  readonly name: string
  /** Base64. */
  readonly bytes: string
  readonly baseOffset: string
  readonly lastOffset: string
  readonly leaderEpoch: number
  readonly crc: number
  readonly compression: Compression
  readonly timestampType: 'CreateTime' | 'LogAppendTime'
  readonly isTransactional: boolean
  readonly isControl: boolean
  readonly deleteHorizonMs: string | null
  readonly baseTimestamp: string
  readonly maxTimestamp: string
  readonly producerId: string
  readonly producerEpoch: number
  readonly baseSequence: number
  readonly lastSequence: number
  readonly recordCount: number
  readonly sizeBytes: number
  /** Left out for batches of more than 10 records. */
  readonly records: readonly GoldenRecord[]
  /** The CRC-32C over all values in a row. */
  readonly valuesCrc: number
}

const file = new URL('../../golden/records/kafka-4.3.1.json', import.meta.url)

export const goldenBatches = JSON.parse(readFileSync(file, 'utf8')) as readonly GoldenBatch[]

/** A fresh copy of the bytes. */
export function bytesOf(golden: GoldenBatch): Uint8Array {
  return new Uint8Array(Buffer.from(golden.bytes, 'base64'))
}

export function goldenNamed(name: string): GoldenBatch {
  const found = goldenBatches.find((golden) => golden.name === name)
  if (found === undefined) throw new Error(`no golden batch is named ${name}`)
  return found
}

export function hexOf(bytes: Uint8Array | null): string | null {
  return bytes === null ? null : Buffer.from(bytes).toString('hex')
}
