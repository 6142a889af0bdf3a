/** Options that all commands share which talk to a running broker. */
import type { Command } from 'commander'
import { defaultUrl } from './api-client.ts'

export interface ApiOptions {
  readonly url: string
  readonly json?: boolean
}

export function addApiOptions(command: Command): void {
  command.option('--url <url>', 'the HTTP API of the broker', defaultUrl).option('--json', 'print JSON instead of text')
}

/** Shows a line to type below the help of a command. */
export function addExample(command: Command, ...examples: readonly string[]): void {
  const title = examples.length === 1 ? 'Example:' : 'Examples:'
  command.addHelpText('after', `\n${title}\n${examples.map((line) => `  $ ${line}`).join('\n')}`)
}
