/** Runs a command line in process and keeps what it prints. */
import { run } from '../../src/cli/main.ts'

export interface Ran {
  readonly status: number
  readonly stdout: string
  readonly stderr: string
}

export async function runCli(args: readonly string[], options: { readonly isTTY?: boolean } = {}): Promise<Ran> {
  let stdout = ''
  let stderr = ''
  const status = await run(args, {
    stdout: { write: (text: string) => (stdout += text) },
    stderr: { write: (text: string) => (stderr += text), isTTY: options.isTTY ?? false, columns: 80 },
    env: {},
    packageRoot: new URL('../../', import.meta.url),
    version: '9.9.9',
    status: 0,
  })
  return { status, stdout, stderr }
}
