/** `titorelli config`: configs of topics and brokers. */
import type { Command } from 'commander'
import { toJson } from '../json.ts'
import { ApiClient, segment } from './api-client.ts'
import { addApiOptions, addExample, wholeNumber, type ApiOptions } from './api-options.ts'
import { CliFailure, exitStatus, print, type Cli } from './cli.ts'
import { collectConfigs } from './config-option.ts'
import { tableOf } from './table.ts'

interface TargetOptions extends ApiOptions {
  readonly topic?: string
  readonly broker?: number
  readonly allBrokers?: boolean
}
interface ConfigData {
  readonly name: string
  readonly value: string | null
  readonly is_default: boolean
  readonly is_sensitive: boolean
  readonly is_read_only: boolean
  readonly source: string
}

export function addConfigCommands(program: Command, cli: Cli): void {
  const config = program.command('config').description('Configs of topics and brokers.')
  addList(config, cli)
  addSet(config, cli)
  addDelete(config, cli)
}

function addList(config: Command, cli: Cli): void {
  const command = config
    .command('list')
    .description('Lists the configs that somebody set, or all of them.')
    .option('--defaults', 'list those too that nobody set')
    .action(async (options: TargetOptions & { readonly defaults?: boolean }) => {
      const { data } = (await new ApiClient(options.url).kafka('GET', pathOf(options))) as {
        data: readonly ConfigData[]
      }
      const shown = options.defaults ? data : data.filter((one) => !one.is_default)
      if (options.json) return print(cli, toJson(shown, 2))
      const rows = shown.map((one) => [one.name, one.is_sensitive ? '(hidden)' : (one.value ?? ''), one.source])
      print(cli, ...tableOf(['Name', 'Value', 'Source'], rows))
    })
  addTargetOptions(command)
  addExample(
    command,
    'titorelli config list --topic orders',
    'titorelli config list --broker 1 --defaults',
    'titorelli config list --all-brokers',
  )
}

function addSet(config: Command, cli: Cli): void {
  const command = config
    .command('set')
    .argument('<key=value...>', 'the configs')
    .description('Sets configs, all of them or none.')
    .option('--dry-run', 'check everything and set nothing')
    .action(async (entries: readonly string[], options: TargetOptions & { readonly dryRun?: boolean }) => {
      const configs = entries.reduce((before, entry) => collectConfigs(entry, before), new Map<string, string>())
      const data = Array.from(configs, ([name, value]) => ({ name, value, operation: 'SET' }))
      const body = { data, validate_only: options.dryRun ?? false }
      await new ApiClient(options.url).kafka('POST', `${pathOf(options)}:alter`, { body })
      if (options.json) return print(cli, toJson(data, 2))
      const done = options.dryRun ? 'Can be set' : 'Set'
      print(cli, `${done} for ${targetOf(options)}: ${data.map(({ name, value }) => `${name}=${value}`).join(', ')}`)
    })
  addTargetOptions(command)
  addExample(
    command,
    'titorelli config set --topic orders retention.ms=86400000 cleanup.policy=compact,delete',
    'titorelli config set --all-brokers log.retention.ms=86400000',
  )
}

function addDelete(config: Command, cli: Cli): void {
  const command = config
    .command('delete')
    .argument('<name...>', 'the configs')
    .description('Resets configs to what they are when nobody sets them.')
    .action(async (names: readonly string[], options: TargetOptions) => {
      const data = names.map((name) => ({ name, operation: 'DELETE' }))
      await new ApiClient(options.url).kafka('POST', `${pathOf(options)}:alter`, { body: { data } })
      print(cli, options.json ? toJson(data, 2) : `Reset for ${targetOf(options)}: ${names.join(', ')}`)
    })
  addTargetOptions(command)
  addExample(command, 'titorelli config delete --topic orders retention.ms')
}

function addTargetOptions(command: Command): void {
  command
    .option('--topic <topic>', 'of this topic')
    .option('--broker <id>', 'of this broker', wholeNumber(0))
    .option('--all-brokers', 'of all brokers together')
  addApiOptions(command)
}

function pathOf({ topic, broker, allBrokers }: TargetOptions): string {
  const paths = [
    topic === undefined ? [] : [`/topics/${segment(topic)}/configs`],
    broker === undefined ? [] : [`/brokers/${broker}/configs`],
    allBrokers ? ['/broker-configs'] : [],
  ].flat()
  const [path] = paths
  if (path === undefined || paths.length > 1)
    throw new CliFailure('expected one of --topic, --broker and --all-brokers', exitStatus.couldNotTell)
  return path
}

function targetOf({ topic, broker }: TargetOptions): string {
  if (topic !== undefined) return `topic "${topic}"`
  return broker === undefined ? 'all brokers' : `broker ${broker}`
}
