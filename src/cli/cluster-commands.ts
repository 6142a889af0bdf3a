/** `titorelli cluster` and `titorelli broker`: the cluster as clients see it, and the brokers of the process. */
import type { Command } from 'commander'
import { toJson } from '../json.ts'
import { ApiClient } from './api-client.ts'
import { addApiOptions, addExample, wholeNumber, type ApiOptions } from './api-options.ts'
import { print, type Cli } from './cli.ts'
import { listOf, tableOf } from './table.ts'

interface BrokerData {
  readonly broker_id: number
  readonly host: string
  readonly port: number
  readonly rack: string | null
  readonly is_alive: boolean
}
interface TopicData {
  readonly partitions: readonly {
    readonly leader: number
    readonly replicas: readonly number[]
    readonly isr: readonly number[]
  }[]
}
interface Page<T> {
  readonly data: readonly T[]
}

export function addClusterCommands(program: Command, cli: Cli): void {
  const cluster = program.command('cluster').description('The cluster as clients see it.')
  const command = cluster
    .command('describe')
    .description('Shows the cluster: its id, its brokers, and how many topics, partitions, groups and links it has.')
    .action(async (options: ApiOptions) => describeCluster(cli, options))
  addApiOptions(command)
  addExample(command, 'titorelli cluster describe')
}

async function describeCluster(cli: Cli, options: ApiOptions): Promise<void> {
  const api = new ApiClient(options.url)
  const { data: brokers } = (await api.own('GET', '/brokers')) as Page<BrokerData>
  const { data: topics } = (await api.own('GET', '/topics')) as Page<TopicData>
  const { data: groups } = (await api.kafka('GET', '/consumer-groups')) as Page<object>
  const { data: links } = (await api.kafka('GET', '/links')) as Page<object>
  const partitions = topics.flatMap((topic) => topic.partitions)
  const found = {
    cluster_id: await api.clusterId(),
    topics: topics.length,
    partitions: partitions.length,
    offline_partitions: partitions.filter(({ leader }) => leader < 0).length,
    under_replicated_partitions: partitions.filter(({ isr, replicas }) => isr.length < replicas.length).length,
    groups: groups.length,
    links: links.length,
  }
  if (options.json) return print(cli, toJson({ ...found, brokers }, 2))
  const facts = listOf([
    ['Cluster id', found.cluster_id],
    ['Topics', found.topics],
    ['Partitions', found.partitions],
    ['Without a leader', found.offline_partitions],
    ['Replicas missing', found.under_replicated_partitions],
    ['Groups', found.groups],
    ['Links', found.links],
  ])
  print(cli, ...facts, '', ...brokerTable(brokers))
}

export function addBrokerCommands(program: Command, cli: Cli): void {
  const broker = program.command('broker').description('The brokers of the process, for tests of what clients do.')
  const list = broker
    .command('list')
    .description('Lists the brokers, those that are down included.')
    .action(async (options: ApiOptions) => {
      const { data } = (await new ApiClient(options.url).own('GET', '/brokers')) as Page<BrokerData>
      print(cli, ...(options.json ? [toJson(data, 2)] : brokerTable(data)))
    })
  addApiOptions(list)
  addExample(list, 'titorelli broker list')

  const down = broker
    .command('down')
    .argument('<id>', 'its node id', wholeNumber(0))
    .description('Takes a broker down: others lead what it led. Its records stay.')
    .option('--hard', 'cut its connections first, as when it dies')
    .action(async (id: number, options: ApiOptions & { readonly hard?: boolean }) => {
      const body = { clean: !options.hard }
      const found = await new ApiClient(options.url).own('POST', `/brokers/${id}/down`, { body })
      print(cli, options.json ? toJson(found, 2) : `Broker ${id} is down.`)
    })
  addApiOptions(down)
  addExample(down, 'titorelli broker down 2', 'titorelli broker down 3 --hard')

  const up = broker
    .command('up')
    .argument('<id>', 'its node id', wholeNumber(0))
    .description('Brings a broker up again, on its port.')
    .action(async (id: number, options: ApiOptions) => {
      const found = await new ApiClient(options.url).own('POST', `/brokers/${id}/up`)
      print(cli, options.json ? toJson(found, 2) : `Broker ${id} is up.`)
    })
  addApiOptions(up)
  addExample(up, 'titorelli broker up 2')
}

function brokerTable(brokers: readonly BrokerData[]): string[] {
  const rows = brokers.map((one) => [
    one.broker_id,
    `${one.host}:${one.port}`,
    one.rack ?? '',
    one.is_alive ? 'up' : 'down',
  ])
  return tableOf(['Broker', 'Address', 'Rack', 'State'], rows)
}
