/** Times as text. Nothing here reads a clock. */

/** Milliseconds since 1970 of an ISO 8601 time; NaN for what is none. */
export function millisOf(text: string): number {
  return Date.parse(text)
}

/** In UTC, with milliseconds. */
export function timeText(ms: bigint): string {
  return new Date(Number(ms)).toISOString()
}
