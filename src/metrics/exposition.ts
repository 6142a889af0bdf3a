/** Prometheus' text format, version 0.0.4: https://prometheus.io/docs/instrumenting/exposition_formats/ */
import { metricCatalog, type MetricName } from './catalog.ts'

export const expositionContentType = 'text/plain; version=0.0.4; charset=utf-8'

export type Labels = Readonly<Record<string, string | number>>

/** Collects samples of metrics in the catalog, and writes them. One use. */
export class Exposition {
  readonly #linesByName = new Map<MetricName, string[]>()

  add(name: MetricName, labels: Labels, value: number | bigint): void {
    this.#line(name, name, labels, value)
  }

  /** A histogram: counts by bucket, not cumulative; the last one is of what is above all bounds. */
  addHistogram(
    name: MetricName,
    labels: Labels,
    { bounds, counts, sum }: { bounds: readonly number[]; counts: ArrayLike<number>; sum: number },
  ): void {
    let total = 0
    for (const [bucket, bound] of [...bounds, '+Inf'].entries()) {
      total += counts[bucket]!
      this.#line(name, `${name}_bucket`, { ...labels, le: bound }, total)
    }
    this.#line(name, `${name}_sum`, labels, sum)
    this.#line(name, `${name}_count`, labels, total)
  }

  /** A summary: quantiles that are known, and what they are of. */
  addSummary(
    name: MetricName,
    labels: Labels,
    { quantiles, sum, count }: { quantiles: ReadonlyMap<number, number>; sum: number; count: number },
  ): void {
    for (const [quantile, value] of quantiles) this.#line(name, name, { ...labels, quantile }, value)
    this.#line(name, `${name}_sum`, labels, sum)
    this.#line(name, `${name}_count`, labels, count)
  }

  /** Every metric of the catalog in its order; those without samples have their two comments only. */
  toString(): string {
    const families = Object.entries(metricCatalog).map(([name, { type, help }]) => {
      const lines = this.#linesByName.get(name as MetricName) ?? []
      return [`# HELP ${name} ${help}`, `# TYPE ${name} ${type}`, ...lines].join('\n')
    })
    return `${families.join('\n')}\n`
  }

  #line(family: MetricName, name: string, labels: Labels, value: number | bigint): void {
    const lines = this.#linesByName.get(family)
    const line = `${name}${labelsText(labels)} ${valueText(value)}`
    if (lines) lines.push(line)
    else this.#linesByName.set(family, [line])
  }
}

function labelsText(labels: Labels): string {
  const pairs = Object.entries(labels).map(([name, value]) => `${name}="${escaped(String(value))}"`)
  return pairs.length === 0 ? '' : `{${pairs.join(',')}}`
}

function escaped(text: string): string {
  return text
    .replaceAll('\\', String.raw`\\`)
    .replaceAll('"', String.raw`\"`)
    .replaceAll('\n', String.raw`\n`)
}

function valueText(value: number | bigint): string {
  if (value === Infinity) return '+Inf'
  return value === -Infinity ? '-Inf' : String(value)
}
