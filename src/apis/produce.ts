import { Produce } from '../../protocol/apis/produce.ts'
import { errorCodes } from '../../protocol/errors.ts'
import { zeroUuid, type RequestOf, type ResponseInput, type Uuid } from '../../protocol/schema.ts'
import type { AppendEntry, AppendResult, StorageCode } from '../../storage/log-store.ts'
import { errorNameOfStorageCode, KafkaError } from '../errors.ts'
import { checkInSync, checkWritable, parseProducedBatch, refuseTransactions } from '../topics/append.ts'
import type { Topic } from '../topics/topics.ts'
import { CloseConnectionError, defineHandler, type Context } from './handler.ts'
import { findLedPartition, findTopic, leaderHintOf, staleLeaderErrors } from './find-topic.ts'

type Request = RequestOf<typeof Produce>
type Response = ResponseInput<typeof Produce>
type TopicResponse = Response['responses'][number]
type PartitionResponse = TopicResponse['partitionResponses'][number]
/** A partition of the request: refused at once, or on its way into the log, at this place in the append. */
type Planned = { readonly error: KafkaError; readonly topicId?: Uuid } | { readonly entryIndex: number }

/**
 * Appends batches. Differences from Kafka: refusals carry a message also where Kafka sends none, and while there are no
 * transactions every transactional request gets INVALID_REQUEST.
 */
export const produce = defineHandler({
  api: Produce,
  versions: '3-13',
  // librdkafka takes a broker whose Produce begins at 3 for one without compression (KAFKA-18659).
  advertised: '0-13',

  async handle(request, context) {
    const { broker } = context
    if (request.acks < -1 || request.acks > 1)
      throw new KafkaError('INVALID_REQUIRED_ACKS', `got acks ${request.acks}, expected -1, 0 or 1`)
    const entries: AppendEntry[] = []
    const plans = request.topicData.map((topic) => planTopic(topic, request, context, entries))
    const durable = broker.config.durable && request.acks !== 0
    // Nothing was awaited so far: appends of one connection reach the store in the order of its requests.
    const appending = broker.logs.append(entries, { nowMs: BigInt(broker.environment.clock.nowMs()), durable })
    if (entries.length > 0) context.countAsAppend()
    context.admitNext()
    const results = await appending
    note(plans, { entries, results }, context)
    // After a failure the store may be at work on the batches still.
    if (results.every(({ ok }) => ok)) context.frameMemory?.release()
    const response = responseOf(request, (topicPlace, partitionPlace) => {
      const { index } = request.topicData[topicPlace]!.partitionData[partitionPlace]!
      const plan = plans[topicPlace]![partitionPlace]!
      return 'error' in plan
        ? refusal(index, plan.error)
        : outcome(index, results[plan.entryIndex]!, () => logStartOf(entries[plan.entryIndex]!, context))
    })
    if (request.acks !== 0) return withLeaderHints(response, context)
    closeOnFailure(response)
    return undefined
  },

  fail(request, error) {
    if (request.acks === 0) throw new CloseConnectionError('a produce without an answer failed', { cause: error })
    return responseOf(request, (topicPlace, partitionPlace) =>
      refusal(request.topicData[topicPlace]!.partitionData[partitionPlace]!.index, error),
    )
  },
})

function planTopic(
  data: Request['topicData'][number],
  request: Request,
  context: Context,
  entries: AppendEntry[],
): Planned[] {
  let topic: Topic
  try {
    topic = findTopic(context, { name: data.name, topicId: data.topicId, isById: context.apiVersion >= 13 })
    context.authorize('WRITE', 'TOPIC', topic.image.name)
    checkWritable(topic)
  } catch (error) {
    if (!(error instanceof KafkaError)) throw error
    return data.partitionData.map(() => ({ error }))
  }
  return data.partitionData.map((partition) => planPartition(topic, partition, { request, entries }, context))
}

function planPartition(
  topic: Topic,
  data: Request['topicData'][number]['partitionData'][number],
  { request, entries }: { readonly request: Request; readonly entries: AppendEntry[] },
  context: Context,
): Planned {
  const { broker, apiVersion } = context
  try {
    const partition = findLedPartition(context, topic, data.index)
    const { log } = partition
    const batch = parseProducedBatch(data.records, apiVersion)
    if (request.acks === -1) checkInSync(partition)
    refuseTransactions(batch, request.transactionalId)
    const mode = { kind: 'assign', leaderEpoch: broker.logs.view(log).leaderEpoch } as const
    const entry: AppendEntry = { log, batches: [batch], mode, origin: 'client', memory: context.frameMemory }
    return { entryIndex: entries.push(entry) - 1 }
  } catch (error) {
    if (!(error instanceof KafkaError)) throw error
    return { error, topicId: topic.image.topicId }
  }
}

/** Counts what became of each partition. */
function note(
  plans: readonly (readonly Planned[])[],
  { entries, results }: { readonly entries: readonly AppendEntry[]; readonly results: readonly AppendResult[] },
  { broker: { metrics } }: Context,
): void {
  for (const plan of plans.flat()) if ('error' in plan) metrics.noteProduceFailed(plan.topicId)
  for (const [place, { log, batches }] of entries.entries()) {
    const result = results[place]!
    if (result.ok) {
      metrics.noteProduced(log.id.topicId, batches[0]!, !result.duplicate)
    } else {
      metrics.noteProduceFailed(log.id.topicId)
      metrics.appends.client.failures++
    }
  }
}

function responseOf(
  request: Request,
  answer: (topicPlace: number, partitionPlace: number) => PartitionResponse,
): Response {
  const responses = request.topicData.map(({ name, topicId, partitionData }, topicPlace) => ({
    name,
    topicId,
    partitionResponses: partitionData.map((_, partitionPlace) => answer(topicPlace, partitionPlace)),
  }))
  return { responses, throttleTimeMs: 0 }
}

function refusal(index: number, error: KafkaError): PartitionResponse {
  return {
    index,
    errorCode: error.errorCode,
    baseOffset: -1n,
    logAppendTimeMs: -1n,
    logStartOffset: -1n,
    recordErrors: [],
    errorMessage: error.message,
  }
}

/** Failures that Kafka finds while it looks at records: their answers carry the log start. */
const recordFailures: ReadonlySet<StorageCode> = new Set([
  'INVALID_RECORD',
  'INVALID_TIMESTAMP',
  'OUT_OF_ORDER_SEQUENCE',
  'PRODUCER_EPOCH_STALE',
])

function logStartOf({ log }: AppendEntry, { broker }: Context): bigint {
  return broker.logs.find(log.id) ? broker.logs.view(log).logStartOffset : -1n
}

function outcome(index: number, result: AppendResult, logStart: () => bigint): PartitionResponse {
  if (result.ok) {
    const { baseOffset, logAppendTimeMs, logStartOffset } = result
    return { index, errorCode: 0, baseOffset, logAppendTimeMs, logStartOffset, recordErrors: [] }
  }
  const recordErrors = (result.recordErrors ?? []).map(({ batchIndex, message }) => ({
    batchIndex,
    batchIndexErrorMessage: message,
  }))
  return {
    ...refusal(index, new KafkaError(errorNameOfStorageCode[result.code], result.message)),
    logStartOffset: recordFailures.has(result.code) ? logStart() : -1n,
    recordErrors,
  }
}

const leaderHintsFromVersion = 10

/** Tells a client that asked the wrong broker who leads, and where that is (KIP-951). */
function withLeaderHints(response: Response, context: Context): Response {
  const isStale = response.responses.some(({ partitionResponses }) =>
    partitionResponses.some(({ errorCode }) => staleLeaderErrors.has(errorCode)),
  )
  if (!isStale || context.apiVersion < leaderHintsFromVersion) return response
  const { topics } = context.broker
  const responses = response.responses.map((answered) => {
    const topic = topics.findById(answered.topicId ?? zeroUuid) ?? topics.find(answered.name ?? '')
    const partitionResponses = answered.partitionResponses.map((partition) => {
      const currentLeader = leaderHintOf(context, topic, partition)
      return currentLeader ? { ...partition, currentLeader } : partition
    })
    return { ...answered, partitionResponses }
  })
  return { ...response, responses, nodeEndpoints: [...context.broker.endpoints()] }
}

function closeOnFailure({ responses }: Response): void {
  for (const { name, partitionResponses } of responses) {
    for (const { index, errorCode, errorMessage } of partitionResponses) {
      if (errorCode !== errorCodes.NONE)
        throw new CloseConnectionError(`a produce without an answer failed: ${name}-${index}: ${errorMessage}`)
    }
  }
}
