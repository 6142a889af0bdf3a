/** `titorelli mirror`: mirror topics. Flags are named as in `confluent kafka mirror`; `verify` is our own. */
import type { Command } from 'commander'
import { toJson } from '../json.ts'
import { ApiClient, segment } from './api-client.ts'
import { addApiOptions, addExample, type ApiOptions } from './api-options.ts'
import { CliFailure, exitStatus, print, type Cli } from './cli.ts'
import { collectConfigs } from './config-option.ts'
import { describeMirror, type MirrorDetails } from './mirror-text.ts'
import { verifyMirror } from './mirror-verify.ts'
import { tableOf, timeOf } from './table.ts'

export interface MirrorData {
  readonly link_name: string
  readonly mirror_topic_name: string
  readonly source_topic_name: string
  readonly mirror_status: string
  readonly state_time_ms: number
  readonly num_partitions: number
  readonly mirror_lags: readonly { readonly partition: number; readonly lag: number | bigint }[]
}
interface ChangeData {
  readonly mirror_topic_name: string
  readonly error_code: number | null
  readonly error_message: string | null
}
export interface MirrorOptions extends ApiOptions {
  readonly link?: string
}

const linkOption = [
  '--link <name>',
  'the link of the mirror; default: the link that has a mirror of this name',
] as const
/** How often a failover is looked at, and for how long. */
const pollMs = 50
const stopWaitMs = 30_000

export function addMirrorCommands(program: Command, cli: Cli): void {
  const mirror = program.command('mirror').description('Mirror topics: identical copies of topics of other clusters.')
  addCreate(mirror, cli)
  addList(mirror, cli)
  addDescribe(mirror, cli)
  addVerb(mirror, cli, { verb: 'pause', text: 'Stops mirroring for a while. The mirror stays read-only.' })
  addVerb(mirror, cli, { verb: 'resume', text: 'Goes on mirroring after a pause.' })
  addFailover(mirror, cli)
  addVerify(mirror, cli)
}

function addCreate(mirror: Command, cli: Cli): void {
  interface Options extends ApiOptions {
    readonly link: string
    readonly sourceTopic?: string
    readonly config?: ReadonlyMap<string, string>
  }
  const command = mirror
    .command('create')
    .argument('<topic>', 'the name of the mirror topic')
    .description('Creates a mirror topic and begins to copy its source.')
    .requiredOption('--link <name>', 'the link to the source cluster')
    .option('--source-topic <name>', 'the topic at the source; default: the same name')
    .option('--config <key=value,...>', 'topic configs of the mirror; repeatable', collectConfigs)
    .action(async (topic: string, options: Options) => {
      const { link, sourceTopic = topic, config = new Map<string, string>() } = options
      const body = {
        source_topic_name: sourceTopic,
        ...(sourceTopic !== topic && { mirror_topic_name: topic }),
        configs: Array.from(config, ([name, value]) => ({ name, value })),
      }
      const api = new ApiClient(options.url)
      await api.kafka('POST', `/links/${segment(link)}/mirrors`, { body })
      if (!options.json) return print(cli, `Created mirror topic "${topic}".`)
      print(cli, toJson(await api.kafka('GET', `/links/${segment(link)}/mirrors/${segment(topic)}`), 2))
    })
  addApiOptions(command)
  addExample(command, 'titorelli mirror create orders --link from-west')
}

function addList(mirror: Command, cli: Cli): void {
  const command = mirror
    .command('list')
    .description('Lists mirror topics.')
    .option('--link <name>', 'only those of this link')
    .option('--mirror-status <status>', 'only those with this status, for example active or stopped')
    .action(async (options: MirrorOptions & { mirrorStatus?: string }) => {
      const mirrors = await listMirrors(new ApiClient(options.url), options)
      if (options.json) return print(cli, toJson(mirrors, 2))
      const rows = mirrors.map((one) => [
        one.link_name,
        one.mirror_topic_name,
        one.source_topic_name,
        one.mirror_status,
        timeOf(one.state_time_ms) ?? '',
        one.num_partitions,
        maxLag(one),
      ])
      print(cli, ...tableOf(['Link', 'Mirror topic', 'Source topic', 'Status', 'Since', 'Partitions', 'Max lag'], rows))
    })
  addApiOptions(command)
  addExample(command, 'titorelli mirror list --link from-west')
}

function addDescribe(mirror: Command, cli: Cli): void {
  const command = mirror
    .command('describe')
    .argument('<topic>', 'the mirror topic')
    .description('Shows a mirror topic: its status, the lag of each partition, and why a partition waits.')
    .option(...linkOption)
    .action(async (topic: string, options: MirrorOptions) => {
      const api = new ApiClient(options.url)
      const link = await linkOf(api, topic, options)
      const found = (await api.own('GET', `/links/${segment(link)}/mirrors/${segment(topic)}`)) as MirrorDetails
      print(cli, ...(options.json ? [toJson(found, 2)] : describeMirror(found)))
    })
  addApiOptions(command)
  addExample(command, 'titorelli mirror describe orders')
}

function addVerb(mirror: Command, cli: Cli, { verb, text }: { verb: 'pause' | 'resume'; text: string }): void {
  const command = mirror
    .command(verb)
    .argument('<topics...>', 'the mirror topics')
    .description(text)
    .option(...linkOption)
    .option('--dry-run', 'check and change nothing')
    .action(async (topics: string[], options: MirrorOptions & { dryRun?: boolean }) => {
      await changeMirrors(new ApiClient(options.url), cli, { verb, topics, options })
    })
  addApiOptions(command)
  addExample(command, `titorelli mirror ${verb} orders`)
}

function addFailover(mirror: Command, cli: Cli): void {
  interface Options extends MirrorOptions {
    readonly dryRun?: boolean
    readonly wait: boolean
  }
  const command = mirror
    .command('failover')
    .argument('<topics...>', 'the mirror topics')
    .description(
      'Makes mirror topics writable, whatever their lag and whether or not the source can be reached. There is no way back.',
    )
    .option(...linkOption)
    .option('--dry-run', 'check and change nothing')
    .option('--no-wait', 'do not wait until the topics are writable')
    .action(async (topics: string[], options: Options) => {
      const api = new ApiClient(options.url)
      const accepted = await changeMirrors(api, cli, { verb: 'failover', topics, options })
      if (!options.wait || options.dryRun) return
      for (const topic of accepted) await waitUntilStopped(api, cli, { topic, options })
    })
  addApiOptions(command)
  addExample(command, 'titorelli mirror failover orders payments')
}

function addVerify(mirror: Command, cli: Cli): void {
  const command = mirror
    .command('verify')
    .argument('<topic>', 'the mirror topic')
    .description(
      'Compares a mirror topic with its source, batch by batch, while mirroring goes on.\n' +
        'Ends with status 0 when they are identical, 1 when they differ, 2 when it could not tell.',
    )
    .option(...linkOption)
    .action(async (topic: string, options: MirrorOptions) => {
      try {
        const api = new ApiClient(options.url)
        const link = await linkOf(api, topic, options)
        cli.status = await verifyMirror(api, cli, { link, topic, json: options.json ?? false })
      } catch (error) {
        if (error instanceof CliFailure) throw new CliFailure(error.message, exitStatus.couldNotTell, { cause: error })
        throw error
      }
    })
  addApiOptions(command)
  addExample(command, 'titorelli mirror verify orders')
}

async function listMirrors(
  api: ApiClient,
  options: { readonly link?: string; readonly mirrorStatus?: string },
): Promise<readonly MirrorData[]> {
  const query = { mirror_status: options.mirrorStatus }
  const list = await api.kafka('GET', `/links/${segment(options.link ?? '-')}/mirrors`, { query })
  return (list as { data: readonly MirrorData[] }).data
}

/** The link named by --link, or else the one that has this mirror: topic names are unique in a cluster. */
async function linkOf(api: ApiClient, topic: string, options: { readonly link?: string }): Promise<string> {
  if (options.link !== undefined) return options.link
  const found = (await listMirrors(api, {})).find((one) => one.mirror_topic_name === topic)
  if (!found) throw new CliFailure(`there is no mirror topic "${topic}"`)
  return found.link_name
}

interface Change {
  readonly verb: 'failover' | 'pause' | 'resume'
  readonly topics: readonly string[]
  readonly options: MirrorOptions & { readonly dryRun?: boolean }
}

/** Sends a verb to the links of the topics. The status is 1 when one was refused. Returns the accepted ones. */
async function changeMirrors(api: ApiClient, cli: Cli, { verb, topics, options }: Change): Promise<readonly string[]> {
  const byLink = new Map<string, string[]>()
  for (const topic of topics) {
    const link = await linkOf(api, topic, options)
    byLink.set(link, [...(byLink.get(link) ?? []), topic])
  }
  const results: ChangeData[] = []
  for (const [link, names] of byLink) {
    const call = { body: { mirror_topic_names: names }, query: { validate_only: options.dryRun ?? false } }
    const answer = await api.kafka('POST', `/links/${segment(link)}/mirrors:${verb}`, call)
    results.push(...(answer as { data: readonly ChangeData[] }).data)
  }
  if (options.json) print(cli, toJson(results, 2))
  else print(cli, ...results.map((one) => changeLine(verb, one, options.dryRun ?? false)))
  if (results.some(isRefused)) cli.status = exitStatus.failed
  return results.filter((one) => !isRefused(one)).map((one) => one.mirror_topic_name)
}

function isRefused(change: ChangeData): boolean {
  return change.error_code !== null && change.error_code !== 0
}

function changeLine(verb: string, change: ChangeData, dryRun: boolean): string {
  const topic = change.mirror_topic_name
  if (isRefused(change)) return `${topic}: ${verb} refused: ${change.error_message ?? `error ${change.error_code}`}`
  return dryRun ? `${topic}: ${verb} is possible.` : `${topic}: ${verb} accepted.`
}

async function waitUntilStopped(
  api: ApiClient,
  cli: Cli,
  { topic, options }: { readonly topic: string; readonly options: MirrorOptions },
): Promise<void> {
  const link = await linkOf(api, topic, options)
  const untilMs = Date.now() + stopWaitMs
  while (Date.now() < untilMs) {
    const found = (await api.kafka('GET', `/links/${segment(link)}/mirrors/${segment(topic)}`)) as MirrorData
    if (found.mirror_status === 'STOPPED') {
      if (!options.json) print(cli, `${topic}: STOPPED, an ordinary topic now: it can be written to.`)
      return
    }
    await new Promise((resolve) => setTimeout(resolve, pollMs))
  }
  throw new CliFailure(`${topic}: not STOPPED after ${stopWaitMs / 1000} s, see titorelli mirror describe ${topic}`)
}

/**
 * The largest lag of a partition; partitions that were never fetched from count as 0, as Confluent's list shows them.
 */
function maxLag(mirror: MirrorData): bigint {
  return mirror.mirror_lags.reduce((max, { lag }) => (BigInt(lag) > max ? BigInt(lag) : max), 0n)
}
