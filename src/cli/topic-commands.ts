/** `titorelli topic`: the topics of a running broker. */
import type { Command } from 'commander'
import { toJson } from '../json.ts'
import { ApiClient, segment } from './api-client.ts'
import { addApiOptions, addExample, type ApiOptions } from './api-options.ts'
import { print, type Cli } from './cli.ts'
import { listOf, sizeOf, tableOf } from './table.ts'
import { addTopicChanges } from './topic-changes.ts'

interface TopicDetails {
  readonly topic_name: string
  readonly topic_id: string
  readonly is_internal: boolean
  readonly is_read_only: boolean
  readonly mirror_of: string | null
  readonly link_name: string | null
  readonly configs: Readonly<Record<string, string>>
  readonly partitions: readonly {
    readonly partition: number
    readonly leader: number
    readonly leader_epoch: number
    readonly log_start_offset: number | bigint | null
    readonly last_stable_offset: number | bigint | null
    readonly high_watermark: number | bigint | null
    readonly size_bytes: number | null
  }[]
}

export function addTopicCommands(program: Command, cli: Cli): void {
  const topic = program.command('topic').description('Topics of the broker.')
  const list = topic
    .command('list')
    .description('Lists all topics.')
    .action(async (options: ApiOptions) => {
      const { data } = (await new ApiClient(options.url).own('GET', '/topics')) as { data: readonly TopicDetails[] }
      if (options.json) return print(cli, toJson(data, 2))
      const rows = data.map((one) => [
        one.topic_name,
        one.partitions.length,
        recordsOf(one),
        sizeOf(sizeBytesOf(one)),
        kindOf(one),
      ])
      print(cli, ...tableOf(['Name', 'Partitions', 'Offsets', 'Size', 'Kind'], rows))
    })
  addApiOptions(list)
  addExample(list, 'titorelli topic list')

  const describe = topic
    .command('describe')
    .argument('<topic>', 'the name of the topic')
    .description('Shows one topic: its configs, and the offsets of each partition.')
    .action(async (name: string, options: ApiOptions) => {
      const found = (await new ApiClient(options.url).own('GET', `/topics/${segment(name)}`)) as TopicDetails
      print(cli, ...(options.json ? [toJson(found, 2)] : describeTopic(found)))
    })
  addApiOptions(describe)
  addExample(describe, 'titorelli topic describe orders')
  addTopicChanges(topic, cli)
}

/** Offsets between start and end: records, where nothing was compacted away. */
function recordsOf(topic: TopicDetails): bigint {
  return topic.partitions.reduce(
    (sum, one) => sum + BigInt(one.high_watermark ?? 0) - BigInt(one.log_start_offset ?? 0),
    0n,
  )
}

function sizeBytesOf(topic: TopicDetails): number {
  return topic.partitions.reduce((sum, one) => sum + (one.size_bytes ?? 0), 0)
}

function kindOf(topic: TopicDetails): string {
  if (topic.is_internal) return 'internal'
  if (topic.mirror_of === null) return 'topic'
  const link = topic.link_name === null ? '' : ` by ${topic.link_name}`
  return topic.is_read_only ? `mirror of ${topic.mirror_of}${link}` : `was mirror of ${topic.mirror_of}${link}`
}

function describeTopic(topic: TopicDetails): string[] {
  const configs = Object.entries(topic.configs).map(([name, value]) => `  ${name}=${value}`)
  const rows = topic.partitions.map((one) => [
    one.partition,
    one.leader,
    one.leader_epoch,
    one.log_start_offset ?? -1,
    one.last_stable_offset ?? -1,
    one.high_watermark ?? -1,
    one.size_bytes ?? 0,
  ])
  return [
    ...listOf([
      ['Topic', topic.topic_name],
      ['Topic id', topic.topic_id],
      ['Kind', kindOf(topic)],
    ]),
    ...(configs.length > 0 ? ['Configs:', ...configs] : []),
    '',
    ...tableOf(['Partition', 'Leader', 'Leader epoch', 'Start', 'Last stable', 'End', 'Bytes'], rows),
  ]
}
