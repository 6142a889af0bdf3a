/** What the handlers of the group protocol share. */
import { errorCodes } from '../../protocol/errors.ts'
import type { GroupClient } from '../groups/group-coordinator.ts'
import { KafkaError } from '../errors.ts'
import type { Context } from './handler.ts'

export function clientOf({ apiVersion, clientId, connection }: Context): GroupClient {
  return { apiVersion, clientId, remoteAddress: connection.remoteAddress }
}

/**
 * The answer that a parked request waits for; a rejection with COORDINATOR_NOT_AVAILABLE when the client is gone or the
 * broker stops. The member itself stays: if it does not come back, its timeouts take it out.
 */
export function parked<T>(answer: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const onAbort = (): void => reject(new KafkaError('COORDINATOR_NOT_AVAILABLE'))
    if (signal.aborted) onAbort()
    else signal.addEventListener('abort', onAbort, { once: true })
    answer.then(resolve, reject).finally(() => signal.removeEventListener('abort', onAbort))
  })
}

/** How a part of an answer ended. @throws what is no KafkaError. */
export function codeAndMessage(error: unknown): { readonly errorCode: number; readonly errorMessage: string | null } {
  if (!(error instanceof KafkaError)) throw error
  const { errorCode, errorName, message } = error
  return { errorCode, errorMessage: message === errorName || errorCode === errorCodes.NONE ? null : message }
}
