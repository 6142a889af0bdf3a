/** What `titorelli start` says when it is ready. */
import { fileURLToPath } from 'node:url'
import type { Cli } from './cli.ts'
import { listOf } from './table.ts'

export interface RunningBroker {
  readonly host: string
  /** Of the first broker. */
  readonly port: number
  /** Of each broker. */
  readonly ports: readonly number[]
  /** Undefined without an HTTP API. */
  readonly httpPort: number | undefined
  readonly clusterId: string
  /** Undefined in memory. */
  readonly dataDir: string | undefined
  /** Of its clients, now. */
  connectionCount(): number
  stop(): Promise<void>
}

/** What it is, where it listens, where its data is, and what to type next. */
export function bannerOf(cli: Cli, broker: RunningBroker): string[] {
  const bootstrap = `${urlHost(broker.host)}:${broker.port}`
  const url = broker.httpPort === undefined ? undefined : `http://${urlHost(broker.host)}:${broker.httpPort}`
  const facts = listOf([
    ['Kafka clients', broker.ports.map((port) => `${urlHost(broker.host)}:${port}`).join(',')],
    ['HTTP API', url ?? 'off'],
    ['Data', broker.dataDir ?? 'in memory, gone when it stops'],
    ['Cluster id', broker.clusterId],
  ])
  return [
    `Titorelli ${cli.version}: a Kafka-protocol broker with native mirror topics.`,
    '',
    ...facts.map((line) => `  ${line}`),
    '',
    'Next:',
    `  kcat -b ${bootstrap} -P -t hello          lines you type become records`,
    ...(url === undefined ? [] : nextCommands(cli, url)),
    '',
  ]
}

function nextCommands(cli: Cli, url: string): string[] {
  const command = isRepository(cli) ? 'npm run titorelli --' : 'titorelli'
  const flag = url === 'http://127.0.0.1:8090' ? '' : ` --url ${url}`
  return [`  ${command} topic list${flag}`, `  ${command} link create --help         mirror topics from another Kafka`]
}

/** In the repository there is no `titorelli` on the path. */
function isRepository(cli: Cli): boolean {
  return !fileURLToPath(cli.packageRoot).includes('/node_modules/') && import.meta.url.endsWith('.ts')
}

/** A host as it stands before a colon and a port; wildcards as the address to try on this machine. */
function urlHost(host: string): string {
  if (host === '0.0.0.0' || host === '::') return '127.0.0.1'
  return host.includes(':') ? `[${host}]` : host
}
