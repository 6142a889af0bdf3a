/** `titorelli demo`: the product in a minute. */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Command } from 'commander'
import { addExample } from './api-options.ts'
import { CliFailure, exitStatus, print, type Cli } from './cli.ts'
import { runOffline } from './demo/offline.ts'
import { runWithSource } from './demo/own-source.ts'

interface DemoOptions {
  readonly source?: string
  readonly topic?: string
}

export function addDemoCommand(program: Command, cli: Cli): void {
  const command = program
    .command('demo')
    .description(
      'Shows the product in a minute, offline: two brokers, a load, a link, a mirror, the source killed, failover, the proof.\n' +
        'With --source and --topic it mirrors a topic of your own Kafka, compares it, and touches nothing else.',
    )
    .option('--source <host:port>', 'your own Kafka')
    .option('--topic <name>', 'the topic to mirror from it')
    .action(async (options: DemoOptions) => demo(cli, options))
  addExample(command, 'titorelli demo', 'titorelli demo --source 127.0.0.1:9092 --topic orders')
}

async function demo(cli: Cli, { source, topic }: DemoOptions): Promise<void> {
  if ((source === undefined) !== (topic === undefined)) {
    throw new CliFailure('--source and --topic belong together', exitStatus.couldNotTell)
  }
  const startedMs = Date.now()
  const folder = await mkdtemp(join(tmpdir(), 'titorelli-demo-'))
  try {
    if (source === undefined || topic === undefined) await runOffline(cli, folder)
    else await runWithSource(cli, folder, { bootstrap: source, topic })
    print(cli, `Done in ${((Date.now() - startedMs) / 1_000).toFixed(1)} s.`)
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}
