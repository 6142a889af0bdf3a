import { ProducerIdsRecord } from '../../protocol/state/metadata-records.ts'
import { KafkaError } from '../errors.ts'
import { record, type MetadataStore } from '../metadata/metadata-store.ts'

/** Kafka's block size. A restart forgets what is left of a block. */
export const producerIdBlockSize = 1000n

/**
 * Hands out producer ids, each once in the life of the cluster: blocks of them are reserved in the metadata log,
 * synced, before the first of a block is given away.
 */
export class ProducerIds {
  readonly #metadata: MetadataStore
  readonly #nodeId: number
  #next = 0n
  #end = 0n
  #reservation: Promise<void> | undefined

  constructor(metadata: MetadataStore, nodeId: number) {
    this.#metadata = metadata
    this.#nodeId = nodeId
  }

  /** @throws KafkaError COORDINATOR_NOT_AVAILABLE, on which clients ask again, when no block could be reserved. */
  async next(): Promise<bigint> {
    while (this.#next === this.#end) {
      this.#reservation ??= this.#reserve().finally(() => {
        this.#reservation = undefined
      })
      await this.#reservation
    }
    return this.#next++
  }

  async #reserve(): Promise<void> {
    for (;;) {
      const { offset, nextProducerId } = this.#metadata.image
      const end = nextProducerId + producerIdBlockSize
      const reserved = record(ProducerIdsRecord, { brokerId: this.#nodeId, nextProducerId: end })
      const result = await this.#metadata.append([reserved], { expectedOffset: offset })
      if (result.ok) {
        this.#next = nextProducerId
        this.#end = end
        return
      }
      if (result.code !== 'CONFLICT') throw new KafkaError('COORDINATOR_NOT_AVAILABLE', result.message)
    }
  }
}
