/**
 * How routes ask the Kafka APIs of this process, so that HTTP and Kafka clients get the same checks and the same
 * answers.
 */
import { errorNameOf } from '../../protocol/errors.ts'
import type { Api, RequestInput, ResponseOf } from '../../protocol/schema.ts'
import { KafkaError } from '../errors.ts'
import { HttpError } from './errors.ts'
import type { HttpParts } from './parts.ts'

/** How long a broker may take for what HTTP asks of it, in ms. */
export const askTimeoutMs = 30_000

/** Asks the first broker that lives: any can answer what is not about one partition or one group. */
export async function ask<A extends Api>(parts: HttpParts, api: A, request: RequestInput<A>): Promise<ResponseOf<A>> {
  return await askBroker(parts, { nodeId: firstBroker(parts), api, request })
}

/** Asks the coordinator of a group. */
export async function askCoordinator<A extends Api>(
  parts: HttpParts,
  { groupId, api, request }: { readonly groupId: string; readonly api: A; readonly request: RequestInput<A> },
): Promise<ResponseOf<A>> {
  const nodeId = parts.groupCoordinators.brokerOf(groupId)
  if (nodeId === undefined) throw new KafkaError('COORDINATOR_NOT_AVAILABLE')
  return await askBroker(parts, { nodeId, api, request })
}

/** A request with a value that Kafka's protocol can't carry, a config of 40 kB, is the mistake of who sent it. */
async function askBroker<A extends Api>(
  parts: HttpParts,
  { nodeId, api, request }: { readonly nodeId: number; readonly api: A; readonly request: RequestInput<A> },
): Promise<ResponseOf<A>> {
  try {
    return await parts.kafka.ask(nodeId, api, request)
  } catch (error) {
    if (!(error instanceof RangeError)) throw error // of the writer: what a handler throws has become its answer
    throw new HttpError(400, 400, `Kafka's protocol can't carry it: ${error.message}`)
  }
}

/** The broker that answers what any could. */
export function firstBroker(parts: HttpParts): number {
  const [first] = parts.endpoints()
  if (!first) throw new HttpError(503, 50003, 'no broker is up')
  return first.nodeId
}

/** Throws what an answer says went wrong. */
export function checkAnswer(answer: { readonly errorCode: number; readonly errorMessage?: string | null }): void {
  if (answer.errorCode === 0) return
  throw new KafkaError(errorNameOf(answer.errorCode), answer.errorMessage ?? undefined)
}
