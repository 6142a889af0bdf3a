/**
 * What a client hears that asks for a version which this broker does not serve, or for an API of which it serves none.
 * Apache Kafka closes the connection, which clients take for many other things; here the answer is UNSUPPORTED_VERSION
 * (35), in the API's own shape.
 */
import { decodeRequest, encodeResponse } from '../../protocol/compile.ts'
import { parseVersions } from '../../protocol/versions.ts'
import type { Reader } from '../../protocol/reader.ts'
import { array, defineApi, int16, int32, int64, records, string, type Api } from '../../protocol/schema.ts'
import { Writer } from '../../protocol/writer.ts'
import type { RequestHeader } from '../../protocol/frame.ts'
import { writeResponseHeader } from '../../protocol/frame.ts'
import { KafkaError } from '../errors.ts'
import { failureResponse } from './failure.ts'
import type { Context, Handler } from './handler.ts'

const produceKey = 0

/** The versions of Produce that Kafka 4 advertises and does not serve (KAFKA-18659), for nothing but their refusal. */
const ProduceBefore3 = defineApi({
  name: 'Produce',
  key: produceKey,
  versions: '0-2',
  flexible: 'none',
  request: {
    acks: int16('As in later versions.'),
    timeoutMs: int32('As in later versions.'),
    topicData: array('One entry per topic.', {
      name: string('Topic name.'),
      partitionData: array('One entry per partition.', {
        index: int32('Partition index.'),
        records: records('Message set of any format, or null.', { nullable: '0+' }),
      }),
    }),
  },
  response: {
    responses: array('One entry per topic.', {
      name: string('Topic name.'),
      partitionResponses: array('One entry per partition.', {
        index: int32('Partition index.'),
        errorCode: int16('Error code.'),
        baseOffset: int64('-1.'),
        logAppendTimeMs: int64('-1.', { versions: '2+', ignorable: true }),
      }),
    }),
    throttleTimeMs: int32('0.', { versions: '1+', ignorable: true }),
  },
})

/** A declared API, and what serves it, if anything does. */
export interface Declared {
  readonly api: Api
  readonly handler: Handler | undefined
}

/** The framed refusal, or undefined where a producer asked for no answer. `reader` stands behind the request header. */
export function refuseVersion(
  { api, handler }: Declared,
  header: RequestHeader,
  reader: Reader,
  context: Context,
): readonly Uint8Array[] | undefined {
  const { apiVersion } = header
  const served = handler ? `not served, only ${handler.versions}` : 'not served, nor is any other'
  const error = new KafkaError('UNSUPPORTED_VERSION', `${api.name} version ${apiVersion} is ${served}`)
  if (api.key === produceKey && apiVersion >= 0 && apiVersion <= 2) return refuseProduce(header, reader)
  const { min, max } = parseVersions(api.versions)
  const shapeVersion = Math.min(Math.max(apiVersion, min), max)
  const isDeclared = shapeVersion === apiVersion
  const response =
    isDeclared && handler?.fail
      ? handler.fail(decodeRequest(api, apiVersion, reader), error, context)
      : failureResponse(api, shapeVersion, error)
  if (!response) return undefined
  return frame((writer) => {
    writeResponseHeader(api, shapeVersion, header.correlationId, writer)
    encodeResponse(api, shapeVersion, response, writer)
  })
}

function refuseProduce(header: RequestHeader, reader: Reader): readonly Uint8Array[] | undefined {
  const request = decodeRequest(ProduceBefore3, header.apiVersion, reader)
  const { errorCode } = new KafkaError('UNSUPPORTED_VERSION')
  if (request.acks === 0) throw new KafkaError('UNSUPPORTED_VERSION', `Produce version ${header.apiVersion}, acks 0`)
  const responses = request.topicData.map((topic) => ({
    name: topic.name,
    partitionResponses: topic.partitionData.map(({ index }) => ({
      index,
      errorCode,
      baseOffset: -1n,
      logAppendTimeMs: -1n,
    })),
  }))
  return frame((writer) => {
    writeResponseHeader(ProduceBefore3, header.apiVersion, header.correlationId, writer)
    encodeResponse(ProduceBefore3, header.apiVersion, { responses, throttleTimeMs: 0 }, writer)
  })
}

function frame(write: (writer: Writer) => void): readonly Uint8Array[] {
  const writer = new Writer()
  writer.int32(0)
  write(writer)
  writer.patchInt32(0, writer.sizeBytes - 4)
  return writer.chunks()
}
