import { FindCoordinator } from '../../protocol/apis/find-coordinator.ts'
import { errorCodes } from '../../protocol/errors.ts'
import type { ResponseInput } from '../../protocol/schema.ts'
import { KafkaError } from '../errors.ts'
import { codeAndMessage } from './group-client.ts'
import { defineHandler, type Context } from './handler.ts'

type Found = NonNullable<ResponseInput<typeof FindCoordinator>['coordinators']>[number]

const keyTypes = { group: 0, transaction: 1, share: 2 } as const
/** From this version on the request has a list of keys (KIP-699). */
const keysFromVersion = 4

/**
 * Finds the broker that coordinates a group. While there are no transactions, a transactional id is answered
 * TRANSACTIONAL_ID_AUTHORIZATION_FAILED with a message: of all codes this is the one that every client takes as final
 * here, where Kafka's COORDINATOR_NOT_AVAILABLE would have them ask for ever.
 */
export const findCoordinator = defineHandler({
  api: FindCoordinator,
  versions: '0-6',
  isCurrent: true,

  handle(request, context) {
    const { keyType } = request
    if (context.apiVersion >= keysFromVersion) {
      const coordinators = request.coordinatorKeys.map((key) => find(key, keyType, context))
      return { throttleTimeMs: 0, ...unused, coordinators }
    }
    const { key: _key, ...found } = find(request.key, keyType, context)
    // Kafka names the absence of an error here, and not in the later versions.
    const errorMessage = found.errorCode === errorCodes.NONE ? 'NONE' : found.errorMessage
    return { throttleTimeMs: 0, coordinators: [], ...found, errorMessage }
  },
})

/** The fields of the other versions, at the values that mean nothing. */
const unused = { errorCode: 0, errorMessage: '', nodeId: 0, host: '', port: 0 }

function find(key: string, keyType: number, context: Context): Found {
  try {
    return { key, errorCode: errorCodes.NONE, errorMessage: '', ...coordinatorOf(key, keyType, context) }
  } catch (error) {
    return { key, nodeId: -1, host: '', port: -1, ...codeAndMessage(error) }
  }
}

function coordinatorOf(key: string, keyType: number, context: Context): { nodeId: number; host: string; port: number } {
  const { broker } = context
  switch (keyType) {
    case keyTypes.group: {
      context.authorize('DESCRIBE', 'GROUP', key)
      const coordinatorId = broker.groupCoordinators.brokerOf(key)
      const endpoint = broker.endpoints().find(({ nodeId }) => nodeId === coordinatorId)
      if (!endpoint) throw new KafkaError('COORDINATOR_NOT_AVAILABLE')
      const { nodeId, host, port } = endpoint
      return { nodeId, host, port }
    }
    case keyTypes.transaction:
      throw new KafkaError(
        'TRANSACTIONAL_ID_AUTHORIZATION_FAILED',
        'this broker has no transactions: produce without a transactional id',
      )
    case keyTypes.share:
      throw new KafkaError('INVALID_REQUEST', 'this broker has no share groups')
    default:
      throw new KafkaError('INVALID_REQUEST', `coordinator type ${keyType} is unknown`)
  }
}
