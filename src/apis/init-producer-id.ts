import { InitProducerId } from '../../protocol/apis/init-producer-id.ts'
import { errorCodes } from '../../protocol/errors.ts'
import { KafkaError } from '../errors.ts'
import { noTransactions } from '../topics/append.ts'
import { defineHandler } from './handler.ts'

/**
 * Hands out a producer id for an idempotent producer. A transactional id is refused for good while there are no
 * transactions: Kafka has no code for that, and INVALID_REQUEST is one that no client retries.
 */
export const initProducerId = defineHandler({
  api: InitProducerId,
  versions: '0-5',

  async handle({ transactionalId, producerId, producerEpoch }, { broker }) {
    if (transactionalId === '') throw new KafkaError('INVALID_REQUEST')
    if (transactionalId !== null) throw noTransactions()
    if ((producerId === -1n) !== (producerEpoch === -1)) throw new KafkaError('INVALID_REQUEST')
    const newProducerId = await broker.producerIds.next()
    return { throttleTimeMs: 0, errorCode: errorCodes.NONE, producerId: newProducerId, producerEpoch: 0 }
  },

  fail(_request, { errorCode }) {
    return { throttleTimeMs: 0, errorCode, producerId: -1n, producerEpoch: -1 }
  },
})
