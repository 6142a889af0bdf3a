/** `titorelli link`: cluster links. Flags are named as in `confluent kafka link`. */
import type { Command } from 'commander'
import { ApiClient, segment } from './api-client.ts'
import { print, type Cli } from './cli.ts'
import { addApiOptions, addExample, type ApiOptions } from './api-options.ts'
import { collectConfigs } from './config-option.ts'
import { toJson } from '../json.ts'
import { listOf, tableOf } from './table.ts'

interface LinkData {
  readonly link_name: string
  readonly cluster_link_id: string
  readonly source_cluster_id: string | null
  readonly topic_names: readonly string[]
  readonly link_state: string
  readonly link_error: string
  readonly link_error_message: string | null
  readonly category_counts: readonly { readonly state_category: string; readonly count: number }[]
}
interface ConfigData {
  readonly name: string
  readonly value: string | null
  readonly is_default: boolean
  readonly is_sensitive: boolean
}
interface CreateOptions extends ApiOptions {
  readonly sourceBootstrapServer: string
  readonly sourceCluster?: string
  readonly config?: ReadonlyMap<string, string>
  readonly dryRun?: boolean
  readonly validate: boolean
}

export function addLinkCommands(program: Command, cli: Cli): void {
  const link = program.command('link').description('Links to other Kafka clusters, from which topics are mirrored.')
  addCreate(link, cli)
  addList(link, cli)
  addDescribe(link, cli)
  addDelete(link, cli)
}

function addCreate(link: Command, cli: Cli): void {
  const command = link
    .command('create')
    .argument('<name>', 'the name of the link')
    .description('Creates a link to a source cluster. It is connected to first, and its cluster id is pinned.')
    .requiredOption('--source-bootstrap-server <host:port>', 'the source cluster, one or more addresses')
    .option('--source-cluster <id>', 'the cluster id the source must have; default: the one that answers')
    .option('--config <key=value,...>', 'configs of the link; repeatable', collectConfigs)
    .option('--dry-run', 'check everything and create nothing')
    .option('--no-validate', 'do not connect to the source before creating')
    .action(async (name: string, options: CreateOptions) => createLink(cli, name, options))
  addApiOptions(command)
  addExample(command, 'titorelli link create from-west --source-bootstrap-server west.example.com:9092')
}

async function createLink(cli: Cli, name: string, options: CreateOptions): Promise<void> {
  const configs = new Map(options.config)
  configs.set('bootstrap.servers', options.sourceBootstrapServer)
  const body = {
    ...(options.sourceCluster && { source_cluster_id: options.sourceCluster }),
    configs: Array.from(configs, ([key, value]) => ({ name: key, value })),
  }
  const query = { link_name: name, validate_only: options.dryRun ?? false, validate_link: options.validate }
  const api = new ApiClient(options.url)
  await api.kafka('POST', '/links', { body, query })
  if (options.dryRun)
    return print(cli, options.json ? toJson({ valid: true }) : `The cluster link "${name}" can be created.`)
  const created = (await api.kafka('GET', `/links/${segment(name)}`)) as LinkData
  if (options.json) return print(cli, toJson(created, 2))
  print(cli, `Created cluster link "${name}" to cluster ${created.source_cluster_id ?? 'not known yet'}.`)
}

function addList(link: Command, cli: Cli): void {
  const command = link
    .command('list')
    .description('Lists all links.')
    .action(async (options: ApiOptions) => {
      const { data } = (await new ApiClient(options.url).kafka('GET', '/links')) as { data: readonly LinkData[] }
      if (options.json) return print(cli, toJson(data, 2))
      const rows = data.map((one) => [
        one.link_name,
        one.source_cluster_id ?? '',
        one.link_state,
        one.topic_names.length,
      ])
      print(cli, ...tableOf(['Name', 'Source cluster', 'State', 'Mirror topics'], rows))
    })
  addApiOptions(command)
  addExample(command, 'titorelli link list')
}

function addDescribe(link: Command, cli: Cli): void {
  const command = link
    .command('describe')
    .argument('<name>', 'the name of the link')
    .description('Shows one link: its source, its state, its mirror topics and the configs that were set.')
    .action(async (name: string, options: ApiOptions) => {
      const api = new ApiClient(options.url)
      const found = (await api.kafka('GET', `/links/${segment(name)}`)) as LinkData
      const { data: configs } = (await api.kafka('GET', `/links/${segment(name)}/configs`)) as {
        data: readonly ConfigData[]
      }
      if (options.json) return print(cli, toJson({ ...found, configs }, 2))
      print(cli, ...describeLink(found, configs))
    })
  addApiOptions(command)
  addExample(command, 'titorelli link describe from-west')
}

function describeLink(link: LinkData, configs: readonly ConfigData[]): string[] {
  const counts = link.category_counts.map((one) => `${one.state_category}: ${one.count}`).join(', ')
  const entries = listOf([
    ['Name', link.link_name],
    ['Link id', link.cluster_link_id],
    ['Source cluster', link.source_cluster_id],
    ['State', link.link_state],
    ['Error', link.link_error === 'NO_ERROR' ? null : link.link_error],
    ['Error message', link.link_error_message],
    ['Mirror topics', link.topic_names.length === 0 ? 'none' : link.topic_names.join(', ')],
    ['Mirror partitions', counts === '' ? null : counts],
  ])
  const set = configs.filter((one) => !one.is_default)
  const shown = set.map((one) => `  ${one.name}=${one.is_sensitive ? '(hidden)' : (one.value ?? '')}`)
  return [...entries, 'Configs:', ...shown]
}

function addDelete(link: Command, cli: Cli): void {
  const command = link
    .command('delete')
    .argument('<name>', 'the name of the link')
    .description('Deletes a link. It must have no mirror topics that still follow their source.')
    .option('--force', 'fail its mirror topics over first: they become ordinary topics')
    .option('--dry-run', 'check whether it could be deleted')
    .action(async (name: string, options: ApiOptions & { force?: boolean; dryRun?: boolean }) => {
      const query = { force: options.force ?? false, validate_only: options.dryRun ?? false }
      await new ApiClient(options.url).kafka('DELETE', `/links/${segment(name)}`, { query })
      if (options.json) return print(cli, toJson({ link_name: name, deleted: !options.dryRun }))
      print(cli, options.dryRun ? `The cluster link "${name}" can be deleted.` : `Deleted cluster link "${name}".`)
    })
  addApiOptions(command)
  addExample(command, 'titorelli link delete from-west')
}
