/** Options that all commands share which talk to a running broker. */
import { InvalidArgumentError, type Command } from 'commander'
import { defaultUrl } from './api-client.ts'

export interface ApiOptions {
  readonly url: string
  readonly json?: boolean
}

export function addApiOptions(command: Command): void {
  command.option('--url <url>', 'the HTTP API of the broker', defaultUrl).option('--json', 'print JSON instead of text')
}

/** Parses an option that is a whole number, at least `least`. */
export function wholeNumber(least: number): (text: string) => number {
  return (text) => {
    const value = Number(text)
    if (/^-?\d+$/.test(text) && value >= least) return value
    throw new InvalidArgumentError(`expected a whole number of at least ${least}`)
  }
}

/** Shows a line to type below the help of a command. */
export function addExample(command: Command, ...examples: readonly string[]): void {
  const title = examples.length === 1 ? 'Example:' : 'Examples:'
  command.addHelpText('after', `\n${title}\n${examples.map((line) => `  $ ${line}`).join('\n')}`)
}
