/** `titorelli topic create`, `alter` and `delete`. */
import type { Command } from 'commander'
import { toJson } from '../json.ts'
import { ApiClient, segment } from './api-client.ts'
import { addApiOptions, addExample, wholeNumber, type ApiOptions } from './api-options.ts'
import { print, type Cli } from './cli.ts'
import { collectConfigs } from './config-option.ts'

interface CreateOptions extends ApiOptions {
  readonly partitions?: number
  readonly replicationFactor?: number
  readonly config?: ReadonlyMap<string, string>
  readonly dryRun?: boolean
}
interface TopicData {
  readonly topic_name: string
  readonly partitions_count: number
  readonly replication_factor: number
}

export function addTopicChanges(topic: Command, cli: Cli): void {
  addCreate(topic, cli)
  addAlter(topic, cli)
  addDelete(topic, cli)
}

function addCreate(topic: Command, cli: Cli): void {
  const command = topic
    .command('create')
    .argument('<topic>', 'the name of the topic')
    .description('Creates a topic.')
    .option('--partitions <count>', 'how many partitions; default: num.partitions of the broker', wholeNumber(1))
    .option('--replication-factor <count>', 'replicas per partition; default: that of the broker', wholeNumber(1))
    .option('--config <key=value,...>', 'configs of the topic; repeatable', collectConfigs)
    .option('--dry-run', 'check everything and create nothing')
    .action(async (name: string, options: CreateOptions) => createTopic(cli, name, options))
  addApiOptions(command)
  addExample(command, 'titorelli topic create payments --partitions 3 --config cleanup.policy=compact')
}

async function createTopic(cli: Cli, name: string, options: CreateOptions): Promise<void> {
  const { partitions, replicationFactor, config, dryRun = false } = options
  const body = {
    topic_name: name,
    ...(partitions !== undefined && { partitions_count: partitions }),
    ...(replicationFactor !== undefined && { replication_factor: replicationFactor }),
    configs: Array.from(config ?? [], ([key, value]) => ({ name: key, value })),
    validate_only: dryRun,
  }
  const created = (await new ApiClient(options.url).kafka('POST', '/topics', { body })) as TopicData
  if (options.json) return print(cli, toJson(created, 2))
  const shape = `${count(created.partitions_count, 'partition')} of ${count(created.replication_factor, 'replica')}`
  print(cli, dryRun ? `The topic "${name}" can be created: ${shape}.` : `Created topic "${name}": ${shape}.`)
}

function addAlter(topic: Command, cli: Cli): void {
  const command = topic
    .command('alter')
    .argument('<topic>', 'the name of the topic')
    .description('Adds partitions to a topic. Keys may go to other partitions from then on.')
    .requiredOption('--partitions <count>', 'how many partitions it shall have, more than before', wholeNumber(1))
    .action(async (name: string, options: ApiOptions & { readonly partitions: number }) => {
      const body = { partitions_count: options.partitions }
      const altered = await new ApiClient(options.url).kafka('PATCH', `/topics/${segment(name)}`, { body })
      if (options.json) return print(cli, toJson(altered, 2))
      print(cli, `Topic "${name}" has ${(altered as TopicData).partitions_count} partitions.`)
    })
  addApiOptions(command)
  addExample(command, 'titorelli topic alter orders --partitions 6')
}

function addDelete(topic: Command, cli: Cli): void {
  const command = topic
    .command('delete')
    .argument('<topic>', 'the name of the topic')
    .description('Deletes a topic and all its records.')
    .action(async (name: string, options: ApiOptions) => {
      await new ApiClient(options.url).kafka('DELETE', `/topics/${segment(name)}`)
      print(cli, options.json ? toJson({ topic_name: name, deleted: true }) : `Deleted topic "${name}".`)
    })
  addApiOptions(command)
  addExample(command, 'titorelli topic delete orders')
}

function count(number: number, what: string): string {
  return `${number} ${what}${number === 1 ? '' : 's'}`
}
