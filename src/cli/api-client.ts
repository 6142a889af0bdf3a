/** The HTTP API of a running broker, for the commands that talk to one. */
import { fromJson, toJson } from '../json.ts'
import { CliFailure, exitStatus } from './cli.ts'

export const defaultUrl = 'http://127.0.0.1:8090'

type Method = 'GET' | 'POST' | 'PATCH' | 'PUT' | 'DELETE'
interface Call {
  readonly body?: object
  readonly query?: Readonly<Record<string, string | boolean | undefined>>
}

export class ApiClient {
  readonly #url: string
  #clusterId: string | undefined

  constructor(url: string) {
    if (!/^https?:/.test(url) || !URL.canParse(url)) {
      throw new CliFailure(`got --url '${url}', expected for example ${defaultUrl}`, exitStatus.couldNotTell)
    }
    this.#url = url.replace(/\/+$/, '')
  }

  /** Asks REST v3 below the cluster: `path` begins behind `/kafka/v3/clusters/ID`. Undefined where there is no body. */
  async kafka(method: Method, path: string, call: Call = {}): Promise<unknown> {
    const response = await this.#send(method, `/kafka/v3/clusters/${await this.clusterId()}${path}`, call)
    return await bodyOf(response)
  }

  /** Asks below `/titorelli/v1/clusters/ID`. */
  async own(method: Method, path: string, call: Call = {}): Promise<unknown> {
    return await bodyOf(await this.#own(method, path, call))
  }

  /** The objects of a streamed answer, one per line. */
  async *stream(path: string): AsyncGenerator<unknown> {
    const response = await this.#own('POST', path)
    if (!response.body) return
    let rest = ''
    for await (const text of response.body.pipeThrough(new TextDecoderStream())) {
      const lines = (rest + text).split('\n')
      rest = lines.pop() ?? ''
      for (const line of lines) yield fromJson(line)
    }
  }

  async clusterId(): Promise<string> {
    if (this.#clusterId !== undefined) return this.#clusterId
    const clusters = (await bodyOf(await this.#send('GET', '/kafka/v3/clusters', {}))) as ClusterList
    const [cluster] = clusters.data
    if (!cluster) throw new CliFailure(`${this.#url} shows no cluster`)
    this.#clusterId = cluster.cluster_id
    return cluster.cluster_id
  }

  async #own(method: Method, path: string, call: Call = {}): Promise<Response> {
    return await this.#send(method, `/titorelli/v1/clusters/${await this.clusterId()}${path}`, call)
  }

  async #send(method: Method, path: string, call: Call): Promise<Response> {
    const url = new URL(`${this.#url}${path}`)
    for (const [name, value] of Object.entries(call.query ?? {})) {
      if (value !== undefined) url.searchParams.set(name, String(value))
    }
    const init: RequestInit = { method }
    if (call.body) {
      init.headers = { 'content-type': 'application/json' }
      init.body = toJson(call.body)
    }
    try {
      return await refuseErrors(await fetch(url, init))
    } catch (error) {
      if (error instanceof CliFailure) throw error
      throw new CliFailure(`no broker answers at ${this.#url} (${reasonOf(error)})`, undefined, { cause: error })
    }
  }
}

interface ClusterList {
  readonly data: readonly { readonly cluster_id: string }[]
}

/** A path segment out of a name that people chose. */
export function segment(name: string): string {
  return encodeURIComponent(name)
}

async function bodyOf(response: Response): Promise<unknown> {
  const text = await response.text()
  return text === '' ? undefined : fromJson(text)
}

/** An answer other than 2xx becomes a failure with the API's own message. */
async function refuseErrors(response: Response): Promise<Response> {
  if (response.ok) return response
  const text = await response.text()
  throw new CliFailure(messageOf(text) ?? `the broker answered ${response.status}: ${text.slice(0, 200)}`)
}

function messageOf(text: string): string | undefined {
  try {
    const body = fromJson(text)
    if (typeof body === 'object' && body !== null && 'message' in body && typeof body.message === 'string')
      return body.message
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error
  }
  return undefined
}

function reasonOf(error: unknown): string {
  const cause = error instanceof Error ? (error.cause ?? error) : error
  if (!(cause instanceof Error)) return String(cause)
  return 'code' in cause && typeof cause.code === 'string' ? cause.code : cause.message
}
