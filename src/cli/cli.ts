/** What a command gets: where to print, and how it ends. */

/** Exit statuses. `couldNotTell` is also what a wrong command line ends with. */
export const exitStatus = { ok: 0, failed: 1, couldNotTell: 2 } as const

/** Ends a command with a message for people and an exit status. */
export class CliFailure extends Error {
  readonly status: number

  constructor(message: string, status: number = exitStatus.failed, options?: ErrorOptions) {
    super(message, options)
    this.name = 'CliFailure'
    this.status = status
  }
}

export interface OutputStream {
  write(text: string): unknown
  readonly isTTY?: boolean
  readonly columns?: number
}

export interface Cli {
  readonly stdout: OutputStream
  readonly stderr: OutputStream
  readonly env: Readonly<Record<string, string | undefined>>
  /** The folder that holds package.json. */
  readonly packageRoot: URL
  readonly version: string
  /** The exit status when no command throws. */
  status: number
  /** What is still open may keep the process alive no longer. */
  mustExit?: boolean
}

/** Prints one line, or several, to standard output. */
export function print(cli: Cli, ...lines: readonly string[]): void {
  for (const line of lines) cli.stdout.write(`${line}\n`)
}
