/**
 * `listeners` and `advertised.listeners`: which address a broker with one PLAINTEXT listener gets from Kafka's lists.
 */

export interface Address {
  readonly host: string
  readonly port: number
}

/** An entry such as `PLAINTEXT_HOST://:9092`. The host may be empty. */
export interface ListenerEntry extends Address {
  readonly name: string
  readonly text: string
}

/** Undefined for anything else than `NAME://HOST:PORT`. */
export function parseListener(text: string): ListenerEntry | undefined {
  const match = /^([A-Za-z0-9_.-]+):\/\/(.*)$/.exec(text.trim())
  const address = match && parseAddress(match[2]!, { hostMayBeEmpty: true })
  return address ? { name: match[1]!, text: text.trim(), ...address } : undefined
}

/** Parses `HOST:PORT`, `[IPV6]:PORT`. Undefined for anything else. */
export function parseAddress(text: string, options: { readonly hostMayBeEmpty?: boolean } = {}): Address | undefined {
  const match = /^(?:\[([0-9a-fA-F:.]+(?:%\w+)?)\]|([^\s:/[\]]*)):(\d{1,5})$/.exec(text.trim())
  if (!match) return undefined
  const host = match[1] ?? match[2]!
  const port = parsePort(match[3]!)
  if (port === undefined || (host === '' && !options.hostMayBeEmpty)) return undefined
  return { host, port }
}

/** A port, 0 included. */
export function parsePort(text: string): number | undefined {
  const port = /^\d{1,5}$/.test(text.trim()) ? Number(text) : undefined
  return port !== undefined && port <= 65_535 ? port : undefined
}

/** Listens on every interface: nothing that a client could connect to. */
export function isWildcard(host: string): boolean {
  return host === '' || host === '0.0.0.0' || /^[0:]+$/.test(host)
}

export interface ListenerConfigs {
  readonly listeners: readonly string[]
  readonly advertisedListeners: readonly string[]
  readonly protocolMap: string
  readonly controllerListenerNames: readonly string[]
}

export type ChosenListener =
  | {
      readonly ok: true
      readonly listener: ListenerEntry
      readonly advertised: ListenerEntry | undefined
      /** Entries that are not opened: other protocols, further listeners, the controller's. */
      readonly notOpened: readonly string[]
    }
  | { readonly ok: false; readonly key: 'listeners' | 'advertised.listeners'; readonly expected: string }

const form = 'NAME://HOST:PORT, separated by commas'

/** Chooses the first listener that clients can use and whose protocol is PLAINTEXT, and what is advertised for it. */
export function chooseListener(configs: ListenerConfigs): ChosenListener {
  const listeners = configs.listeners.map(parseListener)
  if (!listeners.every((entry) => entry !== undefined)) return { ok: false, key: 'listeners', expected: form }
  const advertised = configs.advertisedListeners.map(parseListener)
  if (!advertised.every((entry) => entry !== undefined))
    return { ok: false, key: 'advertised.listeners', expected: form }

  const protocols = protocolsOf(configs.protocolMap)
  const isPlaintext = ({ name }: ListenerEntry): boolean => protocols.get(name.toUpperCase()) === 'PLAINTEXT'
  const listener = listeners.find(
    (entry) => isPlaintext(entry) && !configs.controllerListenerNames.includes(entry.name),
  )
  if (!listener) return { ok: false, key: 'listeners', expected: 'a listener for clients whose protocol is PLAINTEXT' }
  return {
    ok: true,
    listener,
    advertised: advertised.find(({ name }) => name === listener.name) ?? advertised.find(isPlaintext),
    notOpened: listeners.filter((entry) => entry !== listener).map(({ text }) => text),
  }
}

/** The map of Kafka; a protocol's own name stands for it where the map says nothing else. */
function protocolsOf(text: string): ReadonlyMap<string, string> {
  const protocols = new Map(['PLAINTEXT', 'SSL', 'SASL_PLAINTEXT', 'SASL_SSL'].map((name) => [name, name]))
  for (const pair of text.split(',')) {
    const [name, protocol] = pair.split(':')
    if (name && protocol) protocols.set(name.trim().toUpperCase(), protocol.trim().toUpperCase())
  }
  return protocols
}
