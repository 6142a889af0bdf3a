/** Asks a broker of this process as a client would: through the codecs and the handlers, without a connection. */
import { frameRequest, parseResponse } from '../../protocol/frame.ts'
import type { Api, RequestInput, ResponseOf } from '../../protocol/schema.ts'
import { parseVersions } from '../../protocol/versions.ts'
import type { FrameHandler } from '../network/call.ts'
import { handlers } from './index.ts'

const sizePrefixBytes = 4
/** Who asks, as groups and logs show it. */
const peer = { id: 0, remoteAddress: '127.0.0.1' }
const clientId = 'titorelli-http'
const header = { correlationId: 0, clientId }

/** Asks in the highest version that is served. Rejects where a connection would be closed. */
export async function askInProcess<A extends Api>(
  handler: FrameHandler,
  api: A,
  request: RequestInput<A>,
): Promise<ResponseOf<A>> {
  const apiVersion = latestVersionOf(api)
  const frame = joined(frameRequest(api, { ...header, apiVersion }, request))
  const answer = await handler(frame.subarray(sizePrefixBytes), {
    connection: peer,
    signal: new AbortController().signal,
    admitNext: () => undefined,
    countAsAppend: () => undefined,
    memory: undefined, // the frame has its own
    afterAnswer: () => undefined, // the one who asked keeps the answer for as long as he likes
    turn: () => Promise.resolve(),
    setBarrier: () => undefined,
  })
  if (!answer) throw new TypeError(`${api.name} got no answer`)
  return parseResponse(api, { ...header, apiVersion }, joined(answer).subarray(sizePrefixBytes))
}

function latestVersionOf(api: Api): number {
  const served = handlers.find((one) => one.api.key === api.key)
  if (!served) throw new TypeError(`${api.name} is not served`)
  return parseVersions(served.versions).max
}

function joined(chunks: readonly Uint8Array[]): Uint8Array {
  const bytes = new Uint8Array(chunks.reduce((sum, chunk) => sum + chunk.length, 0))
  let at = 0
  for (const chunk of chunks) {
    bytes.set(chunk, at)
    at += chunk.length
  }
  return bytes
}
