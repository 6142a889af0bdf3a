/** Writes `docs/metrics.md` from the catalog. */
import { metricCatalog } from './catalog.ts'

const introduction = `# Metrics

Generated from \`src/metrics/catalog.ts\`; \`npm run docs\` writes it anew.

\`GET /metrics\` on the HTTP port (8090) answers in Prometheus' text format:

\`\`\`yaml
scrape_configs:
  - job_name: titorelli
    static_configs:
      - targets: ['127.0.0.1:8090']
\`\`\`

Names that begin with \`kafka_\` are those that the usual rules of the JMX exporter give to Kafka's metrics, in small letters, so that
dashboards for Kafka work. There is one difference: a process may show several brokers, and what belongs to one of them has the
label \`broker\`. [grafana-dashboard.json](grafana-dashboard.json) is a dashboard to import into Grafana.

Internal topics are topics here too. Counters begin at 0 when it starts.
`

/** The whole document. */
export function metricsMarkdown(): string {
  const header = ['name', 'type', 'labels', 'meaning']
  const rows = Object.entries(metricCatalog).map(([name, { type, labels, help }]) => {
    return [`\`${name}\``, type, labels.map((label) => `\`${label}\``).join(', '), help]
  })
  const widths = header.map((title, column) => Math.max(3, title.length, ...rows.map((row) => row[column]!.length)))
  const line = (cells: readonly string[]): string =>
    `| ${cells.map((cell, column) => cell.padEnd(widths[column]!)).join(' | ')} |\n`
  return `${introduction}\n${line(header)}${line(widths.map((width) => '-'.repeat(width)))}${rows.map(line).join('')}`
}
