/** docs/compatibility.md: what passed with whom, made of the report of a run. */
import { format, resolveConfig } from 'prettier'
import type { Column } from './matrix.ts'
import { driverNames, peerNames, toolNames, type PeerName } from './peers.ts'
import type { Result } from './report.ts'

const pageUrl = new URL('../../../docs/compatibility.md', import.meta.url)
export const pagePath = pageUrl.pathname

const columns: Record<Column, string> = {
  'codecs written': 'a client produces with none, gzip, snappy, lz4 and zstd; the batches on disk have that codec',
  'codecs read': 'it reads byte for byte what every client in the table wrote with each codec, and so does kcat',
  idempotent: 'an idempotent producer, under producer ids above 2^53',
  groups:
    'two members share a topic, one after the other leaves; nothing stays unread, all is committed in the end; ' +
    'once for each assignor: range, roundrobin, sticky, cooperative-sticky. And a static member: killed, it comes back ' +
    'within its session and has its partitions, and the other member notices nothing',
  admin: 'fourteen operations on topics, configs, records, offsets, groups and the cluster',
  restart:
    '`kill -9` and a new start of the broker while the client produces, and reads it in a group: what was acknowledged is there in order, once, and was read and committed',
  mirror: 'it reads a mirror topic, and is refused with INVALID_REQUEST when it produces to one, plain and idempotent',
}

/** What clients are called, where that is more than the name of their driver. */
const titles: Partial<Record<PeerName, string>> = {
  java: 'Apache Kafka clients for Java',
  platformatic: '@platformatic/kafka',
  'confluent-kafka': 'confluent-kafka (Python)',
  aiokafka: 'aiokafka (Python)',
  'franz-go': 'franz-go (Go)',
  sarama: 'sarama (Go)',
  rskafka: 'rskafka (Rust)',
  rdkafka: 'rdkafka (Rust, librdkafka)',
  kafka: 'Apache Kafka, as a source of mirrors and in comparison',
}

function titleOf(peer: PeerName): string {
  return titles[peer] ?? peer
}

function row(cells: readonly string[]): string {
  return `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`
}

function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  return [row(head), row(head.map(() => '---')), ...rows.map(row)].join('\n')
}

function clientRow(peer: PeerName, results: readonly Result[]): string[] {
  const own = results.filter((result) => result.peer === peer && result.column !== undefined)
  const counts = Object.keys(columns).map((column) => {
    const tried = own.filter((result) => result.column === column)
    const passed = tried.filter(({ outcome }) => outcome === 'passed')
    return `${passed.length} of ${tried.length}`
  })
  return [titleOf(peer), own[0]?.version ?? '', ...counts]
}

/**
 * A row of `kafka-tools.compat.ts` is the command that was typed; another test is its name, within the test around it.
 */
function describe({ what }: Result): string {
  const names = what.split(' > ')
  const last = names.at(-1)!
  const isCommand = names.length > 1 && (toolNames as readonly string[]).includes(last.split(' ')[0]!)
  return isCommand ? `\`${last}\`` : names.join(': ')
}

function passedElsewhere(peer: PeerName, results: readonly Result[]): string[] {
  const own = results.filter((one) => one.peer === peer && one.column === undefined && one.outcome === 'passed')
  return [...new Set(own.map(describe))].toSorted()
}

function otherRow(peer: PeerName, results: readonly Result[]): string[] {
  const version = results.find((result) => result.peer === peer && result.version !== undefined)?.version ?? ''
  return [titleOf(peer), version, `${passedElsewhere(peer, results).length}`]
}

/** A row for each reason that a client has. */
function notApplicable(results: readonly Result[]): string[][] {
  const rows = new Map<string, { readonly cells: readonly [string, string]; readonly scenarios: string[] }>()
  for (const peer of driverNames) {
    const own = results.filter((result) => result.peer === peer && result.outcome === 'not applicable')
    for (const { what, reason = '' } of own) {
      const known = rows.get(`${peer}: ${reason}`) ?? { cells: [titleOf(peer), reason], scenarios: [] }
      known.scenarios.push(what)
      rows.set(`${peer}: ${reason}`, known)
    }
  }
  return [...rows.values()].map(({ cells: [client, reason], scenarios }) => {
    return [client, scenarios.toSorted().join(', '), reason]
  })
}

/** The page for the results of a whole run. */
export async function pageOf(results: readonly Result[]): Promise<string> {
  const others: readonly PeerName[] = ['kcat', ...toolNames, 'kafka']
  const listed = peerNames.filter((peer) => passedElsewhere(peer, results).length > 0)
  const text = `# Compatibility

<!-- Written by \`npm run test:compat -- --write\`: what passed in the run, and nothing by hand. -->

Unmodified programs of others, each against a broker in a process of its own. CI runs all of it, and fails when this page says
something else than the run, when a test fails, and when something listed below as not applicable would pass.

## Client libraries

${table(
  ['client', 'version', ...Object.keys(columns)],
  driverNames.map((peer) => clientRow(peer, results)),
)}

${Object.entries(columns)
  .map(([column, meaning]) => `- **${column}**: ${meaning}.`)
  .join('\n')}

### Not applicable

What the library has no way to do, or does otherwise. kafkajs brings gzip alone: the other codecs are plugged in, as its users do.

${table(['client', 'scenario', 'why'], notApplicable(results))}

## Command line tools and brokers

${table(
  ['program', 'version', 'tests'],
  others.map((peer) => otherRow(peer, results)),
)}

## What else passed

Beside the scenarios of the first table.

${listed
  .map(
    (peer) =>
      `### ${titleOf(peer)}\n\n${passedElsewhere(peer, results)
        .map((one) => `- ${one}`)
        .join('\n')}`,
  )
  .join('\n\n')}
`
  return await format(text, { ...(await resolveConfig(pageUrl)), parser: 'markdown' })
}

/** The page without the versions that the machine has and this project does not choose. */
export function withoutVersionsOfTheMachine(page: string): string {
  return page.replace(/^(\| kcat +\|)[^|]*\|/m, '$1|')
}
