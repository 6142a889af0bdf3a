/** `titorelli group`: consumer groups, their lag and their committed offsets. */
import { InvalidArgumentError, type Command } from 'commander'
import { toJson } from '../json.ts'
import { ApiClient, segment } from './api-client.ts'
import { addApiOptions, addExample, wholeNumber, type ApiOptions } from './api-options.ts'
import { CliFailure, exitStatus, print, type Cli } from './cli.ts'
import { listOf, tableOf } from './table.ts'

interface GroupData {
  readonly consumer_group_id: string
  readonly state: string
  readonly partition_assignor: string
  readonly coordinator: { readonly related: string }
}
interface ConsumerData {
  readonly consumer_id: string
  readonly client_id: string
  readonly instance_id: string | null
}
interface LagData {
  readonly topic_name: string
  readonly partition_id: number
  readonly current_offset: number | bigint
  readonly log_end_offset: number | bigint
  readonly lag: number | bigint
  readonly client_id: string
}
interface TopicOffsets {
  readonly partitions: readonly {
    readonly partition: number
    readonly log_start_offset: number | bigint | null
    readonly high_watermark: number | bigint | null
  }[]
}
interface ResetOptions extends ApiOptions {
  readonly topic: string
  readonly partition?: number
  readonly toEarliest?: boolean
  readonly toLatest?: boolean
  readonly toOffset?: bigint
  readonly dryRun?: boolean
}
interface Page<T> {
  readonly data: readonly T[]
}

export function addGroupCommands(program: Command, cli: Cli): void {
  const group = program.command('group').description('Consumer groups and their lag.')
  addList(group, cli)
  addDescribe(group, cli)
  addDelete(group, cli)
  addReset(group, cli)
}

function addList(group: Command, cli: Cli): void {
  const command = group
    .command('list')
    .description('Lists all groups.')
    .action(async (options: ApiOptions) => {
      const { data } = (await new ApiClient(options.url).kafka('GET', '/consumer-groups')) as Page<GroupData>
      if (options.json) return print(cli, toJson(data, 2))
      const rows = data.map((one) => [one.consumer_group_id, one.state, one.partition_assignor, coordinatorOf(one)])
      print(cli, ...tableOf(['Name', 'State', 'Assignor', 'Coordinator'], rows))
    })
  addApiOptions(command)
  addExample(command, 'titorelli group list')
}

function addDescribe(group: Command, cli: Cli): void {
  const command = group
    .command('describe')
    .argument('<group>', 'the name of the group')
    .description('Shows one group: its members, its committed offsets, and how far they are behind.')
    .action(async (name: string, options: ApiOptions) => describeGroup(cli, name, options))
  addApiOptions(command)
  addExample(command, 'titorelli group describe billing')
}

async function describeGroup(cli: Cli, name: string, options: ApiOptions): Promise<void> {
  const api = new ApiClient(options.url)
  const path = `/consumer-groups/${segment(name)}`
  const found = (await api.kafka('GET', path)) as GroupData
  const { data: consumers } = (await api.kafka('GET', `${path}/consumers`)) as Page<ConsumerData>
  const { data: lags } = (await api.kafka('GET', `${path}/lags`)) as Page<LagData>
  if (options.json) return print(cli, toJson({ ...found, consumers, lags }, 2))
  const total = lags.reduce((sum, { lag }) => sum + BigInt(lag), 0n)
  const facts = listOf([
    ['Group', found.consumer_group_id],
    ['State', found.state],
    ['Coordinator', coordinatorOf(found)],
    ['Assignor', found.partition_assignor === '' ? null : found.partition_assignor],
    ['Lag', lags.length === 0 ? null : total],
  ])
  const members = consumers.map((one) => [one.client_id, one.instance_id ?? '', one.consumer_id])
  const rows = lags.map((one) => [
    one.topic_name,
    one.partition_id,
    one.current_offset,
    one.log_end_offset,
    one.lag,
    one.client_id,
  ])
  print(cli, ...facts, '', ...tableOf(['Member', 'Instance', 'Member id'], members), '')
  print(cli, ...tableOf(['Topic', 'Partition', 'Committed', 'End', 'Lag', 'Read by'], rows))
}

function addDelete(group: Command, cli: Cli): void {
  const command = group
    .command('delete')
    .argument('<group>', 'the name of the group')
    .description('Deletes a group and its committed offsets. It must have no members.')
    .action(async (name: string, options: ApiOptions) => {
      await new ApiClient(options.url).kafka('DELETE', `/consumer-groups/${segment(name)}`)
      print(cli, options.json ? toJson({ consumer_group_id: name, deleted: true }) : `Deleted group "${name}".`)
    })
  addApiOptions(command)
  addExample(command, 'titorelli group delete billing')
}

function addReset(group: Command, cli: Cli): void {
  const command = group
    .command('reset-offsets')
    .argument('<group>', 'the name of the group')
    .description('Sets the committed offsets of a group for one topic. It must have no members.')
    .requiredOption('--topic <topic>', 'the topic')
    .option('--partition <number>', 'only this partition; default: all', wholeNumber(0))
    .option('--to-earliest', 'to the first record that is there')
    .option('--to-latest', 'behind the last record')
    .option('--to-offset <offset>', 'to this offset, or the end of the log next to it', offsetOption)
    .option('--dry-run', 'show the new offsets and commit nothing')
    .action(async (name: string, options: ResetOptions) => resetOffsets(cli, name, options))
  addApiOptions(command)
  addExample(command, 'titorelli group reset-offsets billing --topic orders --to-earliest')
}

async function resetOffsets(cli: Cli, name: string, options: ResetOptions): Promise<void> {
  const choices = [options.toEarliest, options.toLatest, options.toOffset].filter((one) => one !== undefined)
  if (choices.length !== 1)
    throw new CliFailure('expected one of --to-earliest, --to-latest and --to-offset', exitStatus.couldNotTell)
  const api = new ApiClient(options.url)
  const topic = (await api.own('GET', `/topics/${segment(options.topic)}`)) as TopicOffsets
  const partitions = topic.partitions.filter(
    ({ partition }) => options.partition === undefined || partition === options.partition,
  )
  if (partitions.length === 0) throw new CliFailure(`${options.topic} has no partition ${options.partition}`)
  const offsets = partitions.map(({ partition, log_start_offset: start, high_watermark: end }) => ({
    topic_name: options.topic,
    partition_id: partition,
    offset: chosenOffset(options, { start: BigInt(start ?? 0), end: BigInt(end ?? 0) }),
  }))
  if (!options.dryRun) await api.own('POST', `/groups/${segment(name)}/offsets`, { body: { offsets } })
  if (options.json) return print(cli, toJson(offsets, 2))
  const rows = offsets.map((one) => [one.topic_name, one.partition_id, one.offset])
  print(cli, ...tableOf(['Topic', 'Partition', 'New offset'], rows))
}

function chosenOffset(options: ResetOptions, { start, end }: { readonly start: bigint; readonly end: bigint }): bigint {
  if (options.toEarliest) return start
  const wanted = options.toOffset ?? end
  if (wanted < start) return start
  return wanted > end ? end : wanted
}

function offsetOption(text: string): bigint {
  if (/^\d+$/.test(text)) return BigInt(text)
  throw new InvalidArgumentError('expected a whole number of at least 0')
}

/** The node id at the end of a link. */
function coordinatorOf({ coordinator }: GroupData): number {
  return Number(coordinator.related.split('/').at(-1))
}
