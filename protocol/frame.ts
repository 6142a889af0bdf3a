/**
 * Frames: a 4-byte size, a header, a body. Which header a message has follows from its API and version.
 * Spec: KIP-482 (header versions), KIP-511 (the ApiVersions exception).
 */
import assert from 'node:assert/strict'
import { decodeResponse, encodeRequest, encodeResponse, isFlexible } from './compile.ts'
import { ProtocolError } from './protocol-error.ts'
import { Reader } from './reader.ts'
import type { Api, RequestInput, ResponseInput, ResponseOf } from './schema.ts'
import { Writer } from './writer.ts'

/** The key whose response header never has tagged fields, so that clients of any age can read it. */
const apiVersionsKey = 18

export interface RequestHeader {
  readonly apiKey: number
  readonly apiVersion: number
  readonly correlationId: number
  readonly clientId: string | null
}

/**
 * Reads a request header up to the body. `find` gives the API of a key; of an unknown key, only the first three fields
 * are read (clientId is null), since nobody can say how its header goes on.
 */
export function readRequestHeader(reader: Reader, find: (apiKey: number) => Api | undefined): RequestHeader {
  const apiKey = reader.int16()
  const apiVersion = reader.int16()
  const correlationId = reader.int32()
  const api = find(apiKey)
  if (!api) return { apiKey, apiVersion, correlationId, clientId: null }
  const clientId = reader.nullableString(false)
  if (isFlexible(api, apiVersion)) reader.skipTaggedFields()
  return { apiKey, apiVersion, correlationId, clientId }
}

export function writeRequestHeader(api: Api, header: Omit<RequestHeader, 'apiKey'>, writer: Writer): void {
  writer.int16(api.key)
  writer.int16(header.apiVersion)
  writer.int32(header.correlationId)
  writer.nullableString(header.clientId, false)
  if (isFlexible(api, header.apiVersion)) writer.uvarint(0)
}

/** Reads a response header up to the body and returns its correlation id. */
export function readResponseHeader(api: Api, version: number, reader: Reader): number {
  const correlationId = reader.int32()
  if (api.key !== apiVersionsKey && isFlexible(api, version)) reader.skipTaggedFields()
  return correlationId
}

export function writeResponseHeader(api: Api, version: number, correlationId: number, writer: Writer): void {
  writer.int32(correlationId)
  if (api.key !== apiVersionsKey && isFlexible(api, version)) writer.uvarint(0)
}

/** A whole request as chunks, size included. */
export function frameRequest<A extends Api>(
  api: A,
  header: Omit<RequestHeader, 'apiKey'>,
  value: RequestInput<A>,
): Uint8Array[] {
  const writer = new Writer()
  writer.int32(0)
  writeRequestHeader(api, header, writer)
  encodeRequest(api, header.apiVersion, value, writer)
  return finish(writer)
}

/** A whole response as chunks, size included. Record chunks are borrowed, not copied. */
export function frameResponse<A extends Api>(
  api: A,
  header: { readonly apiVersion: number; readonly correlationId: number },
  value: ResponseInput<A>,
): Uint8Array[] {
  const writer = new Writer()
  writer.int32(0)
  writeResponseHeader(api, header.apiVersion, header.correlationId, writer)
  encodeResponse(api, header.apiVersion, value, writer)
  return finish(writer)
}

/** Reads a whole response frame (without its size). Throws a ProtocolError where the correlation id is another one. */
export function parseResponse<A extends Api>(
  api: A,
  header: { readonly apiVersion: number; readonly correlationId: number },
  frame: Uint8Array,
): ResponseOf<A> {
  const reader = new Reader(frame)
  const correlationId = readResponseHeader(api, header.apiVersion, reader)
  if (correlationId !== header.correlationId)
    throw new ProtocolError(`got correlation id ${correlationId}, expected ${header.correlationId}`)
  return decodeResponse(api, header.apiVersion, reader)
}

function finish(writer: Writer): Uint8Array[] {
  const sizeBytes = writer.sizeBytes - 4
  assert(sizeBytes <= 0x7fffffff, 'a frame of 2 GiB or more')
  writer.patchInt32(0, sizeBytes)
  return writer.chunks()
}
