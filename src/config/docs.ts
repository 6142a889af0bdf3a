/** Writes `docs/configs.md` from the tables. */
import { brokerConfigs } from './broker-configs.ts'
import { clientMetricsConfigs } from './client-metrics-configs.ts'
import { type ConfigRow, type ConfigTable, textOf, validText } from './config-table.ts'
import { groupConfigs } from './group-configs.ts'
import { topicConfigs } from './topic-configs.ts'

const introduction = `# Configs

Generated from the tables in \`src/config/\`; \`npm run docs\` writes it anew.

Every config that Apache Kafka 4.4 knows is known here, with its name, type, default and range: it is checked, stored and shown.
What **acts** has an effect; the rest has none yet. Names, types and defaults are Kafka's; where a default is another, the
table says so. Configs that Kafka has no name for begin with \`titorelli.\`.

A value is set, from weakest to strongest, in a properties file (\`--config-file\`), by a \`KAFKA_\` variable (as in Kafka's
container images: \`KAFKA_LOG_RETENTION_MS\` is \`log.retention.ms\`, \`__\` stands for \`_\` and \`___\` for \`-\`), by a
\`TITORELLI_\` variable, or by \`--config KEY=VALUE\`. \`TITORELLI_\` variables are written in the same way and reach every config:
\`TITORELLI_LOG_RETENTION_MS\` is \`log.retention.ms\`, and ours go without their prefix, \`TITORELLI_MEMORY_BUDGET_BYTES\` is
\`titorelli.memory.budget.bytes\`; an empty one counts as not set. Among synonyms the first that is set wins.
`

/** The whole document. */
export function configsMarkdown(): string {
  const sections = [
    introduction,
    section('Topic configs', topicConfigs),
    section('Broker configs', brokerConfigs),
    section('Group configs', groupConfigs),
    section('Client metrics configs', clientMetricsConfigs),
  ]
  return sections.join('\n')
}

function section(title: string, table: ConfigTable): string {
  const rows = Object.entries(table).sort(([a], [b]) => (a < b ? -1 : 1))
  const acting = rows.filter(([, row]) => row.acts)
  const idle = rows.filter(([, row]) => !row.acts)
  const parts = [`## ${title}\n`]
  if (acting.length > 0) {
    const header = ['name', 'type', 'default', 'valid values', 'synonyms', 'what it does']
    parts.push(
      `### ${title} that act\n`,
      markdownTable(
        header,
        acting.map(([name, row]) => [...facts(name, row), row.doc ?? '']),
      ),
    )
  }
  if (idle.length > 0) {
    const header = ['name', 'type', 'default', 'valid values', 'synonyms']
    parts.push(
      `### ${title} without effect yet\n`,
      markdownTable(
        header,
        idle.map(([name, row]) => facts(name, row)),
      ),
    )
  }
  return parts.join('\n')
}

function facts(name: string, row: ConfigRow): string[] {
  const valid = validText(row)
  return [
    code(name),
    row.type,
    defaultCell(row),
    valid === '' ? '' : code(valid),
    (row.synonyms ?? []).map(code).join(', '),
  ]
}

function defaultCell(row: ConfigRow): string {
  if (row.default === null) return 'none'
  const text = textOf(row.type, row.default)
  const shown = text === '' ? 'empty' : code(text)
  if (row.kafkaDefault === undefined) return shown
  return `${shown} (Kafka: ${row.kafkaDefault === '(none)' ? 'none' : code(row.kafkaDefault)})`
}

function code(text: string): string {
  return `\`${text}\``
}

/** Columns are padded as the formatter would. */
function markdownTable(header: readonly string[], rows: readonly (readonly string[])[]): string {
  const widths = header.map((title, column) => Math.max(3, title.length, ...rows.map((row) => row[column]!.length)))
  const line = (cells: readonly string[]): string =>
    `| ${cells.map((cell, column) => cell.padEnd(widths[column]!)).join(' | ')} |\n`
  return line(header) + line(widths.map((width) => '-'.repeat(width))) + rows.map(line).join('')
}
