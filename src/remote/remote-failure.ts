/** How asking another cluster fails, as values. */
import { NetworkError, type NetworkErrorCode } from '../environment/environment.ts'
import type { RemoteCode, RemoteFailure } from './remote.ts'

/** Asking again in the same way brings the same. */
const terminal: ReadonlySet<RemoteCode> = new Set(['WRONG_CLUSTER', 'UNSUPPORTED_VERSION', 'ABORTED'])

export function remoteFailure(code: RemoteCode, message: string): RemoteFailure {
  return { ok: false, code, retriable: !terminal.has(code), message }
}

const codeOf: Record<NetworkErrorCode, RemoteCode> = {
  ADDRESS_IN_USE: 'UNREACHABLE', // no local port was free
  DENIED: 'UNREACHABLE',
  REFUSED: 'UNREACHABLE',
  UNRESOLVABLE: 'UNRESOLVABLE',
  TIMED_OUT: 'TIMED_OUT',
  ABORTED: 'ABORTED',
  IO: 'UNREACHABLE',
}

/** The failure to connect. Anything but a NetworkError is a defect and is thrown again. */
export function connectFailure(error: unknown): RemoteFailure {
  if (error instanceof NetworkError) return remoteFailure(codeOf[error.code], error.message)
  throw error
}
