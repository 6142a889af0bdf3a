/** A finished run, and how it is shown: on a terminal, and in docs/benchmarks.md. */
import { judge, metrics, spreadOf, type MetricName, type Results, type Round, type Verdict } from './metrics.ts'
import { peers, type PeerName } from './peers.ts'
import { workloads, type Workload } from './workloads.ts'

export interface Report {
  readonly date: string
  readonly mode: 'quick' | 'full'
  /** Of the sizes of the mode. */
  readonly scale: number
  readonly seconds: number
  /** The commit that was measured. */
  readonly commit: string
  readonly machine: string
  readonly results: Results
  /** Rounds that came to nothing: they are in no result. */
  readonly failures: readonly Failure[]
}

export interface Failure {
  readonly workload: string
  readonly peer: string
  readonly reason: string
}

/** Of text in docs/benchmarks.md. */
const lineLength = 130

/** The first row is the head. */
type Table = readonly (readonly string[])[]

/** One table for workloads that follow each other and are measured in the same metrics. */
export function tablesOf(results: Results): Table[] {
  const tables: { readonly metrics: readonly MetricName[]; readonly rows: string[][] }[] = []
  for (const workload of workloads) {
    const byPeer = results[workload.name]
    if (!byPeer) continue
    const rows = Object.entries(byPeer).map(([peer, rounds]) => rowOf(workload, peer, rounds))
    const last = tables.at(-1)
    if (last && last.metrics.join() === workload.metrics.join()) last.rows.push(...rows)
    else tables.push({ metrics: workload.metrics, rows })
  }
  return tables.map((table) => [
    ['workload', 'peer', 'rounds', ...table.metrics.map((name) => metrics[name].label)],
    ...table.rows,
  ])
}

function rowOf(workload: Workload, peer: string, rounds: readonly Round[]): string[] {
  return [workload.name, peer, `${rounds.length}`, ...workload.metrics.map((metric) => cellOf(rounds, metric))]
}

/** The median, with the spread where there is one. */
function cellOf(rounds: readonly Round[], metric: MetricName): string {
  const spread = spreadOf(rounds, metric)
  if (!spread) return ''
  const [median, min, max] = [spread.median, spread.min, spread.max].map((value) =>
    value.toFixed(metrics[metric].digits),
  )
  return min === max ? median! : `${median} (${min} to ${max})`
}

export function verdictsOf(results: Results): Verdict[] {
  return workloads.flatMap(({ name, targets }) =>
    targets.flatMap((target) => judge(name, target, results[name] ?? {}) ?? []),
  )
}

function failureText({ workload, peer, reason }: Failure): string {
  return `a round of ${workload} for ${peer}: ${reason}`
}

function verdictTable(verdicts: readonly Verdict[]): Table {
  const rows = verdicts.map(({ workload, metric, wanted, value, isMet }) => [
    workload,
    metrics[metric].label,
    wanted,
    Number(value.toPrecision(3)).toString(),
    isMet ? 'met' : 'MISSED',
  ])
  return [['workload', 'metric', 'target', 'measured', ''], ...rows]
}

/** For the terminal. */
export function textOf({ results, failures }: Pick<Report, 'results' | 'failures'>): string {
  const verdicts = verdictsOf(results)
  const tables = [...tablesOf(results), ...(verdicts.length > 0 ? [verdictTable(verdicts)] : [])]
  return [...tables.map(plain), ...failures.map((failure) => `FAILED: ${failureText(failure)}`)].join('\n\n')
}

function plain(table: Table): string {
  const widths = widthsOf(table)
  return table
    .map((row) =>
      row
        .map((cell, column) => cell.padEnd(widths[column]!))
        .join('  ')
        .trimEnd(),
    )
    .join('\n')
}

/** In the shape that the formatter leaves as it is. */
function markdown([head, ...rows]: Table): string {
  const widths = widthsOf([head!, ...rows])
  const line = (cells: readonly string[]) => `| ${cells.map((cell, at) => cell.padEnd(widths[at]!)).join(' | ')} |`
  return [line(head!), line(widths.map((width) => '-'.repeat(width))), ...rows.map(line)].join('\n')
}

function widthsOf(table: Table): number[] {
  return table[0]!.map((_, column) => Math.max(3, ...table.map((row) => row[column]!.length)))
}

/** What stands between the markers of docs/benchmarks.md, by their names. */
export function sectionsOf(report: Report): Record<string, string> {
  const used = new Set(Object.values(report.results).flatMap((byPeer) => Object.keys(byPeer)))
  const minutes = Math.max(1, Math.round(report.seconds / 60))
  return {
    run: `\`npm run bench${report.mode === 'full' ? ' -- --full' : ''}\`${report.scale === 1 ? '' : ` at ${report.scale} of its sizes, which is too little to compare,`} at commit ${report.commit} on ${report.date.slice(0, 10)}, ${minutes} minutes, on: ${report.machine}.`,
    workloads: workloads.map(itemOf).join('\n'),
    peers: markdown([
      ['peer', 'what it is'],
      ...Object.keys(peers).map((name) => [
        `\`${name}\`${used.has(name) ? '' : ' (not in this run)'}`,
        peers[name as PeerName],
      ]),
    ]),
    results: [...tablesOf(report.results).map(markdown), ...failedItems(report.failures)].join('\n\n'),
    targets: markdown(verdictTable(verdictsOf(report.results))),
  }
}

function itemOf({ name, measures, quick, full }: Workload): string {
  const words = `**${name}**: ${measures}. Quick: ${sizeText(quick)}; full: ${sizeText(full)}.`.split(' ')
  const lines = ['-']
  for (const word of words) {
    if (lines.at(-1)!.length + word.length >= lineLength) lines.push(' ')
    lines[lines.length - 1] += ` ${word}`
  }
  return lines.join('\n')
}

function failedItems(failures: readonly Failure[]): string[] {
  if (failures.length === 0) return []
  return [`Rounds that failed, and are not counted:\n\n${failures.map((one) => `- ${failureText(one)}`).join('\n')}`]
}

function sizeText({ rounds, bytes }: { readonly rounds: number; readonly bytes: number }): string {
  const text = rounds === 1 ? '1 round' : `${rounds} rounds`
  return bytes === 0 ? text : `${text} of ${bytes / 1e6} MB`
}

/**
 * The document with each section between its markers replaced: `<!-- NAME: written by npm run bench -->` to `<!-- end
 * -->`.
 * @throws Error when a section has no markers.
 */
export function withSections(document: string, sections: Readonly<Record<string, string>>): string {
  let text = document
  for (const [name, content] of Object.entries(sections)) {
    const begin = `<!-- ${name}: written by npm run bench -->`
    const from = text.indexOf(begin)
    const to = text.indexOf('<!-- end -->', from)
    if (from < 0 || to < 0) throw new Error(`the document has no section ${name}`)
    text = `${text.slice(0, from + begin.length)}\n\n${content}\n\n${text.slice(to)}`
  }
  return text
}
