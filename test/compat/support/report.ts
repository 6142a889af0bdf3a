/**
 * What became of each test with each peer: tests append it to the file that $COMPAT_REPORT names, and run.ts reads it
 * back.
 */
import { appendFileSync } from 'node:fs'
import { readFile } from 'node:fs/promises'

export interface Result {
  readonly peer: string
  /** What was tried: the name of a test, or of a scenario of the client matrix. */
  readonly what: string
  readonly outcome: 'passed' | 'failed' | 'not applicable' | 'skipped'
  /** The column of the client matrix. */
  readonly column?: string
  /** Why it is not applicable, or was skipped. */
  readonly reason?: string
  readonly version?: string
}

export function report(result: Result): void {
  const file = process.env['COMPAT_REPORT']
  if (file !== undefined) appendFileSync(file, `${JSON.stringify(result)}\n`)
}

export async function readReport(file: string): Promise<readonly Result[]> {
  const text = await readFile(file, 'utf8').catch(() => '')
  return text
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as Result)
}
