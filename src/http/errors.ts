/**
 * Errors of the HTTP API: always the body `{"error_code": number, "message": string}`, codes as Confluent's REST v3
 * gives them.
 */
import type { ErrorName } from '../../protocol/errors.ts'
import { KafkaError } from '../errors.ts'
import { LinkServiceError, type ServiceErrorCode } from '../links/link-service.ts'

/** A refused request. `errorCode` is the REST code: the status, or five digits that begin with it. */
export class HttpError extends Error {
  readonly status: number
  readonly errorCode: number

  constructor(status: number, errorCode: number, message: string) {
    super(message)
    this.name = 'HttpError'
    this.status = status
    this.errorCode = errorCode
  }
}

interface RestError {
  readonly status: number
  readonly errorCode: number
}

/** Status and REST code of every refusal of the link service. */
export const restErrors: Record<ServiceErrorCode, RestError> = {
  LINK_NOT_FOUND: { status: 404, errorCode: 404 },
  LINK_EXISTS: { status: 409, errorCode: 40902 },
  LINK_HAS_MIRRORS: { status: 403, errorCode: 403 },
  MIRROR_NOT_FOUND: { status: 404, errorCode: 404 },
  TOPIC_EXISTS: { status: 400, errorCode: 40002 },
  SOURCE_TOPIC_NOT_FOUND: { status: 404, errorCode: 40403 },
  SOURCE_UNREACHABLE: { status: 503, errorCode: 50003 },
  CLUSTER_ID_MISMATCH: { status: 400, errorCode: 40002 },
  RENAMING_NOT_SUPPORTED: { status: 400, errorCode: 40035 },
  INVALID_CONFIG: { status: 400, errorCode: 40002 },
  INVALID_REQUEST: { status: 400, errorCode: 40002 },
  NOT_AUTHORIZED: { status: 403, errorCode: 40301 },
}

/** What is no fault of the request: trying again may help. */
const unavailable: RestError = { status: 503, errorCode: 50003 }
/** Kafka's errors that get another answer than 400 with 40002. */
const restErrorOfKafka: Partial<Record<ErrorName, RestError>> = {
  UNKNOWN_TOPIC_OR_PARTITION: { status: 404, errorCode: 40403 },
  UNKNOWN_TOPIC_ID: { status: 404, errorCode: 40403 },
  GROUP_ID_NOT_FOUND: { status: 404, errorCode: 404 },
  UNKNOWN_SERVER_ERROR: { status: 500, errorCode: 500 },
  KAFKA_STORAGE_ERROR: { status: 500, errorCode: 500 },
  BROKER_NOT_AVAILABLE: unavailable,
  COORDINATOR_NOT_AVAILABLE: unavailable,
  COORDINATOR_LOAD_IN_PROGRESS: unavailable,
  LEADER_NOT_AVAILABLE: unavailable,
  NOT_COORDINATOR: unavailable,
  NOT_LEADER_OR_FOLLOWER: unavailable,
  REQUEST_TIMED_OUT: unavailable,
}

/** What to answer for anything that was thrown; undefined for a defect, which is logged and answered with 500. */
export function httpErrorOf(error: unknown): HttpError | undefined {
  if (error instanceof HttpError) return error
  if (error instanceof LinkServiceError) return toHttpError(restErrors[error.code], error.message)
  if (error instanceof KafkaError) return ofKafkaError(error)
  return ofFastifyError(error)
}

function toHttpError(rest: RestError, message: string): HttpError {
  return new HttpError(rest.status, rest.errorCode, message)
}

function ofKafkaError(error: KafkaError): HttpError {
  return toHttpError(restErrorOfKafka[error.errorName] ?? { status: 400, errorCode: 40002 }, error.message)
}

/** What fastify itself refuses: broken JSON, a body of the wrong shape, an unknown media type. */
function ofFastifyError(error: unknown): HttpError | undefined {
  if (!(error instanceof Error) || !('statusCode' in error)) return undefined
  const status = error.statusCode
  if (typeof status !== 'number' || status < 400 || status > 499) return undefined
  return new HttpError(status, status, error.message)
}
