/** Text for people: tables, key-value lists, sizes and times. */

/** Aligned columns with a header; numbers to the right. An empty table is its header. */
export function tableOf(header: readonly string[], rows: readonly (readonly (string | number | bigint)[])[]): string[] {
  const cells = rows.map((row) => row.map(String))
  const widths = header.map((title, column) => Math.max(title.length, ...cells.map((row) => row[column]?.length ?? 0)))
  const isNumber = header.map((_, column) => rows.length > 0 && rows.every((row) => typeof row[column] !== 'string'))
  const lineOf = (row: readonly string[]) =>
    row
      .map((cell, column) => (isNumber[column] ? cell.padStart(widths[column] ?? 0) : cell.padEnd(widths[column] ?? 0)))
      .join('  ')
      .trimEnd()
  return [lineOf(header), ...cells.map(lineOf)]
}

/** `name: value` lines, the values aligned. Entries without a value are left out. */
export function listOf(entries: readonly (readonly [string, string | number | bigint | null | undefined])[]): string[] {
  const shown = entries.filter(([, value]) => value !== null && value !== undefined)
  const width = Math.max(0, ...shown.map(([name]) => name.length))
  return shown.map(([name, value]) => `${`${name}:`.padEnd(width + 2)}${value}`)
}

/** A wall-clock time in milliseconds as UTC text. */
export function timeOf(ms: number | null | undefined): string | null {
  return typeof ms === 'number' ? new Date(ms).toISOString().replace('T', ' ').replace('.000Z', 'Z') : null
}

const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB'] as const

export function sizeOf(bytes: number): string {
  let value = bytes
  let unit = 0
  while (value >= 1024 && unit < units.length - 1) {
    value /= 1024
    unit += 1
  }
  return unit === 0 ? `${value} B` : `${value.toFixed(1)} ${units[unit]}`
}
