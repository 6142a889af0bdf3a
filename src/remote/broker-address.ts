/** Where a broker listens. */
export interface BrokerAddress {
  readonly host: string
  readonly port: number
}

const pattern = /^(?:[A-Za-z_]+:\/\/)?(?:\[([0-9A-Fa-f:.%]+)\]|([A-Za-z0-9._-]+)):(\d{1,5})$/

/**
 * A bootstrap list: `host:port` several times, with commas between; also `[::1]:9092` and, as Kafka allows, with
 * `PLAINTEXT://`.
 * @throws RangeError that names the part which is none.
 */
export function parseBootstrapServers(text: string): BrokerAddress[] {
  const parts = text.split(',').map((part) => part.trim())
  return parts.filter((part) => part !== '').map(parseAddress)
}

function parseAddress(text: string): BrokerAddress {
  const match = pattern.exec(text)
  const host = match?.[1] ?? match?.[2]
  const port = Number(match?.[3])
  if (host === undefined || port < 1 || port > 65_535)
    throw new RangeError(`Invalid value ${text} for configuration bootstrap.servers: expected host:port`)
  return { host, port }
}

export function addressText({ host, port }: BrokerAddress): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`
}
