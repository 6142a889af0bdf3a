/** Answers that say nothing but an error, derived from the declaration of the response. */
import type { Api, Field, Fields, ResponseInput } from '../../protocol/schema.ts'
import { zeroUuid } from '../../protocol/schema.ts'
import { inVersions } from '../../protocol/versions.ts'
import type { KafkaError } from '../errors.ts'

/**
 * The response of an API in a version with every field at its default, and the error at the top level where the
 * response has a place for it. Where it has none, lists are empty: the client sees that it got no answer for what it
 * asked.
 */
export function failureResponse<A extends Api>(api: A, apiVersion: number, error: KafkaError): ResponseInput<A> {
  const response = emptyValue(api.response)
  const { errorCode, errorMessage } = api.response
  if (errorCode && inVersions(errorCode.options.versions, apiVersion)) response['errorCode'] = error.errorCode
  if (errorMessage && inVersions(errorMessage.options.versions, apiVersion)) response['errorMessage'] = error.message
  return response as ResponseInput<A>
}

function emptyValue(fields: Fields): Record<string, unknown> {
  const value: Record<string, unknown> = {}
  for (const [name, field] of Object.entries(fields)) {
    if (field.options.tag === undefined && field.options.default === undefined) value[name] = emptyFieldValue(field)
  }
  return value
}

function emptyFieldValue(field: Field): unknown {
  switch (field.kind) {
    case 'array':
    case 'records':
      return []
    case 'struct':
      return emptyValue(field.fields ?? {})
    case 'string':
      return ''
    case 'bool':
      return false
    case 'int64':
      return 0n
    case 'uuid':
      return zeroUuid
    case 'bytes':
      return new Uint8Array(0)
    default:
      return 0
  }
}
