import { UnregisterBroker } from '../../protocol/apis/unregister-broker.ts'
import { KafkaError } from '../errors.ts'
import { defineHandler } from './handler.ts'

/** Forgets a broker. Those of this process are all there are, and they stay: unlike Kafka, one of them is refused. */
export const unregisterBroker = defineHandler({
  api: UnregisterBroker,
  versions: '0-0',

  handle({ brokerId }, context) {
    context.authorize('ALTER', 'CLUSTER', 'kafka-cluster')
    if (context.broker.endpoints().some(({ nodeId }) => nodeId === brokerId))
      throw new KafkaError('INVALID_REQUEST', `broker ${brokerId} is part of this process and can't be forgotten`)
    throw new KafkaError('BROKER_ID_NOT_REGISTERED', `broker ${brokerId} is not registered`)
  },

  fail(_request, { errorCode, message }) {
    return { throttleTimeMs: 0, errorCode, errorMessage: message }
  },
})
